"""Google's refusals of a film as a source: each is known by its words, and says what to do."""

import json

import pytest

from mediagen.emulator.film_inputs import NOT_A_FILM
from mediagen.emulator.omni import REGION_REFUSAL
from mediagen.endpoints.wire.google_errors import parse_error, to_exception
from mediagen.endpoints.wire.interactions import decode_interaction
from mediagen.endpoints.wire.source_refusals import find_source_refusal
from mediagen.endpoints.wire.veo import decode_operation
from mediagen.errors import AuthenticationError, EndpointError, MediaGenError

GONE = "You do not have permission to access the File abc123 or it may not exist."
USE_CASE = (
    "Your use case is currently not supported. Please refer to Gemini API documentation for current model offering."
)
FPS = "Video fps mismatch. Expected: 24 got: 23"
REFUSALS = [
    (REGION_REFUSAL, "region_refused", "last frame"),
    ("Extending uploaded videos is not available in your country.", "region_refused", "last frame"),
    (USE_CASE, "use_case_refused", "surface"),
    ("The video of the previous interaction was deleted or has expired.", "source_expired", "local file"),
    (FPS, "source_refused", "24 frames"),
    ("video is empty", "source_refused", "uploads"),
    ("Invalid or unsupported file uri.", "source_refused", "uploads"),
    ("`bytesBase64Encoded` isn't supported by this model.", "source_refused", "uploads"),
    ("video mime type is empty", "source_refused", ".mp4"),
    ("Unsupported video mime type: video/webm", "source_refused", ".mp4"),
    ("Video is too long to extend: 27s + 4s exceeds 30s.", "source_refused", "Trim"),
    ("Video is too short to edit: at least 3s.", "source_refused", "Trim"),
    (NOT_A_FILM, "source_refused", "H.264"),
    ("Unsupported video: only MP4 with H.264, got hevc.", "source_refused", "H.264"),
    ("Unsupported input video resolution 640x360, supported are 720p and 1080p.", "source_refused", "720p"),
]


def error_of(message: str, status_code: int = 400, *, paid: bool = True) -> MediaGenError:
    body = json.dumps({"error": {"code": "invalid_request", "message": message}}).encode()
    failure = parse_error(status_code, {}, body)
    return to_exception(failure, paid=paid, key_source="GEMINI_API_KEY", model="some-model")


@pytest.mark.parametrize(("message", "code", "advice"), REFUSALS)
def test_refusal_of_a_source_has_its_code_and_says_what_to_do(message: str, code: str, advice: str) -> None:
    error = error_of(message)
    assert type(error) is EndpointError
    assert (error.code, error.retryable, error.billed) == (code, False, "no")
    assert advice in error.hint
    assert message.rstrip(".") in error.message


def test_file_that_is_gone_is_no_matter_of_the_credentials_of_a_paid_call() -> None:
    error = error_of(GONE, 403)
    assert (type(error), error.code, error.billed) == (EndpointError, "source_expired", "no")
    assert "48 hours" in error.hint
    assert isinstance(error_of(GONE, 403, paid=False), AuthenticationError)
    assert isinstance(error_of(GONE, 401), AuthenticationError)


@pytest.mark.parametrize(
    "message",
    [
        "User location is not supported for the API use.",
        "Invalid interaction name",
        "Unsupported output video duration 5 seconds, supported durations are [8,4,6] for feature text_to_video.",
        "image is empty",
        "Unable to process input image.",
        "Permission denied",
        "",
    ],
)
def test_other_refusals_are_not_taken_for_those_of_a_source(message: str) -> None:
    assert find_source_refusal(message) is None


@pytest.mark.parametrize("code", [3, 9])
def test_refusal_inside_an_operation_of_veo_is_known_too(code: int) -> None:
    body = json.dumps({"name": "operations/1", "done": True, "error": {"code": code, "message": FPS}}).encode()
    error = decode_operation(body).error
    assert error is not None
    assert (error.code, error.billed, "24 frames" in error.hint) == ("source_refused", "no", True)


def test_refusal_inside_an_interaction_is_known_too() -> None:
    body = {"id": "v1_x", "status": "failed", "errors": [{"code": "invalid_request", "message": REGION_REFUSAL}]}
    error = decode_interaction(json.dumps(body).encode()).error
    assert error is not None
    assert (error.code, error.billed, "last frame" in error.hint) == ("region_refused", "no", True)


def test_failure_that_was_billed_stays_billed() -> None:
    usage = {"total_output_tokens": 9, "output_tokens_by_modality": [{"modality": "video", "tokens": 9}]}
    errors = [{"code": "internal", "message": NOT_A_FILM}]
    error = decode_interaction(json.dumps({"id": "x", "status": "failed", "errors": errors, "usage": usage}).encode())
    assert error.error is not None
    assert (error.error.code, error.error.billed) == ("generation_failed", "yes")
