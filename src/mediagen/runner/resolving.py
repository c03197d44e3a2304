"""Settles by the word of whoever pays what nothing else tells: whether a lost paid request was billed, or its name."""

import re
from dataclasses import dataclass, replace
from typing import Literal

from mediagen.endpoints.base import nowhere
from mediagen.errors import EndpointError, InvalidRequestError
from mediagen.jobs import Charge, Job, JobError, JobStatus, PaidCall
from mediagen.ledger.caps import counted_microusd, usd
from mediagen.runner.charging import FREE
from mediagen.runner.evidence import Evidence

Outcome = Literal["billed", "not_billed"]
Resolver = Literal["the command line", "the tool resolve_job"]
RESOLVED = frozenset({"resolved_billed", "resolved_not_billed"})
WORDS = {"billed": "it was billed", "not_billed": "it was not billed"}
MARK = " Resolved by the user"
_NAME = re.compile(r"[\w./:@=-]{1,500}", re.ASCII)
_MODEL = re.compile(r"(?:^|/)models/([^/]+)/operations/")


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What somebody found out: either an outcome or the name of the operation.

    Attributes:
        by: Where it was said.
    """

    outcome: Outcome | None
    operation: str | None
    by: Resolver


async def resolve(evidence: Evidence, job_id: str, decision: Decision) -> tuple[Job, tuple[str, ...]]:
    """Settle the calls of a job of which nobody knows whether they were billed.

    Returns:
        The job, which is open again when it goes on, and notes.

    Raises:
        JobNotFoundError: No such job.
        InvalidRequestError: There is nothing to settle, or the operation is not that of the job; nothing was changed.
        MediaGenError: Google could not be asked for the operation; nothing was changed.
    """
    if (decision.outcome is None) == (decision.operation is None):
        raise InvalidRequestError(
            "Give outcome or operation, one of the two.",
            field="outcome",
            hint="outcome (--as) is what the bill says; operation is a name found at Google, by which the job goes on.",
        )
    job = await evidence.ledger.get(job_id)
    calls = _to_settle(job)
    if decision.operation is not None:
        return await _attach(evidence, job, calls[0], replace(decision, operation=decision.operation.strip()))
    # A clip in its bucket says more than a bill, on which it may not be yet.
    if await evidence.look_for(job):
        note = "Nothing was resolved by hand: the clip was found in its bucket, and is fetched."
        return await evidence.ledger.get(job_id), (note,)
    job = await evidence.ledger.get(job_id)
    for call in _to_settle(job):
        await _decide(evidence, job, call, decision)
    return await evidence.ledger.get(job_id), ()


def _to_settle(job: Job) -> list[PaidCall]:
    if not job.status.is_terminal:
        raise InvalidRequestError(
            f"job_id {job.job_id} is {job.status}; only a job that has ended can be resolved.",
            field="job_id",
            hint="Follow it with get_job.",
        )
    calls = [call for call in job.calls if is_open_question(call)] if job.endpoint != "local" else []
    if not calls:
        raise InvalidRequestError(
            f"job_id {job.job_id} is {job.status}, and it is known whether it was billed: nothing is to be resolved.",
            field="job_id",
            hint="get_job tells its charge.",
        )
    return calls


def is_open_question(call: PaidCall) -> bool:
    """Whether nobody knows if a call was billed, or only the user's word says so."""
    if call.status is JobStatus.UNCONFIRMED:
        return True
    if call.status is JobStatus.SUCCEEDED or call.error is None:
        return False
    return call.error.code in RESOLVED or (call.charge is None and call.error.billed == "unknown")


async def _decide(evidence: Evidence, job: Job, call: PaidCall, decision: Decision) -> None:
    outcome = decision.outcome
    assert outcome is not None
    before = call.error.message.partition(MARK)[0] if call.error else "The answer to the paid request was never seen."
    when = f"{evidence.clock():%Y-%m-%d %H:%M} UTC"
    error = JobError(
        code="resolved_billed" if outcome == "billed" else "resolved_not_billed",
        message=f"{before}{MARK} on {when} through {decision.by}: {WORDS[outcome]}.",
        retryable=outcome == "not_billed",
        billed="yes" if outcome == "billed" else "no",
        hint="It can be resolved again, if that was wrong.",
    )
    await evidence.collector.spool.owe_record(job, call)
    if await evidence.ledger.update_call(
        job.job_id,
        call.ordinal,
        expected=call.status,
        status=JobStatus.FAILED,
        error=error,
        charge=_charge(job, call, outcome),
    ):
        await evidence.collector.write_failure(job.job_id, call.ordinal)


def _charge(job: Job, call: PaidCall, outcome: Outcome) -> Charge:
    if job.backend == "emulator":
        return FREE
    basis = f"resolved by the user as {outcome.replace('_', ' ')}"
    if outcome == "not_billed":
        return Charge(usd=usd(0), basis=basis, certainty="estimated", billed="no")
    if job.quote.usd is None:
        return Charge(usd=None, basis=f"{basis}; its price is not known", certainty="unknown", billed="yes")
    quoted = counted_microusd(job, replace(call, status=JobStatus.UNCONFIRMED, charge=None, error=None))
    return Charge(usd=usd(quoted), basis=f"{basis}, at the quote", certainty="estimated", billed="yes")


async def _attach(evidence: Evidence, job: Job, call: PaidCall, decision: Decision) -> tuple[Job, tuple[str, ...]]:
    operation = decision.operation or ""
    await _check_name(evidence, job, operation)
    endpoint = await evidence.endpoints.for_job(job)
    try:
        polled = await endpoint.poll(operation, nowhere)
    except EndpointError as error:
        if error.code == "operation_unknown":
            raise _refused(operation, "Google does not know it with the credentials of this job", error.hint) from error
        error.hint = f"{error.hint} Nothing was changed.".strip()
        raise
    note = f"Its operation was named by the user through {decision.by}."
    if not await evidence.ledger.reopen(
        job.job_id,
        call.ordinal,
        expected=call.status,
        status=JobStatus.RUNNING,
        operation=operation,
        error=None,
        charge=None,
        warnings=(*call.warnings, note),
    ):
        return await evidence.ledger.get(job.job_id), ("Somebody else has moved the job on meanwhile.",)
    return await evidence.ledger.get(job.job_id), (f"Google knows it: {polled.state}.",)


async def _check_name(evidence: Evidence, job: Job, operation: str) -> None:
    if (job.kind != "video" and not job.is_economy) or job.endpoint == "cliproxy":
        raise _refused(operation, "a picture is answered at once and has no operation", "Give the outcome instead.")
    if not _NAME.fullmatch(operation) or ".." in operation:
        raise _refused(operation, "it is no name of an operation or interaction", "")
    model = _MODEL.search(operation)
    if model and model[1] != job.model:
        raise _refused(operation, f"it is one of {model[1]}, and the job was sent to {job.model}", "")
    other = await evidence.ledger.job_of_operation(operation)
    if other:
        # An id of somebody else's is not told.
        whose = await evidence.ledger.get(other)
        named = other if job.principal in {None, whose.principal} else "another job"
        raise _refused(operation, f"it belongs to {named}", "Look for another one of about the same time.")


def _refused(operation: str, why: str, hint: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"operation={operation[:200]!r} cannot be used: {why}. Nothing was changed.", field="operation", hint=hint
    )
