"""The embedded scheduler: each process drives its own jobs and takes over those of dead or stopped processes."""

import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from types import TracebackType
from typing import Self

import anyio
from anyio.abc import TaskGroup

from mediagen.endpoints.base import PaidRequest
from mediagen.errors import MediaGenError
from mediagen.jobs import CHAIN_RESUMED_WITHIN, Job
from mediagen.runner.advancing import Advancer
from mediagen.runner.changes import Changes
from mediagen.runner.departure import Departure, at_once
from mediagen.runner.late import late_of
from mediagen.runner.scheduler import RENEWALS_PER_LEASE, OnEnded, keep_doing, kind_of
from mediagen.runner.steps import CallSteps

logger = logging.getLogger(__name__)

SWEEP_SECONDS = 30.0
# A clock that jumps between two steps must not put the next one off for ever.
LONGEST_PAUSE_SECONDS = 600.0
# A job of this process that it has not started by then never will be: nobody could tell it that its row was written.
LEFT_AFTER = timedelta(minutes=1)
REOPENED_SECONDS = 1.0


class Embedded:
    """Drives jobs in the background of this process for as long as it is entered; see `Scheduler`.

    When it is left, calls whose paid request is on its way finish that one step; all others stop where they are and are
    resumed by the next process.

    Attributes:
        on_link_ended: As in `Scheduler`. A job counts as driven until it returns.
    """

    drives_here = True

    def __init__(self, steps: CallSteps, advancer: Advancer, changes: Changes) -> None:
        self.advancer = advancer
        self.late = late_of(steps)
        self.on_link_ended: OnEnded | None = None
        self._steps = steps
        self._ledger = steps.ledger
        self._changes = changes
        self._driven: set[str] = set()
        self._defects: dict[str, str] = {}
        self._tasks: TaskGroup | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._tasks = await self._stack.enter_async_context(anyio.create_task_group())
        self._tasks.start_soon(
            keep_doing, "renewing the lease", self._renew, self._ledger.lease_seconds / RENEWALS_PER_LEASE
        )
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._tasks:
            self._tasks.cancel_scope.cancel()
        # The group gets no exception of its user, which it would wrap.
        await self._stack.aclose()

    def departure(self, draft: Job, requests: Sequence[PaidRequest]) -> Departure:
        """Prepare a job that leaves as soon as it is in the ledger."""
        return at_once(draft, requests, self._steps.collector.spool)

    def start(self, job: Job, requests: Sequence[PaidRequest]) -> None:
        """Drive a job that was just written to the ledger by this process; one request for each of its calls."""
        self.advancer.hold(job, requests)
        self._drive(job)

    def start_sweeping(self) -> None:
        """Resume every open job that no living process drives, now and from time to time."""
        self._group.start_soon(keep_doing, "looking for jobs", self._sweep, SWEEP_SECONDS)

    async def resume(self, only: str | None = None) -> list[Job]:
        """Take over open jobs whose process is gone, and chains that it did not go on with; returns those taken.

        Args:
            only: Job that alone is taken over, so that no other chain goes on and costs.
        """
        taken = []
        await self.late.look(only, busy=self._driven)
        for job in await self._ledger.open_jobs(besides=frozenset(self._driven)):
            if only not in {None, job.job_id} or job.job_id in self._driven:
                continue
            is_left = job.job_id not in self._defects and self._steps.clock() - job.created_at > LEFT_AFTER
            if await self.advancer.claim(job.job_id, is_left=is_left):
                logger.info("job %s resumed (%s)", job.job_id, job.status)
                self._drive(job)
                taken.append(job)
        return [*taken, *await self._resume_chains(only)]

    async def _resume_chains(self, only: str | None) -> list[Job]:
        taken = []
        for job in await self._ledger.interrupted_links(self._steps.clock() - CHAIN_RESUMED_WITHIN):
            if (
                only in {None, job.job_id}
                and job.job_id not in self._driven
                and await self._ledger.claim_chain(job.job_id)
            ):
                logger.info("job %s: its chain goes on", job.job_id)
                self._driven.add(job.job_id)
                self._group.start_soon(self._drive_job, replace(job, calls=()))
                taken.append(job)
        return taken

    def is_driven(self, job_id: str) -> bool:
        """Whether this process is not done with a job yet."""
        return job_id in self._driven

    def notes(self, job: Job) -> tuple[str, ...]:
        """What keeps a job of this process from going on, as far as the ledger does not say it."""
        defect = self._defects.get(job.job_id)
        return (defect,) if defect else self.advancer.notes(job.job_id)

    @property
    def _group(self) -> TaskGroup:
        if self._tasks is None:
            raise RuntimeError("the scheduler has not been entered")
        return self._tasks

    async def _sweep(self) -> None:
        await self._steps.collector.forget_leftovers(self._driven)
        await self._steps.forget_old_conversations()
        await self.resume()

    async def _renew(self) -> None:
        """Keep the lease of this process while it drives jobs."""
        if self._driven:
            await self._ledger.renew()

    def _drive(self, job: Job) -> None:
        self._driven.add(job.job_id)
        self._group.start_soon(self._drive_job, job)

    async def _drive_job(self, job: Job) -> None:
        try:
            ordinals = tuple(call.ordinal for call in job.calls)
            while ordinals:
                async with anyio.create_task_group() as group:
                    for ordinal in ordinals:
                        group.start_soon(self._drive_call, job.job_id, ordinal)
                ordinals = await self._opened_again(job.job_id)
            if job.chain and self.on_link_ended:
                await self._end_link(job.job_id, self.on_link_ended)
        finally:
            self.advancer.forget(job.job_id)
            self._driven.discard(job.job_id)
            self._changes.tell(job.job_id)

    async def _opened_again(self, job_id: str) -> tuple[int, ...]:
        """Calls of a job of this process that go on after all, as when a late answer came while others were at work."""
        if job_id in self._defects:
            return ()
        while True:
            try:
                ordinals = await self.advancer.open_calls(job_id)
            except MediaGenError as error:
                logger.warning("job %s: whether it has ended cannot be read: %s", job_id, error.code)
            else:
                if not ordinals:
                    return ()
                await anyio.sleep(REOPENED_SECONDS)
                return ordinals
            await anyio.sleep(REOPENED_SECONDS)

    async def _end_link(self, job_id: str, on_ended: OnEnded) -> None:
        """Let the chain go on; what cannot be done now is done by a later sweep."""
        try:
            await on_ended(await self._ledger.get(job_id))
        except Exception as error:  # noqa: BLE001 - a defect met by one chain must not stop the others
            # Only the kind of the exception: its text may hold a prompt.
            logger.error("job %s: its chain does not go on: %s", job_id, kind_of(error))  # noqa: TRY400 - as above

    async def _drive_call(self, job_id: str, ordinal: int) -> None:
        """Advance a call each time that it is due, until it has ended or another process has claimed the job."""
        try:
            # One that was lost is claimed by a sweep only, which drives all of its calls.
            while self.advancer.holds(job_id) and (due_at := await self.advancer.advance(job_id, ordinal)):
                self._changes.tell(job_id)
                if not self.advancer.holds(job_id):
                    break
                pause = (due_at - self._steps.clock()).total_seconds()
                await anyio.sleep(min(max(0.0, pause), LONGEST_PAUSE_SECONDS))
            self._changes.tell(job_id)
        except MediaGenError as error:
            # Another process had it and cannot be asked now; a later sweep sees to it.
            logger.warning("job %s is left to a later sweep: %s", job_id, error.code)
        except Exception as error:  # noqa: BLE001 - a defect met by one job must not stop the others
            # Only the kind of the exception: its text may hold a prompt.
            logger.error("job %s stopped by a defect: %s", job_id, kind_of(error))  # noqa: TRY400 - as above
            self._defects[job_id] = f"Stopped by a defect in mediagen ({kind_of(error)}); its state is kept."
