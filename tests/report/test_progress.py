"""How far a job is, in words: each phase, several calls, and what is beyond the estimate."""

import dataclasses
from datetime import timedelta
from typing import Any

import pytest
from tests.ledger.ledger_values import NOON, a_job

from mediagen.jobs import Job, JobStatus
from mediagen.report.progress import progress_of

SENT: dict[str, Any] = {"attempt": "token"}
RUNNING: dict[str, Any] = {"status": JobStatus.RUNNING, "operation": "operations/1", **SENT}
DOWNLOADING: dict[str, Any] = {"status": JobStatus.DOWNLOADING, "remote_uris": ("https://example.com/a",), **SENT}
STORING: dict[str, Any] = {"status": JobStatus.DOWNLOADING, "remote_uris": ("file:///spool/a",), **SENT}
DONE: dict[str, Any] = {"status": JobStatus.SUCCEEDED, **SENT}
FAILED: dict[str, Any] = {"status": JobStatus.FAILED, **SENT}


def job(*calls: dict[str, Any], **changes: Any) -> Job:
    """A job whose calls are in these states, on a model that usually takes 80 s."""
    draft = a_job(calls=len(calls), model="veo-3.1-generate-001", **changes)
    changed = tuple(dataclasses.replace(call, **state) for call, state in zip(draft.calls, calls, strict=True))
    return dataclasses.replace(draft, calls=changed, estimated_seconds=80.0)


def words(job: Job, seconds: float) -> str:
    return progress_of(job, NOON + timedelta(seconds=seconds)).message


@pytest.mark.parametrize(
    ("state", "seconds", "said"),
    [
        ({}, 3, "Queued, not sent yet: 3 s"),
        (SENT, 2, "Sending the request to Veo: 2 s"),
        (RUNNING, 48, "Veo is rendering: 48 s of about 80 s (estimated)"),
        (RUNNING, 95, "Veo is rendering: 95 s, usually about 80 s"),
        (DOWNLOADING, 82, "Made; downloading the clip: 82 s so far"),
        (STORING, 83, "Made; storing the clip: 83 s so far"),
    ],
)
def test_each_phase_of_a_clip_has_words_of_its_own(state: dict[str, Any], seconds: float, said: str):
    assert words(job(state), seconds) == said


def test_picture_is_made_while_its_request_is_on_its_way():
    picture = job(SENT, kind="image")
    assert words(picture, 12) == "Veo is making the picture: 12 s of about 80 s (estimated)"


@pytest.mark.parametrize(
    ("states", "said"),
    [
        ((DONE, DONE, SENT, SENT), "2 of 4 pictures done"),
        ((DONE, FAILED, SENT, SENT), "1 of 4 pictures done, 1 not made"),
        ((SENT, SENT, SENT, {}), "0 of 4 pictures done"),
    ],
)
def test_several_calls_are_counted(states: tuple[dict[str, Any], ...], said: str):
    assert words(job(*states, kind="image"), 20) == f"Veo is making 4 pictures: 20 s of about 80 s (estimated); {said}"


def test_fraction_grows_from_phase_to_phase_and_is_one_only_at_the_end():
    steps = [(job({}), 1), (job(SENT), 2), (job(RUNNING), 40), (job(RUNNING), 4000), (job(STORING), 4001)]
    fractions = [progress_of(it, NOON + timedelta(seconds=at)).fraction for it, at in steps]
    assert fractions == sorted(set(fractions))
    assert fractions[-1] < 1
    ended = dataclasses.replace(job(DONE), updated_at=NOON + timedelta(seconds=81))
    assert progress_of(ended, NOON + timedelta(days=1)).fraction == 1
    assert words(ended, 90_000) == "succeeded after 81 s"


def test_each_call_that_ends_moves_the_fraction():
    at = NOON + timedelta(seconds=10)
    states = [(SENT,) * 4, (DONE, SENT, SENT, SENT), (DONE, DONE, FAILED, SENT)]
    fractions = [progress_of(job(*calls, kind="image"), at).fraction for calls in states]
    assert fractions == sorted(set(fractions))
