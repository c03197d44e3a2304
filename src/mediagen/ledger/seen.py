"""Reads of a job only what may have changed, for those who know the rest. Blocking."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mediagen.jobs import OPEN_STATUSES, Job
from mediagen.ledger import queries, reading
from mediagen.ledger.engines.base import Connection, Row
from mediagen.ledger.rows import job_from

State = tuple[tuple[Any, ...], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """A job as it was read.

    Attributes:
        state: What its rows held in the columns that may change.
    """

    job: Job
    state: State


def look(connection: Connection, job_id: str, seen: Seen | None = None) -> Seen:
    """Read one job; what was seen of it before is returned as it is while nothing has changed.

    Raises:
        JobNotFoundError: There is none of that id.
    """
    if seen and seen.state == _state(connection.execute(queries.SELECT_CHANGING, {"job_id": job_id})):
        return seen
    row, calls, artifacts = reading.rows_of(connection, job_id)
    return Seen(job=job_from(row, calls, artifacts), state=_state_of(row, calls))


def open_calls(connection: Connection, job_id: str, fence: int | None = None) -> tuple[int, ...]:
    """Find the calls of a job that have not ended; none when it was claimed again since.

    Raises:
        JobNotFoundError: There is none of that id.
    """
    rows = connection.execute(queries.SELECT_CHANGING, {"job_id": job_id}).fetchall()
    if not rows:
        raise reading.no_job(job_id)
    if fence not in {None, rows[0]["fence"]}:
        return ()
    return tuple(ordinal for ordinal, row in enumerate(rows) if row["call_status"] in OPEN_STATUSES)


def _state(found: Iterable[Row]) -> State:
    names = (*queries.CHANGING_OF_JOB, *(f"call_{name}" for name in queries.CHANGING_OF_CALL))
    return tuple(tuple(row[name] for name in names) for row in found)


def _state_of(row: Row, calls: Iterable[Row]) -> State:
    of_job = tuple(row[name] for name in queries.CHANGING_OF_JOB)
    return tuple((*of_job, *(call[name] for name in queries.CHANGING_OF_CALL)) for call in calls)
