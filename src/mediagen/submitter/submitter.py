"""The server's side: starts the process once, hands requests over, and words what came of them."""

import errno
import logging
import os
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from mediagen.errors import (
    ConfigurationError,
    MediaGenError,
    StorageError,
    UnavailableError,
)
from mediagen.submitter.base import Answer, Settled, SignedRequest, available, unconfirmed
from mediagen.submitter.link import Link, Waiting
from mediagen.submitter.recovery import answer_of, read_answer, settle_call
from mediagen.submitter.routes import proxy_for

logger = logging.getLogger(__name__)

AT_ONCE = 48
START_SECONDS = 20.0
# What the process gets beyond the time of the request itself to make an answer durable.
STORING_SECONDS = 30.0
DYING_SECONDS = 1.0
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class DetachedSubmitter:
    """Sends paid requests from a process that outlives this one until its last answer is stored.

    The process starts with `warm_up`, or with the first request otherwise.
    """

    def __init__(self, *, at_once: int = AT_ONCE, environment: Mapping[str, str] | None = None) -> None:
        """Nothing is started yet.

        Args:
            at_once: How many requests are on their way at most; further ones wait here.
            environment: Where ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` are looked up.
        """
        self._usable: dict[Path, bool] = {}
        self._environment = os.environ if environment is None else environment
        self._places = anyio.CapacityLimiter(at_once)
        self._starting = anyio.Lock()
        self._link: Link | None = None
        self._tasks: TaskGroup | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._tasks = await self._stack.enter_async_context(anyio.create_task_group())
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._tasks:
            self._tasks.cancel_scope.cancel()
        await self._stack.aclose()
        link, self._link = self._link, None
        if link:
            await link.close()

    @property
    def process_id(self) -> int | None:
        """Id of the process while there is one."""
        return self._link.process_id if self._link and self._link.is_open else None

    def can_reach(self, url: str) -> bool:
        """Whether an address can be reached from the process; not through a SOCKS or https:// proxy."""
        try:
            proxy_for(url)
        except ConfigurationError:
            return False
        return True

    def warm_up(self) -> None:
        """Start the process in the background, so that the first request need not wait for it."""
        self._group.start_soon(self.ready)

    async def ready(self) -> bool:
        """Start the process unless it runs; False when it cannot be started."""
        try:
            await self._linked()
        except ConfigurationError as error:
            logger.warning("%s The server sends paid requests itself.", error.message)
            return False
        return True

    async def takes(self, url: str, folder: Path) -> bool:
        """Whether requests can be sent for a paid call; see `Submitter.takes`."""
        if not self.can_reach(url):
            return False
        if folder.parent not in self._usable:
            knows_locks = await anyio.to_thread.run_sync(_knows_locks, folder.parent)
            self._usable[folder.parent] = knows_locks and await self.ready()
        return self._usable[folder.parent]

    async def send(self, request: SignedRequest) -> Answer:
        """Send a request once; see `Submitter.send`. Costs money."""
        async with self._places:
            link = await self._linked()
            attempt = request.ticket
            patience = request.patience
            head = _head(request, attempt)
            told = Waiting()
            with anyio.move_on_after(patience.total_seconds + patience.write_seconds + STORING_SECONDS) as scope:
                told = await link.ask(head, request.body, write_seconds=patience.write_seconds)
            if scope.cancelled_caught:
                return await anyio.to_thread.run_sync(_after_patience, request)
        if told.reply and (known := told.reply.get("head")):
            return answer_of(request.folder, attempt, known, told.body)
        return await anyio.to_thread.run_sync(_outcome, request, attempt, told.reply)

    @property
    def _group(self) -> TaskGroup:
        if self._tasks is None:
            raise RuntimeError("the submitter has not been entered")
        return self._tasks

    async def _linked(self) -> Link:
        async with self._starting:
            if self._link and self._link.is_open:
                return self._link
            if self._link:
                await self._link.close()
                self._link = None
            self._link = await self._started(self._group)
            return self._link

    async def _started(self, tasks: TaskGroup) -> Link:
        try:
            link = await anyio.to_thread.run_sync(Link.start)
        except OSError as error:
            raise _not_started(type(error).__name__) from error
        tasks.start_soon(link.listen)
        reply = None
        try:
            with anyio.move_on_after(START_SECONDS):
                reply = await link.greet(self._environment)
        finally:
            if not reply or reply.get("state") != "ready":
                await link.close()
        if reply is None:
            raise _not_started("it did not answer")
        if reply["state"] != "ready":
            raise ConfigurationError(
                f"The certificates that the environment names cannot be read ({reply['kind']}).",
                hint="Correct SSL_CERT_FILE or SSL_CERT_DIR, or unset it.",
            )
        return link


def _knows_locks(spool_folder: Path) -> bool:
    try:
        spool_folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _not_kept(error.errno or 0, type(error).__name__) from error
    return available(spool_folder)


def _head(request: SignedRequest, attempt: int) -> dict[str, Any]:
    patience = request.patience
    return {
        "method": request.method,
        "url": request.url,
        "headers": request.headers,
        "proxy": proxy_for(request.url),
        "folder": str(request.folder.absolute()),
        "attempt": attempt,
        "token": request.token,
        "answer_limit": request.answer_limit,
        "connect_seconds": patience.connect_seconds,
        "write_seconds": patience.write_seconds,
        "read_seconds": patience.read_seconds,
        "total_seconds": patience.total_seconds,
    }


def _outcome(request: SignedRequest, attempt: int, reply: dict[str, Any] | None) -> Answer:
    if reply is None:
        return _after_death(request)
    match reply["state"]:
        case "answered":
            try:
                return read_answer(request.folder, attempt)
            except (OSError, ValueError, TypeError) as error:
                raise unconfirmed(type(error).__name__) from error
        case "never_sent" if "errno" in reply:
            raise _not_kept(reply["errno"], reply["kind"])
        case "never_sent":
            raise _unreachable(reply["kind"])
        case "taken":
            raise unconfirmed("another process has taken the job over")
        case _:
            raise unconfirmed(reply.get("kind", ""))


def _after_death(request: SignedRequest) -> Answer:
    """The process died before it told what came of a request; the spool may know."""
    found: Settled | None = None
    deadline = time.monotonic() + DYING_SECONDS
    with suppress(OSError):
        found = settle_call(request.folder, request.token)
        # The system closes its socket a moment before it gives its locks back.
        while found.state == "sending" and time.monotonic() < deadline:
            time.sleep(DYING_SECONDS / 20)
            found = settle_call(request.folder, request.token)
    if found and found.state == "never_sent":
        raise _unreachable("the process that sends requests ended")
    if found and found.answer:
        return found.answer
    raise unconfirmed("the process that sends requests ended")


def _after_patience(request: SignedRequest) -> Answer:
    """The process does not move, or could not tell in time what came of a request; the spool may know."""
    found: Settled | None = None
    with suppress(OSError):
        # What it has not begun to send by now it will not send later, when nobody expects it any more.
        found = settle_call(request.folder, request.token)
    if found and found.state == "never_sent":
        raise UnavailableError(
            "The process that sends paid requests does not answer.",
            code="not_sent",
            hint="Nothing was sent or billed. End that process if it is stopped, and ask again.",
            billed="no",
        )
    if found and found.answer:
        return found.answer
    raise unconfirmed("TimeoutError")


def _not_kept(number: int, kind: str) -> StorageError:
    is_full = number in _FULL
    return StorageError(
        "The disk of the spool beside the ledger is full."
        if is_full
        else f"The spool beside the ledger cannot be written to ({kind}).",
        hint="Nothing was sent or billed. Make room, or the folder writable, and ask again.",
        code="disk_full" if is_full else None,
        billed="no",
    )


def _unreachable(kind: str) -> UnavailableError:
    return UnavailableError(
        f"Google could not be reached ({kind}).",
        reason=kind,
        hint="Nothing was sent or billed. Check the network, a proxy in between, and the base URL.",
    )


def _not_started(why: str) -> MediaGenError:
    return ConfigurationError(
        f"The process that sends paid requests could not be started ({why}).",
        hint="Nothing was sent or billed. Check the memory and the process limit of this machine.",
    )
