"""Background work of one process: drives its own jobs, takes over those of dead processes, wakes who waits."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

import anyio
from anyio.abc import TaskGroup

from mediagen.errors import MediaGenError
from mediagen.jobs import Job, JobStatus, Progress, progress_of
from mediagen.runner.steps import CallSteps, is_final, waits_for_operator

logger = logging.getLogger(__name__)

SWEEP_SECONDS = 30.0
OPERATOR_SECONDS = 60.0
PROGRESS_SECONDS = 1.0
FOREIGN_JOB_SECONDS = 1.0

OnProgress = Callable[[Progress], Awaitable[None]]


class Runner:
    """Drives jobs in the background for as long as it is entered.

    A caller that stops waiting never stops a job. When the runner is left, calls whose paid request is on its way
    finish that one step; all others stop where they are and are resumed by the next process.
    """

    def __init__(self, steps: CallSteps) -> None:
        self._steps = steps
        self._ledger = steps.ledger
        self._changed: dict[str, anyio.Event] = {}
        self._driven: set[str] = set()
        self._notes: dict[str, str] = {}
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
        # The group gets no exception of its user, which it would wrap.
        await self._stack.aclose()

    def start(self, job: Job, bodies: Sequence[dict[str, Any]]) -> None:
        """Drive a job that was just written to the ledger by this process."""
        self._drive(job, bodies)

    def start_sweeping(self) -> None:
        """Resume every open job that no living process drives, now and from time to time."""
        self._group.start_soon(self._sweep)

    async def resume(self) -> list[Job]:
        """Take over open jobs whose process is gone; returns those taken."""
        taken = []
        for job in await self._ledger.open_jobs():
            if job.job_id not in self._driven and await self._ledger.claim(job.job_id):
                logger.info("job %s resumed (%s)", job.job_id, job.status)
                self._drive(job, ())
                taken.append(job)
        return taken

    async def wait(self, job_id: str, seconds: float, on_progress: OnProgress | None = None) -> Job:
        """Wait until the job has ended, at most so many seconds; the job goes on either way."""
        deadline = anyio.current_time() + seconds
        while True:
            event = self._changed.setdefault(job_id, anyio.Event())
            job = await self._ledger.get(job_id)
            if on_progress:
                await on_progress(progress_of(job, self._steps.clock()))
            remaining = deadline - anyio.current_time()
            if job.status.is_terminal or remaining <= 0:
                return job
            limit = PROGRESS_SECONDS if job_id in self._driven else FOREIGN_JOB_SECONDS
            with anyio.move_on_after(min(limit, remaining)):
                await event.wait()

    async def cancel(self, job_id: str) -> Job:
        """Ask Google to stop the running calls of a job; what is made already is collected."""
        job = await self._ledger.get(job_id)
        for call in job.calls:
            if call.status is not JobStatus.RUNNING or not call.operation:
                continue
            endpoint = await self._steps.endpoints.for_job(job)
            if await endpoint.cancel(call.operation):
                await self._steps.advance(job, call)
                self._wake(job_id)
        return await self._ledger.get(job_id)

    def notes(self, job_id: str) -> tuple[str, ...]:
        """What keeps an open job from going on, if anything."""
        note = self._notes.get(job_id)
        return (note,) if note else ()

    @property
    def _group(self) -> TaskGroup:
        if self._tasks is None:
            raise RuntimeError("the runner has not been entered")
        return self._tasks

    async def _sweep(self) -> None:
        while True:
            try:
                await self.resume()
            except MediaGenError as error:
                logger.warning("open jobs could not be resumed: %s", error)
            await anyio.sleep(SWEEP_SECONDS)

    def _drive(self, job: Job, bodies: Sequence[dict[str, Any]]) -> None:
        self._driven.add(job.job_id)
        self._group.start_soon(self._drive_job, job, bodies)

    async def _drive_job(self, job: Job, bodies: Sequence[dict[str, Any]]) -> None:
        try:
            async with anyio.create_task_group() as group:
                for call in job.calls:
                    body = bodies[call.ordinal] if call.ordinal < len(bodies) else None
                    group.start_soon(self._drive_call, job.job_id, call.ordinal, body)
        finally:
            self._driven.discard(job.job_id)
            self._wake(job.job_id)

    async def _drive_call(self, job_id: str, ordinal: int, body: dict[str, Any] | None) -> None:
        failures = 0
        delay: float | None = 0.0
        while delay is not None:
            await anyio.sleep(delay)
            try:
                job = await self._ledger.get(job_id)
                # A paid answer is taken in and stored even when the server is told to stop meanwhile.
                with anyio.CancelScope(shield=body is not None):
                    delay = await self._steps.advance(job, job.calls[ordinal], body)
                failures = 0
                self._notes.pop(job_id, None)
            except MediaGenError as error:
                failures += 1
                delay = await self._after_failure(job_id, ordinal, error, failures)
            except Exception as error:  # noqa: BLE001 - a defect met by one job must not stop the others
                # Only the kind of the exception: its text may hold a prompt.
                logger.error("job %s stopped by a defect: %s", job_id, type(error).__name__)  # noqa: TRY400 - as above
                self._notes[job_id] = f"Stopped by a defect in mediagen ({type(error).__name__}); its state is kept."
                delay = None
            body = None
            self._wake(job_id)

    async def _after_failure(self, job_id: str, ordinal: int, error: MediaGenError, failures: int) -> float | None:
        """Decide what a failed poll, download or store means: nothing paid for is given up early."""
        if is_final(error):
            job = await self._ledger.get(job_id)
            await self._steps.end(job, job.calls[ordinal], error)
            return None
        logger.warning("job %s: %s; tried again later", job_id, error.code)
        self._notes[job_id] = f"Not finished yet: {error}"
        if waits_for_operator(error):
            return OPERATOR_SECONDS
        return min(300.0, self._steps.poll_seconds * 2.0 ** min(failures, 6))

    def _wake(self, job_id: str) -> None:
        event = self._changed.pop(job_id, None)
        if event:
            event.set()
