"""Jobs as tasks: the id of a task is that of its job, which is durable before anybody hears of it.

A job whose price somebody has to agree to first is a task that asks for input; no job is made, nothing is sent before.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mcp.server.context import CallNext, HandlerResult
from mcp.server.mcpserver import Context
from mcp.types import CallToolRequestParams, CallToolResult, TextContent
from pydantic import BaseModel, ValidationError

from mediagen.app.app import App
from mediagen.errors import InvalidRequestError, JobNotFoundError, MediaGenError
from mediagen.generator.deliveries import tells_the_end
from mediagen.jobs import OPEN_STATUSES
from mediagen.ledger.approvals import ANSWERED_WITHIN, Approval
from mediagen.report.harmless import harmless
from mediagen.report.text import error_in_words
from mediagen.requests import CancelJobRequest, EstimateCostRequest, GenerationRequest, explain_invalid
from mediagen.server import approval as approving
from mediagen.server.callers import app_of
from mediagen.server.outgoing import untold
from mediagen.server.publishing import veiled_text
from mediagen.server.results import answer
from mediagen.server.serving import ServedCall, serving
from mediagen.server.tasks.extension import RequestContext, Task
from mediagen.server.toolsets import TOOLS

SHORTEST_POLL, LONGEST_POLL = 0.2, 5.0
DEFECT = "It failed because of a defect in mediagen. Nothing was sent; call again."
CANCELLED = "It was cancelled; nothing was sent."
PAID_TOOLS = {tool.name: tool for tool in TOOLS if tool.name in {"generate_image", "generate_video", "extend_video"}}


class JobTasks:
    """The task source of the server: the job ledger."""

    def __init__(self) -> None:
        self._making: set[str] = set()

    async def takes(self, params: CallToolRequestParams, context: RequestContext) -> bool:
        """Clips, and several pictures; a single picture is waited for, so that it is seen."""
        if params.name != "generate_image":
            return params.name in PAID_TOOLS
        return await _pictures(params.arguments or {}, app_of(context)) > 1

    async def begin(self, context: RequestContext, call: CallNext) -> Task | HandlerResult:
        """Begin a job, or ask about its price; what is refused, or known already, is answered at once."""
        with serving(ServedCall(is_task=True)) as served:
            result = await call(context)
        task_id = served.asked or _running_job(result)
        try:
            with untold():  # of a task that is new its caller gets no result as yet
                task = await self.find(task_id, context) if task_id else None
        except MediaGenError:
            # What was begun is not lost: the answer names the job, or says what to do about the price.
            return result
        return task or result

    async def find(self, task_id: str, context: RequestContext) -> Task | None:
        """Read a job, or the question about its price."""
        app = app_of(context)
        asked = await app.generator.ledger.approval(task_id)
        if asked is None:
            return await self._of_job(task_id, context)
        if asked.decision == "accept" and asked.made is None and asked.refusal is None:
            # Whoever took the answer did not come to it, or is at it.
            await self._make(asked, context)
            asked = await app.generator.ledger.approval(task_id) or asked
        if asked.made:
            return await self._of_job(task_id, context, asked)
        return _of_question(asked, app)

    async def answer(self, task_id: str, answers: Mapping[str, Any], context: RequestContext) -> None:
        """Keep what was said about the price; with a yes the job is made."""
        said = answers.get(approving.KEY)
        ledger = app_of(context).generator.ledger
        asked = await ledger.approval(task_id)
        if asked is None or not isinstance(said, Mapping):
            return
        decision = approving.decision_of(said)
        if await ledger.decide_approval(task_id, decision) and decision == "accept":
            await self._make(asked, context)

    async def cancel(self, task_id: str, context: RequestContext) -> None:
        """Take back the question, or stop the job; what cannot be stopped goes on."""
        app = app_of(context)
        ledger = app.generator.ledger
        asked = await ledger.approval(task_id)
        if asked and (
            await ledger.decide_approval(task_id, "cancel") or await ledger.end_approval(task_id, refusal=CANCELLED)
        ):
            return
        try:
            newest = await app.generator.follow(asked.made or task_id if asked else task_id, 0.0)
            await app.generator.cancel_job(CancelJobRequest(job_id=newest.job_id or task_id))
        except (InvalidRequestError, JobNotFoundError):
            # It has ended, or nothing was made after all: as good as stopped.
            return

    async def _make(self, asked: Approval, context: RequestContext) -> None:
        """Make the job that was agreed to. Whoever else makes it at the same time: one of them is made."""
        if asked.job_id in self._making:
            return
        self._making.add(asked.job_id)
        try:
            with untold():
                await _make(asked, context)
        finally:
            self._making.discard(asked.job_id)

    async def _of_job(self, task_id: str, context: RequestContext, agreed: Approval | None = None) -> Task | None:
        app = app_of(context)
        try:
            follow = approving.followed(app, agreed, 0.0) if agreed else app.generator.follow(task_id, 0.0)
            report = await follow
            job = await app.generator.ledger.get(report.job_id or task_id)
        except JobNotFoundError:
            return None
        task = Task(
            task_id=task_id,
            status="working",
            created_at=job.created_at,
            updated_at=job.updated_at,
            message=harmless(report.progress.message),
            poll_milliseconds=_poll_milliseconds(app),
        )
        if report.status in OPEN_STATUSES or (report.status == "succeeded" and not tells_the_end(report)):
            return task
        if report.status == "cancelled":
            return replace(task, status="cancelled", message="It was cancelled.")
        result = await answer(app, report, with_preview=bool(report.requested.get("preview", True)))
        return replace(task, status="completed", message="", result=_wire(result))


async def _pictures(arguments: Mapping[str, Any], app: App) -> int:
    """How many pictures a call makes: as it says, or as is usual here."""
    said = {name: arguments[name] for name in ("count", "model", "preset", "backend", "profile") if name in arguments}
    try:
        request = EstimateCostRequest.model_validate({"kind": "image", **said})
        return request.count or (await app.estimates.estimate_cost(request)).count
    except (ValidationError, MediaGenError):
        # Refused when it is served.
        return 1


async def _make(asked: Approval, context: RequestContext) -> None:
    app = app_of(context)
    ledger = app.generator.ledger
    if app.principal is None and asked.principal is not None:
        # Whoever owns the machine may answer for others; the job is theirs all the same.
        app = app.of(asked.principal)
    try:
        tool = PAID_TOOLS[asked.tool]
        request = _request_of(asked, tool.request)
        with serving(ServedCall(is_task=True)):
            await approving.make_agreed(app, asked, tool.handler, request, Context(request_context=context))
    except MediaGenError as error:
        if not error.retryable:
            await ledger.end_approval(asked.job_id, refusal=error_in_words(error))
    except Exception:
        await ledger.end_approval(asked.job_id, refusal=DEFECT)
        raise


def _request_of(asked: Approval, kind: type[BaseModel]) -> GenerationRequest:
    try:
        request = kind.model_validate(asked.arguments)
    except ValidationError as error:
        # Another version asked, which takes other arguments; `from error` would carry them into logs.
        raise InvalidRequestError(explain_invalid(error, kind), hint="Nothing was sent; call again.") from None
    assert isinstance(request, GenerationRequest)
    return request


def _of_question(asked: Approval, app: App) -> Task:
    task = Task(
        task_id=asked.job_id,
        status="working",
        created_at=asked.created_at,
        updated_at=asked.decided_at or asked.created_at,
        message="The job is being prepared.",
        poll_milliseconds=_poll_milliseconds(app),
    )
    if asked.decision is None and app.generator.clock() - asked.created_at > ANSWERED_WITHIN:
        return replace(task, status="cancelled", message="Nobody answered in time; nothing was sent.")
    if asked.decision is None:
        form = {"mode": "form", "message": asked.question, "requestedSchema": approving.form(asked.usd)}
        return replace(
            task,
            status="input_required",
            message="Waits until somebody agrees to the price; nothing is sent before.",
            questions={approving.KEY: {"method": "elicitation/create", "params": form}},
        )
    if asked.decision == "cancel" or asked.refusal == CANCELLED:
        return replace(task, status="cancelled", message=CANCELLED)
    if asked.decision == "accept" and asked.refusal is None:
        return task
    said = asked.refusal or error_in_words(approving.declined(asked.usd))
    result = CallToolResult(content=[TextContent(type="text", text=harmless(veiled_text(app, said)))], is_error=True)
    return replace(task, status="completed", message="", result=_wire(result))


def _running_job(result: HandlerResult) -> str | None:
    """Id of the job that a call began or found, when it still goes on."""
    if not isinstance(result, CallToolResult) or result.is_error:
        return None
    told = result.structured_content or {}
    goes_on = told.get("status") in OPEN_STATUSES or (told.get("next") or {}).get("tool") == "get_job"
    return told.get("job_id") if goes_on else None


def _poll_milliseconds(app: App) -> int:
    return round(1000 * min(LONGEST_POLL, max(SHORTEST_POLL, app.settings.poll_seconds / 2)))


def _wire(result: CallToolResult) -> dict[str, Any]:
    wire: dict[str, Any] = result.model_dump(by_alias=True, mode="json", exclude_none=True)
    return wire


JOB_TASKS = JobTasks()
"""Of this process."""
