"""Brings a paid file into its place: from Google or from our own spool, whole, once, with its record."""

import contextlib
import logging
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit
from urllib.request import url2pathname

import anyio

from mediagen.endpoints.base import Endpoint
from mediagen.errors import JobNotFoundError, MediaGenError, StorageError
from mediagen.jobs import Artifact, Charge, Job, JobStatus, PaidCall, Usage
from mediagen.ledger.ids import new_artifact_id
from mediagen.ledger.ledger import Ledger
from mediagen.media.probe import MediaFacts, probe_file
from mediagen.media.sniff import SNIFF_BYTES, sniff
from mediagen.pricing import Prices
from mediagen.report.sidecar import sidecar
from mediagen.runner.differences import differences
from mediagen.storage.local import LocalStorage, PartFile, StoredFile

logger = logging.getLogger(__name__)

COPY_BYTES = 1_000_000
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
class Collector:
    """Collects what was paid for.

    Attributes:
        spool: Folder beside the ledger in which a paid answer is made durable before anything else.
    """

    ledger: Ledger
    endpoints: EndpointSource
    storage: LocalStorage
    prices: Prices
    spool: Path
    clock: Callable[[], datetime]

    async def keep_answer(self, job: Job, call: PaidCall, data: bytes) -> Path:
        """Make a paid file durable; the same file when it was done before.

        Raises:
            StorageError: It could not be written.
        """
        folder = self._answer_folder(job, call)
        kept = await self.kept_answer(job, call)
        if kept is None:
            await _recreate(folder)
            kept = (await self.storage.store_bytes(data, directory=folder, stem="answer", suffix=".bin")).path
        return kept

    async def kept_answer(self, job: Job, call: PaidCall) -> Path | None:
        """The paid file that was made durable for a call, if any."""
        folder = self._answer_folder(job, call)
        found = await anyio.to_thread.run_sync(lambda: sorted(folder.glob("answer*.bin")))
        return found[0] if found else None

    async def forget_answer(self, job: Job, call: PaidCall) -> None:
        """Remove what was kept of a call that has ended."""
        await anyio.to_thread.run_sync(partial(shutil.rmtree, self._answer_folder(job, call), ignore_errors=True))

    async def forget_leftovers(self) -> None:
        """Remove kept answers of calls that have ended; a process that died right after their end left them."""
        folders = await anyio.to_thread.run_sync(lambda: sorted(self.spool.glob("job_*-*")))
        for folder in folders:
            job_id, _, ordinal = folder.name.rpartition("-")
            with contextlib.suppress(JobNotFoundError, ValueError, IndexError):
                job = await self.ledger.get(job_id)
                call = job.calls[int(ordinal)]
                if call.status.is_terminal and call.status is not JobStatus.UNCONFIRMED:
                    await self.forget_answer(job, call)

    async def collect(self, job: Job, call: PaidCall) -> MediaGenError | None:
        """Bring the file of a call into its place and end the call as succeeded.

        Returns:
            Why the file can never be had, or None when it is here or was moved on by another.

        Raises:
            MediaGenError: It cannot be had now; everything that arrived is kept.
        """
        await _recreate(Path(job.output_dir))
        part = await self.storage.open_part(Path(job.output_dir), f"{job.job_id}-{call.ordinal}")
        if not part.is_whole:
            try:
                await self._fetch(job, call, part)
            except MediaGenError as error:
                if not await self._is_gone(job, call, error):
                    raise
                await part.discard()
                return error
            await part.seal()
        mime_type = sniff(await _head(part.path)) or "application/octet-stream"
        # Told to stop now, the process would leave a file without its record.
        with anyio.CancelScope(shield=True):
            # The part is kept until the ledger knows the file, so that a crash in between does not make a second one.
            stored = await part.finish(file_stem(job, call), SUFFIXES.get(mime_type, ".bin"), keep_part=True)
            await self._record(job, call, stored, mime_type)
            await part.discard()
            await self.forget_answer(job, call)
        return None

    async def _fetch(self, job: Job, call: PaidCall, part: PartFile) -> None:
        uri = call.remote_uri or ""
        if uri.startswith("file:"):
            await _copy_answer(Path(url2pathname(urlsplit(uri).path)), part)
        else:
            await (await self.endpoints.for_job(job)).download(uri, part)

    async def _is_gone(self, job: Job, call: PaidCall, error: MediaGenError) -> bool:
        """Whether a refused download means that the file can never be had.

        Google answers alike for a file that is gone and for the key of another project. The job itself is asked: a key
        that knows the job is the right one.
        """
        if error.code != "expired":
            return False
        if call.expires_at and self.clock() > call.expires_at:
            return True
        polled = await (await self.endpoints.for_job(job)).poll(call.operation or "")
        if polled.state != "completed" or polled.video_uri is None:
            return False
        if polled.video_uri == call.remote_uri:
            return True
        await self.ledger.update_call(
            job.job_id, call.ordinal, expected=JobStatus.DOWNLOADING, remote_uri=polled.video_uri
        )
        return False

    async def _record(self, job: Job, call: PaidCall, stored: StoredFile, mime_type: str) -> None:
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
        charge = self.charge(job, call.usage)
        done = replace(call, status=JobStatus.SUCCEEDED, charge=charge, artifact=artifact)
        await self.write_record(replace(job, updated_at=self.clock()), done)
        await self.ledger.store_artifact(
            job.job_id,
            call.ordinal,
            expected=call.status,
            artifact=artifact,
            charge=charge,
            warnings=warnings,
            remote_uri=None if (call.remote_uri or "").startswith("file:") else call.remote_uri,
        )

    async def _probe(self, job: Job, stored: StoredFile, mime_type: str) -> tuple[MediaFacts, tuple[str, ...]]:
        try:
            facts = await probe_file(stored.path)
        except MediaGenError as error:
            unread = MediaFacts(mime_type=mime_type, size_bytes=stored.size_bytes)
            return unread, (f"The file is stored, but it could not be read back: {error}",)
        return facts, differences(job.effective, facts)

    def charge(self, job: Job, usage: Usage | None) -> Charge:
        """What a call that made something costs."""
        if job.backend == "emulator":
            return FREE
        charge = self.prices.charge_for(job.model, usage or Usage())
        if job.effective.get("search_grounding"):
            return replace(charge, certainty="estimated", basis=f"{charge.basis}; web searches are billed on top")
        return charge

    async def write_record(self, job: Job, call: PaidCall) -> None:
        """Write the sidecar of a call that has ended; a folder that cannot be written does not change its end."""
        beside = Path(call.artifact.path) if call.artifact else Path(job.output_dir) / file_stem(job, call)
        try:
            await self.storage.write_sidecar(beside, sidecar(job, call, status=call.status, artifact=call.artifact))
        except MediaGenError as error:
            logger.warning("job %s: the sidecar could not be written: %s", job.job_id, error.code)

    def _answer_folder(self, job: Job, call: PaidCall) -> Path:
        return self.spool / f"{job.job_id}-{call.ordinal}"


def file_stem(job: Job, call: PaidCall) -> str:
    """Name of a file without its suffix."""
    if job.output_name:
        return job.output_name if len(job.calls) == 1 else f"{job.output_name}_{call.ordinal}"
    return f"{job.kind}_{job.created_at.astimezone():%Y%m%d_%H%M%S}_{call.ordinal}"


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
