"""Checks the parameters of a Veo request, in Google's words where they are known.

Source: https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/veo-video-generation
(checked 2026-11-21)
"""

import re
from dataclasses import dataclass
from typing import Any

from mediagen.emulator.answers import google_error
from mediagen.emulator.catalogue import VEO_MAX_SAMPLES, VEO_RATIOS, VEO_SECONDS, VIDEO_FPS, VeoModel
from mediagen.emulator.cloud import split_gs_uri

MAX_SEED = 2**32 - 1
# Google's pages spell the strictest word in two ways
PERSON_WORDS = ("allow_adult", "dont_allow", "disallow", "allow_all")
_TOPIC = re.compile(r"projects/[^/]+/topics/[^/]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class VeoParameters:
    """What a request wants of its clips."""

    samples: int
    seconds: int
    aspect_ratio: str
    resolution: str
    has_audio: bool
    pads: bool
    storage_uri: str


def read_parameters(parameters: dict[str, Any], model: VeoModel, feature: str) -> VeoParameters:
    """Check parameters whose names are all known.

    Raises:
        ApiError: The model cannot do that.
    """
    _check_words(parameters)
    seed = _whole(parameters, "seed")
    if seed is not None and not 0 <= seed <= MAX_SEED:
        raise google_error(400, f"Seed must be between 0 and {MAX_SEED}, got {seed}.")
    fps = _whole(parameters, "fps")
    if fps not in {None, VIDEO_FPS}:
        raise google_error(400, f"Unsupported output video fps {fps}, supported fps are [{VIDEO_FPS}].")
    if _switch(parameters, "enhancePrompt", default=True) is False:
        raise google_error(400, "Veo 3 prompt enhancement cannot be disabled.")
    samples = _whole(parameters, "sampleCount")
    if samples is not None and not 1 <= samples <= VEO_MAX_SAMPLES:
        raise google_error(400, f"Sample count must be between 1 and {VEO_MAX_SAMPLES}, got {samples}.")
    return VeoParameters(
        samples=1 if samples is None else samples,
        seconds=_seconds(parameters, feature),
        aspect_ratio=_one_of(parameters, "aspectRatio", VEO_RATIOS) or VEO_RATIOS[0],
        resolution=_resolution(parameters, model, feature),
        has_audio=_switch(parameters, "generateAudio", default=True),
        pads=str(parameters.get("resizeMode", "")).lower() == "pad",
        storage_uri=parameters.get("storageUri") or "",
    )


def _check_words(parameters: dict[str, Any]) -> None:
    _one_of(parameters, "personGeneration", PERSON_WORDS)
    for name, words in (("compressionQuality", ("optimized", "lossless")), ("resizeMode", ("crop", "pad"))):
        # the documentation has them small, Google's library sends them large
        _one_of({name: str(parameters.get(name) or "").lower()}, name, words)
    if parameters.get("storageUri"):
        split_gs_uri(parameters["storageUri"])
    topic = parameters.get("pubsubTopic")
    if topic and not _TOPIC.fullmatch(topic):
        raise google_error(400, f"Invalid Pub/Sub topic '{topic}'. Expected projects/PROJECT/topics/TOPIC.")


def _seconds(parameters: dict[str, Any], feature: str) -> int:
    supported = VEO_SECONDS[feature]
    seconds = _whole(parameters, "durationSeconds")
    if seconds is None:
        return supported[0]
    if seconds not in supported:
        listed = ",".join(map(str, supported))
        raise google_error(
            400,
            f"Unsupported output video duration {seconds} seconds, supported durations are [{listed}] "
            f"for feature {feature}.",
        )
    return seconds


def _resolution(parameters: dict[str, Any], model: VeoModel, feature: str) -> str:
    resolutions = model.resolutions
    if feature == "video_extension":
        resolutions = tuple(name for name in resolutions if name != "4k")
    return _one_of(parameters, "resolution", resolutions) or resolutions[0]


def _one_of(parameters: dict[str, Any], name: str, words: tuple[str, ...]) -> str:
    word = parameters.get(name) or ""
    if word and word not in words:
        raise google_error(400, f"Unsupported value '{word}' for {name}, supported values are [{','.join(words)}].")
    return str(word)


def _whole(parameters: dict[str, Any], name: str) -> int | None:
    value = parameters.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise google_error(400, f"The value type for `{name}` needs to be a number.")
    if value != value // 1:
        raise google_error(400, f"The value for `{name}` needs to be a whole number.")
    return int(value)


def _switch(parameters: dict[str, Any], name: str, *, default: bool) -> bool:
    value = parameters.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise google_error(400, f"The value type for `{name}` needs to be a boolean.")
    return value
