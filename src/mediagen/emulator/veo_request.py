"""Turns a predictLongRunning body into an order for clips, or refuses it.

Source: https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/veo-video-generation
(checked 2026-11-21)
"""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio

from mediagen.emulator.answers import bad_request, google_error
from mediagen.emulator.catalogue import (
    VEO_MAX_REFERENCES,
    VEO_MAX_TOTAL_SECONDS,
    VEO_MIN_SOURCE_SECONDS,
    VEO_RATIOS,
    VeoModel,
    film_size,
)
from mediagen.emulator.cloud import BucketSources, Found, is_web
from mediagen.emulator.faults import Fault
from mediagen.emulator.film_inputs import NOT_A_FILM, SLACK_SECONDS, Film, read_film, source_refusal
from mediagen.emulator.films import FilmPlan, FilmTask
from mediagen.emulator.pictures import open_picture
from mediagen.emulator.reading import read_base64
from mediagen.emulator.veo_operations import VeoOrder
from mediagen.emulator.veo_parameters import VeoParameters, read_parameters
from mediagen.emulator.veo_tables import PREDICT_LONG_RUNNING
from mediagen.emulator.world import World

IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/webp"})
EXTENDABLE_SIZES = frozenset(film_size(ratio, resolution) for ratio in VEO_RATIOS for resolution in ("720p", "1080p"))
_TASKS: dict[str, FilmTask] = {
    "text_to_video": "text_to_video",
    "image_to_video": "image_to_video",
    "reference_to_video": "reference_to_video",
    "video_extension": "extend",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """Where a request came in, what it belongs to, and what it asked to go wrong."""

    base_url: str
    model_path: str
    faults: tuple[Fault, ...] = ()


class VeoDesk:
    """Reads requests for one emulator."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._sources = BucketSources(buckets=world.buckets)

    async def take(self, body: dict[str, Any], model: VeoModel, caller: Caller) -> VeoOrder:
        """Check a request and plan its clips.

        Raises:
            ApiError: It asks for what the model cannot do.
        """
        violations = PREDICT_LONG_RUNNING.check(body, "PredictRequest")
        if violations:
            raise bad_request(violations)
        instance = _instance(body)
        feature = _feature(instance, model)
        wanted = read_parameters(body.get("parameters") or {}, model, feature)
        digest = hashlib.sha256(json.dumps([model.name, body], sort_keys=True).encode()).digest()
        plan = await self._plan(instance, feature, wanted, digest)
        plans = tuple(replace(plan, digest=_variant(digest, index)) for index in range(wanted.samples))
        return VeoOrder(
            model=model,
            model_path=caller.model_path,
            base_url=caller.base_url,
            feature=feature,
            plans=plans,
            usd_per_sample=wanted.seconds * model.usd_per_second(wanted.resolution, has_audio=wanted.has_audio),
            storage_uri=wanted.storage_uri,
            faults=caller.faults,
        )

    async def _plan(self, instance: dict[str, Any], feature: str, wanted: VeoParameters, digest: bytes) -> FilmPlan:
        pictures = await self._pictures(instance)
        plan = FilmPlan(
            task="first_last" if "lastFrame" in instance and "image" in instance else _TASKS[feature],
            size=film_size(wanted.aspect_ratio, wanted.resolution),
            seconds=wanted.seconds,
            digest=digest,
            pictures=pictures,
            has_audio=wanted.has_audio,
            pads=wanted.pads,
        )
        if feature != "video_extension":
            return plan
        film = await self._film(instance["video"])
        _check_extendable(film, wanted.seconds)
        size = (film.probe.width, film.probe.height) if film.probe else plan.size
        new_part = self._world.settings.extend_returns == "new_part"
        return replace(plan, size=size, source=film.path, source_probe=film.probe, new_part_only=new_part)

    async def _pictures(self, instance: dict[str, Any]) -> tuple[bytes, ...]:
        named = [instance[name] for name in ("image", "lastFrame") if name in instance]
        named += [reference.get("image") or {} for reference in _as_list(instance.get("referenceImages") or [])]
        return tuple([await self._picture(media) for media in named])

    async def _picture(self, media: dict[str, Any]) -> bytes:
        found = await self._media(media, "image")
        if found.mime_type not in IMAGE_TYPES:
            raise google_error(400, f"Unsupported image mime type: {found.mime_type}")
        content = await anyio.Path(found.path).read_bytes()
        try:
            await anyio.to_thread.run_sync(open_picture, content)
        except ValueError as error:
            raise google_error(400, "Unable to process input image.") from error
        return content

    async def _film(self, media: dict[str, Any]) -> Film:
        found = await self._media(media, "video")
        if found.mime_type != "video/mp4":
            raise google_error(400, f"Unsupported video mime type: {found.mime_type}")
        try:
            return await read_film(found.path, self._world.settings.ffmpeg)
        except ValueError as error:
            raise google_error(400, NOT_A_FILM) from error

    async def _media(self, media: dict[str, Any], kind: str) -> Found:
        """Bring the bytes of a medium to a file of its own, which outlives its object."""
        data, uri = media.get("bytesBase64Encoded"), media.get("gcsUri")
        # films of the web are never fetched, and count as none
        if not (data or uri) or (kind == "video" and is_web(uri or "")):
            raise google_error(400, f"{kind} is empty")
        if data and uri:
            raise google_error(400, f"Only one of bytesBase64Encoded and gcsUri can be set for {kind}.")
        mime_type = media.get("mimeType")
        if not mime_type:
            raise google_error(400, f"{kind} mime type is empty")
        content = await anyio.Path(self._object(uri)).read_bytes() if uri else read_base64(data or "")
        if uri and not content:
            raise google_error(400, f"{kind} is empty")
        if not content:
            raise google_error(400, f"Invalid value at '{kind}.bytesBase64Encoded', Base64 decoding failed.")
        _, path = self._world.files.new_path()
        await anyio.Path(path).write_bytes(content)
        return Found(path=path, mime_type=mime_type)

    def _object(self, uri: str) -> Path:
        if not uri.startswith("gs://"):
            raise google_error(400, f"Invalid Cloud Storage URI: {uri}. Expected gs://BUCKET/OBJECT.")
        found = self._sources.find(uri)
        assert found is not None
        return found.path


def _variant(digest: bytes, index: int) -> bytes:
    return hashlib.sha256(digest + bytes([index])).digest()


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _instance(body: dict[str, Any]) -> dict[str, Any]:
    instances = _as_list(body.get("instances") or [])
    if len(instances) != 1:
        raise google_error(400, f"Exactly one instance is supported, got {len(instances)}.")
    instance = {name: value for name, value in instances[0].items() if value is not None}
    has_media = any(name in instance for name in ("image", "video"))
    if not str(instance.get("prompt") or "").strip() and not has_media:
        raise google_error(400, "Prompt is required.")
    return instance


def _feature(instance: dict[str, Any], model: VeoModel) -> str:
    """Tell what is asked for, and refuse what does not go together."""
    if "mask" in instance:
        raise _unsupported("mask")
    if "video" in instance:
        # reports say that each of lastFrame and referenceImages is accepted beside video, not that it shows
        feature, field, others = "video_extension", "video", {"image"}
        _check_guides(instance)
    elif instance.get("referenceImages"):
        feature, field, others = "reference_to_video", "referenceImages", {"image", "lastFrame"}
        _check_references(_as_list(instance["referenceImages"]))
    else:
        feature, field, others = "image_to_video" if "image" in instance else "text_to_video", "image", set()
    clashing = sorted(others & set(instance))
    if clashing:
        raise google_error(400, f"{field} and {clashing[0]} cannot be set together.")
    if "lastFrame" in instance and not {"image", "video"} & set(instance):
        raise google_error(400, "lastFrame needs image as the first frame.")
    if feature not in model.features:
        raise _unsupported(field)
    return feature


def _check_guides(instance: dict[str, Any]) -> None:
    references = _as_list(instance.get("referenceImages") or [])
    if references and "lastFrame" in instance:
        raise google_error(400, "lastFrame and referenceImages cannot be set together.")
    if references:
        _check_references(references)


def _unsupported(field: str) -> Exception:
    return google_error(
        400,
        f"`{field}` isn't supported by this model. Please remove it or refer to the documentation for supported usage.",
    )


def _check_references(references: list[dict[str, Any]]) -> None:
    kinds = {str(reference.get("referenceType") or "").upper() for reference in references}
    if not kinds <= {"ASSET", "STYLE"}:
        raise google_error(400, "referenceType must be asset or style.")
    if kinds != {"ASSET"}:
        raise google_error(400, "Reference to video does not support this mix of reference images.")
    if len(references) > VEO_MAX_REFERENCES:
        raise google_error(
            400, f"Reference to video supports at most {VEO_MAX_REFERENCES} reference images, got {len(references)}."
        )


def _check_extendable(film: Film, seconds: int) -> None:
    probed = film.probe
    if probed is None:
        return
    if refusal := source_refusal(film):
        raise google_error(400, refusal)
    if (probed.width, probed.height) not in EXTENDABLE_SIZES:
        raise google_error(
            400, f"Unsupported input video resolution {probed.width}x{probed.height}, supported are 720p and 1080p."
        )
    if probed.duration_seconds < VEO_MIN_SOURCE_SECONDS - SLACK_SECONDS:
        raise google_error(
            400, f"Video is too short to extend: {probed.duration_seconds:g}s, at least {VEO_MIN_SOURCE_SECONDS}s."
        )
    if probed.duration_seconds + seconds > VEO_MAX_TOTAL_SECONDS + SLACK_SECONDS:
        raise google_error(
            400, f"Video is too long to extend: {probed.duration_seconds:g}s + {seconds}s > {VEO_MAX_TOTAL_SECONDS}s."
        )
