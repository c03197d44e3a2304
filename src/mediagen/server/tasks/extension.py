"""The extension ``io.modelcontextprotocol/tasks`` on the wire: who declared it, and its three methods.

What a task is and where it is kept is the business of a `TaskSource`.
Source: https://github.com/modelcontextprotocol/ext-tasks, SEP-2663 (checked 2026-11-21).
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

from mcp import MCPError
from mcp.server import ServerRequestContext
from mcp.server.context import CallNext, HandlerResult
from mcp.server.extension import Extension, MethodBinding
from mcp.server.mcpserver import require_client_extension
from mcp.types import HEADER_MISMATCH, INTERNAL_ERROR, INVALID_PARAMS, CallToolRequestParams, RequestParams
from pydantic import ConfigDict, Field

from mediagen.errors import MediaGenError
from mediagen.server.outgoing import untold

TASKS = "io.modelcontextprotocol/tasks"
VERSIONS = frozenset({"2026-07-28"})
TaskStatus = Literal["working", "input_required", "completed", "failed", "cancelled"]
RequestContext = ServerRequestContext[Any, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """How a task stands.

    Attributes:
        message: What it is doing, for people.
        poll_milliseconds: How soon it is worth asking again.
        result: Of the tool call, once the status is ``completed``.
        error: JSON-RPC error, once it is ``failed``.
        questions: What the caller is asked, by key, while it is ``input_required``.
    """

    task_id: str
    status: TaskStatus
    created_at: datetime
    updated_at: datetime
    message: str = ""
    poll_milliseconds: int = 2_000
    result: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    questions: Mapping[str, Mapping[str, Any]] | None = None


class TaskSource(Protocol):
    """Makes and keeps tasks. Every task it names can be found by the next request, on another process too."""

    async def takes(self, params: CallToolRequestParams, context: RequestContext) -> bool:
        """Whether a tool call may become a task."""

    async def begin(self, context: RequestContext, call: CallNext) -> Task | HandlerResult:
        """Begin a tool call by `call`: a task that is kept already, or the answer where there is one at once."""

    async def find(self, task_id: str, context: RequestContext) -> Task | None:
        """Read a task; None where the caller has none of that id."""

    async def answer(self, task_id: str, answers: Mapping[str, Any], context: RequestContext) -> None:
        """Take what the caller answered, by key; keys that nobody asks for, or no longer, mean nothing."""

    async def cancel(self, task_id: str, context: RequestContext) -> None:
        """Stop a task; one that has ended stays as it is."""


GetSource = Callable[[RequestContext], Awaitable[TaskSource]]
"""Gives the task source of the server that a request came to."""


class TaskParams(RequestParams):
    """Parameters that name a task."""

    task_id: str = Field(alias="taskId")
    model_config = ConfigDict(populate_by_name=True)


class AnswerParams(TaskParams):
    """Parameters of ``tasks/update``."""

    input_responses: dict[str, Any] = Field(alias="inputResponses", default_factory=dict)


class TasksExtension(Extension):
    """Answers the tool calls of callers that declared tasks with a task, where the source makes one of them."""

    identifier = TASKS

    def __init__(self, source: GetSource) -> None:
        self._source = source

    async def intercept_tool_call(
        self, params: CallToolRequestParams, ctx: RequestContext, call_next: CallNext
    ) -> HandlerResult:
        """Begin a task instead of waiting, if the caller can follow one."""
        if not declares_tasks(ctx):
            return await call_next(ctx)
        with _told(ctx):
            source = await self._source(ctx)
        if not await source.takes(params, ctx):
            return await call_next(ctx)
        begun = await source.begin(ctx, call_next)
        return {"resultType": "task", **_fields(begun)} if isinstance(begun, Task) else begun

    def methods(self) -> Sequence[MethodBinding]:
        """The methods by which a task is followed."""
        return [
            MethodBinding("tasks/get", TaskParams, self._get, VERSIONS),
            MethodBinding("tasks/update", AnswerParams, self._update, VERSIONS),
            MethodBinding("tasks/cancel", TaskParams, self._cancel, VERSIONS),
        ]

    async def _get(self, ctx: RequestContext, params: TaskParams) -> dict[str, Any]:
        with _told(ctx):
            task = await self._find(ctx, params)
        details = {"result": task.result, "error": task.error, "inputRequests": task.questions}
        return {**_fields(task), **{name: value for name, value in details.items() if value is not None}}

    async def _update(self, ctx: RequestContext, params: AnswerParams) -> dict[str, Any]:
        with _told(ctx), untold():
            await self._find(ctx, params)
            await (await self._source(ctx)).answer(params.task_id, params.input_responses, ctx)
        return {}

    async def _cancel(self, ctx: RequestContext, params: TaskParams) -> dict[str, Any]:
        with _told(ctx), untold():
            await self._find(ctx, params)
            await (await self._source(ctx)).cancel(params.task_id, ctx)
        return {}

    async def _find(self, ctx: RequestContext, params: TaskParams) -> Task:
        require_client_extension(ctx, TASKS)
        headers: Mapping[str, str] | None = getattr(ctx.request, "headers", None)
        if headers is not None and headers.get("mcp-name") != params.task_id:
            raise MCPError(code=HEADER_MISMATCH, message="The header Mcp-Name is not the taskId of the request.")
        task = await (await self._source(ctx)).find(params.task_id, ctx)
        if task is None:
            raise MCPError(code=INVALID_PARAMS, message=f"There is no task {params.task_id!r}.")
        return task


def declares_tasks(context: RequestContext) -> bool:
    """Whether the caller can follow a task, as this request says."""
    capabilities = context.session.client_capabilities
    return context.protocol_version in VERSIONS and bool(
        capabilities and capabilities.extensions and TASKS in capabilities.extensions
    )


@contextmanager
def _told(context: RequestContext) -> Iterator[None]:
    """Tell callers of our errors what happened and what to do; the task stays as it is."""
    try:
        yield
    except MediaGenError as error:
        # Loaded by now, or only because of the error.
        from mediagen.server.publishing import error_told_to

        raise MCPError(code=INTERNAL_ERROR, message=error_told_to(context, error)) from None


def _fields(task: Task) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "taskId": task.task_id,
        "status": task.status,
        "createdAt": _moment(task.created_at),
        "lastUpdatedAt": _moment(task.updated_at),
        # Kept as long as the job.
        "ttlMs": None,
        "pollIntervalMs": task.poll_milliseconds,
    }
    return {**fields, "statusMessage": task.message} if task.message else fields


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
