"""One running submitter process and the socket to it."""

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import anyio
import anyio.to_thread

from mediagen.submitter import frames
from mediagen.submitter.routes import certificates, plain_environment

_START = "import sys; sys.path.append(sys.argv[1]); from mediagen.submitter.__main__ import main; main()"
_PACKAGES = str(Path(__file__).resolve().parents[2])
_RECEIVE_BYTES = 256 * 1024
# A process that has nothing to do any more ends within this time; one that waits for an answer is left alone.
_END_SECONDS = 0.5


@dataclass(kw_only=True, slots=True, eq=False)
class Waiting:
    """A request whose answer is awaited.

    Attributes:
        reply: What came of it; stays None when the process died.
        body: Of its answer, if that was told.
    """

    event: anyio.Event = field(default_factory=anyio.Event)
    reply: dict[str, Any] | None = None
    body: bytes = b""


class Link:
    """Speaks to one process. Whoever made it listens to it and closes it."""

    def __init__(self, process: "subprocess.Popen[bytes]", own: socket.socket) -> None:
        self._process = process
        self._socket = own
        self._waiting: dict[int, Waiting] = {}
        self._greeted = Waiting()
        self._number = 0
        self._writing = anyio.Lock()
        self.is_open = True

    @classmethod
    def start(cls) -> Self:
        """Start the process. Blocking.

        Raises:
            OSError: It cannot be started.
        """
        own, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with other:
            try:
                # Neither the path of this program nor its packages but this one: they would double the time to start.
                process = subprocess.Popen(  # noqa: S603 - our own module, no shell
                    [sys.executable, "-I", "-S", "-c", _START, _PACKAGES],
                    stdin=other.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    cwd="/",
                    start_new_session=True,
                    env=plain_environment(),
                )
            except BaseException:
                own.close()
                raise
        own.setblocking(False)
        return cls(process, own)

    @property
    def process_id(self) -> int:
        """Id of the process."""
        return self._process.pid

    async def greet(self, environment: Mapping[str, str]) -> dict[str, Any] | None:
        """Tell it what it needs to know; None when it died."""
        await self._write(frames.encode({"parent_id": os.getpid(), **certificates(environment)}), b"")
        if self.is_open:
            await self._greeted.event.wait()
        return self._greeted.reply

    async def ask(self, head: dict[str, Any], body: bytes, *, write_seconds: float) -> Waiting:
        """Hand a request over and wait for what came of it."""
        self._number += 1
        number = self._number
        waiting = self._waiting[number] = Waiting()
        try:
            with anyio.CancelScope(shield=True), anyio.move_on_after(write_seconds) as scope:
                # Half a frame would make all later ones unreadable.
                await self._write(frames.encode({**head, "number": number}, len(body)), body)
            if scope.cancelled_caught:
                self._hang_up()
            # One that was closed before this waits for nothing more.
            if self.is_open:
                await waiting.event.wait()
            return waiting
        finally:
            self._waiting.pop(number, None)

    async def listen(self) -> None:
        """Take replies until the process is gone or the link is closed."""
        data = bytearray()
        while self.is_open:
            try:
                await anyio.wait_readable(self._socket)
                received = self._socket.recv(_RECEIVE_BYTES)
            except BlockingIOError:
                continue
            except (OSError, anyio.ClosedResourceError):
                break
            if not received:
                break
            data += received
            self._take(data)
        self._hang_up()

    async def close(self) -> None:
        """Let it end what is on its way."""
        self._hang_up()
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._end)

    def _end(self) -> None:
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            # It outlives us on purpose; without a return code Python would complain that it still runs.
            self._process.returncode = 0

    def _take(self, data: bytearray) -> None:
        while len(data) >= frames.PREFIX_BYTES:
            head_size, body_size = frames.sizes(data[: frames.PREFIX_BYTES])
            begin = frames.PREFIX_BYTES + head_size
            if len(data) < begin + body_size:
                return
            reply = frames.read_head(data[frames.PREFIX_BYTES : begin])
            body = bytes(data[begin : begin + body_size])
            del data[: begin + body_size]
            waiting = self._waiting.get(reply["number"]) if "number" in reply else self._greeted
            # Of an answer that was told in part, all is told again.
            if waiting and waiting.reply is None:
                waiting.reply, waiting.body = reply, body
                waiting.event.set()

    async def _write(self, head: bytes, body: bytes) -> None:
        async with self._writing:
            for part in (head, body):
                rest = memoryview(part)
                while rest and self.is_open:
                    try:
                        rest = rest[self._socket.send(rest) :]
                    except BlockingIOError:
                        await anyio.wait_writable(self._socket)
                    except OSError:
                        self._hang_up()

    def _hang_up(self) -> None:
        if self.is_open:
            self.is_open = False
            anyio.notify_closing(self._socket)
            self._socket.close()
        for waiting in (self._greeted, *self._waiting.values()):
            waiting.event.set()
