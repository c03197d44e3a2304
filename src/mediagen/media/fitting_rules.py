"""What a clip must be for Google to extend or edit it, as data, and which of it a clip is not. Pure."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from mediagen.catalog import ModelSpec
from mediagen.media.fitting_facts import ClipFacts

MAX_ENLARGED: Final = 1.05
MAX_CROPPED: Final = 0.02
MIB: Final = 1024 * 1024

# The store of the Gemini API takes no more. Source: https://ai.google.dev/gemini-api/docs/files (checked 2026-11-21)
MAX_BYTES: Final = 2048 * MIB
# A rate of 23.976 is refused: "Video fps mismatch. Expected: 24 got: 23". Source: reports of users (checked 2026-11-21)
FPS: Final = 24.0

_SIZES: Final = {"360p": (640, 360), "720p": (1280, 720), "1080p": (1920, 1080), "4k": (3840, 2160)}
_PLAIN_PROFILES: Final = frozenset({66, 77, 88, 100})


@dataclass(frozen=True, kw_only=True, slots=True)
class Requirements:
    """What a clip must be.

    Attributes:
        name: What it is for, in words for messages ("extending with veo-3.1-generate-001").
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
    fps: float = FPS
    fps_tolerance: float = 0.01
    containers: frozenset[str] = frozenset({"video/mp4"})
    video_codecs: frozenset[str] = frozenset({"h264"})
    video_profiles: frozenset[int] = _PLAIN_PROFILES
    audio_codecs: frozenset[str] = frozenset({"aac"})


def requirements_for(spec: ModelSpec, mode: str) -> Requirements:
    """What a video must be for a model to extend or edit it; what the catalogue does not know is not demanded.

    Args:
        spec: The model as it holds on its surface.
        mode: ``video_extension`` or ``video_edit``.
    """
    named = spec.extension_source_sizes or spec.resolutions
    sizes = [_SIZES[name] for name in named or _SIZES if name in _SIZES]
    if mode == "video_edit":
        shortest, longest = spec.edit_source_seconds or (0, math.inf)
        name = f"editing with {spec.id}"
    else:
        added = min(spec.durations_for(mode), default=0)
        longest = spec.max_total_seconds - added if spec.max_total_seconds is not None else math.inf
        shortest = spec.extension_source_min_seconds or 0
        name = f"extending with {spec.id}"
    return Requirements(
        name=name,
        sizes=(*sizes, *((height, width) for width, height in sizes)),
        min_seconds=shortest,
        max_seconds=longest,
        max_bytes=MAX_BYTES,
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


def judge_size(width: int | None, height: int | None, requirements: Requirements) -> bool:
    """Whether a picture of that size is accepted; what is not known is."""
    return None in (width, height) or (width, height) in requirements.sizes


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
    if math.isinf(requirements.max_seconds):
        return f"at least {requirements.min_seconds:g} s"
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
