import json
from collections.abc import Callable
from typing import Any

import pytest

from mediagen.endpoints.wire.body import GeminiBodies, prompt_in
from mediagen.endpoints.wire.interactions import decode_interaction, encode_video, interaction_id
from mediagen.endpoints.wire.media import VideoMedia, WireMedia
from mediagen.endpoints.wire.operation import Operation, Output
from mediagen.errors import InvalidRequestError, UnavailableError
from mediagen.jobs import Usage
from mediagen.requests import VideoParameters

Answers = Callable[[str], tuple[int, bytes]]


def frame() -> WireMedia:
    import base64

    png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    return WireMedia(mime_type="image/png", data=base64.b64decode(png))


def parameters(**changes: Any) -> VideoParameters:
    values = {"model": "gemini-omni-1.2-flash", "mode": "text_to_video", "duration_seconds": 8, "resolution": "720p"}
    return VideoParameters(**{**values, **changes})


def decoded(**payload: Any) -> Operation:
    return decode_interaction(json.dumps({"id": "v1_x", **payload}).encode())


def said(*content: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"type": "model_output", "content": list(content)}]


def test_edit_keeps_the_length_of_its_source() -> None:
    clip = WireMedia(mime_type="video/mp4", uri="gs://bucket/in.mp4")
    body = encode_video(parameters(mode="video_edit"), "make it anime", VideoMedia(source_video=clip))
    assert "duration" not in body["response_format"]


@pytest.mark.parametrize(
    "prompt",
    ["<FIRST_FRAME> turns into <LAST_FRAME>", "[# Sources <FIRST_FRAME>@Image1 <LAST_FRAME>@Image2] morph"],
)
def test_tags_of_the_caller_are_left_alone(prompt: str) -> None:
    media = VideoMedia(first_frame=frame(), last_frame=frame())
    body = encode_video(parameters(mode="first_last_frames"), prompt, media)
    assert body["input"][0]["content"][-1]["text"] == prompt


def test_frame_and_references_are_bound_in_order() -> None:
    media = VideoMedia(first_frame=frame(), references=(frame(),))
    body = encode_video(parameters(), "go", media)
    text = body["input"][0]["content"][-1]["text"]
    assert text == "[# Sources <FIRST_FRAME>@Image1] [# References <IMAGE_REF_0>@Image2] go"


@pytest.mark.parametrize(
    "changes", [{"generate_audio": False}, {"person_generation": "allow_adult"}, {"resize_mode": "pad"}]
)
def test_parameter_that_omni_lacks_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError):
        GeminiBodies().build_video(parameters(**changes), "x", VideoMedia())


@pytest.mark.parametrize("name", ["interaction_queued", "interaction_in_progress"])
def test_open_interaction_is_running(captured_answer: Answers, name: str) -> None:
    found = decode_interaction(captured_answer(name)[1])
    assert (found.name, found.state, found.error) == ("v1_abc", "running", None)


def test_unknown_status_is_running() -> None:
    assert decoded(status="thinking_hard").state == "running"
    assert decoded(status="thinking_hard").raw_status == "thinking_hard"
    assert decoded().state == "running"


def test_completed_interaction_gives_the_address_and_the_tokens(captured_answer: Answers) -> None:
    found = decode_interaction(captured_answer("interaction_completed_uri")[1])
    address = "https://generativelanguage.googleapis.com/v1beta/files/abc123:download?alt=media"
    assert (found.state, found.outputs) == ("completed", (Output(uri=address, mime_type="video/mp4"),))
    assert found.usage == Usage(input_tokens=30, output_video_tokens=57920)


def test_completed_interaction_gives_the_number_of_the_inline_clip(
    captured_answer: Answers, skeleton: Callable[[bytes], bytes]
) -> None:
    found = decode_interaction(skeleton(captured_answer("interaction_completed_inline")[1]))
    assert (found.state, found.outputs) == ("completed", (Output(inline=0, mime_type="video/mp4"),))


def test_clip_that_is_here_is_preferred_to_its_address() -> None:
    clip = {"type": "video", "data": "inline:3", "uri": "gs://b/x.mp4"}
    assert decoded(status="completed", steps=said(clip)).outputs == (Output(inline=3),)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"status":"queued"}', b'{"id":7}'])
def test_new_interaction_without_an_id_is_seen(body: bytes) -> None:
    assert not interaction_id(body)


def test_new_interaction_is_named_even_when_its_clip_is_damaged() -> None:
    assert interaction_id(b'{"id":"v1","steps":[{"type":"model_output","content":[{"type":"video","data":"!"}]}]}')


def test_last_clip_of_several_is_taken() -> None:
    clips = [{"type": "video", "uri": f"https://x.test/{number}"} for number in (1, 2)]
    assert decoded(status="completed", steps=said(*clips)).outputs == (Output(uri="https://x.test/2"),)


def test_refusal_in_words_is_filtered_quoted_and_not_billed(captured_answer: Answers) -> None:
    found = decode_interaction(captured_answer("interaction_refused_text_only")[1])
    assert found.state == "filtered"
    assert found.error is not None
    assert (found.error.code, found.error.billed) == ("refused_text_only", "no")
    assert "I cannot generate that video." in found.error.message


def test_refusal_without_token_counts_may_be_billed() -> None:
    error = decoded(status="completed", steps=said({"type": "text", "text": "no"})).error
    assert error is not None
    assert error.billed == "unknown"


@pytest.mark.parametrize(
    ("usage", "billed"),
    [
        ({}, "unknown"),
        ({"total_output_tokens": 0}, "no"),
        ({"total_output_tokens": 9}, "unknown"),
        ({"output_tokens_by_modality": [{"modality": "video", "tokens": 5792}]}, "yes"),
        ({"output_tokens_by_modality": [{"modality": "text", "tokens": 3}]}, "no"),
    ],
)
def test_completed_without_anything_is_a_failure(usage: dict[str, Any], billed: str) -> None:
    found = decoded(status="completed", usage=usage)
    assert found.state == "failed"
    assert found.error is not None
    assert (found.error.code, found.error.billed) == ("completed_without_video", billed)


def test_image_interaction_is_no_clip(captured_answer: Answers) -> None:
    found = decode_interaction(captured_answer("interaction_image")[1])
    assert found.error is not None
    assert (found.error.code, found.error.billed) == ("refused_text_only", "unknown")


def test_blocked_interaction_is_filtered(captured_answer: Answers) -> None:
    found = decode_interaction(captured_answer("observed_omni_blocked")[1])
    assert found.state == "filtered"
    assert found.error is not None
    assert (found.error.code, found.error.billed) == ("content_filtered", "no")
    assert "content safety filter" in found.error.message


def test_failed_interaction_says_why_and_that_it_may_help_to_ask_again(captured_answer: Answers) -> None:
    found = decode_interaction(captured_answer("interaction_failed")[1])
    assert found.state == "failed"
    assert found.error is not None
    assert (found.error.code, found.error.retryable, found.error.billed) == ("generation_failed", True, "unknown")
    assert "internal" in found.error.message


@pytest.mark.parametrize(
    ("status", "state", "code"),
    [
        ("cancelled", "cancelled", "cancelled"),
        ("incomplete", "failed", "interaction_incomplete"),
        ("budget_exceeded", "failed", "interaction_budget_exceeded"),
        ("requires_action", "failed", "interaction_requires_action"),
        ("requires_continuation", "failed", "interaction_requires_continuation"),
    ],
)
def test_each_end_without_a_clip_is_told_apart(status: str, state: str, code: str) -> None:
    found = decoded(status=status)
    assert found.state == state
    assert found.error is not None
    assert found.error.code == code


def test_clip_of_an_incomplete_interaction_is_taken() -> None:
    clip = {"type": "video", "uri": "https://x.test/1"}
    assert decoded(status="incomplete", steps=said(clip)).state == "completed"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"{}",
        b'{"id":"v","status":"completed","steps":[{"type":"model_output","content":[{"type":"video","data":"inline:damaged"}]}]}',
    ],
)
def test_unreadable_interaction_can_be_asked_for_again(body: bytes) -> None:
    with pytest.raises(UnavailableError) as caught:
        decode_interaction(body)
    assert caught.value.code == "unreadable_answer"
    assert caught.value.retryable


def test_earlier_clip_is_named_where_pictures_go_with_it() -> None:
    media = VideoMedia(previous_interaction_id="v1_abc", references=(frame(),))
    body = encode_video(parameters(mode="video_edit"), "wear <IMAGE_REF_0>", media)
    assert body["input"][0]["content"][-1]["text"] == "<PREVIOUS_VIDEO> wear <IMAGE_REF_0>"
    assert (
        encode_video(parameters(mode="video_edit"), "x", VideoMedia(previous_interaction_id="v1_abc"))["input"] == "x"
    )


def test_placeholder_stands_where_bytes_are_to_come() -> None:
    media = VideoMedia(first_frame=WireMedia(mime_type="image/png", data=b"", placeholder="(later)"))
    body = encode_video(parameters(mode="image_to_video"), "", media)
    assert [item.get("data", item.get("text")) for item in body["input"][0]["content"]] == ["(later)", "<FIRST_FRAME>"]


def test_prompt_is_found_in_the_body_of_either_api() -> None:
    assert prompt_in(encode_video(parameters(), "a fox", VideoMedia())) == "a fox"
    assert prompt_in(encode_video(parameters(), "a fox", VideoMedia(first_frame=frame()))) == "<FIRST_FRAME> a fox"
    assert prompt_in({"instances": [{"prompt": "a fox"}], "parameters": {}}) == "a fox"
