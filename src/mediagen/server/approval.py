"""Asks whoever pays to agree to a price, where the client can put the question to them.

Up to 2025-11-25 the question goes out while the call waits. From 2026-07-28 on the call is answered with it and comes
again with what was said; a call that is followed as a task waits for it as a question of the task. In these two ways
the question is kept in the ledger under the id of the job, so that one yes makes one job, whoever says it how often.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any

from mcp import MCPError
from mcp.server.mcpserver import Context
from mcp.types import CallToolResult, ElicitRequest, ElicitRequestFormParams, ElicitResult, InputRequiredResult
from mcp.types.version import is_version_at_least

from mediagen.app.app import App
from mediagen.errors import ApprovalNeededError, BudgetExceededError, InvalidRequestError
from mediagen.ledger.approvals import Approval, Decision
from mediagen.ledger.ids import new_job_id
from mediagen.report.job import JobReport
from mediagen.report.money import dollars
from mediagen.requests import GenerationRequest
from mediagen.server.results import answer
from mediagen.server.serving import ServedCall, ask_first, is_task, serving

KEY = "price"
ASKED_IN_ANSWERS = "2026-07-28"  # the first version in which questions come as the answer of a call
PROMPT_CHARACTERS = 200
ALREADY_MADE = "already_made"

Handler = Callable[[App, Any, Context[App]], Awaitable[CallToolResult]]


async def answer_with_price(
    app: App, tool: str, handler: Handler, request: GenerationRequest, context: Context[App]
) -> CallToolResult | InputRequiredResult:
    """Answer a paid call; where somebody has to agree to its price first, ask.

    Raises:
        ApprovalNeededError: The client cannot ask, or asks as a task.
        BudgetExceededError: It was declined.
    """
    if agreed := await _agreed_before(app, context):
        return await make_agreed(app, agreed, handler, request, context)
    try:
        return await handler(app, request, context)
    except ApprovalNeededError as error:
        if not can_ask(context):
            raise
        if is_task():
            ask_first((await _keep(error, app, tool, request)).job_id)
            raise
        if _asks_in_answers(context):
            return _question(await _keep(error, app, tool, request))
        await _ask_now(error, request, context)
        return await handler(app, request.model_copy(update={"max_usd": error.usd}), context)


async def make_agreed(
    app: App, agreed: Approval, handler: Handler, request: GenerationRequest, context: Context[App]
) -> CallToolResult:
    """Make the job that was agreed to, or tell of it when it is made already."""
    if agreed.made is None:
        request = request.model_copy(update={"max_usd": agreed.usd})
        try:
            with serving(ServedCall(is_task=is_task(), agreed=agreed)):
                return await handler(app, request, context)
        except InvalidRequestError as error:
            if error.code != ALREADY_MADE:
                raise
        agreed = await app.generator.ledger.approval(agreed.job_id) or agreed
    wait_seconds = 0.0 if is_task() else request.wait_seconds
    report = await followed(app, agreed, wait_seconds)
    return await answer(app, report, with_preview=request.preview)


async def followed(app: App, agreed: Approval, wait_seconds: float | None) -> JobReport:
    """How the job stands that fulfils what was agreed to; says so when another call has begun it."""
    job_id = agreed.made or agreed.job_id
    report = await app.generator.follow(job_id, wait_seconds)
    if job_id == agreed.job_id:
        return report
    note = f"This is {job_id}, which another call made for the same wish after its price was asked about."
    return report.model_copy(update={"warnings": [*report.warnings, f"{note} Nothing else was sent."]})


def can_ask(context: Context[App]) -> bool:
    """Whether the client can show a question to whoever sits before it."""
    capabilities = context.client_capabilities
    elicitation = capabilities.elicitation if capabilities else None
    if elicitation is None or (elicitation.form is None and elicitation.url is not None):
        return False
    return _asks_in_answers(context) or context.session.can_send_request


def form(usd: Decimal) -> dict[str, Any]:
    """Schema of the form; to send it off is to agree, unless the box is cleared."""
    agree = {"type": "boolean", "title": f"Spend {dollars(usd)}", "default": True}
    return {"type": "object", "properties": {"agree": agree}}


def decision_of(said: Mapping[str, Any]) -> Decision:
    """What was said: a form that was sent off agrees, unless its box was cleared."""
    content = said.get("content")
    if said.get("action") == "accept":
        return "accept" if not isinstance(content, Mapping) or content.get("agree", True) is True else "decline"
    return "decline" if said.get("action") == "decline" else "cancel"


def declined(usd: Decimal) -> BudgetExceededError:
    """What the caller is told when somebody said no."""
    return BudgetExceededError(
        f"The price of {dollars(usd)} was declined. Nothing was sent.",
        hint="Ask what to change; estimate_cost prices other ways, cheaper ones first.",
        code="approval_declined",
    )


async def _agreed_before(app: App, context: Context[App]) -> Approval | None:
    """What was agreed to in the round before; None where there was none, or it is too long ago."""
    said = (context.input_responses or {}).get(KEY)
    job_id = _job_id_of(context.request_state)
    if job_id is None or not isinstance(said, ElicitResult):
        return None
    ledger = app.generator.ledger
    await ledger.decide_approval(job_id, decision_of(said.model_dump()))
    asked = await ledger.approval(job_id)
    if asked is None or asked.decision is None:
        return None
    if asked.decision == "decline":
        raise declined(asked.usd)
    if asked.decision == "cancel":
        raise _unanswered(asked)
    return asked


async def _ask_now(error: ApprovalNeededError, request: GenerationRequest, context: Context[App]) -> None:
    words, asked = _in_words(error, request), form(error.usd)
    try:
        said = await context.session.elicit_form(words, asked, related_request_id=context.request_id)
    except MCPError:
        # The client says that it can ask, and cannot.
        raise error from None
    decision = decision_of(said.model_dump())
    if decision == "decline":
        raise declined(error.usd)
    if decision == "cancel":
        # Nobody said no: some clients close every form by themselves.
        raise error


async def _keep(error: ApprovalNeededError, app: App, tool: str, request: GenerationRequest) -> Approval:
    """Keep the question until it is answered."""
    now = app.generator.clock
    asked = Approval(
        job_id=new_job_id(now),
        principal=app.principal,
        tool=tool,
        arguments=request.model_dump(mode="json", exclude_unset=True),
        question=_in_words(error, request),
        usd=error.usd,
        created_at=now(),
        fingerprint=error.fingerprint,
    )
    return await app.generator.ledger.ask_approval(asked)


def _unanswered(asked: Approval) -> ApprovalNeededError:
    """Refuse as if the client could not ask: it closed the question without an answer."""
    return ApprovalNeededError(
        f"{asked.question.partition(' Prompt: ')[0]} Nobody answered. Nothing was sent.",
        hint=f"Ask whoever pays; then repeat the call with max_usd={asked.usd} or more.",
        usd=asked.usd,
        basis="",
    )


def _question(asked: Approval) -> InputRequiredResult:
    params = ElicitRequestFormParams(message=asked.question, requested_schema=form(asked.usd))
    state = json.dumps({"job_id": asked.job_id})
    return InputRequiredResult(input_requests={KEY: ElicitRequest(params=params)}, request_state=state)


def _in_words(error: ApprovalNeededError, request: GenerationRequest) -> str:
    prompt = str(getattr(request, "prompt", None) or "")  # a clip may do without
    shown = prompt if len(prompt) <= PROMPT_CHARACTERS else f"{prompt[:PROMPT_CHARACTERS]}…"
    model = f" with {error.model}" if error.model else ""
    wish = f" Prompt: {shown}" if shown else ""
    return f"This costs about {error.basis}{model}. Go ahead?{wish}"


def _asks_in_answers(context: Context[App]) -> bool:
    version = context.protocol_version
    return version is not None and is_version_at_least(version, ASKED_IN_ANSWERS)


def _job_id_of(state: str | None) -> str | None:
    """The job that the question was about; None where the state is not ours."""
    try:
        told = json.loads(state or "{}")
    except ValueError:
        return None
    job_id = told.get("job_id") if isinstance(told, dict) else None
    return job_id if isinstance(job_id, str) else None
