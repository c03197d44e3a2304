"""Explicit > source > profile > default: the effective value of every argument, and where it comes from. Pure."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from mediagen.catalog import ModelSpec
from mediagen.catalog.allowed import in_words
from mediagen.errors import InvalidRequestError
from mediagen.jobs import Adjustment, Origin
from mediagen.requests import (
    EstimateCostRequest,
    ExtendVideoRequest,
    GenerateImageRequest,
    GenerateVideoRequest,
    ImageParameters,
    VideoMode,
    VideoParameters,
    VideoRequest,
)

DEFAULT_VIDEO_SECONDS = 8
ROUNDING_SECONDS = 0.25  # a clip that was asked for as 10 s may hold a few frames more
NOT_YET: Mapping[str, str] = {
    "video": "this version cannot edit existing videos; extend_video continues one",
    "mask": "no living model takes masks; describe the change in the prompt",
    "mask_mode": "no living model takes masks; describe the change in the prompt",
    "remix_from": "pass a frame of that video as image instead",
    "remix_start": "pass a frame of that video as image instead",
    "remix_end": "pass a frame of that video as last_frame instead",
    "remix_last_frame": "pass a frame of that video as last_frame instead",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Layers:
    """Values for arguments that the caller left out, by argument.

    Attributes:
        preset: Of the preset that the caller named; it is part of the profile.
        source: Of the job or file that is continued.
        profile: Defaults of the configured project.
    """

    preset: Mapping[str, Any] = field(default_factory=dict)
    source: Mapping[str, Any] = field(default_factory=dict)
    profile: Mapping[str, Any] = field(default_factory=dict)

    def candidates(self, name: str, explicit: object) -> tuple[tuple[Origin, Any], ...]:
        """What each layer says about an argument, the one that wins first."""
        return (
            ("explicit", explicit),
            ("profile", self.preset.get(name)),
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
        dropped: list[tuple[Origin, Any]] = []
        fitting: list[tuple[Origin, Any]] = []
        for number, (origin, value) in enumerate(self.layers.candidates(name, getattr(request, name, None))):
            if value is None:
                continue
            if number < ASKED_FOR or allowed is None or value in allowed:
                fitting.append((origin, value))
                break  # what comes behind it would not have been used, fitting or not
            dropped.append((origin, value))
        chosen = self.take(name, *fitting, *fallbacks)
        for origin, value in dropped:
            reason = f"the {origin}'s value does not fit; allowed: {in_words(allowed or ())}"
            self.unfit.append(Adjustment(field=name, from_value=value, to_value=chosen, reason=reason))

    def take(self, name: str, *candidates: tuple[Origin, Any]) -> Any:
        """Keep the first candidate that has a value."""
        for origin, value in candidates:
            if value is not None:
                self.values[name] = value
                self.origins[name] = origin
                return value
        return None


def refuse_what_is_not_built(request: GenerateImageRequest | VideoRequest | EstimateCostRequest) -> None:
    """Refuse arguments that this version cannot honour, rather than ignore them.

    Raises:
        InvalidRequestError: Names the argument and the way that works today.
    """
    for name, instead in NOT_YET.items():
        if getattr(request, name, None) is not None:
            raise InvalidRequestError(
                f"{name} is not available in this version: {instead}.", field=name, code="not_available"
            )


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
    """

    width: int | None = None
    height: int | None = None
    seconds: float | None = None

    @property
    def aspect_ratio(self) -> str | None:
        """Nearest of the two ratios that video models make."""
        if not self.width or not self.height:
            return None
        return "16:9" if self.width >= self.height else "9:16"


def video_mode(request: VideoRequest) -> VideoMode:
    """Find the mode from the inputs; an explicit `mode` must agree with them.

    Raises:
        InvalidRequestError: Inputs that cannot go together.
    """
    found = _detected_mode(request)
    wanted = request.mode if isinstance(request, GenerateVideoRequest) else None
    if wanted is not None and wanted != found:
        raise InvalidRequestError(
            f"mode={wanted!r} does not fit the inputs, which make it {found!r}.",
            field="mode",
            hint="Leave mode out, or give the inputs of that mode: image for image_to_video, image and last_frame for "
            "first_last_frames, reference_images for reference_asset; extend_video for video_extension.",
        )
    return found


def _detected_mode(request: VideoRequest) -> VideoMode:
    if isinstance(request, ExtendVideoRequest):
        if request.last_frame or request.reference_images:
            name = "last_frame" if request.last_frame else "reference_images"
            raise InvalidRequestError(
                f"{name} cannot be used when extending in this version.", field=name, code="not_available"
            )
        return "video_extension"
    assert isinstance(request, GenerateVideoRequest)
    if request.reference_images and (request.image or request.last_frame):
        raise InvalidRequestError(
            "reference_images cannot be combined with image or last_frame.",
            field="reference_images",
            hint="Give either the frames of the clip or references to keep consistent.",
        )
    if request.last_frame and not request.image:
        raise InvalidRequestError(
            "last_frame needs image, the picture the clip starts on.", field="last_frame", hint="Give image as well."
        )
    if request.reference_images:
        return "reference_asset"
    if request.last_frame:
        return "first_last_frames"
    return "image_to_video" if request.image else "text_to_video"


def video_parameters(
    request: VideoRequest | EstimateCostRequest,
    spec: ModelSpec,
    *,
    mode: VideoMode,
    source: VideoSource,
    layers: Layers = NO_LAYERS,
) -> tuple[VideoParameters, Chosen]:
    """Effective values of a clip request, and where each comes from."""
    durations = _durations(spec, mode, source)
    images = [image for name in ("image", "last_frame") if (image := getattr(request, name, None)) is not None]
    # What the pictures or the video are like says more than a default of the profile.
    ratio = {"aspect_ratio": source.aspect_ratio} if source.aspect_ratio else {}
    layers = dataclasses.replace(layers, source={**layers.source, **ratio})
    chosen = Chosen(layers, _allowed_in_clips(spec, durations, has_images=bool(images)))
    usual = DEFAULT_VIDEO_SECONDS if DEFAULT_VIDEO_SECONDS in durations or not durations else max(durations)
    chosen.choose(request, "duration_seconds", ("default", usual))
    chosen.choose(request, "resolution", ("default", spec.default_resolution), ("default", "720p"))
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
        reference_images=len(getattr(request, "reference_images", None) or []),
        input_images=len(images),
        source_seconds=source.seconds,
        **chosen.values,
    )
    return parameters, chosen


def _durations(spec: ModelSpec, mode: VideoMode, source: VideoSource) -> tuple[int, ...]:
    """Lengths that the model makes; of an extension those for which there is room, unless there is none at all."""
    durations = spec.durations_for(mode)
    if mode != "video_extension" or source.seconds is None or spec.max_total_seconds is None:
        return durations
    room = spec.max_total_seconds + ROUNDING_SECONDS - source.seconds
    return tuple(seconds for seconds in durations if seconds <= room) or durations


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


def reference_source(reference: str) -> tuple[str, Literal["asset", "style"]]:
    """Split ``PATH[:asset|style]``; any other text after a colon belongs to the path."""
    path, colon, kind = reference.rpartition(":")
    if colon and path and kind == "style":
        return path, "style"
    if colon and path and kind == "asset":
        return path, "asset"
    return reference, "asset"
