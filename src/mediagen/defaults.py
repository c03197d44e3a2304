"""Explicit > source > profile > default: the effective value of every argument, and where it comes from. Pure."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mediagen.catalog import ModelSpec
from mediagen.catalog.allowed import in_words, refuse
from mediagen.jobs import Adjustment, Origin
from mediagen.requests import (
    EstimateCostRequest,
    GenerateImageRequest,
    ImageParameters,
    VideoMode,
    VideoParameters,
    VideoRequest,
)

DEFAULT_VIDEO_SECONDS = 8
ROUNDING_SECONDS = 0.25  # a clip that was asked for as 10 s may hold a few frames more


@dataclass(frozen=True, kw_only=True, slots=True)
class Layers:
    """Values for arguments that the caller left out, by argument.

    Attributes:
        preset: Of the preset that the caller named; it is part of the profile.
        built_in: Of one that came along with the package; what does not fit the mode gives way.
        source: Of the job or file that is continued.
        profile: Defaults of the configured project.
    """

    preset: Mapping[str, Any] = field(default_factory=dict)
    built_in: Mapping[str, Any] = field(default_factory=dict)
    source: Mapping[str, Any] = field(default_factory=dict)
    profile: Mapping[str, Any] = field(default_factory=dict)

    def with_built_in(self, values: Mapping[str, Any]) -> "Layers":
        """The same with the values of a preset that came along with the package."""
        return dataclasses.replace(self, built_in=values)

    def candidates(self, name: str, explicit: object) -> tuple[tuple[Origin, Any], ...]:
        """What each layer says about an argument, the one that wins first."""
        return (
            ("explicit", explicit),
            ("profile", self.preset.get(name)),
            ("default", self.built_in.get(name)),
            ("source", self.source.get(name)),
            ("profile", self.profile.get(name)),
        )


NO_LAYERS = Layers()
ASKED_FOR = 2  # the argument itself and the preset that the caller named


@dataclass(slots=True)
class Chosen:
    """Effective values gathered one by one, each with its origin.

    Attributes:
        unfit: Values of the source or the profile that the model cannot do, so that another one was taken.
    """

    layers: Layers
    allowed: Mapping[str, Sequence[Any] | None]
    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)
    unfit: list[Adjustment] = field(default_factory=list)

    def choose(self, request: object, name: str, *fallbacks: tuple[Origin, Any]) -> None:
        """Keep what the caller or a layer says about an argument, else the first fallback that has a value.

        What the caller says is kept even if it cannot work: it is refused later, not replaced.
        """
        allowed = self.allowed.get(name)
        dropped: list[tuple[str, Any]] = []
        fitting: list[tuple[Origin, Any]] = []
        for number, (origin, value) in enumerate(self.layers.candidates(name, getattr(request, name, None))):
            if value is None:
                continue
            if number < ASKED_FOR or allowed is None or value in allowed:
                fitting.append((origin, value))
                break  # what comes behind it would not have been used, fitting or not
            dropped.append(("preset" if number == ASKED_FOR else origin, value))
        chosen = self.take(name, *fitting, *fallbacks)
        for layer, value in dropped:
            reason = f"the {layer}'s value does not fit; allowed: {in_words(allowed or ())}"
            self.unfit.append(Adjustment(field=name, from_value=value, to_value=chosen, reason=reason))

    def take(self, name: str, *candidates: tuple[Origin, Any]) -> Any:
        """Keep the first candidate that has a value."""
        for origin, value in candidates:
            if value is not None:
                self.values[name] = value
                self.origins[name] = origin
                return value
        return None


def image_parameters(
    request: GenerateImageRequest | EstimateCostRequest, spec: ModelSpec, layers: Layers = NO_LAYERS
) -> tuple[ImageParameters, Chosen]:
    """Effective values of a picture request, and where each comes from."""
    allowed = {
        "image_size": spec.image_sizes,
        "aspect_ratio": spec.aspect_ratios,
        "thinking_level": spec.thinking_levels,
        "person_generation": spec.person_generation,
        "search_grounding": (False,) if spec.search_grounding is False else None,
    }
    # The picture that is gone on with lies in an earlier turn.
    earlier = 1 if getattr(request, "continue_from", None) else 0
    inputs = getattr(request, "input_images", None) or []
    is_edit = bool(inputs) or earlier > 0
    if is_edit:
        # What the picture that is edited is like says more than a default of the profile.
        layers = dataclasses.replace(layers, profile={**layers.profile, "aspect_ratio": None})
    chosen = Chosen(layers, allowed)
    documents = getattr(request, "documents", None) or []
    chosen.choose(request, "image_size", ("default", spec.default_image_size), ("default", "1K"))
    chosen.choose(request, "count", ("default", 1))
    chosen.choose(request, "aspect_ratio", ("default", None if is_edit else "1:1"))
    if is_edit and "aspect_ratio" not in chosen.values:
        chosen.origins["aspect_ratio"] = "source"
    chosen.choose(request, "search_grounding", ("default", False))
    for name in ("seed", "thinking_level", "person_generation"):
        chosen.choose(request, name)
    parameters = ImageParameters(
        model=spec.id,
        mode="image_edit" if is_edit else "text_to_image",
        input_images=len(inputs) + earlier,
        documents=len(documents),
        **chosen.values,
    )
    return parameters, chosen


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoSource:
    """What is known of the media that goes into a clip.

    Attributes:
        width: Of the first frame or the source video, in pixels.
        seconds: Length of the source video.
        frames: Pictures that the clip starts and ends on.
        references: Pictures to go by, a mask included.
    """

    width: int | None = None
    height: int | None = None
    seconds: float | None = None
    frames: int = 0
    references: int = 0

    @property
    def aspect_ratio(self) -> str | None:
        """Nearest of the two ratios that video models make."""
        if not self.width or not self.height:
            return None
        return "16:9" if self.width >= self.height else "9:16"


def video_parameters(
    request: VideoRequest | EstimateCostRequest,
    spec: ModelSpec,
    *,
    mode: VideoMode,
    source: VideoSource,
    layers: Layers = NO_LAYERS,
) -> tuple[VideoParameters, Chosen]:
    """Effective values of a clip request, and where each comes from.

    Raises:
        InvalidRequestError: A length or ratio for an edited video, which keeps its own.
    """
    durations = _durations(spec, mode, source)
    if mode == "video_edit":
        _refuse_another_shape(request, layers.preset, source, durations)
    layers = dataclasses.replace(layers, source={**layers.source, **_of_source(mode, source, durations)})
    chosen = Chosen(layers, _allowed_in_clips(spec, durations, has_images=source.frames > 0))
    usual = DEFAULT_VIDEO_SECONDS if DEFAULT_VIDEO_SECONDS in durations or not durations else max(durations)
    chosen.choose(request, "duration_seconds", ("default", usual))
    chosen.choose(request, "resolution", ("default", spec.default_resolution), ("default", "720p"))
    if mode != "video_edit":  # it keeps the shape of its source
        chosen.choose(request, "aspect_ratio", ("default", "16:9"))
    chosen.choose(request, "generate_audio", ("default", True))
    chosen.choose(request, "count", ("default", 1))
    for name in ("seed", "person_generation", "resize_mode", "compression_quality"):
        chosen.choose(request, name)
    if spec.negative_prompt:
        chosen.choose(request, "negative_prompt")
    parameters = VideoParameters(
        model=spec.id,
        mode=mode,
        reference_images=source.references,
        input_images=source.frames,
        source_seconds=source.seconds,
        **chosen.values,
    )
    return parameters, chosen


def _of_source(mode: VideoMode, source: VideoSource, durations: tuple[int, ...]) -> dict[str, Any]:
    """What the pictures or the video are like, which says more than a default of the profile."""
    values: dict[str, Any] = {"aspect_ratio": source.aspect_ratio} if source.aspect_ratio else {}
    if mode == "video_edit" and source.seconds is not None:
        values["duration_seconds"] = durations[0]
    return values


def _durations(spec: ModelSpec, mode: VideoMode, source: VideoSource) -> tuple[int, ...]:
    """Lengths that the model makes: of an edit that of its source, of an extension those for which there is room."""
    if mode == "video_edit" and source.seconds is not None:
        return (max(1, round(source.seconds)),)
    durations = spec.durations_for(mode)
    if mode != "video_extension" or source.seconds is None or spec.max_total_seconds is None:
        return durations
    room = spec.max_total_seconds + ROUNDING_SECONDS - source.seconds
    return tuple(seconds for seconds in durations if seconds <= room) or durations


def _refuse_another_shape(
    request: VideoRequest | EstimateCostRequest,
    preset: Mapping[str, Any],
    source: VideoSource,
    durations: tuple[int, ...],
) -> None:
    # A preset that the caller named is asked for like an argument.
    ratio, seconds = (
        preset.get(name) if getattr(request, name, None) is None else getattr(request, name)
        for name in ("aspect_ratio", "duration_seconds")
    )
    if ratio is not None and ratio != source.aspect_ratio:
        raise refuse("aspect_ratio", ratio, allowed=(), where="an edited video, which keeps its shape")
    if seconds is not None and source.seconds is not None and seconds not in durations:
        raise refuse("duration_seconds", seconds, allowed=durations, where="an edited video, which keeps its length")


def _allowed_in_clips(
    spec: ModelSpec, durations: tuple[int, ...], *, has_images: bool
) -> dict[str, Sequence[Any] | None]:
    return {
        "duration_seconds": durations or None,
        "resolution": spec.resolutions,
        "aspect_ratio": spec.aspect_ratios,
        "generate_audio": (True,) if spec.audio == "always" else None,
        "person_generation": spec.person_generation,
        # It says how a picture is fitted to the frame.
        "resize_mode": spec.resize_modes if has_images or spec.resize_modes is None else (),
        "compression_quality": spec.compression_qualities,
    }
