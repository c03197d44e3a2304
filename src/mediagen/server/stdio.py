"""Standard input and output as the SDK serves them, except that it is known when an answer has left."""

import contextlib
import logging
import os
import select
import sys
from typing import Any, cast

import anyio
import anyio.to_thread
from mcp.os.win32.utilities import rebind_std_handle_to_fd
from mcp.server import MCPServer
from mcp.server.stdio import stdio_server

from mediagen.server.outgoing import Outgoing, through
from mediagen.server.registry import serve_streams

logger = logging.getLogger(__name__)

STANDARD_OUTPUT = 1
STANDARD_ERROR = 2


async def serve(server: MCPServer[Any]) -> None:
    """Serve one client until it closes standard input."""
    outgoing = Outgoing()
    outlet = cast("anyio.AsyncFile[str]", _Outlet(_own_output(), outgoing))
    with through(outgoing):
        async with stdio_server(stdout=outlet) as (incoming, messages):
            await serve_streams(server, incoming, messages)


class _Outlet:
    """Takes the messages of the SDK and tells of each that was handed to the system."""

    def __init__(self, descriptor: int, outgoing: Outgoing) -> None:
        self._descriptor = descriptor
        self._outgoing = outgoing
        self._is_broken = False

    async def write(self, message: str) -> None:
        """Write a whole message, in one trip to a thread; for a client that reads no more, write nothing."""
        if self._is_broken:
            return
        try:
            with self._outgoing.leaving(message):
                await anyio.to_thread.run_sync(self._write, memoryview(message.encode()))
        except OSError as error:
            # What was asked for goes on, and the next server tells of it; this one ends with its input.
            self._is_broken = True
            logger.info("the client reads no more: %s", type(error).__name__)

    async def flush(self) -> None:
        """Do nothing: everything is out."""

    def _write(self, data: memoryview) -> None:
        while data:
            try:
                data = data[os.write(self._descriptor, data) :]
            except BlockingIOError:  # whoever started the server set the pipe so
                select.select([], [self._descriptor], [])


def _own_output() -> int:
    """Standard output for the protocol alone; whatever else is printed, by children too, goes to standard error."""
    sys.stdout.flush()
    # Never closed: a thread may still be writing when all else has ended.
    own = _copy_of(STANDARD_OUTPUT)
    try:
        os.dup2(STANDARD_ERROR, STANDARD_OUTPUT)
    except OSError:  # there is none
        os.dup2(os.open(os.devnull, os.O_WRONLY), STANDARD_OUTPUT)
    with contextlib.suppress(OSError):
        rebind_std_handle_to_fd(STANDARD_OUTPUT)
    return own


def _copy_of(descriptor: int) -> int:
    """Another descriptor of the same, and not one of the standard ones: they may be missing."""
    copy = os.dup(descriptor)
    if copy > STANDARD_ERROR:
        return copy
    try:
        return _copy_of(descriptor)
    finally:
        os.close(copy)
