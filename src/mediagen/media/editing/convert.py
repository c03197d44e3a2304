"""A video in another format, size or frame rate."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final, Literal

from mediagen.errors import InvalidRequestError
from mediagen.media.editing.clip import MAX_SIDE, Clip, open_clip
from mediagen.media.editing.engine import (
    AAC,
    H264,
    MP4,
    OnProgress,
    check_choice,
    check_range,
    encoder_options,
    even,
    executable,
    render,
    time_limit,
    write_options,
)
from mediagen.media.editing.filters import frames_in, picture_chain, sound_chain
from mediagen.media.editing.placing import temporary_for
from mediagen.media.ffmpeg import execute_ffmpeg
from mediagen.media.probe import MediaFacts

VideoFormat = Literal["mp4", "webm", "gif", "webp"]

MAX_ANIMATION_SECONDS: Final = 60
ANIMATION_FPS: Final = Fraction(15)
_FORMATS: Final = ("mp4", "webm", "gif", "webp")
_ANIMATIONS: Final = frozenset({"gif", "webp"})
_CODERS: Final[dict[str, tuple[str, ...]]] = {
    "mp4": (*H264, *MP4),
    "webm": (
        "-c:v",
        "libvpx-vp9",
        "-crf",
        "31",
        "-b:v",
        "0",
        "-deadline",
        "good",
        "-cpu-used",
        "5",
        "-row-mt",
        "1",
        "-pix_fmt",
        "yuv420p",
        "-f",
        "webm",
    ),
    "gif": ("-loop", "0", "-f", "gif"),
    "webp": ("-c:v", "libwebp_anim", "-quality", "80", "-loop", "0", "-f", "webp"),
}
_SOUND: Final[dict[str, tuple[str, ...]]] = {"mp4": AAC, "webm": ("-c:a", "libopus", "-b:a", "128k")}


@dataclass(frozen=True, kw_only=True, slots=True)
class ConvertRequest:
    """What to make.

    Attributes:
        format: Of the result; GIF and WebP have no sound and last 60 s at most.
        fps: Exact and constant; None keeps that of the source (at most 15 for GIF and WebP).
        width: In pixels, made even; with one of width and height the other follows the shape of the picture, with both
            the picture is fitted in and padded.
    """

    format: VideoFormat = "mp4"
    fps: float | None = None
    width: int | None = None
    height: int | None = None


async def convert_video(
    source: Path,
    target: Path,
    *,
    request: ConvertRequest,
    ffmpeg: str | None = None,
    on_progress: OnProgress | None = None,
) -> MediaFacts:
    """Write a video anew: constant frame rate, 48 kHz stereo in step with the picture, which decides the length.

    Args:
        source: A video.
        target: Where the result goes; must not exist.
        request: What to make.
        ffmpeg: Executable to use; None looks for one as `find_ffmpeg` does.
        on_progress: Told how far it is.

    Raises:
        InvalidRequestError: A value is out of range.
        MediaError: The video cannot be read, or the result not written.
    """
    _check(request)
    program = await executable(ffmpeg)
    clip = await open_clip(source, program, needs="video")
    size, fps = _size(clip, request), _fps(clip, request)
    frames = frames_in(clip.seconds, fps)
    picture = picture_chain(clip, 0, size=size, fps=fps, frames=frames)
    options = [*encoder_options(), *_CODERS[request.format]]
    if request.format == "gif":
        _check_animation(clip)
        return await _gif(clip, picture, target, program=program, seconds=frames / fps, on_progress=on_progress)
    if request.format == "webp":
        _check_animation(clip)
    graph, maps = f"{picture}[v]", ["-map", "[v]"]
    if clip.audio and request.format in _SOUND:
        graph += f";{sound_chain(clip, 0, seconds=frames / fps)}[a]"
        maps += ["-map", "[a]", *_SOUND[request.format]]
    command = [*write_options([clip]), "-filter_complex", graph, *maps, *options]
    return await render(program, command, target, seconds=frames / fps, on_progress=on_progress)


async def _gif(
    clip: Clip,
    picture: str,
    target: Path,
    *,
    program: str,
    seconds: Fraction,
    on_progress: OnProgress | None,
) -> MediaFacts:
    """Colours first, picture second: in one run every frame would wait in memory for the palette."""
    picture = picture.replace("format=yuv420p", "format=rgb24")
    with temporary_for(target, ".palette") as palette:
        colours = ["-filter_complex", f"{picture},palettegen=stats_mode=diff[p]", "-map", "[p]", "-frames:v", "1"]
        command = [*write_options([clip]), *colours, "-c:v", "png", "-f", "image2pipe", f"file:{palette}"]
        await execute_ffmpeg(program, command, time_limit(float(seconds)))
        if on_progress:
            await on_progress(0.4)
        guarded = ["-protocol_whitelist", "file,pipe", "-f", "png_pipe", "-i", f"file:{palette}"]
        graph = f"{picture}[v];[v][1:0]paletteuse=dither=bayer:bayer_scale=3:diff_mode=rectangle[o]"
        drawn = [*write_options([clip]), *guarded, "-filter_complex", graph, "-map", "[o]"]
        command = [*drawn, *encoder_options(), *_CODERS["gif"]]
        return await render(program, command, target, seconds=seconds, on_progress=on_progress, progress_from=0.4)


def _check(request: ConvertRequest) -> None:
    check_choice(request.format, _FORMATS, field="format")
    check_range(request.fps, 1, 50 if request.format in _ANIMATIONS else 120, field="fps")
    check_range(request.width, 2, MAX_SIDE, field="width")
    check_range(request.height, 2, MAX_SIDE, field="height")


def _check_animation(clip: Clip) -> None:
    if clip.seconds > MAX_ANIMATION_SECONDS:
        raise InvalidRequestError(
            f"{clip.path.name} lasts {float(clip.seconds):.0f} s; a GIF or WebP may last {MAX_ANIMATION_SECONDS} s.",
            field="format",
            hint="Trim it first, or use mp4 or webm.",
        )


def _fps(clip: Clip, request: ConvertRequest) -> Fraction:
    if request.fps:
        return _rate(request.fps)
    own = clip.fps or Fraction(24)
    return min(own, ANIMATION_FPS) if request.format in _ANIMATIONS else min(own, Fraction(120))


def _rate(fps: float) -> Fraction:
    """The rate that is meant: 23.976 is 24000/1001."""
    for base in (24, 30, 60):
        broadcast = Fraction(base * 1000, 1001)
        if abs(Fraction(fps) - broadcast) < Fraction(1, 200):
            return broadcast
    return Fraction(fps).limit_denominator(1000)


def _size(clip: Clip, request: ConvertRequest) -> tuple[int, int]:
    width, height = clip.width or 2, clip.height or 2
    match request.width, request.height:
        case None, None:
            wanted = width, height
        case int(asked), None:
            wanted = asked, round(height * asked / width)
        case None, int(asked):
            wanted = round(width * asked / height), asked
        case int(across), int(down):
            wanted = across, down
    check_range(max(wanted), 1, MAX_SIDE, field="width" if wanted[0] >= wanted[1] else "height")
    return even(wanted[0]), even(wanted[1])
