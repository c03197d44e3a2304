"""The one way to make a file with ffmpeg: beside its target, with progress, checked, then put in place."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Final

import anyio

from mediagen.errors import InvalidRequestError, MediaError
from mediagen.media.editing.animations import webp_seconds
from mediagen.media.editing.clip import MAX_SECONDS, Clip, open_clip
from mediagen.media.editing.placing import place, temporary_for
from mediagen.media.ffmpeg import MAX_THREADS, execute_ffmpeg, find_ffmpeg
from mediagen.media.probe import MediaFacts, probe_file

OnProgress = Callable[[float], Awaitable[None]]
"""Receives the finished part of the work, from 0 to 1."""

SAMPLE_RATE: Final = 48000
H264: Final = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-pix_fmt", "yuv420p")
AAC: Final = ("-c:a", "aac", "-b:a", "192k")
MP4: Final = ("-movflags", "+faststart", "-f", "mp4")
_READ_FROM_STREAMS: Final = frozenset({"video/webm", "image/gif"})


async def executable(configured: str | None) -> str:
    """Find ffmpeg as `find_ffmpeg` does, in a thread."""
    return await anyio.to_thread.run_sync(find_ffmpeg, configured)


def time_limit(seconds: float) -> float:
    """Longest run for so many seconds of result."""
    return 120 + 10 * min(seconds, MAX_SECONDS)


def write_options(clips: Sequence[Clip]) -> list[str]:
    """Inputs and the options every run that writes has."""
    opened = [argument for clip in clips for argument in clip.input_arguments]
    return ["-v", "error", "-nostats", "-progress", "pipe:1", "-stats_period", "0.2", "-n", *opened]


def encoder_options() -> list[str]:
    """Options before each output: few threads, none of the source's metadata, chapters or subtitles."""
    return ["-threads", str(MAX_THREADS), "-map_metadata", "-1", "-map_chapters", "-1", "-sn", "-dn"]


def even(size: int) -> int:
    """The nearest size that 4:2:0 video can have."""
    return max(2, size // 2 * 2)


def exact(value: Fraction) -> str:
    """A time as ffmpeg reads it, rounded down to microseconds."""
    return f"{int(value * 1_000_000) / 1_000_000:.6f}"


async def render(
    ffmpeg: str,
    arguments: Sequence[str],
    target: Path,
    *,
    seconds: Fraction,
    on_progress: OnProgress | None = None,
    progress_from: float = 0.0,
) -> MediaFacts:
    """Run ffmpeg into a temporary beside `target`, check the result, and put it in place.

    Args:
        ffmpeg: The executable.
        arguments: Everything but the output's name.
        target: Must not exist.
        seconds: Expected length, against which the result is checked.
        on_progress: Told how far it is.
        progress_from: Part of the work that was done before.

    Raises:
        MediaError: ffmpeg fails, or the result is not what was asked for.
    """
    with temporary_for(target) as temporary:
        follow = ProgressReader(float(seconds), on_progress, progress_from)
        command = [*arguments, f"file:{temporary}"]
        await execute_ffmpeg(ffmpeg, command, time_limit(float(seconds)), on_output=follow.feed)
        facts = await finished_facts(temporary, target.name, ffmpeg)
        _check_length(facts, seconds, target.name)
        await anyio.to_thread.run_sync(partial(place, temporary, target))
    if on_progress:
        await on_progress(1.0)
    return facts


async def finished_facts(temporary: Path, name: str, ffmpeg: str | None) -> MediaFacts:
    """Facts of a file just made, which must exist and hold something.

    Raises:
        MediaError: It does not, or it cannot be read.
    """
    found = anyio.Path(temporary)
    if not await found.exists() or (await found.stat()).st_size == 0:
        raise MediaError(f"ffmpeg made nothing for {name}.", hint="The source may be damaged.", code="empty_result")
    facts = await probe_file(temporary)
    if facts.mime_type == "image/webp":
        seconds = await anyio.to_thread.run_sync(webp_seconds, temporary)
        return replace(facts, duration_seconds=float(seconds) if seconds else None)
    if facts.mime_type not in _READ_FROM_STREAMS or ffmpeg is None:
        return facts
    clip = await open_clip(temporary, ffmpeg, needs="video")
    return replace(
        facts,
        width=clip.width,
        height=clip.height,
        duration_seconds=round(float(clip.seconds), 6),
        fps=round(float(clip.fps), 4) if clip.fps else None,
        has_audio=clip.audio is not None,
    )


def _check_length(facts: MediaFacts, seconds: Fraction, name: str) -> None:
    if facts.duration_seconds is None:
        return
    if abs(facts.duration_seconds - float(seconds)) > max(0.25, float(seconds) / 50):
        raise MediaError(
            f"{name} would last {facts.duration_seconds:.2f} s instead of {float(seconds):.2f} s.",
            hint="The source may be damaged or was changed meanwhile.",
            code="wrong_result",
        )


class ProgressReader:
    """Reads what ``-progress pipe:1`` writes and passes on how far the work is."""

    def __init__(self, seconds: float, on_progress: OnProgress | None, start: float = 0.0) -> None:
        self._microseconds = max(seconds, 0.001) * 1_000_000
        self._on_progress = on_progress
        self._start = start
        self._rest = b""
        self._last = start

    async def feed(self, chunk: bytes) -> None:
        """Take the next piece of output."""
        *lines, rest = (self._rest + chunk).split(b"\n")
        self._rest = rest[-200:]
        for line in lines:
            key, _, value = line.strip().partition(b"=")
            if key == b"out_time_us" and value.isdigit():
                await self._tell(int(value) / self._microseconds)

    async def _tell(self, part: float) -> None:
        done = self._start + (1 - self._start) * min(part, 0.99)
        if self._on_progress and done > self._last:
            self._last = done
            await self._on_progress(done)


def check_range(value: float | None, low: float, high: float, *, field: str) -> None:
    """Refuse a number out of its range; NaN is out of every range.

    Raises:
        InvalidRequestError: Names the field, the value and the range.
    """
    if value is not None and not low <= value <= high:
        raise InvalidRequestError(f"{field}={value!r} must be between {low:g} and {high:g}.", field=field)


def check_choice(value: str, choices: Sequence[str], *, field: str) -> None:
    """Refuse a word that is none of the choices.

    Raises:
        InvalidRequestError: Names the field, the value and the choices.
    """
    if value not in choices:
        raise InvalidRequestError(f"{field}={value!r} must be one of {', '.join(choices)}.", field=field)
