"""A client that follows tasks, and says yes or no to a price."""

from collections.abc import Mapping
from typing import Any, Literal

import anyio
from mcp import Client
from mcp.client.extension import ClaimContext, ClientExtension, ResultClaim
from mcp.types import CallToolResult, Request, RequestParams, Result
from pydantic import ConfigDict

from mediagen.server.tasks.extension import TASKS

WAIT_SECONDS = 30


class TaskResult(Result):
    """What a call is answered with that became a task."""

    result_type: Literal["task"] = "task"
    model_config = ConfigDict(extra="allow")


class AnyResult(Result):
    """Whatever a method is answered with."""

    model_config = ConfigDict(extra="allow")


class Tasks(ClientExtension):
    """Declares tasks."""

    identifier = TASKS

    def claims(self) -> list[ResultClaim[Any]]:
        async def unused(result: TaskResult, context: ClaimContext) -> CallToolResult:
            raise NotImplementedError

        return [ResultClaim(result_type="task", model=TaskResult, resolve=unused)]


class Params(RequestParams):
    """Whatever a method takes."""

    model_config = ConfigDict(extra="allow")


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool and take what comes: a result, a question or a task."""
    result = await client.session.call_tool(tool, arguments, allow_claimed=True, allow_input_required=True)
    return result.model_dump(by_alias=True, mode="json", exclude_none=True)


async def send(client: Client, method: str, task_id: str, **params: Any) -> dict[str, Any]:
    """Send one of the methods of tasks; raises MCPError."""
    told = Params.model_validate({"taskId": task_id, **params})
    answer = await client.session.send_request(Request[Params, str](method=method, params=told), AnyResult)
    return answer.model_dump(by_alias=True, mode="json", exclude_none=True)


async def ended(client: Client, task_id: str, *, statuses: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Ask for a task until it has ended."""
    with anyio.fail_after(WAIT_SECONDS):
        while True:
            task = await send(client, "tasks/get", task_id)
            if task["status"] in (statuses or {"completed", "failed", "cancelled"}):
                return task
            await anyio.sleep(min(0.05, task["pollIntervalMs"] / 1000))
