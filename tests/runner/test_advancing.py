"""`advance` by anyone, twice, at any time: each call is sent once, and only under the newest claim."""

import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.conftest import paid
from tests.runner.asking import arrived, change, clip, image, left_behind, until, wait_for

from mediagen.app.app import App, Manner, open_app
from mediagen.endpoints.base import PaidRequest
from mediagen.errors import InvalidRequestError, StorageError
from mediagen.jobs import Job
from mediagen.ledger.ledger import Ledger
from mediagen.requests import CancelJobRequest
from mediagen.runner import advancing, departure, embedded
from mediagen.settings import Settings
from mediagen.submitter.base import is_supported

MakeSettings = Callable[..., Settings]
SOON = 0.05


def rows(ledger_file: Path, statement: str) -> list[Any]:
    with closing(sqlite3.connect(ledger_file)) as connection:
        return connection.execute(statement).fetchall()


def monkeypatch_start(app: App) -> None:
    """The process dies here."""

    def never(job: Job, requests: Sequence[PaidRequest]) -> None:
        pass

    app.runner.scheduler.start = never  # type: ignore[method-assign]


async def unsent_job(settings: Settings, ledger_file: Path, *, has_token: bool = False, **asked: object) -> str:
    """A job whose process died between writing its row and sending it."""
    async with open_app(settings) as app:
        monkeypatch_start(app)
        report = await image(app, wait_seconds=0, **asked)
    found = rows(ledger_file, "SELECT status, attempt IS NOT NULL FROM calls")
    assert found == [("submitting", is_supported())] * int(str(asked.get("count", 1)))
    if not has_token:
        # As it is of one that another process is to send, or whose token was taken back.
        change(ledger_file, "UPDATE calls SET attempt = NULL")
    return str(report.job_id)


@pytest.fixture(params=["with its token", "without a token"])
def has_token(request: pytest.FixtureRequest) -> bool:
    if request.param == "with its token" and not is_supported():
        pytest.skip("needs a platform with the submitter")
    return bool(request.param == "with its token")


async def advanced_to_the_end(app: App, job_id: str) -> None:
    with anyio.fail_after(60):
        while await app.runner.scheduler.advancer.advance(job_id):
            await anyio.sleep(SOON)


async def test_job_that_was_never_sent_is_sent_once_by_the_next_process(
    make_settings: MakeSettings, emulator, ledger_file: Path, work: Path, has_token: bool
):
    job_id = await unsent_job(make_settings(), ledger_file, count=2, has_token=has_token)
    assert paid(emulator) == 0
    async with open_app(make_settings()) as app:
        await app.runner.resume()
        done = await wait_for(app, job_id)
    assert done.status == "succeeded"
    assert (paid(emulator), len(done.artifacts)) == (2, 2)
    assert rows(ledger_file, "SELECT count(*) FROM requests") == [(0,)]
    assert left_behind(work, ledger_file) == []


async def test_job_that_was_not_sent_in_time_ends_unbilled(
    make_settings: MakeSettings, emulator, ledger_file: Path, has_token: bool
):
    job_id = await unsent_job(make_settings(), ledger_file, has_token=has_token)
    long_ago = (datetime.now(UTC) - timedelta(minutes=11)).isoformat()
    change(ledger_file, "UPDATE jobs SET created_at = ?", long_ago)
    async with open_app(make_settings()) as app:
        await app.runner.resume()
        done = await wait_for(app, job_id)
    assert done.status == "failed"
    assert done.error is not None
    assert (done.error.code, done.error.billed, done.error.retryable) == ("not_sent", "no", True)
    assert paid(emulator) == 0


async def test_job_that_may_have_been_sent_is_not_sent_again(make_settings: MakeSettings, emulator, ledger_file: Path):
    job_id = await unsent_job(make_settings(), ledger_file)
    change(ledger_file, "UPDATE calls SET attempt = 'of the dead'")
    async with open_app(make_settings()) as app:
        await app.runner.resume()
        done = await wait_for(app, job_id)
    assert done.status == "unconfirmed"
    assert paid(emulator) == 0


async def test_job_without_its_request_is_not_taken_for_one_that_was_never_sent(
    make_settings: MakeSettings, emulator, ledger_file: Path
):
    job_id = await unsent_job(make_settings(), ledger_file)
    change(ledger_file, "DELETE FROM requests")
    async with open_app(make_settings()) as app:
        await app.runner.resume()
        done = await wait_for(app, job_id)
    assert done.status == "unconfirmed"
    assert paid(emulator) == 0


async def test_advance_by_two_processes_at_once_sends_each_call_once(
    make_settings: MakeSettings, emulator, ledger_file: Path, has_token: bool
):
    job_id = await unsent_job(make_settings(), ledger_file, count=3, has_token=has_token)
    async with open_app(make_settings()) as one, open_app(make_settings()) as two, anyio.create_task_group() as group:
        for app in (one, two, one, two):
            group.start_soon(advanced_to_the_end, app, job_id)
    assert paid(emulator) == 3
    assert len(rows(ledger_file, "SELECT 1 FROM artifacts")) == 3


async def test_job_that_its_own_process_comes_to_too_late_is_not_sent(
    make_settings: MakeSettings, emulator, work: Path, ledger_file: Path, monkeypatch: pytest.MonkeyPatch
):
    """As when the machine slept between the row and the request."""
    monkeypatch.setattr(advancing, "SENT_WITHIN", timedelta(0))
    async with open_app(make_settings()) as app:
        done = await image(app)
    assert done.error is not None
    assert (done.status, done.error.code, done.error.billed) == ("failed", "not_sent", "no")
    assert paid(emulator) == 0
    assert left_behind(work, ledger_file) == []


async def test_right_to_send_is_given_at_the_last_moment_where_no_folder_tells_what_left(
    make_settings: MakeSettings, emulator, ledger_file: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(departure, "is_supported", lambda: False)
    async with open_app(make_settings()) as app:
        start = app.runner.scheduler.start
        monkeypatch_start(app)
        report = await image(app, wait_seconds=0)
        assert rows(ledger_file, "SELECT attempt FROM calls") == [(None,)]
        app.runner.scheduler.start = start  # type: ignore[method-assign]
        assert (await image(app, prompt="another boat")).status == "succeeded"
    async with open_app(make_settings()) as app:
        await app.runner.resume()
        assert (await wait_for(app, report.job_id)).status == "succeeded"
    assert paid(emulator) == 2


@pytest.mark.skipif(not is_supported(), reason="needs a platform with the submitter")
async def test_folder_of_a_job_that_was_never_written_does_not_stay_for_ever(
    make_settings: MakeSettings, emulator, ledger_file: Path
):
    spool = ledger_file.parent / "spool"
    async with open_app(make_settings()) as app:
        # As after kill -9 right before the row was durable, hours ago and just now; the third may have been sent.
        for name, age, *more in (("job_1-0", 2), ("job_2-0", 0), ("job_3-0", 2, "paid-1.ticket")):
            (spool / name).mkdir(parents=True)
            for note in ("detached-token", *more):
                (spool / name / str(note)).touch()
            then = time.time() - age * 3600
            os.utime(spool / name, (then, then))
        await app.runner.scheduler.late.settling.steps.collector.forget_leftovers()
        assert sorted(path.name for path in spool.iterdir()) == ["job_2-0", "job_3-0"]


async def test_job_whose_folder_cannot_be_made_is_not_taken_in(
    make_settings: MakeSettings, emulator, ledger_file: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: object) -> int:
        raise StorageError("The spool beside the ledger cannot be written to (OSError).", billed="no")

    monkeypatch.setattr(departure, "open_for_sending", full)
    async with open_app(make_settings()) as app:
        with pytest.raises(StorageError):
            await image(app)
    assert rows(ledger_file, "SELECT * FROM jobs") == []
    assert paid(emulator) == 0


async def test_advance_tells_when_the_next_step_is_due(make_settings: MakeSettings, emulator, ledger_file: Path):
    emulator.add_fault(fault="stuck")
    async with open_app(make_settings(MEDIAGEN_POLL_SECONDS="7")) as app:
        report = await until(app, await clip(app, wait_seconds=0), "running")
    async with open_app(make_settings(MEDIAGEN_POLL_SECONDS="7")) as app:
        due_at = await app.runner.scheduler.advancer.advance(str(report.job_id))
        assert due_at is not None
        # Half of the usual interval, as a clip of the emulator should be done by now.
        assert 3 < (due_at - datetime.now(UTC)).total_seconds() <= 7


async def running_clip(settings: Settings) -> str:
    """A clip that its process has left to others."""
    async with open_app(settings) as app:
        return str((await until(app, await clip(app, wait_seconds=0), "running")).job_id)


async def advanced_until(app: App, job_id: str, ledger_file: Path, status: str) -> datetime | None:
    """What the first step says that does not leave the call running."""
    with anyio.fail_after(60):
        while True:
            due_at = await app.runner.scheduler.advancer.advance(job_id)
            if rows(ledger_file, "SELECT status FROM calls") != [("running",)]:
                assert rows(ledger_file, "SELECT status FROM calls") == [(status,)]
                return due_at
            await anyio.sleep(SOON)


async def test_poll_that_finds_a_clip_made_brings_it_here(make_settings: MakeSettings, emulator, ledger_file: Path):
    job_id = await running_clip(make_settings(MEDIAGEN_POLL_SECONDS="7"))
    async with open_app(make_settings()) as app:
        assert await advanced_until(app, job_id, ledger_file, "succeeded") is None
        assert len((await wait_for(app, job_id, 0)).artifacts) == 1


async def test_clip_that_cannot_be_brought_by_the_poll_that_found_it_is_noted_and_brought_later(
    make_settings: MakeSettings, emulator, ledger_file: Path
):
    job_id = await running_clip(make_settings(MEDIAGEN_POLL_SECONDS="7"))
    blocked = {"method": "GET", "path_contains": "files"}
    emulator.add_fault(fault="status", status=403, body="blocked by proxy", times=10, match=blocked)
    async with open_app(make_settings()) as app:
        due_at = await advanced_until(app, job_id, ledger_file, "downloading")
        assert due_at is not None
        assert due_at > datetime.now(UTC)
        ((note, failures),) = rows(ledger_file, "SELECT note, failures FROM jobs")
        assert note.startswith("Not finished yet")
        assert failures == 1
        await advanced_to_the_end(app, job_id)
        done = await wait_for(app, job_id)
    assert done.status == "succeeded"
    assert rows(ledger_file, "SELECT note FROM jobs") == [(None,)]


async def test_advance_of_a_job_of_another_process_only_tells_when_to_look_again(
    make_settings: MakeSettings, emulator, ledger_file: Path
):
    emulator.add_fault(fault="stuck")
    async with open_app(make_settings()) as one, open_app(make_settings()) as two:
        report = await until(one, await clip(one, wait_seconds=0), "running")
        asked = len(emulator.requests())
        due_at = await two.runner.scheduler.advancer.advance(str(report.job_id))
        assert due_at is not None
        assert due_at > datetime.now(UTC)
        assert not two.runner.scheduler.advancer.holds(str(report.job_id))
        assert len(emulator.requests()) - asked <= 1


async def test_job_that_was_handed_back_is_gone_on_with_by_another(
    make_settings: MakeSettings, emulator, ledger_file: Path
):
    job_id = await unsent_job(make_settings(), ledger_file)
    # Through a submitter the picture would be in its place after one step.
    async with open_app(make_settings(), manner=Manner(sends_itself=True)) as one, open_app(make_settings()) as two:
        assert await one.runner.scheduler.advancer.advance(job_id)
        due_at = datetime.now(UTC) + timedelta(seconds=1)
        await one.runner.scheduler.advancer.hand_back(job_id, due_at)
        assert not one.runner.scheduler.advancer.holds(job_id)
        await advanced_to_the_end(two, job_id)
        done = await wait_for(two, job_id)
    assert done.status == "succeeded"
    assert paid(emulator) == 1


async def test_step_under_an_older_claim_changes_nothing(make_settings: MakeSettings, emulator, ledger_file: Path):
    emulator.add_fault(fault="delay", seconds=0.3, match={"method": "GET", "path_contains": "interactions"})
    async with open_app(make_settings()) as app:
        report = await until(app, await clip(app, wait_seconds=0), "running")
        # As when this process was stopped for long, and another has claimed the job and done nothing yet.
        change(ledger_file, "UPDATE jobs SET fence = fence + 1, owner = NULL")
        with anyio.fail_after(60):
            while app.runner.scheduler.advancer.holds(str(report.job_id)):
                await anyio.sleep(SOON)
        assert rows(ledger_file, "SELECT status FROM calls") == [("running",)]
        await app.runner.resume()
        done = await wait_for(app, report.job_id)
    assert done.status == "succeeded"
    assert paid(emulator) == 1


async def test_answer_of_a_stopped_process_wins_although_its_job_was_taken_over(
    make_settings: MakeSettings, emulator, ledger_file: Path
):
    emulator.add_fault(fault="delay", seconds=1.0, match={"path_contains": "generateContent"})
    async with open_app(make_settings()) as one, open_app(make_settings()) as two:
        report = await image(one, wait_seconds=0)
        await arrived(emulator, "generateContent")
        change(ledger_file, "UPDATE jobs SET owner = NULL")
        with anyio.fail_after(60):
            while (done := await wait_for(two, report.job_id, 0)).status != "succeeded":
                await two.runner.scheduler.advancer.advance(str(report.job_id))
                await anyio.sleep(SOON)
    assert done.artifacts
    assert paid(emulator) == 1


async def test_note_of_the_driving_process_is_told_by_another(make_settings: MakeSettings, emulator):
    async with open_app(make_settings(MEDIAGEN_POLL_SECONDS="20")) as one, open_app(make_settings()) as two:
        report = await until(one, await clip(one, wait_seconds=0), "running")
        assert one.runner.scheduler.advancer.holds(str(report.job_id))
        ledger = Ledger(two.settings.folder_for_state() / "ledger.sqlite3", lambda: datetime.now(UTC))
        job = await ledger.get(str(report.job_id))
        assert await ledger.note(replace(job, note="Not finished yet: the key is refused", failures=3))
        await ledger.aclose()
        assert "the key is refused" in " ".join((await wait_for(two, report.job_id, 0)).warnings)


async def test_cancel_of_a_job_that_was_not_sent_costs_nothing(make_settings: MakeSettings, emulator, ledger_file):
    job_id = await unsent_job(make_settings(), ledger_file)
    async with open_app(make_settings()) as app:
        done = await app.generator.cancel_job(CancelJobRequest(job_id=job_id))
        assert await app.runner.scheduler.advancer.advance(job_id) is None
    assert done.status == "cancelled"
    assert done.error is not None
    assert done.error.billed == "no"
    assert paid(emulator) == 0


async def test_cancel_does_not_end_a_call_that_is_on_its_way(make_settings: MakeSettings, emulator, ledger_file: Path):
    emulator.add_fault(fault="delay", seconds=1.0, match={"path_contains": "generateContent"})
    async with open_app(make_settings()) as app:
        report = await image(app, wait_seconds=0)
        await arrived(emulator, "generateContent")
        with pytest.raises(InvalidRequestError, match="submitting"):
            await app.generator.cancel_job(CancelJobRequest(job_id=str(report.job_id)))
        assert (await wait_for(app, report.job_id)).status == "succeeded"


async def test_defect_met_by_a_sweep_ends_neither_the_sweeping_nor_the_server(
    make_settings: MakeSettings, emulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    async with open_app(make_settings()) as app:
        collector, tried = app.runner.scheduler.late.settling.steps.collector, []

        async def broken(_self: object, _busy: object) -> None:
            tried.append(1)
            raise ExceptionGroup("several", [KeyError("a prompt")])

        monkeypatch.setattr(type(collector), "forget_leftovers", broken)
        monkeypatch.setattr(embedded, "SWEEP_SECONDS", 0.01)
        app.runner.scheduler.start_sweeping()
        with anyio.fail_after(60):
            while len(tried) < 3:
                await anyio.sleep(0.01)
        assert (await image(app)).status == "succeeded"
    told = [record.getMessage() for record in caplog.records if "looking for jobs" in record.getMessage()]
    assert told == ["looking for jobs does not work at the moment: a defect in mediagen (KeyError)"]
