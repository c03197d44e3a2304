import json
from collections.abc import Callable
from typing import Any

import pytest

from mediagen.endpoints.wire.body import GeminiBodies
from mediagen.endpoints.wire.interactions import Interaction, VideoMedia, decode_interaction, encode_video
from mediagen.endpoints.wire.media import WireMedia
from mediagen.errors import InvalidRequestError, UnavailableError
from mediagen.jobs import Usage
from mediagen.requests import VideoParameters

Answers = Callable[[str], tuple[int, bytes]]
Captures = Callable[[str], dict[str, Any]]

FILE = WireMedia(mime_type="video/mp4", uri="https://generativelanguage.googleapis.com/v1beta/files/abc123")
# What we send on purpose beyond the capture: the job runs in the background, so that its id comes at once, and the
# clip stays at Google until it is fetched.
ALWAYS = {"background": True, "store": True}


def frame() -> WireMedia:
    import base64

    png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    return WireMedia(mime_type="image/png", data=base64.b64decode(png))


def parameters(**changes: Any) -> VideoParameters:
    values = {"model": "gemini-omni-1.2-flash", "mode": "text_to_video", "duration_seconds": 8, "resolution": "720p"}
    return VideoParameters(**{**values, **changes})


def as_we_send(capture: dict[str, Any], **response_format: Any) -> dict[str, Any]:
    capture.pop("labels", None)
    wanted = {"resolution": "720p", "delivery": "uri", "duration": "8s", **response_format}
    return {**capture, **ALWAYS, "response_format": {**wanted, **capture.get("response_format", {})}}


def decoded(**payload: Any) -> Interaction:
    return decode_interaction(json.dumps({"id": "v1_x", **payload}).encode())


def said(*content: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"type": "model_output", "content": list(content)}]


def test_text_to_video_is_encoded_as_captured(captured_request: Captures) -> None:
    body = encode_video(parameters(seed=42, aspect_ratio="9:16", resolution="1080p"), "a cat", VideoMedia())
    wanted = captured_request("omni_text_background_uri__gemini")
    del wanted["labels"]
    assert body == wanted


def test_first_frame_is_encoded_as_captured(captured_request: Captures) -> None:
    body = encode_video(
        parameters(mode="image_to_video", duration_seconds=5), "the cube spins", VideoMedia(first_frame=frame())
    )
    assert body == as_we_send(captured_request("omni_image_to_video__gemini"))


def test_first_and_last_frame_are_encoded_as_captured(captured_request: Captures) -> None:
    body = encode_video(
        parameters(mode="first_last_frames"), "morph", VideoMedia(first_frame=frame(), last_frame=frame())
    )
    assert body == as_we_send(captured_request("omni_first_last__gemini"))


def test_references_are_encoded_as_captured(captured_request: Captures) -> None:
    media = VideoMedia(references=(frame(), frame(), frame()))
    body = encode_video(parameters(mode="reference_asset"), "together", media)
    assert body == as_we_send(captured_request("omni_references__gemini"))


def test_extension_of_an_interaction_is_encoded_as_captured(captured_request: Captures) -> None:
    media = VideoMedia(previous_interaction_id="v1_abc")
    body = encode_video(parameters(mode="video_extension"), "Extend this video: the sun sets.", media)
    assert body == as_we_send(captured_request("omni_extend_previous__gemini"))


def test_extension_of_a_file_is_encoded_as_captured(captured_request: Captures) -> None:
    media = VideoMedia(source_video=FILE)
    body = encode_video(parameters(mode="video_extension", duration_seconds=10), "Continue the scene.", media)
    assert body == as_we_send(captured_request("omni_extend_uri__gemini"))


def test_edit_is_encoded_as_captured_and_keeps_its_length(captured_request: Captures) -> None:
    prompt = "make it anime. Keep everything else the same."
    body = encode_video(parameters(mode="video_edit"), prompt, VideoMedia(source_video=FILE))
    wanted = as_we_send(captured_request("omni_edit_video_uri__gemini"))
    del wanted["response_format"]["duration"]
    assert body == wanted


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
    assert (found.id, found.state, found.error) == ("v1_abc", "running", None)


def test_unknown_status_is_running() -> None:
    assert decoded(status="thinking_hard").state == "running"
    assert decoded(status="thinking_hard").raw_status == "thinking_hard"
    assert decoded().state == "running"


def test_completed_interaction_gives_the_address_and_the_tokens(captured_answer: Answers) -> None:
    found = decode_interaction(captured_answer("interaction_completed_uri")[1])
    assert (found.state, found.mime_type, found.video_inline) == ("completed", "video/mp4", None)
    assert found.video_uri == "https://generativelanguage.googleapis.com/v1beta/files/abc123:download?alt=media"
    assert found.usage == Usage(input_tokens=30, output_video_tokens=57920)


def test_completed_interaction_gives_the_inline_clip(captured_answer: Answers) -> None:
    found = decode_interaction(captured_answer("interaction_completed_inline")[1])
    assert found.state == "completed"
    assert found.video_uri is None
    assert found.video_inline is not None
    assert found.video_inline[4:8] == b"ftyp"


def test_last_clip_of_several_is_taken() -> None:
    clips = [{"type": "video", "uri": f"https://x.test/{number}"} for number in (1, 2)]
    assert decoded(status="completed", steps=said(*clips)).video_uri == "https://x.test/2"


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
        b'{"id":"v","status":"completed","steps":[{"type":"model_output","content":[{"type":"video","data":"!!"}]}]}',
    ],
)
def test_unreadable_interaction_can_be_asked_for_again(body: bytes) -> None:
    with pytest.raises(UnavailableError) as caught:
        decode_interaction(body)
    assert caught.value.code == "unreadable_answer"
    assert caught.value.retryable
