"""Tells of changes of jobs to those who asked for it, whoever drives them; does nothing while nobody asks."""

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import anyio
from anyio.abc import TaskGroup

from mediagen.errors import MediaGenError
from mediagen.jobs import Job
from mediagen.ledger.browsing import JobState
from mediagen.ledger.ledger import Ledger
from mediagen.runner.changes import Changes
from mediagen.runner.scheduler import kind_of

# Other processes tell us nothing: what they do with a job that is followed is seen in the ledger.
LOOK_SECONDS = 3.0
# A burst of changes is told once.
GATHER_SECONDS = 0.05
KNOWN_JOBS = 4096

Listener = Callable[[], None]
FileListener = Callable[[str], Awaitable[None]]
Stop = Callable[[], None]

logger = logging.getLogger(__name__)


@dataclass(kw_only=True, slots=True)
class _Followed:
    """A job that somebody follows; `seen` is what was last told of it and of its chain."""

    chain_id: str | None
    seen: Sequence[JobState] = ()
    listeners: dict[object, Listener] = field(default_factory=dict)


class Watcher:
    """Follows jobs for as long as it is entered.

    Listeners must not raise. They hold up neither a job nor a caller, only one another, and wait for nothing but the
    ledger.
    """

    def __init__(self, ledger: Ledger, changes: Changes, clock: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._changes = changes
        self._clock = clock
        self._followed: dict[str, _Followed] = {}
        self._file_listeners: dict[object, FileListener] = {}
        self._files: OrderedDict[str, int] = OrderedDict()
        self._since = clock()
        self._told: set[str] = set()
        self._news = anyio.Event()
        self._tasks: TaskGroup | None = None
        self._is_looking = False
        self._stop_listening: Stop | None = None
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

    def start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do something in the background until it ends or the watcher is left: pass on what was heard, say."""
        assert self._tasks is not None
        self._tasks.start_soon(work)

    async def follow(self, job: Job, listener: Listener) -> Stop:
        """Call back whenever there is news of a job or of its chain.

        Args:
            job: As it was read; what changed since is told.
            listener: Called without arguments; neither waits nor raises.

        Returns:
            What ends it; may be called more than once.
        """
        chain_id = job.chain.chain_id if job.chain else None
        followed = self._followed.get(job.job_id)
        if followed is None:
            seen = await self._ledger.states([job.job_id], [chain_id] if chain_id else [])
            followed = self._followed.setdefault(job.job_id, _Followed(chain_id=chain_id, seen=seen))
        token = object()
        followed.listeners[token] = listener
        self._begin()
        self._news.set()

        def stop() -> None:
            followed.listeners.pop(token, None)
            if not followed.listeners and self._followed.get(job.job_id) is followed:
                del self._followed[job.job_id]
            self._end_if_idle()

        return stop

    def follow_files(self, listener: FileListener) -> Stop:
        """Call back with the id of each job that made a file in this process, or that is followed.

        Returns:
            What ends it; may be called more than once.
        """
        if not self._file_listeners:
            self._since = self._clock()
        token = object()
        self._file_listeners[token] = listener
        self._begin()

        def stop() -> None:
            self._file_listeners.pop(token, None)
            self._end_if_idle()

        return stop

    def looks_into(self, ledger: Ledger) -> bool:
        """Whether everything that is told of can be read in a ledger; another one may hold only some of it."""
        return ledger is self._ledger

    def hear(self, job_id: str) -> None:
        """Take note that a job changed; returns at once."""
        if not self.is_idle:
            self._told.add(job_id)
            self._news.set()

    @property
    def is_idle(self) -> bool:
        """Whether nobody follows anything."""
        return not self._followed and not self._file_listeners

    def _begin(self) -> None:
        if not self._is_looking:
            self.start(self._look)
            self._is_looking = True
        if self._stop_listening is None:
            self._stop_listening = self._changes.listen(self.hear)

    def _end_if_idle(self) -> None:
        if self.is_idle and self._stop_listening:
            self._stop_listening()
            self._stop_listening = None
            self._told.clear()
            self._files.clear()
            self._news.set()

    async def _look(self) -> None:
        """Look at what was heard of at once and at all that is followed from time to time, until nobody follows."""
        due = anyio.current_time() + LOOK_SECONDS
        try:
            while not self.is_idle:
                with anyio.move_on_after(max(0.0, due - anyio.current_time()) if self._followed else None):
                    await self._news.wait()
                await anyio.sleep(GATHER_SECONDS)
                self._news = anyio.Event()
                told, self._told = self._told, set()
                if is_due := anyio.current_time() >= due:
                    told |= self._followed.keys()
                await self._look_at(told)
                if is_due or not self._followed:
                    due = anyio.current_time() + LOOK_SECONDS
        finally:
            self._is_looking = False

    async def _look_at(self, job_ids: set[str]) -> None:
        try:
            states = await self._ledger.states(job_ids)
            await self._tell_of_files(states)
            chains = {state.chain_id for state in states if state.chain_id}
            affected = [job_id for job_id, job in self._followed.items() if job_id in job_ids or job.chain_id in chains]
            chains = {chain for job_id in affected if (chain := self._followed[job_id].chain_id)}
            self._tell(affected, await self._ledger.states(affected, chains))
        except MediaGenError as error:
            # What is followed is looked at again soon.
            logger.debug("changes cannot be looked at: %s", error.code)
        except Exception as error:  # noqa: BLE001 - a defect met by a notice must not stop the jobs
            # Only the kind of the exception: its text may hold a prompt.
            logger.error("changes are not told because of a defect: %s", kind_of(error))  # noqa: TRY400 - as above

    def _tell(self, job_ids: Iterable[str], states: Sequence[JobState]) -> None:
        for job_id in job_ids:
            followed = self._followed.get(job_id)
            if followed is None:
                continue
            chain_id = followed.chain_id
            now = [state for state in states if job_id == state.job_id or (chain_id and chain_id == state.chain_id)]
            if now == followed.seen:
                continue
            followed.seen = now
            for listener in [*followed.listeners.values()]:
                listener()

    async def _tell_of_files(self, states: Sequence[JobState]) -> None:
        for state in states:
            known = self._files.get(state.job_id)
            # Of a job that was not looked at before only what it made since somebody asks is new.
            is_new = state.files > known if known is not None else state.files > 0 and state.updated_at >= self._since
            if is_new:
                for listener in [*self._file_listeners.values()]:
                    await listener(state.job_id)
        self._know(states)

    def _know(self, states: Iterable[JobState]) -> None:
        for state in states:
            self._files[state.job_id] = state.files
            self._files.move_to_end(state.job_id)
        while len(self._files) > KNOWN_JOBS:
            self._files.popitem(last=False)
