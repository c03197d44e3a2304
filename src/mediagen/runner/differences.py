"""How a finished file differs from what was asked for. Pure."""

import math
from collections.abc import Mapping
from typing import Any

from mediagen.media.fitting_join import ExtensionAnswer
from mediagen.media.probe import MediaFacts

SECONDS_TOLERANCE = 0.5
FPS = 24.0  # Source: https://ai.google.dev/gemini-api/docs/video (checked 2026-11-21)
FPS_TOLERANCE = 0.02
# Google rounds the sides of some sizes to whole blocks.
RATIO_TOLERANCE = 0.03
SHORT_SIDE = {"360p": 360, "720p": 720, "1080p": 1080, "4k": 2160}
PICTURE_SIDE = {"512": 512, "1K": 1024, "2K": 2048, "4K": 4096}


def differences(
    effective: Mapping[str, Any],
    facts: MediaFacts,
    *,
    answer: ExtensionAnswer | None = None,
    new_sound: bool | None = None,
) -> tuple[str, ...]:
    """Name each difference between the effective values of a job and the real file.

    Args:
        effective: Values of the job.
        facts: What the file is.
        answer: Of an extension: what the file holds, the ``whole`` film or the new part alone. Its length is compared
            with that; with nothing when it is unclear.
        new_sound: Whether the new part of a whole film has sound, if known; its source may differ.
    """
    if facts.mime_type.startswith("image/"):
        return tuple(_picture(effective, facts))
    return (
        *_clip_size(effective, facts),
        *_length(effective, facts, answer),
        *_rate(facts),
        *_sound(effective, facts, is_film=answer == "whole", new_sound=new_sound),
    )


def _picture(effective: Mapping[str, Any], facts: MediaFacts) -> list[str]:
    if not facts.width or not facts.height:
        return []
    real = f"{facts.width}x{facts.height}"
    if expected := effective.get("pixel_size"):
        return [] if expected == real else [f"The picture is {real} pixels; {expected} was expected."]
    found = []
    ratio = effective.get("aspect_ratio")
    if _is_other_ratio(ratio, facts.width, facts.height):
        found.append(f"The picture is {real} pixels; aspect_ratio {ratio} was asked for.")
    side = PICTURE_SIDE.get(str(effective.get("image_size")))
    # Sizes double from one to the next, so that half a step decides.
    if side and abs(math.log2(math.sqrt(facts.width * facts.height) / side)) > 0.5:
        found.append(f"The picture is {real} pixels; image_size {effective['image_size']} was asked for.")
    return found


def _clip_size(effective: Mapping[str, Any], facts: MediaFacts) -> list[str]:
    if not facts.width or not facts.height:
        return []
    real, found = f"{facts.width}x{facts.height}", []
    side = SHORT_SIDE.get(str(effective.get("resolution")))
    if side and min(facts.width, facts.height) != side:
        found.append(f"The clip is {real} pixels; resolution {effective['resolution']} was asked for.")
    ratio = effective.get("aspect_ratio")
    if _is_other_ratio(ratio, facts.width, facts.height):
        found.append(f"The clip is {real} pixels; aspect_ratio {ratio} was asked for.")
    return found


def _is_other_ratio(ratio: object, width: int, height: int) -> bool:
    across, mark, down = str(ratio).partition(":")
    if not (mark and across.isdecimal() and down.isdecimal() and int(across) and int(down)):
        return False
    return abs(width / height / (int(across) / int(down)) - 1) > RATIO_TOLERANCE


def _length(effective: Mapping[str, Any], facts: MediaFacts, answer: ExtensionAnswer | None) -> list[str]:
    real, asked = facts.duration_seconds, effective.get("duration_seconds")
    expected, words = asked, "was asked for"
    if is_way(effective, "video_extension"):
        expected, words = _extended(effective, answer)
    elif is_way(effective, "video_edit"):
        expected, words = effective.get("source_seconds"), "is the length of its source"
    if not real or not expected or abs(real - expected) <= SECONDS_TOLERANCE:
        return []
    return [f"The clip is {real:g} s long; {expected:g} s {words}."]


def _extended(effective: Mapping[str, Any], answer: ExtensionAnswer | None) -> tuple[float | None, str]:
    new, source = effective.get("duration_seconds"), effective.get("source_seconds")
    if answer == "new_part":
        return new, "was asked for"
    if answer == "whole" and new and source:
        return source + new, f"is its source of {source:g} s and {new:g} s more"
    return None, ""


def is_way(effective: Mapping[str, Any], mode: str) -> bool:
    """Whether a clip was made in a mode, whatever mode was asked for."""
    return bool(effective.get("way", effective.get("mode")) == mode)


def _rate(facts: MediaFacts) -> list[str]:
    if not facts.fps or abs(facts.fps - FPS) <= FPS_TOLERANCE:
        return []
    return [f"The clip has {facts.fps:g} frames per second; {FPS:g} were expected."]


def _sound(effective: Mapping[str, Any], facts: MediaFacts, *, is_film: bool, new_sound: bool | None) -> list[str]:
    asked = effective.get("generate_audio")
    if asked:
        is_silent = facts.has_audio is False or new_sound is False
        return [("The new part" if new_sound is False else "The clip") + " has no sound."] if is_silent else []
    has_sound = new_sound if is_film else facts.has_audio
    if asked is None or not has_sound:
        return []
    return ["The clip has sound, although generate_audio=false was asked for."]
