"""`mediagen batch --economy` is killed at the worst instants: the same command collects, and pays for nothing twice."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.cli.test_cli import COMMAND
from tests.conftest import of_child, paid
from tests.runner.test_killed_while_sending import submitter_of, wait_until_gone, wait_until_sent

from mediagen.emulator.settings import EmulatorSettings
from mediagen.emulator.thread import EmulatorHandle, running_emulator
from mediagen.submitter.base import is_supported

pytestmark = pytest.mark.skipif(not is_supported(), reason="needs a platform with the submitter")

DEADLINE_SECONDS = 60.0
WORDS = ("batch", "two.txt", "--economy", "--yes", "--json")


@pytest.fixture
def slow() -> Iterator[EmulatorHandle]:
    with running_emulator(EmulatorSettings(batch_seconds=1000.0)) as handle:
        yield handle


@pytest.fixture
def variables(environment: dict[str, str], slow: EmulatorHandle, work: Path) -> dict[str, str]:
    (work / "two.txt").write_text("a fox\na hat\n", encoding="utf-8")
    paying = {"MEDIAGEN_BACKEND": "gemini", "GEMINI_API_KEY": "some-key", "GOOGLE_GEMINI_BASE_URL": slow.url}
    return of_child({**environment, **paying})


@pytest.fixture
def start(variables: dict[str, str], work: Path) -> Iterator[Callable[[], "subprocess.Popen[bytes]"]]:
    started = []

    def begin() -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            [*COMMAND, *WORDS],
            env=variables,
            cwd=work,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def created(slow: EmulatorHandle) -> list[dict[str, Any]]:
    return [request for request in slow.requests() if request["path"].endswith(":batchGenerateContent")]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def collected(start: Callable[[], "subprocess.Popen[bytes]"], slow: EmulatorHandle) -> dict[str, Any]:
    """What the same command says once the batches are over."""
    httpx.post(f"{slow.url}/emulator/age", json={"seconds": 2001}).raise_for_status()
    output, errors = start().communicate(timeout=DEADLINE_SECONDS)
    assert output, errors.decode()
    assert b"Goes on in" in errors
    return dict(json.loads(output))


def test_batch_that_was_killed_while_google_worked_is_collected(
    start: Callable[[], "subprocess.Popen[bytes]"], slow: EmulatorHandle
):
    first = start()
    wait_for(lambda: paid(slow) == 2)
    # Until Google's names are asked about: they are in the ledger then.
    wait_for(lambda: len({r["path"] for r in slow.requests() if r["path"].startswith("/v1beta/batches/")}) == 2)
    first.kill()
    first.communicate()
    report = collected(start, slow)
    assert [row["status"] for row in report["rows"]] == ["succeeded", "succeeded"]
    assert report["done"]
    assert paid(slow) == len(created(slow)) == 2
    assert len(list(Path(report["folder"]).glob("*.jpg"))) == 2


@pytest.mark.parametrize("also_submitter", [False, True])
def test_batch_that_was_killed_while_it_was_sent_is_found_and_never_sent_again(
    start: Callable[[], "subprocess.Popen[bytes]"], slow: EmulatorHandle, ledger_path: Path, *, also_submitter: bool
):
    slow.add_fault(fault="delay", seconds=1.0, times=2, match={"path_contains": ":batchGenerateContent"})
    first = start()
    wait_until_sent(ledger_path)
    submitter = submitter_of(first)
    first.kill()
    first.communicate()
    if also_submitter:
        os.kill(submitter, signal.SIGKILL)
    wait_until_gone(submitter)
    # Google has taken what had left, whoever hears of it.
    wait_for(lambda: paid(slow) == len(created(slow)))
    report = collected(start, slow)
    if any(row["status"] != "succeeded" for row in report["rows"]):
        # A row that had not left by then was made a moment ago.
        report = collected(start, slow)
    assert [row["status"] for row in report["rows"]] == ["succeeded", "succeeded"], report
    assert paid(slow) == 2
    names = [request["body"]["batch"]["displayName"] for request in created(slow)]
    assert len(names) == len(set(names)) == 2


@pytest.fixture
def ledger_path(environment: dict[str, str]) -> Path:
    return Path(environment["MEDIAGEN_STATE_DIR"]) / "ledger.sqlite3"
