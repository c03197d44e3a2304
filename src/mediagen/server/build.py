"""Builds the MCP server from settings."""

import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeVar

import anyio
from mcp.server import MCPServer
from mcp.server.extension import Extension
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp.server.mcpserver.tools import Tool

from mediagen import __version__
from mediagen.app.app import App, open_app
from mediagen.errors import MediaGenError
from mediagen.runner.runner import Runner
from mediagen.server.instructions import instructions
from mediagen.server.tasks.extension import TasksExtension
from mediagen.server.tasks.jobs import JobTasks
from mediagen.server.toolsets import TOOLS
from mediagen.settings import Settings

# As base64 it has to stay below 1 MB, which is what some clients accept.
LARGEST_RESOURCE = 700_000
SIGTERM_SECONDS = 0.05

PartsT = TypeVar("PartsT")
Lifespan = Callable[[MCPServer[PartsT]], AbstractAsyncContextManager[PartsT]]


def build_server(settings: Settings, *, ends_on_sigterm: bool = False) -> MCPServer[App]:
    """The server with the chosen toolsets; parts are built when a client connects.

    Args:
        settings: What the environment says.
        ends_on_sigterm: Whether SIGTERM ends the process as soon as no paid request is on its way.
    """

    @asynccontextmanager
    async def lifespan(server: MCPServer[App]) -> AsyncIterator[App]:  # noqa: ARG001 - the SDK's signature
        async with anyio.create_task_group() as group:
            async with open_app(settings, role="server") as app:
                if ends_on_sigterm:
                    group.start_soon(_end_on_sigterm, app.runner)
                app.runner.scheduler.start_sweeping()
                yield app
            group.cancel_scope.cancel()

    server = make_server(
        tools=[tool.build() for tool in TOOLS if tool.toolset in settings.toolsets],
        extensions=[TasksExtension(JobTasks())],
        lifespan=lifespan,
        instructions=instructions(settings.toolsets),
    )
    _add_artifact_resource(server)
    return server


def make_server(
    *,
    tools: Sequence[Tool],
    lifespan: Lifespan[PartsT],
    instructions: str,
    extensions: Sequence[Extension] = (),
) -> MCPServer[PartsT]:
    """A server of ours with whatever tools it is given; resources and prompts are added to what is returned.

    The one place that constructs a server, so that the conformance suite meets the same one as clients do.

    Args:
        tools: In the order in which they are listed.
        lifespan: Opens the parts that the tools work with.
        instructions: What a model is told before it calls anything.
        extensions: Protocol extensions, the first outermost.
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


def _add_artifact_resource(server: MCPServer[App]) -> None:
    @server.resource(
        "mediagen://artifacts/{artifact_id}",
        name="artifact",
        title="Generated file",
        description="A picture or clip that mediagen made.",
        mime_type="application/octet-stream",
    )
    async def artifact(artifact_id: str, context: Context[App]) -> bytes:
        app: App = context.request_context.lifespan_context
        try:
            path = await app.generator.artifact_file(artifact_id)
        except MediaGenError as error:
            raise ResourceNotFoundError(str(error)) from error
        size = path.stat().st_size
        if size > LARGEST_RESOURCE:
            raise ResourceError(f"The file has {size} bytes, too many for a message; open it at {path}.")
        return path.read_bytes()
