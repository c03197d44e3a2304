import json
from collections.abc import Callable
from typing import Any

import pytest

from mediagen.endpoints.wire.body import GeminiBodies, VertexBodies
from mediagen.endpoints.wire.media import VideoMedia, WireMedia
from mediagen.endpoints.wire.operation import Operation, Output
from mediagen.endpoints.wire.support_codes import SUPPORT_CODES, has_support_codes, in_words
from mediagen.endpoints.wire.veo import decode_operation, operation_name
from mediagen.errors import InvalidRequestError, UnavailableError
from mediagen.requests import ImageParameters, VideoParameters

Answers = Callable[[str], tuple[int, bytes]]
Skeleton = Callable[[bytes], bytes]

OLD = "models/veo-3.1-generate-preview/operations/abc123def456"
NAME = (
    "projects/test-project/locations/us-central1/publishers/google/models/veo-3.1-generate-001/operations/"
    "2f6e0c3a-0000-4000-8000-000000000001"
)
OLD_FILE = "https://generativelanguage.googleapis.com/v1beta/files/abc123:download?alt=media"
LEGACY = "_legacy-sdk-2.34.0"


def parameters(**changes: Any) -> VideoParameters:
    values = {"model": "veo-3.1-generate-001", "mode": "text_to_video", "duration_seconds": 8, "resolution": "720p"}
    return VideoParameters(**{**values, **changes})


def done(**response: Any) -> Operation:
    return decode_operation(json.dumps({"name": NAME, "done": True, "response": response}).encode())


def failed(code: int, message: str = "because") -> Operation:
    answer = {"name": NAME, "done": True, "error": {"code": code, "message": message}}
    return decode_operation(json.dumps(answer).encode())


@pytest.mark.parametrize(
    ("capture", "name", "state", "outputs"),
    [
        ("veo_operation_running__vertex", NAME, "running", ()),
        ("veo_operation_running__gemini", OLD, "running", ()),
        (f"veo_operation_running__gemini{LEGACY}", OLD, "running", ()),
        ("veo_operation_done_bytes__vertex", NAME, "completed", (Output(inline=0, mime_type="video/mp4"),)),
        (
            "veo_operation_done_gcs__vertex",
            NAME,
            "completed",
            (Output(uri="gs://bucket/out/1234/sample_0.mp4", mime_type="video/mp4"),),
        ),
        ("veo_operation_done__gemini", OLD, "completed", (Output(uri=OLD_FILE),)),
        (f"veo_operation_done__gemini{LEGACY}", OLD, "completed", (Output(uri=OLD_FILE),)),
        ("veo_operation_error__vertex", NAME, "filtered", ()),
        ("veo_operation_error__gemini", OLD, "failed", ()),
        (f"veo_operation_error__gemini{LEGACY}", OLD, "failed", ()),
        ("veo_operation_rai_filtered__vertex", NAME, "filtered", ()),
        ("veo_operation_rai_filtered__gemini", OLD, "filtered", ()),
        (f"veo_operation_rai_filtered__gemini{LEGACY}", OLD, "filtered", ()),
    ],
)
def test_captured_operation_is_understood(
    captured_answer: Answers, skeleton: Skeleton, capture: str, name: str, state: str, outputs: tuple[Output, ...]
) -> None:
    found = decode_operation(skeleton(captured_answer(capture)[1]))
    assert (found.name, found.state, found.outputs) == (name, state, outputs)
    assert (found.error is None) == (state in {"running", "completed"})
    assert found.usage is None
    assert not found.warnings


def test_every_captured_operation_has_a_case() -> None:
    from pathlib import Path

    captures = {path.stem for path in (Path(__file__).parent / "wire" / "responses").glob("veo_*.json")}
    (mark,) = [
        mark for mark in getattr(test_captured_operation_is_understood, "pytestmark", []) if mark.name == "parametrize"
    ]
    assert captures == {case[0] for case in mark.args[1]}


@pytest.mark.parametrize("capture", ["veo_operation_error__vertex", "veo_operation_rai_filtered__vertex"])
def test_refusal_names_the_support_code_in_words_and_costs_nothing(captured_answer: Answers, capture: str) -> None:
    error = decode_operation(captured_answer(capture)[1]).error
    assert error is not None
    assert (error.code, error.billed, error.retryable) == ("content_filtered", "no", False)
    assert "Support codes: 58061214 (that is: child safety)" in error.message


@pytest.mark.parametrize(
    ("response", "uris"),
    [
        ({"generateVideoResponse": {"generatedSamples": [{"video": {"uri": "https://x/1"}}]}}, ["https://x/1"]),
        ({"generatedSamples": [{"video": {"uri": "https://x/1"}}]}, ["https://x/1"]),
        (
            {"predictions": [{"video": {"uri": "https://x/1"}}, {"video": {"uri": "https://x/2"}}]},
            ["https://x/1", "https://x/2"],
        ),
        ({"videos": [{"gcsUri": "gs://b/1"}, {"gcsUri": "gs://b/2"}]}, ["gs://b/1", "gs://b/2"]),
        ({"videos": [{"video": {"gcsUri": "gs://b/1"}}, {}, {"mimeType": "video/mp4"}]}, ["gs://b/1"]),
    ],
)
def test_every_place_that_clips_were_put_is_known(response: dict[str, Any], uris: list[str]) -> None:
    found = done(**response)
    assert (found.state, [output.uri for output in found.outputs]) == ("completed", uris)


def test_clips_inside_the_answer_are_numbered(skeleton: Skeleton) -> None:
    videos = [{"bytesBase64Encoded": "AAAA", "mimeType": "video/mp4"}, {"bytesBase64Encoded": "BBBB"}]
    found = decode_operation(
        skeleton(json.dumps({"name": NAME, "done": True, "response": {"videos": videos}}).encode())
    )
    assert found.outputs == (Output(inline=0, mime_type="video/mp4"), Output(inline=1))


def test_damaged_clip_inside_the_answer_is_asked_for_again(skeleton: Skeleton) -> None:
    body = b'{"name":"n","done":true,"response":{"videos":[{"gcsUri":"gs://b/1"},{"bytesBase64Encoded":"!"}]}}'
    with pytest.raises(UnavailableError) as caught:
        decode_operation(skeleton(body))
    assert (caught.value.code, caught.value.retryable, caught.value.billed) == ("unreadable_answer", True, "yes")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"status":"x"}'])
def test_what_is_no_operation_is_asked_for_again(body: bytes) -> None:
    with pytest.raises(UnavailableError) as caught:
        decode_operation(body)
    assert caught.value.code == "unreadable_answer"


def test_partly_filtered_operation_is_a_success_with_a_warning() -> None:
    reason = "Blocked. Support codes: 29310472, 61493863"
    videos = [{"gcsUri": f"gs://b/{number}"} for number in range(3)]
    found = done(videos=videos, raiMediaFilteredCount=1, raiMediaFilteredReasons=[reason, reason])
    assert (found.state, len(found.outputs), found.error) == ("completed", 3, None)
    assert found.warnings == (f"1 of 4 clips was filtered: {reason} (that is: a well-known person, violence)",)


def test_filter_without_reasons_is_told() -> None:
    found = done(videos=[{"gcsUri": "gs://b/1"}], raiMediaFilteredCount=2)
    assert found.warnings == ("2 of 3 clips were filtered: Google gave no reason",)


@pytest.mark.parametrize(
    "response", [{"raiMediaFilteredCount": 2}, {"raiMediaFilteredReasons": ["no"]}, {"raiMediaFilteredCount": "1"}]
)
def test_wholly_filtered_operation_is_not_billed(response: dict[str, Any]) -> None:
    found = done(**response)
    assert found.state == "filtered"
    assert found.error is not None
    assert (found.error.code, found.error.billed) == ("content_filtered", "no")


@pytest.mark.parametrize("response", [{}, {"videos": []}, {"videos": "x"}, {"videos": [{"mimeType": "video/mp4"}]}])
def test_done_without_anything_says_where_it_looked(response: dict[str, Any]) -> None:
    found = done(**response)
    assert found.state == "failed"
    assert found.error is not None
    assert (found.error.code, found.error.billed) == ("completed_without_video", "unknown")
    for place in ("generateVideoResponse.generatedSamples", "predictions", "videos"):
        assert f"response.{place}" in found.error.message


@pytest.mark.parametrize(
    ("code", "message", "state", "slug", "retryable", "billed"),
    [
        (3, "the prompt violates the guidelines", "filtered", "content_filtered", False, "no"),
        (13, "Stopped. Support codes: 12345678", "filtered", "content_filtered", False, "no"),
        (3, "durationSeconds must be 4, 6 or 8", "failed", "invalid_argument", False, "no"),
        (8, "Quota exceeded", "failed", "rate_limited", True, "no"),
        (9, "Service agents are being provisioned (…)", "failed", "service_agents_provisioning", True, "no"),
        (9, "something else", "failed", "failed_precondition", False, "no"),
        (5, "The bucket does not exist: gs://b", "failed", "bucket_missing", False, "no"),
        (5, "Requested entity was not found.", "failed", "not_found", False, "no"),
        (7, "service-1@… does not have storage.objects.create access", "failed", "bucket_forbidden", False, "no"),
        (7, "Permission denied", "failed", "forbidden", False, "no"),
        (1, "cancelled", "cancelled", "cancelled", False, "unknown"),
        (4, "deadline", "failed", "generation_failed", True, "unknown"),
        (13, "An internal error has occurred.", "failed", "generation_failed", True, "unknown"),
        (14, "unavailable", "failed", "generation_failed", True, "unknown"),
        (99, "new", "failed", "generation_failed", False, "unknown"),
    ],
)
def test_each_error_of_an_operation_is_told_apart(
    code: int, message: str, state: str, slug: str, retryable: bool, billed: str
) -> None:
    found = failed(code, message)
    assert (found.state, found.outputs, found.raw_status) == (state, (), f"error {code}")
    assert found.error is not None
    assert (found.error.code, found.error.retryable, found.error.billed) == (slug, retryable, billed)
    assert message.rstrip(".") in found.error.message
    assert slug in {"cancelled"} or found.error.hint


def test_missing_role_on_the_bucket_is_named() -> None:
    error = failed(7, "storage.objects.create denied").error
    assert error is not None
    assert "roles/storage.objectUser" in error.hint


def test_message_of_an_operation_holds_no_signed_address() -> None:
    error = failed(13, "see https://storage.googleapis.com/b/o?X-Goog-Signature=abcdef0123456789").error
    assert error is not None
    assert "abcdef" not in error.message


def test_operation_that_just_started_is_named() -> None:
    assert operation_name(json.dumps({"name": NAME}).encode()) == NAME
    assert not operation_name(b"{}")
    assert not operation_name(b"<html>")


def test_support_codes_are_all_of_eight_digits_and_told_once() -> None:
    assert len(SUPPORT_CODES) == 25
    assert all(len(str(code)) == 8 for code in SUPPORT_CODES)
    assert in_words("codes 58061214, 17301594 and 99999999").endswith("(that is: child safety)")
    assert in_words("nothing 99999999") == "nothing 99999999"
    assert has_support_codes("code 58061214")
    assert not has_support_codes("since 20261121")


@pytest.mark.parametrize(
    "media",
    [
        VideoMedia(previous_interaction_id="v1_abc"),
        VideoMedia(source_video=WireMedia(mime_type="video/mp4", uri="https://x.test/a.mp4")),
        VideoMedia(references=(WireMedia(mime_type="image/png", uri="https://x.test/a.png"),)),
    ],
)
def test_input_that_veo_cannot_read_is_refused_before_anything_is_sent(media: VideoMedia) -> None:
    with pytest.raises(InvalidRequestError):
        VertexBodies().build_video(parameters(), "x", media, api="predict_long_running")


def test_silence_is_asked_for() -> None:
    body = VertexBodies().build_video(parameters(generate_audio=False), "x", VideoMedia(), api="predict_long_running")
    assert body["parameters"]["generateAudio"] is False


@pytest.mark.parametrize("place", ["/tmp/x", "https://b/x", "bucket/x", ""])
def test_storage_uri_outside_cloud_storage_is_refused(place: str) -> None:
    for api in ("interactions", "predict_long_running"):
        with pytest.raises(InvalidRequestError) as caught:
            VertexBodies().build_video(parameters(), "x", VideoMedia(), api=api, storage_uri=place)
        assert caught.value.field == "storage_uri"


def test_gemini_api_refuses_veo_and_buckets() -> None:
    with pytest.raises(InvalidRequestError, match="Vertex AI"):
        GeminiBodies().build_video(parameters(), "x", VideoMedia(), api="predict_long_running")
    with pytest.raises(InvalidRequestError, match="storage_uri"):
        GeminiBodies().build_video(parameters(), "x", VideoMedia(), storage_uri="gs://b/o/")


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ("allow_all", "ALLOW_ALL"),
        ("ALLOW_ADULT", "ALLOW_ADULT"),
        ("dont_allow", "ALLOW_NONE"),
        ("disallow", "ALLOW_NONE"),
    ],
)
def test_people_in_pictures_are_asked_for_in_googles_words(asked: str, sent: str) -> None:
    body = VertexBodies().build_image(
        ImageParameters(model="m", mode="text_to_image", image_size="1K", person_generation=asked), "x"
    )
    assert body["generationConfig"]["imageConfig"] == {"imageSize": "1K", "personGeneration": sent}


def test_unknown_word_for_people_in_pictures_is_refused() -> None:
    wanted = ImageParameters(model="m", mode="text_to_image", image_size="1K", person_generation="some")
    with pytest.raises(InvalidRequestError, match="'some'"):
        VertexBodies().build_image(wanted, "x")


@pytest.mark.parametrize("changes", [{"generate_audio": False}, {"person_generation": "allow_all"}])
def test_what_omni_lacks_is_refused_on_vertex_too(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError, match="Omni"):
        VertexBodies().build_video(parameters(model="gemini-omni-1.2-flash", **changes), "x", VideoMedia())
