"""The same request again: which job it means, and which ends were told. Blocking functions on a connection."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from mediagen.jobs import Job
from mediagen.ledger import approvals, queries, reading
from mediagen.ledger.engines.base import Connection
from mediagen.ledger.rows import time_text

# A client that lost an answer asks again within minutes; a day later somebody means another one.
AWAITED = timedelta(hours=24)


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What a request asks for.

    Attributes:
        fingerprint: The same for two requests that ask for the same.
        request_id: The caller's own id; two different ones are two wishes.
        now: When it is asked for.
        principal: Who asks; the same of somebody else is another wish.
        approval: Question whose yes it is; used up by the job that is found.
    """

    fingerprint: str
    request_id: str | None
    now: datetime
    principal: str | None = None
    approval: str | None = None


def find(connection: Connection, wish: Wish) -> Job | None:
    """Find the newest job of the same wish that is open, or whose end no caller was told; of a chain its first link.

    It takes on the caller's id, so that this id means it from now on. The connection must hold the write lock.
    """
    parameters = {
        "fingerprint": wish.fingerprint,
        "principal": wish.principal,
        "since": time_text(wish.now - AWAITED),
    }
    for row in connection.execute(queries.SELECT_REPEATS, parameters).fetchall():
        if wish.request_id is None:
            return _taken(connection, wish, row["job_id"])
        if row["request_id"] is None:
            connection.execute(queries.NAME_REQUEST, {"job_id": row["job_id"], "request_id": wish.request_id})
            return _taken(connection, wish, row["job_id"])
    return None


def _taken(connection: Connection, wish: Wish, job_id: str) -> Job:
    if wish.approval:
        approvals.end(connection, wish.approval, made=job_id)
    return reading.job(connection, job_id)


def find_of(connection: Connection, job: Job) -> Job | None:
    """Find the job that a new one would repeat; None also where nothing is the same as it."""
    if job.fingerprint is None:
        return None
    wish = Wish(fingerprint=job.fingerprint, request_id=job.request_id, now=job.created_at, principal=job.principal)
    return find(connection, wish)


def mark_delivered(connection: Connection, job_id: str, now: datetime) -> None:
    """Keep that a caller was told how a job ended; of one that has not ended, nothing."""
    connection.execute(queries.MARK_DELIVERED, {"job_id": job_id, "now": time_text(now)})
