"""How often, and how many at once: for each principal, so that one does not take the server from the others."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mediagen.server.http.answers import refusal

# Of callers without a valid token, by their address: somebody who guesses.
WRONG_TOKENS_PER_MINUTE: Final = 60
MOST_BUCKETS: Final = 10_000
SECONDS_UNTIL_FREE: Final = 2


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class Buckets:
    """A token bucket for each name: so many at once, then as many a minute."""

    def __init__(self, per_minute: int, *, seconds: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._seconds = seconds
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, name: str, *, cost: int = 1) -> float:
        """Take from a bucket; returns 0, or after how many seconds there is something in it again."""
        now = self._seconds()
        bucket = self._buckets.setdefault(name, _Bucket(left=float(self._per_minute), at=now))
        self._buckets.move_to_end(name)
        # A full bucket is the same as none, so that the oldest can be forgotten.
        while len(self._buckets) > MOST_BUCKETS:
            self._buckets.popitem(last=False)
        rate = self._per_minute / 60
        bucket.left = min(float(self._per_minute), bucket.left + (now - bucket.at) * rate)
        bucket.at = now
        if bucket.left < 1:
            return (1 - bucket.left) / rate
        bucket.left -= cost
        return 0.0


class Limits:
    """ASGI middleware behind authentication; callers of this machine without a token are not limited."""

    def __init__(
        self, app: ASGIApp, per_minute: int, at_once: int, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._app = app
        self._at_once = at_once
        self._calls = Buckets(per_minute, seconds=seconds)
        self._wrong = Buckets(WRONG_TOKENS_PER_MINUTE, seconds=seconds)
        self._in_flight: dict[str, int] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it with 429."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        user = scope.get("user")
        if isinstance(user, AuthenticatedUser):
            await self._of_principal(user.access_token.client_id, scope, receive, send)
        else:
            await self._of_nobody(scope, receive, send)

    async def _of_principal(self, principal: str, scope: Scope, receive: Receive, send: Send) -> None:
        if wait := self._calls.take(principal):
            await _too_many("too many requests in a minute", wait)(scope, receive, send)
            return
        counts = not _is_stream(scope)
        if counts and self._in_flight.get(principal, 0) >= self._at_once:
            busy = "1 request is" if self._at_once == 1 else f"{self._at_once} requests are"
            await _too_many(f"{busy} being answered already", SECONDS_UNTIL_FREE)(scope, receive, send)
            return
        self._count(principal, counts)
        try:
            await self._app(scope, receive, send)
        finally:
            self._count(principal, -counts)

    def _count(self, principal: str, change: int) -> None:
        self._in_flight[principal] = self._in_flight.get(principal, 0) + change
        if self._in_flight[principal] <= 0:
            del self._in_flight[principal]

    async def _of_nobody(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _header(scope, b"authorization"):
            # Nothing is guessed: a probe, a link, or a client that asks how to log in.
            await self._app(scope, receive, send)
            return
        address = (scope.get("client") or ("", 0))[0]
        if wait := self._wrong.take(address, cost=0):
            await _too_many("too many requests without a valid token", wait)(scope, receive, send)
            return

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 401:
                self._wrong.take(address)
            await send(message)

        await self._app(scope, receive, watched)


def _is_stream(scope: Scope) -> bool:
    """Whether it is a stream of notifications, which lasts as long as its client. A header that lies is refused."""
    return scope["method"] == "GET" or _header(scope, b"mcp-method") == b"subscriptions/listen"


def _header(scope: Scope, name: bytes) -> bytes:
    return next((value for key, value in scope["headers"] if key.lower() == name), b"")


def _too_many(why: str, wait: float) -> ASGIApp:
    seconds = max(1, math.ceil(wait))
    return refusal(429, "rate_limited", f"{why.capitalize()}; try again in {seconds} s.", retry_after=seconds)
