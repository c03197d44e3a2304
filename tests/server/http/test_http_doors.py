"""Who is let in over HTTP, how often, and how much at once."""

import asyncio
from typing import Any

import httpx
import pytest
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send
from tests.server.http.conftest import HOST, SECRET, HttpServer, StartServer
from tests.server.http.issuer import AUDIENCE, Issuer

from mediagen.server.http.limits import MOST_BUCKETS, WRONG_TOKENS_PER_MINUTE, Buckets, Limits

HELLO: dict[str, Any] = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}
ACCEPT = {"Accept": "application/json, text/event-stream"}


def hello(server: HttpServer, *, token: str | None = None, **headers: str) -> httpx.Response:
    return server.request("POST", "/mcp", token=token, json=HELLO, headers={**ACCEPT, **headers})


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example:80", "media.example.com.evil.example", "evil.example:80", "", "*"]
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/mcp"), ("POST", "/files"), ("GET", "/files/art_1")])
def test_another_host_name_is_refused_before_anything_else(shared: HttpServer, host: str, method: str, path: str):
    answer = shared.request(method, path, token=SECRET, headers={"Host": host})
    # Without any name the HTTP library itself answers.
    assert answer.status_code in ({421} if host else {400, 421})


@pytest.mark.parametrize("host", [HOST, f"{HOST}:8443", "127.0.0.1:1", "localhost:1", "[::1]:1"])
def test_own_host_names_are_let_in(shared: HttpServer, host: str):
    assert hello(shared, token=SECRET, Host=host).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://app.example.com.evil.example", "file://"])
@pytest.mark.parametrize(("method", "path"), [("POST", "/mcp"), ("POST", "/files"), ("GET", "/files/art_1")])
def test_pages_of_another_origin_are_refused(shared: HttpServer, origin: str, method: str, path: str):
    answer = shared.request(method, path, token=SECRET, headers={"Origin": origin})
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("origin", ["https://app.example.com", AUDIENCE, "http://localhost:3000"])
def test_pages_of_own_and_allowed_origins_are_let_in(shared: HttpServer, origin: str):
    assert hello(shared, token=SECRET, Origin=origin).status_code == 200


def test_a_page_of_an_allowed_origin_may_ask_with_a_token(shared: HttpServer):
    asked = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"}
    asked["Access-Control-Request-Headers"] = "authorization,content-type,mcp-session-id"
    answer = shared.request("OPTIONS", "/mcp", headers=asked)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://app.example.com"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("token", [None, "wrong", f"{SECRET}x", SECRET[:-1], SECRET.upper(), "a.b.c"])
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/mcp"), ("GET", "/mcp"), ("DELETE", "/mcp"), ("POST", "/files")]
)
def test_without_a_valid_token_the_way_to_one_is_told(shared: HttpServer, token: str | None, method: str, path: str):
    answer = shared.request(method, path, token=token)
    if answer.status_code == 429:
        pytest.skip("too many wrong tokens from this address, which another test is about")
    assert answer.status_code == 401
    metadata = f'resource_metadata="{AUDIENCE}/.well-known/oauth-protected-resource"'
    assert metadata in answer.headers["www-authenticate"]


def test_the_metadata_name_the_issuer_and_this_server(shared: HttpServer, issuer: Issuer):
    told = shared.get("/.well-known/oauth-protected-resource").json()
    assert told["resource"].rstrip("/") == AUDIENCE
    assert [server.rstrip("/") for server in told["authorization_servers"]] == [issuer.url]
    assert told["scopes_supported"] == ["media"]


@pytest.mark.parametrize("path", ["/mcp", "/files"])
def test_a_token_without_the_scope_is_refused_as_such(shared: HttpServer, issuer: Issuer, path: str):
    answer = shared.request("POST", path, token=issuer.token("eve", scope="other"), json=HELLO, headers=ACCEPT)
    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


def test_a_token_in_the_address_is_none(shared: HttpServer):
    assert shared.request("POST", f"/mcp?access_token={SECRET}", json=HELLO, headers=ACCEPT).status_code in {401, 429}


def test_a_body_that_is_too_large_is_refused(shared: HttpServer):
    large = b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"' + b"x" * 4 * 1024**2 + b'"}}'
    headers = {**ACCEPT, "Content-Type": "application/json"}
    assert shared.request("POST", "/mcp", token=SECRET, content=large, headers=headers).status_code == 413
    pieces = iter([large[:1000], large[1000:]])
    assert shared.request("POST", "/mcp", token=SECRET, content=pieces, headers=headers).status_code == 413


def test_probes_tell_nothing_and_need_nothing(shared: HttpServer):
    for path, word in {"/health": "ok", "/ready": "ready"}.items():
        answer = shared.get(path, headers={"Host": "10.0.0.7:8000"})
        assert (answer.status_code, answer.text) == (200, word)
        assert "server" not in answer.headers


def test_requests_of_one_principal_are_limited_and_those_of_another_are_not(start: StartServer, issuer: Issuer):
    server = start(
        MEDIAGEN_HTTP_ISSUER=issuer.url, MEDIAGEN_HTTP_PUBLIC_URL=AUDIENCE, MEDIAGEN_HTTP_CALLS_PER_MINUTE="5"
    )
    ada, bob = issuer.token("ada"), issuer.token("bob")
    assert [hello(server, token=ada).status_code for _ in range(5)] == [200] * 5
    # One comes back every twelve seconds.
    refused = next(answer for answer in (hello(server, token=ada) for _ in range(50)) if answer.status_code != 200)
    assert refused.status_code == 429
    assert refused.json()["error"] == "rate_limited"
    assert 1 <= int(refused.headers["retry-after"]) <= 12
    assert hello(server, token=bob).status_code == 200
    assert server.get("/health").status_code == 200


class Inner:
    """An app behind the limits, which answers when it is told to."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.answering = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.answering += 1
        await self.goes_on.wait()
        await Response(status_code=self.status)(scope, receive, send)


async def asked(
    limits: Limits,
    principal: str | None = None,
    method: str = "POST",
    *,
    address: str = "10.0.0.1",
    header: tuple[bytes, bytes] = (b"authorization", b"Bearer guess"),
) -> int:
    """Status that a request gets."""
    return int((await messages_to(limits, principal, method, address, header))[0]["status"])


async def messages_to(
    limits: Limits,
    principal: str | None = None,
    method: str = "POST",
    address: str = "10.0.0.1",
    header: tuple[bytes, bytes] = (b"authorization", b"Bearer guess"),
) -> list[Message]:
    told: list[Message] = []
    client = (address, 1)
    scope: dict[str, Any] = {"type": "http", "method": method, "path": "/mcp", "headers": [header], "client": client}
    if principal:
        scope["user"] = AuthenticatedUser(AccessToken(token="", client_id=principal, scopes=[]))

    async def send(message: Message) -> None:
        told.append(message)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    await limits(scope, receive, send)
    return told


async def test_who_guesses_tokens_is_slowed_down_and_others_are_not():
    now, inner = 0.0, Inner(401)
    limits = Limits(inner, per_minute=1000, at_once=10, seconds=lambda: now)
    assert [await asked(limits) for _ in range(WRONG_TOKENS_PER_MINUTE + 2)][-3:] == [401, 429, 429]
    assert await asked(limits, address="10.0.0.2") == 401
    # Who guesses nothing is not slowed down: a probe, a link, somebody else behind the same address.
    assert await asked(limits, header=(b"accept", b"*/*")) == 401
    inner.status = 200
    assert await asked(limits, "ada") == 200
    now = 1.1
    assert await asked(limits) == 200


async def test_calls_of_one_principal_at_once_are_limited():
    inner = Inner()
    limits = Limits(inner, per_minute=1000, at_once=2)
    inner.goes_on.clear()
    calls = [asyncio.create_task(asked(limits, "ada")) for _ in range(2)]
    listens = (b"mcp-method", b"subscriptions/listen")
    streams = [asyncio.create_task(asked(limits, "ada", "GET")) for _ in range(3)]
    streams += [asyncio.create_task(asked(limits, "ada", header=listens)) for _ in range(3)]
    while inner.answering < 8:
        await asyncio.sleep(0)
    assert await asked(limits, "ada") == 429
    calls.append(asyncio.create_task(asked(limits, "bob")))
    inner.goes_on.set()
    assert await asyncio.gather(*calls, *streams) == [200] * 9
    assert await asked(limits, "ada") == 200


@pytest.mark.parametrize(
    ("at_once", "words"),
    [(1, b"1 request is being answered already"), (2, b"2 requests are being answered already")],
)
async def test_refusal_says_how_many_are_being_answered(at_once: int, words: bytes):
    inner = Inner()
    limits = Limits(inner, per_minute=1000, at_once=at_once)
    inner.goes_on.clear()
    calls = [asyncio.create_task(asked(limits, "ada")) for _ in range(at_once)]
    while inner.answering < at_once:
        await asyncio.sleep(0)
    refused = await messages_to(limits, "ada")
    inner.goes_on.set()
    assert await asyncio.gather(*calls) == [200] * at_once
    assert words in refused[1]["body"]


def test_callers_of_this_machine_need_no_token_and_are_not_limited(start: StartServer):
    server = start(MEDIAGEN_HTTP_CALLS_PER_MINUTE="1")
    assert [hello(server).status_code for _ in range(3)] == [200] * 3
    assert hello(server, token="whatever").status_code == 200
    assert hello(server, Host="evil.example").status_code == 421
    assert hello(server, Origin="https://evil.example").status_code == 403


def test_a_bucket_fills_again_with_time():
    now = 0.0
    buckets = Buckets(60, seconds=lambda: now)
    assert [buckets.take("ada") for _ in range(60)] == [0] * 60
    assert buckets.take("ada") == pytest.approx(1.0)
    assert buckets.take("bob") == 0
    now = 2.5
    assert [buckets.take("ada") == 0 for _ in range(3)] == [True, True, False]
    now = 1e9
    assert [buckets.take("ada") == 0 for _ in range(61)] == [True] * 60 + [False]


def test_buckets_are_bounded_however_many_names_come():
    buckets = Buckets(60, seconds=lambda: 0.0)
    for number in range(MOST_BUCKETS + 10):
        assert buckets.take(str(number)) == 0
    assert len(buckets._buckets) == MOST_BUCKETS
