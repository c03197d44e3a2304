"""The distributed scheduler: processes that take jobs in, and workers that advance them, over one PostgreSQL."""

import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from functools import partial
from types import TracebackType
from typing import Self

import anyio
from anyio.abc import TaskGroup

from mediagen.endpoints.base import PaidRequest
from mediagen.errors import LedgerError, MediaGenError
from mediagen.jobs import CHAIN_RESUMED_WITHIN, OPEN_STATUSES, Job, JobStatus
from mediagen.runner.advancing import Advancer
from mediagen.runner.changes import Changes
from mediagen.runner.departure import Departure
from mediagen.runner.late import late_of
from mediagen.runner.queue import HintQueue
from mediagen.runner.scheduler import RENEWALS_PER_LEASE, Duty, OnEnded, keep_doing, kind_of
from mediagen.runner.steps import CallSteps

logger = logging.getLogger(__name__)

CONCURRENCY = 16
SWEEP_SECONDS = 5.0
HOUSEKEEPING_SECONDS = 300.0
# A hint that is later than this is lost or its worker is gone.
OVERDUE = timedelta(seconds=5)
PATIENCE = timedelta(seconds=15)
RESTART_SECONDS = 2.0
# When a job is looked at again whose step ended in a defect, or whose end could not be read.
AFTER_FAILURE = timedelta(seconds=30)
GRACE_SECONDS = 20.0
POLLING_SECONDS = 0.05


class Distributed:
    """Hands jobs to whichever server or worker comes first; see `Scheduler`. Takes steps itself while it works.

    Attributes:
        on_link_ended: As in `Scheduler`.
    """

    drives_here = False

    def __init__(self, steps: CallSteps, advancer: Advancer, changes: Changes, queue: HintQueue) -> None:
        self.advancer = advancer
        self.late = late_of(steps)
        self.on_link_ended: OnEnded | None = None
        self._steps = steps
        self._ledger = steps.ledger
        self._changes = changes
        self._queue = queue
        self._going_on: set[str] = set()
        self._looking: set[str] = set()
        self._stop = anyio.Event()
        self._unreturned: dict[str, datetime | None] = {}
        self._tasks: TaskGroup | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._queue)
        self._tasks = await self._stack.enter_async_context(anyio.create_task_group())
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._tasks:
            self._tasks.cancel_scope.cancel()
        await self._stack.aclose()

    def departure(self, draft: Job, requests: Sequence[PaidRequest]) -> Departure:
        """A job as it is: whoever takes it up gets the right to send it."""
        return Departure(job=draft, requests=requests)

    def start(self, job: Job, requests: Sequence[PaidRequest]) -> None:  # noqa: ARG002 - the ledger has them
        """Tell the workers of a job that was just written to the ledger."""
        assert self._tasks is not None
        self._tasks.start_soon(self._tell, job.job_id)

    def start_sweeping(self) -> None:
        """Advance jobs in the background, as a worker does."""
        assert self._tasks is not None
        self._tasks.start_soon(self.work, self._stop)

    async def resume(self, only: str | None = None) -> list[Job]:
        """Have the workers look at open jobs now; returns those."""
        await self.late.look(only)
        jobs = [job for job in await self._ledger.open_jobs() if only in {None, job.job_id}]
        for job in jobs:
            await self._queue.look_at(job.job_id)
        return jobs

    def is_driven(self, job_id: str) -> bool:  # noqa: ARG002 - the same for all
        """Never: another process is done with a job when the ledger says that it has ended."""
        return False

    def notes(self, job: Job) -> tuple[str, ...]:
        """What keeps a job from going on, as far as the ledger does not say it."""
        is_waiting = job.status is JobStatus.SUBMITTING and job.fence == 0
        if is_waiting and self._steps.clock() - job.created_at > PATIENCE:
            return ("No worker has taken it yet; is `mediagen worker` running on this database?",)
        return ()

    async def work(self, stop: anyio.Event, *, concurrency: int = CONCURRENCY) -> None:
        """Advance jobs: those that are hinted at, and those that the ledger says are overdue.

        Args:
            stop: No further step is begun once it is set; those that are being taken get a moment to end.
            concurrency: How many jobs are advanced side by side.
        """
        async with anyio.create_task_group() as group:
            duties: tuple[tuple[str, Duty, float], ...] = (
                ("renewing the lease", self._ledger.renew, self._ledger.lease_seconds / RENEWALS_PER_LEASE),
                ("looking for jobs", self._sweep, SWEEP_SECONDS),
                ("removing what is left of ended jobs", self._keep_house, HOUSEKEEPING_SECONDS),
                ("reading the queue", partial(self._read_queue, stop, concurrency), RESTART_SECONDS),
            )
            for what, duty, seconds in duties:
                group.start_soon(keep_doing, what, duty, seconds)
            await stop.wait()
            with anyio.move_on_after(GRACE_SECONDS):
                while self._looking:  # noqa: ASYNC110 - the process ends here; an event would serve nothing else
                    await anyio.sleep(POLLING_SECONDS)
            group.cancel_scope.cancel()

    async def _tell(self, job_id: str) -> None:
        try:
            await self._queue.look_at(job_id)
        except LedgerError as error:
            logger.warning("job %s waits for a worker's next look at the ledger: %s", job_id, error.code)

    async def _look_apart(self, job_id: str) -> None:
        """Advance a job in a task of ours: the queue cancels its own without regard to paid answers on their way."""
        assert self._tasks is not None
        done = anyio.Event()

        async def look() -> None:
            try:
                await self._look(job_id)
            finally:
                done.set()

        self._tasks.start_soon(look)
        await done.wait()

    async def _look(self, job_id: str) -> None:
        """Advance a job and give it back; whatever fails is taken up again by a sweep."""
        if job_id in self._looking:
            return
        self._looking.add(job_id)
        try:
            if not self.advancer.holds(job_id):
                await self.advancer.claim(job_id, is_left=True)
            due_at = await self.advancer.advance(job_id)
            while due_at and due_at <= self._steps.clock() and self.advancer.holds(job_id):
                due_at = await self.advancer.advance(job_id)
            if self.advancer.holds(job_id):
                self._unreturned[job_id] = due_at
                await self._hand_back(job_id)
            elif due_at is None:
                await self._end_link(job_id)
        except MediaGenError as error:
            logger.warning("job %s is left to a later sweep: %s", job_id, error.code)
        except Exception as error:  # noqa: BLE001 - a defect met by one job must not stop the others
            # Only the kind of the exception: its text may hold a prompt.
            logger.error("job %s stopped by a defect: %s", job_id, kind_of(error))  # noqa: TRY400 - as above
        finally:
            if self.advancer.holds(job_id):
                self._unreturned.setdefault(job_id, self._steps.clock() + AFTER_FAILURE)
            self._looking.discard(job_id)
            self._changes.tell(job_id)

    async def _hand_back(self, job_id: str) -> None:
        due_at = self._unreturned[job_id]
        await self.advancer.hand_back(job_id, due_at)
        del self._unreturned[job_id]
        if due_at:
            await self._queue.look_at(job_id, due_at)

    async def _hand_all_back(self) -> None:
        """Give back what could not be given back before, but nothing of which a step is being taken."""
        for job_id in [*self._unreturned]:
            if job_id in self._looking or job_id not in self._unreturned:
                continue
            self._looking.add(job_id)
            try:
                await self._hand_back(job_id)
            finally:
                self._looking.discard(job_id)

    async def _end_link(self, job_id: str) -> None:
        job = await self._ledger.get(job_id)
        if job.status in OPEN_STATUSES or not job.chain or not self.on_link_ended or job_id in self._going_on:
            return
        self._going_on.add(job_id)
        try:
            await self.on_link_ended(job)
        finally:
            self._going_on.discard(job_id)

    async def _read_queue(self, stop: anyio.Event, concurrency: int) -> None:
        await self._queue.work(self._look_apart, stop, concurrency=concurrency)

    async def _sweep(self) -> None:
        """Bring up every job that is overdue and that no living worker has in hand."""
        await self._hand_all_back()
        for job_id in await self._ledger.overdue(self._steps.clock() - OVERDUE):
            if job_id not in self._looking:
                await self._queue.look_at(job_id)
        await self._resume_chains()

    async def _resume_chains(self) -> None:
        assert self._tasks is not None
        for job in await self._ledger.interrupted_links(self._steps.clock() - CHAIN_RESUMED_WITHIN):
            if job.job_id not in self._going_on and await self._ledger.claim_chain(job.job_id):
                logger.info("job %s: its chain goes on", job.job_id)
                self._tasks.start_soon(self._look, job.job_id)

    async def _keep_house(self) -> None:
        await self._steps.collector.forget_leftovers(self._looking)
        await self._steps.forget_old_conversations()
        await self._queue.forget_stalled()
        await self.late.look()
