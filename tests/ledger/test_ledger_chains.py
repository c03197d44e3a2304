"""Chains of jobs in the ledger: each link once, and none after a chain was stopped."""

import dataclasses
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from tests.ledger.ledger_values import NOON, a_job, an_artifact, noon, sqlite_only

from mediagen.errors import JobNotFoundError
from mediagen.jobs import ChainLink, Job, JobStatus
from mediagen.ledger.engines.base import Access, Address
from mediagen.ledger.ledger import Ledger


def a_link(number: int, chain_id: str | None = None, times: int = 3) -> Job:
    job = a_job()
    return dataclasses.replace(job, chain=ChainLink(chain_id=chain_id or job.job_id, link=number, times=times))


async def a_chain(ledger: Ledger, links: int) -> list[Job]:
    """So many links that succeeded."""
    made = [await ledger.create(a_link(1))]
    while len(made) < links:
        made.append(await ledger.create(a_link(len(made) + 1, made[0].job_id)))
    for link in made:
        assert await ledger.store_artifacts(link.job_id, 0, expected=JobStatus.SUBMITTING, artifacts=[an_artifact()])
    return [await ledger.get(link.job_id) for link in made]


async def test_link_is_made_once(ledger: Ledger) -> None:
    (first,) = await a_chain(ledger, 1)
    second = await ledger.create(a_link(2, first.job_id))
    again = await ledger.create(a_link(2, first.job_id))
    assert again.job_id == second.job_id
    assert [job.job_id for job in await ledger.chain(first.job_id)] == [first.job_id, second.job_id]
    assert await ledger.next_link(first) == second
    assert await ledger.next_link(second) is None


async def test_links_made_by_two_ledgers_are_one(ledger: Ledger, place: Path | Address) -> None:
    (first,) = await a_chain(ledger, 1)
    other = Ledger(place, noon)
    second = await other.create(a_link(2, first.job_id))
    assert (await ledger.create(a_link(2, first.job_id))).job_id == second.job_id
    await other.aclose()


@sqlite_only
async def test_database_itself_takes_no_link_twice(ledger: Ledger, path: Path) -> None:
    """Whatever wrote it: `create` looks before it writes, and that look is not the only guard."""
    (first,) = await a_chain(ledger, 1)
    await ledger.create(a_link(2, first.job_id))
    with closing(sqlite3.connect(path)) as connection, pytest.raises(sqlite3.IntegrityError, match="chain_link"):
        connection.execute("UPDATE jobs SET chain_link = 2 WHERE chain_link = 1")


async def test_stopped_chain_has_no_next_link(ledger: Ledger) -> None:
    (first,) = await a_chain(ledger, 1)
    assert await ledger.stop_chain(first.job_id, "the cap is reached")
    assert not await ledger.stop_chain(first.job_id, "another reason")
    with pytest.raises(JobNotFoundError) as refused:
        await ledger.create(a_link(2, first.job_id))
    assert refused.value.code == "chain_stopped"
    kept = (await ledger.get(first.job_id)).chain
    assert kept
    assert kept.stopped == "the cap is reached"
    assert await ledger.interrupted_links(NOON - timedelta(hours=1)) == []


async def test_chain_is_stopped_only_at_its_newest_link(ledger: Ledger) -> None:
    first, second, third = await a_chain(ledger, 3)
    assert not await ledger.stop_chain(first.job_id, "x")
    assert not await ledger.stop_chain(third.job_id, "it is the last")
    assert not await ledger.stop_chain((await ledger.create(a_job())).job_id, "it is in no chain")
    assert [job.chain and job.chain.stopped for job in await ledger.chain(second.job_id)] == []
    assert {job.chain and job.chain.stopped for job in await ledger.chain(first.job_id)} == {None}


async def test_only_the_newest_link_that_succeeded_lately_is_interrupted(ledger: Ledger) -> None:
    _first, second = await a_chain(ledger, 2)
    await a_chain(ledger, 3)
    await ledger.create(a_link(1))
    found = await ledger.interrupted_links(NOON - timedelta(hours=24))
    assert [job.job_id for job in found] == [second.job_id]
    assert await ledger.interrupted_links(NOON + timedelta(seconds=1)) == []


async def test_chain_of_a_living_process_is_not_taken_over(ledger: Ledger, place: Path | Address) -> None:
    (first,) = await a_chain(ledger, 1)
    other, third = Ledger(place, noon), Ledger(place, noon)
    assert not await other.claim_chain(first.job_id)
    await ledger.aclose()
    assert await other.claim_chain(first.job_id)
    assert not await third.claim_chain(first.job_id)
    await other.create(a_link(2, first.job_id))
    assert not await other.claim_chain(first.job_id)
    for one in (other, third):
        await one.aclose()


@sqlite_only
async def test_index_serves_the_search_for_interrupted_links(ledger: Ledger) -> None:
    from mediagen.ledger import queries

    await ledger.open()
    with ledger._database.transaction(Access.READ) as connection:
        plan = [
            row["detail"]
            for row in connection.execute(f"EXPLAIN QUERY PLAN {queries.SELECT_INTERRUPTED_LINKS}", {"since": ""})
        ]
    assert any("jobs_by_link" in line for line in plan), plan
