"""Gives whole paid files their record and their place: never lost for want of a record, never changed when signed."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import anyio

from mediagen.errors import MediaError
from mediagen.jobs import Artifact, Job, JobStatus, PaidCall
from mediagen.media.metadata.putting import put_record, with_record
from mediagen.media.probe import MediaFacts, probe, probe_picture
from mediagen.media.sniff import SNIFF_BYTES, sniff, suffix_of
from mediagen.report.sidecar import embedded_record
from mediagen.runner.differences import differences, is_way
from mediagen.runner.examining import DAMAGE
from mediagen.runner.joining import Extended, Joiner
from mediagen.storage.local import PartFile, StoredFile
from mediagen.storage.names import MEDIA_SUFFIXES, record_key
from mediagen.storage.part import Part, open_part, translated
from mediagen.storage.placing import digest_of, temporary_of
from mediagen.storage.records import remove_failure, remove_record


@dataclass(frozen=True, kw_only=True, slots=True)
class Placed:
    """A paid file in its place, not yet in the ledger.

    Attributes:
        gcs_uri: Where Google keeps the same file in a bucket.
        warnings: What is wrong with it, and how it differs from what was asked for.
    """

    sample: int
    stored: StoredFile
    facts: MediaFacts
    gcs_uri: str | None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Placer:
    """Places the files of paid calls.

    Attributes:
        claim: Under which number this process fetches the call's files; see `storage.claims.Claims`.
        hands: Threads in which files are placed.
    """

    joiner: Joiner
    claim: int = 0
    hands: anyio.CapacityLimiter | None = None

    async def part(self, job: Job, call: PaidCall, sample: int) -> PartFile:
        """The download of a file, begun or not."""
        return PartFile(await anyio.to_thread.run_sync(self.opened, job, call, sample))

    def opened(self, job: Job, call: PaidCall, sample: int) -> Part:
        """The same for who is in a thread."""
        return open_part(Path(job.output_dir), self._key(job, call, sample))

    def filled(self, job: Job, call: PaidCall, sample: int, part: Part, data: bytes) -> MediaFacts | None:
        """Let a picture that is in memory count as whole at once, with its record in it.

        Returns:
            What it is; None, with nothing done, where there is anything to be said about it.

        Raises:
            StorageError: It cannot be written.
        """
        try:
            facts = probe_picture(data)
        except MediaError:
            return None
        whole = with_record(data, embedded_record(job, position(job, call, sample))) if facts else None
        if whole is None:
            return None
        part.fill(whole)
        return facts

    async def place(
        self, job: Job, call: PaidCall, sample: int, part: PartFile, facts: MediaFacts | None = None
    ) -> Placed:
        """Give a whole file its record and its name; the same file and name when it was done before.

        The parts are kept until `clear`, so that a crash before the ledger knows the file does not make a second one.

        Args:
            job: Of the call.
            call: The call.
            sample: Number of the file within the call.
            part: The whole file.
            facts: What it is, if that was looked at just now.

        Raises:
            StorageError: It cannot be placed now.
        """
        extended = await self.joiner.extended(job, call, part, f"{self._key(job, call, sample)}-film")
        placed = partial(self.placed, job, call, sample, part.blocking, facts, extended)
        return await anyio.to_thread.run_sync(placed, limiter=self.hands)

    def placed(
        self,
        job: Job,
        call: PaidCall,
        sample: int,
        part: Part,
        facts: MediaFacts | None,
        extended: Extended | None = None,
    ) -> Placed:
        """Do as `place` for who is in a thread and knows what came of an extension.

        A part that does not count as whole yet does so from now on: whoever finds it is not to change it again.
        """
        film = extended.film.blocking if extended and extended.film else None
        whole = film or part
        facts = None if film else facts
        mime_type = facts.mime_type if facts else _mime_type_of(whole.path)
        stem, warnings = self._name(job, call, sample, part)
        if not warnings:
            warnings = self._embed(job, call, sample, whole)
        whole.seal()
        if call.status is not JobStatus.SUBMITTING:
            # The answer may have come after the call was given up; the record of that would keep its name from it.
            failed = Path(job.output_dir) / file_stem(job, call, sample)
            remove_failure(failed, job.job_id, position(job, call, sample))
        # Each step can be taken again: what has its name keeps it.
        stored = whole.finish(stem, suffix_of(mime_type), keep_part=True)
        kept = part.finish(f"{stored.path.stem}_part", ".mp4", keep_part=True).path if film else None
        if extended:
            warnings += extended.warning(job, stored.path, kept)
        found, doubts = _found(job, stored, mime_type, extended, facts)
        uri = call.remote_uris[sample]
        return Placed(
            sample=sample,
            stored=stored,
            facts=found,
            # The film is only here; what lies in the bucket is its new part.
            gcs_uri=uri if uri.startswith("gs://") and not film else None,
            warnings=(*warnings, *doubts),
        )

    def _name(self, job: Job, call: PaidCall, sample: int, part: Part) -> tuple[str, tuple[str, ...]]:
        """Name of a file, and what is wrong with it."""
        note, stem = part.note(), file_stem(job, call, sample)
        if damage := note.get(DAMAGE):
            return f"{stem}_damaged", (f"{damage} It is kept as it came, because it was paid for.",)
        return stem, tuple(filter(None, [note.get("doubt")]))

    def clear(self, job: Job, call: PaidCall, *, is_known: bool = False) -> None:
        """Remove what was kept of the files of a call. Blocking.

        Those that have a name lose it, unless the call, which has ended, knows them: another process ended it with its
        own. Where one is not what the call has there, its owner may have renamed it, and another have its name by now;
        then all names stay.

        Args:
            job: Of the call.
            call: The call.
            is_known: Whether the files are certainly those that the call knows.

        Raises:
            StorageError: The folder is gone or closed.
        """
        folder = Path(job.output_dir)
        films = ("", "-film") if is_way(job.effective, "video_extension") else ("",)
        paths = [Path(artifact.path) for artifact in call.artifacts]
        likely = [path.name for path in paths]
        kept = dict.fromkeys([*likely, *(name for path in paths for name in _names_of(path.stem))])
        is_withdrawn = call.status.is_terminal and not is_known and all(map(_is_as_made, call.artifacts))
        for sample in range(max(call.samples, len(call.remote_uris))):
            key = self._key(job, call, sample)
            parts = [open_part(folder, f"{key}{film}") for film in films]
            if is_withdrawn:
                others = [part for part in parts if not _is_one_of(part.path, paths)]
                for gone in [name for part in others for name in part.withdraw(kept)]:
                    remove_record(gone, job.job_id, position(job, call, sample))
            for part in parts:
                part.discard()

    def clear_records(self, job: Job, call: PaidCall) -> None:
        """Remove the records of a call that were never finished. Blocking.

        Raises:
            StorageError: The folder is gone or closed.
        """
        for sample in range(max(call.samples, len(call.remote_uris))):
            folder, key = Path(job.output_dir), record_key(job.job_id, position(job, call, sample))
            with translated(folder):
                temporary_of(folder, key).unlink(missing_ok=True)

    def _key(self, job: Job, call: PaidCall, sample: int) -> str:
        return _part_key(job, call, sample) + (f"-by{self.claim}" if self.claim else "")

    def _embed(self, job: Job, call: PaidCall, sample: int, part: Part) -> tuple[str, ...]:
        """Put the record into a file that has no name yet; why it is not in there, if it should be."""
        if part.is_filled or part.is_placed():
            return ()
        record = embedded_record(job, position(job, call, sample))
        why = put_record(part.path, record, temporary=part.rewritten, renamed=part.whole.name)
        part.look_again()
        return (why,) if why else ()


def _found(
    job: Job, stored: StoredFile, mime_type: str, extended: Extended | None, known: MediaFacts | None
) -> tuple[MediaFacts, tuple[str, ...]]:
    """What a file is, as far as the record that was put into it cannot have changed that, and what is to be said."""
    try:
        facts = replace(known, size_bytes=stored.size_bytes) if known else probe(stored.path)
    except MediaError as error:
        unread = MediaFacts(mime_type=mime_type, size_bytes=stored.size_bytes)
        return unread, (f"The file is stored, but it could not be read back: {error}",)
    answer = extended.answer if extended else None
    new_sound = extended.new_sound if extended else None
    return facts, differences(job.effective, facts, answer=answer, new_sound=new_sound)


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


def _is_as_made(artifact: Artifact) -> bool:
    try:
        return digest_of(Path(artifact.path)) == (artifact.sha256, artifact.size_bytes)
    except OSError:
        return False


def _is_one_of(part: Path, paths: Iterable[Path]) -> bool:
    try:
        return any(path.samefile(part) for path in paths)
    except OSError:
        return False


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


def _mime_type_of(path: Path) -> str:
    with translated(path.parent), path.open("rb") as file:
        return sniff(file.read(SNIFF_BYTES)) or "application/octet-stream"
