import json
from collections.abc import Callable

import pytest

from mediagen.endpoints.wire.google_errors import GoogleFailure, parse_error, to_exception
from mediagen.endpoints.wire.scrub import excerpt, scrub
from mediagen.errors import (
    AuthenticationError,
    EndpointError,
    MediaGenError,
    RateLimitError,
    SubmissionUnconfirmedError,
    UnavailableError,
)

Answers = Callable[[str], tuple[int, bytes]]


def raised(failure: GoogleFailure, *, paid: bool = True) -> MediaGenError:
    return to_exception(failure, paid=paid, key_source="GEMINI_API_KEY", model="some-model")


def failure_of(error: object, status_code: int = 400, **headers: str) -> GoogleFailure:
    return parse_error(status_code, headers, json.dumps({"error": error}).encode())


@pytest.mark.parametrize(
    ("name", "kind", "code", "retryable"),
    [
        ("http_400_key_invalid", AuthenticationError, "authentication", False),
        ("observed_key_unsupported_401", AuthenticationError, "authentication", False),
        ("http_array_error", AuthenticationError, "authentication", False),
        ("http_400_billing", EndpointError, "billing_required", False),
        ("http_400_failed_precondition", EndpointError, "location_unsupported", False),
        ("observed_service_agents_provisioning", EndpointError, "service_agents_provisioning", True),
        ("http_404_model", EndpointError, "model_not_found", False),
        ("http_429_quota", RateLimitError, "quota_exhausted", False),
        ("observed_prepay_depleted", RateLimitError, "quota_exhausted", False),
        ("observed_quota_zero_no_billing", RateLimitError, "quota_exhausted", False),
        ("http_503_overloaded", UnavailableError, "unavailable", True),
        ("http_html_502", SubmissionUnconfirmedError, "unconfirmed", False),
        ("interaction_create_unknown_id", EndpointError, "previous_interaction_unknown", False),
        ("observed_unknown_field", EndpointError, "invalid_argument", False),
        ("observed_image_response_format_invalid_enum", EndpointError, "invalid_argument", False),
        ("observed_omni_model_only_interactions", EndpointError, "invalid_argument", False),
    ],
)
def test_captured_error_becomes_its_own_error(
    captured_answer: Answers, name: str, kind: type[MediaGenError], code: str, retryable: bool
) -> None:
    status, body = captured_answer(name)
    error = raised(parse_error(status, {}, body))
    assert type(error) is kind
    assert (error.code, error.retryable) == (code, retryable)


@pytest.mark.parametrize(
    ("name", "billed"),
    [
        ("http_400_key_invalid", "no"),
        ("http_429_quota", "no"),
        ("http_503_overloaded", "unknown"),
        ("http_html_502", "unknown"),
    ],
)
def test_paid_refusal_says_whether_it_is_billed(captured_answer: Answers, name: str, billed: str) -> None:
    status, body = captured_answer(name)
    assert raised(parse_error(status, {}, body)).billed == billed


@pytest.mark.parametrize("status_code", [408, 499, 502, 504])
def test_gateway_failure_of_paid_request_is_unconfirmed_even_when_structured(status_code: int) -> None:
    failure = failure_of({"code": status_code, "message": "x", "status": "Y"}, status_code)
    assert isinstance(raised(failure), SubmissionUnconfirmedError)
    assert isinstance(raised(failure, paid=False), UnavailableError)


@pytest.mark.parametrize("status_code", [500, 503])
def test_unstructured_server_failure_of_paid_request_is_unconfirmed(status_code: int) -> None:
    assert isinstance(raised(parse_error(status_code, {}, b"<html>oops</html>")), SubmissionUnconfirmedError)


def test_authentication_error_names_the_variable_and_never_the_key(captured_answer: Answers) -> None:
    key = "AIzaSyA1234567890abcdefghijk"
    failure = failure_of({"code": 403, "message": f"Requests with key {key} are blocked", "status": "P"}, 403)
    error = raised(failure)
    assert "GEMINI_API_KEY" in str(error)
    assert "surface" in error.hint
    assert key not in str(error)


def test_invalid_argument_lists_the_fields_that_google_refused() -> None:
    details = [
        {
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{"field": "a.b", "description": "too long"}, {"field": "c", "description": "odd"}],
        }
    ]
    error = raised(failure_of({"code": 400, "message": "bad", "status": "INVALID_ARGUMENT", "details": details}))
    assert "a.b: too long" in error.message
    assert "c: odd" in error.message


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"[1]",
        b'{"error":null}',
        b'{"error":[]}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"error":{"details":7}}',
    ],
)
def test_odd_bodies_are_read_without_failing(body: bytes) -> None:
    failure = parse_error(500, {}, body)
    assert failure.status_code == 500
    assert len(failure.message) <= 500


def test_string_code_and_string_error_are_read() -> None:
    assert failure_of({"code": "invalid_request", "message": "m"}).status == "invalid_request"
    assert parse_error(500, {}, b'{"error":"broken"}').message == "broken"


def test_huge_message_is_cut_to_500_characters() -> None:
    assert len(failure_of({"message": "word " * 10_000}).message) == 500


@pytest.mark.parametrize(
    ("error", "headers", "seconds"),
    [
        ({"details": [{"@type": "…RetryInfo", "retryDelay": "26s"}]}, {"Retry-After": "3"}, 26.0),
        ({"details": [{"retryDelay": "1.5s"}]}, {}, 1.5),
        ({"message": "m"}, {"Retry-After": "3"}, 3.0),
        (
            {"message": "m"},
            {"retry-after": "Sat, 21 Nov 2026 07:00:40 GMT", "date": "Sat, 21 Nov 2026 07:00:00 GMT"},
            40.0,
        ),
        (
            {"message": "m"},
            {"retry-after": "Sat, 21 Nov 2026 06:00:00 GMT", "date": "Sat, 21 Nov 2026 07:00:00 GMT"},
            0.0,
        ),
        ({"message": "Please retry in 26.857291s."}, {}, 26.857291),
        ({"message": "Please retry in 250ms."}, {}, 0.25),
        ({"message": "m"}, {"retry-after": "soon"}, None),
        ({"message": "m"}, {}, None),
    ],
)
def test_retry_delay_is_found_wherever_google_puts_it(
    error: object, headers: dict[str, str], seconds: float | None
) -> None:
    failure = parse_error(429, headers, json.dumps({"error": error}).encode())
    assert failure.retry_after == seconds
    caller_sees = raised(failure)
    assert isinstance(caller_sees, RateLimitError)
    assert caller_sees.retry_after == seconds
    assert caller_sees.retryable


@pytest.mark.parametrize("message", ["limit: 05", "limit: 0.5", "limit: 10"])
def test_quota_that_is_not_zero_is_not_permanent(message: str) -> None:
    assert not failure_of({"message": message}, 429).is_permanent


@pytest.mark.parametrize(
    "secret",
    [
        "AIzaSyA1234567890abcdefghijk",
        "AQ.Ab8RN6abcdefgh-ijkl_mnop",
        "ya29.a0Abcdef-ghijk",
        "https://storage.googleapis.com/b/o?X-Goog-Signature=deadbeef&X-Goog-Date=1",
        "https://x.test/v1?key=plain-key-of-someone",
    ],
)
def test_keys_and_signed_queries_are_hidden(secret: str) -> None:
    hidden = scrub(f"Bad request: {secret} was refused")
    assert secret not in hidden
    assert "deadbeef" not in hidden
    assert "plain-key" not in hidden
    assert hidden.endswith("was refused")


@pytest.mark.parametrize(
    "echo",
    [
        "a very secret prompt about a red fox\nin the snow",
        json.dumps("a very secret prompt about a red fox\nin the snow"),
        "a very secret prompt about a r",
    ],
)
def test_prompt_never_comes_back_even_cut_or_escaped(echo: str) -> None:
    prompt = "a very secret prompt about a red fox\nin the snow"
    failure = parse_error(400, {}, json.dumps({"error": {"message": f"Invalid: {echo}!"}}).encode(), secrets=[prompt])
    assert "secret prompt" not in failure.message
    assert failure.message.startswith("Invalid: ")


def test_excerpt_is_one_line_of_bounded_length() -> None:
    assert excerpt("a\n\n b", 10) == "a b"
    assert len(excerpt("x" * 1000, 10)) == 10
