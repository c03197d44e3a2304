"""Pictures by `/v1/chat/completions`, as CLIProxyAPI puts them into OpenAI's format: request body and answer. Pure.

Source: https://github.com/router-for-me/CLIProxyAPI v7.2.99, internal/translator/gemini/openai (checked 2026-11-21)
"""

import json
from collections.abc import Sequence

from mediagen.endpoints.wire.generate_content import (
    FINISH_REASONS,
    DecodedFailure,
    DecodedImage,
    decode_image,
    picture_in,
)
from mediagen.endpoints.wire.json_values import Json, child, children, count, parse_object, word
from mediagen.endpoints.wire.media import sniff_mime_type
from mediagen.errors import InvalidRequestError
from mediagen.jobs import Usage

_DATA_URL = "data:"
_BASE64 = ";base64,"
_NO_PICTURE = frozenset({"NO_IMAGE", "IMAGE_OTHER"})
_UNREADABLE: Json = {"inlineData": {"mimeType": "image/png", "data": "?"}}

_OUR_NAMES = {
    "fileData": "images",
    "personGeneration": "person_generation",
    "seed": "seed",
    "thinkingConfig": "thinking_level",
    "tools": "search_grounding",
}


def chat_body(generate_content_body: Json, model: str) -> Json:
    """Make the chat request that asks for the same picture as a generateContent request.

    Raises:
        InvalidRequestError: The request holds something that the chat route cannot carry; names it.
    """
    config = child(generate_content_body, "generationConfig")
    image_config = child(config, "imageConfig")
    _refuse_others(generate_content_body, "contents", "generationConfig")
    _refuse_others(config, "responseModalities", "imageConfig")
    _refuse_others(image_config, "aspectRatio", "imageSize")
    body: Json = {
        "model": model,
        "messages": [{"role": "user", "content": [_item(part) for part in _only_turn(generate_content_body)]}],
        "modalities": ["image", "text"],
    }
    named = {"aspect_ratio": word(image_config, "aspectRatio"), "image_size": word(image_config, "imageSize")}
    chosen = {name: value for name, value in named.items() if value}
    if chosen:
        body["image_config"] = chosen
    return body


def _only_turn(body: Json) -> list[Json]:
    match body.get("contents"):
        case [{"role": "user", "parts": [*parts]}]:
            return parts
    # The signatures of earlier turns have no place in the chat format.
    raise _cannot_carry("contents", "the earlier turns of a conversation")


def _item(part: Json) -> Json:
    match part:
        case {"text": str(text), **others} if not others:
            return {"type": "text", "text": text}
        case {"inlineData": {"mimeType": str(mime_type), "data": str(data)}, **others} if not others:
            # The proxy cuts the address at the first semicolon.
            if mime_type.startswith("image/") and ";" not in mime_type:
                return {"type": "image_url", "image_url": {"url": f"{_DATA_URL}{mime_type}{_BASE64}{data}"}}
            raise _cannot_carry("images", f"input files of type {mime_type[:60]!r}")
        case {"fileData": _}:
            raise _cannot_carry("images", "the address of an input file (it takes only the file itself)")
    raise _cannot_carry("contents", "a part of the request")


def _refuse_others(value: Json, *known: str) -> None:
    for name in value:
        if name not in known:
            ours = _OUR_NAMES.get(name, name)
            raise _cannot_carry(ours, ours)


def _cannot_carry(field: str, what: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"CLIProxyAPI has no Gemini route here, and its chat route cannot carry {what}; nothing was made.",
        field=field,
        hint=f"Do without {field}, update CLIProxyAPI, or use another surface (backend='gemini' or 'vertex').",
    )


def decode_chat(body: bytes, heads: Sequence[bytes] = ()) -> DecodedImage | DecodedFailure:
    """Read the body of a 200 answer; the last picture is taken, as drafts of the thinking come before it.

    The model's turn is empty: without its signatures, which the chat format drops, Google would not take it back.
    `heads` is as for `decode_image`.
    """
    payload = parse_object(body)
    choices = children(payload, "choices")
    if payload is None or not choices:
        return _without_choice(body, payload)
    choice = next((item for item in choices if _urls(item)), choices[0])
    reason = _finish_reason(choice)
    urls = [] if _leaves_drafts_only(reason) else _urls(choice)
    found = _picture(urls[-1], heads) if urls else None
    text = word(child(choice, "message"), "content")
    if found is None:
        parts: list[Json] = [{"text": text}] if text else []
        if urls:
            parts.append(_UNREADABLE)
        return _as_google_says([{"content": {"parts": parts}, "finishReason": reason}], payload)
    number, data = found
    return DecodedImage(
        data=b"" if number is not None else data,
        inline=number,
        mime_type=sniff_mime_type(data, urls[-1].removeprefix(_DATA_URL).partition(";")[0]),
        text=text.strip(),
        usage=_usage(payload),
        image_count=len(urls),
        model_turn={},
    )


def _urls(choice: Json) -> list[str]:
    return [word(child(image, "image_url"), "url") for image in children(child(choice, "message"), "images")]


def _finish_reason(choice: Json) -> str:
    return (word(choice, "native_finish_reason") or word(choice, "finish_reason")).upper()


def _leaves_drafts_only(reason: str) -> bool:
    known = FINISH_REASONS.get(reason)
    return known is not None and (known.is_filter or reason in _NO_PICTURE)


def _picture(url: str, heads: Sequence[bytes]) -> tuple[int | None, bytes] | None:
    head, separator, data = url.partition(_BASE64)
    return picture_in(data, heads) if separator and head.startswith(_DATA_URL) else None


def _without_choice(body: bytes, payload: Json | None) -> DecodedImage | DecodedFailure:
    if payload is None or "error" in payload:
        return decode_image(body)
    found = _as_google_says([], payload)
    if isinstance(found, DecodedFailure):
        found.error.hint = (
            "The chat route of CLIProxyAPI does not say why. Mostly the prompt was blocked: rephrase it, or use "
            "another surface, which gives the reason."
        )
    return found


def _as_google_says(candidates: list[Json], payload: Json) -> DecodedImage | DecodedFailure:
    """Put the failure back into Google's format, for which the reasons are in words already."""
    answer = {"candidates": candidates, "usageMetadata": _usage_metadata(payload)}
    return decode_image(json.dumps(answer).encode())


def _usage_metadata(payload: Json) -> Json:
    usage = child(payload, "usage")
    if not usage:
        return {}
    return {
        "promptTokenCount": count(usage, "prompt_tokens"),
        "candidatesTokenCount": count(usage, "completion_tokens"),
        # The proxy does not count these among the completion tokens, as OpenAI does.
        "thoughtsTokenCount": count(child(usage, "completion_tokens_details"), "reasoning_tokens"),
    }


def _usage(payload: Json) -> Usage | None:
    metadata = _usage_metadata(payload)
    if not metadata or not metadata["candidatesTokenCount"]:
        return None
    return Usage(
        input_tokens=metadata["promptTokenCount"],
        output_text_tokens=metadata["thoughtsTokenCount"],
        output_image_tokens=metadata["candidatesTokenCount"],
    )
