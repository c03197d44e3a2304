"""The one place that reaches behind `MCPServer`.

It lists only resources that never change, knows no subscriptions of the handshake era and hands no context to
completions. Its documentation names the registry of the low-level server as the way to what it lacks, and that server,
like the connection of a session, has no public name in mcp 2.3.
"""

from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

from mcp import MCPError
from mcp.server import MCPServer, ServerRequestContext
from mcp.server.connection import Connection
from mcp.server.mcpserver import Context
from mcp.server.subscriptions import SubscriptionBus
from mcp.types import INTERNAL_ERROR, NotificationParams
from pydantic import BaseModel

from mediagen.errors import MediaGenError

Handler = Callable[[Context[Any], Any], Awaitable[BaseModel]]


def handle(
    server: MCPServer[Any], method: str, params_type: type[BaseModel], where: str, *, needs_app: bool = True
) -> None:
    """Answer a method in place of the SDK, if that answers it at all.

    Args:
        server: Of which all methods are.
        method: Its name.
        params_type: Its parameters.
        where: Module and function (``module:function``) that answers; loaded with the first call. It is called with
            the context, the parameters and whoever answered before, or None.
        needs_app: Whether it is called only once the app is open.
    """
    others = _handler_of(server, method)

    async def answer(request_context: ServerRequestContext[Any, Any], params: Any) -> BaseModel:
        if needs_app:
            await _ready(request_context)
        result = await _found(where)(_context(server, request_context), params, others)
        assert isinstance(result, BaseModel)
        return result

    server._lowlevel_server.add_request_handler(method, params_type, answer)  # noqa: SLF001 - see the module


def _handler_of(server: MCPServer[Any], method: str) -> Handler | None:
    """Who answers a method at present; for who adds to the answer."""
    entry = server._lowlevel_server.get_request_handler(method)  # noqa: SLF001 - see the module
    if entry is None:
        return None
    found = entry.handler

    async def answer(context: Context[Any], params: Any) -> BaseModel:
        result = await found(context.request_context, params)
        assert isinstance(result, BaseModel)
        return result

    return answer


async def _ready(request_context: ServerRequestContext[Any, Any]) -> None:
    try:
        await request_context.lifespan_context.ready()
    except MediaGenError as error:
        from mediagen.report.text import error_in_words

        raise MCPError(INTERNAL_ERROR, error_in_words(error)) from None


def _found(where: str) -> Callable[..., Any]:
    module, _, name = where.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), name)
    return found


def on_initialized(server: MCPServer[Any], where: str) -> None:
    """Have a function told of each session of the handshake era that has begun, once the app is open.

    Args:
        server: Of the sessions.
        where: Module and function; called with the context.
    """

    async def begun(request_context: ServerRequestContext[Any, Any], params: NotificationParams) -> None:  # noqa: ARG001 - the SDK's signature
        context = _context(server, request_context)
        take_back = request_context.lifespan_context.when_open(lambda _app: _found(where)(context))
        connection_of(context).exit_stack.callback(take_back)

    server._lowlevel_server.add_notification_handler(  # noqa: SLF001 - see the module
        "notifications/initialized", NotificationParams, begun
    )


async def serve_streams(server: MCPServer[Any], incoming: Any, outgoing: Any) -> None:
    """Serve one client over two streams of messages, as a transport of the SDK gives them, until the first one ends."""
    low = server._lowlevel_server  # noqa: SLF001 - see the module
    await low.run(incoming, outgoing, low.create_initialization_options())


def connection_of(context: Context[Any]) -> Connection:
    """The connection of a request: what outlives the request, and says when it ends."""
    return context.request_context.session._connection  # noqa: SLF001 - see the module


def bus_of(server: MCPServer[Any]) -> SubscriptionBus:
    """What `Context.notify_…` publishes on."""
    return server._subscriptions  # noqa: SLF001 - see the module


def _context(server: MCPServer[Any], request_context: ServerRequestContext[Any, Any]) -> Context[Any]:
    return Context(request_context=request_context, mcp_server=server, subscriptions=bus_of(server))
