import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from mediagen.credentials import Credential, sign_with
from mediagen.emulator.thread import EmulatorHandle
from mediagen.endpoints.base import Endpoint, Finished, PaidRequest
from mediagen.endpoints.cliproxy import BY_CHAT_ROUTE, CliProxy
from mediagen.endpoints.http import HttpSettings
from mediagen.endpoints.wire.chat_completions import chat_body
from mediagen.endpoints.wire.generate_content import encode_image
from mediagen.endpoints.wire.media import WireMedia
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
from mediagen.requests import ImageParameters

Answers = Callable[[str], tuple[int, bytes]]
Loopback = Any
MakeReply = Callable[..., Any]
MakeProxy = Callable[..., CliProxy]

KEY = "proxy-key-0123456789"
MODEL = "gemini-3.1-flash-image"
PROMPT = "a red fox that nobody may read about"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(40))
PARAMETERS = ImageParameters(model=MODEL, mode="image_edit", image_size="2K", aspect_ratio="16:9")
INPUT = WireMedia(mime_type="image/png", data=PNG)
CALL = PaidRequest(
    kind="image", model=MODEL, api="generate_content", body=encode_image(PARAMETERS, PROMPT, [INPUT], ["a brief"])
)
GEMINI = f"/v1beta/models/{MODEL}:generateContent"
MODELS = "/v1beta/models"
CHAT = "/v1/chat/completions"
URL = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
CHAT_ANSWER = {
    "choices": [
        {
            "message": {"role": "assistant", "content": None, "images": [{"image_url": {"url": URL}}]},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 5, "completion_tokens": 1120},
}


@pytest_asyncio.fixture
async def make_proxy(naps: Any) -> AsyncIterator[MakeProxy]:
    opened: list[CliProxy] = []

    def make(base_url: str, **http: Any) -> CliProxy:
        credential = Credential(kind="proxy_key", source="CLIPROXY_API_KEY", secret=SecretStr(KEY))
        opened.append(
            CliProxy(
                auth=sign_with(credential, base_url), base_url=base_url, http=HttpSettings(sleep=naps.sleep, **http)
            )
        )
        return opened[-1]

    yield make
    for proxy in opened:
        await proxy.aclose()


@pytest.fixture
def proxy(make_proxy: MakeProxy, loopback: Loopback) -> CliProxy:
    return make_proxy(loopback.url)


Serve = Callable[[dict[str, dict[str, Any]]], None]


@pytest.fixture
def serve(loopback: Loopback, make_reply: MakeReply) -> Serve:
    """Answers by path; what is not named is an unknown route: 404 without a body, as the proxy says it."""

    def answer(replies: dict[str, dict[str, Any]]) -> None:
        loopback.answer = lambda request: make_reply(**replies.get(request.path, {"status": 404}))

    return answer


def paths(loopback: Loopback) -> list[str]:
    return [request.path for request in loopback.received]


async def closed_port() -> int:
    server = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    server.close()
    return port


# Asking by the Gemini route


async def test_proxy_is_an_endpoint(proxy: CliProxy) -> None:
    endpoint: Endpoint = proxy
    assert endpoint is proxy


async def test_picture_is_asked_once_by_the_gemini_route_and_signed(
    proxy: CliProxy, loopback: Loopback, serve: Serve, captured_answer: Answers
) -> None:
    serve({GEMINI: {"body": captured_answer("image_ok")[1]}})
    finished = await proxy.submit(CALL)
    assert isinstance(finished, Finished)
    assert finished.image.mime_type == "image/png"
    assert finished.warnings == ()
    (request,) = loopback.received
    assert (request.method, request.target) == ("POST", GEMINI)
    assert json.loads(request.body) == CALL.body
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert "x-goog-api-key" not in request.headers


async def test_blank_lines_that_keep_the_connection_alive_are_read_over(
    proxy: CliProxy, serve: Serve, captured_answer: Answers
) -> None:
    serve({GEMINI: {"body": b"\n\n\n" + captured_answer("image_ok")[1]}})
    assert isinstance(await proxy.submit(CALL), Finished)


@pytest.mark.parametrize(
    ("kind", "api", "model"),
    [
        ("video", "interactions", "gemini-omni-1.2-flash"),
        ("video", "predict_long_running", "veo-3.1-generate-001"),
        ("image", "interactions", "x"),
        ("video", "generate_content", "x"),
    ],
)
async def test_clip_is_refused_before_anything_is_sent(
    proxy: CliProxy, loopback: Loopback, kind: Any, api: Any, model: str
) -> None:
    with pytest.raises(InvalidRequestError, match=r"no Veo.*cannot be asked again.*backend='vertex'") as caught:
        await proxy.submit(PaidRequest(kind=kind, model=model, api=api, body={}))
    assert caught.value.field == "backend"
    assert loopback.received == []


# Falling back to the chat route


@pytest.mark.parametrize(
    "unknown",
    [
        {"status": 404},
        {"status": 404, "body": b"404 page not found"},
        {"status": 405, "body": b"<html>Method Not Allowed</html>"},
        {"status": 404, "body": {"detail": "Not Found"}},
    ],
)
async def test_missing_gemini_route_is_made_sure_of_and_the_chat_route_asked(
    proxy: CliProxy, loopback: Loopback, serve: Serve, unknown: dict[str, Any]
) -> None:
    serve({GEMINI: unknown, MODELS: unknown, CHAT: {"body": CHAT_ANSWER}})
    finished = await proxy.submit(CALL)
    assert isinstance(finished, Finished)
    assert finished.picture.data == PNG
    assert finished.warnings == (BY_CHAT_ROUTE,)
    assert [(request.method, request.path) for request in loopback.received] == [
        ("POST", GEMINI),
        ("GET", MODELS),
        ("POST", CHAT),
    ]
    assert json.loads(loopback.received[2].body) == chat_body(CALL.body, MODEL)
    assert loopback.received[2].headers["authorization"] == f"Bearer {KEY}"


async def test_missing_gemini_route_is_remembered(proxy: CliProxy, loopback: Loopback, serve: Serve) -> None:
    serve({CHAT: {"body": CHAT_ANSWER}})
    await proxy.submit(CALL)
    await proxy.submit(CALL)
    assert paths(loopback) == [GEMINI, MODELS, CHAT, CHAT]


async def test_last_image_of_the_chat_answer_wins(proxy: CliProxy, serve: Serve) -> None:
    draft = f"data:image/png;base64,{base64.b64encode(b'draft').decode()}"
    images = [{"image_url": {"url": url}} for url in (draft, URL)]
    serve({CHAT: {"body": {"choices": [{"message": {"images": images}, "finish_reason": "stop"}]}}})
    finished = await proxy.submit(CALL)
    assert isinstance(finished, Finished)
    assert finished.picture.data == PNG


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"seed": 7}, "seed"), ({"thinking_level": "high"}, "thinking_level"), ({"search_grounding": True}, "search")],
)
async def test_field_that_the_chat_route_cannot_carry_stops_the_fallback(
    proxy: CliProxy, loopback: Loopback, serve: Serve, changes: dict[str, Any], field: str
) -> None:
    serve({CHAT: {"body": CHAT_ANSWER}})
    body = encode_image(replace(PARAMETERS, **changes), PROMPT, [])
    for _ in range(2):
        with pytest.raises(InvalidRequestError, match=field):
            await proxy.submit(PaidRequest(kind="image", model=MODEL, api="generate_content", body=body))
    assert paths(loopback) == [GEMINI, MODELS]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, {"error": {"code": 404, "message": "models/m is not found", "status": "NOT_FOUND"}}),
        (404, {"error": {"message": "no", "type": "invalid_request_error", "code": "model_not_found"}}),
        (400, {"error": {"message": "unknown provider for model m", "type": "i", "code": "model_not_found"}}),
    ],
)
async def test_unknown_model_is_no_missing_route(
    proxy: CliProxy, loopback: Loopback, serve: Serve, status: int, body: dict[str, Any]
) -> None:
    serve({GEMINI: {"status": status, "body": body}, CHAT: {"body": CHAT_ANSWER}})
    with pytest.raises(EndpointError, match=MODEL) as caught:
        await proxy.submit(CALL)
    assert (caught.value.code, caught.value.billed, caught.value.status_code) == ("model_not_found", "no", status)
    assert "check_api" in caught.value.hint
    assert paths(loopback) == [GEMINI]


@pytest.mark.parametrize(
    "models",
    [
        {"body": {"models": []}},
        {"status": 401, "body": {"error": "m"}},
        {"status": 404, "body": {"error": {"message": "Not Found", "type": "not_found"}}},
        {"status": 503},
        {"hang_up": True},
    ],
)
async def test_bare_404_of_a_route_that_exists_is_no_missing_route(
    proxy: CliProxy, loopback: Loopback, serve: Serve, models: dict[str, Any]
) -> None:
    serve({GEMINI: {"status": 404}, MODELS: models, CHAT: {"body": CHAT_ANSWER}})
    with pytest.raises(EndpointError) as caught:
        await proxy.submit(CALL)
    assert caught.value.code == "model_not_found"
    assert paths(loopback) == [GEMINI, MODELS]


async def test_program_without_either_route_is_named_and_not_remembered(
    proxy: CliProxy, loopback: Loopback, serve: Serve, captured_answer: Answers
) -> None:
    serve({})
    with pytest.raises(EndpointError, match="neither the Gemini route nor the chat route") as caught:
        await proxy.submit(CALL)
    assert caught.value.billed == "no"
    assert "CLIPROXY_BASE_URL" in caught.value.hint
    serve({GEMINI: {"body": captured_answer("image_ok")[1]}})
    finished = await proxy.submit(CALL)
    assert isinstance(finished, Finished)
    assert finished.warnings == ()


# Failures

ROUTES = pytest.mark.parametrize("route", [GEMINI, CHAT])


@ROUTES
@pytest.mark.parametrize(
    "reply",
    [
        {"hang_up": True},
        {"body": b'{"choices":[]}', "cut_after": 4},
        {"status": 503, "body": b'{"error":{}}', "cut_after": 4},
        {"status": 502, "body": b"<html>bad gateway</html>"},
        {"status": 500},
        {"status": 503},
        {"status": 408, "body": {"error": {"message": "stream closed", "type": "invalid_request_error"}}},
        {"status": 504, "body": {"error": {"message": "m", "type": "server_error", "code": "internal_server_error"}}},
    ],
)
async def test_request_of_unknown_outcome_is_never_sent_again_nor_by_the_other_route(
    proxy: CliProxy, loopback: Loopback, serve: Serve, route: str, reply: dict[str, Any]
) -> None:
    serve({route: reply})
    with pytest.raises(SubmissionUnconfirmedError) as caught:
        await proxy.submit(CALL)
    assert caught.value.billed == "unknown"
    assert paths(loopback) == ([GEMINI] if route == GEMINI else [GEMINI, MODELS, CHAT])


async def test_request_that_is_not_answered_in_time_is_unconfirmed(
    make_proxy: MakeProxy, loopback: Loopback, serve: Serve
) -> None:
    serve({GEMINI: {"silent": True}})
    with pytest.raises(SubmissionUnconfirmedError):
        await make_proxy(loopback.url, paid_read_seconds=0.02).submit(CALL)
    assert paths(loopback) == [GEMINI]


def said(message: str, kind: str = "server_error", code: str = "internal_server_error") -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "code": code}}


FAILURES = [
    (401, {"error": "Invalid API key"}, AuthenticationError, "authentication", "no", r"refused the key from CLIPROXY"),
    (401, {"error": "Missing API key"}, AuthenticationError, "authentication", "no", r"`api-keys` list.*CLIPROXY_API"),
    (401, b"<html>", AuthenticationError, "authentication", "no", "CLIPROXY_API_KEY"),
    (403, {"error": "unsafe_example_api_key"}, AuthenticationError, "authentication", "no", "the example's values"),
    (
        403,
        said("The caller does not have permission", "permission_error", "insufficient_quota"),
        AuthenticationError,
        "authentication",
        "no",
        r"CLIPROXY_API_KEY, or Google refused the account behind it.*does not have permission\. ",
    ),
    (429, said("slow down", "rate_limit_error", "x"), RateLimitError, "rate_limited", "no", "slow down"),
    (402, said("pay first"), RateLimitError, "quota_exhausted", "no", "account behind CLIProxyAPI has no quota"),
    (
        503,
        said("auth_unavailable: no auth available (providers=antigravity, model=m)"),
        UnavailableError,
        "unavailable",
        "unknown",
        "Log an account that has this model in",
    ),
    (500, said("upstream broke"), SubmissionUnconfirmedError, "unconfirmed", "unknown", "upstream broke"),
    (400, said("bad aspect ratio"), EndpointError, "invalid_argument", "no", "bad aspect ratio"),
    (413, b"", EndpointError, "request_too_large", "no", "fewer or smaller"),
    (301, b"", EndpointError, "redirected", "no", "redirected"),
    (200, b"", EndpointError, "empty_answer", "unknown", "empty answer"),
    (200, b"<html>hello</html>", EndpointError, "unreadable_answer", "unknown", "not JSON"),
    (200, said("broke while waiting"), EndpointError, "endpoint_error", "unknown", "broke while waiting"),
]


@ROUTES
@pytest.mark.parametrize(("status", "body", "kind", "code", "billed", "words"), FAILURES)
async def test_failure_is_told_in_words_of_the_proxy(
    proxy: CliProxy,
    loopback: Loopback,
    serve: Serve,
    route: str,
    status: int,
    body: Any,
    kind: type[MediaGenError],
    code: str,
    billed: str,
    words: str,
) -> None:
    serve({route: {"status": status, "body": body}})
    with pytest.raises(kind, match=words) as caught:
        await proxy.submit(CALL)
    assert (type(caught.value), caught.value.code, caught.value.billed) == (kind, code, billed)
    assert caught.value.__cause__ is not caught.value
    assert paths(loopback).count(route) == 1


async def test_pause_that_the_proxy_asks_for_is_kept_and_the_request_sent_again(
    proxy: CliProxy, loopback: Loopback, make_reply: MakeReply, naps: list[float], captured_answer: Answers
) -> None:
    busy = said("All credentials for model m are cooling down", code="model_cooldown")
    loopback.script = [
        make_reply(status=429, body=busy, headers={"Retry-After": "7"}),
        make_reply(body=captured_answer("image_ok")[1]),
    ]
    assert isinstance(await proxy.submit(CALL), Finished)
    assert 7 <= naps[0] <= 7.5


async def test_filtered_picture_names_googles_reason(proxy: CliProxy, serve: Serve) -> None:
    serve({CHAT: {"body": {"choices": [{"message": {}, "finish_reason": "image_safety"}]}}})
    with pytest.raises(ContentFilteredError) as caught:
        await proxy.submit(CALL)
    assert (caught.value.code, caught.value.reason) == ("image_safety", "IMAGE_SAFETY")


async def test_proxy_that_does_not_run_is_told_with_what_to_start(make_proxy: MakeProxy) -> None:
    url = f"http://127.0.0.1:{await closed_port()}"
    with pytest.raises(UnavailableError, match=url) as caught:
        await make_proxy(url).submit(CALL)
    assert caught.value.billed == "no"
    assert "Nothing was sent" in caught.value.hint
    assert "Start CLIProxyAPI" in caught.value.hint


@ROUTES
@pytest.mark.parametrize("status", [400, 401, 403, 429, 500])
async def test_neither_key_nor_prompt_comes_back_in_an_error(
    proxy: CliProxy, serve: Serve, route: str, status: int
) -> None:
    serve({route: {"status": status, "body": said(f"prompt {PROMPT} of Bearer {KEY} and {KEY} is wrong")}})
    with pytest.raises(MediaGenError) as caught:
        await proxy.submit(CALL)
    assert PROMPT not in str(caught.value)
    assert KEY not in str(caught.value)


# What the proxy does not have


@pytest.mark.parametrize(
    "use",
    [
        lambda proxy: proxy.poll("op", None),
        lambda proxy: proxy.cancel("op"),
        lambda proxy: proxy.download("https://x.test/a", None),
        lambda proxy: proxy.upload(Path("a.png"), "image/png"),
    ],
)
async def test_jobs_and_files_do_not_exist(proxy: CliProxy, loopback: Loopback, use: Any) -> None:
    with pytest.raises(EndpointError, match="pictures only") as caught:
        await use(proxy)
    assert (caught.value.code, caught.value.billed) == ("not_supported", "no")
    assert loopback.received == []


async def test_probe_is_not_offered_and_sends_nothing(proxy: CliProxy, loopback: Loopback) -> None:
    found = await proxy.probe(MODEL, CALL.body)
    assert found.accepted is None
    assert "without carrying it out" in found.message
    assert loopback.received == []


@pytest.mark.parametrize(
    "base_url",
    ["", "ftp://x.test", "http://", "http://u:p@x.test", "http://x.test?k=1", "http://x.test/v1", "http://x/v1beta/"],
)
async def test_unusable_address_is_refused_by_variable(make_proxy: MakeProxy, base_url: str) -> None:
    with pytest.raises(ConfigurationError, match="CLIPROXY_BASE_URL"):
        CliProxy(auth=sign_with(_credential(), "http://127.0.0.1:8317"), base_url=base_url)


def _credential() -> Credential:
    return Credential(kind="proxy_key", source="CLIPROXY_API_KEY", secret=SecretStr(KEY))


async def test_address_in_the_own_network_may_be_http(make_proxy: MakeProxy) -> None:
    assert make_proxy("http://192.168.0.9:8317/").base_url == "http://192.168.0.9:8317"


# Checking

OK = {"body": {"status": "ok"}}
LIST = {"body": {"object": "list", "data": [{"id": MODEL, "object": "model"}, {"id": "gpt-5"}, {"id": MODEL}, {}]}}


async def test_check_finds_proxy_key_and_models(proxy: CliProxy, loopback: Loopback, serve: Serve) -> None:
    serve({"/healthz": OK, "/v1/models": LIST})
    found = await proxy.check()
    assert (found.reachable, found.key_ok, found.error) == (True, True, None)
    assert found.models == (MODEL, "gpt-5")
    assert found.latency_ms is not None
    health, models = loopback.received
    assert "authorization" not in health.headers
    assert models.headers["authorization"] == f"Bearer {KEY}"
    assert {health.method, models.method} == {"GET"}


async def test_check_takes_an_old_proxy_without_healthz(proxy: CliProxy, serve: Serve) -> None:
    serve({"/v1/models": LIST})
    assert (await proxy.check()).key_ok is True


async def test_check_tells_that_nothing_listens(make_proxy: MakeProxy, naps: list[float]) -> None:
    url = f"http://127.0.0.1:{await closed_port()}"
    found = await make_proxy(url).check()
    assert (found.reachable, found.key_ok) == (False, None)
    assert found.error is not None
    assert url in found.error
    assert "Start CLIProxyAPI" in found.error
    assert "CLIPROXY_BASE_URL" in found.error
    assert naps == []


@pytest.mark.parametrize(
    "replies",
    [
        {"/healthz": {"body": b"<html>welcome</html>"}, "/v1/models": LIST},
        {"/healthz": {"status": 503}, "/v1/models": LIST},
        {"/healthz": {"status": 302, "headers": {"Location": "/login"}}},
        {"/healthz": OK},
        {"/healthz": OK, "/v1/models": {"body": b"[]"}},
        {"/healthz": OK, "/v1/models": {"body": {"models": []}}},
        {"/healthz": OK, "/v1/models": {"status": 401, "body": b"<html>log in</html>"}},
        {},
    ],
)
async def test_check_tells_that_something_else_listens(
    proxy: CliProxy, loopback: Loopback, serve: Serve, replies: dict[str, Any]
) -> None:
    serve(replies)
    found = await proxy.check()
    assert (found.reachable, found.key_ok, found.models) == (True, None, ())
    assert found.error is not None
    assert found.error.startswith(f"Something other than CLIProxyAPI answers at {loopback.url}")


async def test_check_shows_the_key_to_nobody_but_a_proxy(proxy: CliProxy, loopback: Loopback, serve: Serve) -> None:
    serve({"/healthz": {"body": b"<html>welcome</html>"}})
    await proxy.check()
    assert all(KEY not in str(request.headers) for request in loopback.received)


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [(401, "Invalid API key", "refused the key from"), (403, "unsafe_example_api_key", "the example's values")],
)
async def test_check_tells_that_the_key_was_refused(
    proxy: CliProxy, serve: Serve, status: int, error: str, words: str
) -> None:
    serve({"/healthz": OK, "/v1/models": {"status": status, "body": {"error": error}}})
    found = await proxy.check()
    assert (found.reachable, found.key_ok) == (True, False)
    assert found.error is not None
    for part in (words, "`api-keys`", "CLIPROXY_API_KEY"):
        assert part in found.error


async def test_check_tells_of_a_proxy_without_accounts(proxy: CliProxy, serve: Serve) -> None:
    serve({"/healthz": OK, "/v1/models": {"body": {"object": "list", "data": []}}})
    found = await proxy.check()
    assert found.key_ok is True
    assert found.error is not None
    assert "logged in" in found.error


# Against the emulator's proxy


@pytest.fixture
def emulated(make_proxy: MakeProxy, emulator: EmulatorHandle) -> CliProxy:
    return make_proxy(f"{emulator.url}/cliproxy")


def asked(emulator: EmulatorHandle) -> int:
    return int(emulator.bill()["paid_submissions"])


SIMPLE = replace(CALL, body=encode_image(PARAMETERS, PROMPT))


@pytest.mark.parametrize(
    ("faults", "warnings"), [([], ()), ([{"fault": "no_passthrough", "times": 9}], (BY_CHAT_ROUTE,))]
)
async def test_emulated_proxy_makes_the_picture_and_bills_once(
    emulated: CliProxy, emulator: EmulatorHandle, faults: list[dict[str, Any]], warnings: tuple[str, ...]
) -> None:
    for fault in faults:
        emulator.add_fault(**fault)
    finished = await emulated.submit(SIMPLE)
    assert isinstance(finished, Finished)
    assert finished.warnings == warnings
    assert finished.image.usage is not None
    assert finished.picture.data.startswith((b"\x89PNG", b"\xff\xd8\xff"))
    assert asked(emulator) == 1


async def test_emulated_drafts_are_not_taken_for_the_picture(emulated: CliProxy, emulator: EmulatorHandle) -> None:
    emulator.add_fault(fault="no_passthrough", times=9)
    emulator.add_fault(fault="thought_parts")
    finished = await emulated.submit(SIMPLE)
    assert isinstance(finished, Finished)
    made = [hashlib.sha256(finished.picture.data).hexdigest()]
    assert made == [entry["sha256"] for entry in emulator.files()][-1:]
    assert finished.image.image_count > 1


async def test_emulated_model_that_no_account_has_is_named_and_not_billed(
    emulated: CliProxy, emulator: EmulatorHandle
) -> None:
    with pytest.raises(EndpointError) as caught:
        await emulated.submit(replace(SIMPLE, model="gemini-nano-banana-9"))
    assert caught.value.code == "model_not_found"
    assert asked(emulator) == 0


async def test_emulated_picture_lost_after_it_was_accepted_is_not_asked_for_again(
    emulated: CliProxy, emulator: EmulatorHandle
) -> None:
    emulator.add_fault(fault="drop_after_accept")
    with pytest.raises(SubmissionUnconfirmedError):
        await emulated.submit(SIMPLE)
    assert asked(emulator) == 1


async def test_emulated_proxy_is_checked_for_free(emulated: CliProxy, emulator: EmulatorHandle) -> None:
    found = await emulated.check()
    assert (found.reachable, found.key_ok, found.models, found.error) == (True, True, (MODEL,), None)
    assert asked(emulator) == 0
