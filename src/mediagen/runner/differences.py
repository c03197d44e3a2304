"""How a finished file differs from what was asked for. Pure."""

from collections.abc import Mapping
from typing import Any

from mediagen.media.probe import MediaFacts

SECONDS_TOLERANCE = 0.5
SHORT_SIDE = {"360p": 360, "720p": 720, "1080p": 1080, "4k": 2160}


def differences(effective: Mapping[str, Any], facts: MediaFacts) -> tuple[str, ...]:
    """Name each difference between the effective values of a job and the real file."""
    found = [*_size(effective, facts), *_video(effective, facts)]
    return tuple(found)


def _size(effective: Mapping[str, Any], facts: MediaFacts) -> list[str]:
    if not facts.width or not facts.height:
        return []
    real = f"{facts.width}x{facts.height}"
    expected = effective.get("pixel_size")
    if expected and expected != real:
        return [f"The picture is {real} pixels; {expected} was expected."]
    side = SHORT_SIDE.get(str(effective.get("resolution")))
    if side and min(facts.width, facts.height) != side:
        return [f"The clip is {real} pixels; resolution {effective['resolution']} was asked for."]
    return []


def _video(effective: Mapping[str, Any], facts: MediaFacts) -> list[str]:
    found = []
    asked = effective.get("duration_seconds")
    real = facts.duration_seconds
    if asked and real and effective.get("mode") != "video_extension" and abs(real - asked) > SECONDS_TOLERANCE:
        found.append(f"The clip is {real:g} s long; {asked} s was asked for.")
    if effective.get("generate_audio") and facts.has_audio is False:
        found.append("The clip has no sound.")
    return found
