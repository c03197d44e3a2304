"""A job that is looked at again: the same while nothing of it has changed, and read anew after every change."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from tests.ledger.ledger_values import NOON, a_job, an_artifact, sqlite_only

from mediagen.errors import JobNotFoundError
from mediagen.jobs import ChainLink, Job, JobError, JobStatus
from mediagen.ledger import queries
from mediagen.ledger.ledger import Ledger
from mediagen.ledger.repeats import Wish

ERROR = JobError(code="cancelled", message="No.", retryable=False, billed="no")
SUBMITTING = JobStatus.SUBMITTING
# All by a clock that stands still: a change that is as old as what it replaces is one all the same.
CHANGES: dict[str, Callable[[Ledger, Job], Awaitable[object]]] = {
    "claim": lambda ledger, job: ledger.claim(job.job_id, is_left=True),
    "claim_chain": lambda ledger, job: ledger.claim_chain(job.job_id),
    "stop_chain": lambda ledger, job: ledger.stop_chain(job.job_id, "no"),
    "note": lambda ledger, job: ledger.note(replace(job, note="Not finished yet")),
    "failures": lambda ledger, job: ledger.note(replace(job, failures=1)),
    "hand_back": lambda ledger, job: ledger.hand_back(replace(job, due_at=NOON)),
    "begin_attempt": lambda ledger, job: ledger.begin_attempt(job, 1, "token"),
    "operation": lambda ledger, job: ledger.update_call(job.job_id, 1, expected=SUBMITTING, operation="operations/1"),
    "late answer": lambda ledger, job: ledger.update_call(
        job.job_id, 1, expected=SUBMITTING, status=JobStatus.RUNNING, operation="operations/1"
    ),
    "addresses": lambda ledger, job: ledger.update_call(job.job_id, 1, expected=SUBMITTING, remote_uris=("file:///a",)),
    "cancel": lambda ledger, job: ledger.end_unsent(job, 0, status=JobStatus.CANCELLED, error=ERROR),
    "resolve": lambda ledger, job: ledger.update_call(job.job_id, 0, expected=SUBMITTING, error=ERROR),
    "files": lambda ledger, job: ledger.store_artifacts(
        job.job_id, 1, expected=SUBMITTING, artifacts=[an_artifact(), an_artifact()]
    ),
    "request_id": lambda ledger, job: ledger.find_repeat(Wish(fingerprint="1:00", request_id="mine", now=NOON)),
}


async def taken_in(ledger: Ledger) -> Job:
    job = a_job(calls=2, fingerprint="1:00")
    return await ledger.create(replace(job, chain=ChainLink(chain_id=job.job_id, link=1, times=2)))


@pytest.mark.parametrize("name", CHANGES)
async def test_job_is_read_anew_after_any_change_and_only_then(ledger: Ledger, name: str) -> None:
    job = await taken_in(ledger)
    seen = await ledger.look(job.job_id)
    assert seen.job == job
    assert await ledger.look(job.job_id, seen) is seen
    assert await CHANGES[name](ledger, job)
    after = await ledger.look(job.job_id, seen)
    assert after.job == await ledger.get(job.job_id) != seen.job
    assert await ledger.look(job.job_id, after) is after


@sqlite_only
def test_all_that_a_statement_sets_is_looked_at(engine: str) -> None:
    statements = [value for value in vars(queries).values() if isinstance(value, str)]
    for table, looked_at, unread in (
        ("jobs", queries.CHANGING_OF_JOB, {"owner", "delivered_at"}),
        ("calls", queries.CHANGING_OF_CALL, {"counted_microusd"}),
    ):
        updates = [
            found for each in statements for found in re.findall(rf"UPDATE {table}\s+SET (.*?)\s+WHERE", each, re.S)
        ]
        assert updates
        assert {name for update in updates for name in re.findall(r"(\w+) = ", update)} - unread == set(looked_at)


async def test_open_calls_are_those_that_may_go_on_under_the_newest_claim(ledger: Ledger) -> None:
    job = await taken_in(ledger)
    assert await ledger.open_calls(job.job_id) == (0, 1)
    await ledger.update_call(job.job_id, 0, expected=SUBMITTING, status=JobStatus.UNCONFIRMED)
    assert await ledger.open_calls(job.job_id, job.fence) == (1,)
    await ledger.update_call(job.job_id, 0, expected=JobStatus.UNCONFIRMED, status=JobStatus.DOWNLOADING)
    assert await ledger.open_calls(job.job_id, job.fence) == (0, 1)
    assert await ledger.claim(job.job_id, is_left=True)
    assert await ledger.open_calls(job.job_id, job.fence) == ()
    assert await ledger.open_calls(job.job_id) == (0, 1)
    with pytest.raises(JobNotFoundError):
        await ledger.open_calls("job_of_nobody")


async def test_job_that_is_not_there_any_more_is_not_taken_for_unchanged(ledger: Ledger) -> None:
    seen = await ledger.look((await taken_in(ledger)).job_id)
    with pytest.raises(JobNotFoundError):
        await ledger.look("job_of_nobody", seen)
