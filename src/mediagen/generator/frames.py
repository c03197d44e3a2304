"""The frames that a clip starts and ends on: given as pictures, or taken out of the video of a remix."""

import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mediagen.defaults import VideoSource
from mediagen.endpoints.base import VideoMedia, WireMedia
from mediagen.errors import InvalidRequestError
from mediagen.generator.targets import Brought
from mediagen.jobs import Job
from mediagen.media.editing.engine import executable
from mediagen.media.editing.times import parse_time
from mediagen.media.inputs import InputLoader, InputMedia
from mediagen.requests import GenerateVideoRequest

LAST: Literal["last"] = "last"
FrameTaker = Callable[[Path, float | None, str | None], Awaitable[bytes]]
"""Gives a frame of a video as PNG: path, seconds from the start (None is the last frame), ffmpeg executable."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameTimes:
    """Which frames of a video a remix starts and ends on.

    Attributes:
        start: Seconds from the start, or None for its last frame.
        end: Seconds from the start, or None for its last frame.
        has_end: Whether the clip ends on a frame of the video at all.
    """

    start: float | None
    end: float | None
    has_end: bool

    def told(self) -> dict[str, float | str]:
        """Which frames are taken, for the result."""
        last = {"source_last_frame": _told(self.end)} if self.has_end else {}
        return {"source_frame": _told(self.start), **last}


def _told(at: float | None) -> float | str:
    return LAST if at is None else at


def frame_times(request: GenerateVideoRequest, seconds: float | None) -> FrameTimes:
    """Where the frames of a remix are taken.

    Args:
        request: A remix.
        seconds: Length of the video, if known.

    Raises:
        InvalidRequestError: A time that cannot be read, lies outside of the video, or an end before the start.
    """
    if request.remix_start == LAST:
        return FrameTimes(start=None, end=None, has_end=False)
    start = _time(request.remix_start, "remix_start", seconds) or 0.0
    end = _time(request.remix_end, "remix_end", seconds)
    if end is not None and end <= start:
        raise InvalidRequestError(
            f"remix_end={end:g} s is not after remix_start={start:g} s.",
            field="remix_end",
            hint="Give a later time, or leave it out.",
        )
    return FrameTimes(start=start, end=end, has_end=end is not None or bool(request.remix_last_frame))


def _time(text: str | None, field: str, seconds: float | None) -> float | None:
    if text is None:
        return None
    at = parse_time(text, field)
    if seconds is not None and at >= seconds:
        raise InvalidRequestError(
            f"{field}={text!r} lies outside of remix_from, which lasts {seconds:.2f} s.",
            field=field,
            hint="Give an earlier time; for the last frame set remix_last_frame, or remix_start='last'.",
        )
    return at


def frame_to_come(at: float | None) -> WireMedia:
    """What a dry run shows in place of a frame."""
    when = "the last frame" if at is None else f"the frame at {at:g} s"
    return WireMedia(mime_type="image/png", data=b"", placeholder=f"({when}, taken when the job is sent)")


async def take_frame(video: Path, at: float | None, ffmpeg: str | None) -> bytes:
    """Take a frame with ffmpeg; see `FrameTaker`.

    Raises:
        InvalidRequestError: There is no picture at that time.
        MediaError: The video cannot be read.
        ConfigurationError: There is no ffmpeg.
    """
    # Loaded when it is needed: most clips take no frames.
    from mediagen.media.editing.frames import FrameRequest, extract_frame

    with tempfile.TemporaryDirectory(prefix="mediagen-") as folder:
        target = Path(folder) / "frame.png"
        await extract_frame(video, target, request=FrameRequest(at="last" if at is None else at), ffmpeg=ffmpeg)
        return target.read_bytes()


@dataclass(frozen=True, kw_only=True, slots=True)
class Frames:
    """The pictures that a clip starts and ends on.

    Attributes:
        job: Our job that made the video they are taken from.
        inputs: The pictures as files; not there yet in the dry run of a remix.
        told: Which frames of a video they are.
        warnings: What is not known of that video.
    """

    first: WireMedia | None = None
    last: WireMedia | None = None
    inputs: tuple[InputMedia, ...] = ()
    width: int | None = None
    height: int | None = None
    job: Job | None = None
    told: Mapping[str, float | str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @classmethod
    def given(cls, first: InputMedia | None, last: InputMedia | None) -> "Frames":
        """Frames that the caller gave."""
        return cls(
            first=wire(first) if first else None,
            last=wire(last) if last else None,
            inputs=tuple(item for item in (first, last) if item),
            width=first.width if first else None,
            height=first.height if first else None,
        )

    def media(self) -> VideoMedia:
        """As they go into a body."""
        return VideoMedia(first_frame=self.first, last_frame=self.last)


async def remix_frames(
    request: GenerateVideoRequest, found: Brought, loader: InputLoader, *, take: FrameTaker, ffmpeg: str | None
) -> Frames:
    """Take the frames of a remix out of its video; a dry run only checks where they lie.

    Raises:
        InvalidRequestError: A time that cannot be read or lies outside of the video.
    """
    video = found.video
    times = frame_times(request, found.seconds)
    moments = [times.start, *([times.end] if times.has_end else [])]
    if request.dry_run:
        # What the real call would need is missed now.
        await executable(ffmpeg)
        shown = [frame_to_come(at) for at in moments]
        inputs: list[InputMedia] = []
    else:
        assert video is not None
        assert video.path is not None
        pictures = [await take(video.path, at, ffmpeg) for at in moments]
        inputs = [await loader.image_from(data, video.source, "remix_from") for data in pictures]
        shown = [wire(item) for item in inputs]
    return Frames(
        first=shown[0],
        last=shown[1] if times.has_end else None,
        inputs=(*([video] if video else []), *inputs),
        width=found.width,
        height=found.height,
        job=found.job,
        told=times.told(),
        warnings=found.warnings,
    )


def known_of(frames: Frames, video: Brought | None, *, references: int) -> VideoSource:
    """What is known of the media that goes in."""
    number = sum(frame is not None for frame in (frames.first, frames.last))
    if video is not None:
        return VideoSource(
            width=video.width, height=video.height, seconds=video.seconds, frames=number, references=references
        )
    return VideoSource(width=frames.width, height=frames.height, frames=number, references=references)


def wire(media: InputMedia) -> WireMedia:
    """An input as it goes into a body."""
    return WireMedia(mime_type=media.mime_type, data=media.data, uri=media.uri)
