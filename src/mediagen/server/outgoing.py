"""Answers on their way to a client: what is to be done once one has left."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Final, TypeVar

import anyio
from mcp.server import ServerRequestContext
from mcp.server.context import CallNext, HandlerResult

# Between the moment at which a client has an answer and the one at which this process knows that it left.
CATCH_UP_SECONDS = 0.05
UNTOLD: Final = ""

T = TypeVar("T")


class Outgoing:
    """What one transport, or one request of it, has still to write."""

    def __init__(self) -> None:
        self._wanted: dict[str, Callable[[], None]] = {}
        self._written: anyio.Event | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether anybody wants to know of a message."""
        return bool(self._wanted)

    def when_left(self, mark: str, action: Callable[[], None]) -> None:
        """Do something once the answer with this mark was handed to the system; never, if that does not happen."""
        self._wanted[mark] = action

    def left(self, message: str) -> None:
        """Take note of a message that was handed to the system."""
        for mark in [mark for mark in self._wanted if mark in message]:
            self._wanted.pop(mark)()

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
_mark: ContextVar[str | None] = ContextVar("mark_of_answer", default=None)


def through(outgoing: Outgoing) -> AbstractContextManager[None]:
    """Say how the answers to the requests leave that arrive inside."""
    return _set(_current, outgoing)


async def know_request(ctx: ServerRequestContext[object, object], call_next: CallNext) -> HandlerResult:
    """Know, while a request is served, by what its answer can be told from other messages."""
    with _set(_mark, _mark_of(ctx.request_id)):
        return await call_next(ctx)


def untold() -> AbstractContextManager[None]:
    """Say that what is found out inside is not in the answer to the request."""
    return _set(_mark, UNTOLD)


def when_left(action: Callable[[], None]) -> None:
    """Do something once the answer to the request that is served has left; at once where its transport is silent."""
    outgoing, mark = _current.get(), _mark.get()
    if mark == UNTOLD:
        return
    if outgoing and mark:
        outgoing.when_left(mark, action)
    else:
        action()


async def caught_up() -> None:
    """Let what was written to whoever calls count as that before anything else is done."""
    outgoing = _current.get()
    if outgoing:
        await outgoing.caught_up()


@contextmanager
def _set(variable: ContextVar[T], value: T) -> Iterator[None]:
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def _mark_of(request_id: object) -> str:
    """How an answer begins, as the SDK writes it; inside of texts there is a backslash before each quotation mark."""
    return f'"id":{json.dumps(request_id, ensure_ascii=False)},"result":'
