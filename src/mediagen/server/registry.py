"""The one place that reaches behind `MCPServer`.

It lists only resources that never change, knows no subscriptions of the handshake era and hands no context to
completions. Its documentation names the registry of the low-level server as the way to what it lacks, and that server,
like the connection of a session, has no public name in mcp 2.3.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from mcp.server import MCPServer, ServerRequestContext
from mcp.server.connection import Connection
from mcp.server.mcpserver import Context
from mcp.server.subscriptions import SubscriptionBus
from mcp.types import NotificationParams
from pydantic import BaseModel

from mediagen.app.app import App

Params = TypeVar("Params", bound=BaseModel)
Handler = Callable[[Context[App], Any], Awaitable[BaseModel]]
NoticeHandler = Callable[[Context[App]], Awaitable[None]]


def handle(server: MCPServer[App], method: str, params_type: type[BaseModel], handler: Handler) -> None:
    """Answer a method in place of the SDK, if that answers it at all."""

    async def answer(request_context: ServerRequestContext[App, Any], params: Any) -> BaseModel:
        return await handler(_context(server, request_context), params)

    server._lowlevel_server.add_request_handler(method, params_type, answer)  # noqa: SLF001 - see the module


def handler_of(server: MCPServer[App], method: str) -> Handler:
    """Who answers a method at present; for who adds to the answer."""
    entry = server._lowlevel_server.get_request_handler(method)  # noqa: SLF001 - see the module
    assert entry is not None
    found = entry.handler

    async def answer(context: Context[App], params: Any) -> BaseModel:
        result = await found(context.request_context, params)
        assert isinstance(result, BaseModel)
        return result

    return answer


def on_initialized(server: MCPServer[App], handler: NoticeHandler) -> None:
    """Be told of each session of the handshake era that has begun."""

    async def begun(request_context: ServerRequestContext[App, Any], params: NotificationParams) -> None:  # noqa: ARG001 - the SDK's signature
        await handler(_context(server, request_context))

    server._lowlevel_server.add_notification_handler(  # noqa: SLF001 - see the module
        "notifications/initialized", NotificationParams, begun
    )


def connection_of(context: Context[App]) -> Connection:
    """The connection of a request: what outlives the request, and says when it ends."""
    return context.request_context.session._connection  # noqa: SLF001 - see the module


def bus_of(server: MCPServer[App]) -> SubscriptionBus:
    """What `Context.notify_…` publishes on."""
    return server._subscriptions  # noqa: SLF001 - see the module


def _context(server: MCPServer[App], request_context: ServerRequestContext[App, Any]) -> Context[App]:
    return Context(request_context=request_context, mcp_server=server, subscriptions=bus_of(server))
