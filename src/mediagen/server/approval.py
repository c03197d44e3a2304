"""Asks whoever pays to agree to a price, where the client can put the question to them.

Up to 2025-11-25 the question goes out while the call waits; from 2026-07-28 on the call is answered with it and comes
again with what was said. A call that is followed as a task waits for it as a question of the task.
"""

import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from mcp import MCPError
from mcp.server.mcpserver import Context
from mcp.types import ElicitRequest, ElicitRequestFormParams, ElicitResult, InputRequiredResult
from mcp.types.version import is_version_at_least

from mediagen.app.app import App
from mediagen.errors import ApprovalNeededError, BudgetExceededError
from mediagen.ledger.approvals import Approval, Decision
from mediagen.ledger.ids import new_job_id
from mediagen.report.money import dollars
from mediagen.requests import GenerationRequest

KEY = "price"
ASKED_IN_ANSWERS = "2026-07-28"  # the first version in which questions come as the answer of a call
PROMPT_CHARACTERS = 200


def can_ask(context: Context[App]) -> bool:
    """Whether the client can show a question to whoever sits before it."""
    capabilities = context.client_capabilities
    elicitation = capabilities.elicitation if capabilities else None
    if elicitation is None or (elicitation.form is None and elicitation.url is not None):
        return False
    return _asks_in_answers(context) or context.session.can_send_request


def question_of(error: ApprovalNeededError, request: GenerationRequest) -> str:
    """The question, in words."""
    prompt = str(getattr(request, "prompt", None) or "")  # a clip may do without
    shown = prompt if len(prompt) <= PROMPT_CHARACTERS else f"{prompt[:PROMPT_CHARACTERS]}…"
    wish = f" Prompt: {shown}" if shown else ""
    return f"This costs about {dollars(error.usd)} ({error.basis}). Go ahead?{wish}"


def form(usd: Decimal) -> dict[str, Any]:
    """Schema of the form; to send it off is to agree, unless the box is cleared."""
    agree = {"type": "boolean", "title": f"Spend {dollars(usd)}", "default": True}
    return {"type": "object", "properties": {"agree": agree}}


def decision_of(answer: Mapping[str, Any]) -> Decision:
    """What was said: only a form that was sent off with its box set agrees."""
    content = answer.get("content")
    if answer.get("action") == "accept":
        return "accept" if not isinstance(content, Mapping) or content.get("agree", True) is True else "decline"
    return "decline" if answer.get("action") == "decline" else "cancel"


def answered_before(context: Context[App], request: GenerationRequest) -> GenerationRequest:
    """The request with the price that was agreed to in the round before, where there was one.

    Raises:
        BudgetExceededError: It was declined.
    """
    answer = (context.input_responses or {}).get(KEY)
    usd = _usd_of(context.request_state)
    if not isinstance(answer, ElicitResult) or usd is None:
        return request
    return _agreed(request, usd, decision_of(answer.model_dump()))


async def ask(
    error: ApprovalNeededError, context: Context[App], request: GenerationRequest
) -> GenerationRequest | InputRequiredResult:
    """Put the question: the request with the price that was agreed to, or the answer by which the client asks.

    Raises:
        ApprovalNeededError: The client cannot ask.
        BudgetExceededError: It was declined.
    """
    if not can_ask(context):
        raise error
    question = question_of(error, request)
    if _asks_in_answers(context):
        asked = ElicitRequest(params=ElicitRequestFormParams(message=question, requested_schema=form(error.usd)))
        return InputRequiredResult(input_requests={KEY: asked}, request_state=json.dumps({"usd": str(error.usd)}))
    try:
        answer = await context.session.elicit_form(question, form(error.usd), related_request_id=context.request_id)
    except MCPError:
        # The client says that it can ask, and cannot.
        raise error from None
    return _agreed(request, error.usd, decision_of(answer.model_dump()))


async def keep_question(error: ApprovalNeededError, app: App, tool: str, request: GenerationRequest) -> str:
    """Keep the question until it is answered; returns the id of the job that is made then.

    Raises:
        LedgerError: It cannot be kept.
    """
    ledger, now = app.generator.ledger, app.generator.clock
    asked = Approval(
        job_id=new_job_id(now),
        principal=app.principal,
        tool=tool,
        arguments=request.model_dump(mode="json", exclude_unset=True),
        question=question_of(error, request),
        usd=error.usd,
        created_at=now(),
    )
    await ledger.ask_approval(asked)
    return asked.job_id


def declined(usd: Decimal) -> BudgetExceededError:
    """What the caller is told when somebody said no."""
    return BudgetExceededError(
        f"The price of {dollars(usd)} was declined. Nothing was sent.",
        hint="Ask what to change; estimate_cost names cheaper ways.",
        code="approval_declined",
    )


def _agreed(request: GenerationRequest, usd: Decimal, decision: Decision) -> GenerationRequest:
    if decision != "accept":
        raise declined(usd)
    return request.model_copy(update={"max_usd": usd})


def _asks_in_answers(context: Context[App]) -> bool:
    version = context.protocol_version
    return version is not None and is_version_at_least(version, ASKED_IN_ANSWERS)


def _usd_of(state: str | None) -> Decimal | None:
    """The price that was asked about; None where the state is not ours."""
    try:
        return Decimal(json.loads(state or "{}")["usd"])
    except (ValueError, KeyError, TypeError, InvalidOperation):
        return None
