"""One paid call, one step at a time, from whatever the ledger says about it.

`advance` is the seam: it may be called by anyone, again and after a crash, and leaves a state from which the next
call goes on. Every transition is a compare-and-set on the state that it starts from.
"""

import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit
from urllib.request import url2pathname

import anyio

from mediagen.endpoints.base import Accepted, Endpoint, Finished, PaidRequest, Polled
from mediagen.errors import (
    ConfigurationError,
    ContentFilteredError,
    EndpointError,
    LedgerError,
    MediaGenError,
    StorageError,
    SubmissionUnconfirmedError,
)
from mediagen.jobs import Artifact, Charge, Job, JobStatus, PaidCall, Usage, job_error
from mediagen.ledger.ids import new_artifact_id
from mediagen.ledger.ledger import Ledger
from mediagen.media.probe import MediaFacts, probe_file
from mediagen.pricing import Prices
from mediagen.report.sidecar import sidecar
from mediagen.runner.differences import differences
from mediagen.storage.local import LocalStorage, StoredFile

logger = logging.getLogger(__name__)

FILE_LIFETIME = timedelta(days=2)  # Source: generated files are kept two days (checked 2026-11-21)
RETRY_SECONDS = 2.0
GIVE_UP_AFTER = timedelta(hours=24)
SUFFIXES: Mapping[str, str] = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "video/mp4": ".mp4",
    "video/webm": ".webm",
}
FREE = Charge(usd=Decimal(0), basis="made by the emulator, free", certainty="exact", billed="no")


class EndpointSource(Protocol):
    """Gives the endpoint that a job was or will be sent to."""

    async def for_job(self, job: Job) -> Endpoint:
        """Raises ConfigurationError or AuthenticationError when it cannot be used."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class CallSteps:
    """Takes paid calls from step to step.

    Attributes:
        spool: Folder for paid pictures whose own folder cannot be written at the moment.
        poll_seconds: First interval between polls, in seconds.
    """

    ledger: Ledger
    endpoints: EndpointSource
    storage: LocalStorage
    prices: Prices
    spool: Path
    poll_seconds: float
    clock: Callable[[], datetime]

    async def advance(self, job: Job, call: PaidCall, body: dict[str, Any] | None = None) -> float | None:
        """Take one call one step.

        Args:
            job: The job as the ledger has it.
            call: The call as the ledger has it.
            body: Request body, only for a call that this process has just created.

        Returns:
            Seconds until the next step is due, or None when the call has ended.
        """
        match call.status:
            case JobStatus.SUBMITTING if body is None:
                await self._give_up_submission(job, call)
                return None
            case JobStatus.SUBMITTING:
                return await self._submit(job, call, body or {})
            case JobStatus.RUNNING:
                return await self._poll(job, call)
            case JobStatus.DOWNLOADING:
                return await self._collect(job, call)
            case _:
                return None

    async def _give_up_submission(self, job: Job, call: PaidCall) -> None:
        await self.end(
            job,
            call,
            SubmissionUnconfirmedError(
                "The server stopped while the paid request was on its way, so its answer was never seen.",
                hint="It may be billed; it is not sent again. Look at your usage at Google before you ask again.",
            ),
        )

    async def _submit(self, job: Job, call: PaidCall, body: dict[str, Any]) -> float | None:
        try:
            endpoint = await self.endpoints.for_job(job)
            submission = await endpoint.submit(PaidRequest(kind=job.kind, model=job.model, body=body))
        except MediaGenError as error:
            await self.end(job, call, error)
            return None
        match submission:
            case Accepted(operation=operation):
                await self._keep_operation(job, call, operation)
                return self._poll_delay(job)
            case Finished(image=image):
                return await self._keep_picture(job, call, image.data, image.mime_type, image.usage)

    async def _keep_operation(self, job: Job, call: PaidCall, operation: str) -> None:
        """Write down the name of a paid operation; a ledger that cannot be written is tried for as long as it takes."""
        while True:
            try:
                await self.ledger.update_call(
                    job.job_id,
                    call.ordinal,
                    expected=JobStatus.SUBMITTING,
                    status=JobStatus.RUNNING,
                    operation=operation,
                )
            except LedgerError as error:
                logger.error("job %s: its operation %s cannot be written down yet: %s", job.job_id, operation, error)  # noqa: TRY400 - no traceback wanted, it is tried again
                await anyio.sleep(RETRY_SECONDS)
            else:
                return

    async def _keep_picture(
        self, job: Job, call: PaidCall, data: bytes, mime_type: str, usage: Usage | None
    ) -> float | None:
        suffix = SUFFIXES.get(mime_type, ".bin")
        while True:
            try:
                await _recreate(Path(job.output_dir))
                stored = await self.storage.store_bytes(
                    data, directory=Path(job.output_dir), stem=file_stem(job, call), suffix=suffix
                )
            except StorageError as error:
                if await self._keep_in_spool(job, call, data, suffix=suffix, usage=usage, error=error):
                    return self.poll_seconds
                await anyio.sleep(RETRY_SECONDS)
            else:
                await self._store(job, call, stored, mime_type, usage)
                return None

    async def _keep_in_spool(
        self, job: Job, call: PaidCall, data: bytes, *, suffix: str, usage: Usage | None, error: StorageError
    ) -> bool:
        """Put a paid file that has no place in its own folder into ours; False when that fails too."""
        try:
            await _recreate(self.spool)
            kept = await self.storage.store_bytes(
                data, directory=self.spool, stem=f"{job.job_id}-{call.ordinal}", suffix=suffix
            )
            await self.ledger.update_call(
                job.job_id,
                call.ordinal,
                expected=call.status,
                status=JobStatus.DOWNLOADING,
                remote_uri=kept.path.as_uri(),
                usage=usage,
                warnings=(f"{error} The file is safe in {kept.path} and is moved as soon as that works.",),
            )
        except MediaGenError as second:
            logger.error("job %s: its paid file cannot be stored anywhere yet: %s", job.job_id, second.code)  # noqa: TRY400 - tried again
            return False
        return True

    async def _poll(self, job: Job, call: PaidCall) -> float | None:
        if self.clock() - job.created_at > GIVE_UP_AFTER:
            await self.end(job, call, _never_finished())
            return None
        endpoint = await self.endpoints.for_job(job)
        polled = await endpoint.poll(call.operation or "")
        match polled.state:
            case "running":
                return self._poll_delay(job)
            case "completed" if polled.video_inline is not None:
                return await self._keep_picture(
                    job, call, polled.video_inline, polled.mime_type or "video/mp4", polled.usage
                )
            case "completed":
                await self.ledger.update_call(
                    job.job_id,
                    call.ordinal,
                    expected=JobStatus.RUNNING,
                    status=JobStatus.DOWNLOADING,
                    remote_uri=polled.video_uri,
                    expires_at=self.clock() + FILE_LIFETIME,
                    usage=polled.usage,
                )
                return 0.0
            case "failed" | "filtered" | "cancelled":
                await self._end_polled(job, call, polled)
                return None

    async def _end_polled(self, job: Job, call: PaidCall, polled: Polled) -> None:
        status = {"filtered": JobStatus.FILTERED, "cancelled": JobStatus.CANCELLED}.get(polled.state, JobStatus.FAILED)
        charge = self._charge(job, polled.usage) if polled.usage and polled.usage.output_video_tokens else None
        changed = await self.ledger.update_call(
            job.job_id, call.ordinal, expected=call.status, status=status, error=polled.error, charge=charge
        )
        if changed:
            await self._write_failure(job.job_id, call.ordinal)

    async def _collect(self, job: Job, call: PaidCall) -> float | None:
        uri = call.remote_uri or ""
        await _recreate(Path(job.output_dir))
        if uri.startswith("file:"):
            return await self._collect_spooled(job, call, Path(url2pathname(urlsplit(uri).path)))
        endpoint = await self.endpoints.for_job(job)
        part = await self.storage.open_part(Path(job.output_dir), f"{job.job_id}-{call.ordinal}")
        try:
            downloaded = await endpoint.download(uri, part)
        except EndpointError as error:
            if error.code == "expired":
                await part.discard()
                await self.end(job, call, error)
                return None
            raise
        mime_type = downloaded.mime_type or "video/mp4"
        # The part is kept until the ledger knows the file, so that a crash in between does not make a second one.
        stored = await part.finish(file_stem(job, call), SUFFIXES.get(mime_type, ".mp4"), keep_part=True)
        await self._store(job, call, stored, mime_type, call.usage)
        await part.discard()
        return None

    async def _collect_spooled(self, job: Job, call: PaidCall, spooled: Path) -> float | None:
        data = await anyio.Path(spooled).read_bytes()
        stored = await self.storage.store_bytes(
            data, directory=Path(job.output_dir), stem=file_stem(job, call), suffix=spooled.suffix
        )
        await self._store(job, call, stored, "", call.usage)
        await anyio.Path(spooled).unlink(missing_ok=True)
        return None

    async def _store(self, job: Job, call: PaidCall, stored: StoredFile, mime_type: str, usage: Usage | None) -> None:
        facts, warnings = await self._probe(job, stored, mime_type)
        artifact = Artifact(
            artifact_id=new_artifact_id(self.clock),
            path=str(stored.path),
            mime_type=facts.mime_type,
            size_bytes=stored.size_bytes,
            sha256=stored.sha256,
            width=facts.width,
            height=facts.height,
            duration_seconds=facts.duration_seconds,
            fps=facts.fps,
            has_audio=facts.has_audio,
        )
        changed = await self.ledger.store_artifact(
            job.job_id,
            call.ordinal,
            expected=call.status,
            artifact=artifact,
            charge=self._charge(job, usage),
            usage=usage,
            warnings=(*warnings,),
        )
        if changed:
            await self._write_record(job.job_id, call.ordinal, artifact)

    async def _probe(self, job: Job, stored: StoredFile, mime_type: str) -> tuple[MediaFacts, tuple[str, ...]]:
        try:
            facts = await probe_file(stored.path)
        except MediaGenError as error:
            unread = MediaFacts(mime_type=mime_type or "application/octet-stream", size_bytes=stored.size_bytes)
            return unread, (f"The file is stored, but it could not be read back: {error}",)
        return facts, differences(job.effective, facts)

    def _charge(self, job: Job, usage: Usage | None) -> Charge:
        if job.backend == "emulator":
            return FREE
        charge: Charge = self.prices.charge_for(job.model, usage or Usage())
        return charge

    async def end(self, job: Job, call: PaidCall, error: MediaGenError) -> None:
        """End a call without a file, and write down why."""
        status = _end_status(error)
        changed = await self.ledger.update_call(
            job.job_id, call.ordinal, expected=call.status, status=status, error=job_error(error)
        )
        logger.info("job %s call %d ended %s (%s)", job.job_id, call.ordinal, status, error.code)
        if changed:
            await self._write_failure(job.job_id, call.ordinal)

    async def _write_failure(self, job_id: str, ordinal: int) -> None:
        await self._write_record(job_id, ordinal, None)

    async def _write_record(self, job_id: str, ordinal: int, artifact: Artifact | None) -> None:
        job = await self.ledger.get(job_id)
        call = job.calls[ordinal]
        beside = Path(artifact.path) if artifact else Path(job.output_dir) / file_stem(job, call)
        try:
            await self.storage.write_sidecar(beside, sidecar(job, call, status=call.status, artifact=artifact))
        except MediaGenError as error:
            logger.warning("job %s: the sidecar could not be written: %s", job_id, error.code)

    def _poll_delay(self, job: Job) -> float:
        elapsed: float = (self.clock() - job.created_at).total_seconds()
        return min(3 * self.poll_seconds, max(self.poll_seconds, 0.15 * elapsed))


async def _recreate(folder: Path) -> None:
    """Make a folder again that disappeared meanwhile; whoever writes there says why, if that fails."""
    with contextlib.suppress(OSError):
        await anyio.Path(folder).mkdir(parents=True, exist_ok=True)


def file_stem(job: Job, call: PaidCall) -> str:
    """Name of a file without its suffix."""
    if job.output_name:
        return job.output_name if len(job.calls) == 1 else f"{job.output_name}_{call.ordinal}"
    return f"{job.kind}_{job.created_at.astimezone():%Y%m%d_%H%M%S}_{call.ordinal}"


def is_final(error: MediaGenError) -> bool:
    """Whether a failed poll or download settles the call; anything else is tried again."""
    return isinstance(error, EndpointError) and error.code in {"operation_unknown", "expired"}


def waits_for_operator(error: MediaGenError) -> bool:
    """Whether only a changed setting can help, so that trying often is of no use."""
    return isinstance(error, ConfigurationError)


def _end_status(error: MediaGenError) -> JobStatus:
    if isinstance(error, ContentFilteredError):
        return JobStatus.FILTERED
    if isinstance(error, SubmissionUnconfirmedError):
        return JobStatus.UNCONFIRMED
    return JobStatus.EXPIRED if error.code in {"expired", "operation_unknown"} else JobStatus.FAILED


def _never_finished() -> EndpointError:
    return EndpointError(
        "Google did not finish this job within 24 hours.",
        code="never_finished",
        billed="unknown",
        hint="Look at your usage at Google; then ask again if nothing was billed.",
    )
