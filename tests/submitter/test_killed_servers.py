"""The server dies; its submitter ends what is on its way, and nothing else."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.submitter.conftest import BODY, Google, Handler, Spool, pytestmark, state_of, until

from mediagen.submitter.recovery import look_at_call, settle_call
from mediagen.submitter.tickets import open_folder

__all__ = ["pytestmark"]

ROOT = Path(__file__).parents[2]
KILLS = 50
KILLED_WITHIN = 0.2
JOBS = 4


class Parents:
    """Starts servers that can be killed."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.submitter.parents"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, url: str, spool: Spool, jobs: list[str]) -> tuple[int, int]:
        """Process ids of a server and of its submitter."""
        for job in jobs:
            (spool.folder / f"{job}-0").mkdir()
            open_folder(str(spool.folder / f"{job}-0"))
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"url": url, "folder": str(spool.folder), "jobs": jobs}) + "\n")
        self._process.stdin.flush()
        found = json.loads(self._process.stdout.readline())
        return found["server"], found["submitter"]

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def parents() -> Iterator[Parents]:
    parents = Parents()
    yield parents
    parents.close()


def slowly(google: Google, handler: Handler) -> None:
    """Behaviour: an answer in pieces within about 0.1 s."""
    handler.send_response(200)
    handler.send_header("content-length", str(len(BODY)))
    handler.end_headers()
    for at in range(0, len(BODY), 6):
        google.released.wait(0.03)
        handler.wfile.write(BODY[at : at + 6])


def test_no_answer_is_lost_and_none_asked_for_twice_when_servers_are_killed_at_any_instant(
    google: Google, spool: Spool, parents: Parents
) -> None:
    google.behave = lambda handler: slowly(google, handler)
    chance = random.Random(5)
    jobs: list[str] = []
    submitters: list[int] = []
    kills = []
    for number in range(KILLS):
        mine = [f"job_{number}x{index}" for index in range(JOBS)]
        server, submitter = parents.start(google.url, spool, mine)
        kills.append(threading.Timer(chance.uniform(0, KILLED_WITHIN), os.kill, (server, signal.SIGKILL)))
        kills[-1].start()
        jobs += mine
        submitters.append(submitter)
    for kill in kills:
        kill.join()
    until(lambda: not any(state_of(submitter) for submitter in submitters))
    until(lambda: all(look_at_call(spool.folder / f"{job}-0").state != "sending" for job in jobs))
    states = {job: settle_call(spool.folder / f"{job}-0") for job in jobs}
    answered = {job for job, settled in states.items() if settled.state == "answered"}
    assert {settled.state for settled in states.values()} <= {"answered", "never_sent"}
    assert google.seen == dict.fromkeys(answered, 1)
    assert all(settled.answer.body() == BODY for settled in states.values() if settled.answer)
    assert len(list(spool.folder.rglob("*.answer"))) == len(answered) > JOBS
    assert not list(spool.folder.rglob("*.part"))


def test_submitter_of_a_killed_server_waits_for_the_answer_and_ends(
    google: Google, spool: Spool, parents: Parents
) -> None:
    google.behave = google.wait_and_answer
    server, submitter = parents.start(google.url, spool, ["job_1"])
    until(lambda: google.seen["job_1"])
    os.kill(server, signal.SIGKILL)
    for ignored in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        os.kill(submitter, ignored)
    assert settle_call(spool.folder / "job_1-0").state == "sending"
    google.released.set()
    until(lambda: not state_of(submitter))
    assert look_at_call(spool.folder / "job_1-0").state == "answered"
    assert google.seen == {"job_1": 1}


def test_submitter_of_an_idle_server_ends_with_it(google: Google, spool: Spool, parents: Parents) -> None:
    server, submitter = parents.start(google.url, spool, [])
    assert state_of(submitter)
    os.kill(server, signal.SIGKILL)
    until(lambda: not state_of(submitter), seconds=5)


def test_killed_submitter_leaves_a_request_that_was_sent_as_lost(
    google: Google, spool: Spool, parents: Parents
) -> None:
    google.behave = google.wait_and_answer
    server, submitter = parents.start(google.url, spool, ["job_1"])
    until(lambda: google.seen["job_1"])
    os.kill(server, signal.SIGKILL)
    os.kill(submitter, signal.SIGKILL)
    until(lambda: look_at_call(spool.folder / "job_1-0").state == "lost")
    assert settle_call(spool.folder / "job_1-0").state == "lost"
    # Decided again after another crash, it must not look unsent.
    assert settle_call(spool.folder / "job_1-0").state == "lost"


def test_request_that_a_stopped_submitter_has_not_read_is_never_sent_once_settled(
    google: Google, spool: Spool, parents: Parents
) -> None:
    server, submitter = parents.start(google.url, spool, [])
    os.kill(submitter, signal.SIGSTOP)
    os.kill(server, signal.SIGKILL)
    (spool.folder / "job_1-0").mkdir()
    open_folder(str(spool.folder / "job_1-0"))
    assert settle_call(spool.folder / "job_1-0").state == "never_sent"
    os.kill(submitter, signal.SIGCONT)
    until(lambda: not state_of(submitter))
    assert not google.seen
