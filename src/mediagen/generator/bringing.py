"""Brings a video to where its target can have it: by the name of an interaction, by an address, or as a mended file."""

import dataclasses
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

import anyio

from mediagen.errors import (
    AuthenticationError,
    EndpointError,
    InvalidRequestError,
    JobNotFoundError,
    MediaError,
    UnavailableError,
)
from mediagen.generator.clips import (
    BucketObject,
    GeminiFile,
    LocalClip,
    MadeClip,
    WebAddress,
    find_clip,
    gemini_file,
)
from mediagen.generator.input_folder import InputFolder
from mediagen.generator.policy import Project
from mediagen.generator.targets import Brought, Target
from mediagen.jobs import Progress
from mediagen.ledger.ledger import Ledger
from mediagen.media.editing.engine import executable
from mediagen.media.fitting import Fitted, judge_clip, make_acceptable
from mediagen.media.fitting_facts import BOXED, ClipFacts, read_clip
from mediagen.media.fitting_rules import judge_size
from mediagen.media.inputs import MAX_VIDEO_BYTES, InputLoader, InputMedia
from mediagen.media.local_files import read_digest
from mediagen.media.sources import BY_PATH, shown, too_large
from mediagen.routing import Route
from mediagen.runner.runner import OnProgress
from mediagen.storage.local import PartFile

# Interactions are kept one day on the free tier and longer on paid ones, and we cannot see the tier.
# Source: https://ai.google.dev/gemini-api/docs/interactions (checked 2026-11-21)
INTERACTION_LIFETIME = timedelta(hours=23)
PREPARED = 0.02  # of the whole call, whose fractions are estimates anyway
NOT_LOOKED_AT = "{field} is not here; its length and format are checked when the job is sent."


class Stores(Protocol):
    """Reads what callers name at Google, with the credentials of a project."""

    async def fetch_object(self, project: Project, backend: str, uri: str, part: PartFile) -> None:
        """Bring an object of Cloud Storage here."""
        ...

    async def has_file(self, project: Project, route: Route, file_id: str) -> bool:
        """Whether the Gemini API still has a file."""
        ...

    async def fetch_file(self, project: Project, route: Route, file_id: str, part: PartFile) -> None:
        """Bring a file of the Gemini API here."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Bringer:
    """Brings videos of every kind; costs nothing.

    Attributes:
        on_progress: Told how far a video is that is fetched or converted: callers give up on what says nothing.
    """

    ledger: Ledger
    loader: InputLoader
    stores: Stores
    folder: InputFolder
    clock: Callable[[], datetime]
    ffmpeg: str | None = None
    on_progress: OnProgress | None = None

    async def bring(self, source: str, target: Target) -> Brought:
        """Find out what a video is, and bring it to where its target can have it.

        Raises:
            InvalidRequestError: It cannot be used; says what can.
            JobNotFoundError: No such job or artifact, or its file is gone everywhere.
            MediaError: It has to be converted, and cannot be.
            EndpointError, AuthenticationError: It cannot be had from where it lies.
        """
        hosts = [address for address in (target.address, target.gemini_address) if address]
        clip = await find_clip(source, target.field, ledger=self.ledger, gemini_hosts=hosts)
        match clip:
            case MadeClip():
                return await self._made(clip, source, target)
            case GeminiFile():
                return await self._stored(clip, source, target)
            case BucketObject():
                return await self._object(clip, source, target)
            case WebAddress():
                if target.dry_run:
                    return _later(source, target)
                path = await self.folder.fetch_url(clip.url, target.field, self._fetched(target.field))
                return await self._file(path, source, target)
            case LocalClip():
                found = await self.loader.find_local(clip.source, target.field)
                assert found is not None
                return await self._file(found, source, target)

    async def _made(self, clip: MadeClip, source: str, target: Target) -> Brought:
        made = clip.artifact
        path = Path(made.path) if await anyio.Path(made.path).is_file() else None
        known = Brought(
            field=target.field,
            source=source,
            job=clip.job,
            path=path,
            width=made.width,
            height=made.height,
            seconds=made.duration_seconds,
            sha256=made.sha256,
        )
        if interaction := self._interaction(clip, target):
            return dataclasses.replace(known, interaction=interaction)
        # The buckets of the emulator exist nowhere else.
        is_same_world = (clip.job.backend == "emulator") == (target.place.route.backend == "emulator")
        in_bucket = BucketObject(uri=made.gcs_uri) if made.gcs_uri and is_same_world else None
        if in_bucket and target.reads_buckets and (path is None or _fits(clip, target)):
            return dataclasses.replace(known, uri=in_bucket.uri)
        if path:
            brought = await self._file(path, source, target)
            return dataclasses.replace(brought, job=clip.job)
        return dataclasses.replace(await self._from_google(clip, in_bucket, source, target), job=clip.job)

    def _interaction(self, clip: MadeClip, target: Target) -> str | None:
        """The interaction that made a clip, if its name alone says enough."""
        job, operation = clip.job, clip.call.operation
        if not operation or "/operations/" in operation or target.mode is None:
            return None
        is_kept = self.clock() - job.created_at < INTERACTION_LIFETIME
        # Another key does not see it, though the address is the same.
        is_there = job.base_url == target.address and job.profile == target.place.project.name
        return operation if is_kept and is_there and target.place.spec.api == "interactions" else None

    async def _from_google(
        self, clip: MadeClip, in_bucket: BucketObject | None, source: str, target: Target
    ) -> Brought:
        """A clip whose file here was moved or deleted, from where Google may still keep it."""
        cause: Exception | None = None
        remote, expires = clip.remote_uri, clip.call.expires_at
        hosts = [address for address in (target.gemini_address, clip.job.base_url) if address]
        kept = gemini_file(remote, hosts) if remote and expires and expires > self.clock() else None
        try:
            if in_bucket:
                return await self._object(in_bucket, source, target)
            if kept and target.gemini and clip.job.base_url == target.gemini_address:
                return await self._stored(kept, source, target)
        except (AuthenticationError, EndpointError, InvalidRequestError) as error:
            if isinstance(error, UnavailableError) or getattr(error, "code", "") in {"video_length"}:
                raise
            cause = error
        raise JobNotFoundError(
            f"The file of artifact {clip.artifact.artifact_id} is no longer at {clip.artifact.path}, and it cannot be "
            f"had from Google any more.",
            code="artifact_missing",
            hint=f"It was moved or deleted; pass its new path as {target.field} instead.",
        ) from cause

    async def _stored(self, file: GeminiFile, source: str, target: Target) -> Brought:
        """A file of the Gemini API that is not a clip of ours that lies here."""
        if target.gemini is None:
            raise InvalidRequestError(
                f"{target.field} is a file of the Gemini API, which is not set up here.",
                field=target.field,
                hint="Set GEMINI_API_KEY, or pass the path of the video.",
                code="no_credentials",
            )
        if target.dry_run:
            return _later(source, target, uri=file.uri if target.reads_files else None)
        project = target.place.project
        if not await self.stores.has_file(project, target.gemini, file.id):
            raise _expired(file, target.field)
        if target.reads_files:
            return Brought(field=target.field, source=source, uri=file.uri)
        gemini = target.gemini
        try:
            path = await self.folder.fetch(lambda part: self.stores.fetch_file(project, gemini, file.id, part))
        except EndpointError as error:
            if error.code == "expired":
                raise _expired(file, target.field) from error
            if error.retryable:
                raise
            raise InvalidRequestError(
                f"{target.field} is a file of the Gemini API that cannot be downloaded: {error.message}",
                field=target.field,
                hint=f"Only files that Google made can be; of another {BY_PATH}.",
                code="source_not_downloadable",
            ) from error
        return await self._file(path, source, target)

    async def _object(self, found: BucketObject, source: str, target: Target) -> Brought:
        place = target.place
        if target.dry_run:
            return _later(source, target, uri=found.uri if target.reads_buckets else None)
        try:
            path = await self.folder.fetch(
                lambda part: self.stores.fetch_object(place.project, place.route.backend, found.uri, part)
            )
        except (AuthenticationError, EndpointError) as error:
            is_barred = isinstance(error, AuthenticationError) or error.code == "bucket_forbidden"
            if not (target.reads_buckets and is_barred):
                raise
            warning = (
                f"{target.field} could not be looked at ({error.message.rstrip('.')}); it is passed on unchecked, and "
                "Google refuses it if its length or format is wrong."
            )
            return Brought(field=target.field, source=source, uri=found.uri, warnings=(warning,))
        brought = await self._file(path, source, target)
        if target.reads_buckets and not brought.adjustments:
            return dataclasses.replace(brought, video=None, uri=found.uri)
        return brought

    async def _file(self, path: Path, source: str, target: Target) -> Brought:
        """A file that is here, made acceptable where that is needed."""
        # Before it is read: terabytes that were never written would keep a thread for hours.
        if await _size(path) > MAX_VIDEO_BYTES:
            raise too_large(target.field, shown(source), MAX_VIDEO_BYTES)
        try:
            fitted = await self._fitted(path, target)
        except MediaError as error:
            if error.code != "unreadable_media":
                raise
            raise InvalidRequestError(
                f"{target.field}: {error.message}", field=target.field, hint=error.hint, code="unsupported_input"
            ) from error
        await self.folder.used(path)
        await self.folder.used(fitted.path)
        _, sha256, size_bytes = await anyio.to_thread.run_sync(
            lambda: read_digest(fitted.path, target.field, max_bytes=MAX_VIDEO_BYTES)
        )
        facts = fitted.facts
        video = InputMedia(
            field=target.field,
            source=source,
            mime_type=facts.mime_type,
            path=fitted.path,
            sha256=sha256,
            width=facts.width,
            height=facts.height,
            duration_seconds=facts.duration_seconds,
            fps=facts.fps,
            has_audio=facts.audio_codec is not None,
            size_bytes=size_bytes,
        )
        unfit = bool(fitted.changes) and not fitted.converted
        return Brought.of_file(video, unfit=unfit, adjustments=fitted.changes)

    async def _fitted(self, path: Path, target: Target) -> Fitted:
        requirements = target.requirements
        if requirements is None:
            return Fitted(path=path, facts=await self._facts(path))
        if target.dry_run:
            return await judge_clip(path, requirements, ffmpeg=self.ffmpeg, field=target.field)
        await self.folder.swept()
        return await make_acceptable(
            path,
            requirements,
            folder=self.folder.path,
            ffmpeg=self.ffmpeg,
            on_progress=self._converted(target.field),
            field=target.field,
        )

    def _fetched(self, field: str) -> Callable[[int, int | None], Awaitable[None]]:
        tell = self._teller()

        async def told(size: int, total: int | None) -> None:
            of = f" of {total / 1024**2:.0f} MB" if total else ""
            await tell(size / total if total else 0.0, f"fetching {field}: {size / 1024**2:.0f} MB{of}")

        return told

    def _converted(self, field: str) -> Callable[[float], Awaitable[None]]:
        tell = self._teller()

        async def told(part: float) -> None:
            await tell(part, f"converting {field}: {part:.0%}")

        return told

    def _teller(self) -> Callable[[float, str], Awaitable[None]]:
        began = anyio.current_time()

        async def tell(part: float, words: str) -> None:
            if self.on_progress:
                elapsed = anyio.current_time() - began
                whole = elapsed / max(part, 0.01)
                # The job itself has not begun.
                fraction = PREPARED * min(part, 1.0)
                await self.on_progress(
                    Progress(fraction=fraction, message=words, elapsed_seconds=elapsed, estimated_seconds=whole)
                )

        return tell

    async def _facts(self, path: Path) -> ClipFacts:
        facts = await read_clip(path, None)
        return facts if facts.mime_type in BOXED else await read_clip(path, await executable(self.ffmpeg))


async def _size(path: Path) -> int:
    try:
        return (await anyio.Path(path).stat()).st_size
    except OSError:  # whoever reads it says why it cannot be
        return 0


def _later(source: str, target: Target, *, uri: str | None = None) -> Brought:
    """A video that a dry run does not fetch."""
    warning = NOT_LOOKED_AT.format(field=f"{target.field}={shown(source)}")
    return Brought(field=target.field, source=source, uri=uri, warnings=(warning,))


def _fits(clip: MadeClip, target: Target) -> bool:
    """Whether a clip of Google's own has a size that the target takes."""
    requirements, made = target.requirements, clip.artifact
    return requirements is None or judge_size(made.width, made.height, requirements)


def _expired(file: GeminiFile, field: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"{field} is files/{file.id}, which the Gemini API does not have (any more): it keeps files for 48 hours, and "
        "shows them only to the project they belong to.",
        field=field,
        hint="Pass the job id or mediagen://artifacts/<id> of the clip, or the path of its file; it is uploaded again.",
        code="source_expired",
    )
