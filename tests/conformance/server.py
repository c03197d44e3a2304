"""A server of our own factory with the tools, resources and prompts that the conformance suite calls by fixed names.

Run it with `python -m tests.conformance.server PORT`.
"""

import sys
from typing import Any

from mcp.server import MCPServer, ServerRequestContext
from mcp.server.streamable_http import EventCallback, EventMessage, EventStore
from mcp.types import (
    EmptyResult,
    JSONRPCMessage,
    SetLevelRequestParams,
    SubscribeRequestParams,
    UnsubscribeRequestParams,
)
from tests.conformance.answers import add_prompts, add_resources, answering_tools
from tests.conformance.asking import add_asking_prompt, asking_tools
from tests.conformance.tasks import MemoryTasks, quick_tools, task_tools

from mediagen.server.build import make_server
from mediagen.server.tasks.extension import TasksExtension

RETRY_MILLISECONDS = 100


class KeptEvents(EventStore):
    """The events of streams, so that a client can go on with one after its connection was closed."""

    def __init__(self) -> None:
        self._events: list[tuple[str, JSONRPCMessage | None]] = []

    async def store_event(self, stream_id: str, message: JSONRPCMessage | None) -> str:
        """Keep an event; its place is its id."""
        self._events.append((stream_id, message))
        return str(len(self._events) - 1)

    async def replay_events_after(self, last_event_id: str, send_callback: EventCallback) -> str | None:
        """Send what came after an event on its stream."""
        last = int(last_event_id)
        if last >= len(self._events):
            return None
        stream = self._events[last][0]
        for place, (stream_id, message) in enumerate(self._events[last + 1 :], last + 1):
            if stream_id == stream and message is not None:
                await send_callback(EventMessage(message, str(place)))
        return stream


def fixture_server() -> MCPServer[None]:
    """The server that the suite can call every scenario on."""
    tasks = MemoryTasks()

    async def source(context: ServerRequestContext[Any, Any]) -> MemoryTasks:
        return tasks

    server = make_server(
        tools=[*answering_tools(), *asking_tools(), *quick_tools(), *task_tools()],
        extensions=[TasksExtension(source)],
        lifespan=tasks.running,
        instructions="Answers the MCP conformance suite.",
    )
    add_resources(server)
    add_prompts(server)
    add_asking_prompt(server)
    _add_handshake_methods(server)
    return server


def _add_handshake_methods(server: MCPServer[None]) -> None:
    """Methods that exist only in the handshake era and that the SDK serves only through its low-level server."""

    async def done(context: ServerRequestContext[Any, Any], params: Any) -> EmptyResult:
        return EmptyResult()

    low = server._lowlevel_server
    low.add_request_handler("logging/setLevel", SetLevelRequestParams, done)
    low.add_request_handler("resources/subscribe", SubscribeRequestParams, done)
    low.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, done)


def main() -> None:
    """Serve on a port of this machine until the process is told to stop."""
    import uvicorn

    host, port = "127.0.0.1", int(sys.argv[1])
    app = fixture_server().streamable_http_app(host=host, event_store=KeptEvents(), retry_interval=RETRY_MILLISECONDS)
    uvicorn.run(app, host=host, port=port, log_level="warning", timeout_graceful_shutdown=1)


if __name__ == "__main__":
    main()
