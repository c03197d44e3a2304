"""Pictures by `models/M:generateContent`: request body and answer. Pure.

Source: https://ai.google.dev/gemini-api/docs/image-generation and requests of google-genai 3.4.0 (checked 2026-11-21)
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mediagen.endpoints.wire.google_errors import parse_error
from mediagen.endpoints.wire.inline_media import inline_number
from mediagen.endpoints.wire.json_values import Json, bytes_from_base64, child, children, count, parse_object, word
from mediagen.endpoints.wire.media import WireMedia, sniff_mime_type
from mediagen.endpoints.wire.scrub import excerpt
from mediagen.errors import Billed, ContentFilteredError, EndpointError
from mediagen.jobs import Usage
from mediagen.requests import ImageParameters

TEXT_LIMIT = 300

REPHRASE = "Rephrase the prompt or use other input pictures."
TRY_AGAIN = "Try again, or word the prompt differently."


@dataclass(frozen=True, kw_only=True, slots=True)
class DecodedImage:
    """The picture of an answer.

    Attributes:
        data: Bytes of the file; empty when `inline` says where they are.
        inline: Number of the file of a skeleton that is the picture; see `inline_media`.
        mime_type: Found from the bytes.
        text: What the model said beside it.
        usage: Tokens, or None when Google did not say.
        image_count: Finished pictures in the answer; the last one is taken.
        model_turn: The model's turn whole, with thought signatures, to be sent back when editing goes on; that of a
            skeleton refers to its files.
    """

    data: bytes = b""
    inline: int | None = None
    mime_type: str
    text: str = ""
    usage: Usage | None = None
    image_count: int = 1
    model_turn: dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class DecodedFailure:
    """An answer without a picture, although its HTTP status is 200."""

    error: EndpointError
    usage: Usage | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Reason:
    """What one of Google's reasons means; its code is the reason in lower case."""

    words: str
    hint: str
    is_filter: bool = True


BLOCK_REASONS = {
    "SAFETY": _Reason(words="the safety filter", hint=REPHRASE),
    "OTHER": _Reason(words="Google, without a stated reason", hint=REPHRASE),
    "BLOCKLIST": _Reason(words="a list of forbidden words", hint="Leave out or replace the offending words."),
    "PROHIBITED_CONTENT": _Reason(words="the rules on prohibited content", hint="Google does not make this."),
    "IMAGE_SAFETY": _Reason(words="the safety filter for pictures", hint=REPHRASE),
    "JAILBREAK": _Reason(words="the filter for attempts to get around the rules", hint=REPHRASE),
}
FINISH_REASONS = {
    "IMAGE_SAFETY": _Reason(words="The picture was stopped by the safety filter", hint=REPHRASE),
    "IMAGE_PROHIBITED_CONTENT": _Reason(
        words="The picture was stopped as prohibited content", hint="Google does not make this; ask for something else."
    ),
    "IMAGE_RECITATION": _Reason(
        words="The picture was too close to an existing work",
        hint="Ask for something more original, without naming works or artists.",
    ),
    "IMAGE_OTHER": _Reason(words="Google made no picture, without a stated reason", hint=TRY_AGAIN, is_filter=False),
    "NO_IMAGE": _Reason(
        words="The model made no picture",
        hint="Say plainly that a picture is wanted and what it shows.",
        is_filter=False,
    ),
    "SAFETY": _Reason(words="The answer was stopped by the safety filter", hint=REPHRASE),
    "RECITATION": _Reason(
        words="The answer was too close to existing material", hint="Do not ask for quotations or copies."
    ),
    "PROHIBITED_CONTENT": _Reason(
        words="The answer was stopped as prohibited content", hint="Google does not make this; ask for something else."
    ),
    "BLOCKLIST": _Reason(
        words="The answer holds a word that Google forbids", hint="Leave out or replace the offending words."
    ),
    "SPII": _Reason(
        words="The answer would hold sensitive personal data", hint="Leave out names, addresses and numbers of people."
    ),
    "MAX_TOKENS": _Reason(
        words="The model ran out of tokens before the picture was made",
        hint="Shorten the prompt, use fewer input files or a lower thinking_level.",
        is_filter=False,
    ),
    "MALFORMED_RESPONSE": _Reason(
        words="The model's answer was malformed", hint="Try again; simplify the prompt if it stays.", is_filter=False
    ),
    "LANGUAGE": _Reason(
        words="The model does not support the language", hint="Write the prompt in English.", is_filter=False
    ),
    "OTHER": _Reason(words="The model stopped without a stated reason", hint=TRY_AGAIN, is_filter=False),
}
_NORMAL_END = frozenset({"", "STOP", "FINISH_REASON_UNSPECIFIED"})


def encode_image(
    parameters: ImageParameters,
    prompt: str,
    images: Sequence[WireMedia] = (),
    documents: Sequence[str] = (),
    *,
    history: Sequence[Json] = (),
) -> dict[str, Any]:
    """Make the request body: earlier turns as they were; then pictures in the order given, documents and the prompt."""
    parts: list[Json] = [_media_part(image) for image in images]
    parts += [{"text": document} for document in documents]
    parts.append({"text": prompt})
    body: Json = {
        "contents": [*history, {"role": "user", "parts": parts}],
        "generationConfig": _generation_config(parameters),
    }
    if parameters.search_grounding:
        body["tools"] = [{"googleSearch": {}}]
    return body


def _generation_config(parameters: ImageParameters) -> Json:
    # Not responseFormat.image: that one takes enum names and refuses plain "16:9".
    image_config = {"aspectRatio": parameters.aspect_ratio, "imageSize": parameters.image_size}
    config: Json = {
        "responseModalities": ["TEXT", "IMAGE"],
        "imageConfig": {name: value for name, value in image_config.items() if value},
    }
    if parameters.seed is not None:
        config["seed"] = parameters.seed
    if parameters.thinking_level:
        config["thinkingConfig"] = {"thinkingLevel": parameters.thinking_level.upper()}
    return config


def _media_part(media: WireMedia) -> Json:
    if media.uri is not None:
        return {"fileData": {"fileUri": media.uri, "mimeType": media.mime_type}}
    return {"inlineData": {"mimeType": media.mime_type, "data": media.base64}}


@dataclass(frozen=True, kw_only=True, slots=True)
class Answered:
    """What an answer holds, before the bytes of its picture are read.

    Attributes:
        inline: The picture: its MIME type and its data as they stand in the answer.
        error: Why there is none.
        image_count: Finished pictures in the answer; `inline` is the last one.
        model_turn: The model's turn whole, with thought signatures.
    """

    inline: Json | None = None
    error: EndpointError | None = None
    text: str = ""
    usage: Usage | None = None
    image_count: int = 0
    model_turn: Json = field(default_factory=dict)


def read_answer(payload: Json, body: bytes) -> Answered:
    """Read an answer; the last finished picture is taken, drafts of the thinking are not.

    Args:
        payload: The answer.
        body: The same as text, for what it says of errors.
    """
    candidates = children(payload, "candidates")
    candidate = next((item for item in candidates if _image_parts(item)), candidates[0] if candidates else {})
    images = _image_parts(candidate)
    usage = _usage(payload, has_image=bool(images))
    if not images:
        return Answered(error=_no_picture(payload, candidate, body), usage=usage)
    return Answered(
        inline=_inline(images[-1]),
        text=_text(candidate),
        usage=usage,
        image_count=len(images),
        model_turn=child(candidate, "content"),
    )


def decode_image(body: bytes, heads: Sequence[bytes] = ()) -> DecodedImage | DecodedFailure:
    """Read the body of a 200 answer; see `read_answer`.

    Args:
        body: The answer, or its skeleton.
        heads: The first bytes of each file of the skeleton.
    """
    payload = parse_object(body)
    if payload is None:
        return _unreadable(body)
    answered = read_answer(payload, body)
    if answered.inline is None:
        assert answered.error is not None
        return DecodedFailure(error=answered.error, usage=answered.usage)
    found = picture_in(answered.inline.get("data"), heads)
    if found is None:
        return DecodedFailure(error=bad_base64(payload), usage=answered.usage)
    number, data = found
    return DecodedImage(
        data=b"" if number is not None else data,
        inline=number,
        mime_type=sniff_mime_type(data, _first_word(answered.inline, "mimeType", "mime_type")),
        text=answered.text,
        usage=answered.usage,
        image_count=answered.image_count,
        model_turn=answered.model_turn,
    )


def bad_base64(payload: Json) -> EndpointError:
    """Make our error of a picture that cannot be read."""
    return EndpointError(
        "Google's answer holds a picture that cannot be read (bad base64).",
        code="bad_base64",
        hint=TRY_AGAIN,
        billed=_billed(payload),
    )


def picture_in(value: object, heads: Sequence[bytes]) -> tuple[int | None, bytes] | None:
    """Number and first bytes of the file that a value stands for, or what it holds itself; None when it is damaged."""
    number = inline_number(value)
    if number is not None:
        return (number, heads[number]) if number < len(heads) else None
    data = bytes_from_base64(value)
    return None if data is None else (None, data)


def _unreadable(body: bytes) -> DecodedFailure:
    if body.strip():
        message, code = "Google's answer is not JSON that can be read.", "unreadable_answer"
    else:
        message, code = "Google sent an empty answer.", "empty_answer"
    hint = "It may be billed. Look at your usage at Google before you ask again."
    return DecodedFailure(error=EndpointError(message, code=code, hint=hint, billed="unknown"))


def _no_picture(payload: Json, candidate: Json, body: bytes) -> EndpointError:
    billed = _billed(payload)
    block_reason = word(child(payload, "promptFeedback"), "blockReason")
    if block_reason:
        return _blocked(block_reason, word(child(payload, "promptFeedback"), "blockReasonMessage"))
    if not candidate:
        return _without_candidates(payload, body, billed)
    finish_reason = word(candidate, "finishReason")
    if finish_reason in FINISH_REASONS:
        return _finished(finish_reason, word(candidate, "finishMessage"), billed)
    if finish_reason not in _NORMAL_END:
        return EndpointError(
            f"The model stopped for a reason that is not known here: {excerpt(finish_reason, 60)}.",
            reason=excerpt(finish_reason, 60),
            code="unknown_finish_reason",
            hint=TRY_AGAIN,
            billed=billed,
        )
    text = _text(candidate)
    if text:
        return EndpointError(
            f'The model answered with text only: "{excerpt(text, TEXT_LIMIT)}"',
            reason=finish_reason,
            code="text_only",
            hint="Change the prompt as its answer suggests, or say plainly that a picture is wanted.",
            billed=billed,
        )
    hint = "Say plainly that a picture is wanted and what it shows."
    return EndpointError(
        "The model ended without a picture and without a word.",
        reason=finish_reason,
        code="no_image",
        hint=hint,
        billed=billed,
    )


def _without_candidates(payload: Json, body: bytes, billed: Billed) -> EndpointError:
    if "error" in payload:
        said = parse_error(200, {}, body).message
        return EndpointError(
            f"Google reported an error inside its answer: {said}", code="endpoint_error", hint=TRY_AGAIN, billed=billed
        )
    return EndpointError("Google's answer holds no result.", code="no_candidates", hint=TRY_AGAIN, billed=billed)


def _blocked(block_reason: str, said: str) -> ContentFilteredError:
    known = BLOCK_REASONS.get(block_reason, _Reason(words=f"Google ({excerpt(block_reason, 60)})", hint=REPHRASE))
    return ContentFilteredError(
        f"The prompt or an input picture was blocked by {known.words} ({excerpt(block_reason, 60)}).{_said(said)}",
        reason=excerpt(block_reason, 60),
        code="prompt_blocked",
        hint=known.hint,
        billed="no",
    )


def _finished(finish_reason: str, said: str, billed: Billed) -> EndpointError:
    known = FINISH_REASONS[finish_reason]
    kind = ContentFilteredError if known.is_filter else EndpointError
    return kind(
        f"{known.words} ({finish_reason}).{_said(said)}",
        reason=finish_reason,
        code=finish_reason.lower(),
        hint=known.hint,
        billed=billed,
    )


def _said(message: str) -> str:
    return f' Google says: "{excerpt(message, TEXT_LIMIT)}"' if message.strip() else ""


def _parts(candidate: Json) -> list[Json]:
    return [part for part in children(child(candidate, "content"), "parts") if part.get("thought") is not True]


def _image_parts(candidate: Json) -> list[Json]:
    return [part for part in _parts(candidate) if _first_word(_inline(part), "mimeType", "mime_type")[:6] == "image/"]


def _inline(part: Json) -> Json:
    return child(part, "inlineData") or child(part, "inline_data")


def _first_word(value: Json, *names: str) -> str:
    return next((word(value, name) for name in names if word(value, name)), "")


def _text(candidate: Json) -> str:
    return "".join(word(part, "text") for part in _parts(candidate)).strip()


def _usage(payload: Json, *, has_image: bool) -> Usage | None:
    metadata = child(payload, "usageMetadata")
    details = children(metadata, "candidatesTokensDetails")
    total = count(metadata, "candidatesTokenCount")
    if not metadata or (has_image and not total):
        return None
    image = sum(count(item, "tokenCount") for item in details if word(item, "modality") == "IMAGE")
    if not details and has_image:
        image = total
    return Usage(
        input_tokens=count(metadata, "promptTokenCount") + count(metadata, "toolUsePromptTokenCount"),
        output_text_tokens=max(0, total - image) + count(metadata, "thoughtsTokenCount"),
        output_image_tokens=image,
    )


def _billed(payload: Json) -> Billed:
    metadata = child(payload, "usageMetadata")
    if not metadata:
        return "unknown"
    output = count(metadata, "candidatesTokenCount") + count(metadata, "thoughtsTokenCount")
    return "yes" if output else "no"
