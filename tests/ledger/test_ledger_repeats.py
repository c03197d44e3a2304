"""Which job the same request means, asked of the ledger itself."""

import dataclasses
import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.ledger.ledger_processes import StartWorker
from tests.ledger.ledger_values import NOON, a_job, an_artifact, noon, sqlite_only

from mediagen.jobs import ChainLink, Job, JobStatus
from mediagen.ledger import queries
from mediagen.ledger.ledger import Ledger
from mediagen.ledger.repeats import AWAITED, Wish
from mediagen.ledger.rows import job_row

MANY = 100_000


def wish(fingerprint: str = "same", request_id: str | None = None, later: timedelta = timedelta()) -> Wish:
    return Wish(fingerprint=fingerprint, request_id=request_id, now=NOON + later)


async def found(ledger: Ledger, asked: Wish) -> str | None:
    job = await ledger.find_repeat(asked)
    return job.job_id if job else None


async def ended(ledger: Ledger, status: JobStatus, **changes: Any) -> Job:
    """A job of the wish ``same`` that has ended."""
    job = await ledger.create(a_job(**{"fingerprint": "same", **changes}))
    if status is JobStatus.SUCCEEDED:
        artifacts = [an_artifact()]
        await ledger.store_artifacts(job.job_id, 0, expected=JobStatus.SUBMITTING, artifacts=artifacts)
    else:
        await ledger.update_call(job.job_id, 0, expected=JobStatus.SUBMITTING, status=status)
    return job


@pytest.mark.parametrize(
    "status", [JobStatus.RUNNING, JobStatus.DOWNLOADING, JobStatus.SUCCEEDED, JobStatus.UNCONFIRMED]
)
async def test_job_that_is_open_or_of_unknown_end_is_found(ledger: Ledger, status: JobStatus) -> None:
    job = await ended(ledger, status)
    assert await found(ledger, wish()) == job.job_id
    assert await found(ledger, wish("another")) is None


@pytest.mark.parametrize("status", [JobStatus.FAILED, JobStatus.FILTERED, JobStatus.CANCELLED, JobStatus.EXPIRED])
async def test_job_that_made_nothing_is_not_found(ledger: Ledger, status: JobStatus) -> None:
    await ended(ledger, status)
    assert await found(ledger, wish()) is None


async def test_delivered_job_is_not_found(ledger: Ledger) -> None:
    job = await ended(ledger, JobStatus.SUCCEEDED)
    await ledger.mark_delivered(job.job_id)
    assert await found(ledger, wish()) is None


async def test_unconfirmed_job_is_found_until_it_is_resolved_or_a_day_old(ledger: Ledger) -> None:
    job = await ended(ledger, JobStatus.UNCONFIRMED)
    await ledger.mark_delivered(job.job_id)
    assert await found(ledger, wish()) == job.job_id
    assert await found(ledger, wish(later=AWAITED + timedelta(hours=1))) is None
    await ledger.update_call(job.job_id, 0, expected=JobStatus.UNCONFIRMED, status=JobStatus.FAILED)
    assert await found(ledger, wish()) is None


async def test_open_job_cannot_be_delivered(ledger: Ledger) -> None:
    job = await ended(ledger, JobStatus.RUNNING)
    await ledger.mark_delivered(job.job_id)
    await ledger.store_artifacts(job.job_id, 0, expected=JobStatus.RUNNING, artifacts=[an_artifact()])
    assert await found(ledger, wish()) == job.job_id


async def test_end_that_nobody_was_told_counts_for_a_day_and_an_open_job_for_ever(ledger: Ledger) -> None:
    done = await ended(ledger, JobStatus.SUCCEEDED)
    running = await ended(ledger, JobStatus.RUNNING, fingerprint="open")
    assert await found(ledger, wish(later=AWAITED)) == done.job_id
    assert await found(ledger, wish(later=AWAITED + timedelta(seconds=1))) is None
    assert await found(ledger, wish("open", later=10 * AWAITED)) == running.job_id


async def test_two_ids_of_the_caller_are_two_wishes(ledger: Ledger) -> None:
    await ended(ledger, JobStatus.RUNNING, request_id="first")
    assert await found(ledger, wish(request_id="second")) is None
    created = await ledger.create(a_job(fingerprint="same", request_id="second"))
    assert created.request_id == "second"


async def test_repeat_with_an_id_gives_it_to_the_job(ledger: Ledger) -> None:
    job = await ended(ledger, JobStatus.RUNNING)
    assert await found(ledger, wish(request_id="mine")) == job.job_id
    assert (await ledger.find_request("mine")) == dataclasses.replace(await ledger.get(job.job_id), request_id="mine")
    assert await found(ledger, wish(request_id="other")) is None


async def test_create_returns_the_job_of_the_same_wish_unless_it_is_to_be_new(ledger: Ledger) -> None:
    first = await ledger.create(a_job(fingerprint="same"))
    again = await ledger.create(a_job(fingerprint="same"))
    new = await ledger.create(a_job(fingerprint="same"), replace_request_id=True)
    assert again.job_id == first.job_id != new.job_id
    assert await found(ledger, wish()) == new.job_id


async def test_jobs_without_a_fingerprint_are_all_different(ledger: Ledger) -> None:
    assert (await ledger.create(a_job())).job_id != (await ledger.create(a_job())).job_id


def a_link(number: int, first: str, **changes: Any) -> Job:
    return a_job(chain=ChainLink(chain_id=first, link=number, times=3), **changes)


async def a_chain(ledger: Ledger, *ends: JobStatus) -> tuple[str, str]:
    """A chain of three, so far with links of these ends; first and newest job id."""
    first = a_job()
    first = dataclasses.replace(first, fingerprint="same", chain=ChainLink(chain_id=first.job_id, link=1, times=3))
    newest = first
    for number, end in enumerate(ends, 1):
        newest = first if number == 1 else a_link(number, first.job_id)
        await ledger.create(newest)
        await ledger.update_call(newest.job_id, 0, expected=JobStatus.SUBMITTING, status=end)
    return first.job_id, newest.job_id


@pytest.mark.parametrize("newest", [JobStatus.RUNNING, JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.UNCONFIRMED])
async def test_chain_is_found_by_its_first_link_until_its_newest_was_delivered(
    ledger: Ledger, newest: JobStatus
) -> None:
    first, last = await a_chain(ledger, JobStatus.SUCCEEDED, newest)
    await ledger.mark_delivered(first)
    assert await found(ledger, wish()) == first
    await ledger.mark_delivered(last)
    is_known = newest in {JobStatus.RUNNING, JobStatus.UNCONFIRMED}
    assert await found(ledger, wish()) == (first if is_known else None)


async def test_chain_whose_first_link_failed_is_not_found(ledger: Ledger) -> None:
    await a_chain(ledger, JobStatus.FAILED)
    assert await found(ledger, wish()) is None


async def test_processes_that_ask_for_the_same_at_once_make_one_job(ledger: Ledger, worker: StartWorker) -> None:
    await ledger.open()
    workers = [worker("wish", "same") for _ in range(4)]
    assert [one.read() for one in workers] == ["ready"] * 4
    for one in workers:
        one.go()
    assert len({one.read() for one in workers}) == 1
    assert len((await ledger.list_jobs()).jobs) == 1


@sqlite_only
async def test_repeat_is_found_by_the_index_among_many_jobs(ledger: Ledger, path: Path) -> None:
    job = await ended(ledger, JobStatus.SUCCEEDED)
    row = job_row(dataclasses.replace(job, fingerprint=None), owner=None)
    names = [name for name in row if name not in {"job_id", "fingerprint"}]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            f"""
            WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < {MANY})
            INSERT INTO jobs (job_id, fingerprint, {", ".join(names)})
            SELECT 'many_' || n, 'wish_' || n, {", ".join(":" + name for name in names)} FROM number
            """,
            row,
        )
        parameters = {"fingerprint": "same", "principal": None, "since": ""}
        plan = [line[3] for line in connection.execute(f"EXPLAIN QUERY PLAN {queries.SELECT_REPEATS}", parameters)]
    assert await found(ledger, wish()) == job.job_id
    assert not [line for line in plan if line.startswith("SCAN")], json.dumps(plan)
    assert any("jobs_by_fingerprint (fingerprint=?)" in line for line in plan), json.dumps(plan)


async def test_ledger_of_version_4_keeps_its_jobs_and_repeats_none(tmp_path: Path) -> None:
    from importlib.resources import files

    path = tmp_path / "ledger.sqlite3"
    job = a_job(fingerprint="same")
    with closing(sqlite3.connect(path)) as connection, connection:
        for script in sorted(files("mediagen.ledger").joinpath("migrations").iterdir(), key=lambda one: one.name)[:4]:
            connection.executescript(script.read_text(encoding="utf-8"))
        for table, row in (("jobs", job_row(job, owner="gone")),):
            columns = [line[1] for line in connection.execute(f"PRAGMA table_info({table})") if line[1] in row]
            values = ", ".join(f":{name}" for name in columns)
            connection.execute(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({values})", row)
        connection.execute("PRAGMA user_version = 4")
    ledger = Ledger(path, noon)
    kept = await ledger.get(job.job_id)
    new = await ledger.create(a_job(fingerprint="same"))
    await ledger.aclose()
    assert kept.fingerprint is None
    assert new.job_id != job.job_id
