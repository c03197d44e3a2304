"""Turns the body of an interaction into an order for a clip, or refuses it.

Source: https://ai.google.dev/gemini-api/docs/omni (checked 2026-11-21)
"""

import hashlib
import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio

from mediagen.emulator.answers import ApiError, interaction_error
from mediagen.emulator.callers import Surface
from mediagen.emulator.catalogue import (
    VIDEO_INPUT_IMAGE_TOKENS,
    VIDEO_INPUT_TOKENS_PER_SECOND,
    VIDEO_SHORT_SIDES,
    VIDEO_TOKENS_PER_SECOND,
    VideoModel,
    film_size,
)
from mediagen.emulator.cloud import Found, Sources, split_gs_uri
from mediagen.emulator.faults import REGION, Fault
from mediagen.emulator.film_inputs import NOT_A_FILM, SLACK_SECONDS, Film, read_film, source_refusal
from mediagen.emulator.films import FilmPlan, FilmTask
from mediagen.emulator.interactions import Order
from mediagen.emulator.pictures import open_picture, placeholder
from mediagen.emulator.reading import read_base64
from mediagen.emulator.world import World

DEFAULT_SECONDS = 8.0
MAX_REFERENCE_VIDEOS = 3
MAX_REFERENCE_VIDEO_SECONDS = 3.0
# Google's library knows these
VIDEO_TYPES = frozenset(
    f"video/{name}" for name in ("mp4", "mpeg", "mpg", "mov", "avi", "x-flv", "webm", "wmv", "3gpp")
)
# That it is refused in the EEA, Switzerland and the United Kingdom is documented, the words are not: they follow those
# of other refusals by place (an inference). Whether a produced film is exempt when it is given back by its address is
# not known; here it is not.
REGION_REFUSAL = "User location is not supported for editing or extending uploaded videos."
_BINDING = re.compile(r"<(FIRST_FRAME|LAST_FRAME|IMAGE_REF_\d+)>@Image(\d+)")


@dataclass(kw_only=True, slots=True)
class Inputs:
    """The media and texts of an interaction, in order."""

    texts: list[str] = field(default_factory=list)
    pictures: list[bytes] = field(default_factory=list)
    films: list[Film] = field(default_factory=list)

    @property
    def prompt(self) -> str:
        """All texts."""
        return "\n".join(self.texts)


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """Where a request came in and what it asked to go wrong."""

    base_url: str
    path: str
    sources: Sources
    surface: Surface = field(default_factory=Surface)
    faults: tuple[Fault, ...] = ()


class OrderDesk:
    """Reads interactions for one emulator."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def take(self, body: dict[str, Any], model: VideoModel, caller: Caller) -> Order:
        """Check an interaction and plan its clip.

        Raises:
            ApiError: It asks for what the model cannot do.
        """
        _check_switches(body, caller.surface)
        wanted = _wanted_format(body, caller.surface)
        inputs = await self._inputs(body.get("input"), caller)
        previous = self._previous(body.get("previous_interaction_id"), caller.surface.parent)
        task = _task(body, inputs, has_previous=previous is not None)
        if inputs.films and task in {"edit", "extend"}:
            self._refuse_region(caller)
        if previous is not None:
            inputs.films.insert(0, await self._film(previous))
        digest = hashlib.sha256(json.dumps(_essence(body), sort_keys=True).encode()).digest()
        plan = _plan(task, model, inputs, wanted, digest)
        if plan.task == "extend":
            plan = _extension_plan(plan, model, new_part=self._world.settings.extend_returns == "new_part")
        return _order(body, model, plan, wanted, inputs, caller)

    def _refuse_region(self, caller: Caller) -> None:
        scripted = self._world.faults.take(REGION, method="POST", path=caller.path)
        is_asked = scripted is not None or any(fault.kind in REGION for fault in caller.faults)
        if is_asked or self._world.settings.region_refuses_uploaded_video:
            raise interaction_error(REGION_REFUSAL, code="failed_precondition")

    def _previous(self, interaction_id: str | None, parent: str) -> Path | None:
        if not interaction_id:
            return None
        previous = self._world.interactions.get(interaction_id, parent)
        if previous.status != "completed" or previous.film is None:
            raise interaction_error("The previous interaction has no video to continue from.")
        # what was delivered inline or into a bucket is no file that expires
        is_gone = previous.film.is_expired and previous.order.delivery == "uri" and not previous.order.gcs_uri
        if is_gone or not previous.film.path.exists():
            raise interaction_error("The video of the previous interaction was deleted or has expired.")
        return previous.film.path

    async def _inputs(self, value: Any, caller: Caller) -> Inputs:
        inputs = Inputs()
        if isinstance(value, str):
            inputs.texts.append(value)
            return inputs
        blocks = value if isinstance(value, list) else [value] if value else []
        for block in blocks:
            for part in block.get("content", []) if block["type"] == "user_input" else [block]:
                await self._part(part, inputs, caller)
        return inputs

    async def _part(self, part: dict[str, Any], inputs: Inputs, caller: Caller) -> None:
        if part["type"] == "text":
            inputs.texts.append(part.get("text") or "")
            return
        if bool(part.get("data")) == bool(part.get("uri")):
            raise interaction_error(f"Exactly one of data and uri is needed in a content of type {part['type']}.")
        if part["type"] == "image":
            inputs.pictures.append(await self._picture(part, caller))
        else:
            inputs.films.append(await self._film(await self._film_path(part, caller)))

    async def _picture(self, part: dict[str, Any], caller: Caller) -> bytes:
        if part.get("uri"):
            stored = self._stored(part["uri"], caller)
            if stored is None:
                return placeholder(part["uri"])
            content = await anyio.Path(stored.path).read_bytes()
        else:
            content = read_base64(part["data"]) or b""
        try:
            await anyio.to_thread.run_sync(open_picture, content)
        except ValueError as error:
            raise interaction_error("Unable to process input image.") from error
        return content

    def _stored(self, uri: str, caller: Caller) -> Found | None:
        try:
            return caller.sources.find(uri)
        except ApiError as refusal:
            # the same refusal in this API's shape
            error = refusal.body["error"]
            raise interaction_error(
                error["message"], status_code=refusal.status_code, code=error["status"].lower()
            ) from refusal

    async def _film_path(self, part: dict[str, Any], caller: Caller) -> Path:
        uri = part.get("uri") or ""
        stored = None if caller.sources.is_elsewhere(uri) else self._stored(uri, caller) if uri else None
        if uri and stored is None:
            # films of the web are never fetched
            raise interaction_error("video is empty")
        mime_type = part.get("mime_type") or (stored.mime_type if stored and not caller.surface.is_vertex else "")
        if not mime_type:
            raise interaction_error("video mime type is empty")
        if mime_type not in VIDEO_TYPES:
            raise interaction_error(f"Unsupported video mime type: {mime_type}")
        if stored is not None:
            return stored.path
        content = read_base64(part["data"])
        if not content:
            raise interaction_error(NOT_A_FILM)
        _, path = self._world.files.new_path()
        await anyio.Path(path).write_bytes(content)
        return path

    async def _film(self, path: Path) -> Film:
        try:
            return await read_film(path, self._world.settings.ffmpeg)
        except ValueError as error:
            raise interaction_error(NOT_A_FILM) from error


def _check_switches(body: dict[str, Any], surface: Surface) -> None:
    if surface.is_vertex and body.get("webhook_config"):
        raise interaction_error("webhook_config is not supported.")
    if body.get("background") and body.get("store") is not True:
        raise interaction_error("background=true requires store=true.")
    if body.get("store") is False and body.get("previous_interaction_id"):
        raise interaction_error("previous_interaction_id requires store=true.")
    if body.get("stream"):
        raise interaction_error("Streaming is not supported for this model.")
    if body.get("system_instruction"):
        raise interaction_error("System instructions are not supported for this model.")


def _wanted_format(body: dict[str, Any], surface: Surface) -> dict[str, Any]:
    formats = body.get("response_format") or []
    formats = formats if isinstance(formats, list) else [formats]
    if any(wanted["type"] == "image" for wanted in formats):
        raise interaction_error("response_format of type image is not supported for this model.")
    video = [wanted for wanted in formats if wanted["type"] == "video"]
    wanted = dict(video[0]) if video else {}
    _check_delivery(wanted, surface)
    return wanted


def _check_delivery(wanted: dict[str, Any], surface: Surface) -> None:
    gcs_uri, is_uri = wanted.get("gcs_uri"), wanted.get("delivery") == "uri"
    if gcs_uri and not surface.is_vertex:
        raise interaction_error("gcs_uri is not supported in the Gemini API.")
    if surface.is_vertex and is_uri and not gcs_uri:
        raise interaction_error("gcs_uri is required when delivery is uri.")
    if gcs_uri and not is_uri:
        raise interaction_error("gcs_uri needs delivery uri.")
    if gcs_uri:
        try:
            split_gs_uri(gcs_uri)
        except ApiError as refusal:
            raise interaction_error(refusal.body["error"]["message"]) from refusal


def _seconds(wanted: dict[str, Any], least: float, most: float) -> float:
    text = wanted.get("duration")
    if text is None:
        return min(DEFAULT_SECONDS, most)
    match = re.fullmatch(r"(\d{1,4}(?:\.\d{1,9})?)s", text)
    if match is None:
        raise interaction_error(f"Invalid duration '{text}': expected seconds such as '8s'.")
    seconds = float(match.group(1))
    if not least <= seconds <= most:
        raise interaction_error(f"Invalid duration '{text}': must be between {least:g}s and {most:g}s.")
    return seconds


def _essence(body: dict[str, Any]) -> dict[str, Any]:
    """Keep what decides how a clip looks."""
    return {name: body.get(name) for name in ("model", "input", "generation_config", "response_format")}


def _task(body: dict[str, Any], inputs: Inputs, *, has_previous: bool) -> str:
    config = (body.get("generation_config") or {}).get("video_config") or {}
    if config.get("task"):
        return str(config["task"])
    if "<IMAGE_REF_" in inputs.prompt or "<VIDEO_REF_" in inputs.prompt:
        return "image_to_video" if "<FIRST_FRAME>" in inputs.prompt else "reference_to_video"
    if inputs.films or has_previous:
        return "edit"
    if not inputs.pictures:
        return "text_to_video"
    is_frames = "_FRAME>" in inputs.prompt or len(inputs.pictures) == 1
    return "image_to_video" if is_frames else "reference_to_video"


def _plan(task: str, model: VideoModel, inputs: Inputs, wanted: dict[str, Any], digest: bytes) -> FilmPlan:
    if task in {"extend", "edit", "upscale"}:
        return _source_plan(task, model, inputs, wanted, digest)
    pictures: tuple[bytes, ...] = ()
    kind: FilmTask = "text_to_video"
    if task == "image_to_video":
        kind, pictures = _frames(model, inputs)
    elif task == "reference_to_video":
        kind, pictures = "reference_to_video", _references(model, inputs)
    elif inputs.pictures or inputs.films:
        raise interaction_error("The task text_to_video takes no images or videos.")
    return FilmPlan(
        task=kind,
        size=film_size(wanted.get("aspect_ratio") or "16:9", wanted.get("resolution") or "720p"),
        seconds=_seconds(wanted, model.min_seconds, model.max_seconds),
        digest=digest,
        pictures=pictures,
    )


def _frames(model: VideoModel, inputs: Inputs) -> tuple[FilmTask, tuple[bytes, ...]]:
    if not inputs.pictures:
        raise interaction_error("The task image_to_video needs an image.")
    if inputs.films:
        raise interaction_error("The task image_to_video takes no videos.")
    places = {tag: int(number) - 1 for tag, number in _BINDING.findall(inputs.prompt)}
    if any(not 0 <= place < len(inputs.pictures) for place in places.values()):
        raise interaction_error("A prompt tag is bound to an image that was not given.")
    has_last = "<LAST_FRAME>" in inputs.prompt
    first = inputs.pictures[places.get("FIRST_FRAME", 0)]
    frames = 2 if has_last else 1
    if len(inputs.pictures) < frames:
        raise interaction_error("The prompt speaks of a last frame, but only one image was given.")
    references = len(inputs.pictures) - frames
    if references and "<IMAGE_REF_" not in inputs.prompt:
        raise interaction_error(f"Too many images for image_to_video: {len(inputs.pictures)}.")
    _check_reference_count(model, references)
    if has_last:
        return "first_last", (first, inputs.pictures[places.get("LAST_FRAME", 1)])
    return "image_to_video", (first,)


def _references(model: VideoModel, inputs: Inputs) -> tuple[bytes, ...]:
    if not inputs.pictures and not inputs.films:
        raise interaction_error("The task reference_to_video needs at least one reference.")
    _check_reference_count(model, len(inputs.pictures))
    if len(inputs.films) > MAX_REFERENCE_VIDEOS:
        raise interaction_error(f"At most {MAX_REFERENCE_VIDEOS} reference videos are supported.")
    if any(film.seconds > MAX_REFERENCE_VIDEO_SECONDS + SLACK_SECONDS for film in inputs.films):
        raise interaction_error(f"Reference videos are at most {MAX_REFERENCE_VIDEO_SECONDS:g}s long.")
    return tuple(inputs.pictures)


def _check_reference_count(model: VideoModel, count: int) -> None:
    if count > model.max_references:
        raise interaction_error(f"Too many reference images: {count}. At most {model.max_references} are supported.")


def _source_plan(task: str, model: VideoModel, inputs: Inputs, wanted: dict[str, Any], digest: bytes) -> FilmPlan:
    if len(inputs.films) != 1:
        raise interaction_error(f"The task {task} needs exactly one video, got {len(inputs.films)}.")
    film = inputs.films[0]
    if task in {"extend", "edit"} and (refusal := source_refusal(film)):
        raise interaction_error(refusal)
    if task == "edit":
        _check_edit_length(film, model)
    is_extension = task == "extend"
    seconds = _seconds(wanted, model.min_seconds, model.max_extension_seconds) if is_extension else film.seconds
    kinds: dict[str, FilmTask] = {"extend": "extend", "edit": "edit", "upscale": "upscale"}
    return FilmPlan(
        task=kinds[task],
        size=_source_size(film, wanted.get("resolution")),
        seconds=seconds,
        digest=digest,
        pictures=tuple(inputs.pictures),
        source=film.path,
        source_probe=film.probe,
    )


def _check_edit_length(film: Film, model: VideoModel) -> None:
    if film.seconds > model.max_edit_seconds + SLACK_SECONDS:
        raise interaction_error(f"Video is too long to edit: at most {model.max_edit_seconds}s.")
    if film.probe is not None and film.seconds < model.min_edit_seconds - SLACK_SECONDS:
        raise interaction_error(f"Video is too short to edit: at least {model.min_edit_seconds}s.")


def _source_size(film: Film, resolution: str | None) -> tuple[int, int]:
    if film.probe is None:
        return film_size("16:9", resolution or "720p")
    width, height = film.probe.width, film.probe.height
    factor = VIDEO_SHORT_SIDES[resolution] / min(width, height) if resolution else 1.0
    return round(width * factor / 2) * 2, round(height * factor / 2) * 2


def _extension_plan(plan: FilmPlan, model: VideoModel, *, new_part: bool) -> FilmPlan:
    source = plan.source_probe
    if source is not None and source.duration_seconds + plan.seconds > model.max_total_seconds + SLACK_SECONDS:
        raise interaction_error(
            f"Video is too long to extend: {source.duration_seconds:g}s + {plan.seconds:g}s exceeds "
            f"{model.max_total_seconds}s."
        )
    return replace(plan, new_part_only=new_part)


def _resolution_of(size: tuple[int, int]) -> str:
    short = min(size)
    return min(VIDEO_SHORT_SIDES, key=lambda name: abs(VIDEO_SHORT_SIDES[name] - short))


def _order(
    body: dict[str, Any], model: VideoModel, plan: FilmPlan, wanted: dict[str, Any], inputs: Inputs, caller: Caller
) -> Order:
    resolution = _resolution_of(plan.size)
    input_tokens = (
        max(1, len(inputs.prompt) // 4)
        + VIDEO_INPUT_IMAGE_TOKENS * len(inputs.pictures)
        + round(VIDEO_INPUT_TOKENS_PER_SECOND * sum(film.seconds for film in inputs.films))
    )
    return Order(
        model=model,
        plan=plan,
        resolution=resolution,
        delivery=wanted.get("delivery") or "inline",
        base_url=caller.base_url,
        input_tokens=input_tokens,
        video_tokens=round(VIDEO_TOKENS_PER_SECOND[resolution] * plan.seconds),
        store=body.get("store") is not False,
        previous_id=body.get("previous_interaction_id"),
        input=body.get("input"),
        labels=body.get("labels") or {},
        faults=tuple(fault for fault in caller.faults if fault.kind not in REGION),
        parent=caller.surface.parent,
        gcs_uri=wanted.get("gcs_uri"),
    )
