"""The ledger as one of several principals sees it: the jobs of the others do not exist."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Unpack

from mediagen.errors import JobNotFoundError
from mediagen.jobs import Artifact, Job, JobError, JobStatus
from mediagen.ledger import reading
from mediagen.ledger.approvals import Approval, Decision
from mediagen.ledger.browsing import JobState
from mediagen.ledger.claims import Claims
from mediagen.ledger.engines.base import Access
from mediagen.ledger.ledger import Ledger
from mediagen.ledger.reading import no_artifact, no_job
from mediagen.ledger.repeats import Wish
from mediagen.ledger.seen import Seen
from mediagen.ledger.writing import CallChanges, KeptRequest, Made, More


def ledger_of(whole: Ledger, principal: str | None) -> Ledger:
    """The ledger as a principal sees it; the whole one for whoever owns the machine."""
    return whole if principal is None else ScopedLedger(whole, principal)


class ScopedLedger(Ledger):
    """Shares the database of the whole ledger; what is of others is answered as an id that is none.

    The caps count everybody all the same, and what is usual of a model is learned from all.
    """

    def __init__(self, whole: Ledger, principal: str) -> None:
        Claims.__init__(self, whole._database, whole._owners, whole._clock, whole._lanes)  # noqa: SLF001 - it is the same ledger
        self.lease_seconds = whole.lease_seconds
        self.principal = principal

    async def create(self, job: Job, **more: Unpack[More]) -> Job:
        """Take in a job of the principal; see `Ledger.create`."""
        return await super().create(replace(job, principal=self.principal), **more)

    async def record_finished(self, job: Job) -> None:
        """Take in a job of the principal that has ended."""
        await super().record_finished(replace(job, principal=self.principal))

    async def get(self, job_id: str) -> Job:
        """Read one job.

        Raises:
            JobNotFoundError: There is none of that id, or it is another's.
        """
        job = await super().get(job_id)
        if job.principal != self.principal:
            raise no_job(job_id)
        return job

    async def find_repeat(self, wish: Wish) -> Job | None:
        """Find the job of the principal that was begun for the same wish."""
        return await super().find_repeat(replace(wish, principal=self.principal))

    async def artifact(self, artifact_id: str) -> tuple[Artifact, Job]:
        """Read one file's record and the job that made it.

        Raises:
            JobNotFoundError: There is none of that id, or it is another's.
        """
        artifact, job = await super().artifact(artifact_id)
        if job.principal != self.principal:
            raise no_artifact(artifact_id)
        return artifact, job

    async def open_jobs(self, besides: Collection[str] = ()) -> list[Job]:
        """Read the jobs of the principal that have not ended, without those of some ids."""
        return self._own(await super().open_jobs(besides))

    async def unsettled(self, since: datetime) -> list[Job]:
        """Read the jobs of the principal of which a call is unconfirmed."""
        return self._own(await super().unsettled(since))

    async def chain(self, chain_id: str) -> list[Job]:
        """Read the links of a chain of the principal."""
        return self._own(await super().chain(chain_id))

    async def next_link(self, job: Job) -> Job | None:
        """Read the link that goes on from this one."""
        link = await super().next_link(job)
        return link if link and link.principal == self.principal else None

    async def interrupted_links(self, since: datetime) -> list[Job]:
        """Read the links of the principal after which the next one is still to be made."""
        return self._own(await super().interrupted_links(since))

    async def overdue(self, before: datetime) -> list[str]:
        """Find the open jobs of the principal that are due since before a moment."""
        return [job_id for job_id in await super().overdue(before) if await self._is_own(job_id)]

    async def job_of_operation(self, operation: str) -> str | None:
        """Id of the job of the principal that follows an operation of Google's."""
        job_id = await super().job_of_operation(operation)
        return job_id if job_id and await self._is_own(job_id) else None

    async def kept_request(self, job_id: str, ordinal: int) -> KeptRequest | None:
        """Read what is to be sent in a call of a job of the principal."""
        return await super().kept_request(job_id, ordinal) if await self._is_own(job_id) else None

    async def mark_delivered(self, job_id: str) -> None:
        """Keep that the principal was told how a job ended."""
        if await self._is_own(job_id):
            await super().mark_delivered(job_id)

    async def stop_chain(self, job_id: str, reason: str) -> bool:
        """Let no link of the principal follow this one."""
        return await self._is_own(job_id) and await super().stop_chain(job_id, reason)

    async def update_call(
        self,
        job_id: str,
        ordinal: int,
        *,
        expected: JobStatus,
        fence: int | None = None,
        attempt: str | None = None,
        **changes: Unpack[CallChanges],
    ) -> bool:
        """Change a paid call of the principal; see `Ledger.update_call`."""
        await self.get(job_id)
        return await super().update_call(job_id, ordinal, expected=expected, fence=fence, attempt=attempt, **changes)

    async def store_artifacts(self, job_id: str, ordinal: int, **made: Unpack[Made]) -> Job | None:
        """Record the files of a paid call of the principal; see `Ledger.store_artifacts`."""
        await self.get(job_id)
        return await super().store_artifacts(job_id, ordinal, **made)

    def store_artifacts_here(self, job_id: str, ordinal: int, **made: Unpack[Made]) -> Job | None:
        """Do as `store_artifacts` for who is in a thread; see `Ledger.store_artifacts_here`."""
        if self._transact(partial(reading.job, job_id=job_id), Access.READ).principal != self.principal:
            raise no_job(job_id)
        return super().store_artifacts_here(job_id, ordinal, **made)

    async def reopen(self, job_id: str, ordinal: int, *, expected: JobStatus, **changes: Unpack[CallChanges]) -> bool:
        """Let a call of a job of the principal go on after all; see `Ledger.reopen`."""
        await self.get(job_id)
        return await super().reopen(job_id, ordinal, expected=expected, **changes)

    async def look(self, job_id: str, seen: Seen | None = None) -> Seen:
        """Read a job of the principal; see `Claims.look`."""
        seen = await super().look(job_id, seen)
        if seen.job.principal != self.principal:
            raise no_job(job_id)
        return seen

    async def open_calls(self, job_id: str, fence: int | None = None) -> tuple[int, ...]:
        """Find the calls of a job of the principal that have not ended; see `Claims.open_calls`."""
        await self.get(job_id)
        return await super().open_calls(job_id, fence)

    async def claim(self, job_id: str, *, is_left: bool = False) -> Job | None:
        """Take over an open job of the principal; see `Claims.claim`."""
        await self.get(job_id)
        return await super().claim(job_id, is_left=is_left)

    async def claim_chain(self, job_id: str) -> bool:
        """Take over the going on after a link of the principal; see `Claims.claim_chain`."""
        await self.get(job_id)
        return await super().claim_chain(job_id)

    async def hand_back(self, job: Job) -> bool:
        """Leave a job of the principal to whoever claims it next."""
        return await self._is_own(job.job_id) and await super().hand_back(job)

    async def note(self, job: Job) -> bool:
        """Write down the note of a job of the principal."""
        return await self._is_own(job.job_id) and await super().note(job)

    async def begin_attempt(self, job: Job, ordinal: int, attempt: str) -> bool:
        """Take the right to send a call of the principal."""
        return await self._is_own(job.job_id) and await super().begin_attempt(job, ordinal, attempt)

    async def take_back_attempt(self, job: Job, ordinal: int, attempt: str) -> bool:
        """Free a call of the principal to be sent."""
        return await self._is_own(job.job_id) and await super().take_back_attempt(job, ordinal, attempt)

    async def end_unsent(self, job: Job, ordinal: int, *, status: JobStatus, error: JobError) -> bool:
        """End a call of the principal of which certainly nothing was sent."""
        await self.get(job.job_id)
        return await super().end_unsent(job, ordinal, status=status, error=error)

    async def approval(self, job_id: str) -> Approval | None:
        """Read what the principal was asked about a job."""
        found = await super().approval(job_id)
        return found if found and found.principal == self.principal else None

    async def states(self, job_ids: Collection[str], chain_ids: Collection[str] = ()) -> list[JobState]:
        """Read how far some jobs of the principal, and all links of some of its chains, are."""
        return [state for state in await super().states(job_ids, chain_ids) if await self._is_own(state.job_id)]

    async def ask_approval(self, approval: Approval) -> Approval:
        """Take in a question to the principal."""
        return await super().ask_approval(replace(approval, principal=self.principal))

    async def decide_approval(self, job_id: str, decision: Decision) -> bool:
        """Keep the principal's answer."""
        return await self.approval(job_id) is not None and await super().decide_approval(job_id, decision)

    async def end_approval(self, job_id: str, *, made: str | None = None, refusal: str | None = None) -> bool:
        """Keep what became of the principal's answer."""
        is_own = await self.approval(job_id) is not None
        return is_own and await super().end_approval(job_id, made=made, refusal=refusal)

    def _own(self, jobs: list[Job]) -> list[Job]:
        return [job for job in jobs if job.principal == self.principal]

    async def _is_own(self, job_id: str) -> bool:
        try:
            await self.get(job_id)
        except JobNotFoundError:
            return False
        return True
