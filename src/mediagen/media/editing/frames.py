"""One frame of a video as a picture."""

from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Final, Literal

import anyio

from mediagen.errors import InvalidRequestError, MediaError
from mediagen.media.editing.clip import Clip, open_clip
from mediagen.media.editing.engine import check_choice, exact, executable, finished_facts
from mediagen.media.editing.placing import place, temporary_for
from mediagen.media.ffmpeg import MAX_THREADS, execute_ffmpeg
from mediagen.media.probe import MediaFacts
from mediagen.media.stills import open_still

LAST_FRAME_SECONDS: Final = Fraction(1, 10)
JPEG_QUALITY: Final = 95
_FRAME_SECONDS: Final = 60.0
# A tenth larger than the default and three times as quick.
_QUICK_PNG: Final = ("-compression_level", "1", "-pred", "up")


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameRequest:
    """Which frame to take.

    Attributes:
        at: Seconds from the start, or ``first`` or ``last``. The last is taken 0.1 s before the end of the picture, as
            the very end of a file may hold no whole frame; from the middle of a shorter video.
        format: Of the picture.
    """

    at: float | Literal["first", "last"] = "first"
    format: Literal["png", "jpeg"] = "png"


async def extract_frame(source: Path, target: Path, *, request: FrameRequest, ffmpeg: str | None = None) -> MediaFacts:
    """Write one frame, turned as it is shown and with square pixels.

    Args:
        source: A video.
        target: Where the picture goes; must not exist.
        request: Which frame.
        ffmpeg: Executable to use; None looks for one as `find_ffmpeg` does.

    Raises:
        InvalidRequestError: The moment lies beyond the end.
        MediaError: The video cannot be read, gives no picture there (code ``no_frame``), or the picture cannot be
            written.
    """
    check_choice(request.format, ("png", "jpeg"), field="format")
    program = await executable(ffmpeg)
    clip = await open_clip(source, program, needs="video")
    wanted = frame_moment(request.at, clip)
    with temporary_for(target) as temporary:
        await _take(clip, program, wanted, temporary)
        if not await _has_content(temporary):
            # Another frame in its place would be sent, or written down, as the one that was asked for.
            raise MediaError(
                f"{source.name} gives no picture at {float(wanted):.3f} s.",
                hint="It may be damaged there; give another time.",
                code="no_frame",
            )
        if request.format == "jpeg":
            await anyio.to_thread.run_sync(_as_jpeg, temporary, target.name)
        facts = await finished_facts(temporary, target.name, program)
        await anyio.to_thread.run_sync(partial(place, temporary, target))
    return facts


def frame_moment(at: float | str, clip: Clip) -> Fraction:
    """When the frame begins that is meant by seconds, ``first`` or ``last``.

    Raises:
        InvalidRequestError: The moment lies beyond the end.
    """
    if at == "first":
        return clip.start_of(0)
    if at == "last":
        early = clip.seconds - LAST_FRAME_SECONDS
        moment = early if early > LAST_FRAME_SECONDS else clip.seconds / 2
    elif isinstance(at, str) or not 0 <= at < clip.seconds:
        raise InvalidRequestError(
            f"at={at!r} lies outside of {clip.path.name}, which lasts {float(clip.seconds):.2f} s.",
            field="at",
            hint="Give a time before its end, first, or last.",
        )
    else:
        moment = Fraction(at)
    return clip.start_of(clip.frame_at(moment))


async def _take(clip: Clip, program: str, moment: Fraction, temporary: Path) -> None:
    assert clip.video is not None
    await anyio.Path(temporary).unlink(missing_ok=True)
    picture = ["-map", f"0:{clip.video.index}", "-frames:v", "1", "-vf", f"scale={clip.width}:{clip.height},setsar=1"]
    form = ["-threads", str(MAX_THREADS), "-pix_fmt", "rgb24", "-c:v", "png", *_QUICK_PNG, "-f", "image2pipe"]
    seek = ["-v", "error", "-nostats", "-n", "-ss", exact(moment)]
    command = [*seek, *clip.input_arguments, *picture, *form, f"file:{temporary}"]
    await execute_ffmpeg(program, command, _FRAME_SECONDS)


async def _has_content(path: Path) -> bool:
    found = anyio.Path(path)
    return await found.exists() and (await found.stat()).st_size > 0


def _as_jpeg(path: Path, name: str) -> None:
    with open_still(path, "image/png", name) as image:
        picture = image.convert("RGB")
    with path.open("wb") as file:
        picture.save(file, format="JPEG", quality=JPEG_QUALITY, subsampling=0)
