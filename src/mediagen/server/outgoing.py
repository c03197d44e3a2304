"""Answers on their way to a client: when one has left, whoever wants to know is told."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import anyio

ANSWER = '"result"'  # what the requests and notices of a server do not have
# Between the moment at which a client has an answer and the one at which this process knows that it left.
CATCH_UP_SECONDS = 0.05


class Outgoing:
    """What one transport, or one request of it, has still to write."""

    def __init__(self) -> None:
        self._wanted: dict[str, Callable[[], None]] = {}
        self._written: anyio.Event | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether anybody wants to know of a message."""
        return bool(self._wanted)

    def when_left(self, words: str, action: Callable[[], None]) -> None:
        """Do something once an answer with these words was handed to the system; never, if that does not happen."""
        self._wanted[words] = action

    def left(self, message: str) -> None:
        """Take note of a message that was handed to the system."""
        if self._wanted and ANSWER in message:
            for words in [words for words in self._wanted if words in message]:
                self._wanted.pop(words)()

    @contextmanager
    def leaving(self, message: str) -> Iterator[None]:
        """Hand a message to the system inside; one at a time."""
        self._written = written = anyio.Event()
        try:
            yield
            self.left(message)
        finally:
            self._written = None
            written.set()

    async def caught_up(self) -> None:
        """Wait for the message that is being written, which whoever asks may have; not for long, as it may not read."""
        if self._written:
            with anyio.move_on_after(CATCH_UP_SECONDS):
                await self._written.wait()


_current: ContextVar[Outgoing | None] = ContextVar("outgoing", default=None)


@contextmanager
def through(outgoing: Outgoing) -> Iterator[None]:
    """Say how the answers to the calls leave that arrive inside."""
    token = _current.set(outgoing)
    try:
        yield
    finally:
        _current.reset(token)


def when_left(words: str, action: Callable[[], None]) -> None:
    """Do something once the answer with these words has left; at once where the transport does not tell."""
    outgoing = _current.get()
    if outgoing:
        outgoing.when_left(words, action)
    else:
        action()


async def caught_up() -> None:
    """Let what was written to whoever calls count as that before the call is served."""
    outgoing = _current.get()
    if outgoing:
        await outgoing.caught_up()
