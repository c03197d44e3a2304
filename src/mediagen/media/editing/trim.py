"""A part of a video, cut at exact frames."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from mediagen.errors import InvalidRequestError
from mediagen.media.editing.clip import Clip, open_clip
from mediagen.media.editing.engine import (
    AAC,
    H264,
    MP4,
    OnProgress,
    check_range,
    encoder_options,
    even,
    exact,
    executable,
    render,
    write_options,
)
from mediagen.media.probe import MediaFacts

_LONGEST = 1e7


@dataclass(frozen=True, kw_only=True, slots=True)
class TrimRequest:
    """Which part to keep.

    Attributes:
        start_seconds: The frame shown then is the first that is kept.
        end_seconds: The frame that begins then is the first that is not; None keeps all to the end.
    """

    start_seconds: float = 0.0
    end_seconds: float | None = None


async def trim_video(
    source: Path,
    target: Path,
    *,
    request: TrimRequest,
    ffmpeg: str | None = None,
    on_progress: OnProgress | None = None,
) -> MediaFacts:
    """Write a part of a video as MP4 (H.264, AAC), sound cut at the same instants as the picture.

    Args:
        source: A video.
        target: Where the part goes; must not exist.
        request: Which part.
        ffmpeg: Executable to use; None looks for one as `find_ffmpeg` does.
        on_progress: Told how far it is.

    Raises:
        InvalidRequestError: Start and end enclose no frame of the video.
        MediaError: The video cannot be read, or the part not written.
    """
    check_range(request.start_seconds, 0, _LONGEST, field="start")
    check_range(request.end_seconds, 0, _LONGEST, field="end")
    program = await executable(ffmpeg)
    clip = await open_clip(source, program, needs="video")
    first, after = _frames(clip, request)
    start, end = clip.start_of(first), clip.start_of(after)
    assert clip.video is not None
    tracks = ["-map", f"0:{clip.video.index}", "-vf", _picture(clip, after - first)]
    if clip.audio:
        tracks += ["-map", f"0:{clip.audio.index}", "-af", "aresample=async=1:first_pts=0", *AAC]
    arguments = ["-ss", exact(start), *tracks, *encoder_options(), "-t", exact(end - start), *H264, *MP4]
    # -ss belongs before its input, so that what lies before is skipped and not decoded.
    opened = write_options([clip])
    at = opened.index("-protocol_whitelist")
    command = [*opened[:at], *arguments[:2], *opened[at:], *arguments[2:]]
    return await render(program, command, target, seconds=end - start, on_progress=on_progress)


def _picture(clip: Clip, frames: int) -> str:
    assert clip.width is not None
    assert clip.height is not None
    # A rate that is steady is said exactly; a variable one keeps the times of its frames.
    rate = f"fps={clip.fps}:start_time=0," if clip.is_steady else ""
    return f"{rate}scale={even(clip.width)}:{even(clip.height)},setsar=1,trim=end_frame={frames}"


def _frames(clip: Clip, request: TrimRequest) -> tuple[int, int]:
    assert clip.video is not None
    start = Fraction(request.start_seconds)
    if start >= clip.seconds:
        raise InvalidRequestError(
            f"start={request.start_seconds:g} lies beyond the end of {clip.path.name} ({float(clip.seconds):.2f} s).",
            field="start",
        )
    first = clip.frame_at(start)
    end = clip.seconds if request.end_seconds is None else min(Fraction(request.end_seconds), clip.seconds)
    if end <= start:
        raise InvalidRequestError(
            f"end={request.end_seconds!r} must be after start={request.start_seconds:g}.", field="end"
        )
    starts = len(clip.video.starts)
    if end == clip.seconds:
        return first, starts
    following = clip.frame_at(end)
    nearest = following if end - clip.start_of(following) <= clip.start_of(following + 1) - end else following + 1
    return first, max(first + 1, min(nearest, starts))
