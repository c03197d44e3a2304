"""Writers of all processes get their turn; nobody waits without end."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from tests.ledger.ledger_processes import StartWorker
from tests.ledger.ledger_values import a_job, noon

from mediagen.errors import LedgerError
from mediagen.ledger import turnstile
from mediagen.ledger.engines import sqlite as database
from mediagen.ledger.ledger import Ledger


@pytest.fixture
def engine() -> str:
    return "sqlite"


async def test_writers_of_four_processes_without_pause_all_get_their_turn(worker: StartWorker, path: Path) -> None:
    workers = [worker("write_without_pause", "4", "2") for _ in range(4)]
    assert [one.read() for one in workers] == ["ready"] * 4
    for one in workers:
        one.go()
    reader = Ledger(path, noon)
    for _ in range(5):
        await reader.list_jobs(limit=1)
    told = [one.rest()[0] for one in workers]
    await reader.aclose()
    assert [one["refused"] for one in told] == [[]] * 4
    done = [one["done"] for one in told]
    assert min(done) > 0
    assert min(done) >= max(done) / 20


async def test_stopped_writer_holds_up_writers_for_a_bounded_time_and_readers_not_at_all(
    ledger: Ledger, path: Path, worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turnstile, "WAIT_SECONDS", 0.3)
    job = await ledger.create(a_job())
    stopped = worker("stay_inside")
    assert stopped.read() == "ready"
    begun = time.monotonic()
    with pytest.raises(LedgerError) as raised:
        await ledger.create(a_job())
    assert (raised.value.code, raised.value.retryable) == ("ledger_locked", True)
    fresh = Ledger(path, noon)
    assert await ledger.get(job.job_id) == await fresh.get(job.job_id) == job
    await fresh.aclose()
    assert time.monotonic() - begun < database.BUSY_SECONDS
    stopped.kill()
    await ledger.create(a_job())


async def test_whoever_waits_for_a_ledger_to_open_is_told_what_for(
    ledger: Ledger, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await ledger.create(a_job())
    await ledger.aclose()
    monkeypatch.setattr(database, "SLOW_SECONDS", 0.01)
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.2)
    fresh = Ledger(path, noon)
    with closing(sqlite3.connect(path, isolation_level=None)) as backup:
        backup.execute("PRAGMA locking_mode = EXCLUSIVE")  # which keeps readers out in every journal mode
        backup.execute("BEGIN EXCLUSIVE")
        with pytest.raises(LedgerError):
            await fresh.open_jobs()
    assert str(path) in caplog.text
    assert "waiting for it" in caplog.text
    caplog.clear()
    await fresh.open_jobs()
    assert not caplog.text
    await fresh.aclose()
