"""Who is let in at all: host names, web origins, and nobody new while the server ends."""

from typing import Final

from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from mediagen.server.http.answers import refusal

HEALTH: Final = "/health"
READY: Final = "/ready"
RETRY_SECONDS: Final = 5


class Draining:
    """Whether the server ends, and what it still answers."""

    def __init__(self) -> None:
        self.has_begun = False
        self.in_flight = 0

    def begin(self) -> None:
        """Let nobody new in."""
        self.has_begun = True


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
            await refusal(503, "ending", "The server is about to end; try again.", retry_after=RETRY_SECONDS)(
                scope, receive, send
            )
            return
        if refused := await self._checks.validate_request(Request(scope)):
            await refused(scope, receive, send)
            return
        self._draining.in_flight += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._draining.in_flight -= 1
