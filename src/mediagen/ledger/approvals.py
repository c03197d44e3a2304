"""Jobs that wait until somebody agrees to their price: nothing is made or sent before."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, get_args

from mediagen.errors import InvalidRequestError, JobNotFoundError, LedgerError
from mediagen.jobs import Job
from mediagen.ledger import queries
from mediagen.ledger.engines.base import Connection, Row
from mediagen.ledger.rows import time_text
from mediagen.ledger.transactions import Transactions
from mediagen.report.money import dollars

ANSWERED_WITHIN = timedelta(hours=24)
KEPT = timedelta(days=30)
MOST_QUESTIONS = 20  # of one principal at a time: each keeps what it was asked with

Decision = Literal["accept", "decline", "cancel"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Approval:
    """A job that is asked for and not agreed to yet, or what became of it.

    Attributes:
        job_id: Of the job that is made once it is agreed to.
        principal: Whose it is; None is whoever owns the machine.
        tool: By which it was asked for.
        arguments: As they were given.
        question: What is asked, in words.
        usd: What is agreed to at most.
        fingerprint: Of what is agreed to.
        decision: None while nobody has answered.
        decided_at: When that was.
        made: Job that fulfils it; None when none was made.
        refusal: Why nothing was made although it was agreed to.
    """

    job_id: str
    principal: str | None
    tool: str
    arguments: Mapping[str, Any]
    question: str
    usd: Decimal
    created_at: datetime
    fingerprint: str | None = None
    decision: Decision | None = None
    decided_at: datetime | None = None
    made: str | None = None
    refusal: str | None = None


class Approvals(Transactions):
    """What waits for an answer about its price. Part of `Ledger`."""

    async def ask_approval(self, approval: Approval) -> Approval:
        """Take in a question before it is put.

        Returns:
            The question that is to be put: an earlier one, when the same was asked and nobody has answered yet.

        Raises:
            InvalidRequestError: Too many questions wait for an answer already (code ``too_many_questions``).
        """
        return await self._write(ask, approval)

    async def approval(self, job_id: str) -> Approval | None:
        """Read what was asked about a job that is or was to be made; None when nothing was."""
        return await self._read(find, job_id)

    async def decide_approval(self, job_id: str, decision: Decision) -> bool:
        """Keep the answer.

        Returns:
            False, with nothing changed, when it was answered before or the question is too old.
        """
        return await self._write(decide, job_id, decision, self._clock())

    async def end_approval(self, job_id: str, *, made: str | None = None, refusal: str | None = None) -> bool:
        """Keep what became of an answer, other than that its own job was made.

        Returns:
            False, with nothing changed, when that is known already.
        """
        return await self._write(end, job_id, made=made, refusal=refusal)


def ask(connection: Connection, approval: Approval) -> Approval:
    """Take in a question, or find the same one; what is long over is forgotten."""
    connection.execute(queries.FORGET_APPROVALS, {"before": time_text(approval.created_at - KEPT)})
    told = {"oldest": time_text(approval.created_at - ANSWERED_WITHIN), "principal": approval.principal}
    waiting = [_approval(row) for row in connection.execute(queries.SELECT_OPEN_APPROVALS, told).fetchall()]
    for known in waiting:
        if known.fingerprint is not None and (known.fingerprint, known.usd) == (approval.fingerprint, approval.usd):
            return known
    if len(waiting) >= MOST_QUESTIONS:
        raise InvalidRequestError(
            f"{MOST_QUESTIONS} jobs wait already until somebody agrees to their price. Nothing was sent.",
            hint="Answer or cancel those first, or give max_usd once the user has agreed.",
            code="too_many_questions",
        )
    _insert(connection, approval)
    return approval


def _insert(connection: Connection, approval: Approval) -> None:
    connection.execute(
        queries.INSERT_APPROVAL,
        {
            "job_id": approval.job_id,
            "principal": approval.principal,
            "tool": approval.tool,
            "arguments": json.dumps(dict(approval.arguments)),
            "question": approval.question,
            "usd": str(approval.usd),
            "fingerprint": approval.fingerprint,
            "created_at": time_text(approval.created_at),
        },
    )


def find(connection: Connection, job_id: str) -> Approval | None:
    """Read a question.

    Raises:
        LedgerError: A column holds what no version of this program wrote.
    """
    row = connection.execute(queries.SELECT_APPROVAL, {"job_id": job_id}).fetchone()
    try:
        return _approval(row) if row else None
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError) as error:
        raise LedgerError(f"The question about the price of {job_id} in the ledger cannot be read.") from error


def decide(connection: Connection, job_id: str, decision: Decision, now: datetime) -> bool:
    """Keep an answer, unless there is one or it comes too late."""
    told = {
        "job_id": job_id,
        "decision": decision,
        "decided_at": time_text(now),
        "is_yes": decision == "accept",
        "oldest": time_text(now - ANSWERED_WITHIN),
    }
    return connection.execute(queries.DECIDE_APPROVAL, told).rowcount > 0


def end(connection: Connection, job_id: str, *, made: str | None = None, refusal: str | None = None) -> bool:
    """Keep what became of an answer, unless that is known."""
    outcome = json.dumps({"made": made, "refusal": refusal})
    return connection.execute(queries.END_APPROVAL, {"job_id": job_id, "outcome": outcome}).rowcount > 0


def fulfil(connection: Connection, job: Job) -> None:
    """Answer the questions about a wish that a job was made for otherwise: one wish is paid once."""
    asked = {"fingerprint": job.fingerprint, "principal": job.principal}
    outcome = json.dumps({"made": job.job_id, "refusal": None})
    for row in connection.execute(queries.SELECT_SAME_APPROVALS, asked).fetchall():
        named = json.loads(row["arguments"]).get("request_id")
        if named is None or job.request_id is None or named == job.request_id:
            told = {"job_id": row["job_id"], "now": time_text(job.created_at), "outcome": outcome}
            connection.execute(queries.FULFIL_APPROVAL, told)


def check(connection: Connection, job_id: str) -> None:
    """Make sure that a job may be made now because somebody agreed to its price.

    Raises:
        JobNotFoundError: There is no agreement, or no longer.
        InvalidRequestError: It was used: the job, or one in its place, is there already (code ``already_made``).
    """
    approval = find(connection, job_id)
    if approval is None or approval.decision != "accept" or approval.refusal:
        raise JobNotFoundError(f"Nobody has agreed to the price of {job_id}.")
    if approval.made:
        raise InvalidRequestError(f"The job that was agreed to was made already: {approval.made}.", code="already_made")


def not_begun(approval: Approval) -> JobNotFoundError:
    """Error for the id of a job that was asked about and is not made."""
    if approval.made:
        said, hint = f"its wish is fulfilled by {approval.made}", "Ask for that job."
    elif approval.decision in {"decline", "cancel"} or approval.refusal:
        said, hint = approval.refusal or "nobody agreed to its price", "Call the tool again if it is still wanted."
    else:
        said = f"it waits until somebody agrees to its price of {dollars(approval.usd)}"
        hint = "Whoever pays answers the question of its task, or repeats the call with max_usd."
    return JobNotFoundError(f"{approval.job_id} is not begun: {said}.", hint=hint, code="not_begun")


def _approval(row: Row) -> Approval:
    outcome = json.loads(row["outcome"]) if row["outcome"] else {}
    decision = row["decision"]
    if decision is not None and decision not in get_args(Decision):
        raise ValueError(decision)
    return Approval(
        job_id=row["job_id"],
        principal=row["principal"],
        tool=row["tool"],
        arguments=dict(json.loads(row["arguments"])),
        question=row["question"],
        usd=Decimal(row["usd"]),
        fingerprint=row["fingerprint"],
        created_at=datetime.fromisoformat(row["created_at"]),
        decision=decision,
        decided_at=datetime.fromisoformat(row["decided_at"]) if row["decided_at"] else None,
        made=outcome.get("made"),
        refusal=outcome.get("refusal"),
    )
