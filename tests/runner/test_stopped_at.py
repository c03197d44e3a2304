"""Processes that are stopped at the worst instants and go on minutes later, when another has taken their job over."""

import fcntl
import json
import os
import signal
import threading
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import anyio
import pytest
from tests.conftest import paid
from tests.runner.asking import change, clip, image, until, wait_for
from tests.runner.lost import age, resolution
from tests.runner.test_advancing import monkeypatch_start, rows
from tests.runner.test_killed_while_sending import inline

from mediagen.app.app import App, Manner, open_app
from mediagen.endpoints.http import HttpSettings
from mediagen.generator.resolving import resolve_job
from mediagen.requests import CancelJobRequest
from mediagen.runner.steps import CallSteps
from mediagen.settings import Settings
from mediagen.submitter.base import is_supported
from mediagen.submitter.submitter import DetachedSubmitter

MakeSettings = Callable[..., Settings]
SOON = 0.02


class Stop:
    """Something waits here until it is told to go on."""

    def __init__(self) -> None:
        self.reached = anyio.Event()
        self.goes_on = anyio.Event()

    async def __call__(self, _seconds: float = 0.0) -> None:
        self.reached.set()
        await self.goes_on.wait()


def lease_over(ledger_file: Path) -> None:
    """As after minutes in which a process did not move."""
    change(ledger_file, "UPDATE jobs SET owner = NULL")


def kill_submitter_before_it_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the first paid request find no submitter that could send it."""
    usual = DetachedSubmitter.send
    killed: list[int] = []

    async def send(self, request):
        if not killed:
            killed.append(self.process_id)
            os.kill(self.process_id, signal.SIGSTOP)
            threading.Timer(SOON, os.kill, (self.process_id, signal.SIGKILL)).start()
        return await usual(self, request)

    monkeypatch.setattr(DetachedSubmitter, "send", send)


async def step(app: App, job_id: str | None) -> None:
    assert job_id
    await app.runner.scheduler.advancer.advance(job_id)


async def cancelled_by(other: App, job_id: str | None, stopped: App, stop: Stop, ledger_file: Path) -> str:
    """How a job ends whose call another process takes back and cancels before the stopped one goes on."""
    with anyio.fail_after(60):
        await stop.reached.wait()
    lease_over(ledger_file)
    await step(other, job_id)
    assert rows(ledger_file, "SELECT status, attempt FROM calls") == [("submitting", None)]
    await other.generator.cancel_job(CancelJobRequest(job_id=str(job_id)))
    stop.goes_on.set()
    with anyio.fail_after(60):
        while stopped.runner.is_sending:
            await anyio.sleep(SOON)
    return str((await wait_for(other, job_id, 0)).status)


@pytest.mark.skipif(not is_supported(), reason="needs a platform with the submitter")
async def test_process_stopped_between_two_tries_sends_nothing_once_its_call_was_taken_back(
    make_settings: MakeSettings, emulator, ledger_file: Path, monkeypatch: pytest.MonkeyPatch
):
    stop = Stop()
    async with open_app(make_settings(), http=HttpSettings(sleep=stop)) as one, open_app(make_settings()) as two:
        kill_submitter_before_it_sends(monkeypatch)
        report = await image(one, wait_seconds=0)
        assert await cancelled_by(two, report.job_id, one, stop, ledger_file) == "cancelled"
    assert paid(emulator) == 0


@pytest.mark.skipif(not is_supported(), reason="needs a platform with the submitter")
async def test_process_stopped_between_the_row_and_its_request_sends_nothing_once_its_call_was_taken_back(
    make_settings: MakeSettings, emulator, ledger_file: Path, monkeypatch: pytest.MonkeyPatch
):
    stop, usual = Stop(), CallSteps.send

    async def send(self, job, request):
        await stop()
        return await usual(self, job, request)

    monkeypatch.setattr(CallSteps, "send", send)
    async with open_app(make_settings()) as one, open_app(make_settings()) as two:
        report = await image(one, wait_seconds=0)
        assert await cancelled_by(two, report.job_id, one, stop, ledger_file) == "cancelled"
    assert paid(emulator) == 0


def hold_answers_back(monkeypatch: pytest.MonkeyPatch) -> Stop:
    """Let a process be stopped when the first answer of Google has arrived."""
    stop, usual = Stop(), CallSteps.send

    async def send(self, job, request):
        outcome = await usual(self, job, request)
        if not stop.reached.is_set():
            await stop()
        return outcome

    monkeypatch.setattr(CallSteps, "send", send)
    return stop


async def given_up_elsewhere(two: App, ledger_file: Path, job_id: str | None) -> None:
    """Another process takes the job over and finds nothing that was left of it."""
    spool = ledger_file.parent / "spool" / f"{job_id}-0"
    if spool.exists():
        spool.rename(spool.with_name("hidden"))
    lease_over(ledger_file)
    await step(two, job_id)
    if spool.with_name("hidden").exists():
        spool.with_name("hidden").rename(spool)
    assert rows(ledger_file, "SELECT status FROM jobs") == [("unconfirmed",)]


@pytest.mark.parametrize("outcome", ["billed", "not_billed"])
async def test_answer_of_a_stopped_process_wins_over_the_word_of_the_user(
    make_settings: MakeSettings, emulator, ledger_file: Path, monkeypatch: pytest.MonkeyPatch, outcome: str
):
    stop = hold_answers_back(monkeypatch)
    manner = Manner(sends_itself=True)
    async with open_app(make_settings(), manner=manner) as one, open_app(make_settings(), manner=manner) as two:
        report = await clip(one, wait_seconds=0)
        with anyio.fail_after(60):
            await stop.reached.wait()
        await given_up_elsewhere(two, ledger_file, report.job_id)
        await resolve_job(two.generator, resolution(report, outcome=outcome), "the command line")
        stop.goes_on.set()
        await until(two, report, "running")
        assert rows(ledger_file, "SELECT charge, error FROM calls") == [(None, None)]
        await two.runner.resume()
        done = await wait_for(two, report.job_id)
    assert done.status == "succeeded"
    assert done.artifacts
    assert paid(emulator) == 1


def stored(picture: Path) -> bytes:
    """An answer as a submitter leaves it."""
    body = {"candidates": [{"content": {"parts": [{"inlineData": inline(picture)}]}}]}
    text = json.dumps(body).encode()
    head = {"status": 200, "headers": [["content-type", "application/json"]], "end": "whole", "size": len(text)}
    return json.dumps(head).encode() + b"\n" + text


async def answered_late(ledger_file: Path, picture: Path, meanwhile: Callable[[], Awaitable[None]]) -> None:
    """A submitter stores the answer to a request that was given up, and something happens while it awaits that."""
    folder = next((ledger_file.parent / "spool").glob("job_*"))
    with (folder / "paid-1.ticket").open() as ticket:
        fcntl.flock(ticket, fcntl.LOCK_EX)
        await meanwhile()
        assert folder.exists()
        (folder / "paid-1.answer").write_bytes(stored(picture))


@pytest.mark.skipif(not is_supported(), reason="needs a platform with the submitter")
@pytest.mark.parametrize("is_resolved_first", [True, False])
async def test_answer_that_a_submitter_stores_late_wins_over_the_word_of_the_user(
    make_settings: MakeSettings, emulator, ledger_file: Path, is_resolved_first: bool
):
    async with open_app(make_settings()) as app:
        made = await image(app)
        picture = made.artifacts[0].file
        with anyio.fail_after(60):
            while list((ledger_file.parent / "spool").glob("job_*")):
                await anyio.sleep(SOON)
        emulator.add_fault(fault="drop_after_accept", match={"path_contains": "generateContent"})
        lost = await image(app, prompt="another boat")
        assert lost.status == "unconfirmed"

        async def resolved() -> None:
            await resolve_job(app.generator, resolution(lost, outcome="not_billed"), "the command line")

        async def nothing() -> None:
            pass

        await answered_late(ledger_file, picture, resolved if is_resolved_first else nothing)
        if not is_resolved_first:
            await resolved()
        await app.runner.scheduler.late.settling.steps.collector.forget_leftovers()  # as a sweep begins
        await app.runner.resume()
        done = await wait_for(app, lost.job_id)
    assert done.status == "succeeded"
    assert done.artifacts


@pytest.mark.skipif(not is_supported(), reason="needs a platform with the submitter")
async def test_call_that_a_late_answer_opens_again_beside_others_is_gone_on_with(
    make_settings: MakeSettings, emulator, ledger_file: Path
):
    generate = {"path_contains": "generateContent"}
    async with open_app(make_settings()) as app:
        picture = (await image(app)).artifacts[0].file
        emulator.add_fault(fault="drop_after_accept", match=generate)
        emulator.add_fault(fault="delay", seconds=2.0, match=generate)
        report = await image(app, prompt="two boats", count=2, wait_seconds=0)
        with anyio.fail_after(60):
            while not (lost := rows(ledger_file, "SELECT ordinal FROM calls WHERE status = 'unconfirmed'")):
                await anyio.sleep(SOON)
        (ledger_file.parent / "spool" / f"{report.job_id}-{lost[0][0]}" / "paid-1.answer").write_bytes(stored(picture))
        await app.runner.resume()
        assert sorted(rows(ledger_file, f"SELECT status FROM calls WHERE job_id = '{report.job_id}'")) == [
            ("downloading",),
            ("submitting",),
        ]
        done = await wait_for(app, report.job_id, 20)
    assert (done.status, len(done.artifacts)) == ("succeeded", 2)
    assert paid(emulator) == 3


async def test_job_that_its_process_never_knew_to_be_taken_in_is_sent_all_the_same(
    make_settings: MakeSettings, emulator, ledger_file: Path
):
    """As when the connection was lost while the ledger wrote its row."""
    async with open_app(make_settings()) as app:
        start = app.runner.scheduler.start
        monkeypatch_start(app)
        report = await image(app, wait_seconds=0)
        app.runner.scheduler.start = start  # type: ignore[method-assign]
        await app.runner.resume()
        assert paid(emulator) == 0
        age(ledger_file, timedelta(minutes=2))
        await app.runner.resume()
        done = await wait_for(app, report.job_id, 20)
    assert done.status == "succeeded"
    assert paid(emulator) == 1


async def test_refusal_that_a_stopped_process_got_wins_over_not_knowing(
    make_settings: MakeSettings, emulator, ledger_file: Path, monkeypatch: pytest.MonkeyPatch
):
    emulator.add_fault(fault="status", status=400, body="{}", match={"method": "POST", "path_contains": "interactions"})
    stop = hold_answers_back(monkeypatch)
    manner = Manner(sends_itself=True)
    async with open_app(make_settings(), manner=manner) as one, open_app(make_settings(), manner=manner) as two:
        report = await clip(one, wait_seconds=0)
        with anyio.fail_after(60):
            await stop.reached.wait()
        await given_up_elsewhere(two, ledger_file, report.job_id)
        stop.goes_on.set()
        done = await until(two, report, "failed")
    assert done.error is not None
    assert done.error.billed == "no"
    assert rows(ledger_file, "SELECT counted_microusd FROM calls") == [(0,)]
