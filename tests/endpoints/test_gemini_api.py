import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import respx

from mediagen.endpoints.base import Accepted, Finished, PaidRequest
from mediagen.endpoints.gemini_api import GeminiApi
from mediagen.errors import (
    AuthenticationError,
    ConfigurationError,
    ContentFilteredError,
    EndpointError,
    InvalidRequestError,
    MediaGenError,
    RateLimitError,
    SubmissionUnconfirmedError,
    UnavailableError,
)

Answers = Callable[[str], tuple[int, bytes]]
Loopback = Any
MakeReply = Callable[..., Any]
MakeApi = Callable[..., GeminiApi]

PROMPT = "a red fox that nobody may read about"
IMAGE = PaidRequest(
    kind="image",
    model="gemini-nano-banana-2.1",
    api="generate_content",
    body={"contents": [{"parts": [{"text": PROMPT}]}]},
)
VIDEO = PaidRequest(
    kind="video",
    model="gemini-omni-1.2-flash",
    api="interactions",
    body={"model": "gemini-omni-1.2-flash", "input": PROMPT},
)
BUSY = {"error": {"code": 429, "message": "slow down", "status": "R", "details": [{"retryDelay": "26s"}]}}


def test_base_loads_no_http_client() -> None:
    code = "import sys, mediagen.endpoints.base; print('httpx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"False\n"


@pytest.mark.parametrize("base_url", ["", "ftp://x.test", "https://", "https://user:pw@x.test", "https://x.test?key=1"])
async def test_unusable_base_url_is_refused_by_variable(make_api: MakeApi, base_url: str) -> None:
    with pytest.raises(ConfigurationError, match="GOOGLE_GEMINI_BASE_URL"):
        make_api(base_url)


async def test_picture_request_is_sent_once_as_json_and_signed(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, captured_answer: Answers
) -> None:
    loopback.script = [make_reply(body=captured_answer("image_ok")[1])]
    finished = await api.submit(IMAGE)
    assert isinstance(finished, Finished)
    assert finished.image.mime_type == "image/png"
    (request,) = loopback.received
    assert (request.method, request.target) == ("POST", "/v1beta/models/gemini-nano-banana-2.1:generateContent")
    assert json.loads(request.body) == IMAGE.body
    assert request.headers["x-goog-api-key"] == "AQ.test-key-0123456789"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"].startswith("mediagen-mcp/")


async def test_clip_request_gives_the_operation(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, captured_answer: Answers
) -> None:
    loopback.script = [make_reply(body=captured_answer("interaction_queued")[1])]
    assert await api.submit(VIDEO) == Accepted(operation="v1_abc")
    assert loopback.received[0].target == "/v1beta/interactions"


async def test_paid_requests_never_share_a_connection(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, captured_answer: Answers
) -> None:
    loopback.script = [make_reply(body=captured_answer("interaction_queued")[1])] * 2
    await api.submit(VIDEO)
    await api.submit(VIDEO)
    assert loopback.connections == 2


@pytest.mark.parametrize("call", [IMAGE, VIDEO])
@pytest.mark.parametrize(
    "reply",
    [
        {"hang_up": True},
        {"body": b'{"id":"v1_abc"}', "cut_after": 4},
        {"status": 503, "body": b'{"error":{}}', "cut_after": 4},
        {"status": 502, "body": b"<html>"},
        {"status": 500, "body": b""},
        {"status": 504, "body": {"error": {"code": 504, "message": "m", "status": "DEADLINE_EXCEEDED"}}},
    ],
)
async def test_paid_request_of_unknown_outcome_is_never_sent_again(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, call: PaidRequest, reply: dict[str, Any]
) -> None:
    loopback.answer = lambda _: make_reply(**reply)
    with pytest.raises(SubmissionUnconfirmedError) as caught:
        await api.submit(call)
    assert caught.value.billed == "unknown"
    assert len(loopback.received) == 1


async def test_paid_request_that_is_not_answered_in_time_is_unconfirmed(
    make_api: MakeApi, loopback: Loopback, make_reply: MakeReply
) -> None:
    loopback.script = [make_reply(silent=True)]
    with pytest.raises(SubmissionUnconfirmedError):
        await make_api(loopback.url, paid_read_seconds=0.02).submit(VIDEO)
    assert len(loopback.received) == 1


async def test_paid_answer_that_drips_for_ever_is_unconfirmed(
    make_api: MakeApi, loopback: Loopback, make_reply: MakeReply
) -> None:
    loopback.script = [make_reply(silent=True)]
    with pytest.raises(SubmissionUnconfirmedError, match="took too long"):
        await make_api(loopback.url, paid_total_seconds=0.02).submit(VIDEO)


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"status":"queued"}', b'{"id":""}'])
async def test_accepted_clip_without_a_name_is_unconfirmed(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, body: bytes
) -> None:
    loopback.script = [make_reply(body=body)]
    with pytest.raises(SubmissionUnconfirmedError):
        await api.submit(VIDEO)


async def test_overload_of_paid_request_is_told_and_not_retried(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, captured_answer: Answers
) -> None:
    loopback.answer = lambda _: make_reply(status=503, body=captured_answer("http_503_overloaded")[1])
    with pytest.raises(UnavailableError) as caught:
        await api.submit(VIDEO)
    assert caught.value.billed == "unknown"
    assert len(loopback.received) == 1


async def test_paid_request_is_retried_when_nothing_can_have_been_sent(make_api: MakeApi, naps: list[float]) -> None:
    unused = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port = unused.sockets[0].getsockname()[1]
    unused.close()
    with pytest.raises(UnavailableError) as caught:
        await make_api(f"http://127.0.0.1:{port}").submit(VIDEO)
    assert caught.value.billed == "no"
    assert "Nothing was sent" in caught.value.hint
    assert len(naps) == 2


async def test_paid_request_is_sent_again_after_a_passing_429(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, captured_answer: Answers, naps: list[float]
) -> None:
    loopback.script = [
        make_reply(status=429, body=BUSY),
        make_reply(status=429, body=BUSY),
        make_reply(body=captured_answer("interaction_queued")[1]),
    ]
    assert await api.submit(VIDEO) == Accepted(operation="v1_abc")
    assert [26 <= nap <= 26.5 for nap in naps] == [True, True]


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        (BUSY, 3),
        ({"error": {"message": "slow", "details": [{"retryDelay": "61s"}]}}, 1),
        ({"error": {"message": "slow"}}, 1),
        ({"error": {"message": "limit: 0. Please retry in 2s"}}, 1),
        ({"error": {"message": "Your prepayment credits are depleted."}}, 1),
    ],
)
async def test_paid_429_is_retried_only_as_told_and_not_for_ever(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, body: dict[str, Any], sent: int
) -> None:
    loopback.answer = lambda _: make_reply(status=429, body=body)
    with pytest.raises(RateLimitError) as caught:
        await api.submit(VIDEO)
    assert caught.value.billed == "no"
    assert len(loopback.received) == sent


async def test_redirect_of_a_paid_request_is_not_followed(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply
) -> None:
    loopback.script = [make_reply(status=307, headers={"Location": f"{loopback.url}/elsewhere"})]
    with pytest.raises(EndpointError) as caught:
        await api.submit(VIDEO)
    assert caught.value.code == "redirected"
    assert len(loopback.received) == 1


async def test_filtered_picture_is_raised(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, captured_answer: Answers
) -> None:
    loopback.script = [make_reply(body=captured_answer("image_finish_IMAGE_SAFETY")[1])]
    with pytest.raises(ContentFilteredError):
        await api.submit(IMAGE)


async def test_answer_beyond_the_limit_is_refused(make_api: MakeApi, loopback: Loopback, make_reply: MakeReply) -> None:
    loopback.answer = lambda _: make_reply(body=b"x" * 3000)
    api = make_api(loopback.url, answer_limit=2000)
    with pytest.raises(EndpointError) as caught:
        await api.submit(IMAGE)
    assert (caught.value.code, caught.value.billed) == ("answer_too_large", "unknown")
    with pytest.raises(SubmissionUnconfirmedError):
        await api.submit(VIDEO)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429])
async def test_echoed_prompt_and_key_are_not_repeated(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, status: int
) -> None:
    echo = f"Invalid value {PROMPT!r} with AQ.test-key-0123456789"
    loopback.answer = lambda _: make_reply(status=status, body={"error": {"message": echo}})
    with pytest.raises(MediaGenError) as caught:
        await api.submit(VIDEO)
    assert "fox" not in str(caught.value)
    assert "test-key" not in str(caught.value)


async def test_key_of_unknown_form_is_not_repeated_either(loopback: Loopback, make_reply: MakeReply) -> None:
    from pydantic import SecretStr

    from mediagen.credentials import ApiKeyAuth

    auth = ApiKeyAuth(SecretStr("some-other-form-of-key"), loopback.url)
    loopback.script = [make_reply(status=403, body={"error": {"message": "some-other-form-of-key is blocked"}})]
    async with GeminiApi(auth=auth, key_source="GOOGLE_API_KEY", base_url=loopback.url) as api:
        with pytest.raises(AuthenticationError, match="GOOGLE_API_KEY") as caught:
            await api.submit(VIDEO)
    assert "other-form" not in str(caught.value)


async def test_poll_reads_the_state(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, captured_answer: Answers, sinks: Any
) -> None:
    loopback.script = [make_reply(body=captured_answer("interaction_completed_uri")[1])]
    polled = await api.poll("v1_abc", sinks.open)
    assert polled.state == "completed"
    assert loopback.received[0].target == "/v1beta/interactions/v1_abc?stream=false"


async def test_poll_quotes_odd_operation_names(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, sinks: Any
) -> None:
    loopback.script = [make_reply(body={"id": "x", "status": "queued"})]
    await api.poll("../files/x?y", sinks.open)
    assert loopback.received[0].path == "/v1beta/interactions/..%2Ffiles%2Fx%3Fy"


async def test_old_veo_operation_is_still_read(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, captured_answer: Answers, sinks: Any
) -> None:
    name = "models/veo-3.1-generate-preview/operations/abc123def456"
    loopback.script = [make_reply(body=captured_answer("veo_operation_done__gemini")[1])]
    polled = await api.poll(name, sinks.open)
    assert (polled.state, len(polled.outputs)) == ("completed", 1)
    assert (loopback.received[0].method, loopback.received[0].target) == ("GET", f"/v1beta/{name}")
    assert await api.cancel(name) is False
    assert len(loopback.received) == 1


async def test_clip_inside_the_answer_goes_to_its_sink(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, captured_answer: Answers, sinks: Any
) -> None:
    loopback.script = [make_reply(body=captured_answer("interaction_completed_inline")[1])]
    polled = await api.poll("v1_abc", sinks.open)
    assert [output.inline for output in polled.outputs] == [0]
    assert sinks.files[0][4:8] == b"ftyp"


async def test_veo_is_refused_before_anything_is_sent(api: GeminiApi, loopback: Loopback) -> None:
    with pytest.raises(InvalidRequestError, match="Vertex AI"):
        await api.submit(replace(VIDEO, api="predict_long_running"))
    assert not loopback.received


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": {"message": "Invalid interaction name", "code": "invalid_request"}}),
        (404, {"error": {"message": "not found", "code": "not_found"}}),
    ],
)
async def test_unknown_operation_is_told_as_such(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, status: int, body: dict[str, Any], sinks: Any
) -> None:
    loopback.script = [make_reply(status=status, body=body)]
    with pytest.raises(EndpointError) as caught:
        await api.poll("v1_gone", sinks.open)
    assert caught.value.code == "operation_unknown"


async def test_not_found_of_something_in_between_settles_nothing(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, sinks: Any
) -> None:
    loopback.script = [make_reply(status=404, body=b"<html>no such page</html>")]
    with pytest.raises(EndpointError) as caught:
        await api.poll("v1_abc", sinks.open)
    assert caught.value.code == "not_found"


async def test_poll_survives_failures_of_every_kind(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, captured_answer: Answers, naps: list[float], sinks: Any
) -> None:
    loopback.script = [
        make_reply(status=503, body=captured_answer("http_503_overloaded")[1], headers={"Retry-After": "7"}),
        make_reply(hang_up=True),
        make_reply(status=429, body=BUSY),
        make_reply(body=b"{}", cut_after=1),
        make_reply(body=captured_answer("interaction_in_progress")[1]),
    ]
    assert (await api.poll("v1_abc", sinks.open)).state == "running"
    assert 7 <= naps[0] <= 7.5
    assert naps[1] <= 2
    assert 26 <= naps[2] <= 26.5
    assert naps[3] <= 8


async def test_poll_gives_up_after_five_attempts(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, sinks: Any
) -> None:
    loopback.answer = lambda _: make_reply(status=500)
    with pytest.raises(UnavailableError):
        await api.poll("v1_abc", sinks.open)
    assert len(loopback.received) == 5


async def test_long_waits_are_left_to_the_caller(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, naps: list[float], sinks: Any
) -> None:
    loopback.answer = lambda _: make_reply(status=429, headers={"Retry-After": "3600"})
    with pytest.raises(RateLimitError) as caught:
        await api.poll("v1_abc", sinks.open)
    assert caught.value.retry_after == 3600
    assert not naps


@pytest.mark.parametrize(("status", "stopped"), [(200, True), (400, False), (404, False), (409, False)])
async def test_cancel_says_whether_it_stopped_anything(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, status: int, stopped: bool
) -> None:
    loopback.script = [make_reply(status=status, body=b"{}")]
    assert await api.cancel("v1_abc") is stopped
    assert (loopback.received[0].method, loopback.received[0].target) == ("POST", "/v1beta/interactions/v1_abc/cancel")


async def test_cancel_with_a_bad_key_is_an_error(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, captured_answer: Answers
) -> None:
    loopback.script = [make_reply(status=400, body=captured_answer("http_400_key_invalid")[1])]
    with pytest.raises(AuthenticationError):
        await api.cancel("v1_abc")


async def test_check_lists_the_models_of_all_pages(
    make_api: MakeApi, loopback: Loopback, make_reply: MakeReply
) -> None:
    date = {"Date": "Sat, 21 Nov 2026 07:00:42 GMT"}
    loopback.script = [
        make_reply(body={"models": [{"name": "models/a"}, {"name": "models/b"}], "nextPageToken": "t&2"}, headers=date),
        make_reply(body={"models": [{"name": "models/c"}]}),
    ]
    api = make_api(loopback.url, clock=lambda: datetime(2026, 11, 21, 7, 0, 0, tzinfo=UTC))
    found = await api.check()
    assert (found.reachable, found.key_ok, found.models, found.error) == (True, True, ("a", "b", "c"), None)
    assert found.clock_skew_seconds == 42
    assert found.latency_ms is not None
    assert [request.target for request in loopback.received] == [
        "/v1beta/models?pageSize=50",
        "/v1beta/models?pageSize=50&pageToken=t%262",
    ]


async def test_check_tells_a_refused_key(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, captured_answer: Answers
) -> None:
    loopback.script = [make_reply(status=400, body=captured_answer("http_400_key_invalid")[1])]
    found = await api.check()
    assert (found.reachable, found.key_ok) == (True, False)
    assert found.error is not None
    assert "GEMINI_API_KEY" in found.error


async def test_check_tells_that_nothing_answers(api: GeminiApi, loopback: Loopback, make_reply: MakeReply) -> None:
    loopback.answer = lambda _: make_reply(hang_up=True)
    found = await api.check()
    assert (found.reachable, found.key_ok, found.models) == (False, None, ())
    assert found.error


async def test_check_tells_a_page_that_is_not_the_api(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply
) -> None:
    loopback.script = [make_reply(body=b"<html>sign in</html>")]
    found = await api.check()
    assert (found.reachable, found.key_ok) == (True, None)
    assert found.error


async def test_logs_hold_no_key_prompt_or_query(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    loopback.script = [make_reply(status=400, body={"error": {"message": PROMPT}}), make_reply(body={"models": []})]
    with pytest.raises(EndpointError):
        await api.submit(VIDEO)
    await api.check()
    text = "\n".join(record.getMessage() for record in caplog.records)
    assert "POST /v1beta/interactions -> 400" in text
    for hidden in ("fox", "test-key", "pageSize"):
        assert hidden not in text


@respx.mock
async def test_default_address_is_googles_and_the_key_is_never_in_it(make_api: MakeApi) -> None:
    route = respx.get("https://generativelanguage.googleapis.com/v1beta/models").mock(
        return_value=httpx.Response(200, json={"models": []})
    )
    await make_api("https://generativelanguage.googleapis.com/").check()
    request = route.calls.last.request
    assert "test-key" not in str(request.url)
    assert request.headers["x-goog-api-key"] == "AQ.test-key-0123456789"
