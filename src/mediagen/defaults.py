"""Explicit > source > default: the effective value of every argument, and where it comes from. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mediagen.catalog import ModelSpec
from mediagen.errors import InvalidRequestError
from mediagen.jobs import Origin
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
NOT_YET: Mapping[str, str] = {
    "profile": "this version has no profiles; set the environment variables instead",
    "preset": "this version has no presets; give the values themselves",
    "upload_to": "this version stores files on this machine only",
    "storage_uri": "it needs Veo on Vertex AI, which this version does not speak",
    "continue_from": "pass the picture of that job as input_images instead",
    "video": "this version cannot edit existing videos; extend_video continues one",
    "mask": "no living model takes masks; describe the change in the prompt",
    "mask_mode": "no living model takes masks; describe the change in the prompt",
    "remix_from": "pass a frame of that video as image instead",
    "remix_start": "pass a frame of that video as image instead",
    "remix_end": "pass a frame of that video as last_frame instead",
    "remix_last_frame": "pass a frame of that video as last_frame instead",
}


@dataclass(slots=True)
class Chosen:
    """Effective values gathered one by one, each with its origin."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)

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
    request: GenerateImageRequest | EstimateCostRequest, spec: ModelSpec
) -> tuple[ImageParameters, dict[str, Origin]]:
    """Effective values of a picture request."""
    chosen = Chosen()
    inputs = getattr(request, "input_images", None) or []
    documents = getattr(request, "documents", None) or []
    chosen.take("image_size", ("explicit", request.image_size), ("default", spec.default_image_size), ("default", "1K"))
    chosen.take("count", ("explicit", request.count), ("default", 1))
    ratio_default = None if inputs else "1:1"
    chosen.take("aspect_ratio", ("explicit", getattr(request, "aspect_ratio", None)), ("default", ratio_default))
    if inputs and "aspect_ratio" not in chosen.values:
        chosen.origins["aspect_ratio"] = "source"
    for name in ("seed", "thinking_level", "person_generation", "search_grounding"):
        chosen.take(name, ("explicit", getattr(request, name, None)))
    parameters = ImageParameters(
        model=spec.id,
        mode="image_edit" if inputs else "text_to_image",
        input_images=len(inputs),
        documents=len(documents),
        **chosen.values,
    )
    return parameters, {"model": _model_origin(request.model), **chosen.origins}


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoSource:
    """What is known of the media that goes into a clip.

    Attributes:
        width: Of the first frame or the source video, in pixels.
        seconds: Length of the source video.
        resolution: Of the source clip, when it is one of ours.
    """

    width: int | None = None
    height: int | None = None
    seconds: float | None = None
    resolution: str | None = None

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
    request: VideoRequest | EstimateCostRequest, spec: ModelSpec, *, mode: VideoMode, source: VideoSource
) -> tuple[VideoParameters, dict[str, Origin]]:
    """Effective values of a clip request."""
    chosen = Chosen()
    durations = spec.durations_for(mode)
    usual = DEFAULT_VIDEO_SECONDS if DEFAULT_VIDEO_SECONDS in durations or not durations else max(durations)
    chosen.take("duration_seconds", ("explicit", request.duration_seconds), ("default", usual))
    chosen.take(
        "resolution",
        ("explicit", request.resolution),
        ("source", source.resolution),
        ("default", spec.default_resolution),
        ("default", "720p"),
    )
    chosen.take(
        "aspect_ratio",
        ("explicit", getattr(request, "aspect_ratio", None)),
        ("source", source.aspect_ratio),
        ("default", "16:9"),
    )
    chosen.take("generate_audio", ("explicit", request.generate_audio), ("default", True))
    chosen.take("count", ("explicit", request.count), ("default", 1))
    for name in ("seed", "person_generation", "resize_mode", "compression_quality"):
        chosen.take(name, ("explicit", getattr(request, name, None)))
    images = [getattr(request, name, None) for name in ("image", "last_frame")]
    parameters = VideoParameters(
        model=spec.id,
        mode=mode,
        reference_images=len(getattr(request, "reference_images", None) or []),
        input_images=sum(image is not None for image in images),
        source_seconds=source.seconds,
        **chosen.values,
    )
    return parameters, {"model": _model_origin(request.model), **chosen.origins}


def reference_source(reference: str) -> tuple[str, Literal["asset", "style"]]:
    """Split ``PATH[:asset|style]``; any other text after a colon belongs to the path."""
    path, colon, kind = reference.rpartition(":")
    if colon and path and kind == "style":
        return path, "style"
    if colon and path and kind == "asset":
        return path, "asset"
    return reference, "asset"


def _model_origin(model: str | None) -> Origin:
    return "default" if model is None else "explicit"
