"""What an extension answered with, the whole film or only its new part, and the film made of source and new part."""

import math
from pathlib import Path
from typing import Final, Literal

import anyio

from mediagen.errors import MediaError
from mediagen.media.editing.clip import open_clip
from mediagen.media.editing.concat import ConcatRequest, concat_videos
from mediagen.media.editing.engine import executable
from mediagen.media.probe import probe_file

MAX_OFF_SECONDS: Final = 0.6

ExtensionAnswer = Literal["whole", "new_part", "unclear"]


def is_whole_film(result_seconds: float, source_seconds: float, new_seconds: float) -> ExtensionAnswer:
    """Decide by its length what an extension answered with.

    Google's pages and reports differ on it, and joining a whole film to its source would show the source twice.

    Args:
        result_seconds: Length of what came.
        source_seconds: Length of what was extended.
        new_seconds: How much was asked for.

    Returns:
        ``unclear`` when the length fits neither, or the source is too short to tell them apart; then nothing is joined.
    """
    lengths = (result_seconds, source_seconds, new_seconds)
    if not all(math.isfinite(length) and length > 0 for length in lengths):
        return "unclear"
    slack = min(MAX_OFF_SECONDS, source_seconds * 0.4)
    if abs(result_seconds - source_seconds - new_seconds) <= slack:
        return "whole"
    return "new_part" if abs(result_seconds - new_seconds) <= slack else "unclear"


async def join_once(source: Path, new_part: Path, target: Path, *, ffmpeg: str | None) -> Path:
    """Make one film of a source and what follows it, with sound, in the size of the source and 24 fps.

    A `target` that is that film already is left as it is, so a second call, also after a crash, joins nothing twice.

    Raises:
        MediaError: One of them cannot be read, ffmpeg is missing, or `target` is another file.
    """
    found = await executable(ffmpeg)
    clips = [await open_clip(path, found, needs="video") for path in (source, new_part)]
    if not await _is_there(target, sum(float(clip.seconds) for clip in clips)):
        await concat_videos([source, new_part], target, request=ConcatRequest(), ffmpeg=found)
    return target


async def _is_there(target: Path, seconds: float) -> bool:
    if not await anyio.Path(target).exists():
        return False
    facts = await probe_file(target)
    if facts.duration_seconds is None or abs(facts.duration_seconds - seconds) > 0.25:
        raise MediaError(
            f"{target.name} exists already and is another film; it is kept.",
            hint="Give another name.",
            code="output_exists",
        )
    return True
