"""Gives whole paid files their record and their place: never lost for want of a record, never changed when signed."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio

from mediagen.errors import MediaGenError
from mediagen.jobs import Artifact, Job, PaidCall
from mediagen.media.metadata.putting import put_record
from mediagen.media.probe import MediaFacts, probe_file
from mediagen.media.sniff import SNIFF_BYTES, sniff, suffix_of
from mediagen.report.sidecar import embedded_record
from mediagen.runner.differences import differences
from mediagen.runner.examining import DAMAGE
from mediagen.runner.joining import Extended, Joiner
from mediagen.storage.local import LocalStorage, PartFile, StoredFile
from mediagen.storage.names import MEDIA_SUFFIXES, record_key


@dataclass(frozen=True, kw_only=True, slots=True)
class Placed:
    """A paid file in its place, not yet in the ledger.

    Attributes:
        gcs_uri: Where Google keeps the same file in a bucket.
        extended: What came of an extension.
    """

    sample: int
    stored: StoredFile
    mime_type: str
    gcs_uri: str | None
    extended: Extended | None = None
    warnings: tuple[str, ...] = ()

    async def facts(self, job: Job) -> tuple[MediaFacts, tuple[str, ...]]:
        """What the file is, and how it differs from what was asked for."""
        try:
            facts = await probe_file(self.stored.path)
        except MediaGenError as error:
            unread = MediaFacts(mime_type=self.mime_type, size_bytes=self.stored.size_bytes)
            return unread, (f"The file is stored, but it could not be read back: {error}",)
        answer = self.extended.answer if self.extended else None
        new_sound = self.extended.new_sound if self.extended else None
        return facts, differences(job.effective, facts, answer=answer, new_sound=new_sound)


@dataclass(frozen=True, kw_only=True, slots=True)
class Placer:
    """Places the files of paid calls.

    Attributes:
        claim: Under which number this process fetches the call's files; see `storage.part.Claims`.
    """

    storage: LocalStorage
    joiner: Joiner
    claim: int = 0

    async def part(self, job: Job, call: PaidCall, sample: int) -> PartFile:
        """The download of a file, begun or not."""
        return await self.storage.open_part(Path(job.output_dir), self._key(job, call, sample))

    async def place(self, job: Job, call: PaidCall, sample: int, part: PartFile) -> Placed:
        """Give a whole file its record and its name; the same file and name when it was done before.

        The parts are kept until `discard`, so that a crash before the ledger knows the file does not make a second one.

        Raises:
            StorageError: It cannot be placed now.
        """
        key = self._key(job, call, sample)
        extended = await self.joiner.extended(job, call, part, f"{key}-film")
        film = extended.film if extended else None
        whole = film or part
        mime_type = sniff(await _head(whole.path)) or "application/octet-stream"
        stem, warnings = await self._name(job, call, sample, part)
        if not warnings:
            warnings = await self._embed(job, call, sample, whole)
        # The answer came after the call was given up; the record of that would keep the name from the file.
        failed = Path(job.output_dir) / file_stem(job, call, sample)
        await self.storage.remove_failure(failed, job.job_id, position(job, call, sample))
        # Each step can be taken again: what has its name keeps it.
        stored = await whole.finish(stem, suffix_of(mime_type), keep_part=True)
        kept = (await part.finish(f"{stored.path.stem}_part", ".mp4", keep_part=True)).path if film else None
        if extended:
            warnings += extended.warning(job, stored.path, kept)
        uri = call.remote_uris[sample]
        return Placed(
            sample=sample,
            stored=stored,
            mime_type=mime_type,
            # The film is only here; what lies in the bucket is its new part.
            gcs_uri=uri if uri.startswith("gs://") and not film else None,
            extended=extended,
            warnings=warnings,
        )

    async def _name(self, job: Job, call: PaidCall, sample: int, part: PartFile) -> tuple[str, tuple[str, ...]]:
        """Name of a file, and what is wrong with it."""
        note, stem = await part.note(), file_stem(job, call, sample)
        if damage := note.get(DAMAGE):
            return f"{stem}_damaged", (f"{damage} It is kept as it came, because it was paid for.",)
        return stem, tuple(filter(None, [note.get("doubt")]))

    async def discard(self, job: Job, call: PaidCall, sample: int) -> None:
        """Remove what was kept of a file that is in its place, or that can never be had.

        Raises:
            StorageError: The folder is gone or closed.
        """
        key = self._key(job, call, sample)
        await self.storage.discard_parts(Path(job.output_dir), (key, f"{key}-film", f"{key}-embedding"))

    async def discard_records(self, job: Job, call: PaidCall) -> None:
        """Remove the records of a call that were never finished.

        Raises:
            StorageError: The folder is gone or closed.
        """
        samples = range(max(call.samples, len(call.remote_uris)))
        keys = [record_key(job.job_id, position(job, call, sample)) for sample in samples]
        await self.storage.discard_parts(Path(job.output_dir), keys)

    async def withdraw(self, job: Job, call: PaidCall, sample: int) -> None:
        """Take back the names that were given to a file of a call which another process has ended with its own.

        Raises:
            StorageError: The folder is gone or closed.
        """
        stems = {Path(artifact.path).stem for artifact in call.artifacts}
        key = self._key(job, call, sample)
        kept = {name for stem in stems for name in _names_of(stem)}
        for gone in await self.storage.withdraw_parts(Path(job.output_dir), (f"{key}-film", key), kept):
            await self.storage.remove_record(gone, job.job_id, position(job, call, sample))

    def _key(self, job: Job, call: PaidCall, sample: int) -> str:
        return _part_key(job, call, sample) + (f"-by{self.claim}" if self.claim else "")

    async def _embed(self, job: Job, call: PaidCall, sample: int, part: PartFile) -> tuple[str, ...]:
        """Put the record into a file that has no name yet; why it is not in there, if it should be."""
        if await part.is_placed():
            return ()
        record = embedded_record(job, position(job, call, sample))
        unfinished = part.path.with_name(f".mediagen-{self._key(job, call, sample)}-embedding.part")
        why = await anyio.to_thread.run_sync(partial(put_record, part.path, record, temporary=unfinished))
        return (why,) if why else ()


def artifact_of(artifact_id: str, stored: StoredFile, facts: MediaFacts, gcs_uri: str | None = None) -> Artifact:
    """A stored file as the ledger keeps it."""
    return Artifact(
        artifact_id=artifact_id,
        path=str(stored.path),
        mime_type=facts.mime_type,
        size_bytes=stored.size_bytes,
        sha256=stored.sha256,
        width=facts.width,
        height=facts.height,
        duration_seconds=facts.duration_seconds,
        fps=facts.fps,
        has_audio=facts.has_audio,
        gcs_uri=gcs_uri,
    )


def file_stem(job: Job, call: PaidCall, sample: int) -> str:
    """Name of a file without its suffix."""
    number = position(job, call, sample)
    if job.output_name:
        is_only_one = sum(each.samples for each in job.calls) == 1
        return job.output_name if is_only_one else f"{job.output_name}_{number}"
    return f"{job.kind}_{job.created_at.astimezone():%Y%m%d_%H%M%S}_{number}"


def position(job: Job, call: PaidCall, sample: int) -> int:
    """Place of a file among all that the job asks for, from 0."""
    return sum(each.samples for each in job.calls[: call.ordinal]) + sample


def _part_key(job: Job, call: PaidCall, sample: int) -> str:
    key = f"{job.job_id}-{call.ordinal}"
    return f"{key}-{sample}" if sample else key


def _names_of(stem: str) -> Iterator[str]:
    """Names that belong to a file which the ledger knows: its own, and that of the new part of a film."""
    yield from (f"{name}{suffix}" for name in (stem, f"{stem}_part") for suffix in MEDIA_SUFFIXES)


async def _head(path: Path) -> bytes:
    def read() -> bytes:
        with path.open("rb") as file:
            return file.read(SNIFF_BYTES)

    return await anyio.to_thread.run_sync(read)
