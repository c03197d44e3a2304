"""Several videos one after the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final, Literal

import anyio

from mediagen.errors import InvalidRequestError
from mediagen.media.editing.clip import MAX_SECONDS, MAX_SIDE, Clip, open_clip
from mediagen.media.editing.engine import (
    AAC,
    H264,
    MP4,
    OnProgress,
    check_choice,
    check_range,
    encoder_options,
    even,
    exact,
    executable,
    render,
    write_options,
)
from mediagen.media.editing.filters import frames_in, picture_chain, sound_chain
from mediagen.media.editing.placing import temporary_for
from mediagen.media.probe import MediaFacts

MAX_SOURCES: Final = 32
DEFAULT_FPS: Final = Fraction(24)
# The list and what it names; ffmpeg guesses the formats of these by itself.
_JOINED_FORMATS: Final = "concat,mov,mp4,m4a,3gp,3g2,mj2"
_COPIED_KEYS: Final = ("tb", "codec_id", "dimensions", "sar", "extradata")


@dataclass(frozen=True, kw_only=True, slots=True)
class ConcatRequest:
    """How to join.

    Attributes:
        transition: A hard cut, or a cross-fade of picture and sound that overlaps the clips.
        crossfade_seconds: Length of each cross-fade.
        fps: Of the result; None means 24, or the clips' own when they are joined without coding the picture anew.
        size: Of the result when no width and height are given: that of the first or of the largest clip.
        width: Of the result, with `height`.
    """

    transition: Literal["cut", "crossfade"] = "cut"
    crossfade_seconds: float = 0.5
    fps: float | None = None
    size: Literal["first", "largest"] = "first"
    width: int | None = None
    height: int | None = None


async def concat_videos(
    sources: Sequence[Path],
    target: Path,
    *,
    request: ConcatRequest,
    ffmpeg: str | None = None,
    on_progress: OnProgress | None = None,
) -> MediaFacts:
    """Join videos as MP4 (H.264, yuv420p, AAC 48 kHz stereo), sound kept, a silent clip stays silent.

    Clips of another size are scaled and padded, of another frame rate converted. Clips that are coded alike are joined
    by a cut without coding the picture anew. The picture decides how long a clip is.

    Args:
        sources: 2 to 32 videos, in order.
        target: Where the result goes; must not exist.
        request: How to join.
        ffmpeg: Executable to use; None looks for one as `find_ffmpeg` does.
        on_progress: Told how far it is.

    Raises:
        InvalidRequestError: The number of clips, their length together, or the cross-fade do not work.
        MediaError: A video cannot be read, or the result not written.
    """
    _check(sources, request)
    program = await executable(ffmpeg)
    clips = [await open_clip(source, program, needs="video") for source in sources]
    _check_total(sum((clip.seconds for clip in clips), Fraction(0)))
    if _can_copy(clips, request):
        return await _copied(clips, target, program, on_progress)
    fps = Fraction(request.fps).limit_denominator(1001) if request.fps else DEFAULT_FPS
    frames = [frames_in(clip.seconds, fps) for clip in clips]
    overlap = round(Fraction(request.crossfade_seconds) * fps) if request.transition == "crossfade" else 0
    _check_overlap(clips, frames, overlap, request)
    size = _size(clips, request)
    graph, total = _graph(clips, frames, overlap=overlap, fps=fps, size=size)
    tracks = ["-filter_complex", graph, "-map", "[v]"]
    sound = ["-map", "[a]", *AAC] if _has_sound(clips) else []
    command = [*write_options(clips), *tracks, *sound, *encoder_options(), *H264, *MP4]
    return await render(program, command, target, seconds=total, on_progress=on_progress)


def _check(sources: Sequence[Path], request: ConcatRequest) -> None:
    if not 2 <= len(sources) <= MAX_SOURCES:
        raise InvalidRequestError(
            f"sources holds {len(sources)} videos; 2 to {MAX_SOURCES} can be joined.", field="sources"
        )
    check_choice(request.transition, ("cut", "crossfade"), field="transition")
    check_choice(request.size, ("first", "largest"), field="size")
    check_range(request.crossfade_seconds, 0.05, 10, field="crossfade_seconds")
    check_range(request.fps, 1, 120, field="fps")
    check_range(request.width, 2, MAX_SIDE, field="width")
    check_range(request.height, 2, MAX_SIDE, field="height")
    if (request.width is None) != (request.height is None):
        raise InvalidRequestError("width and height go together.", field="width")


def _check_total(seconds: Fraction) -> None:
    if seconds > MAX_SECONDS:
        raise InvalidRequestError(
            f"sources last {float(seconds):.0f} s together; at most {MAX_SECONDS:g} s are made.", field="sources"
        )


def _check_overlap(clips: Sequence[Clip], frames: Sequence[int], overlap: int, request: ConcatRequest) -> None:
    for number, (clip, count) in enumerate(zip(clips, frames, strict=True)):
        joints = 1 if number in {0, len(clips) - 1} else 2
        if overlap and count <= overlap * joints:
            raise InvalidRequestError(
                f"crossfade_seconds={request.crossfade_seconds:g} is too long for {clip.path.name}, "
                f"which lasts {float(clip.seconds):.2f} s.",
                field="crossfade_seconds",
                hint="Give a shorter one, or transition=cut.",
            )


def _size(clips: Sequence[Clip], request: ConcatRequest) -> tuple[int, int]:
    if request.width and request.height:
        return even(request.width), even(request.height)
    sizes = [(even(clip.width or 0), even(clip.height or 0)) for clip in clips]
    return max(sizes, key=lambda size: size[0] * size[1]) if request.size == "largest" else sizes[0]


def _has_sound(clips: Sequence[Clip]) -> bool:
    return any(clip.audio for clip in clips)


def _graph(
    clips: Sequence[Clip], frames: Sequence[int], *, overlap: int, fps: Fraction, size: tuple[int, int]
) -> tuple[str, Fraction]:
    parts = []
    for number, (clip, count) in enumerate(zip(clips, frames, strict=True)):
        parts.append(f"{picture_chain(clip, number, size=size, fps=fps, frames=count)}[v{number}]")
        if _has_sound(clips):
            parts.append(f"{sound_chain(clip, number, seconds=count / fps)}[a{number}]")
    if overlap:
        parts += _fades(frames, overlap, fps, with_sound=_has_sound(clips))
    else:
        parts += _cuts(len(clips), with_sound=_has_sound(clips))
    return ";".join(parts), (sum(frames) - overlap * (len(clips) - 1)) / fps


def _cuts(count: int, *, with_sound: bool) -> list[str]:
    pictures = "".join(f"[v{number}]" for number in range(count))
    parts = [f"{pictures}concat=n={count}:v=1:a=0[v]"]
    return [*parts, _joined_sound(count)] if with_sound else parts


def _joined_sound(count: int) -> str:
    return "".join(f"[a{number}]" for number in range(count)) + f"concat=n={count}:v=0:a=1[a]"


def _fades(frames: Sequence[int], overlap: int, fps: Fraction, *, with_sound: bool) -> list[str]:
    parts, at, last = [], 0, len(frames) - 1
    length = exact(overlap / fps)
    for number in range(1, len(frames)):
        at += frames[number - 1] - overlap
        before, after = ("v0" if number == 1 else f"x{number - 1}"), ("v" if number == last else f"x{number}")
        offset = exact(at / fps)
        parts.append(f"[{before}][v{number}]xfade=transition=fade:duration={length}:offset={offset}[{after}]")
        if with_sound:
            before, after = ("a0" if number == 1 else f"y{number - 1}"), ("a" if number == last else f"y{number}")
            parts.append(f"[{before}][a{number}]acrossfade=duration={length}:curve1=tri:curve2=tri[{after}]")
    return parts


def _can_copy(clips: Sequence[Clip], request: ConcatRequest) -> bool:
    """Whether the pictures can be joined packet by packet."""
    first = clips[0]
    if request.transition != "cut" or request.width or not (first.is_steady and first.fps):
        return False
    if request.fps and abs(Fraction(request.fps) - first.fps) > first.fps / 100_000:
        return False
    # Without a frame rate asked for, other than 24 is converted to 24.
    if not request.fps and first.fps != DEFAULT_FPS:
        return False
    return all(_is_copyable(clip) and _is_like(clip, first) for clip in clips)


def _is_copyable(clip: Clip) -> bool:
    assert clip.video is not None
    is_named_simply = "\n" not in str(clip.path) and "\r" not in str(clip.path)
    starts_at_once = clip.video.starts[0] == 0
    is_h264 = clip.video.value("codec_id") == "h264" and clip.demuxer == "mov"
    return is_named_simply and starts_at_once and is_h264 and clip.is_plain and clip.is_steady


def _is_like(clip: Clip, other: Clip) -> bool:
    assert clip.video is not None
    assert other.video is not None
    same = all(clip.video.value(key) == other.video.value(key) for key in _COPIED_KEYS)
    return same and clip.video.index == other.video.index and clip.fps == other.fps


async def _copied(clips: Sequence[Clip], target: Path, program: str, on_progress: OnProgress | None) -> MediaFacts:
    """Join the pictures as they are; the sound is coded anew, as its packets do not end where the pictures do."""
    total = sum((clip.seconds for clip in clips), Fraction(0))
    with temporary_for(target, ".list") as listing:
        await anyio.Path(listing).write_text(_list_of(clips), encoding="utf-8")
        assert clips[0].video is not None
        guards = ["-protocol_whitelist", "file,pipe", "-format_whitelist", _JOINED_FORMATS]
        joined = [*guards, "-f", "concat", "-safe", "0", "-i", f"file:{listing}"]
        # As a list the files begin with the priming of their sound; without -copyts all pictures would move by it.
        command = [
            "-copyts",
            *write_options(clips),
            *joined,
            "-map",
            f"{len(clips)}:{clips[0].video.index}",
            "-c:v",
            "copy",
        ]
        if _has_sound(clips):
            sounds = [f"{sound_chain(clip, at, seconds=clip.seconds)}[a{at}]" for at, clip in enumerate(clips)]
            command += ["-filter_complex", ";".join([*sounds, _joined_sound(len(clips))]), "-map", "[a]", *AAC]
        command += [*encoder_options(), *MP4]
        return await render(program, command, target, seconds=total, on_progress=on_progress)


def _list_of(clips: Sequence[Clip]) -> str:
    lines = ["ffconcat version 1.0"]
    for clip in clips:
        quoted = str(clip.path).replace("'", "'\\''")
        # The length of the picture, not of the file: sound that runs on would push the next clip back.
        # From 0: the file itself begins earlier, with the priming of its sound.
        lines += [f"file 'file:{quoted}'", "inpoint 0", f"duration {exact(clip.seconds)}"]
    return "\n".join(lines) + "\n"
