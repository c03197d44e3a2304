"""What can still be read of a damaged ledger: first as SQLite sees it, then from its bare pages. Blocking."""

import json
import logging
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mediagen.errors import LedgerError
from mediagen.jobs import Job, JobStatus
from mediagen.ledger.pages import Value, records
from mediagen.ledger.rows import job_from

logger = logging.getLogger(__name__)

Row = dict[str, Any]
Tables = Mapping[str, Mapping[str, int | None]]
STATES = [str(status) for status in JobStatus]
# How far a call has come: of two versions of a row in a damaged file, the later one.
PROGRESS = {state: place for place, state in enumerate(STATES)}


@dataclass(frozen=True, kw_only=True, slots=True)
class SalvagedJob:
    """One job as its rows tell it.

    Attributes:
        job: None when the row of the job is lost or cannot be understood.
        rows: Of each table, those of this job.
    """

    job_id: str
    job: Job | None
    rows: dict[str, list[Row]]


@dataclass(kw_only=True, slots=True)
class _Found:
    """Rows by table and key; the first of a key stays, unless a later one tells of more progress."""

    tables: Tables
    rows: dict[str, dict[tuple[object, ...], Row]] = field(default_factory=dict)

    def add(self, table: str, row: Row) -> None:
        key = _key(table, row)
        known = self.rows.setdefault(table, {}).get(key)
        if known is None or _progress(row) > _progress(known):
            self.rows[table][key] = row


def salvage(path: Path, tables: Tables) -> list[SalvagedJob]:
    """Read the jobs of a damaged ledger, oldest first.

    Args:
        path: The damaged file; it is only read.
        tables: The columns of each table with their defaults, as they are in a new ledger.

    Raises:
        OSError: The file cannot be read at all.
    """
    found = _Found(tables=tables)
    if not _by_sqlite(path, found):
        for row_id, values in records(path):
            for table, row in _recognised(tables, row_id, values):
                found.add(table, row)
    return _jobs(found)


def _by_sqlite(path: Path, found: _Found) -> bool:
    """Read what SQLite can read; returns whether that was all."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            connection.text_factory = lambda text: text.decode("utf-8", "replace")
            read = [_whole_table(connection, table, found) for table in found.tables]
            return all(read)
    except sqlite3.Error:
        return False


def _whole_table(connection: sqlite3.Connection, table: str, found: _Found) -> bool:
    """Read a table from its beginning and, if that breaks off, from its end."""
    for order in ("", " DESC"):
        try:
            # The names are those of our own tables.
            for row in connection.execute(f"SELECT * FROM {table} NOT INDEXED ORDER BY rowid{order}"):  # noqa: S608
                found.add(table, _current(table, dict(row)))
        except (sqlite3.Error, ValueError):
            continue
        return not order
    return False


def _current(table: str, row: Row) -> Row:
    """A row of an older version as the present one has it."""
    if table == "calls" and "remote_uri" in row:
        row["remote_uris"] = row.pop("remote_uri")
    if table == "calls" and not str(row.get("remote_uris") or "[").startswith("["):
        row["remote_uris"] = json.dumps([row["remote_uris"]])
    if table == "calls":
        row["remote_uris"] = row.get("remote_uris") or "[]"
        if row.get("status") == JobStatus.SUBMITTING and row.get("attempt") is None:
            # It may be an older version of the row: what looks unsent must never be sent for that.
            row["attempt"] = "unknown"
    return {"sample": 0, **row} if table == "artifacts" else row


def _recognised(tables: Tables, row_id: int, values: tuple[Value, ...]) -> list[tuple[str, Row]]:
    """Which table a bare row belongs to, by what no row of another has; nothing when it is none of ours."""
    match values:
        case [None, str(job_id), *_] if job_id.startswith("job_"):
            return [("jobs", {**_named(tables["jobs"], values), "seq": row_id})]
        case [str(job_id), int(), str(state), *_] if job_id.startswith("job_") and state in PROGRESS:
            return [("calls", _current("calls", _named(tables["calls"], values)))]
        case [str(artifact_id), str(), int(), int(), *_] if artifact_id.startswith("art_"):
            return [("artifacts", _named(tables["artifacts"], values))]
        case [str(artifact_id), str(job_id), int(ordinal), *rest] if artifact_id.startswith("art_"):
            return [("artifacts", _named(tables["artifacts"], (artifact_id, job_id, ordinal, 0, *rest)))]
    return []


def _named(columns: Iterable[str], values: Sequence[Value]) -> Row:
    # A row that was written before a column was added does not have it.
    return dict(zip(columns, values, strict=False))


def _key(table: str, row: Row) -> tuple[object, ...]:
    match table:
        case "jobs":
            return (row.get("job_id"),)
        case "artifacts":
            return (row.get("artifact_id"),)
        case _:
            return (row.get("job_id"), row.get("ordinal"))


def _progress(row: Row) -> tuple[int, str]:
    return PROGRESS.get(str(row.get("status")), -1), str(row.get("updated_at") or "")


def _jobs(found: _Found) -> list[SalvagedJob]:
    by_job: dict[str, dict[str, list[Row]]] = {}
    for table, rows in found.rows.items():
        for row in rows.values():
            if isinstance(row.get("job_id"), str):
                by_job.setdefault(row["job_id"], {}).setdefault(table, []).append(row)
    jobs = [_job(job_id, rows, found.tables) for job_id, rows in by_job.items()]
    return sorted(jobs, key=lambda salvaged: _place(salvaged.rows))


def _place(rows: Mapping[str, Sequence[Row]]) -> tuple[int, str]:
    first = rows["jobs"][0] if rows.get("jobs") else {}
    seq = first.get("seq")
    return (seq if isinstance(seq, int) else 0), str(first.get("created_at"))


def _job(job_id: str, rows: dict[str, list[Row]], tables: Tables) -> SalvagedJob:
    """Keep of a job what can be understood: a garbled call does not take the others along."""
    if not rows.get("jobs"):
        return SalvagedJob(job_id=job_id, job=None, rows=rows)
    row = {**tables["jobs"], **rows["jobs"][0]}
    calls = [{**tables["calls"], **call} for call in _sorted(rows, "calls", "ordinal")]
    made: dict[int, list[Row]] = {}
    for artifact in _sorted(rows, "artifacts", "sample"):
        made.setdefault(artifact["ordinal"], []).append({**tables["artifacts"], **artifact})
    readable = [call for call in calls if _understood(row, [call], made)]
    job = _understood(row, readable, made)
    if job is None:
        logger.warning("job %s of the damaged ledger cannot be understood", job_id)
    kept = {number: made[number] for number in {call["ordinal"] for call in readable} & made.keys()}
    artifacts = [artifact for of_call in kept.values() for artifact in of_call]
    return SalvagedJob(job_id=job_id, job=job, rows={**rows, "calls": readable, "artifacts": artifacts})


def _sorted(rows: Mapping[str, Sequence[Row]], table: str, column: str) -> list[Row]:
    return sorted((row for row in rows.get(table, ()) if isinstance(row.get(column), int)), key=lambda row: row[column])


def _understood(row: Row, calls: Sequence[Row], made: Mapping[int, Sequence[Row]]) -> Job | None:
    try:
        return job_from(row, calls, made)
    except LedgerError:
        return None
