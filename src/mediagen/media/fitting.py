"""Makes a clip that Google would refuse into one that it takes: judged, converted once, found again by its contents.

A clip that fits is left exactly as it is. Its length is the one thing that is never mended: it is refused.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Final

import anyio

from mediagen.errors import InvalidRequestError, MediaError
from mediagen.jobs import Adjustment
from mediagen.media.editing.clip import Clip, open_clip
from mediagen.media.editing.engine import (
    AAC,
    H264,
    MP4,
    SAMPLE_RATE,
    OnProgress,
    encoder_options,
    executable,
    render,
    write_options,
)
from mediagen.media.editing.placing import write_error
from mediagen.media.fitting_facts import BOXED, ClipFacts, read_clip
from mediagen.media.fitting_rules import Frame, Misfit, Requirements, choose_frame, judge
from mediagen.media.local_files import file_digest

# Part of the names of kept conversions: another recipe makes other files.
RECIPE: Final = "1"
_REPACKED: Final = frozenset({"container", "audio_codec"})
_PLAIN_SOUND: Final = frozenset({"", "mono", "stereo"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Fitted:
    """A clip that keeps all rules.

    Attributes:
        path: The clip itself when it fitted, else the conversion; of a clip that was only judged, the clip itself.
        facts: Of the clip at `path`; of one that was only judged, with the size that it would get.
        changes: What was changed, or would be, and why; empty when nothing is.
        converted: Whether `path` is a conversion.
    """

    path: Path
    facts: ClipFacts
    changes: tuple[Adjustment, ...] = ()
    converted: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class _Case:
    """A clip that does not fit."""

    facts: ClipFacts
    clip: Clip
    misfits: tuple[Misfit, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Plan:
    """One conversion.

    Attributes:
        picture: Filters for the picture, None when it is taken over as it is.
    """

    ffmpeg: str
    clip: Clip
    facts: ClipFacts
    frame: Frame
    picture: str | None
    changes: tuple[Adjustment, ...]


async def make_acceptable(
    path: Path,
    requirements: Requirements,
    *,
    folder: Path,
    ffmpeg: str | None,
    on_progress: OnProgress | None = None,
    field: str = "video",
) -> Fitted:
    """Give a clip that fits: itself, a conversion made earlier, or a new one.

    Args:
        path: The clip; never changed.
        requirements: What it must be.
        folder: Where conversions are kept; made when it is missing. Whoever gives it empties it.
        ffmpeg: Executable as configured, None to look for it; needed only for a conversion.
        on_progress: Told how far that is, from 0 to 1.
        field: Argument the clip was given for; named in errors.

    Raises:
        InvalidRequestError: It is too long or too short, which is left to the caller.
        MediaError: It cannot be read or converted, changed meanwhile (code ``source_changed``), or ffmpeg is missing.
    """
    judged = await _judged(path, requirements, ffmpeg=ffmpeg, field=field)
    if isinstance(judged, Fitted):
        return judged
    target = await anyio.to_thread.run_sync(_kept_at, path, requirements, folder)
    if not await _is_usable(target, requirements):
        await _convert(judged, target, on_progress=on_progress)
        await _check_result(target, requirements, path.name)
        await _check_source(path, requirements, target)
    return Fitted(path=target, facts=await read_clip(target, None), changes=judged.changes, converted=True)


async def judge_clip(path: Path, requirements: Requirements, *, ffmpeg: str | None, field: str = "video") -> Fitted:
    """Say what `make_acceptable` would change; the clip is only looked at.

    Raises:
        InvalidRequestError: It is too long or too short.
        MediaError: It cannot be read, or would have to be converted and ffmpeg is missing.
    """
    judged = await _judged(path, requirements, ffmpeg=ffmpeg, field=field)
    if isinstance(judged, Fitted):
        return judged
    facts = replace(judged.facts, width=judged.frame.width, height=judged.frame.height)
    return Fitted(path=path, facts=facts, changes=judged.changes)


async def _judged(path: Path, requirements: Requirements, *, ffmpeg: str | None, field: str) -> "Fitted | _Plan":
    """The clip when it fits, else how it is converted."""
    facts = await read_clip(path, None)
    misfits = judge(facts, requirements)
    if not misfits:
        return Fitted(path=path, facts=facts)
    _refuse_length(misfits, requirements, path.name, field)
    found = await _ffmpeg_for(ffmpeg, misfits, path.name)
    if facts.mime_type not in BOXED:
        facts = await read_clip(path, found)
        misfits = judge(facts, requirements)
        _refuse_length(misfits, requirements, path.name, field)
    clip = await open_clip(path, found, needs="video")
    return _plan(_Case(facts=facts, clip=clip, misfits=misfits), requirements, found, field)


def _refuse_length(misfits: Sequence[Misfit], requirements: Requirements, name: str, field: str) -> None:
    for misfit in misfits:
        if not misfit.convertible:
            raise InvalidRequestError(
                f"{field}={name!r} lasts {misfit.found}; {requirements.name} takes {misfit.needed}.",
                field=field,
                hint="Choose the part to use with trim_video; nothing is cut unasked, and a clip that is too short can "
                "be joined to another with concat_videos.",
                code="video_length",
            )


async def _ffmpeg_for(configured: str | None, misfits: Sequence[Misfit], name: str) -> str:
    try:
        return await executable(configured)
    except MediaError as error:
        needs = "; ".join(map(str, misfits))
        raise MediaError(
            f"{name} must be converted, and there is no ffmpeg to do it: {needs}. {error.message}",
            hint=error.hint,
            code=error.code,
        ) from error


def _kept_at(path: Path, requirements: Requirements, folder: Path) -> Path:
    # What of the requirements shapes the result; sets have no order of their own.
    shaping = (RECIPE, requirements.fps, requirements.sizes, sorted(requirements.video_codecs))
    recipe = hashlib.sha256(repr(shaping).encode()).hexdigest()
    try:
        source = file_digest(path)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(error, path) from error
    return folder / f"fitted-{source[:32]}-{recipe[:12]}.mp4"


async def _is_usable(target: Path, requirements: Requirements) -> bool:
    if not await anyio.Path(target).is_file():
        return False
    try:
        return not judge(await read_clip(target, None), requirements)
    except MediaError:
        return False


async def _check_result(target: Path, requirements: Requirements, name: str) -> None:
    left = judge(await read_clip(target, None), requirements)
    if left:
        await anyio.Path(target).unlink(missing_ok=True)
        raise MediaError(
            f"{name} was converted and still does not fit {requirements.name}: {'; '.join(map(str, left))}.",
            hint="Convert it with convert_video, or give another clip.",
            code="still_unfit",
        )


async def _check_source(path: Path, requirements: Requirements, target: Path) -> None:
    """A conversion is found again by what its source held; it must not be of what came into its place meanwhile."""
    if await anyio.to_thread.run_sync(_kept_at, path, requirements, target.parent) != target:
        await anyio.Path(target).unlink(missing_ok=True)
        raise MediaError(
            f"{path.name} changed while it was converted.",
            hint="Call again once it is written completely.",
            code="source_changed",
        )


def _plan(case: _Case, requirements: Requirements, ffmpeg: str, field: str) -> _Plan:
    facts, clip, misfits = case.facts, case.clip, case.misfits
    width, height = facts.width or clip.width, facts.height or clip.height
    if not width or not height:
        raise MediaError(f"{clip.path.name} has pictures without a size.", code="unreadable_media")
    frame = choose_frame(width, height, requirements.sizes)
    rules = {misfit.rule for misfit in misfits}
    keeps_picture = facts.mime_type in BOXED and rules <= _REPACKED
    changes = [_change(misfit, frame, requirements, field) for misfit in misfits]
    layout = clip.audio.value("channel_layout_name") if clip.audio else ""
    if layout not in _PLAIN_SOUND:
        reason = "a conversion makes stereo, which every surface takes"
        changes.append(Adjustment(field=f"{field}.audio_channels", from_value=layout, to_value="stereo", reason=reason))
    picture = None if keeps_picture else _picture_filter((width, height), frame, requirements.fps)
    return _Plan(ffmpeg=ffmpeg, clip=clip, facts=facts, frame=frame, picture=picture, changes=tuple(changes))


def _change(misfit: Misfit, frame: Frame, requirements: Requirements, field: str) -> Adjustment:
    reason = f"{requirements.name} takes {misfit.needed}"
    to_value: str = misfit.needed
    if misfit.rule == "size":
        to_value = f"{frame.width}x{frame.height}"
        reason = f"{reason}; {_frame_in_words(frame)}"
    elif misfit.rule == "fps":
        to_value = f"{requirements.fps:g} fps"
        reason = f"{reason}; the speed stays, single frames are repeated or left out"
    return Adjustment(field=f"{field}.{misfit.rule}", from_value=misfit.found, to_value=to_value, reason=reason)


def _frame_in_words(frame: Frame) -> str:
    size = "enlarged" if frame.scale > 1.001 else "made smaller" if frame.scale < 0.999 else "not scaled"
    bars = {"exact": "", "crop": ", thin slivers at two edges cut off", "pad": ", black bars added"}
    return f"{size}{bars[frame.fill]}"


async def _convert(plan: _Plan, target: Path, *, on_progress: OnProgress | None) -> None:
    clip = plan.clip
    assert clip.video is not None
    await anyio.Path(target).unlink(missing_ok=True)
    arguments = [*write_options([clip]), *encoder_options(), "-map", f"0:{clip.video.index}"]
    if plan.picture is None:
        arguments += ["-c:v", "copy"]
    else:
        arguments += [*H264, "-profile:v", "high", "-vf", plan.picture]
    if clip.audio:
        # Gaps are filled, so that sound which starts later or breaks off stays where it belongs.
        sound = f"aresample={SAMPLE_RATE}:async=1:first_pts=0"
        arguments += ["-map", f"0:{clip.audio.index}", *AAC, "-ac", "2", "-af", sound]
    try:
        await render(plan.ffmpeg, [*arguments, *MP4], target, seconds=_whole(clip), on_progress=on_progress)
    except MediaError as error:
        # Another process made the same file from the same source.
        if error.code != "output_exists":
            raise


def _whole(clip: Clip) -> Fraction:
    tracks = [track for track in (clip.video, clip.audio) if track]
    return max(track.end * track.time_base for track in tracks)


def _picture_filter(size: tuple[int, int], frame: Frame, fps: float) -> str:
    """Filters that give a picture its rate and its size; ffmpeg turns it upright before them."""
    across, down = (_even(side * frame.scale) for side in size)
    if frame.fill == "exact":
        across, down = frame.width, frame.height
    elif frame.fill == "pad":
        across, down = min(across, frame.width), min(down, frame.height)
    else:
        across, down = max(across, frame.width), max(down, frame.height)
    steps = [f"fps={fps:g}:start_time=0", f"scale={across}:{down}:flags=lanczos", "setsar=1"]
    if frame.fill == "pad":
        steps.append(f"pad={frame.width}:{frame.height}:-1:-1")
    elif frame.fill == "crop":
        steps.append(f"crop={frame.width}:{frame.height}")
    return ",".join([*steps, "format=yuv420p"])


def _even(side: float) -> int:
    return max(2, round(side / 2) * 2)
