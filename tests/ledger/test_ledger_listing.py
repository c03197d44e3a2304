"""Lists come newest first, page by page, and from an index."""

import dataclasses
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from tests.ledger.ledger_values import a_job, an_artifact, sqlite_only

from mediagen.jobs import JobStatus
from mediagen.ledger import queries
from mediagen.ledger.ledger import Ledger
from mediagen.ledger.rows import call_row, job_row

ROWS = 100_000


async def _ids(ledger: Ledger, **filters: Any) -> list[str]:
    return [job.job_id for job in (await ledger.list_jobs(**filters)).jobs]


async def test_list_jobs_pages_through_everything_once_newest_first(ledger: Ledger) -> None:
    made = [(await ledger.create(a_job())).job_id for _ in range(7)]
    found: list[str] = []
    cursor, pages = None, 0
    while cursor or not pages:
        page = await ledger.list_jobs(limit=3, cursor=cursor)
        found += [job.job_id for job in page.jobs]
        cursor, pages = page.next_cursor, pages + 1
        await ledger.create(a_job())  # what is new does not shift the pages
    assert found == made[::-1]
    assert pages == 3


async def test_list_jobs_of_an_exactly_full_page_has_no_next(ledger: Ledger) -> None:
    for _ in range(3):
        await ledger.create(a_job())
    assert (await ledger.list_jobs(limit=3)).next_cursor is None


async def test_list_jobs_filters_by_state_and_kind(ledger: Ledger) -> None:
    running, done, image = [await ledger.create(a_job()) for _ in range(2)] + [await ledger.create(a_job(kind="image"))]
    await ledger.update_call(running.job_id, 0, expected=JobStatus.SUBMITTING, status=JobStatus.RUNNING)
    await ledger.store_artifacts(done.job_id, 0, expected=JobStatus.SUBMITTING, artifacts=[an_artifact()])
    assert await _ids(ledger, status="open") == [image.job_id, running.job_id]
    assert await _ids(ledger, status="running") == [running.job_id]
    assert await _ids(ledger, status="succeeded", kind="video") == [done.job_id]
    assert await _ids(ledger, status="open", kind="image") == [image.job_id]
    assert await _ids(ledger, status="nonsense") == []
    assert [job.job_id for job in await ledger.open_jobs()] == [running.job_id, image.job_id]


async def test_list_jobs_query_takes_every_character_as_itself(ledger: Ledger) -> None:
    percent = await ledger.create(a_job(prompt="Rabatt: 100% ÄPFEL"))
    under = await ledger.create(a_job(prompt="snake_case"))
    plain = await ledger.create(a_job(prompt="snakeXcase"))
    assert await _ids(ledger, query="%") == [percent.job_id]
    assert await _ids(ledger, query="snake_") == [under.job_id]
    assert await _ids(ledger, query="SNAKE") == [plain.job_id, under.job_id]
    assert await _ids(ledger, query="äpfel") == [percent.job_id]
    assert await _ids(ledger, query=plain.job_id[4:].upper()) == [plain.job_id]
    assert await _ids(ledger, query="' OR 1=1 --") == []


@pytest.fixture
async def crowded(ledger: Ledger, path: Path) -> Ledger:
    await ledger.open()
    template = a_job(kind="image")
    job, call = job_row(template, owner="1-dead"), call_row(template, template.calls[0])
    with sqlite3.connect(path) as connection:
        connection.executemany(
            queries.INSERT_JOB,
            ({**job, "job_id": f"job_{n:026}", "status": "succeeded"} for n in range(ROWS)),
        )
        connection.executemany(
            queries.INSERT_CALL,
            ({**call, "job_id": f"job_{n:026}", "status": "succeeded"} for n in range(ROWS)),
        )
    connection.close()
    return ledger


def _plan(path: Path, statement: str) -> str:
    parameters = {
        "before": 10**9,
        "status": "running",
        "kind": "video",
        "query": "",
        "limit": 20,
        "since": "2026",
        "artifact_id": "art",
        "job_id": "job",
        "job_ids": '["job"]',
        "request_id": "mine",
        "model": "veo",
        "scale": "720p",
        "is_emulated": 0,
        "principal": None,
    }
    connection = sqlite3.connect(path)
    try:
        return "\n".join(row[-1] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters))
    finally:
        connection.close()


@sqlite_only
async def test_statements_on_many_rows_use_an_index_and_sort_nothing(crowded: Ledger, path: Path) -> None:
    assert (await crowded.list_jobs(limit=5)).jobs[0].job_id == f"job_{ROWS - 1:026}"
    lists = {
        queries.list_jobs(status=None, kind=None, query=None): "INTEGER PRIMARY KEY",
        queries.list_jobs(status="open", kind=None, query=None): "INDEX jobs_open",
        queries.list_jobs(status="running", kind=None, query=None): "INDEX jobs_by_status",
        queries.list_jobs(status=None, kind="video", query=None): "INDEX jobs_by_kind",
        queries.SELECT_OPEN_JOBS: "INDEX jobs_open",
        queries.SELECT_JOB: "INDEX sqlite_autoindex_jobs",
        queries.SELECT_REQUEST: "INDEX jobs_by_request",
        queries.SELECT_ARTIFACT_JOB: "INDEX sqlite_autoindex_artifacts",
        queries.SELECT_CALLS: "INDEX sqlite_autoindex_calls",
        queries.SELECT_ARTIFACTS: "INDEX sqlite_autoindex_artifacts",
        queries.SELECT_CALLS_OF_JOB: "INDEX sqlite_autoindex_calls",
        queries.SELECT_ARTIFACTS_OF_JOB: "INDEX sqlite_autoindex_artifacts",
        queries.SUM_COUNTED: "COVERING INDEX calls_by_time",
        queries.RECENT_TIMES: "INDEX jobs_by_model",
    }
    for statement, index in lists.items():
        plan = _plan(path, statement)
        assert index in plan, statement
        assert "TEMP B-TREE" not in plan, statement
    for statement in (queries.list_jobs(status="running", kind="video", query="x"), queries.LIST_JOBS):
        assert "SCAN jobs" not in _plan(path, statement)


async def test_open_jobs_leaves_out_those_that_are_known(ledger: Ledger) -> None:
    first, second = await ledger.create(a_job()), await ledger.create(a_job())
    assert [job.job_id for job in await ledger.open_jobs()] == [first.job_id, second.job_id]
    assert [job.job_id for job in await ledger.open_jobs(besides={first.job_id})] == [second.job_id]


@sqlite_only
async def test_open_jobs_reads_only_those_among_many(crowded: Ledger) -> None:
    job = await crowded.create(dataclasses.replace(a_job(), request_id="mine"))
    assert [found.job_id for found in await crowded.open_jobs()] == [job.job_id]
