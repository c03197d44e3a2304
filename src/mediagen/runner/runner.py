"""Background work of one process: drives its own jobs, takes over those of dead processes, wakes who waits."""

import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Self

import anyio
from anyio.abc import TaskGroup

from mediagen.endpoints.base import PaidRequest
from mediagen.errors import InvalidRequestError, LedgerError, MediaGenError
from mediagen.jobs import CHAIN_RESUMED_WITHIN, Job, JobStatus, PaidCall, Progress, progress_of
from mediagen.runner.evidence import Evidence
from mediagen.runner.resolving import Decision, resolve
from mediagen.runner.steps import CallSteps, Outcome, nothing_was_made, waits_for_operator

logger = logging.getLogger(__name__)

SWEEP_SECONDS = 30.0
OPERATOR_SECONDS = 60.0
KEEP_SECONDS = 2.0
PROGRESS_SECONDS = 1.0

OnEnded = Callable[[Job], Awaitable[None]]
OnProgress = Callable[[Progress], Awaitable[None]]


class Runner:
    """Drives jobs in the background for as long as it is entered.

    A caller that stops waiting never stops a job. When the runner is left, calls whose paid request is on its way
    finish that one step; all others stop where they are and are resumed by the next process.

    Attributes:
        on_link_ended: Goes on with the chain of a job that has ended; set by whoever builds the parts. The job counts
            as driven until it returns.
    """

    def __init__(self, steps: CallSteps) -> None:
        self._steps = steps
        self.on_link_ended: OnEnded | None = None
        self._ledger = steps.ledger
        self._evidence = Evidence(
            ledger=steps.ledger, endpoints=steps.endpoints, collector=steps.collector, clock=steps.clock
        )
        self._changed: dict[str, anyio.Event] = {}
        self._driven: set[str] = set()
        self._sending: set[tuple[str, int]] = set()
        self._notes: dict[tuple[str, int], str] = {}
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

    def start(self, job: Job, requests: Sequence[PaidRequest]) -> None:
        """Drive a job that was just written to the ledger by this process; one request for each of its calls."""
        self._drive(job, requests)

    def start_sweeping(self) -> None:
        """Resume every open job that no living process drives, now and from time to time."""
        self._group.start_soon(self._sweep)

    async def resume(self, only: str | None = None) -> list[Job]:
        """Take over open jobs whose process is gone, and chains that it did not go on with; returns those taken.

        Args:
            only: Job that alone is taken over, so that no other chain goes on and costs.
        """
        taken = []
        for job in await self._ledger.open_jobs():
            if only in {None, job.job_id} and job.job_id not in self._driven and await self._ledger.claim(job.job_id):
                logger.info("job %s resumed (%s)", job.job_id, job.status)
                self._drive(job, ())
                taken.append(job)
        taken += await self._resume_chains(only)
        for job in await self._evidence.look(only, busy=self._driven):
            self._drive(job, ())
            taken.append(job)
        return taken

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
                self._group.start_soon(self._drive_job, replace(job, calls=()), ())
                taken.append(job)
        return taken

    async def wait(self, job: Job, seconds: float, on_progress: OnProgress | None = None) -> Job:
        """Wait until the job has ended, at most so many seconds; the job goes on either way.

        A ledger that cannot be read meanwhile does not end the wait: the job as it was last seen is returned.
        """
        deadline = anyio.current_time() + seconds
        while True:
            event = self._changed.setdefault(job.job_id, anyio.Event())
            try:
                job = await self._ledger.get(job.job_id)
            except LedgerError as error:
                logger.warning("job %s cannot be read at the moment: %s", job.job_id, error.code)
            if on_progress:
                await on_progress(self._progress(job))
            remaining = deadline - anyio.current_time()
            # A job that has ended is driven for one more instant: until its record is written.
            has_ended = job.status.is_terminal and job.job_id not in self._driven
            if has_ended or remaining <= 0:
                self._changed.pop(job.job_id, event).set()
                return job
            with anyio.move_on_after(min(PROGRESS_SECONDS, remaining)):
                await event.wait()

    async def cancel(self, job_id: str) -> tuple[Job, tuple[str, ...]]:
        """Ask Google to stop the running calls of a job; what is made already is collected.

        Returns:
            The job, and in words what could not be stopped.

        Raises:
            InvalidRequestError: Nothing of the job is running.
        """
        job = await self._ledger.get(job_id)
        running = [call for call in job.calls if call.status is JobStatus.RUNNING and call.operation]
        if not running:
            raise InvalidRequestError(
                f"job_id {job_id} is {job.status}; only a running job can be stopped.",
                field="job_id",
                hint="Follow it with get_job." if not job.status.is_terminal else "",
            )
        refused = []
        endpoint = await self._steps.endpoints.for_job(job)
        for call in running:
            if await endpoint.cancel(call.operation or ""):
                # Not a step: two at once would write into the same unfinished files.
                await self._steps.confirm_cancelled(job, call)
                self._wake(job_id)
            else:
                refused.append(f"Google did not stop call {call.ordinal + 1}; it may be finished already.")
        return await self._ledger.get(job_id), tuple(refused)

    async def resolve(self, job_id: str, decision: Decision) -> tuple[str, ...]:
        """Settle a job by the word of whoever pays, and go on with it if it can; what is to be said about it.

        Raises:
            MediaGenError: As `mediagen.runner.resolving.resolve` says.
        """
        # A caller who gives up waiting must not leave a job open that nobody drives.
        with anyio.CancelScope(shield=True):
            job, notes = await resolve(self._evidence, job_id, decision)
            if not job.status.is_terminal and job_id not in self._driven:
                self._drive(job, ())
        self._wake(job_id)
        return notes

    def notes(self, job_id: str) -> tuple[str, ...]:
        """What keeps an open job from going on, if anything."""
        return tuple(note for (noted, _), note in self._notes.items() if noted == job_id)

    def _progress(self, job: Job) -> Progress:
        progress = progress_of(job, self._steps.clock())
        notes = () if job.status.is_terminal else self.notes(job.job_id)
        return replace(progress, message=f"{progress.message}. {notes[0]}") if notes else progress

    @property
    def is_sending(self) -> bool:
        """Whether a paid request is on its way or its answer is not kept yet."""
        return bool(self._sending)

    @property
    def _group(self) -> TaskGroup:
        if self._tasks is None:
            raise RuntimeError("the runner has not been entered")
        return self._tasks

    async def _sweep(self) -> None:
        while True:
            try:
                await self._steps.collector.forget_leftovers()
                await self._steps.forget_old_conversations()
                await self.resume()
            except MediaGenError as error:
                logger.warning("open jobs could not be resumed: %s", error)
            await anyio.sleep(SWEEP_SECONDS)

    def _drive(self, job: Job, requests: Sequence[PaidRequest]) -> None:
        self._driven.add(job.job_id)
        self._group.start_soon(self._drive_job, job, requests)

    async def _drive_job(self, job: Job, requests: Sequence[PaidRequest]) -> None:
        try:
            async with anyio.create_task_group() as group:
                for call in job.calls:
                    request = requests[call.ordinal] if call.ordinal < len(requests) else None
                    group.start_soon(self._drive_call, job, call, request)
            if job.chain and self.on_link_ended:
                await self._end_link(job.job_id, self.on_link_ended)
        finally:
            self._driven.discard(job.job_id)
            self._wake(job.job_id)

    async def _end_link(self, job_id: str, on_ended: OnEnded) -> None:
        """Let the chain go on; what cannot be done now is done by a later sweep."""
        try:
            await on_ended(await self._ledger.get(job_id))
        except Exception as error:  # noqa: BLE001 - a defect met by one chain must not stop the others
            # Only the kind of the exception: its text may hold a prompt.
            logger.error("job %s: its chain does not go on: %s", job_id, type(error).__name__)  # noqa: TRY400 - as above

    async def _drive_call(self, job: Job, call: PaidCall, request: PaidRequest | None) -> None:
        delay: float | None = 0.0
        try:
            if request is not None:
                delay = await self._send(job, call, request)
            failures = 0
            while delay is not None:
                await anyio.sleep(delay)
                failures, delay = await self._advance(job.job_id, call.ordinal, failures)
                self._wake(job.job_id)
        except Exception as error:  # noqa: BLE001 - a defect met by one job must not stop the others
            # Only the kind of the exception: its text may hold a prompt.
            logger.error("job %s stopped by a defect: %s", job.job_id, type(error).__name__)  # noqa: TRY400 - as above
            self._notes[job.job_id, call.ordinal] = (
                f"Stopped by a defect in mediagen ({type(error).__name__}); its state is kept."
            )

    @contextmanager
    def _sent(self, job: Job, call: PaidCall) -> Iterator[None]:
        key = (job.job_id, call.ordinal)
        self._sending.add(key)
        try:
            yield
        finally:
            self._sending.discard(key)

    async def _send(self, job: Job, call: PaidCall, request: PaidRequest) -> float | None:
        waits = iter(self._steps.setup_waits)
        while True:
            # A paid answer is taken in and kept even when the server is told to stop meanwhile.
            with self._sent(job, call), anyio.CancelScope(shield=True):
                outcome = await self._steps.send(job, request)
                wait = next(waits, 0.0) if nothing_was_made(outcome) else 0.0
                if not wait:
                    return await self._keep(job, call, outcome, request)
            self._notes[job.job_id, call.ordinal] = f"Not sent yet, tried again in {wait:.0f} s: {outcome}"
            self._wake(job.job_id)
            try:
                await anyio.sleep(wait)
            except anyio.get_cancelled_exc_class():
                with anyio.CancelScope(shield=True):
                    await self._keep(job, call, outcome, request)
                raise

    async def _keep(self, job: Job, call: PaidCall, outcome: Outcome, request: PaidRequest) -> float | None:
        while True:
            try:
                delay = await self._steps.keep(job, call, outcome, request)
            except MediaGenError as error:
                logger.error("job %s: its answer cannot be written down yet: %s", job.job_id, error.code)  # noqa: TRY400 - tried again
                self._notes[job.job_id, call.ordinal] = (
                    f"Google has answered, and the answer is only in memory: {error.message} Keep the server running."
                )
                self._wake(job.job_id)
                await anyio.sleep(KEEP_SECONDS)
            else:
                self._notes.pop((job.job_id, call.ordinal), None)
                self._wake(job.job_id)
                return delay

    async def _advance(self, job_id: str, ordinal: int, failures: int) -> tuple[int, float | None]:
        """Take one step; nothing paid for is given up because a step fails."""
        try:
            job = await self._ledger.get(job_id)
            delay = await self._steps.advance(job, job.calls[ordinal])
        except MediaGenError as error:
            logger.warning("job %s: %s; tried again later", job_id, error.code)
            self._notes[job_id, ordinal] = f"Not finished yet: {error}"
            if waits_for_operator(error):
                return failures + 1, OPERATOR_SECONDS
            return failures + 1, min(300.0, self._steps.poll_seconds * 2.0 ** min(failures + 1, 6))
        self._notes.pop((job_id, ordinal), None)
        return 0, delay

    def _wake(self, job_id: str) -> None:
        event = self._changed.pop(job_id, None)
        if event:
            event.set()
