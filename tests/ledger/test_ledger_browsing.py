"""Files newest first, parts of ids, and what tells of a change; on SQLite and PostgreSQL."""

import dataclasses
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from tests.ledger.ledger_values import NOON, a_job, an_artifact, sqlite_only

from mediagen.errors import InvalidRequestError
from mediagen.jobs import ChainLink, Job, JobStatus
from mediagen.ledger import queries
from mediagen.ledger.browsing import ListedFile
from mediagen.ledger.ids import new_artifact_id, new_job_id
from mediagen.ledger.ledger import Ledger


def made(number: int, *, files: int = 1) -> Job:
    """A job that ended, made so many seconds after noon."""
    moment = NOON + timedelta(seconds=number)
    job = a_job(job_id=new_job_id(lambda: moment), prompt=f"fox {number}")
    artifacts = tuple(
        dataclasses.replace(an_artifact(), artifact_id=new_artifact_id(lambda: moment)) for _ in range(files)
    )
    call = dataclasses.replace(job.calls[0], status=JobStatus.SUCCEEDED, samples=files, artifacts=artifacts)
    return dataclasses.replace(job, calls=(call,), created_at=moment, updated_at=moment)


async def all_pages(ledger: Ledger, limit: int) -> list[tuple[ListedFile, ...]]:
    pages: list[tuple[ListedFile, ...]] = []
    cursor = None
    while True:
        page = await ledger.list_files(limit=limit, cursor=cursor)
        pages.append(page.files)
        cursor = page.next_cursor
        if cursor is None:
            return pages


async def test_files_come_newest_first_and_each_once_over_all_pages(ledger: Ledger):
    for number in range(7):
        await ledger.record_finished(made(number, files=2 if number == 3 else 1))
    pages = await all_pages(ledger, 3)
    assert [len(page) for page in pages] == [3, 3, 2]
    prompts = [file.prompt for page in pages for file in page]
    assert prompts == ["fox 6", "fox 5", "fox 4", "fox 3", "fox 3", "fox 2", "fox 1", "fox 0"]
    assert len({file.artifact.artifact_id for page in pages for file in page}) == 8
    assert pages[0][0].made_at == NOON + timedelta(seconds=6)


async def test_page_that_ends_with_the_last_file_names_no_next_one(ledger: Ledger):
    for number in range(4):
        await ledger.record_finished(made(number))
    assert [len(page) for page in await all_pages(ledger, 2)] == [2, 2]


@pytest.mark.parametrize("cursor", ["", "1", "art_", "ART_0", "art_0'--", "art_\ud800", "x" * 5000])
async def test_cursor_that_no_page_gave_is_refused(ledger: Ledger, cursor: str):
    with pytest.raises(InvalidRequestError, match="cursor"):
        await ledger.list_files(limit=3, cursor=cursor)


async def test_ids_that_contain_a_text_come_newest_first(ledger: Ledger):
    jobs = [made(number) for number in range(5)]
    for job in jobs:
        await ledger.record_finished(job)
    assert await ledger.complete_job_ids("", limit=3) == [job.job_id for job in jobs[:1:-1]]
    wanted = jobs[2].job_id
    assert await ledger.complete_job_ids(wanted[:-3], limit=9) == [wanted]
    assert await ledger.complete_job_ids(f" {wanted[10:].upper()}", limit=9) == [wanted]
    artifact_id = jobs[4].artifacts[0].artifact_id
    assert await ledger.complete_artifact_ids(artifact_id, limit=9) == [artifact_id]
    assert await ledger.complete_artifact_ids("", limit=9, kind="image") == []
    assert len(await ledger.complete_artifact_ids("art_", limit=9, kind="video")) == 5
    assert len(await ledger.complete_job_ids("job_", limit=9, kind="video")) == 5


@pytest.mark.parametrize("text", ["%", "a b", "\0", "\ud800", "'", "é", "x" * 10_000])
async def test_text_that_is_no_part_of_an_id_finds_nothing(ledger: Ledger, text: str):
    await ledger.record_finished(made(1))
    assert await ledger.complete_job_ids(text, limit=9) == []


async def test_states_are_those_of_the_jobs_and_of_all_links_of_the_chains(ledger: Ledger):
    first, other = made(1, files=2), made(2)
    first = dataclasses.replace(first, chain=ChainLink(chain_id=first.job_id, link=1, times=2))
    second = dataclasses.replace(made(3), chain=ChainLink(chain_id=first.job_id, link=2, times=2))
    for job in (first, second, other):
        await ledger.record_finished(job)
    assert await ledger.states([]) == []
    assert [state.job_id for state in await ledger.states([other.job_id, "job_none"])] == [other.job_id]
    states = await ledger.states([other.job_id], [first.job_id])
    assert [state.job_id for state in states] == [first.job_id, other.job_id, second.job_id]
    assert [state.files for state in states] == [2, 1, 1]
    assert {state.status for state in states} == {JobStatus.SUCCEEDED}
    assert states[0].chain_id == first.job_id


@sqlite_only
@pytest.mark.parametrize("statement", [queries.LIST_ARTIFACTS, queries.COMPLETE_JOB_IDS, queries.COMPLETE_ARTIFACT_IDS])
async def test_newest_are_found_by_an_index_without_sorting_all(ledger: Ledger, path: Path, statement: str):
    await ledger.record_finished(made(0))
    with closing(sqlite3.connect(path)) as connection:
        parameters = {"before": "zz", "limit": 50, "text": "", "kind": ""}
        plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters))
    assert "sqlite_autoindex" in plan
    assert "TEMP B-TREE" not in plan
