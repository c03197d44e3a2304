"""Finds the record of a file again: in the ledger by its content, beside the file, or inside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import anyio

from mediagen.errors import InvalidRequestError, JobNotFoundError, MediaError
from mediagen.generator.foreign_records import KINDS, Beside, Told, described, record_inside, records_beside
from mediagen.jobs import Artifact, Job, Kind
from mediagen.ledger.ids import JOB_ID
from mediagen.ledger.ledger import Ledger
from mediagen.media.inputs import MAX_VIDEO_BYTES, InputLoader
from mediagen.media.local_files import read_digest, resolve_local
from mediagen.media.metadata import has_c2pa
from mediagen.media.sniff import SNIFF_BYTES, sniff
from mediagen.media.sources import ARTIFACT_PREFIX, shown
from mediagen.report.job import ChargeReport, QuoteReport, total_charge
from mediagen.report.record import FileReport, FoundRecord, Place

FIELD: Final = "file"
MAX_ANCESTORS: Final = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class _File:
    """A file as it is now, and the records that came with it."""

    path: Path
    sha256: str
    size_bytes: int
    mime_type: str
    kind: Kind | None
    signed: bool
    beside: Beside
    inside: Told | None

    @property
    def told(self) -> tuple[Told, ...]:
        """The records that came with it, the one that is believed most first."""
        inside = (self.inside,) if self.inside else ()
        exact = tuple(told for told in self.beside.told if told.is_exact)
        named = tuple(told for told in self.beside.told if not told.is_exact)
        return (*exact, *inside, *named)


@dataclass(frozen=True, kw_only=True, slots=True)
class Records:
    """Reads back how a file was made."""

    ledger: Ledger
    loader: InputLoader

    async def find(self, source: str) -> FoundRecord:
        """Find the record of a file, an artifact or a job.

        Args:
            source: Path of a file, ``mediagen://artifacts/<id>`` or a job id.

        Raises:
            InvalidRequestError: No media file, or one that cannot or may not be read.
            JobNotFoundError: No such job or artifact.
            MediaError: The file has no record (code ``no_record``); says where it was looked for.
        """
        if JOB_ID.fullmatch(source):
            job = await self.ledger.get(source)
            return await self._of_job(job, next(iter(job.artifacts), None))
        if source.startswith(ARTIFACT_PREFIX):
            artifact, job = await self.ledger.artifact(source.removeprefix(ARTIFACT_PREFIX))
            return await self._of_job(job, artifact)
        path = await self.loader.find_local(source, FIELD)
        if path is None:
            raise InvalidRequestError(
                f"{FIELD}={shown(source)} is no file of this machine.",
                field=FIELD,
                hint="Give the path of a file, mediagen://artifacts/<id> or a job id.",
            )
        return await self._of_file(await anyio.to_thread.run_sync(_look_at, path))

    async def _of_job(self, job: Job, artifact: Artifact | None) -> FoundRecord:
        """The record of a job of the ledger, with its file as it is now, if that is still there."""
        notes = [f"The job made {len(job.artifacts)} files; this is the first."] if len(job.artifacts) > 1 else []
        file = await anyio.to_thread.run_sync(_still_there, Path(artifact.path)) if artifact else None
        if artifact and not file:
            notes.append(f"There is no media file at {artifact.path} any more; it was moved, deleted or replaced.")
        return await self._from_ledger(job, artifact, file, notes)

    async def _of_file(self, file: _File) -> FoundRecord:
        made = await self.ledger.files_of_content(file.sha256)
        # Of equal files the one that lies where it was put is meant, or the one whose record came along.
        named = {told.job_id for told in file.told if told.is_exact or told is file.inside}
        made.sort(key=lambda pair: (Path(pair[0].path) != file.path, pair[1].job_id not in named))
        if made:
            artifact, job = made[0]
            found = await self._from_ledger(job, artifact, file, _also_made(job, made))
        elif file.told:
            found = await self._from_told(file, file.told[0])
        else:
            raise _nothing_found(self.ledger.place, file)
        told = [*file.told[0 if made else 1 :]]
        others = [_disagrees(other) for other in told if other.job_id and other.job_id != found.job_id]
        warnings = [*found.warnings, *others, *file.beside.warnings]
        lineage = next((other.values.get("lineage") for other in file.told if other.job_id == found.job_id), None)
        return found.model_copy(update={"warnings": warnings, "lineage": lineage})

    async def _from_told(self, file: _File, told: Told) -> FoundRecord:
        """By a record that came with the file; of a job that the ledger knows, the ledger's word is taken."""
        job = await self._known(told)
        if job:
            artifact = _artifact_of(job, told)
            found = await self._from_ledger(job, artifact, file, [], found_in=told.found_in)
            return found.model_copy(update={"record_path": str(told.record_path), "is_changed": bool(job.artifacts)})
        digests = {other.sha256 for other in file.told if other.sha256 and other.job_id == told.job_id}
        is_changed = file.sha256 not in digests if digests else None if told.is_exact or told is file.inside else True
        return FoundRecord.model_validate(
            {
                **described(told, file.kind or "video"),
                "found_in": told.found_in,
                "record_path": str(told.record_path),
                "is_in_ledger": False,
                "file": _file_report(file, None),
                "is_changed": is_changed,
                "signed": file.signed,
                "warnings": [],
            }
        )

    async def _known(self, told: Told) -> Job | None:
        if told.job_id is None:
            return None
        try:
            job = await self.ledger.get(told.job_id)
        except JobNotFoundError:
            return None
        return job if told.kind in {None, job.kind} else None

    async def _from_ledger(
        self,
        job: Job,
        artifact: Artifact | None,
        file: _File | None,
        notes: Sequence[str],
        *,
        found_in: Place = "ledger",
    ) -> FoundRecord:
        requested = job.requested
        call_warnings = (warning for call in job.calls for warning in call.warnings)
        return FoundRecord(
            found_in=found_in,
            record_path=self.ledger.place,
            is_in_ledger=True,
            job_id=job.job_id,
            kind=job.kind,
            mode=job.mode,
            status=str(job.status),
            model=job.model,
            backend=job.backend,
            profile=job.profile,
            created_at=job.created_at,
            prompt=requested.get("prompt"),
            requested=requested,
            effective=job.effective,
            origins=dict(job.origins),
            input_files=job.input_files,
            file=_file_report(file, artifact),
            is_changed=file.sha256 != artifact.sha256 if file and artifact else None,
            signed=bool(file and file.signed),
            quote=QuoteReport.model_validate(job.quote),
            charge=ChargeReport.model_validate(total_charge(job)),
            parent_job_id=job.parent_job_id,
            ancestors=await self._ancestors(job),
            warnings=[*dict.fromkeys((*job.warnings, *call_warnings, *notes))],
        )

    async def _ancestors(self, job: Job) -> list[str]:
        found: list[str] = []
        parent = job.parent_job_id
        while parent and parent not in found and len(found) < MAX_ANCESTORS:
            found.append(parent)
            try:
                parent = (await self.ledger.get(parent)).parent_job_id
            except JobNotFoundError:
                break
        return found


def _look_at(path: Path) -> _File:
    """Read everything about a file that can be read without the ledger.

    Raises:
        InvalidRequestError: It cannot be read or is no media file.
    """
    head, sha256, size_bytes = read_digest(path, FIELD, max_bytes=MAX_VIDEO_BYTES)
    mime_type = sniff(head[:SNIFF_BYTES])
    family = (mime_type or "").partition("/")[0]
    if mime_type is None or family not in {*KINDS, "audio"}:
        is_record = path.suffix == ".json"
        raise InvalidRequestError(
            f"{FIELD}={shown(str(path))} is no picture, video or sound.",
            field=FIELD,
            hint="Give the file that the record lies beside." if is_record else "Give a file that was generated.",
            code="unsupported_input",
        )
    kind: Kind | None = next((known for known in KINDS if known == family), None)
    inside = record_inside(path)
    return _File(
        path=path,
        sha256=sha256,
        size_bytes=size_bytes,
        mime_type=mime_type,
        kind=kind,
        signed=has_c2pa(path),
        beside=records_beside(path, sha256=sha256, size_bytes=size_bytes, kind=kind),
        inside=inside,
    )


def _still_there(path: Path) -> _File | None:
    """A stored file as it is now; None when it is no longer there or no longer media."""
    try:
        return _look_at(resolve_local(path, FIELD, None))
    except (InvalidRequestError, MediaError):
        return None


def _file_report(file: _File | None, artifact: Artifact | None) -> FileReport | None:
    if file is None and artifact is None:
        return None
    return FileReport(
        path=str(file.path) if file else str(artifact and artifact.path),
        exists=file is not None,
        size_bytes=file.size_bytes if file else artifact and artifact.size_bytes,
        sha256=file.sha256 if file else artifact and artifact.sha256,
        mime_type=file.mime_type if file else artifact and artifact.mime_type,
        **{name: getattr(artifact, name) for name in _FACTS} if artifact else {},
    )


_FACTS = ("width", "height", "duration_seconds", "fps", "has_audio")


def _artifact_of(job: Job, told: Told) -> Artifact | None:
    """Which of the files of a job a record speaks of."""
    if len(job.artifacts) == 1:
        return job.artifacts[0]
    return next((artifact for artifact in job.artifacts if artifact.sha256 == told.sha256), None)


def _also_made(job: Job, made: Sequence[tuple[Artifact, Job]]) -> list[str]:
    others = dict.fromkeys(other.job_id for _, other in made if other.job_id != job.job_id)
    return [f"The same content was also made by {', '.join(others)}."] if others else []


def _disagrees(told: Told) -> str:
    place = f"{told.record_path.name} beside the file" if told.found_in == "sidecar" else "The record inside the file"
    return f"{place} names another job, {told.job_id}."


def _nothing_found(ledger: str, file: _File) -> MediaError:
    looked: dict[str, Any] = {
        "the ledger": ledger,
        "beside it": file.path.with_suffix(".json").name,
        "inside it": "signed by its maker, so it holds none of ours" if file.signed else file.mime_type,
    }
    places = ", ".join(f"{place} ({what})" for place, what in looked.items())
    return MediaError(
        f"No record of {shown(str(file.path))} was found. Looked for in: {places}.",
        hint=" ".join(file.beside.warnings)
        or "Was it made with another MEDIAGEN_STATE_DIR, or changed by a program that drops metadata?",
        code="no_record",
    )
