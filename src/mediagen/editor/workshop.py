"""Where edits are made: few at once, in a hidden folder, then in their place, recorded whole or not at all."""

import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import anyio
from anyio.lowlevel import RunVar

from mediagen.editor.sources import FoundSource
from mediagen.errors import InvalidRequestError, MediaError, MediaGenError, StorageError
from mediagen.jobs import Charge, Job, JobStatus, Kind, Origin, PaidCall, Progress, Quote
from mediagen.ledger.ids import new_artifact_id, new_job_id
from mediagen.ledger.ledger import Ledger
from mediagen.media.editing.engine import OnProgress as OnFraction
from mediagen.media.metadata import has_c2pa
from mediagen.media.metadata.putting import put_record
from mediagen.media.probe import MediaFacts
from mediagen.media.sniff import suffix_of
from mediagen.report.job import JobReport, job_report
from mediagen.report.sidecar import embedded_record, sidecar
from mediagen.requests import EditRequest
from mediagen.runner.placing import artifact_of
from mediagen.runner.runner import OnProgress
from mediagen.storage.local import LocalStorage, StoredFile, sanitise_name
from mediagen.storage.names import MAX_NAME_BYTES, MAX_NAME_CHARACTERS, safe_stem

logger = logging.getLogger(__name__)

Make = Callable[[Path, OnFraction], Awaitable[MediaFacts]]

MOST_AT_ONCE: Final = 2
# Formats with no place for one.
WITHOUT_RECORD: Final = frozenset({"image/gif", "video/webm"})
FREE: Final = "made on this machine, free"
_BAD_SOURCE: Final = frozenset({"unreadable_media", "no_video", "no_audio", "media_too_large"})
_turns: RunVar[anyio.CapacityLimiter] = RunVar("mediagen_edits")


@dataclass(frozen=True, kw_only=True, slots=True)
class Edit:
    """One edit that is about to be made.

    Attributes:
        tool: Name of the tool, which is the mode of the job.
        maker: What does the work: ``ffmpeg`` or ``pillow``.
        doing: The same in a word, for the progress.
        ending: Put behind the name of the source when the caller names nothing.
        effective: Values that hold.
    """

    tool: str
    maker: str
    doing: str
    request: EditRequest
    sources: tuple[FoundSource, ...]
    ending: str
    effective: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Workshop:
    """Makes edits.

    Attributes:
        usual_folder: Gives the folder for files when the caller names none, and who chose it.
    """

    ledger: Ledger
    storage: LocalStorage
    usual_folder: Callable[[], tuple[Path, Origin]]
    clock: Callable[[], datetime]

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until few enough edits are being made: each takes all processors and up to gigabytes of memory.

        Raises:
            InvalidRequestError: A source is damaged or of a kind that cannot be read.
        """
        async with _limiter():
            try:
                yield
            except MediaError as error:
                if error.code not in _BAD_SOURCE:
                    raise
                raise InvalidRequestError(error.message, hint=error.hint, code=error.code) from error
            except StorageError as error:
                # Its advice is about files that were paid for.
                raise MediaError(
                    error.message, hint="Nothing was made; correct that and call again.", code=error.code
                ) from error

    async def make(self, edit: Edit, work: Make, on_progress: OnProgress | None) -> JobReport:
        """Make the file of an edit and write it down; called within a `turn`.

        Raises:
            InvalidRequestError, ConfigurationError, MediaError, LedgerError: Nothing was made.
        """
        folder, origin = self._folder(edit.request)
        stem = _stem(edit)
        folder = await self.storage.check_directory(folder, field="output_dir" if edit.request.output_dir else None)
        began = self.clock()
        warnings = await anyio.to_thread.run_sync(_lost_manifests, edit.sources)
        tell = _teller(edit.doing, on_progress, anyio.current_time)
        async with self.storage.workspace(folder) as room:
            made = room / stem
            facts = await work(made, _before_the_end(tell))
            # Told to stop now, the call would leave a file without its record.
            with anyio.CancelScope(shield=True):
                job = self._job(edit, facts, began=began, folder=folder, folder_origin=origin)
                if facts.mime_type not in WITHOUT_RECORD:
                    why = await anyio.to_thread.run_sync(put_record, made, embedded_record(job, 0))
                    warnings += (why,) if why else ()
                suffix = suffix_of(facts.mime_type)
                stored = await self.storage.take_over(made, directory=folder, stem=stem, suffix=suffix)
                job = replace(job, warnings=warnings, calls=(self._made(job.calls[0], stored, facts),))
                report = await self._recorded(job, stored.path)
        await tell(1.0)
        return report

    def _folder(self, request: EditRequest) -> tuple[Path, Origin]:
        if request.output_dir:
            return Path(request.output_dir), "explicit"
        return self.usual_folder()

    async def _recorded(self, job: Job, path: Path) -> JobReport:
        record = sidecar(job, job.calls[0], position=0, artifact=job.artifacts[0])
        written: Path | None = None
        try:
            written = await self.storage.write_sidecar(path, record)
        except MediaGenError as error:
            logger.warning("job %s: the sidecar could not be written: %s", job.job_id, error.code)
            job = replace(job, warnings=(*job.warnings, f"The record beside {path.name} could not be written."))
        try:
            await self.ledger.record_finished(job)
        except BaseException:
            for file in (path, written):
                if file:
                    await anyio.Path(file).unlink(missing_ok=True)
            raise
        return job_report(job, self.clock())

    def _made(self, call: PaidCall, stored: StoredFile, facts: MediaFacts) -> PaidCall:
        return replace(call, artifacts=(artifact_of(new_artifact_id(self.clock), stored, facts),))

    def _job(self, edit: Edit, facts: MediaFacts, *, began: datetime, folder: Path, folder_origin: Origin) -> Job:
        now, job_id = self.clock(), new_job_id(self.clock)
        given = edit.request.model_dump(mode="json", exclude_unset=True)
        effective = {name: value for name, value in edit.effective.items() if value is not None}
        kind: Kind = "image" if facts.mime_type.startswith("image/") else "video"
        charge = Charge(usd=Decimal(0), basis=FREE, certainty="exact", billed="no")
        call = PaidCall(job_id=job_id, ordinal=0, status=JobStatus.SUCCEEDED, charge=charge)
        return Job(
            job_id=job_id,
            kind=kind,
            mode=edit.tool,
            backend="local",
            endpoint="local",
            base_url="",
            model=edit.maker,
            created_at=began,
            updated_at=now,
            requested=given,
            effective={"mode": edit.tool, **effective, "output_dir": str(folder)},
            origins={**_origins(edit.request, effective), "output_dir": folder_origin},
            quote=_free_quote(now),
            output_dir=str(folder),
            output_name=edit.request.output_name,
            calls=(call,),
            parent_job_id=next((source.job.job_id for source in edit.sources[:1] if source.job), None),
            input_files=_input_files(edit.sources),
            estimated_seconds=max(0.1, (now - began).total_seconds()),
        )


def _limiter() -> anyio.CapacityLimiter:
    """The one of this process: servers over HTTP build their parts several times."""
    try:
        return _turns.get()
    except LookupError:
        limiter = anyio.CapacityLimiter(MOST_AT_ONCE)
        _turns.set(limiter)
        return limiter


def _stem(edit: Edit) -> str:
    if edit.request.output_name:
        return sanitise_name(edit.request.output_name)
    room = MAX_NAME_CHARACTERS - len(edit.ending), MAX_NAME_BYTES - len(edit.ending.encode())
    name = safe_stem(edit.sources[0].path.stem)[: room[0]].encode()[: room[1]].decode("utf-8", "ignore")
    return safe_stem(f"{name}{edit.ending}")


def _teller(doing: str, on_progress: OnProgress | None, seconds: Callable[[], float]) -> OnFraction:
    began = seconds()

    async def tell(fraction: float) -> None:
        if on_progress is None:
            return
        elapsed = seconds() - began
        whole = elapsed / max(fraction, 0.01)
        words = f"{doing}: {fraction:.0%}" if fraction < 1 else f"{doing}: done after {elapsed:.1f} s"
        await on_progress(
            Progress(
                fraction=round(fraction, 4),
                message=words,
                elapsed_seconds=round(elapsed, 1),
                estimated_seconds=round(whole, 1),
            )
        )

    return tell


def _lost_manifests(sources: tuple[FoundSource, ...]) -> tuple[str, ...]:
    signed = []
    for path in dict.fromkeys(source.path for source in sources):
        with contextlib.suppress(MediaError):
            signed += [path.name] if has_c2pa(path) else []
    return tuple(
        f"{name} carries a C2PA manifest, the result does not: an edit breaks its signature." for name in signed
    )


def _before_the_end(tell: OnFraction) -> OnFraction:
    """What is left after the work is done, storing the file, comes before the end."""

    async def told(fraction: float) -> None:
        await tell(min(fraction, 0.99))

    return told


def _free_quote(now: datetime) -> Quote:
    nothing = Decimal(0)
    return Quote(
        usd=nothing,
        min_usd=nothing,
        max_usd=nothing,
        basis=FREE,
        as_of=now.date().isoformat(),
        source="this machine",
        certainty="published",
    )


def _origins(request: EditRequest, effective: Mapping[str, Any]) -> dict[str, Origin]:
    arguments = type(request).model_fields
    return {
        name: "explicit" if name in request.model_fields_set else "default" for name in effective if name in arguments
    }


def _input_files(sources: tuple[FoundSource, ...]) -> dict[str, Any]:
    files: dict[str, Any] = {}
    for source in sources:
        files.setdefault(source.field, []).append(source.as_record())
    return files
