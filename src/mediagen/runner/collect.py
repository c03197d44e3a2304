"""Brings paid files into their place, whole and once: from Google, from a bucket or from our own spool."""

import contextlib
import logging
import shlex
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit
from urllib.request import url2pathname

import anyio

from mediagen.endpoints.base import Endpoint
from mediagen.errors import EndpointError, JobNotFoundError, LedgerError, MediaGenError, StorageError
from mediagen.jobs import Job, JobStatus, PaidCall
from mediagen.ledger.ledger import Ledger
from mediagen.media.probe import MediaFacts
from mediagen.pricing import Prices
from mediagen.runner.changes import Changes
from mediagen.runner.clearing import Clearing, begin, claims_on
from mediagen.runner.examining import examine
from mediagen.runner.joining import Joiner
from mediagen.runner.placing import Placed, Placer
from mediagen.runner.recording import Beside, Recorder
from mediagen.runner.spool import KEPT_MISSING, Spool, copy_kept
from mediagen.storage.claims import Claims, give_back
from mediagen.storage.gs_uri import FolderObject, object_uri
from mediagen.storage.local import LocalStorage, PartFile
from mediagen.storage.part import Part

logger = logging.getLogger(__name__)

COPY_SECONDS = 1800.0
MOST_AT_ONCE = 8  # fill any line
MOST_HANDS = 2  # fill any disk; more of them would only take the processor from each other


class Bucket(Protocol):
    """Cloud Storage with the credentials of a job."""

    async def download(self, uri: str, part: PartFile) -> None:
        """Bring an object here, going on after what `part` already holds."""
        ...

    async def upload(self, path: Path, uri: str, *, mime_type: str) -> str:
        """Copy a file into a bucket and return its address."""
        ...

    async def list_folder(self, uri: str) -> tuple[FolderObject, ...]:
        """Name what lies in a folder."""
        ...


class EndpointSource(Protocol):
    """Gives what a job was or will be sent to."""

    async def for_job(self, job: Job) -> Endpoint:
        """Raises ConfigurationError or AuthenticationError when it cannot be used."""
        ...

    async def bucket_for_job(self, job: Job) -> Bucket:
        """Raises ConfigurationError or AuthenticationError when there are no credentials for Cloud Storage."""
        ...

    def advice(self, job: Job, error: MediaGenError) -> str:
        """Whose credentials were refused, unless the error says so, and the other configured surfaces, in words."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Collector:
    """Collects what was paid for.

    Attributes:
        ffmpeg: Executable that joins the new part of a film with its source; None looks for one.
        changes: Where it is told at once that a picture is there.
        places: For those whose files are brought at a time.
        hands: Threads in which files that came are looked at, placed and written down.
    """

    ledger: Ledger
    endpoints: EndpointSource
    storage: LocalStorage
    prices: Prices
    spool: Spool
    clock: Callable[[], datetime]
    changes: Changes
    ffmpeg: str | None = None
    places: anyio.Semaphore = field(default_factory=lambda: anyio.Semaphore(MOST_AT_ONCE, fast_acquire=True))
    hands: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(MOST_HANDS))

    @property
    def recorder(self) -> Recorder:
        """Writes down what was brought."""
        return Recorder(ledger=self.ledger, storage=self.storage, prices=self.prices, clock=self.clock)

    def placer(self, claim: int = 0) -> Placer:
        """Gives files their record and their place."""
        joiner = Joiner(storage=self.storage, spool=self.spool, ffmpeg=self.ffmpeg)
        return Placer(joiner=joiner, claim=claim, hands=self.hands)

    async def forget_leftovers(self, busy: Collection[str] = ()) -> None:
        """Do what a process left undone that died right after the end of a call: its record, and to clear it away.

        Args:
            busy: Jobs that this process is not done with.
        """
        leftovers = await self.spool.leftovers()
        for job_id, ordinal in [each for each in leftovers if each[0] not in busy]:
            with contextlib.suppress(IndexError):
                try:
                    job = await self.ledger.get(job_id)
                except JobNotFoundError:
                    await self.spool.forget_unbegun(job_id, ordinal)
                    continue
                call = job.calls[ordinal]
                if call.status.is_terminal and await self.spool.owes_record(job, call):
                    await self.write_failure(job_id, ordinal)
                if call.status.is_terminal and not await self._may_be_answered(job, call):
                    # As it is by now: another may have delivered it while this process stood still.
                    await self.clear(job, await self._present(job, call), claims_on(job, call))

    async def write_failure(self, job_id: str, ordinal: int) -> None:
        """Write the record of a call that has ended without a file, so that nobody owes it any more."""
        job = await self.ledger.get(job_id)
        call = job.calls[ordinal]
        # Found all the same, by now.
        if call.status.is_terminal and call.status is not JobStatus.SUCCEEDED:
            await anyio.to_thread.run_sync(self.recorder.write_failure, job, call)
        await self.spool.settle_record(job, call)

    async def _may_be_answered(self, job: Job, call: PaidCall) -> bool:
        """Whether what is kept may be the answer of a call that was given up; who takes late answers in looks at it."""
        if call.status is JobStatus.UNCONFIRMED or not call.is_answer_missing:
            return call.status is JobStatus.UNCONFIRMED
        try:
            found = await self.spool.late(job, call)
        except StorageError:
            return True
        return found is not None and found.answer is not None

    async def collect(self, job: Job, call: PaidCall) -> MediaGenError | None:
        """Bring the files of a call into their place and end the call as succeeded.

        Returns:
            Why no file can ever be had, or None when they are here or were moved on by another.

        Raises:
            MediaGenError: One cannot be had now; everything that arrived is kept.
        """
        async with self.places:
            return await self._collect_claimed(job, call)

    async def _collect_claimed(self, job: Job, call: PaidCall) -> MediaGenError | None:
        claims = claims_on(job, call)
        folder = self.spool.folder_of(job, call)
        with anyio.CancelScope(shield=True):
            claim = await anyio.to_thread.run_sync(begin, folder, claims, limiter=self.hands)
        try:
            gone, ended = await self._collect(job, call, self.placer(claim))
            is_contested = gone is not None and await anyio.to_thread.run_sync(claims.is_any_held, claim)
            if gone and is_contested:
                # A process that was stopped for long may have the whole file; it is asked again later.
                raise gone
            with anyio.CancelScope(shield=True), contextlib.suppress(LedgerError):
                present = ended.call if ended else await self._present(job, call)
                await self.clear(job, present, claims, own=claim, ours=ended)
            return gone
        finally:
            with anyio.CancelScope(shield=True):
                if claims.held:
                    await anyio.to_thread.run_sync(give_back, claims, claims.held)

    async def _collect(self, job: Job, call: PaidCall, placer: Placer) -> tuple[MediaGenError | None, Beside | None]:
        """Bring what can be had; returns why nothing can, and the call as it was ended here with its records."""
        brought: list[_Brought] = []
        lost: list[MediaGenError] = []
        for sample, uri in enumerate(call.remote_uris):
            part = await placer.part(job, call, sample)
            found = None if part.is_whole else await self._bring(job, call, uri, part)
            if isinstance(found, MediaGenError):
                lost.append(found)
            else:
                brought.append(_Brought(sample=sample, part=part, facts=found))
        if not brought:
            return lost[0], None
        if await self._is_ended(job, call):
            return None, None
        # A process that is told to stop between two files finds the parts again and goes on.
        placed = [await placer.place(job, call, each.sample, each.part, each.facts) for each in brought]
        warnings = [f"{len(lost)} of {call.samples} files can no longer be had: {lost[0]}"] if lost else []
        copies = await self._copy_to_bucket(job, placed)
        warnings += [copy for copy in copies.values() if not copy.startswith("gs://")]
        # Told to stop now, the process would leave a file without its record.
        with anyio.CancelScope(shield=True):
            beside = partial(self.recorder.beside, job, call, placed, copies, warnings)
            done = await anyio.to_thread.run_sync(beside, limiter=self.hands)
            stored = await self.recorder.store(job, call, done.call)
            if stored is None:
                await self.recorder.withdraw(job, call, placed)
        return None, replace(done, call=stored.calls[call.ordinal]) if stored else None

    async def clear(
        self, job: Job, call: PaidCall, claims: Claims, *, own: int | None = None, ours: Beside | None = None
    ) -> None:
        """Remove what was kept of a call that needs it no more; what another still works at stays, and its mark.

        Args:
            job: Of the call.
            call: As the ledger has it.
            claims: On the call.
            own: The claim that this process has already.
            ours: What the ledger knows, if it is of the files under that claim.
        """
        clearing = Clearing(folder=self.spool.folder_of(job, call), placer=self.placer)
        clear = partial(clearing.clear, job, call, claims, own=own, ours=ours)
        await anyio.to_thread.run_sync(clear, limiter=self.hands)

    async def _present(self, job: Job, call: PaidCall) -> PaidCall:
        return (await self.ledger.get(job.job_id)).calls[call.ordinal]

    async def _is_ended(self, job: Job, call: PaidCall) -> bool:
        """Whether another process has ended the call while this one fetched, or was stopped."""
        return call.ordinal not in await self.ledger.open_calls(job.job_id)

    async def _bring(self, job: Job, call: PaidCall, uri: str, part: PartFile) -> MediaFacts | MediaGenError | None:
        """Fetch a file completely; gives what it is, if it can be read, or why it can never be had."""
        try:
            if not uri.startswith("file:"):
                await self._fetch(job, uri, part)
            return await anyio.to_thread.run_sync(_taken_in, part.blocking, uri, limiter=self.hands)
        except MediaGenError as error:
            gone = await self._gone(job, call, error)
            if gone is None:
                raise
            await part.discard()
            return gone

    async def _fetch(self, job: Job, uri: str, part: PartFile) -> None:
        if uri.startswith("gs://"):
            await (await self.endpoints.bucket_for_job(job)).download(uri, part)
        else:
            await (await self.endpoints.for_job(job)).download(uri, part)

    async def _gone(self, job: Job, call: PaidCall, error: MediaGenError) -> MediaGenError | None:
        """Why a file that could not be fetched can never be had; None when it may still be.

        Google answers alike for a file that is gone and for the key of another project. The job itself is asked: a key
        that knows the job is the right one. Its answer may also bring the file anew.
        """
        if not call.operation and error.code == "object_missing":
            # It was found in its bucket, and its operation was never known.
            return _deleted(error)
        if error.code not in {"expired", "object_missing", KEPT_MISSING} or not call.operation:
            return None
        is_overdue = error.code == "expired" and call.expires_at is not None and self.clock() > call.expires_at
        try:
            polled = await (await self.endpoints.for_job(job)).poll(call.operation, self.spool.sinks(job, call))
        except EndpointError as unknown:
            # Only who may look into a bucket is told that an object is not there, so nothing else is needed.
            if unknown.code == "operation_unknown" and error.code == "object_missing":
                return _deleted(error)
            # Asked all the same, for the calendar may have been set forward.
            if unknown.code == "operation_unknown" and is_overdue:
                return error
            raise
        if polled.state != "completed" or not polled.outputs:
            return None
        uris = await self.spool.keep_outputs(job, call, polled.outputs)
        if uris != call.remote_uris:
            await self.ledger.update_call(
                job.job_id, call.ordinal, expected=JobStatus.DOWNLOADING, fence=job.fence, remote_uris=uris
            )
            return None
        match error.code:
            case "object_missing":
                return _deleted(error)
            case "expired":
                return error
            case _:
                return None

    async def _copy_to_bucket(self, job: Job, placed: Sequence[Placed]) -> dict[Path, str]:
        """Copy files to where the caller wants them as well; for each its address, or in words why it is not there."""
        prefix = job.effective.get("upload_to")
        if not prefix:
            return {}
        copies = {}
        for file in placed:
            path = file.stored.path
            uri = object_uri(prefix, path.name)
            try:
                # The paid file is not in the ledger yet, so that a bucket must not hold it up for ever.
                with anyio.fail_after(COPY_SECONDS):
                    bucket = await self.endpoints.bucket_for_job(job)
                    copies[path] = await bucket.upload(path, uri, mime_type=file.facts.mime_type)
            except (MediaGenError, TimeoutError) as error:
                why = error if isinstance(error, MediaGenError) else f"it took longer than {COPY_SECONDS / 60:.0f} min."
                command = shlex.join(["gcloud", "storage", "cp", "--no-clobber", str(path), uri])
                copies[path] = (
                    f"upload_to: {path.name} is stored here but could not be copied to {prefix}: {why} "
                    f"It is not tried again; copy it by hand: {command}"
                )
        return copies


@dataclass(frozen=True, kw_only=True, slots=True)
class _Brought:
    """A whole file that has no name yet.

    Attributes:
        facts: What it is, if it was looked at just now.
    """

    sample: int
    part: PartFile
    facts: MediaFacts | None


def _taken_in(part: Part, uri: str) -> MediaFacts | None:
    """Look at a file that is here, or is kept here, and let it count as whole."""
    if uri.startswith("file:"):
        copy_kept(Path(url2pathname(urlsplit(uri).path)), part)
    facts = examine(part, uri)
    part.seal()
    return facts


def _deleted(error: MediaGenError) -> EndpointError:
    return EndpointError(
        error.message,
        code="expired",
        hint="It was made and billed, and deleted from the bucket before it was fetched. Restore it there by hand, or "
        "make it again.",
        billed="yes",
    )
