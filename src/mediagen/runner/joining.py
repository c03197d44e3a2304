"""What an extension answered with, and the one film that is made of it and its source."""

import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import anyio

from mediagen.errors import MediaError, MediaGenError
from mediagen.jobs import Job, PaidCall
from mediagen.media.fitting_join import ExtensionAnswer, is_whole_film, join_once
from mediagen.media.local_files import file_digest
from mediagen.media.probe import probe_file
from mediagen.runner.differences import is_way
from mediagen.runner.spool import Spool, copy_kept
from mediagen.storage.local import LocalStorage, PartFile

logger = logging.getLogger(__name__)

# Without a digest, a source is known again by its length.
SAME_SECONDS: Final = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class Extended:
    """What came of an extension.

    Attributes:
        answer: What the file to be stored holds.
        film: Source and new part in one file, when we joined them.
        new_sound: Whether the new part has sound, if that is known of it alone.
        seconds: Lengths of the source and of what Google sent.
        source: Where the source is on this machine, if it is.
        not_joined: Why there is no film although only the new part came.
    """

    answer: ExtensionAnswer
    film: PartFile | None = None
    new_sound: bool | None = None
    seconds: tuple[float | None, float] = (None, 0.0)
    source: str | None = None
    not_joined: str = ""

    def warning(self, job: Job, stored: Path, kept_part: Path | None) -> tuple[str, ...]:
        """What the caller has to know about the stored file."""
        source_seconds, came = self.seconds
        asked = job.effective.get("duration_seconds")
        if kept_part:
            return (f"Google returned only the new part; it was joined with its source. As it came: {kept_part}",)
        if self.answer == "new_part":
            sources = f"[{self.source or 'SOURCE'!r}, {str(stored)!r}]"
            return (
                f"{stored.name} is only the new part of {came:g} s: {self.not_joined} "
                f"Join them with concat_videos: sources={sources}.",
            )
        if self.answer == "unclear":
            length = "of unknown length" if source_seconds is None else f"of {source_seconds:g} s"
            return (
                f"Google returned {came:g} s for a source {length} and {asked} s more, so it is not known whether "
                f"{stored.name} is the whole film; nothing was joined.",
            )
        return ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Joiner:
    """Makes the film of an extension whose answer is its new part alone.

    Attributes:
        ffmpeg: Executable to use; None looks for one.
    """

    storage: LocalStorage
    spool: Spool
    ffmpeg: str | None = None

    async def extended(self, job: Job, call: PaidCall, part: PartFile, key: str) -> Extended | None:
        """Find out what came, and join it with its source when it is the new part alone.

        The film is made in the folder of the call in the spool and sealed beside `part`, under the name `key`. After a
        crash at any instant the same is done again until it is sealed, and nothing any more afterwards. A part that has
        its final name already is left as it is.

        Returns:
            None when this is no extension, or nothing is known of what came.

        Raises:
            StorageError: The folder cannot be read.
        """
        if not is_way(job.effective, "video_extension"):
            return None
        try:
            facts = await probe_file(part.path)
        except MediaError:
            return None  # the caller reads it once more and says so
        came = facts.duration_seconds or 0.0
        source = _source_of(job)
        film = await self.storage.open_part(Path(job.output_dir), key)
        if film.is_whole:
            return Extended(answer="whole", film=film, new_sound=facts.has_audio, source=source.get("path"))
        source_seconds = await _source_seconds(job, source)
        answer = is_whole_film(came, source_seconds or 0.0, job.effective.get("duration_seconds") or 0.0)
        why = ""
        if answer == "new_part":
            why = await self._join(job, call, part, film, source)
            if not why:
                return Extended(answer="whole", film=film, new_sound=facts.has_audio, source=source.get("path"))
        return Extended(
            answer=answer,
            new_sound=facts.has_audio if answer == "new_part" else None,
            seconds=(source_seconds, came),
            source=source.get("path"),
            not_joined=why,
        )

    async def _join(self, job: Job, call: PaidCall, part: PartFile, film: PartFile, source: Mapping[str, Any]) -> str:
        """Make the film; the answer is why that cannot be, and nothing when it is sealed."""
        if await part.is_placed():
            return "the server stopped before it was joined."
        if why := await _unusable(job, source):
            return why
        target = anyio.Path(await self.spool.call_folder(job, call) / f"{film.path.stem.lstrip('.')}.mp4")
        try:
            await join_once(Path(source["path"]), part.path, Path(target), ffmpeg=self.ffmpeg)
            await anyio.to_thread.run_sync(copy_kept, Path(target), film.blocking)
            await film.seal()
        except MediaGenError as error:
            logger.warning("job %s: the film could not be joined: %s", job.job_id, error.code)
            await film.discard()
            return f"it could not be joined with its source. {error}"
        finally:
            # What is in the way of the next attempt helps nobody; the folder itself goes with the call.
            with contextlib.suppress(OSError), anyio.CancelScope(shield=True):
                await target.unlink(missing_ok=True)
        return ""


def _source_of(job: Job) -> Mapping[str, Any]:
    """What is written down of the video that was extended."""
    given = job.input_files.get("source")
    first = given[0] if isinstance(given, list) and given else given
    return first if isinstance(first, Mapping) else {}


async def _source_seconds(job: Job, source: Mapping[str, Any]) -> float | None:
    known: float | None = job.effective.get("source_seconds") or source.get("duration_seconds")
    if known is None and source.get("path"):
        with contextlib.suppress(MediaError):
            return (await probe_file(Path(source["path"]))).duration_seconds
    return known


async def _unusable(job: Job, source: Mapping[str, Any]) -> str:
    """Why a new part cannot be joined with its source; nothing when it can."""
    if not source.get("path"):
        return "its source is not on this machine."
    path = Path(source["path"])
    if not await anyio.Path(path).is_file():
        return f"its source {path} is gone."
    try:
        if sha256 := source.get("sha256"):
            is_same = await anyio.to_thread.run_sync(file_digest, path) == sha256
        else:
            seconds, now = await _source_seconds(job, source), (await probe_file(path)).duration_seconds
            is_same = seconds is not None and now is not None and abs(seconds - now) <= SAME_SECONDS
    except (OSError, MediaError):
        return f"its source {path} cannot be read."
    return "" if is_same else f"its source {path} was changed meanwhile."
