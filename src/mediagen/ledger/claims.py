"""Who drives a job and who may send it, over the transactions of the ledger."""

from datetime import datetime

from mediagen.jobs import Job, JobError, JobStatus
from mediagen.ledger import writing
from mediagen.ledger.engines.base import Access
from mediagen.ledger.seen import Seen, look, open_calls
from mediagen.ledger.transactions import Transactions
from mediagen.ledger.writing import Step


class Claims(Transactions):
    """Claims of this process on jobs, and its rights to send them. Part of `Ledger`."""

    async def renew(self) -> None:
        """Begin the lease of this process anew; to be called more often than a lease lasts while it drives jobs."""
        await self._in_thread(self._owners.renew, Access.WRITE)

    async def look(self, job_id: str, seen: Seen | None = None) -> Seen:
        """Read a job that this process drives, and has mostly seen before.

        Args:
            job_id: Of the job.
            seen: What was returned before; it is returned again while nothing of the job has changed, which costs much
                less than to read it.

        Raises:
            JobNotFoundError: There is none of that id.
        """
        return await self._read(look, job_id, seen)

    async def open_calls(self, job_id: str, fence: int | None = None) -> tuple[int, ...]:
        """Find the calls of a job that have not ended.

        Args:
            job_id: Of the job.
            fence: Claim under which that is asked; after a later claim of the job there are none.

        Raises:
            JobNotFoundError: There is none of that id.
        """
        return await self._read(open_calls, job_id, fence)

    async def claim(self, job_id: str, *, is_left: bool = False) -> Job | None:
        """Take over an open job whose process is gone, or does not go on with it.

        Args:
            job_id: Of the job.
            is_left: Whether to take it also from this process itself.

        Returns:
            The job for exactly one of all that ask; None when it has ended or belongs to a living process, this one
            included.

        Raises:
            JobNotFoundError: There is none of that id.
        """
        return await self._write(writing.claim, job_id, self._owners, is_left=is_left)

    async def hand_back(self, job: Job) -> bool:
        """Leave a job to whoever claims it next, with its `due_at`, `note` and `failures`.

        Returns:
            False when somebody else has claimed it by now.
        """
        return await self._write(writing.hand_back, job)

    async def note(self, job: Job) -> bool:
        """Write down the `note` and `failures` of a job that this process drives.

        Returns:
            False when somebody else has claimed it by now.
        """
        return await self._write(writing.note, job)

    async def overdue(self, before: datetime) -> list[str]:
        """Find the open jobs that are due since before a moment, oldest first, but none of another living process."""
        return await self._write(writing.overdue, before, self._owners)

    async def begin_attempt(self, job: Job, ordinal: int, attempt: str) -> bool:
        """Take the right to send a call, under the claim that `job` was read with.

        Returns:
            False when somebody has sent it, may have sent it, or drives the job by now.
        """
        return await self._write(writing.begin_attempt, job, ordinal, attempt)

    async def take_back_attempt(self, job: Job, ordinal: int, attempt: str) -> bool:
        """Free a call to be sent; only for who knows that nothing was accepted under the token.

        Returns:
            False when it was another's, or somebody else drives the job by now.
        """
        return await self._write(writing.take_back_attempt, job, ordinal, attempt)

    async def end_unsent(self, job: Job, ordinal: int, *, status: JobStatus, error: JobError) -> bool:
        """End a call of which certainly nothing was sent.

        Returns:
            False, with nothing changed, when it may have been sent by now or somebody else drives the job.
        """
        step = Step(
            job_id=job.job_id,
            ordinal=ordinal,
            expected=JobStatus.SUBMITTING,
            changes={"status": status, "error": error},
            now=self._clock(),
            fence=job.fence,
            is_unsent=True,
        )
        return await self._write(writing.take, step) is not None

    async def claim_chain(self, job_id: str) -> bool:
        """Take over the going on after a link whose process is gone.

        Returns:
            True when this process is the one to make the next link.

        Raises:
            JobNotFoundError: There is none of that id.
        """
        return await self._write(writing.claim_chain, job_id, self._owners)
