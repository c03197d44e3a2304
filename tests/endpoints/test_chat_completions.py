import base64
import json
from typing import Any

import pytest

from mediagen.endpoints.wire.chat_completions import chat_body, decode_chat
from mediagen.endpoints.wire.generate_content import FINISH_REASONS, DecodedFailure, DecodedImage, encode_image
from mediagen.endpoints.wire.media import WireMedia
from mediagen.errors import ContentFilteredError, InvalidRequestError
from mediagen.jobs import Usage
from mediagen.requests import ImageParameters

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(40))
DRAFT = b"\x89PNG\r\n\x1a\n" + b"draft"
JPEG = b"\xff\xd8\xff" + b"finished"
USAGE = {"prompt_tokens": 12, "completion_tokens": 1120, "total_tokens": 1332}


def google_body(**changes: Any) -> dict[str, Any]:
    parameters = ImageParameters(**{"model": "m", "mode": "text_to_image", "image_size": "2K", **changes})
    return encode_image(parameters, "a fox 🦊", [WireMedia(mime_type="image/png", data=PNG)], ["a brief"])


def url(data: bytes, mime_type: str = "image/png") -> str:
    return f"data:{mime_type};base64,{base64.b64encode(data).decode()}"


def answer(*urls: str, content: str | None = None, finish: str | None = "stop", **more: Any) -> bytes:
    images = [{"type": "image_url", "index": n, "image_url": {"url": item}} for n, item in enumerate(urls)]
    message: dict[str, Any] = {"role": "assistant", "content": content, "reasoning_content": None, "tool_calls": None}
    if images:
        message["images"] = images
    choice = {"index": 0, "message": message, "finish_reason": finish, "native_finish_reason": finish}
    return json.dumps({"id": "x", "object": "chat.completion", "choices": [choice], **more}).encode()


def picture(body: bytes) -> DecodedImage:
    found = decode_chat(body)
    assert isinstance(found, DecodedImage)
    return found


def failure(body: bytes) -> DecodedFailure:
    found = decode_chat(body)
    assert isinstance(found, DecodedFailure)
    return found


def test_chat_request_asks_for_the_same_picture() -> None:
    assert chat_body(google_body(aspect_ratio="16:9"), "gemini-3.1-flash-image") == {
        "model": "gemini-3.1-flash-image",
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": url(PNG)}},
                    {"type": "text", "text": "a brief"},
                    {"type": "text", "text": "a fox 🦊"},
                ],
            }
        ],
        "modalities": ["image", "text"],
        "image_config": {"aspect_ratio": "16:9", "image_size": "2K"},
    }


def test_chat_request_without_size_has_no_image_config() -> None:
    body = {"contents": [{"role": "user", "parts": [{"text": "x"}]}], "generationConfig": {"imageConfig": {}}}
    assert set(chat_body(body, "m")) == {"model", "messages", "modalities"}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"seed": 0}, "seed"),
        ({"thinking_level": "high"}, "thinking_level"),
        ({"search_grounding": True}, "search_grounding"),
    ],
)
def test_what_the_chat_route_cannot_carry_is_refused_by_name(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequestError, match=f"{field}.*nothing was made") as caught:
        chat_body(google_body(**changes), "m")
    assert caught.value.field == field


USER: dict[str, Any] = {"role": "user", "parts": [{"text": "x"}]}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"safetySettings": []}, "safetySettings"),
        ({"generationConfig": {"temperature": 1}}, "temperature"),
        ({"generationConfig": {"imageConfig": {"personGeneration": "ALLOW_ALL"}}}, "person_generation"),
        ({"contents": [USER, {"role": "model", "parts": []}, USER]}, "contents"),
        ({"contents": [{"role": "model", "parts": []}]}, "contents"),
        ({"contents": []}, "contents"),
        ({"contents": [{"role": "user", "parts": [{"text": "x", "thoughtSignature": "s"}]}]}, "contents"),
        ({"contents": [{"role": "user", "parts": [{"fileData": {"fileUri": "https://x.test/a"}}]}]}, "images"),
        (
            {"contents": [{"role": "user", "parts": [{"inlineData": {"mimeType": "application/pdf", "data": "AA"}}]}]},
            "images",
        ),
        (
            {"contents": [{"role": "user", "parts": [{"inlineData": {"mimeType": "image/png;a=b", "data": "AA"}}]}]},
            "images",
        ),
    ],
)
def test_nothing_is_left_out_silently(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        chat_body({"contents": [USER], "generationConfig": {}, **changes}, "m")
    assert caught.value.field == field


def test_last_picture_wins_as_drafts_come_first() -> None:
    found = picture(answer(url(DRAFT), url(JPEG), content=" Here. "))
    assert (found.data, found.mime_type, found.text, found.image_count) == (JPEG, "image/jpeg", "Here.", 2)
    assert found.model_turn == {}


def test_tokens_of_the_thinking_are_counted_beside_the_picture() -> None:
    usage = {**USAGE, "completion_tokens_details": {"reasoning_tokens": 200}}
    assert picture(answer(url(PNG), usage=usage)).usage == Usage(
        input_tokens=12, output_text_tokens=200, output_image_tokens=1120
    )


@pytest.mark.parametrize("more", [{}, {"usage": {}}, {"usage": {"prompt_tokens": 3}}, {"usage": "many"}])
def test_picture_without_told_tokens_has_no_usage(more: dict[str, Any]) -> None:
    assert picture(answer(url(PNG), **more)).usage is None


@pytest.mark.parametrize("reason", sorted(FINISH_REASONS))
def test_lower_case_finish_reason_means_what_googles_does(reason: str) -> None:
    found = failure(answer(finish=reason.lower(), usage=USAGE))
    assert found.error.code == reason.lower()
    assert found.error.billed == "yes"
    assert isinstance(found.error, ContentFilteredError) == FINISH_REASONS[reason].is_filter
    assert found.usage is not None


@pytest.mark.parametrize("reason", ["image_safety", "no_image", "prohibited_content"])
def test_draft_of_a_refused_picture_is_not_taken(reason: str) -> None:
    assert failure(answer(url(DRAFT), finish=reason)).error.code == reason


@pytest.mark.parametrize("reason", ["max_tokens", None, "something_new"])
def test_picture_is_kept_although_the_end_is_odd(reason: str | None) -> None:
    assert picture(answer(url(PNG), finish=reason)).data == PNG


@pytest.mark.parametrize(
    ("body", "code", "billed"),
    [
        (b"", "empty_answer", "unknown"),
        (b"\n\n", "empty_answer", "unknown"),
        (b"<html>502</html>", "unreadable_answer", "unknown"),
        (b"[]", "unreadable_answer", "unknown"),
        (b"{}", "no_candidates", "unknown"),
        (b'{"choices":[],"usage":{"prompt_tokens":9}}', "no_candidates", "no"),
        (b'{"choices":[{}]}', "no_image", "unknown"),
        (b'{"choices":[7],"error":{"message":"m"}}', "endpoint_error", "unknown"),
        (b'\n\n{"error":{"message":"upstream broke","type":"server_error"}}', "endpoint_error", "unknown"),
        (answer(content="I cannot draw."), "text_only", "unknown"),
        (answer(finish="weird"), "unknown_finish_reason", "unknown"),
        (answer("https://x.test/a.png"), "bad_base64", "unknown"),
        (answer("data:image/png;base64,%%%", usage=USAGE), "bad_base64", "yes"),
        (answer(url(PNG), "data:image/png;base64,"), "bad_base64", "unknown"),
        (answer(url(PNG), ""), "bad_base64", "unknown"),
        (b'{"choices":[{"message":{"images":"none"},"finish_reason":7}]}', "no_image", "unknown"),
    ],
)
def test_answer_without_a_picture_says_why(body: bytes, code: str, billed: str) -> None:
    error = failure(body).error
    assert (error.code, error.billed) == (code, billed)
    assert error.hint


def test_text_in_place_of_a_picture_is_quoted() -> None:
    assert "I cannot draw." in failure(answer(content="I cannot draw.")).error.message
