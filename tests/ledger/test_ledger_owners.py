"""An open job belongs to one living process."""

import stat
import sys
from pathlib import Path

import pytest
from tests.ledger.ledger_processes import StartWorker
from tests.ledger.ledger_values import a_job, noon, sqlite_only

from mediagen.jobs import JobStatus
from mediagen.ledger.engines.base import Address
from mediagen.ledger.ledger import Ledger


@sqlite_only
async def test_claim_of_a_job_of_a_living_process_is_refused_and_of_a_killed_one_works(
    ledger: Ledger, worker: StartWorker
) -> None:
    owner = worker("own")
    job_id = owner.read()
    assert not await ledger.claim(job_id)
    owner.kill()
    assert await ledger.claim(job_id)
    assert not await ledger.claim(job_id)


@sqlite_only
async def test_claim_by_two_processes_at_once_has_one_winner(ledger: Ledger, worker: StartWorker) -> None:
    owner = worker("own")
    job_id = owner.read()
    claimers = [worker("claim", job_id) for _ in range(4)]
    assert [one.read() for one in claimers] == ["ready"] * 4
    owner.kill()
    for one in claimers:
        one.go()
    assert sorted(one.read() for one in claimers) == [False, False, False, True]
    assert not await ledger.claim(job_id)


async def test_claim_after_an_orderly_end_works(place: Path | Address) -> None:
    first, second = Ledger(place, noon), Ledger(place, noon)
    job = await first.create(a_job())
    assert not await second.claim(job.job_id)
    await first.aclose()
    assert await second.claim(job.job_id)
    await second.aclose()


async def test_claim_of_an_ended_job_is_refused(place: Path | Address) -> None:
    first, second = Ledger(place, noon), Ledger(place, noon)
    job = await first.create(a_job())
    await first.update_call(job.job_id, 0, expected=JobStatus.SUBMITTING, status=JobStatus.FAILED)
    await first.aclose()
    assert not await second.claim(job.job_id)
    await second.aclose()


@sqlite_only
async def test_lock_files_of_the_dead_are_removed(ledger: Ledger, worker: StartWorker, path: Path) -> None:
    owner = worker("own")
    owner.read()
    (dead,) = (path.parent / "owners").iterdir()
    owner.kill()
    assert dead.exists()
    await ledger.create(a_job())
    (own,) = (path.parent / "owners").iterdir()
    assert own != dead
    await ledger.aclose()
    assert list((path.parent / "owners").iterdir()) == []


@sqlite_only
async def test_reading_registers_no_owner(ledger: Ledger, path: Path) -> None:
    await ledger.list_jobs()
    assert not (path.parent / "owners").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
@sqlite_only
async def test_lock_file_is_for_this_user_alone(ledger: Ledger, path: Path) -> None:
    await ledger.create(a_job())
    (own,) = (path.parent / "owners").iterdir()
    assert stat.S_IMODE(own.stat().st_mode) == 0o600
    assert stat.S_IMODE(own.parent.stat().st_mode) == 0o700
