"""Who is let in at all: host names, web origins, and nobody new while the server ends."""

from typing import Final

import anyio
from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mediagen.server.http.answers import refusal
from mediagen.server.outgoing import Outgoing, through

HEALTH: Final = "/health"
READY: Final = "/ready"
RETRY_SECONDS: Final = 5


class Draining:
    """Whether the server ends, and what it still answers."""

    def __init__(self) -> None:
        self.has_begun = False
        self._answering: set[anyio.CancelScope] = set()

    def begin(self) -> None:
        """Let nobody new in."""
        self.has_begun = True

    @property
    def is_idle(self) -> bool:
        """Whether everything is answered."""
        return not self._answering

    def cut(self) -> None:
        """End what is still being answered, such as streams that last as long as their client."""
        for scope in self._answering:
            scope.cancel()

    async def answer(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Let an app answer a request; one that is cut off ends as an answer does that is complete."""
        reply = _Reply(send)
        with anyio.CancelScope() as cancel, through(reply.outgoing):
            self._answering.add(cancel)
            try:
                await app(scope, receive, reply.send)
            finally:
                self._answering.discard(cancel)
        if cancel.cancelled_caught:
            await reply.complete(scope, receive)


class _Reply:
    """Knows how far an answer is."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.outgoing = Outgoing()
        self._has_begun = self._is_complete = False

    async def send(self, message: Message) -> None:
        """Pass a part of the answer on."""
        self._has_begun = True
        self._is_complete = message["type"] == "http.response.body" and not message.get("more_body", False)
        await self._send(message)
        if self.outgoing.is_wanted:
            self.outgoing.left(message.get("body", b"").decode("utf-8", "replace"))

    async def complete(self, scope: Scope, receive: Receive) -> None:
        """Say that nothing more comes."""
        if not self._has_begun:
            await _ending()(scope, receive, self._send)
        elif not self._is_complete:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def _ending() -> ASGIApp:
    return refusal(503, "ending", "The server is about to end; try again.", retry_after=RETRY_SECONDS)


class Doors:
    """ASGI middleware in front of everything."""

    def __init__(self, app: ASGIApp, security: TransportSecuritySettings, draining: Draining) -> None:
        self._app = app
        self._checks = TransportSecurityMiddleware(security)
        self._draining = draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or refuse it with 421, 403 or 503."""
        # Whatever watches the server asks by its bare address, and is told nothing.
        if scope["type"] != "http" or scope["path"] in {HEALTH, READY}:
            await self._app(scope, receive, send)
            return
        if self._draining.has_begun:
            await _ending()(scope, receive, send)
            return
        if refused := await self._checks.validate_request(Request(scope)):
            await refused(scope, receive, send)
            return
        await self._draining.answer(self._app, scope, receive, send)
