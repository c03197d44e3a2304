"""A chain whose process is killed: nothing is paid twice, and the next process ends it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import of_child, paid
from tests.runner.asking import clip

from mediagen.app.app import open_app

# Dies as by kill -9 when it is about to go on with the chain, before or after the next link is in the ledger.
DYING = """
import os, signal, sys
from mediagen.cli.commands import run
from mediagen.generator import chains, generator

async def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

{patch}
sys.exit(run({arguments!r}))
"""
BEFORE = "chains.Chains.go_on = die"
EXTEND = ("--prompt", "more waves", "--times", "3", "--duration-seconds", "3", "--json")


def run(environment: dict[str, str], *words: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, *words], env=of_child(environment), capture_output=True, timeout=60, check=False
    )


def listed(environment: dict[str, str]) -> list[dict[str, Any]]:
    """Links in the ledger, oldest first."""
    found = run(environment, "-m", "mediagen.cli", "jobs", "list", "--json")
    return [job for job in reversed(json.loads(found.stdout)["jobs"]) if "chain_id" in job["effective"]]


async def _source(make_settings: Any) -> str:
    async with open_app(make_settings()) as app:
        report = await clip(app)
    assert report.job_id
    return report.job_id


@pytest.mark.skipif(os.name == "nt", reason="kill -9 is a signal of POSIX")
async def test_chain_killed_between_two_links_is_ended_by_the_next_process(make_settings, environment, emulator):
    source = await _source(make_settings)
    code = DYING.format(patch=BEFORE, arguments=["extend", source, *EXTEND])
    assert run(environment, "-c", code).returncode == -signal.SIGKILL
    assert [job["effective"]["link"] for job in listed(environment)] == [1]
    assert paid(emulator) == 2
    resumed = run(environment, "-m", "mediagen.cli", "jobs", "resume", "--json")
    assert resumed.returncode == 0, resumed.stderr
    last = json.loads(resumed.stdout)["jobs"][-1]
    assert (last["effective"]["link"], last["status"]) == (3, "succeeded")
    assert last["artifacts"][0]["duration_seconds"] == pytest.approx(12, abs=0.3)
    assert [job["effective"]["link"] for job in listed(environment)] == [1, 2, 3]
    assert paid(emulator) == 4


@pytest.mark.skipif(os.name == "nt", reason="kill -9 is a signal of POSIX")
async def test_chain_killed_while_a_link_runs_is_ended_by_the_next_process(make_settings, environment, emulator):
    source = await _source(make_settings)
    command = [sys.executable, "-m", "mediagen.cli", "extend", source, *EXTEND]
    slow = {**environment, "MEDIAGEN_POLL_SECONDS": "0.5"}
    process = subprocess.Popen(command, env=of_child(slow), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while paid(emulator) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.05)
    process.kill()
    process.communicate()
    states = [(job["effective"]["link"], job["status"]) for job in listed(environment)]
    assert states[0] == (1, "succeeded")
    assert states[-1][1] in {"submitting", "running"}
    resumed = run(environment, "-m", "mediagen.cli", "jobs", "resume", "--json")
    assert resumed.returncode == 0, resumed.stderr
    made = [(job["effective"]["link"], job["status"]) for job in listed(environment)]
    assert made == [(number, "succeeded") for number in (1, 2, 3)]
    assert paid(emulator) == 4


async def test_two_processes_that_resume_at_once_make_each_link_once(make_settings, environment, emulator):
    source = await _source(make_settings)
    code = DYING.format(patch=BEFORE, arguments=["extend", source, *EXTEND])
    run(environment, "-c", code)
    command = [sys.executable, "-m", "mediagen.cli", "jobs", "resume", "--json"]
    both = [subprocess.Popen(command, env=of_child(environment), stdout=subprocess.PIPE) for _ in range(2)]
    answers = [json.loads(process.communicate(timeout=60)[0])["jobs"] for process in both]
    assert sorted(len(jobs) for jobs in answers) == [0, 1]
    assert [(job["effective"]["link"], job["status"]) for job in listed(environment)] == [
        (number, "succeeded") for number in (1, 2, 3)
    ]
    assert paid(emulator) == 4


async def test_command_waits_through_the_whole_chain_and_prints_the_last_link(
    make_settings, environment, emulator, work: Path
):
    source = await _source(make_settings)
    done = run(environment, "-m", "mediagen.cli", "extend", source, *EXTEND)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["effective"]["link"] == 3
    assert Path(report["artifacts"][0]["path"]).parent == work
    assert paid(emulator) == 4
