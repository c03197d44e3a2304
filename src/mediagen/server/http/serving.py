"""The HTTP server: its routes, what stands in front of them, and how it ends."""

import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import FrameType
from typing import Final

import anyio
import uvicorn
from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import BearerAuthBackend, RequireAuthMiddleware
from mcp.server.auth.routes import build_resource_metadata_url, create_protected_resource_routes
from pydantic import AnyHttpUrl
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from mediagen.errors import MediaGenError
from mediagen.server.build import build_server
from mediagen.server.http.access import Access
from mediagen.server.http.doors import HEALTH, READY, Doors, Draining
from mediagen.server.http.files import Files
from mediagen.server.http.front import Front
from mediagen.server.http.keys import IssuerKeys
from mediagen.server.http.limits import Limits
from mediagen.server.http.links import FILES
from mediagen.server.http.tokens import Verifier

logger = logging.getLogger(__name__)

# Together less than the five seconds after which whoever ends us loses patience.
DRAIN_SECONDS: Final = 1
CANCEL_SECONDS: Final = 1
READY_SECONDS: Final = 2
READY_KEPT_SECONDS: Final = 1
UPLOADS_SWEPT_SECONDS: Final = 3600


def serve(access: Access, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT; what was paid for is in the ledger, whoever goes on with it."""
    draining = Draining()
    config = uvicorn.Config(
        http_app(access, host, draining),
        host=host,
        port=port,
        log_level="warning",
        # Addresses of files hold their signatures.
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=CANCEL_SECONDS,
    )
    _Server(config, draining).run()


class _Server(uvicorn.Server):
    """Answers what it has begun, refuses what is new, and then cuts off the streams that never end."""

    def __init__(self, config: uvicorn.Config, draining: Draining) -> None:
        super().__init__(config)
        self._draining = draining
        self._end_at = 0.0

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """Begin to end; told twice, end at once."""
        if self._draining.has_begun:
            self.should_exit = self.force_exit = True
        self._end_at = time.monotonic() + DRAIN_SECONDS
        self._draining.begin()

    async def on_tick(self, counter: int) -> bool:
        """Whether it is time to close: everything is answered, or has had its time."""
        if self._draining.has_begun:
            if time.monotonic() > self._end_at:
                self._draining.cut()
            self.should_exit |= self._draining.is_idle
        return await super().on_tick(counter)


def http_app(access: Access, host: str, draining: Draining) -> ASGIApp:
    """The whole application."""
    front = Front(is_shared=access.is_shared)
    server = build_server(access.settings, front=front)
    mcp = server.streamable_http_app(host=host, transport_security=access.security)
    files = Files(front)
    probes = _Probes(front, draining)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:  # noqa: ARG001 - Starlette's signature
        async with mcp.router.lifespan_context(mcp), anyio.create_task_group() as group:
            group.start_soon(_sweep_uploads, front)
            yield
            group.cancel_scope.cancel()

    routes = [
        Route(HEALTH, probes.health),
        Route(READY, probes.ready),
        *_metadata_routes(access),
        Route(FILES, files.receive, methods=["POST"], middleware=_guards(access)),
        Route(f"{FILES}/{{artifact_id}}", files.give),
        Mount("/", mcp, middleware=_guards(access)),
    ]
    return Doors(Starlette(routes=routes, middleware=_middleware(access), lifespan=lifespan), access.security, draining)


def _middleware(access: Access) -> list[Middleware]:
    settings, found = access.settings, []
    if settings.http_allowed_origins:
        found.append(
            Middleware(
                CORSMiddleware,
                allow_origins=list(settings.http_allowed_origins),
                allow_methods=["GET", "POST", "DELETE"],
                allow_headers=["*"],
                expose_headers=["Mcp-Session-Id", "WWW-Authenticate", "Retry-After"],
            )
        )
    if not access.is_shared:
        return found
    keys = IssuerKeys(settings.http_issuer, settings.http_jwks_url) if settings.http_issuer else None
    backend = BearerAuthBackend(Verifier(settings, keys), resource_server_url=_resource(access))
    return [
        *found,
        Middleware(AuthenticationMiddleware, backend=backend),
        Middleware(AuthContextMiddleware),
        Middleware(Limits, per_minute=settings.http_calls_per_minute, at_once=settings.http_calls_at_once),
    ]


def _guards(access: Access) -> list[Middleware]:
    """What keeps out those who do not say who they are, where that is asked for."""
    if not access.is_shared:
        return []
    told = build_resource_metadata_url(_resource(access)) if access.settings.http_issuer else None
    scopes = list(access.settings.http_scopes)
    return [Middleware(RequireAuthMiddleware, required_scopes=scopes, resource_metadata_url=told)]


def _metadata_routes(access: Access) -> list[Route]:
    settings = access.settings
    if settings.http_issuer is None:
        return []
    return create_protected_resource_routes(
        resource_url=_resource(access),
        authorization_servers=[AnyHttpUrl(settings.http_issuer)],
        scopes_supported=list(settings.http_scopes) or None,
        resource_name="mediagen",
    )


def _resource(access: Access) -> AnyHttpUrl:
    return AnyHttpUrl(access.settings.http_public_url or "")


class _Probes:
    """Answers whatever watches the server; tells no more than yes or no."""

    def __init__(self, front: Front, draining: Draining) -> None:
        self._front = front
        self._draining = draining
        self._was_ready = False
        self._asked_at = float("-inf")

    async def health(self, request: Request) -> Response:  # noqa: ARG002 - Starlette's signature
        """Whether the process is up."""
        return PlainTextResponse("ok")

    async def ready(self, request: Request) -> Response:  # noqa: ARG002 - Starlette's signature
        """Whether it takes calls: it is not about to end, and the ledger can be read."""
        if self._draining.has_begun or not await self._reads_ledger():
            return PlainTextResponse("not ready", status_code=503)
        return PlainTextResponse("ready")

    async def _reads_ledger(self) -> bool:
        # Everybody may ask, so not every question is one to the disk.
        if time.monotonic() - self._asked_at > READY_KEPT_SECONDS:
            self._asked_at = time.monotonic()
            self._was_ready = False
            with anyio.move_on_after(READY_SECONDS):
                self._was_ready = await _can_read(self._front)
        return self._was_ready


async def _can_read(front: Front) -> bool:
    if not front.is_open:
        return False
    try:
        await front.app.generator.ledger.list_jobs(limit=1)
    except MediaGenError as error:
        logger.warning("not ready: %s", error.code)
        return False
    return True


async def _sweep_uploads(front: Front) -> None:
    while True:
        try:
            await front.app.uploads.sweep()
        except OSError as error:
            logger.warning("old uploads could not be removed: %s", type(error).__name__)
        await anyio.sleep(UPLOADS_SWEPT_SECONDS)
