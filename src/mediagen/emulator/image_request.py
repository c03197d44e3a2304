"""Checks what a generateContent request asks of a picture model.

Source: https://ai.google.dev/gemini-api/docs/image-generation (checked 2026-11-21)
"""

from dataclasses import dataclass
from typing import Any

import anyio

from mediagen.emulator.answers import bad_request, google_error
from mediagen.emulator.catalogue import MAX_INPUT_IMAGES, ImageModel, nearest_ratio, picture_size
from mediagen.emulator.cloud import Sources
from mediagen.emulator.models_api import as_list
from mediagen.emulator.pictures import open_picture, placeholder
from mediagen.emulator.reading import read_base64
from mediagen.emulator.schema_tables import RATIO_WORDS, SIZE_WORDS

INPUT_MIME_TYPES = ("image/", "text/", "video/", "audio/", "application/pdf", "application/json")


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageRequest:
    """A checked request: the pictures it brings and the picture it wants."""

    inputs: tuple[bytes, ...]
    size: tuple[int, int]
    image_size: str
    mime_type: str
    wants_text: bool
    wants_image: bool


async def read_image_request(body: dict[str, Any], model: ImageModel, sources: Sources) -> ImageRequest:
    """Check a request whose fields are all known, in snake case.

    Raises:
        ApiError: The model cannot do that.
    """
    config = body.get("generation_config") or {}
    _check_config(body, config, model)
    ratio, image_size, mime_type = _wanted(config, model)
    inputs = await _read_contents(as_list(body.get("contents")), sources)
    if len(inputs) > MAX_INPUT_IMAGES:
        raise google_error(400, f"Too many input images: {len(inputs)}. At most {MAX_INPUT_IMAGES} are supported.")
    if ratio is None:
        ratio = nearest_ratio(open_picture(inputs[0]).size, model.ratios) if inputs else "1:1"
    modalities = as_list(config.get("response_modalities")) or ["TEXT", "IMAGE"]
    return ImageRequest(
        inputs=tuple(inputs),
        size=picture_size(ratio, image_size),
        image_size=image_size,
        mime_type=mime_type,
        wants_text="TEXT" in modalities,
        wants_image="IMAGE" in modalities,
    )


def _check_config(body: dict[str, Any], config: dict[str, Any], model: ImageModel) -> None:
    if set(as_list(config.get("response_modalities"))) & {"AUDIO", "VIDEO"}:
        raise google_error(400, "The requested combination of response modalities is not supported by the model.")
    if int(config.get("candidate_count") or 1) != 1:
        raise google_error(400, "Multiple candidates is not enabled for this model")
    if config.get("response_schema") or config.get("response_json_schema"):
        raise google_error(400, "JSON mode is not enabled for this model")
    if any(tool.get("function_declarations") for tool in as_list(body.get("tools"))):
        raise google_error(400, "Function calling is not enabled for this model")
    level = (config.get("thinking_config") or {}).get("thinking_level")
    if level and level not in model.thinking_levels:
        raise google_error(400, f"Thinking level {level} is not supported for this model.")


def _wanted(config: dict[str, Any], model: ImageModel) -> tuple[str | None, str, str]:
    """Read ratio, size and MIME type from either spelling."""
    place = "generation_config.image_config"
    plain = config.get("image_config") or {}
    ratio, image_size = plain.get("aspect_ratio"), plain.get("image_size")
    typed = (config.get("response_format") or {}).get("image") or {}
    ratio = RATIO_WORDS.get(typed.get("aspect_ratio", ""), ratio)
    image_size = SIZE_WORDS.get(typed.get("image_size", ""), image_size)
    # only Vertex AI knows these options, as its table of fields says
    options = plain.get("image_output_options") or {}
    mime_type = options.get("mime_type") or typed.get("mime_type") or "image/jpeg"
    violations = []
    if ratio and ratio not in model.ratios:
        violations.append(
            (f"{place}.aspect_ratio", f"aspect_ratio must be one of {list(model.ratios)}, got '{ratio}'.")
        )
    if image_size and image_size not in model.sizes:
        violations.append(
            (f"{place}.image_size", f"image_size must be one of {list(model.sizes)}, got '{image_size}'.")
        )
    if mime_type not in {"image/jpeg", "image/png"}:
        violations.append(("generation_config.response_format.image.mime_type", f"Unsupported MIME type: {mime_type}"))
    if violations:
        raise bad_request(violations)
    return ratio or None, image_size or "1K", mime_type


async def _read_contents(contents: list[dict[str, Any]], sources: Sources) -> list[bytes]:
    if not contents:
        raise google_error(400, "* GenerateContentRequest.contents: contents is not specified\n")
    inputs: list[bytes] = []
    for position, content in enumerate(contents):
        place = f"contents[{position}]"
        role = content.get("role") or "user"
        if role not in {"user", "model"}:
            raise google_error(400, "Please use a valid role: user, model.")
        parts = as_list(content.get("parts"))
        if not parts:
            message = f"* GenerateContentRequest.{place}.parts: contents.parts must not be empty.\n"
            raise google_error(400, message)
        for index, part in enumerate(parts):
            if role == "model":
                _check_signature(part, position, index)
            picture = await _read_part(part, f"{place}.parts[{index}]", sources)
            if picture is not None:
                inputs.append(picture)
    return inputs


def _check_signature(part: dict[str, Any], position: int, index: int) -> None:
    if "inline_data" in part and not part.get("thought") and not part.get("thought_signature"):
        raise google_error(
            400,
            f"Image part is missing a thought_signature in content position {position + 1}, part position {index + 1}. "
            "Please refer to https://ai.google.dev/gemini-api/docs/thought-signatures for more details about how to "
            "handle and preserve thought signatures.",
        )


async def _read_part(part: dict[str, Any], place: str, sources: Sources) -> bytes | None:
    """Give the picture in a part; None when it holds something else."""
    if "inline_data" in part:
        mime_type = str(part["inline_data"].get("mime_type") or "")
        content = read_base64(part["inline_data"].get("data") or "")
        if not content:
            field = f"{place}.inline_data.data"
            raise bad_request([(field, f"Invalid value at '{field}' (TYPE_BYTES), Base64 decoding failed.")])
    elif "file_data" in part:
        uri = str(part["file_data"].get("file_uri") or "")
        mime_type = str(part["file_data"].get("mime_type") or "")
        found = sources.find(uri)
        if found is None:
            return placeholder(uri) if mime_type.startswith("image/") or not mime_type else None
        mime_type = mime_type or found.mime_type
        content = await anyio.Path(found.path).read_bytes()
    elif part.get("text") is None:
        raise google_error(
            400, f"* GenerateContentRequest.{place}.data: required oneof field 'data' must have one initialized field\n"
        )
    else:
        return None
    return await _checked_media(content, mime_type)


async def _checked_media(content: bytes, mime_type: str) -> bytes | None:
    if not mime_type.startswith(INPUT_MIME_TYPES):
        raise google_error(400, f"Unsupported MIME type: {mime_type}")
    if not mime_type.startswith("image/"):
        return None
    try:
        await anyio.to_thread.run_sync(open_picture, content)
    except ValueError as error:
        raise google_error(400, "Unable to process input image. Please retry or report in the forum.") from error
    return content
