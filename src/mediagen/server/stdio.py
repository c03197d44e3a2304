"""Standard input and output as the SDK serves them, except that it is known when an answer has left."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import anyio
import anyio.to_thread
from mcp.os.win32.utilities import rebind_std_handle_to_fd
from mcp.server import MCPServer
from mcp.server.stdio import stdio_server

from mediagen.server.outgoing import Outgoing, through
from mediagen.server.registry import serve_streams

STANDARD_OUTPUT = 1
STANDARD_ERROR = 2


async def serve(server: MCPServer[Any]) -> None:
    """Serve one client until it closes standard input."""
    outgoing = Outgoing()
    with _protocol_output() as file, through(outgoing):
        async with stdio_server(stdout=_Outlet(file, outgoing)) as (incoming, outlet):
            await serve_streams(server, incoming, outlet)


class _Outlet(anyio.AsyncFile[str]):
    """Takes the messages of the SDK and tells of each that was handed to the system."""

    def __init__(self, file: TextIO, outgoing: Outgoing) -> None:
        super().__init__(file)
        self._file = file
        self._outgoing = outgoing

    async def write(self, message: str) -> int:
        """Write a whole message and flush it, in one trip to a thread."""
        with self._outgoing.leaving(message):
            await anyio.to_thread.run_sync(self._write, message)
        return len(message)

    async def flush(self) -> None:
        """Do nothing: everything is out."""

    def _write(self, message: str) -> None:
        self._file.write(message)
        self._file.flush()


@contextmanager
def _protocol_output() -> Iterator[TextIO]:
    """Standard output for the protocol alone; whatever else is printed, by children too, goes to standard error."""
    sys.stdout.flush()
    own = os.dup(STANDARD_OUTPUT)
    try:
        os.dup2(STANDARD_ERROR, STANDARD_OUTPUT)
    except OSError:  # there is none
        os.dup2(os.open(os.devnull, os.O_WRONLY), STANDARD_OUTPUT)
    rebind_std_handle_to_fd(STANDARD_OUTPUT)
    # A thread may still be writing when all else has ended, so the descriptor is not closed under it.
    yield os.fdopen(own, "w", encoding="utf-8", newline="\n", closefd=False)
