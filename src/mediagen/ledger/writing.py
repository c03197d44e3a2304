"""What the ledger is told. Blocking functions on a connection that holds the write lock."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import partial
from sqlite3 import Connection
from typing import TypedDict

from mediagen.errors import JobNotFoundError
from mediagen.jobs import OPEN_STATUSES, Artifact, ChainLink, Charge, Job, JobError, JobStatus, PaidCall, Usage
from mediagen.ledger import queries, reading
from mediagen.ledger.caps import Cap, check_caps
from mediagen.ledger.owners import Owners
from mediagen.ledger.rows import artifact_rows, call_row, job_row, time_text


class CallChanges(TypedDict, total=False):
    """Fields of a paid call that may change; each given one replaces the value that is there."""

    status: JobStatus
    operation: str | None
    remote_uris: tuple[str, ...]
    expires_at: datetime | None
    usage: Usage | None
    charge: Charge | None
    error: JobError | None
    warnings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One change of one paid call, on condition that it is still in the state the change starts from."""

    job_id: str
    ordinal: int
    expected: JobStatus
    changes: CallChanges
    now: datetime
    artifacts: tuple[Artifact, ...] = ()


def create(
    connection: Connection,
    job: Job,
    *,
    caps: Sequence[Cap],
    replace_request_id: bool,
    owners: Owners,
    whole_usd: Decimal | None = None,
) -> Job:
    """Take in a job, or find the one that has its request_id or is this link of its chain."""
    if job.request_id is not None:
        if replace_request_id:
            connection.execute(queries.FORGET_REQUEST, {"request_id": job.request_id})
        elif existing := reading.request(connection, job.request_id):
            return existing
    if job.chain and job.chain.link > 1 and (link := _link(connection, job.chain)):
        return link
    check_caps(job, caps, counted_since=partial(reading.counted_since, connection), whole_usd=whole_usd)
    connection.execute(queries.INSERT_JOB, job_row(job, owner=owners.register()))
    connection.executemany(queries.INSERT_CALL, [call_row(job, call) for call in job.calls])
    return reading.job(connection, job.job_id)


def _link(connection: Connection, chain: ChainLink) -> Job | None:
    """The link that is there already.

    Raises:
        JobNotFoundError: The link before it says that none shall follow.
    """
    before = reading.link(connection, chain.chain_id, chain.link - 1)
    if before is None or (before.chain and before.chain.stopped):
        raise JobNotFoundError(f"Chain {chain.chain_id} was stopped after link {chain.link - 1}.", code="chain_stopped")
    return reading.link(connection, chain.chain_id, chain.link)


def stop_chain(connection: Connection, job_id: str, reason: str) -> bool:
    """Let no link follow this one, unless one follows already."""
    return connection.execute(queries.STOP_CHAIN, {"job_id": job_id, "reason": reason}).rowcount > 0


def claim_chain(connection: Connection, job_id: str, owners: Owners) -> bool:
    """Give a link, after which the next one is to be made, to this process if nobody else alive goes on with it."""
    _, owner = _row_of(connection, job_id)
    job = reading.job(connection, job_id)
    if job.chain is None or reading.link(connection, job.chain.chain_id, job.chain.link + 1):
        return False
    if owner is not None and owner != owners.own_id and owners.is_alive(owner):
        return False
    connection.execute(queries.SET_OWNER, {"job_id": job_id, "owner": owners.register()})
    return True


def record_finished(connection: Connection, job: Job) -> None:
    """Take in a job that has ended, with its files; no process drives it."""
    connection.execute(queries.INSERT_JOB, job_row(job, owner=None))
    for call in job.calls:
        connection.execute(queries.INSERT_CALL, call_row(job, call))
        connection.executemany(queries.INSERT_ARTIFACT, artifact_rows(job.job_id, call.ordinal, call.artifacts))


def take(connection: Connection, step: Step) -> bool:
    """Change a call if it is still in the expected state."""
    job = reading.job(connection, step.job_id)
    call = _call(job, step.ordinal)
    if call.status is not step.expected:
        return False
    changed = replace(call, **step.changes)
    connection.executemany(queries.INSERT_ARTIFACT, artifact_rows(step.job_id, step.ordinal, step.artifacts))
    connection.execute(queries.UPDATE_CALL, {**call_row(job, changed), "expected": str(step.expected)})
    job = replace(job, calls=tuple(changed if known is call else known for known in job.calls))
    connection.execute(
        queries.TOUCH_JOB,
        {"job_id": job.job_id, "status": str(job.status), "updated_at": time_text(step.now)},
    )
    return True


def reopen(connection: Connection, step: Step, owners: Owners) -> bool:
    """Let a call of a job that has ended go on, driven by this process; False when somebody else was faster."""
    if not reading.job(connection, step.job_id).status.is_terminal or not take(connection, step):
        return False
    connection.execute(queries.SET_OWNER, {"job_id": step.job_id, "owner": owners.register()})
    return True


def claim(connection: Connection, job_id: str, owners: Owners) -> bool:
    """Give an open job to this process if nobody alive drives it."""
    status, owner = _row_of(connection, job_id)
    if JobStatus(status) not in OPEN_STATUSES:
        return False
    if owner is not None and (owner == owners.own_id or owners.is_alive(owner)):
        return False
    connection.execute(queries.SET_OWNER, {"job_id": job_id, "owner": owners.register()})
    return True


def _row_of(connection: Connection, job_id: str) -> tuple[str, str | None]:
    row = connection.execute(queries.SELECT_JOB, {"job_id": job_id}).fetchone()
    if row is None:
        raise JobNotFoundError(f"There is no job {job_id!r} in the ledger.", hint="list_jobs shows those there are.")
    return row["status"], row["owner"]


def _call(job: Job, ordinal: int) -> PaidCall:
    for call in job.calls:
        if call.ordinal == ordinal:
            return call
    raise JobNotFoundError(f"Job {job.job_id} has no call {ordinal}; it has {len(job.calls)}.")
