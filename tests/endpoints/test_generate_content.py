import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from mediagen.endpoints.wire.body import GeminiBodies
from mediagen.endpoints.wire.generate_content import DecodedFailure, DecodedImage, decode_image, encode_image
from mediagen.endpoints.wire.media import WireMedia, sniff_mime_type
from mediagen.errors import ContentFilteredError, EndpointError, InvalidRequestError
from mediagen.jobs import Usage
from mediagen.requests import ImageParameters

Answers = Callable[[str], tuple[int, bytes]]

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def parameters(**changes: Any) -> ImageParameters:
    return ImageParameters(**{"model": "m", "mode": "text_to_image", "image_size": "1K", **changes})


def failure(body: bytes | dict[str, Any]) -> DecodedFailure:
    found = decode_image(body if isinstance(body, bytes) else json.dumps(body).encode())
    assert isinstance(found, DecodedFailure)
    return found


def picture(body: bytes | dict[str, Any]) -> DecodedImage:
    found = decode_image(body if isinstance(body, bytes) else json.dumps(body).encode())
    assert isinstance(found, DecodedImage)
    return found


def answer(*parts: dict[str, Any], **usage: Any) -> dict[str, Any]:
    body: dict[str, Any] = {
        "candidates": [{"content": {"role": "model", "parts": list(parts)}, "finishReason": "STOP"}]
    }
    return {**body, "usageMetadata": usage} if usage else body


def inline(data: bytes, **more: Any) -> dict[str, Any]:
    return {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(data).decode()}, **more}


def test_documents_go_between_pictures_and_prompt() -> None:
    body = encode_image(parameters(), "draw it", [WireMedia(mime_type="image/png", data=PNG)], ["notes"])
    parts = body["contents"][0]["parts"]
    assert [next(iter(part)) for part in parts] == ["inlineData", "text", "text"]
    assert [part.get("text") for part in parts] == [None, "notes", "draw it"]


def test_seed_zero_is_sent() -> None:
    assert encode_image(parameters(seed=0), "x")["generationConfig"]["seed"] == 0


def test_parameter_of_vertex_only_is_refused_by_name() -> None:
    with pytest.raises(InvalidRequestError) as refused:
        GeminiBodies().build_image(parameters(person_generation="allow_all"), "x")
    assert refused.value.field == "person_generation"


def test_media_needs_exactly_one_of_data_and_uri() -> None:
    with pytest.raises(ValueError, match="either"):
        WireMedia(mime_type="image/png")


def test_picture_of_captured_answer_is_taken(captured_answer: Answers) -> None:
    found = picture(captured_answer("image_ok")[1])
    assert found.data == PNG
    assert (found.mime_type, found.text, found.image_count) == ("image/png", "Here you go.", 1)
    assert found.usage == Usage(input_tokens=8, output_image_tokens=1120)
    assert found.model_turn["parts"][1]["thoughtSignature"] == "c2ln"


def test_drafts_of_the_thinking_are_not_taken(captured_answer: Answers) -> None:
    found = picture(captured_answer("image_thought_parts")[1])
    assert (found.image_count, found.text, found.usage) == (1, "", None)
    assert found.mime_type == "image/png"  # declared as jpeg


def test_last_of_several_pictures_is_taken() -> None:
    second = PNG + b"2"
    found = picture(answer(inline(PNG), {"text": "a"}, inline(second), inline(PNG + b"3", thought=True), {"text": "b"}))
    assert found.data == second
    assert (found.image_count, found.text) == (2, "ab")


def test_text_and_thought_tokens_are_counted_apart() -> None:
    usage = {
        "promptTokenCount": 5,
        "toolUsePromptTokenCount": 2,
        "candidatesTokenCount": 1130,
        "thoughtsTokenCount": 40,
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1120}, {"modality": "TEXT", "tokenCount": 10}],
    }
    assert picture(answer(inline(PNG), **usage)).usage == Usage(
        input_tokens=7, output_text_tokens=50, output_image_tokens=1120
    )


def test_picture_counts_even_with_an_odd_finish_reason() -> None:
    body = answer(inline(PNG))
    body["candidates"][0]["finishReason"] = "MAX_TOKENS"
    assert picture(body).data == PNG


@pytest.mark.parametrize(
    ("reason", "is_filter"),
    [
        ("IMAGE_SAFETY", True),
        ("IMAGE_PROHIBITED_CONTENT", True),
        ("IMAGE_RECITATION", True),
        ("SAFETY", True),
        ("RECITATION", True),
        ("IMAGE_OTHER", False),
        ("NO_IMAGE", False),
        ("MAX_TOKENS", False),
        ("MALFORMED_RESPONSE", False),
    ],
)
def test_captured_finish_reason_has_its_own_code(captured_answer: Answers, reason: str, is_filter: bool) -> None:
    error = failure(captured_answer(f"image_finish_{reason}")[1]).error
    assert isinstance(error, ContentFilteredError) is is_filter
    assert (error.code, error.reason, error.billed) == (reason.lower(), reason, "no")
    assert error.hint
    assert "Unable to show the generated image." in error.message


@pytest.mark.parametrize("reason", ["PROHIBITED_CONTENT", "BLOCKLIST", "SPII"])
def test_further_filter_reasons_have_their_own_code(reason: str) -> None:
    error = failure({"candidates": [{"finishReason": reason}]}).error
    assert isinstance(error, ContentFilteredError)
    assert (error.code, error.billed) == (reason.lower(), "unknown")


def test_unknown_finish_reason_is_told_as_such(captured_answer: Answers) -> None:
    error = failure(captured_answer("image_finish_SOME_FUTURE_REASON")[1]).error
    assert (error.code, error.reason) == ("unknown_finish_reason", "SOME_FUTURE_REASON")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("image_prompt_blocked", "prohibited content"),
        ("image_prompt_blocked_image_safety", "safety filter for pictures"),
    ],
)
def test_blocked_prompt_names_the_reason_and_is_not_billed(captured_answer: Answers, name: str, words: str) -> None:
    error = failure(captured_answer(name)[1]).error
    assert isinstance(error, ContentFilteredError)
    assert (error.code, error.billed) == ("prompt_blocked", "no")
    assert words in error.message


def test_text_only_answer_is_quoted_and_billed(captured_answer: Answers) -> None:
    found = failure(captured_answer("image_text_only_stop")[1])
    assert (found.error.code, found.error.billed) == ("text_only", "yes")
    assert "I cannot draw that." in found.error.message
    assert found.usage == Usage(input_tokens=8, output_text_tokens=9)


def test_long_text_is_quoted_in_part_and_without_keys() -> None:
    message = failure(answer({"text": "AIzaSyA1234567890abcdefghijk " + "no " * 1000})).error.message
    assert len(message) < 400
    assert "AIzaSy" not in message


def test_bad_base64_is_billed_when_tokens_say_so() -> None:
    broken = {"inlineData": {"mimeType": "image/png", "data": "!!!"}}
    assert failure(answer(broken)).error.billed == "unknown"
    error = failure(answer(broken, candidatesTokenCount=1120)).error
    assert (error.code, error.billed) == ("bad_base64", "yes")
    # What it says of the bill stands beside this hint, and must not be doubted in it.
    assert "billed" not in error.hint


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "empty_answer"),
        (b" \n", "empty_answer"),
        (b"<html>", "unreadable_answer"),
        (b'"text"', "unreadable_answer"),
        (b"\xff\xff", "unreadable_answer"),
        (b"{}", "no_candidates"),
        (b'{"candidates":7}', "no_candidates"),
        (b'{"error":{"message":"oops"}}', "endpoint_error"),
        (b'{"candidates":[{"finishReason":"STOP"}]}', "no_image"),
        (b'{"candidates":[{"finishReason":"STOP","content":{"parts":[null,{"text":7}]}}]}', "no_image"),
    ],
)
def test_odd_answers_have_their_own_code_and_may_be_billed(body: bytes, code: str) -> None:
    error = failure(body).error
    assert type(error) is EndpointError
    assert (error.code, error.billed) == (code, "unknown")


@pytest.mark.parametrize(
    ("data", "mime_type"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"\0\0\0\x18ftypmp42", "video/mp4"),
        (b"????", "declared/type"),
    ],
)
def test_mime_type_is_found_from_the_bytes(data: bytes, mime_type: str) -> None:
    assert sniff_mime_type(data, "declared/type") == mime_type
