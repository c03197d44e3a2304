"""The steps of one paid call.

Each leaves a state from which the next goes on, also when it is taken again or after a crash. Every transition is a
compare-and-set on the state that it starts from, and on the claim of the job or on the token of the paid attempt.
`send` and `keep` are apart, so that what came of a paid request is written down again and again until that works.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypedDict, Unpack

import anyio.to_thread

from mediagen.endpoints.base import Accepted, Finished, Operation, PaidRequest, Submission, nowhere
from mediagen.errors import (
    AuthenticationError,
    ConfigurationError,
    ContentFilteredError,
    EndpointError,
    MediaGenError,
    RateLimitError,
    StorageError,
    SubmissionUnconfirmedError,
    UnavailableError,
)
from mediagen.jobs import Charge, Job, JobError, JobStatus, PaidCall, job_error
from mediagen.ledger.ledger import Ledger
from mediagen.ledger.writing import CallChanges
from mediagen.runner.collect import Collector, EndpointSource
from mediagen.runner.delivering import deliver
from mediagen.runner.patience import Patience
from mediagen.runner.polling import seconds_to_next_batch_poll, seconds_to_next_poll
from mediagen.storage.conversations import KEPT_DAYS, Conversations
from mediagen.storage.gs_uri import missing_bucket_hint, parse_gs_uri

logger = logging.getLogger(__name__)

FILE_LIFETIME = timedelta(days=2)  # Source: https://ai.google.dev/gemini-api/docs/video (checked 2026-11-21)
SETUP_WAITS = (45.0,) * 4
GIVE_UP_AFTER = timedelta(hours=24)
# Google itself gives batches up after 48 hours, and says so when it is asked.
GIVE_BATCH_UP_AFTER = timedelta(hours=72)
# How long a job that Google says it does not know is asked about all the same: the key may be that of another project.
# Source: https://ai.google.dev/gemini-api/docs/interactions (checked 2026-11-21); for Veo and for batches, Google
# promises nothing.
KEPT_AT_GOOGLE = {"interaction": timedelta(days=55), "operation": timedelta(days=7), "batch": timedelta(days=7)}

Outcome = Submission | MediaGenError


class Guard(TypedDict, total=False):
    """What a change of a call depends on besides its state."""

    fence: int
    attempt: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class CallSteps:
    """Takes paid calls from step to step.

    Attributes:
        poll_seconds: Usual interval between polls, in seconds.
        patience: Decides when a call has been waited for long enough.
        setup_waits: Seconds to wait each time that Google is still setting the project up before the job is sent anew.
    """

    ledger: Ledger
    endpoints: EndpointSource
    collector: Collector
    conversations: Conversations
    poll_seconds: float
    clock: Callable[[], datetime]
    patience: Patience
    setup_waits: tuple[float, ...] = SETUP_WAITS

    async def send(self, job: Job, request: PaidRequest) -> Outcome:
        """Send one paid request, once. Costs money; never raises our errors, because the outcome must be kept."""
        try:
            endpoint = await self.endpoints.for_job(job)
            return await endpoint.submit(request)
        except (AuthenticationError, RateLimitError, UnavailableError) as error:
            # Another surface may do better, but nothing is sent there unasked.
            error.hint = f"{error.hint} {self.endpoints.advice(job, error)}".strip()
            return error
        except MediaGenError as error:
            return error

    async def keep(self, job: Job, call: PaidCall, outcome: Outcome, request: PaidRequest) -> float | None:
        """Write down what came of a paid request. May be called again with the same outcome when that fails.

        Returns:
            Seconds until the next step is due, or None when the call has ended.

        Raises:
            LedgerError, StorageError: It is not kept yet.
        """
        match outcome:
            case MediaGenError():
                await self.end(job, call, outcome)
                return None
            case Accepted(operation=operation):
                await self.late_or_not(job, call, status=JobStatus.RUNNING, operation=operation)
                return self._poll_delay(job)
            case Finished(turn=turn):
                converse = partial(self._keep_conversation, job, call, request, turn) if turn else tuple
                if outcome.is_stored and await self._deliver(job, call, outcome, converse):
                    return None
                await self._keep_picture(job, call, outcome, converse)
                return 0.0

    async def _keep_picture(
        self, job: Job, call: PaidCall, outcome: Finished, converse: Callable[[], tuple[str, ...]]
    ) -> None:
        # First of all, as nobody else may have it.
        answer = await self.collector.spool.keep(job, call, outcome.picture.chunks())
        await self.late_or_not(
            job,
            call,
            status=JobStatus.DOWNLOADING,
            remote_uris=(answer.as_uri(),),
            usage=outcome.image.usage,
            warnings=outcome.warnings + await anyio.to_thread.run_sync(converse),
        )

    async def with_ticket(self, job: Job, call: PaidCall, request: PaidRequest, token: str) -> PaidRequest:
        """A request that may leave once the ledger has given the right to send its call.

        Raises:
            StorageError: Its answer could not be kept.
        """
        spool = self.collector.spool
        ticket = await spool.open_for_sending(job, call, token)
        return replace(request, folder=spool.folder_of(job, call), ticket=ticket, token=token)

    async def _deliver(
        self, job: Job, call: PaidCall, outcome: Finished, converse: Callable[[], tuple[str, ...]]
    ) -> bool:
        """Bring a picture at once to where it belongs; False when the usual way is to be taken, which can wait."""
        if call.status is not JobStatus.SUBMITTING or job.effective.get("upload_to"):
            return False
        # As of a file that is here: it counts for one, needs no fetching, and no address is left of it.
        kept_in = self.collector.spool.folder_of(job, call).as_uri()
        answered = replace(call, usage=outcome.image.usage, warnings=outcome.warnings, remote_uris=(kept_in,))
        try:
            return await deliver(self.collector, job, answered, outcome.picture.chunks(), converse)
        except (MediaGenError, OSError) as error:
            # The usual way says what is wrong, if it still is, and waits for it.
            logger.info("job %s: its picture is not in its place yet: %s", job.job_id, type(error).__name__)
            return False

    def _keep_conversation(
        self, job: Job, call: PaidCall, request: PaidRequest, turn: dict[str, Any]
    ) -> tuple[str, ...]:
        """Keep what `continue_from` needs; a picture is never held up by it. Blocking."""
        asked = request.body.get("contents")
        if not asked:
            return ("The picture cannot be gone on with by continue_from: its request is not kept any more.",)
        try:
            is_kept = self.conversations.keep(job.job_id, call.ordinal, [*asked, turn])
        except StorageError as error:
            return (str(error),)
        return (
            () if is_kept else ("The picture cannot be gone on with by continue_from: its conversation is too long.",)
        )

    async def advance(self, job: Job, call: PaidCall) -> float | None:
        """Take one call, which was sent, one step from what the ledger says about it.

        Returns:
            Seconds until the next step is due, or None when the call has ended.

        Raises:
            MediaGenError: The step could not be taken now; what is paid for stays collectable.
        """
        match call.status:
            case JobStatus.RUNNING:
                return await self._poll(job, call)
            case JobStatus.DOWNLOADING:
                await self._collect(job, call)
                return None
            case _:
                return None

    async def confirm_cancelled(self, job: Job, call: PaidCall) -> None:
        """Write down that Google has stopped a call; whoever drives the call sees to anything else.

        Raises:
            MediaGenError: It could not be asked for.
        """
        polled = await (await self.endpoints.for_job(job)).poll(call.operation or "", nowhere)
        if polled.state == "cancelled":
            await self._end_polled(job, call, polled)

    async def late_or_not(self, job: Job, call: PaidCall, **changes: Unpack[CallChanges]) -> None:
        """Move a sent call on, whoever drives it by now; an answer that comes after the call was given up wins."""
        changes["error"] = changes["charge"] = None
        if call.status is JobStatus.SUBMITTING and await self.ledger.update_call(
            job.job_id, call.ordinal, expected=JobStatus.SUBMITTING, attempt=call.attempt, **changes
        ):
            return
        present = (await self.ledger.get(job.job_id)).calls[call.ordinal]
        if (present.status is JobStatus.SUBMITTING or present.is_answer_missing) and not await self.ledger.update_call(
            job.job_id, call.ordinal, expected=present.status, attempt=call.attempt, **changes
        ):
            # Given up in this moment, unless it is another's by now.
            await self.ledger.update_call(
                job.job_id, call.ordinal, expected=JobStatus.UNCONFIRMED, attempt=call.attempt, **changes
            )

    async def _poll(self, job: Job, call: PaidCall) -> float | None:
        endpoint = await self.endpoints.for_job(job)
        try:
            polled = await endpoint.poll(call.operation or "", self.collector.spool.sinks(job, call))
        except EndpointError as error:
            # The key of another project does not know the job either, so this settles nothing before its time is over.
            if error.code == "operation_unknown" and self.patience.is_over(job, call, KEPT_AT_GOOGLE[_kind(call)]):
                await self.end(job, call, error)
                return None
            raise
        span = GIVE_BATCH_UP_AFTER if job.is_economy else GIVE_UP_AFTER
        match polled.state:
            case "running" if self.patience.is_over(job, call, span):
                await self.end(job, call, _never_finished(span))
                return None
            case "running":
                return self._poll_delay(job)
            case "completed":
                made = await self._made(job, call, polled)
                # What was noted of earlier failures is taken back before anything else is waited for.
                if made is None or job.note:
                    return 0.0
                await self._collect(_with(job, made), made)
                return None
            case "failed" | "filtered" | "cancelled":
                await self._end_polled(job, call, polled)
                return None

    async def _made(self, job: Job, call: PaidCall, polled: Operation) -> PaidCall | None:
        """Write down where the files of a call are; the call as it is then, or None when another has moved it on."""
        uris = await self.collector.spool.keep_outputs(job, call, polled.outputs)
        is_in_google_store = any(uri.startswith("http") for uri in uris)
        changes: CallChanges = {
            "status": JobStatus.DOWNLOADING,
            "remote_uris": uris,
            "expires_at": self.clock() + FILE_LIFETIME if is_in_google_store else None,
            "usage": polled.usage,
            "warnings": (*call.warnings, *polled.warnings, *_fewer(call, polled)),
        }
        is_ours = await self.ledger.update_call(
            job.job_id, call.ordinal, expected=JobStatus.RUNNING, fence=job.fence, **changes
        )
        return replace(call, **changes) if is_ours else None

    async def _collect(self, job: Job, call: PaidCall) -> None:
        if gone := await self.collector.collect(job, call):
            # Made, and so billed, although nobody has it.
            charge = self.collector.recorder.charge(job, call.usage, made=len(call.remote_uris))
            await self.end(job, call, gone, charge)

    async def _end_polled(self, job: Job, call: PaidCall, polled: Operation) -> None:
        status = {"filtered": JobStatus.FILTERED, "cancelled": JobStatus.CANCELLED}.get(polled.state, JobStatus.FAILED)
        has_tokens = polled.usage is not None and polled.usage.output_video_tokens > 0
        charge = self.collector.recorder.charge(job, polled.usage, made=0) if has_tokens else None
        error = _naming_the_bucket(job, polled.error) if polled.error else None
        await self._ended(job, call, status=status, error=error, charge=charge)

    async def end(self, job: Job, call: PaidCall, error: MediaGenError, charge: Charge | None = None) -> None:
        """End a call without a file, and write down why."""
        logger.info("job %s call %d ends: %s", job.job_id, call.ordinal, error.code)
        await self._ended(job, call, status=_end_status(error), error=job_error(error), charge=charge)

    async def end_unsent(self, job: Job, call: PaidCall, status: JobStatus, error: MediaGenError) -> bool:
        """End a call of which nothing was sent, and write down why; False when it may have been sent by now."""
        await self.collector.spool.owe_record(job, call)
        is_ended = await self.ledger.end_unsent(job, call.ordinal, status=status, error=job_error(error))
        if is_ended:
            await self.collector.write_failure(job.job_id, call.ordinal)
            await self.collector.spool.forget(job, call)
        return is_ended

    async def _ended(self, job: Job, call: PaidCall, **changes: Unpack[CallChanges]) -> None:
        self.patience.forget(job, call)
        # What came of a paid request is true whoever drives the job by now.
        was_sent = call.status is JobStatus.SUBMITTING and call.attempt is not None
        guard: Guard = {"attempt": call.attempt} if was_sent else {"fence": job.fence}
        await self.collector.spool.owe_record(job, call)
        is_answer = was_sent and changes["status"] is not JobStatus.UNCONFIRMED
        for expected in (call.status, JobStatus.UNCONFIRMED) if is_answer else (call.status,):
            if await self.ledger.update_call(job.job_id, call.ordinal, expected=expected, **guard, **changes):
                await self.collector.write_failure(job.job_id, call.ordinal)
                if changes["status"] is not JobStatus.UNCONFIRMED:
                    await self.collector.spool.forget(job, call)
                return

    async def forget_old_conversations(self) -> None:
        """Remove kept conversations that are older than they are promised to be."""
        await self.conversations.forget_before((self.clock() - timedelta(days=KEPT_DAYS)).timestamp())

    def _poll_delay(self, job: Job) -> float:
        elapsed: float = (self.clock() - job.created_at).total_seconds()
        if job.is_economy:
            return seconds_to_next_batch_poll(elapsed, self.poll_seconds)
        return seconds_to_next_poll(elapsed, job.estimated_seconds, self.poll_seconds)


def nothing_was_made(outcome: Outcome) -> bool:
    """Whether Google prepares the project for its first gs:// address: it made nothing, and that passes by itself."""
    return isinstance(outcome, MediaGenError) and outcome.code == "service_agents_provisioning"


def not_sent(why: str) -> UnavailableError:
    """Make our error of a job of which nothing ever left."""
    return UnavailableError(
        f"Nothing was sent: {why}.",
        code="not_sent",
        hint="Nothing was billed. Ask again if you still want it.",
        billed="no",
    )


def waits_for_operator(error: MediaGenError) -> bool:
    """Whether only a changed setting can help, so that trying often is of no use."""
    return isinstance(error, ConfigurationError) or error.code == "operation_unknown"


def _with(job: Job, changed: PaidCall) -> Job:
    return replace(job, calls=tuple(changed if call.ordinal == changed.ordinal else call for call in job.calls))


def _kind(call: PaidCall) -> str:
    if (call.operation or "").startswith("batches/"):
        return "batch"
    return "operation" if "/operations/" in (call.operation or "") else "interaction"


def _end_status(error: MediaGenError) -> JobStatus:
    if isinstance(error, ContentFilteredError):
        return JobStatus.FILTERED
    if isinstance(error, SubmissionUnconfirmedError):
        return JobStatus.UNCONFIRMED
    return JobStatus.EXPIRED if error.code in {"expired", "operation_unknown"} else JobStatus.FAILED


def _fewer(call: PaidCall, polled: Operation) -> tuple[str, ...]:
    if len(polled.outputs) >= call.samples or polled.warnings:
        return ()
    return (
        f"Google made {len(polled.outputs)} of the {call.samples} clips that were asked for, and does not say why.",
    )


def _naming_the_bucket(job: Job, error: JobError) -> JobError:
    """Google does not always say which bucket it could not write to; the job knows it."""
    uri = job.effective.get("storage_uri")
    if not uri or error.code not in {"bucket_missing", "bucket_forbidden"}:
        return error
    hint = error.hint
    if error.code == "bucket_missing":
        bucket, _ = parse_gs_uri(uri, "storage_uri")
        location, project = job.effective.get("location"), job.effective.get("project")
        hint = f"{hint} {missing_bucket_hint(bucket, project=project, location=location)}".strip()
    return replace(error, message=f"{error.message} storage_uri is {uri}.", hint=hint)


def _never_finished(span: timedelta) -> EndpointError:
    return EndpointError(
        f"Google did not finish this job within {span / timedelta(hours=1):.0f} hours.",
        code="never_finished",
        billed="unknown",
        hint="Look at your usage at Google; then ask again if nothing was billed.",
    )
