"""Builds the MCP server from settings."""

import dataclasses
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeVar

import anyio
from mcp.server import MCPServer
from mcp.server.extension import Extension
from mcp.server.mcpserver.tools import Tool
from mcp.server.request_state import RequestStateSecurity

from mediagen import __version__
from mediagen.app.app import App, open_app
from mediagen.runner.runner import Runner
from mediagen.server.completion import add_completion
from mediagen.server.http.front import Front
from mediagen.server.http.links import state_security
from mediagen.server.instructions import instructions
from mediagen.server.prompts.answers import add_prompts
from mediagen.server.resources.answers import add_resources
from mediagen.server.tasks.extension import TasksExtension
from mediagen.server.tasks.jobs import JobTasks
from mediagen.server.toolsets import TOOLS
from mediagen.server.viewer.parts import add_parts
from mediagen.server.viewer.viewer import viewer
from mediagen.settings import Settings

SIGTERM_SECONDS = 0.05

PartsT = TypeVar("PartsT")
Lifespan = Callable[[MCPServer[PartsT]], AbstractAsyncContextManager[PartsT]]


def build_server(settings: Settings, *, ends_on_sigterm: bool = False, front: Front | None = None) -> MCPServer[App]:
    """The server with the chosen toolsets; parts are built when a client connects.

    Args:
        settings: What the environment says.
        ends_on_sigterm: Whether SIGTERM ends the process as soon as no paid request is on its way.
        front: Of the HTTP transport: told the app, and says whether its callers have names.
    """
    is_shared = front is not None and front.is_shared

    @asynccontextmanager
    async def lifespan(server: MCPServer[App]) -> AsyncIterator[App]:  # noqa: ARG001 - the SDK's signature
        async with anyio.create_task_group() as group:
            async with open_app(settings, role="server") as opened:
                app = dataclasses.replace(opened, is_shared=is_shared)
                if ends_on_sigterm:
                    group.start_soon(_end_on_sigterm, app.runner)
                app.runner.scheduler.start_sweeping()
                if front:
                    front.open(app)
                yield app
            group.cancel_scope.cancel()

    server = make_server(
        tools=[tool.build() for tool in TOOLS if tool.toolset in settings.toolsets],
        extensions=[TasksExtension(JobTasks()), viewer()],
        lifespan=lifespan,
        instructions=instructions(settings.toolsets, is_shared=is_shared),
        questions=state_security(settings) if is_shared else None,
    )
    add_resources(server, settings)
    add_prompts(server)
    add_completion(server)
    add_parts(server)
    return server


def make_server(
    *,
    tools: Sequence[Tool],
    lifespan: Lifespan[PartsT],
    instructions: str,
    extensions: Sequence[Extension] = (),
    questions: RequestStateSecurity | None = None,
) -> MCPServer[PartsT]:
    """A server of ours with whatever tools it is given; resources and prompts are added to what is returned.

    The one place that constructs a server, so that the conformance suite meets the same one as clients do.

    Args:
        tools: In the order in which they are listed.
        lifespan: Opens the parts that the tools work with.
        instructions: What a model is told before it calls anything.
        extensions: Protocol extensions, the first outermost.
        questions: Seals what comes back with the answer to a question; None: of this process alone.
    """
    return MCPServer[PartsT](
        "mediagen",
        title="mediagen: pictures and films",
        description="Pictures and films on Google's media models.",
        instructions=instructions,
        version=__version__,
        tools=[*tools],
        extensions=extensions,
        lifespan=lifespan,
        request_state_security=questions,
        log_level="WARNING",
    )


async def _end_on_sigterm(runner: Runner) -> None:
    """End the process on SIGTERM, after a paid answer that is on its way was kept."""
    with anyio.open_signal_receiver(signal.SIGTERM) as signals:
        async for _ in signals:
            while runner.is_sending:  # noqa: ASYNC110 - the process ends here; an event would serve nothing else
                await anyio.sleep(SIGTERM_SECONDS)
            # Standard input is being read in a thread that cannot be interrupted; everything of ours is on the disk.
            os._exit(128 + signal.SIGTERM)
