"""One paid call, one step at a time, from whatever the ledger says about it.

`advance` is the seam: it may be called by anyone, again and after a crash, and leaves a state from which the next
call goes on. Every transition is a compare-and-set on the state that it starts from. `send` and `keep` are apart, so
that what came of a paid request is written down again and again until that works.
"""

import contextlib
import logging
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Protocol, Unpack
from urllib.parse import urlsplit
from urllib.request import url2pathname

import anyio

from mediagen.endpoints.base import Accepted, Endpoint, Finished, PaidRequest, Polled, Submission
from mediagen.errors import (
    ConfigurationError,
    ContentFilteredError,
    EndpointError,
    MediaGenError,
    StorageError,
    SubmissionUnconfirmedError,
)
from mediagen.jobs import Artifact, Charge, Job, JobStatus, PaidCall, Usage, job_error
from mediagen.ledger.ids import new_artifact_id
from mediagen.ledger.ledger import Ledger
from mediagen.ledger.writing import CallChanges
from mediagen.media.probe import MediaFacts, probe_file
from mediagen.media.sniff import SNIFF_BYTES, sniff
from mediagen.pricing import Prices
from mediagen.report.sidecar import sidecar
from mediagen.runner.differences import differences
from mediagen.storage.local import LocalStorage, PartFile, StoredFile

logger = logging.getLogger(__name__)

FILE_LIFETIME = timedelta(days=2)  # Source: generated files are kept two days (checked 2026-11-21)
COPY_BYTES = 1_000_000
GIVE_UP_AFTER = timedelta(hours=24)
SUFFIXES: Mapping[str, str] = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "video/mp4": ".mp4",
    "video/webm": ".webm",
}
FREE = Charge(usd=Decimal(0), basis="made by the emulator, free", certainty="exact", billed="no")


Outcome = Submission | MediaGenError


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

    async def send(self, job: Job, body: dict[str, Any]) -> Outcome:
        """Send one paid request, once. Costs money; never raises our errors, because the outcome must be kept."""
        try:
            endpoint = await self.endpoints.for_job(job)
            return await endpoint.submit(PaidRequest(kind=job.kind, model=job.model, body=body))
        except MediaGenError as error:
            return error

    async def keep(self, job: Job, call: PaidCall, outcome: Outcome) -> float | None:
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
                await self._late_or_not(job, call, status=JobStatus.RUNNING, operation=operation)
                return self._poll_delay(job)
            case Finished(image=image):
                await self._keep_answer(job, call, image.data, image.usage)
                return 0.0

    async def advance(self, job: Job, call: PaidCall) -> float | None:
        """Take one call one step from what the ledger says about it.

        Returns:
            Seconds until the next step is due, or None when the call has ended.

        Raises:
            MediaGenError: The step could not be taken now; what is paid for stays collectable.
        """
        match call.status:
            case JobStatus.SUBMITTING:
                return await self._settle_submission(job, call)
            case JobStatus.RUNNING:
                return await self._poll(job, call)
            case JobStatus.DOWNLOADING:
                return await self._collect(job, call)
            case _:
                return None

    async def _settle_submission(self, job: Job, call: PaidCall) -> float | None:
        """Decide about a call whose process died while it was being sent."""
        answer = await _kept_answer(self._answer_folder(job, call))
        if answer:
            await self._late_or_not(job, call, status=JobStatus.DOWNLOADING, remote_uri=answer.as_uri())
            return 0.0
        await self.end(
            job,
            call,
            SubmissionUnconfirmedError(
                "The server stopped while the paid request was on its way, so its answer was never seen.",
                hint="It may be billed; it is not sent again. Look at your usage at Google before you ask again.",
            ),
        )
        return None

    async def _late_or_not(self, job: Job, call: PaidCall, **changes: Unpack[CallChanges]) -> None:
        """Move a sent call on; an answer that comes after the call was given up wins."""
        changes["error"] = None
        for expected in (JobStatus.SUBMITTING, JobStatus.UNCONFIRMED):
            if await self.ledger.update_call(job.job_id, call.ordinal, expected=expected, **changes):
                return

    def _answer_folder(self, job: Job, call: PaidCall) -> Path:
        return self.spool / f"{job.job_id}-{call.ordinal}"

    async def _keep_answer(self, job: Job, call: PaidCall, data: bytes, usage: Usage | None) -> None:
        """Make a paid file durable beside the ledger before anything else can go wrong."""
        folder = self._answer_folder(job, call)
        answer = await _kept_answer(folder)
        if answer is None:
            await _recreate(folder)
            stored = await self.storage.store_bytes(data, directory=folder, stem="answer", suffix=".bin")
            answer = stored.path
        changes: CallChanges = {"status": JobStatus.DOWNLOADING, "remote_uri": answer.as_uri(), "usage": usage}
        if call.status is JobStatus.RUNNING:
            await self.ledger.update_call(job.job_id, call.ordinal, expected=call.status, **changes)
        else:
            await self._late_or_not(job, call, **changes)

    async def _poll(self, job: Job, call: PaidCall) -> float | None:
        endpoint = await self.endpoints.for_job(job)
        try:
            polled = await endpoint.poll(call.operation or "")
        except EndpointError as error:
            # The key of another project does not know the job either, so this settles nothing before its time is over.
            if error.code == "operation_unknown" and self._is_overdue(job):
                await self.end(job, call, error)
                return None
            raise
        match polled.state:
            case "running" if self._is_overdue(job):
                await self.end(job, call, _never_finished())
                return None
            case "running":
                return self._poll_delay(job)
            case "completed" if polled.video_inline is not None:
                await self._keep_answer(job, call, polled.video_inline, polled.usage)
                return 0.0
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
            await self._write_record(job.job_id, call.ordinal, None)

    async def _collect(self, job: Job, call: PaidCall) -> float | None:
        await _recreate(Path(job.output_dir))
        part = await self.storage.open_part(Path(job.output_dir), f"{job.job_id}-{call.ordinal}")
        mime_type = None
        if (call.remote_uri or "").startswith("file:"):
            await _copy_answer(Path(url2pathname(urlsplit(call.remote_uri or "").path)), part)
        else:
            try:
                mime_type = await self._download(job, call, part)
            except MediaGenError as error:
                if not await self._is_gone(job, call, error):
                    raise
                await self.end(job, call, error)
                await part.discard()
                return None
        mime_type = sniff(await _head(part.path)) or mime_type or "application/octet-stream"
        # The part is kept until the ledger knows the file, so that a crash in between does not make a second one.
        stored = await part.finish(file_stem(job, call), SUFFIXES.get(mime_type, ".bin"), keep_part=True)
        await self._store(job, call, stored, mime_type, call.usage)
        await part.discard()
        await anyio.to_thread.run_sync(partial(shutil.rmtree, self._answer_folder(job, call), ignore_errors=True))
        return None

    async def _download(self, job: Job, call: PaidCall, part: PartFile) -> str | None:
        endpoint = await self.endpoints.for_job(job)
        return (await endpoint.download(call.remote_uri or "", part)).mime_type

    async def _is_gone(self, job: Job, call: PaidCall, error: MediaGenError) -> bool:
        """Whether a failed download means that the file can never be had.

        Google answers alike for a file that is gone and for the key of another project. The job itself is asked: a key
        that knows the job is the right one.
        """
        if call.expires_at and self.clock() > call.expires_at:
            return True
        if error.code != "expired":
            return False
        endpoint = await self.endpoints.for_job(job)
        polled = await endpoint.poll(call.operation or "")
        return polled.state == "completed" and polled.video_uri == call.remote_uri

    def _is_overdue(self, job: Job) -> bool:
        overdue: bool = self.clock() - job.created_at > GIVE_UP_AFTER
        return overdue

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
            warnings=warnings,
            remote_uri=None if (call.remote_uri or "").startswith("file:") else call.remote_uri,
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
        charge = self.prices.charge_for(job.model, usage or Usage())
        if job.effective.get("search_grounding"):
            return replace(charge, certainty="estimated", basis=f"{charge.basis}; web searches are billed on top")
        return charge

    async def end(self, job: Job, call: PaidCall, error: MediaGenError) -> None:
        """End a call without a file, and write down why."""
        status = _end_status(error)
        changed = await self.ledger.update_call(
            job.job_id, call.ordinal, expected=call.status, status=status, error=job_error(error)
        )
        logger.info("job %s call %d ended %s (%s)", job.job_id, call.ordinal, status, error.code)
        if changed:
            await self._write_record(job.job_id, call.ordinal, None)

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


async def _kept_answer(folder: Path) -> Path | None:
    """The paid file that was made durable for a call, if any."""
    found = await anyio.to_thread.run_sync(lambda: sorted(folder.glob("answer*.bin")))
    return found[0] if found else None


async def _copy_answer(answer: Path, part: PartFile) -> None:
    """Bring a kept paid file into its own folder, unless an earlier attempt did."""
    try:
        size = (await anyio.Path(answer).stat()).st_size
        if part.size() == size:
            return
        await part.truncate()
        async with await anyio.open_file(answer, "rb") as file:
            while chunk := await file.read(COPY_BYTES):
                await part.append(chunk)
    except OSError as error:
        raise StorageError(
            f"The paid file that was kept in {answer} cannot be read.",
            hint="Restore it or its folder; `mediagen jobs resume` then goes on.",
        ) from error


async def _head(path: Path) -> bytes:
    async with await anyio.open_file(path, "rb") as file:
        return await file.read(SNIFF_BYTES)


async def _recreate(folder: Path) -> None:
    """Make a folder again that disappeared meanwhile; whoever writes there says why, if that fails."""
    with contextlib.suppress(OSError):
        await anyio.Path(folder).mkdir(parents=True, exist_ok=True)


def file_stem(job: Job, call: PaidCall) -> str:
    """Name of a file without its suffix."""
    if job.output_name:
        return job.output_name if len(job.calls) == 1 else f"{job.output_name}_{call.ordinal}"
    return f"{job.kind}_{job.created_at.astimezone():%Y%m%d_%H%M%S}_{call.ordinal}"


def waits_for_operator(error: MediaGenError) -> bool:
    """Whether only a changed setting can help, so that trying often is of no use."""
    return isinstance(error, ConfigurationError) or error.code == "operation_unknown"


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
