"""What callers do with jobs: start them, wait for them, stop them. A scheduler advances them meanwhile."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Unpack

import anyio

from mediagen.endpoints.base import PaidRequest
from mediagen.errors import InvalidRequestError, LedgerError
from mediagen.jobs import Job, JobStatus, Progress
from mediagen.ledger.ledger import Ledger
from mediagen.ledger.writing import Conditions, KeptRequest
from mediagen.report.progress import progress_of
from mediagen.runner.changes import Changes
from mediagen.runner.resolving import Decision, resolve
from mediagen.runner.scheduler import Scheduler
from mediagen.runner.steps import CallSteps, not_sent
from mediagen.runner.watching import Watcher

logger = logging.getLogger(__name__)

PROGRESS_SECONDS = 1.0
UNSENT = not_sent("it was cancelled before that")

OnProgress = Callable[[Progress], Awaitable[None]]


class Runner:
    """Jobs that run in the background, here or elsewhere.

    Attributes:
        scheduler: Advances the jobs.
        watcher: Tells of changes to those who follow jobs.
    """

    def __init__(self, steps: CallSteps, scheduler: Scheduler, changes: Changes) -> None:
        self.scheduler = scheduler
        self._steps = steps
        self._ledger = steps.ledger
        self._changes = changes
        self.watcher = Watcher(steps.ledger, changes, steps.clock)

    def of(self, ledger: Ledger) -> "Runner":
        """The same runner for a caller who sees only the jobs of a scoped ledger; what runs is everybody's."""
        runner = Runner(self._steps, self.scheduler, self._changes)
        runner._ledger, runner.watcher = ledger, self.watcher
        return runner

    async def begin(self, draft: Job, to_send: Sequence[PaidRequest], **conditions: Unpack[Conditions]) -> Job:
        """Take a job in and start it. Costs money.

        Args:
            draft: With its calls, all of them submitting.
            to_send: One request for each of them.
            conditions: As for `Ledger.create`.

        Returns:
            The job as it is kept; one with another job_id when it is there already.

        Raises:
            MediaGenError: As `Ledger.create`; nothing was sent.
            StorageError: Its answer could not be kept; nothing was written or sent.
        """
        departure = self.scheduler.departure(draft, to_send)
        # Between the row and its start nothing may come in between, or the job would wait until this process ends.
        with anyio.CancelScope(shield=True):
            job = await self._ledger.create(
                departure.job,
                requests=[KeptRequest(api=request.api, body=request.body) for request in to_send],
                is_own=self.scheduler.drives_here,
                before_kept=departure.open,
                **conditions,
            )
            if job.job_id == draft.job_id:
                self.scheduler.start(job, departure.requests)
        return job

    async def resume(self, only: str | None = None) -> list[Job]:
        """Take over open jobs that nobody advances; see `Scheduler.resume`."""
        return await self.scheduler.resume(only)

    async def wait(
        self, job: Job, seconds: float, on_progress: OnProgress | None = None, *, is_new: bool = False
    ) -> Job:
        """Wait until the job has ended, at most so many seconds; the job goes on either way.

        A ledger that cannot be read meanwhile does not end the wait: the job as it was last seen is returned.

        Args:
            job: To wait for.
            seconds: How long.
            on_progress: Told how far it is.
            is_new: Whether it was begun in this moment, so that nothing can have changed yet.
        """
        deadline = anyio.current_time() + seconds
        while True:
            news = self._changes.news(job.job_id)
            if not is_new:
                job = await self._read(job)
            if on_progress:
                await on_progress(self._progress(job))
            remaining = deadline - anyio.current_time()
            # A job that has ended is driven for one more instant: until its record is written, or the next link made.
            has_ended = job.is_complete or (job.status.is_terminal and not self.scheduler.is_driven(job.job_id))
            if has_ended or remaining <= 0:
                self._changes.tell(job.job_id)
                return job
            with anyio.move_on_after(min(PROGRESS_SECONDS, remaining)):
                await news.event.wait()
            # What was told need not be read.
            is_new = news.job is not None and news.job.is_complete
            job = news.job if news.job and is_new else job

    async def _read(self, job: Job) -> Job:
        try:
            return await self._ledger.get(job.job_id)
        except LedgerError as error:
            logger.warning("job %s cannot be read at the moment: %s", job.job_id, error.code)
            return job

    async def cancel(self, job_id: str) -> tuple[Job, tuple[str, ...]]:
        """Ask Google to stop the running calls of a job; what is made already is collected.

        Returns:
            The job, and in words what could not be stopped.

        Raises:
            InvalidRequestError: Nothing of the job is running.
        """
        job = await self._ledger.get(job_id)
        unsent = [call for call in job.calls if call.status is JobStatus.SUBMITTING and not call.attempt]
        stopped = [call for call in unsent if await self._steps.end_unsent(job, call, JobStatus.CANCELLED, UNSENT)]
        running = [call for call in job.calls if call.status is JobStatus.RUNNING and call.operation]
        if stopped and not running:
            self._changes.tell(job_id)
            return await self._ledger.get(job_id), ()
        if not running:
            raise InvalidRequestError(
                f"job_id {job_id} is {job.status}; only a running job can be stopped.",
                field="job_id",
                hint=_instead_of_cancelling(job.status),
            )
        refused = []
        endpoint = await self._steps.endpoints.for_job(job)
        for call in running:
            if await endpoint.cancel(call.operation or ""):
                # Not a step: two at once would write into the same unfinished files.
                await self._steps.confirm_cancelled(job, call)
                self._changes.tell(job_id)
            else:
                refused.append(f"Google did not stop call {call.ordinal + 1}; it may be finished already.")
        return await self._ledger.get(job_id), tuple(refused)

    async def resolve(self, job_id: str, decision: Decision) -> tuple[str, ...]:
        """Settle a job by the word of whoever pays, and go on with it if it can; what is to be said about it.

        Raises:
            MediaGenError: As `mediagen.runner.resolving.resolve` says.
        """
        await self._ledger.get(job_id)
        # A caller who gives up waiting must not leave a job open that nobody drives.
        with anyio.CancelScope(shield=True):
            job, notes = await self._resolved(job_id, decision)
            if not job.status.is_terminal:
                await self.scheduler.resume(only=job_id)
        self._changes.tell(job_id)
        return notes

    async def _resolved(self, job_id: str, decision: Decision) -> tuple[Job, tuple[str, ...]]:
        if await self.scheduler.late.settling.settle_late(job_id):
            note = "Nothing was resolved by hand: Google's answer had arrived, and is taken in."
            return await self._ledger.get(job_id), (note,)
        return await resolve(self.scheduler.late.evidence, job_id, decision)

    def notes(self, job: Job) -> tuple[str, ...]:
        """What keeps an open job from going on, if anything; also when another process drives it."""
        return self.scheduler.notes(job) or ((job.note,) if job.note else ())

    def _progress(self, job: Job) -> Progress:
        progress = progress_of(job, self._steps.clock())
        notes = () if job.status.is_terminal else self.notes(job)
        return replace(progress, message=f"{progress.message}. {notes[0]}") if notes else progress

    @property
    def is_sending(self) -> bool:
        """Whether a paid request is on its way or its answer is not kept yet."""
        return self.scheduler.advancer.is_sending


def _instead_of_cancelling(status: JobStatus) -> str:
    if status is JobStatus.UNCONFIRMED:
        return "Nobody knows whether it runs. resolve_job (`mediagen jobs resolve`) settles it."
    return "" if status.is_terminal else "Follow it with get_job."
