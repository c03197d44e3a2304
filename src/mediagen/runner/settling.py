"""Finds out what became of paid requests whose process is gone."""

import logging
from dataclasses import dataclass

from mediagen.catalog import Catalog
from mediagen.endpoints.base import PaidRequest, StoredAnswer
from mediagen.errors import MediaGenError, StorageError, SubmissionUnconfirmedError
from mediagen.jobs import Job, JobStatus, PaidCall
from mediagen.runner.steps import CallSteps, Outcome

logger = logging.getLogger(__name__)

# How soon a submitter that outlived its server is asked again for the answer that it waits for.
SENDING_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Settling:
    """Settles calls that may have been sent, from what lies in the spool."""

    steps: CallSteps

    async def settle(self, job: Job, call: PaidCall) -> float | None:
        """Decide about a call that may have been sent by a process that is gone.

        Returns:
            As `advance`.

        Raises:
            MediaGenError: That is not possible now.
        """
        settled = await self.steps.collector.spool.settled(job, call)
        if settled and settled.answer:
            return await self._keep_stored(job, call, settled.answer)
        answer = await self.steps.collector.spool.kept(job, call)
        if answer:
            await self.steps.late_or_not(job, call, status=JobStatus.DOWNLOADING, remote_uris=(answer.as_uri(),))
            return 0.0
        if settled and settled.state == "sending":
            return SENDING_SECONDS
        if settled and settled.state == "never_sent" and await self._can_be_sent(job, call):
            return 0.0
        await self.steps.end(
            job,
            call,
            SubmissionUnconfirmedError(
                "The server stopped while the paid request was on its way, so its answer was never seen."
            ),
        )
        return None

    async def _keep_stored(self, job: Job, call: PaidCall, answer: StoredAnswer) -> float | None:
        """Take an answer in that a submitter stored for a process that has died since."""
        request = await self._request_of(job, call)
        outcome = await self._read(job, request, answer)
        return await self.steps.keep(job, call, outcome, request)

    async def _read(self, job: Job, request: PaidRequest, answer: StoredAnswer) -> Outcome:
        endpoint = await self.steps.endpoints.for_job(job)
        try:
            return await endpoint.read_answer(request, answer)
        except StorageError:
            raise
        except MediaGenError as error:
            return error

    async def _request_of(self, job: Job, call: PaidCall) -> PaidRequest:
        """The request of a call, as far as its answer can be read with it."""
        if kept := await self.kept_request(job, call):
            return kept
        api = "batch_generate_content" if job.is_economy else Catalog.load().api_of(job.model, job.kind)
        folder = self.steps.collector.spool.folder_of(job, call)
        return PaidRequest(kind=job.kind, model=job.model, api=api, body={}, folder=folder)

    async def _can_be_sent(self, job: Job, call: PaidCall) -> bool:
        """Free a call to be sent that its process never sent, and that this process can send no more."""
        if await self.steps.ledger.kept_request(job.job_id, call.ordinal) is None or call.attempt is None:
            return False
        await self.steps.ledger.take_back_attempt(job, call.ordinal, call.attempt)
        return True

    async def settle_late(self, only: str | None = None) -> set[str]:
        """Take in the answers that came after their calls were given up as unconfirmed; unreadable ones stay.

        Returns:
            Ids of the jobs that may go on now.
        """
        settled = set()
        for job_id, ordinal in await self.steps.collector.spool.leftovers():
            if only in {None, job_id}:
                try:
                    if await self._settle_unconfirmed(job_id, ordinal):
                        settled.add(job_id)
                except MediaGenError as error:
                    logger.warning("job %s: what came late of it cannot be read: %s", job_id, error.code)
        return settled

    async def _settle_unconfirmed(self, job_id: str, ordinal: int) -> bool:
        job = await self.steps.ledger.get(job_id)
        if ordinal >= len(job.calls) or not job.calls[ordinal].is_answer_missing:
            return False
        call = job.calls[ordinal]
        found = await self.steps.collector.spool.late(job, call)
        if not found or not found.answer:
            return False
        request = await self._request_of(job, call)
        outcome = await self._read(job, request, found.answer)
        # Why it was given up in the first place.
        if isinstance(outcome, SubmissionUnconfirmedError):
            if call.status is not JobStatus.UNCONFIRMED:
                await self.steps.collector.spool.forget(job, call)
            return False
        await self.steps.keep(job, call, outcome, request)
        return not isinstance(outcome, MediaGenError)

    async def kept_request(self, job: Job, call: PaidCall) -> PaidRequest | None:
        """What is to be sent in a call, from the ledger; None when it is not kept.

        Raises:
            LedgerError: It cannot be read.
        """
        kept = await self.steps.ledger.kept_request(job.job_id, call.ordinal)
        if kept is None:
            return None
        folder = self.steps.collector.spool.folder_of(job, call)
        return PaidRequest(kind=job.kind, model=job.model, api=kept.api, body=dict(kept.body), folder=folder)
