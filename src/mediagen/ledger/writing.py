"""What the ledger is told. Blocking functions on a connection that holds the write lock."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Required, TypedDict

from mediagen.errors import JobNotFoundError
from mediagen.jobs import OPEN_STATUSES, Api, Artifact, ChainLink, Charge, Job, JobError, JobStatus, PaidCall, Usage
from mediagen.ledger import approvals, queries, reading, repeats
from mediagen.ledger.caps import Cap, check_caps
from mediagen.ledger.engines.base import Connection
from mediagen.ledger.liveness import Liveness
from mediagen.ledger.rows import artifact_rows, call_row, job_row, time_text

# No step is put off for longer: a later one was noted by a clock that was wrong.
LONGEST_PAUSE = timedelta(minutes=15)


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


class Made(CallChanges, total=False):
    """What becomes of a paid call whose files are here; see `Ledger.store_artifacts`."""

    expected: Required[JobStatus]
    artifacts: Required[Sequence[Artifact]]
    attempt: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One change of one paid call, on condition that it is still in the state the change starts from.

    Attributes:
        fence: Claim of the job under which it was begun, when that matters.
        attempt: Token under which it was sent, when that matters.
        is_unsent: Whether certainly nobody may have sent it.
    """

    job_id: str
    ordinal: int
    expected: JobStatus
    changes: CallChanges
    now: datetime
    artifacts: tuple[Artifact, ...] = ()
    fence: int | None = None
    attempt: str | None = None
    is_unsent: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptRequest:
    """What is to be sent in a paid call."""

    api: Api
    body: Mapping[str, Any]


class Conditions(TypedDict, total=False):
    """On what a job is taken in; see `NewJob`."""

    caps: Sequence[Cap]
    replace_request_id: bool
    whole_usd: Decimal | None
    is_approved: bool


class More(Conditions, total=False):
    """What may be said of a job that is taken in; see `NewJob`."""

    requests: Sequence[KeptRequest]
    is_own: bool
    before_kept: Callable[[], None] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class NewJob:
    """A job to be taken in.

    Attributes:
        requests: What is to be sent in each of its calls.
        is_own: Whether this process drives it; otherwise whoever claims it first.
        whole_usd: What has to fit under the caps, where more jobs follow by themselves.
        is_approved: Whether somebody was asked about its price; the agreement is used up then.
        before_kept: Called when the job is taken in and its rows are not durable yet; what it raises undoes them. It is
            called again when the transaction is repeated.
    """

    job: Job
    requests: Sequence[KeptRequest] = ()
    caps: Sequence[Cap] = ()
    replace_request_id: bool = False
    is_own: bool = True
    whole_usd: Decimal | None = None
    is_approved: bool = False
    before_kept: Callable[[], None] | None = None


def create(connection: Connection, new: NewJob, owners: Liveness) -> Job:
    """Take in a job, or find the one that has its request_id, is of the same wish or is this link of its chain."""
    job = new.job
    if new.is_approved:
        approvals.check(connection, job.job_id)
    existing = _existing(connection, new)
    if existing is None:
        check_caps(job, new.caps, counted_since=partial(reading.counted_since, connection), whole_usd=new.whole_usd)
    if new.is_approved:
        approvals.end(connection, job.job_id, made=existing.job_id if existing else job.job_id)
    if existing:
        return existing
    job = replace(job, estimated_seconds=reading.typical_seconds(connection, job) or job.estimated_seconds)
    owner = owners.register(connection) if new.is_own else None
    job = replace(job, fence=1 if owner else 0)
    connection.execute(queries.INSERT_JOB, job_row(job, owner=owner))
    connection.executemany(queries.INSERT_CALL, [call_row(job, call) for call in job.calls])
    connection.executemany(queries.INSERT_REQUEST, _request_rows(job, new.requests))
    if job.fingerprint is not None and not new.replace_request_id:
        approvals.fulfil(connection, job)
    if new.before_kept:
        new.before_kept()
    # It would be read back as it is.
    return job


def _existing(connection: Connection, new: NewJob) -> Job | None:
    job = new.job
    if job.request_id is not None:
        if new.replace_request_id:
            connection.execute(queries.FORGET_REQUEST, {"request_id": job.request_id, "principal": job.principal})
        elif existing := reading.request(connection, job.request_id, job.principal):
            return existing
    if job.chain and job.chain.link > 1 and (link := _link(connection, job.chain, job.principal)):
        return link
    return None if new.replace_request_id else repeats.find_of(connection, job)


def _request_rows(job: Job, requests: Sequence[KeptRequest]) -> list[dict[str, Any]]:
    return [
        {
            "job_id": job.job_id,
            "ordinal": ordinal,
            "api": request.api,
            # Several calls of a job mostly ask for the same, with the same large pictures.
            "body": json.dumps(request.body) if not ordinal or request.body != requests[0].body else None,
        }
        for ordinal, request in enumerate(requests)
    ]


def _link(connection: Connection, chain: ChainLink, principal: str | None) -> Job | None:
    """The link that is there already.

    Raises:
        JobNotFoundError: The link before it says that none shall follow.
    """
    before = reading.link(connection, chain.chain_id, chain.link - 1)
    if before is None or before.principal != principal or (before.chain and before.chain.stopped):
        raise JobNotFoundError(f"Chain {chain.chain_id} was stopped after link {chain.link - 1}.", code="chain_stopped")
    return reading.link(connection, chain.chain_id, chain.link)


def stop_chain(connection: Connection, job_id: str, reason: str) -> bool:
    """Let no link follow this one, unless one follows already."""
    return connection.execute(queries.STOP_CHAIN, {"job_id": job_id, "reason": reason}).rowcount > 0


def claim_chain(connection: Connection, job_id: str, owners: Liveness) -> bool:
    """Give a link, after which the next one is to be made, to this process if nobody else alive goes on with it."""
    _, owner = _row_of(connection, job_id)
    job = reading.job(connection, job_id)
    if job.chain is None or reading.link(connection, job.chain.chain_id, job.chain.link + 1):
        return False
    if owner is not None and owner != owners.own_id and owners.is_alive(connection, owner):
        return False
    connection.execute(queries.CLAIM_JOB, {"job_id": job_id, "owner": owners.register(connection)})
    return True


def record_finished(connection: Connection, job: Job) -> None:
    """Take in a job that has ended, with its files; no process drives it."""
    connection.execute(queries.INSERT_JOB, job_row(job, owner=None))
    for call in job.calls:
        connection.execute(queries.INSERT_CALL, call_row(job, call))
        connection.executemany(queries.INSERT_ARTIFACT, artifact_rows(job.job_id, call.ordinal, call.artifacts))


def take(connection: Connection, step: Step) -> Job | None:
    """Change a call if it is still in the expected state; returns the job as it is then."""
    job = reading.job(connection, step.job_id)
    call = _call(job, step.ordinal)
    if call.status is not step.expected or step.fence not in {None, job.fence}:
        return None
    if step.attempt not in {None, call.attempt} or (step.is_unsent and call.attempt is not None):
        return None
    changed = replace(call, **step.changes, artifacts=(*call.artifacts, *step.artifacts))
    connection.executemany(queries.INSERT_ARTIFACT, artifact_rows(step.job_id, step.ordinal, step.artifacts))
    connection.execute(queries.UPDATE_CALL, {**call_row(job, changed), "expected": str(step.expected)})
    calls = tuple(changed if known is call else known for known in job.calls)
    job = replace(job, calls=calls, updated_at=step.now)
    connection.execute(
        queries.TOUCH_JOB,
        {"job_id": job.job_id, "status": str(job.status), "updated_at": time_text(step.now), "is_over": _is_over(job)},
    )
    if call.status is JobStatus.SUBMITTING:
        connection.execute(queries.FORGET_SENT_REQUESTS, {"job_id": job.job_id})
    return job


def _is_over(job: Job) -> bool:
    """Whether nobody has to do anything more about a job, so that it belongs to nobody."""
    goes_on = job.chain is not None and not job.chain.is_last and job.status is JobStatus.SUCCEEDED
    return job.status.is_terminal and not goes_on


def reopen(connection: Connection, step: Step) -> bool:
    """Let a call of a job that has ended go on; False when somebody else was faster."""
    return reading.job(connection, step.job_id).status.is_terminal and take(connection, step) is not None


def claim(connection: Connection, job_id: str, owners: Liveness, *, is_left: bool = False) -> Job | None:
    """Give an open job to this process if nobody alive drives it, or this process itself has left it."""
    status, owner = _row_of(connection, job_id)
    if JobStatus(status) not in OPEN_STATUSES:
        return None
    is_own = owner is not None and owner == owners.own_id
    if owner is not None and not (is_own and is_left) and (is_own or owners.is_alive(connection, owner)):
        return None
    connection.execute(queries.CLAIM_JOB, {"job_id": job_id, "owner": owners.register(connection)})
    return reading.job(connection, job_id)


def overdue(connection: Connection, before: datetime, owners: Liveness) -> list[str]:
    """Find the open jobs whose step was due before a moment and that no other living process drives."""
    span = {"before": time_text(before), "beyond": time_text(before + LONGEST_PAUSE)}
    rows = connection.execute(queries.SELECT_OVERDUE, span).fetchall()
    alive = {owner: owners.is_alive(connection, owner) for owner in {row["owner"] for row in rows} - {None}}
    return [row["job_id"] for row in rows if row["owner"] == owners.own_id or not alive.get(row["owner"])]


def hand_back(connection: Connection, job: Job) -> bool:
    """Leave a job to whoever claims it next, with what is said there of its next step."""
    due_at = None if job.due_at is None else time_text(job.due_at)
    told = {"due_at": due_at, "note": job.note, "failures": job.failures, "job_id": job.job_id, "fence": job.fence}
    return connection.execute(queries.HAND_BACK, told).rowcount > 0


def note(connection: Connection, job: Job) -> bool:
    """Write down what keeps a job from going on."""
    told = {"note": job.note, "failures": job.failures, "job_id": job.job_id, "fence": job.fence}
    return connection.execute(queries.NOTE, told).rowcount > 0


def begin_attempt(connection: Connection, job: Job, ordinal: int, attempt: str) -> bool:
    """Give the right to send a call to the holder of a token, unless somebody has it or the job is another's by now."""
    told = {"attempt": attempt, "job_id": job.job_id, "ordinal": ordinal, "fence": job.fence}
    return connection.execute(queries.BEGIN_ATTEMPT, told).rowcount > 0


def take_back_attempt(connection: Connection, job: Job, ordinal: int, attempt: str) -> bool:
    """Free a call to be sent: certainly nothing was accepted under the token."""
    told = {"attempt": attempt, "job_id": job.job_id, "ordinal": ordinal, "fence": job.fence}
    return connection.execute(queries.TAKE_BACK_ATTEMPT, told).rowcount > 0


def _row_of(connection: Connection, job_id: str) -> tuple[str, str | None]:
    row = connection.execute(queries.SELECT_JOB, {"job_id": job_id}).fetchone()
    if row is None:
        raise reading.no_job(job_id)
    return row["status"], row["owner"]


def _call(job: Job, ordinal: int) -> PaidCall:
    for call in job.calls:
        if call.ordinal == ordinal:
            return call
    raise JobNotFoundError(f"Job {job.job_id} has no call {ordinal}; it has {len(job.calls)}.")
