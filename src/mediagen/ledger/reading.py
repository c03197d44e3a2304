"""What the ledger is asked. Blocking functions on an open connection."""

import json
import logging
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any

from mediagen.errors import InvalidRequestError, JobNotFoundError, LedgerError
from mediagen.jobs import Api, Artifact, Job, Kind
from mediagen.ledger import queries
from mediagen.ledger.engines.base import Connection, Row
from mediagen.ledger.rows import job_from, scale_of, time_text

logger = logging.getLogger(__name__)

MAX_CURSOR_DIGITS = 18
NEWEST = 2**63 - 1
_FILE_ID = re.compile(r"/files/([A-Za-z0-9_-]+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """Some jobs, newest first.

    Attributes:
        next_cursor: Where to go on, or None at the end.
    """

    jobs: tuple[Job, ...]
    next_cursor: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Filter:
    """Which jobs to list; None leaves a condition out."""

    status: str | None
    kind: Kind | None
    query: str | None
    principal: str | None = None


def no_job(job_id: str) -> JobNotFoundError:
    """Error for an id that is none; the same for a job that is not the caller's."""
    return JobNotFoundError(f"There is no job {job_id!r} in the ledger.", hint="list_jobs shows those there are.")


def no_artifact(artifact_id: str) -> JobNotFoundError:
    """Error for an id that is none; the same for a file that is not the caller's."""
    return JobNotFoundError(
        f"There is no artifact {artifact_id!r} in the ledger.", hint="get_job shows the artifacts of a job."
    )


def job(connection: Connection, job_id: str) -> Job:
    """Read one job.

    Raises:
        JobNotFoundError: There is none of that id.
    """
    return job_from(*rows_of(connection, job_id))


def rows_of(connection: Connection, job_id: str) -> tuple[Row, list[Row], Mapping[int, list[Row]]]:
    """Read the row of a job, those of its calls and, by call, of its artifacts.

    Raises:
        JobNotFoundError: There is none of that id.
    """
    row = connection.execute(queries.SELECT_JOB, {"job_id": job_id}).fetchone()
    if row is None:
        raise no_job(job_id)
    calls = connection.execute(queries.SELECT_CALLS_OF_JOB, {"job_id": job_id}).fetchall()
    artifacts: defaultdict[int, list[Row]] = defaultdict(list)
    for found in connection.execute(queries.SELECT_ARTIFACTS_OF_JOB, {"job_id": job_id}):
        artifacts[found["ordinal"]].append(found)
    return row, calls, artifacts


def kept_request(connection: Connection, job_id: str, ordinal: int) -> tuple[Api, dict[str, Any]] | None:
    """Read what is to be sent in a call, while it is kept."""
    row = connection.execute(queries.SELECT_REQUEST_BODY, {"job_id": job_id, "ordinal": ordinal}).fetchone()
    return (row["api"], json.loads(row["body"])) if row else None


def request(connection: Connection, request_id: str, principal: str | None = None) -> Job | None:
    """Read the job of a caller's own id."""
    asked = {"request_id": request_id, "principal": principal}
    rows = connection.execute(queries.SELECT_REQUEST, asked).fetchall()
    return next(_jobs(connection, rows), None)


def chain(connection: Connection, chain_id: str) -> list[Job]:
    """Read the links of a chain, in their order."""
    return list(_jobs(connection, connection.execute(queries.SELECT_CHAIN, {"chain_id": chain_id}).fetchall()))


def link(connection: Connection, chain_id: str, number: int) -> Job | None:
    """Read one link of a chain."""
    rows = connection.execute(queries.SELECT_LINK, {"chain_id": chain_id, "link": number}).fetchall()
    return next(_jobs(connection, rows), None)


def interrupted_links(connection: Connection, since: datetime) -> list[Job]:
    """Read the links that succeeded since a moment and after which the next one is still to be made."""
    rows = connection.execute(queries.SELECT_INTERRUPTED_LINKS, {"since": time_text(since)}).fetchall()
    return _readable_jobs(connection, rows)


def open_jobs(connection: Connection, besides: Collection[str] = ()) -> list[Job]:
    """Read the jobs that have not ended, oldest first, without those of some ids."""
    rows = connection.execute(queries.SELECT_OPEN_JOBS).fetchall()
    return _readable_jobs(connection, [row for row in rows if row["job_id"] not in besides])


def unsettled(connection: Connection, since: datetime) -> list[Job]:
    """Read the jobs since a moment of which a call is unconfirmed, or was given up as not made."""
    return _readable_jobs(
        connection, connection.execute(queries.SELECT_UNSETTLED, {"since": time_text(since)}).fetchall()
    )


def job_of_operation(connection: Connection, operation: str) -> str | None:
    """Find the job that follows an operation."""
    row = connection.execute(queries.SELECT_BY_OPERATION, {"operation": operation}).fetchone()
    return None if row is None else str(row["job_id"])


def page(connection: Connection, wanted: Filter, limit: int, cursor: str | None) -> Page:
    """Read one page of jobs."""
    statement = queries.list_jobs(
        status=wanted.status, kind=wanted.kind, query=wanted.query, principal=wanted.principal
    )
    parameters = {
        "before": _position(cursor),
        "status": wanted.status,
        "kind": wanted.kind,
        "principal": wanted.principal,
        "query": (wanted.query or "").casefold(),
        "limit": limit + 1,
    }
    rows = connection.execute(statement, parameters).fetchall()
    more = len(rows) > limit
    rows = rows[:limit]
    return Page(
        jobs=tuple(_readable_jobs(connection, rows)), next_cursor=str(rows[-1]["seq"]) if more and rows else None
    )


def artifact(connection: Connection, artifact_id: str) -> tuple[Artifact, Job]:
    """Read one artifact and the job that made it.

    Raises:
        JobNotFoundError: There is none of that id.
    """
    row = connection.execute(queries.SELECT_ARTIFACT_JOB, {"artifact_id": artifact_id}).fetchone()
    if row is None:
        raise no_artifact(artifact_id)
    owner = job(connection, row["job_id"])
    return next(found for found in owner.artifacts if found.artifact_id == artifact_id), owner


def files_of_content(
    connection: Connection, sha256: str, limit: int, principal: str | None = None
) -> list[tuple[Artifact, Job]]:
    """Read the files that had a content, and the jobs that made them, newest first; damaged rows are left out."""
    asked = {"sha256": sha256, "limit": limit, "is_all": principal is None, "principal": principal}
    rows = connection.execute(queries.SELECT_FILES_OF_CONTENT, asked).fetchall()
    found: list[tuple[Artifact, Job]] = []
    for row in rows:
        try:
            found.append(artifact(connection, row["artifact_id"]))
        except LedgerError as error:
            logger.error("%s", error)  # noqa: TRY400 - the message is ours and names the job
    return found


def remote(connection: Connection, file_id: str, principal: str | None = None) -> tuple[Artifact, Job] | None:
    """Read the artifact whose file at Google has an id, among the latest calls."""
    for row in connection.execute(queries.SELECT_REMOTE, {"name": f"files/{file_id}"}):
        owner = job(connection, row["job_id"])
        if principal not in {None, owner.principal}:
            continue
        call = next(call for call in owner.calls if call.ordinal == row["ordinal"])
        for address, made in zip(call.remote_uris, call.artifacts, strict=False):
            if file_id in _FILE_ID.findall(address):
                return made, owner
    return None


def counted_since(connection: Connection, since: datetime, profile: str | None = None) -> int:
    """Add up what all jobs, or those of one profile, spent or reserved since a moment, in micro-dollars."""
    statement = queries.SUM_COUNTED if profile is None else queries.SUM_COUNTED_OF_PROFILE
    return int(connection.execute(statement, {"since": time_text(since), "profile": profile}).fetchone()[0])


def typical_seconds(connection: Connection, draft: Job) -> float | None:
    """Median time of the last 20 jobs like this one that succeeded, in seconds; None when there are none.

    Those of the same model and resolution or picture size are like it; those of the emulator tell nothing about
    Google, nor the other way round.
    """
    is_emulated = int(draft.backend == "emulator")
    given = {"model": draft.model, "scale": scale_of(draft.effective), "is_emulated": is_emulated}
    rows = connection.execute(queries.RECENT_TIMES, given)
    taken = [
        (datetime.fromisoformat(row["updated_at"]) - datetime.fromisoformat(row["created_at"])).total_seconds()
        for row in rows
    ]
    # A clock that was set back meanwhile lets a job end before it began.
    taken = [seconds for seconds in taken if seconds > 0]
    return median(taken) if taken else None


def _jobs(connection: Connection, rows: Sequence[Row]) -> Iterator[Job]:
    return (job_from(*parts) for parts in _with_what_they_have(connection, rows))


def _readable_jobs(connection: Connection, rows: Sequence[Row]) -> list[Job]:
    """Jobs of a list; a damaged row is left out, so that it does not hide the others."""
    found: list[Job] = []
    for parts in _with_what_they_have(connection, rows):
        try:
            found.append(job_from(*parts))
        except LedgerError as error:
            logger.error("%s", error)  # noqa: TRY400 - the message is ours and names the job
    return found


def _with_what_they_have(
    connection: Connection, rows: Sequence[Row]
) -> Iterator[tuple[Row, list[Row], Mapping[int, list[Row]]]]:
    """Each row of a job with those of its calls and, by call, of its artifacts."""
    job_ids = {"job_ids": json.dumps([row["job_id"] for row in rows])}
    calls: defaultdict[str, list[Row]] = defaultdict(list)
    for row in connection.execute(queries.SELECT_CALLS, job_ids):
        calls[row["job_id"]].append(row)
    artifacts: defaultdict[str, defaultdict[int, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in connection.execute(queries.SELECT_ARTIFACTS, job_ids):
        artifacts[row["job_id"]][row["ordinal"]].append(row)
    for row in rows:
        yield row, calls[row["job_id"]], artifacts[row["job_id"]]


def _position(cursor: str | None) -> int:
    if cursor is None:
        return NEWEST
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= MAX_CURSOR_DIGITS):
        raise InvalidRequestError(
            f"cursor is {cursor!r}, which no page of list_jobs gave.",
            field="cursor",
            hint="Pass next_cursor of the page before, or leave it out.",
        )
    return int(cursor)
