"""Who follows jobs is told of changes; nobody is waited for, and nothing is read while nobody follows."""

import dataclasses
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import anyio
import pytest
from tests.ledger.ledger_values import a_job, an_artifact

from mediagen.jobs import ChainLink, Job, JobStatus
from mediagen.ledger.ledger import Ledger
from mediagen.runner import watching
from mediagen.runner.changes import Changes
from mediagen.runner.watching import Watcher

SECONDS = 20.0


def now() -> datetime:
    return datetime.now(UTC)


class CountingLedger(Ledger):
    """Counts how often it is asked what changed."""

    looks = 0

    def has_looked(self, times: int) -> bool:
        return self.looks >= times

    async def states(self, *args, **kwargs):
        self.looks += 1
        return await super().states(*args, **kwargs)


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[CountingLedger]:
    ledger = CountingLedger(tmp_path / "ledger.sqlite3", now)
    yield ledger
    await ledger.aclose()


@pytest.fixture
def changes() -> Changes:
    return Changes()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(watching, "GATHER_SECONDS", 0.001)


async def until(is_so: Callable[[], object]) -> None:
    with anyio.fail_after(SECONDS):
        while not is_so():
            await anyio.sleep(0.01)


async def run(ledger: Ledger, job: Job) -> None:
    await ledger.update_call(job.job_id, 0, expected=JobStatus.SUBMITTING, status=JobStatus.RUNNING)


async def end(ledger: Ledger, job: Job) -> None:
    await ledger.store_artifacts(job.job_id, 0, expected=JobStatus.RUNNING, artifacts=[an_artifact()])


async def test_change_is_told_at_once_and_only_once(ledger: CountingLedger, changes: Changes, monkeypatch):
    monkeypatch.setattr(watching, "LOOK_SECONDS", 3600)
    job, told = await ledger.create(a_job()), list[str]()
    async with Watcher(ledger, changes, now) as watcher:
        await watcher.follow(job, lambda: told.append("first"))
        await watcher.follow(job, lambda: told.append("second"))
        await run(ledger, job)
        for _ in range(5):
            changes.tell(job.job_id)
        await until(lambda: told)
        looks = ledger.looks
        changes.tell(job.job_id)
        await until(lambda: ledger.looks > looks + 1)
    assert told == ["first", "second"]


async def test_change_that_nobody_tells_is_seen_by_looking(ledger: CountingLedger, changes: Changes):
    job, told = await ledger.create(a_job()), list[str]()
    async with Watcher(ledger, changes, now) as watcher:
        await watcher.follow(job, lambda: told.append("changed"))
        await run(ledger, job)
        await until(lambda: told == ["changed"])
        await end(ledger, job)
        await until(lambda: told == ["changed", "changed"])


async def test_link_is_told_of_the_links_after_it(ledger: CountingLedger, changes: Changes):
    first = a_job()
    first = await ledger.create(
        dataclasses.replace(first, chain=ChainLink(chain_id=first.job_id, link=1, times=3)), is_own=False
    )
    told: list[str] = []
    async with Watcher(ledger, changes, now) as watcher:
        await watcher.follow(first, lambda: told.append("changed"))
        chain = ChainLink(chain_id=first.job_id, link=2, times=3)
        second = await ledger.create(dataclasses.replace(a_job(), chain=chain))
        await until(lambda: len(told) == 1)
        await run(ledger, second)
        changes.tell(second.job_id)
        await until(lambda: len(told) == 2)


async def test_files_are_told_once_each_and_old_ones_never(ledger: CountingLedger, changes: Changes):
    old, new = await ledger.create(a_job()), await ledger.create(a_job())
    told: list[str] = []
    for job in (old, new):
        await run(ledger, job)
    await end(ledger, old)

    async def on_file(job_id: str) -> None:
        told.append(job_id)

    async with Watcher(ledger, changes, now) as watcher:
        stop = watcher.follow_files(on_file)
        await end(ledger, new)
        for _ in range(3):
            before = ledger.looks + 1
            for job in (old, new):
                changes.tell(job.job_id)
            await until(partial(ledger.has_looked, before))
        await until(lambda: told)
        stop()
        assert watcher.is_idle
    assert told == [new.job_id]


async def test_nothing_is_read_while_nobody_follows(ledger: CountingLedger, changes: Changes):
    job = await ledger.create(a_job())
    async with Watcher(ledger, changes, now) as watcher:
        stop = await watcher.follow(job, lambda: None)
        await until(lambda: ledger.looks > 3)
        stop()
        stop()
        assert watcher.is_idle
        await anyio.sleep(0.05)
        looks = ledger.looks
        changes.tell(job.job_id)
        watcher.hear(job.job_id)
        await anyio.sleep(0.05)
        assert ledger.looks == looks
        told: list[str] = []
        await watcher.follow(job, lambda: told.append("again"))
        await run(ledger, job)
        await until(lambda: told)


async def test_ledger_that_cannot_be_read_for_a_while_ends_no_following(
    ledger: CountingLedger, changes: Changes, tmp_path: Path
):
    job, told = await ledger.create(a_job()), list[str]()
    async with Watcher(ledger, changes, now) as watcher:
        await watcher.follow(job, lambda: told.append("changed"))
        with closing(sqlite3.connect(tmp_path / "ledger.sqlite3", isolation_level=None)) as other:
            other.execute("ALTER TABLE artifacts RENAME TO hidden")
            looks = ledger.looks
            await until(lambda: ledger.looks > looks + 2)
            other.execute("ALTER TABLE hidden RENAME TO artifacts")
        await run(ledger, job)
        await until(lambda: told)


async def test_listener_with_a_defect_stops_nothing(ledger: CountingLedger, changes: Changes, caplog):
    job, told = await ledger.create(a_job()), list[str]()

    def fail() -> None:
        told.append("called")
        raise RuntimeError("secret")

    async with Watcher(ledger, changes, now) as watcher:
        await watcher.follow(job, fail)
        await run(ledger, job)
        await until(lambda: len(told) == 1)
        await end(ledger, job)
        await until(lambda: len(told) == 2)
    assert "RuntimeError" in caplog.text
    assert "secret" not in caplog.text
