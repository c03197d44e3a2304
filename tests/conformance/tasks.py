"""Tasks of the conformance suite, kept in memory, behind the extension that the product serves its jobs with."""

import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import anyio
from anyio.abc import TaskGroup
from mcp import MCPError
from mcp.server import MCPServer
from mcp.server.context import CallNext, HandlerResult
from mcp.server.mcpserver import Context, require_client_extension
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp.types import INTERNAL_ERROR, CallToolRequestParams, CallToolResult, ElicitRequest, InputRequiredResult
from tests.conformance.answers import as_tools
from tests.conformance.asking import Asked, ask_name, form, said

from mediagen.server.tasks.extension import TASKS, RequestContext, Task, TaskStatus

# A tool that answers or asks within this time is no task.
GRACE_SECONDS = 0.1
POLL_MILLISECONDS = 100


@dataclass(kw_only=True, slots=True)
class Kept:
    """A task while the process lives."""

    task_id: str
    status: TaskStatus = "working"
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    questions: dict[str, ElicitRequest] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)
    result: HandlerResult = None
    error: MCPError | None = None
    answered: anyio.Event = field(default_factory=anyio.Event)
    ended: anyio.Event = field(default_factory=anyio.Event)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    def as_task(self) -> Task:
        """What the extension is told."""
        questions = {
            key: question.model_dump(by_alias=True, mode="json", exclude_none=True)
            for key, question in self.questions.items()
        }
        result = None
        if isinstance(self.result, CallToolResult):
            result = self.result.model_dump(by_alias=True, mode="json", exclude_none=True)
        return Task(
            task_id=self.task_id,
            status="input_required" if questions else self.status,
            created_at=self.created_at,
            updated_at=datetime.now(UTC),
            poll_milliseconds=POLL_MILLISECONDS,
            result=result,
            error=self.error.error.model_dump(mode="json", exclude_none=True) if self.error else None,
            questions=questions or None,
        )


_current: ContextVar[Kept | None] = ContextVar("kept_task", default=None)


class MemoryTasks:
    """A task source that forgets."""

    def __init__(self) -> None:
        self._kept: dict[str, Kept] = {}
        self._group: TaskGroup | None = None

    @asynccontextmanager
    async def running(self, server: MCPServer[None]) -> AsyncIterator[None]:
        """The lifespan of a server with these tasks."""
        async with anyio.create_task_group() as self._group:
            yield
            self._group.cancel_scope.cancel()

    async def takes(self, params: CallToolRequestParams, context: RequestContext) -> bool:
        """Tools that take their time."""
        return params.name in {tool.name for tool in task_tools()}

    async def begin(self, context: RequestContext, call: CallNext) -> Task | HandlerResult:
        """Run the tool in the background, unless it answers at once."""
        assert self._group is not None
        kept = Kept(task_id=secrets.token_urlsafe(18))
        self._kept[kept.task_id] = kept
        self._group.start_soon(self._run, kept, context, call)
        with anyio.move_on_after(GRACE_SECONDS):
            await kept.ended.wait()
        if isinstance(kept.result, InputRequiredResult):
            del self._kept[kept.task_id]
            return kept.result
        return kept.as_task()

    async def _run(self, kept: Kept, context: RequestContext, call: CallNext) -> None:
        _current.set(kept)
        with kept.scope:
            try:
                kept.result = await call(context)
                kept.status = "completed"
            except MCPError as error:
                kept.error, kept.status = error, "failed"
            finally:
                kept.ended.set()
        if kept.scope.cancelled_caught:
            kept.questions.clear()
            kept.status = "cancelled"

    async def find(self, task_id: str, context: RequestContext) -> Task | None:
        """Read one."""
        kept = self._kept.get(task_id)
        return kept.as_task() if kept else None

    async def answer(self, task_id: str, answers: Mapping[str, Any], context: RequestContext) -> None:
        """Take answers to what is still asked."""
        kept = self._kept[task_id]
        for key in kept.questions.keys() & answers.keys():
            kept.answers[key] = answers[key]
            del kept.questions[key]
        if not kept.questions:
            kept.answered.set()

    async def cancel(self, task_id: str, context: RequestContext) -> None:
        """Stop one that still runs."""
        kept = self._kept[task_id]
        if not kept.ended.is_set():
            kept.scope.cancel()
            await kept.ended.wait()


async def _ask(context: Context[Any], *questions: ElicitRequest) -> list[Any]:
    """Put questions by the task of this call, all at once; their answers in the same order."""
    kept = _current.get()
    if kept is None:
        require_client_extension(context.request_context, TASKS)
        raise ToolError("this call is no task")
    keys = [secrets.token_hex(4) for _ in questions]
    kept.questions = dict(zip(keys, questions, strict=True))
    await kept.answered.wait()
    return [kept.answers[key] for key in keys]


async def greet(name: str) -> str:
    return f"Hello, {name}!"


async def slow_compute(seconds: float, label: str = "") -> str:
    await anyio.sleep(seconds)
    return f"computed {label}"


async def failing_job(context: Context[Any]) -> str:
    require_client_extension(context.request_context, TASKS)
    await anyio.sleep(1)
    raise ToolError("this job always fails")


async def protocol_error_job() -> str:
    await anyio.sleep(2 * GRACE_SECONDS)
    raise MCPError(code=INTERNAL_ERROR, message="this job breaks the protocol")


async def confirm_delete(filename: str, context: Context[Any]) -> str:
    [answer] = await _ask(context, form(f"Delete {filename}?", {"confirm": {"type": "boolean"}}))
    return f"{filename}: {answer.get('action')}"


async def multi_input(context: Context[Any]) -> str:
    answers = await _ask(context, ask_name("Your name?"), form("Your color?", {"color": {"type": "string"}}))
    return f"answered: {[answer.get('action') for answer in answers]}"


async def test_tool_with_task(context: Context[Any]) -> Asked:
    require_client_extension(context.request_context, TASKS)
    name = said(context, "user_name", "name")
    if not name:
        return InputRequiredResult(input_requests={"user_name": ask_name()}, request_state="asked")
    await anyio.sleep(2 * GRACE_SECONDS)
    return f"Hello, {name}!"


def task_tools() -> list[Tool]:
    """The tools that may become tasks."""
    return as_tools((slow_compute, failing_job, protocol_error_job, confirm_delete, multi_input, test_tool_with_task))


def quick_tools() -> list[Tool]:
    """The tool of the task scenarios that is no task."""
    return as_tools((greet,))
