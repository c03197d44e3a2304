"""Builds the MCP server from settings."""

import dataclasses
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
from mcp.server import MCPServer, ServerRequestContext
from mcp.server.extension import Extension
from mcp.server.mcpserver.tools import Tool
from mcp.server.request_state import RequestStateSecurity

from mediagen import __version__
from mediagen.errors import ConfigurationError
from mediagen.ledger.glance import has_unfinished
from mediagen.server.desk import Desk
from mediagen.server.instructions import instructions
from mediagen.server.listing import listed_tools
from mediagen.server.methods import add_methods
from mediagen.server.outgoing import caught_up
from mediagen.server.tasks.extension import TasksExtension, TaskSource
from mediagen.server.viewer.parts import add_parts
from mediagen.server.viewer.viewer import viewer
from mediagen.settings import Settings

if TYPE_CHECKING:
    from mediagen.app.app import App
    from mediagen.server.http.front import Front

SIGTERM_SECONDS = 0.05

PartsT = TypeVar("PartsT")
Lifespan = Callable[[MCPServer[PartsT]], AbstractAsyncContextManager[PartsT]]


def build_server(settings: Settings, *, ends_on_sigterm: bool = False, front: "Front | None" = None) -> MCPServer[Desk]:
    """The server with the chosen toolsets. What serves the calls is loaded and opened with the first of them.

    Args:
        settings: What the environment says.
        ends_on_sigterm: Whether SIGTERM ends the process as soon as no paid request is on its way.
        front: Of the HTTP transport: told the app, which is then opened at once, and says whether its callers have
            names.
    """
    is_shared = front is not None and front.is_shared

    @asynccontextmanager
    async def lifespan(server: MCPServer[Desk]) -> AsyncIterator[Desk]:  # noqa: ARG001 - the SDK's signature
        desk = Desk(partial(_opened, settings, is_shared=is_shared))
        async with anyio.create_task_group() as group, desk.attended(partial(_has_work, settings)):
            if ends_on_sigterm:
                group.start_soon(_end_on_sigterm, desk)
            if front:
                await desk.ready()
                front.open(desk.app)
            try:
                yield desk
            finally:
                # A client may have its last answer, and be gone, before that is known here.
                with anyio.CancelScope(shield=True):
                    await caught_up()
            group.cancel_scope.cancel()

    server = make_server(
        tools=listed_tools(settings.toolsets),
        extensions=[TasksExtension(_job_tasks), viewer()],
        lifespan=lifespan,
        instructions=instructions(settings.toolsets, is_shared=is_shared),
        questions=_questions(settings) if is_shared else None,
    )
    add_methods(server)
    add_parts(server)
    return server


@asynccontextmanager
async def _opened(settings: Settings, *, is_shared: bool) -> AsyncIterator["App"]:
    """The app, which then also sees to the jobs of servers that are gone."""
    # Loading takes longer than everything else at the start, and other calls go on meanwhile.
    try:
        application = await anyio.to_thread.run_sync(import_module, "mediagen.app.app")
    except (ImportError, SyntaxError, OSError) as error:
        raise ConfigurationError(
            f"The program cannot be loaded ({type(error).__name__}).",
            hint="It was changed or removed while the server ran, or is not installed whole. Install it again if need "
            "be, and restart the server.",
        ) from error
    async with application.open_app(settings, role="server") as opened:
        app: App = dataclasses.replace(opened, is_shared=is_shared)
        app.runner.scheduler.start_sweeping()
        yield app


def _has_work(settings: Settings) -> bool:
    # Who shares a database shares the jobs in it, too.
    return settings.database_url is not None or has_unfinished(settings.folder_for_state())


async def _job_tasks(context: ServerRequestContext[Any, Any]) -> TaskSource:
    await context.lifespan_context.ready()
    from mediagen.server.tasks.jobs import JOB_TASKS

    return JOB_TASKS


def _questions(settings: Settings) -> RequestStateSecurity:
    from mediagen.server.http.links import state_security

    return state_security(settings)


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


async def _end_on_sigterm(desk: Desk) -> None:
    """End the process on SIGTERM, after a paid answer that is on its way was kept."""
    with anyio.open_signal_receiver(signal.SIGTERM) as signals:
        async for _ in signals:
            while desk.is_sending:  # noqa: ASYNC110 - the process ends here; an event would serve nothing else
                await anyio.sleep(SIGTERM_SECONDS)
            # Standard input is being read in a thread that cannot be interrupted; everything of ours is on the disk.
            os._exit(128 + signal.SIGTERM)
