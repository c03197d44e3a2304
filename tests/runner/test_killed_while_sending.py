"""A process dies while its paid request is on the way: the next one finds the answer, and nothing is paid twice."""

import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.conftest import of_child, paid
from tests.runner.asking import image, until, wait_for
from tests.submitter.conftest import state_of

from mediagen.app.app import open_app
from mediagen.settings import Settings
from mediagen.submitter.base import is_supported

pytestmark = pytest.mark.skipif(not is_supported(), reason="needs a platform with the submitter")

PICTURE = ("image", "a boat", "--json")
CLIP = ("video", "waves", "--duration-seconds", "3", "--resolution", "360p", "--json")
RESUME = ("jobs", "resume", "--json")
LIST = ("jobs", "list", "--json")
DEADLINE = 60.0
MakeSettings = Callable[..., Settings]


class Commands:
    """Runs commands as processes of their own that may be killed."""

    def __init__(self, variables: dict[str, str]) -> None:
        self._variables = of_child(variables)
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, *arguments: str) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            [sys.executable, "-m", "mediagen.cli", *arguments],
            env=self._variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.started.append(process)
        return process

    def result(self, *arguments: str) -> dict[str, object]:
        output, errors = self.start(*arguments).communicate(timeout=DEADLINE)
        assert output, errors.decode()
        return dict(json.loads(output))

    def job(self) -> dict[str, object]:
        jobs: Any = self.result(*LIST)["jobs"]
        assert len(jobs) == 1
        return dict(jobs[0])


@pytest.fixture
def commands(environment: dict[str, str]) -> Iterator[Commands]:
    commands = Commands(environment)
    yield commands
    for process in commands.started:
        process.kill()
        process.communicate()


@contextmanager
def in_time(what: str) -> Iterator[Callable[[], None]]:
    deadline = time.monotonic() + DEADLINE

    def wait() -> None:
        assert time.monotonic() < deadline, what
        time.sleep(0.01)

    yield wait


def wait_until_sent(ledger_file: Path, count: int = 1) -> None:
    with in_time("the request is not sent") as wait:
        while len([1 for path in ledger_file.parent.glob("spool/*/*.ticket") if path.read_bytes() == b"sent"]) < count:
            wait()


def children(process_id: int) -> list[int]:
    found = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = [line.split() for line in found.splitlines()]
    return [int(pid) for pid, parent in pairs if int(parent) == process_id and state_of(int(pid))]


def submitter_of(process: "subprocess.Popen[bytes]") -> int:
    with in_time("there is no submitter") as wait:
        while not (found := children(process.pid)):
            wait()
    return found[0]


def wait_until_gone(process_id: int) -> None:
    with in_time("the submitter does not end") as wait:
        while state_of(process_id):
            wait()


@pytest.mark.parametrize(("asked", "path"), [(PICTURE, "generateContent"), (CLIP, "interactions")])
def test_answer_of_a_killed_process_is_delivered_by_the_next(
    commands: Commands, emulator, ledger_file: Path, work: Path, asked: tuple[str, ...], path: str
):
    emulator.add_fault(fault="delay", seconds=0.7, match={"method": "POST", "path_contains": path})
    first = commands.start(*asked)
    wait_until_sent(ledger_file)
    submitter = submitter_of(first)
    first.kill()
    first.communicate()
    commands.result(*RESUME)
    job = commands.job()
    assert job["status"] == "succeeded", job
    assert paid(emulator) == 1
    assert len([*work.glob("image_*.*"), *work.glob("video_*.*")]) == 2
    assert not list(ledger_file.parent.glob("spool/*"))
    wait_until_gone(submitter)


def test_answer_that_came_while_nobody_was_there_is_delivered(commands: Commands, emulator, ledger_file: Path):
    emulator.add_fault(fault="delay", seconds=0.2, match={"path_contains": "generateContent"})
    first = commands.start(*PICTURE, "--count", "3")
    wait_until_sent(ledger_file, 3)
    submitter = submitter_of(first)
    first.kill()
    wait_until_gone(submitter)
    commands.result(*RESUME)
    assert commands.job()["status"] == "succeeded"
    assert paid(emulator) == 3


def test_terminated_server_leaves_no_paid_answer_behind(commands: Commands, emulator, ledger_file: Path):
    emulator.add_fault(fault="delay", seconds=0.5, match={"path_contains": "generateContent"})
    first = commands.start(*PICTURE)
    wait_until_sent(ledger_file)
    first.terminate()
    first.communicate(timeout=DEADLINE)
    commands.result(*RESUME)
    assert commands.job()["status"] == "succeeded"
    assert paid(emulator) == 1


def test_killed_submitter_leaves_the_call_unconfirmed_and_it_is_never_sent_again(
    commands: Commands, emulator, ledger_file: Path
):
    emulator.add_fault(fault="delay", seconds=0.5, match={"path_contains": "generateContent"})
    first = commands.start(*PICTURE)
    wait_until_sent(ledger_file)
    os.kill(submitter_of(first), signal.SIGKILL)
    first.communicate(timeout=DEADLINE)
    commands.result(*RESUME)
    job = commands.job()
    assert job["status"] == "unconfirmed", job
    assert paid(emulator) == 1


def test_refusal_that_a_killed_process_did_not_see_ends_the_job(commands: Commands, emulator, ledger_file: Path):
    refused = {"error": {"code": 403, "message": "no", "status": "PERMISSION_DENIED"}}
    match = {"path_contains": "generateContent"}
    emulator.add_fault(fault="status", status=403, body=refused, seconds=0.5, match=match)
    first = commands.start(*PICTURE)
    wait_until_sent(ledger_file)
    first.kill()
    commands.result(*RESUME)
    job = commands.job()
    assert (job["status"], paid(emulator)) == ("failed", 0), job


def test_idle_server_takes_its_submitter_along(commands: Commands):
    server = commands.start("serve")
    assert server.stdin
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    called = {"name": "list_jobs", "arguments": {}}
    for message in (
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        # The first call that needs the ledger gets everything ready.
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": called},
    ):
        server.stdin.write(json.dumps(message).encode() + b"\n")
    server.stdin.flush()
    submitter = submitter_of(server)
    server.kill()
    wait_until_gone(submitter)


async def test_late_answer_of_an_unconfirmed_call_is_taken_in(make_settings: MakeSettings, emulator, ledger_file: Path):
    """The submitter got the answer, but the server gave the call up before."""
    async with open_app(make_settings()) as app:
        report = await image(app)
    async with open_app(make_settings()) as app:
        emulator.add_fault(fault="drop_after_accept", match={"path_contains": "generateContent"})
        lost = await image(app, force_new=True)
        assert lost.status == "unconfirmed"
        folder = ledger_file.parent / "spool" / f"{lost.job_id}-0"
        assert [path.name for path in folder.glob("paid-*")] == ["paid-1.ticket"]
        await app.runner.resume()
        assert (await wait_for(app, lost.job_id, 0)).status == "unconfirmed"
        body = {"candidates": [{"content": {"parts": [{"inlineData": inline(report.artifacts[0].file)}]}}]}
        text = json.dumps(body).encode()
        head = {"status": 200, "headers": [["content-type", "application/json"]], "end": "whole", "size": len(text)}
        (folder / "paid-1.answer").write_bytes(json.dumps(head).encode() + b"\n" + text)
        await app.runner.resume()
        done = await until(app, lost, "succeeded")
        await until_gone(folder)
    assert done.artifacts[0].file.is_file()
    assert paid(emulator) == 2


async def test_call_that_was_certainly_never_sent_is_sent_by_the_next_process(
    make_settings: MakeSettings, emulator, ledger_file: Path
):
    async with open_app(make_settings()) as app:
        app.runner.scheduler.start = lambda job, requests: None  # type: ignore[method-assign]
        report = await image(app, wait_seconds=0)
    # As after kill -9 between the token and the ticket.
    folder = ledger_file.parent / "spool" / f"{report.job_id}-0"
    assert [path.name.partition("-")[0] for path in folder.iterdir()] == ["detached"]
    async with open_app(make_settings()) as app:
        await app.runner.resume()
        done = await until(app, report, "succeeded")
        await until_gone(folder)
    assert done.artifacts
    assert paid(emulator) == 1


async def until_gone(folder: Path) -> None:
    with anyio.fail_after(DEADLINE):
        while folder.exists():
            await anyio.sleep(0.01)


def inline(picture: Path) -> dict[str, str]:
    return {"mimeType": "image/png", "data": base64.b64encode(picture.read_bytes()).decode()}
