"""How a mode is put to the model of a place: by which mode, and in which words. Pure."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from mediagen.catalog import Api, Catalog
from mediagen.catalog.allowed import in_words
from mediagen.endpoints.wire.body import prompt_in
from mediagen.endpoints.wire.interactions import EDIT_MODES
from mediagen.errors import InvalidRequestError
from mediagen.generator.placement import Place
from mediagen.modes import MODES, references_of, video_mode, worded
from mediagen.requests import GenerateVideoRequest, GenerationRequest, VideoMode, VideoRequest


def asked_mode(request: GenerateVideoRequest) -> VideoMode:
    """Mode of a request; it needs a prompt, unless its pictures say enough.

    Raises:
        InvalidRequestError: There is no prompt, or inputs that cannot go together.
    """
    mode = video_mode(request)
    references_of(request)
    says_enough = mode == "remix" or (mode == "remove_objects" and request.mask is not None)
    if request.prompt is None and not says_enough:
        raise InvalidRequestError("prompt is missing.", field="prompt", hint="Say what happens in the clip.")
    return mode


def pictures_of(request: GenerateVideoRequest) -> list[tuple[str, str]]:
    """Pictures to go by, each with its argument, in the order in which the prompt numbers them."""
    masks = [(request.mask, "mask")] if request.mask else []
    return [*((reference.source, "reference_images") for reference in references_of(request)), *masks]


def way_in(catalog: Catalog, place: Place, mode: VideoMode, request: VideoRequest, today: date) -> VideoMode:
    """Mode by which the model of a place does what is asked.

    Raises:
        InvalidRequestError: It does not; names the models that do.
    """
    spec = place.spec
    has_end = isinstance(request, GenerateVideoRequest) and _has_last_frame(request)
    way = spec.way_of(mode, frames=2 if has_end else 1)
    # Of a model outside the catalogue only its API is known, and Veo's has no edits by words.
    if way is not None and not (way in EDIT_MODES and spec.api == "predict_long_running"):
        return next(known for known in MODES if known == way)
    able = [known for known in MODES if spec.way_of(known) and (spec.modes or known not in EDIT_MODES)]
    raise InvalidRequestError(
        f"mode={mode!r} is not allowed for {spec.id}; allowed: {in_words(able)}.",
        field="model" if request.model else "mode",
        hint=catalog.who_does(mode, place.route.surface, today),
        code="mode_not_supported",
    )


def _has_last_frame(remix: GenerateVideoRequest) -> bool:
    return remix.remix_end is not None or bool(remix.remix_last_frame)


def prompt_for(request: GenerateVideoRequest, mode: VideoMode, api: Api) -> str:
    """The prompt as it is sent, before tags are added to it."""
    prompt = request.prompt or ""
    if api != "interactions":
        return prompt
    references = references_of(request)
    return worded(prompt, mode, references=references, mask=request.mask is not None, mask_mode=request.mask_mode)


def prompt_sent(request: GenerationRequest, body: Mapping[str, Any]) -> dict[str, str]:
    """The prompt of a body, where it is not the caller's own."""
    sent = prompt_in(body)
    return {} if sent == getattr(request, "prompt", None) else {"prompt_sent": sent}
