"""An open job belongs to one living process."""

import signal
import stat
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.ledger.ledger_processes import StartWorker
from tests.ledger.ledger_values import a_job, noon, sqlite_only

from mediagen.jobs import JobStatus
from mediagen.ledger.engines.base import Address
from mediagen.ledger.ledger import Ledger
from mediagen.ledger.owners import Owners
from mediagen.ledger.writing import KeptRequest


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


@sqlite_only
async def test_claim_of_a_job_of_a_stopped_process_works_once_its_lease_has_run_out(
    ledger: Ledger, worker: StartWorker, path: Path
) -> None:
    owner = worker("own")
    job_id = owner.read()
    owner.process.send_signal(signal.SIGSTOP)
    now = 0.0
    observer = Owners(path.parent / "owners", noon, lease_seconds=30, monotonic=lambda: now)
    ledger._owners = observer
    assert not await ledger.claim(job_id)
    now = 29.0
    assert not await ledger.claim(job_id)
    now = 31.0
    claimed = await ledger.claim(job_id)
    assert claimed is not None
    assert claimed.fence == 2
    owner.process.send_signal(signal.SIGCONT)
    owner.kill()


@sqlite_only
async def test_lease_that_is_renewed_is_not_taken_for_run_out_by_a_clock_that_jumps(path: Path) -> None:
    hours = 0
    first = Ledger(path, lambda: noon() + timedelta(hours=hours))
    second = Ledger(path, lambda: noon() + timedelta(hours=hours))
    now = 0.0
    second._owners = Owners(
        path.parent / "owners", lambda: noon() + timedelta(hours=hours), lease_seconds=30, monotonic=lambda: now
    )
    job = await first.create(a_job())
    for jump in (1, -5, 400_000 // 24):
        hours = jump
        now += 20.0
        assert not await second.claim(job.job_id)
        await first.renew()
        now += 20.0
        assert not await second.claim(job.job_id)
    await first.aclose()
    await second.aclose()


@sqlite_only
async def test_owner_that_drives_nothing_renews_its_lease_with_its_next_job(path: Path) -> None:
    moment = noon()
    first, second = Ledger(path, lambda: moment), Ledger(path, lambda: moment)
    now = 0.0
    second._owners = Owners(path.parent / "owners", lambda: moment, lease_seconds=30, monotonic=lambda: now)
    old = await first.create(a_job())
    assert not await second.claim(old.job_id)
    now, moment = 100.0, moment + timedelta(seconds=100)
    new = await first.create(a_job())
    assert not await second.claim(new.job_id)
    await first.aclose()
    await second.aclose()


async def test_attempt_is_given_once_and_only_under_the_newest_claim(place: Path | Address) -> None:
    first, second = Ledger(place, noon), Ledger(place, noon)
    job = await first.create(a_job())
    assert await first.begin_attempt(job, 0, "one")
    assert not await first.begin_attempt(job, 0, "two")
    assert (await first.get(job.job_id)).calls[0].attempt == "one"
    assert not await first.take_back_attempt(job, 0, "two")
    assert await first.take_back_attempt(job, 0, "one")
    await first.aclose()
    claimed = await second.claim(job.job_id)
    assert claimed is not None
    assert not await first.begin_attempt(job, 0, "of the past")
    assert await second.begin_attempt(claimed, 0, "now")
    await first.aclose()
    await second.aclose()


async def test_change_under_an_older_claim_or_another_attempt_is_refused(ledger: Ledger) -> None:
    job = await ledger.create(a_job())
    assert await ledger.begin_attempt(job, 0, "mine")
    change = {"expected": JobStatus.SUBMITTING, "status": JobStatus.FAILED}
    assert not await ledger.update_call(job.job_id, 0, fence=job.fence + 1, **change)  # type: ignore[arg-type]
    assert not await ledger.update_call(job.job_id, 0, attempt="another", **change)  # type: ignore[arg-type]
    assert await ledger.update_call(job.job_id, 0, fence=job.fence, attempt="mine", **change)  # type: ignore[arg-type]


async def test_requests_are_kept_until_every_call_was_sent(ledger: Ledger) -> None:
    body = {"prompt": "waves 🌊"}
    asked = [KeptRequest(api="interactions", body=body)] * 2
    job = await ledger.create(a_job(calls=2), requests=asked)
    assert await ledger.kept_request(job.job_id, 1) == KeptRequest(api="interactions", body=body)
    await ledger.update_call(job.job_id, 0, expected=JobStatus.SUBMITTING, status=JobStatus.RUNNING)
    assert await ledger.kept_request(job.job_id, 1) is not None
    await ledger.update_call(job.job_id, 1, expected=JobStatus.SUBMITTING, status=JobStatus.FAILED)
    assert await ledger.kept_request(job.job_id, 1) is None


async def test_job_that_is_not_its_own_is_left_to_whoever_claims_it(place: Path | Address) -> None:
    first, second = Ledger(place, noon), Ledger(place, noon)
    job = await first.create(a_job(), is_own=False)
    assert await second.claim(job.job_id)
    assert not await first.claim(job.job_id)
    await first.aclose()
    await second.aclose()


async def test_overdue_jobs_are_those_that_nobody_alive_drives(place: Path | Address) -> None:
    first, second = Ledger(place, noon), Ledger(place, noon)
    own = await first.create(a_job())
    free = await first.create(a_job(), is_own=False)
    later = await first.create(a_job())
    wrong = await first.create(a_job())
    assert await first.hand_back(replace(later, due_at=noon() + timedelta(minutes=5)))
    # As when the clock of another process was a year ahead.
    assert await first.hand_back(replace(wrong, due_at=noon() + timedelta(days=365)))
    assert await second.overdue(noon() + timedelta(seconds=1)) == [free.job_id, wrong.job_id]
    assert own.job_id not in await second.overdue(noon() + timedelta(minutes=6))
    assert later.job_id in await second.overdue(noon() + timedelta(minutes=6))
    await first.aclose()
    await second.aclose()
