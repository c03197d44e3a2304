"""What a clip must be for Google to extend or edit it, as data, and which of it a clip is not. Pure."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from mediagen.media.fitting_facts import ClipFacts

MAX_ENLARGED: Final = 1.05
MAX_CROPPED: Final = 0.02
MIB: Final = 1024 * 1024

_LANDSCAPE: Final = ((1280, 720), (1920, 1080))
_PLAIN_PROFILES: Final = frozenset({66, 77, 88, 100})


@dataclass(frozen=True, kw_only=True, slots=True)
class Requirements:
    """What a clip must be.

    Attributes:
        name: What it is for, in words for messages ("extending with Veo").
        sizes: Widths and heights in pixels that are accepted, as shown.
        min_seconds: Shortest clip.
        max_seconds: Longest clip.
        max_bytes: Largest file; None when no limit is known.
    """

    name: str
    sizes: tuple[tuple[int, int], ...]
    min_seconds: float
    max_seconds: float
    max_bytes: int | None = None
    fps: float = 24.0
    fps_tolerance: float = 0.01
    containers: frozenset[str] = frozenset({"video/mp4"})
    video_codecs: frozenset[str] = frozenset({"h264"})
    video_profiles: frozenset[int] = _PLAIN_PROFILES
    audio_codecs: frozenset[str] = frozenset({"aac"})


def _both_ways(*sizes: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    return sizes + tuple((height, width) for width, height in sizes)


# 24 fps, and 23.976 is refused: "Video fps mismatch. Expected: 24 got: 23". 720p and 1080p only. At least 1 s; at most
# 30 s by one page of Google's, while the model makes films of up to 148 s in steps of 7 s, so 141 s are let through.
# Source: https://docs.cloud.google.com/vertex-ai/generative-ai/docs/video/extend-a-veo-video;
# https://wavespeed.ai/models/google/veo3.1-fast/video-extend; reports of users for the rate (checked 2026-11-21)
VEO_EXTENSION: Final = Requirements(
    name="extending with Veo", sizes=_both_ways(*_LANDSCAPE), min_seconds=1, max_seconds=141
)

# Omni's own clips are 24 fps, 360p to 4k, and it goes on with those. The whole film may be 30 s (1.2) or 40 s (1.1),
# of which an extension is at least 3 s. Two GB is the limit of the Files API. A clip to edit has 3 to 15 s (1.2) or at
# most 10 s (1.1).
# Source: https://docs.cloud.google.com/gemini-enterprise-agent-platform/models/gemini/omni-flash-preview;
# https://muapi.ai/gemini-omni-1.2-flash (checked 2026-11-21)
_OMNI_SIZES: Final = _both_ways((640, 360), *_LANDSCAPE, (3840, 2160))
OMNI_EXTENSION: Final = Requirements(
    name="extending with Omni", sizes=_OMNI_SIZES, min_seconds=1, max_seconds=27, max_bytes=2048 * MIB
)
OMNI_1_1_EXTENSION: Final = Requirements(
    name="extending with Omni 1.1", sizes=_OMNI_SIZES, min_seconds=1, max_seconds=37, max_bytes=2048 * MIB
)
OMNI_EDIT: Final = Requirements(
    name="editing with Omni", sizes=_OMNI_SIZES, min_seconds=3, max_seconds=15, max_bytes=2048 * MIB
)
OMNI_1_1_EDIT: Final = Requirements(
    name="editing with Omni 1.1", sizes=_OMNI_SIZES, min_seconds=3, max_seconds=10, max_bytes=2048 * MIB
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Misfit:
    """One rule that a clip does not keep.

    Attributes:
        rule: ``fps``, ``size``, ``video_codec``, …
        found: What it is, in words.
        needed: What it must be, in words.
        convertible: Whether a conversion makes it right; false for a length, which is the caller's to change.
    """

    rule: str
    found: str
    needed: str
    convertible: bool = True

    def __str__(self) -> str:
        return f"{self.rule.replace('_', ' ')} is {self.found} and must be {self.needed}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """How a picture gets another size.

    Attributes:
        fill: ``exact``, ``crop`` (slivers at two edges are lost) or ``pad`` (black bars are added).
        scale: Factor by which the picture grows.
    """

    width: int
    height: int
    fill: Literal["exact", "crop", "pad"]
    scale: float


def judge(facts: ClipFacts, requirements: Requirements) -> tuple[Misfit, ...]:
    """Say what about a clip is not as it must be; nothing when it fits."""
    return (
        *_judge_file(facts, requirements),
        *_judge_picture(facts, requirements),
        *_judge_length(facts, requirements),
    )


def _judge_file(facts: ClipFacts, requirements: Requirements) -> Iterator[Misfit]:
    if facts.mime_type not in requirements.containers:
        yield Misfit(rule="container", found=facts.mime_type, needed=_either(requirements.containers))
    if requirements.max_bytes is not None and facts.size_bytes > requirements.max_bytes:
        yield Misfit(
            rule="file_size",
            found=f"{facts.size_bytes / MIB:.0f} MB",
            needed=f"at most {requirements.max_bytes / MIB:g} MB",
        )
    if facts.audio_codec is not None and facts.audio_codec not in requirements.audio_codecs:
        yield Misfit(rule="audio_codec", found=facts.audio_codec, needed=_either(requirements.audio_codecs))


def _judge_picture(facts: ClipFacts, requirements: Requirements) -> Iterator[Misfit]:
    if facts.video_codec not in requirements.video_codecs:
        yield Misfit(
            rule="video_codec", found=facts.video_codec or "unknown", needed=_either(requirements.video_codecs)
        )
    elif facts.video_profile is not None and facts.video_profile not in requirements.video_profiles:
        yield Misfit(rule="video_profile", found=str(facts.video_profile), needed="8 bits with 4:2:0 colours")
    yield from _judge_rate(facts, requirements)
    if not facts.is_upright:
        yield Misfit(rule="rotation", found="turned by the player", needed="stored upright")
    if not facts.has_square_pixels:
        yield Misfit(rule="pixel_shape", found="not square", needed="square")
    if not facts.is_uncut:
        yield Misfit(rule="edit_list", found="cut by the player", needed="stored as it is shown")
    if (facts.width, facts.height) not in requirements.sizes:
        found = f"{facts.width}x{facts.height}" if facts.width and facts.height else "unknown"
        yield Misfit(rule="size", found=found, needed="one of " + ", ".join(f"{w}x{h}" for w, h in requirements.sizes))


def _judge_rate(facts: ClipFacts, requirements: Requirements) -> Iterator[Misfit]:
    needed = f"exactly {requirements.fps:g} fps"
    if facts.fps is None:
        yield Misfit(rule="fps", found="unknown", needed=needed)
    elif facts.is_steady is False:
        yield Misfit(rule="fps", found=f"variable, {facts.fps:g} fps on average", needed=needed)
    elif abs(facts.fps - requirements.fps) > requirements.fps_tolerance:
        yield Misfit(rule="fps", found=f"{facts.fps:g} fps", needed=needed)


def _judge_length(facts: ClipFacts, requirements: Requirements) -> Iterator[Misfit]:
    seconds = facts.duration_seconds
    if seconds is None:
        yield Misfit(rule="duration", found="unknown", needed=_length_needed(requirements))
        return
    # Sound ends a little before or behind the picture; half a frame is not a length.
    slack = 0.5 / requirements.fps + 0.03
    if seconds > requirements.max_seconds + slack or seconds < requirements.min_seconds - slack:
        yield Misfit(rule="duration", found=f"{seconds:.2f} s", needed=_length_needed(requirements), convertible=False)


def _length_needed(requirements: Requirements) -> str:
    return f"{requirements.min_seconds:g} to {requirements.max_seconds:g} s"


def _either(values: frozenset[str]) -> str:
    return " or ".join(sorted(values))


def choose_frame(width: int, height: int, sizes: tuple[tuple[int, int], ...]) -> Frame:
    """Choose the size that a picture gets, and how it is brought there.

    Of the accepted sizes, those of the nearest shape count (a square becomes landscape). Among them the largest that
    the picture fills without growing by more than 5 %; the smallest when each would enlarge it more than that. Shapes
    that differ by up to 2 % are cropped, so that no thin bars appear; others get black bars, so that nothing is lost.
    """
    shape = width / height
    off = min(abs(math.log(shape / (w / h))) for w, h in sizes)
    near = [(w, h) for w, h in sizes if abs(math.log(shape / (w / h))) <= off + 1e-6]
    if abs(shape - 1) < 1e-6:
        near = [size for size in near if size[0] >= size[1]] or near
    near.sort()
    fitting = [(w, h) for w, h in near if min(w / width, h / height) <= MAX_ENLARGED]
    chosen = fitting[-1] if fitting else near[0]
    across, down = chosen[0] / width, chosen[1] / height
    if chosen == (width, height):
        return Frame(width=chosen[0], height=chosen[1], fill="exact", scale=1.0)
    if abs(across - down) < 1e-3:
        return Frame(width=chosen[0], height=chosen[1], fill="exact", scale=across)
    if max(across, down) / min(across, down) - 1 <= MAX_CROPPED:
        return Frame(width=chosen[0], height=chosen[1], fill="crop", scale=max(across, down))
    return Frame(width=chosen[0], height=chosen[1], fill="pad", scale=min(across, down))
