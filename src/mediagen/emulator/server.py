"""The web server under the emulator: uvicorn, with a way to break connections and to end when idle."""

import asyncio
import socket
from collections.abc import Callable

import uvicorn
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from mediagen.emulator.answers import TRANSPORT
from mediagen.emulator.settings import EmulatorSettings
from mediagen.errors import ConfigurationError

GRACE_SECONDS = 1


class ConnectionProtocol(H11Protocol):
    """HTTP/1.1 that hands the connection to the application, so that it can drop it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in the base class
        """Remember the connection for the application."""
        app = self.app

        async def with_transport(scope: Scope, receive: Receive, send: Send) -> None:
            scope[TRANSPORT] = transport
            await app(scope, receive, send)

        self.app = with_transport
        super().connection_made(transport)


class EmulatorServer(uvicorn.Server):
    """Uvicorn that tells when it listens and ends by itself when nobody asks any more."""

    def __init__(self, app: Starlette, settings: EmulatorSettings, on_started: Callable[[], None]) -> None:
        config = uvicorn.Config(
            app,
            http=ConnectionProtocol,
            ws="none",
            loop="asyncio",
            lifespan="on",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        super().__init__(config)
        self._idle_exit_seconds = settings.idle_exit_seconds
        self._world = app.state.world
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen, then say so."""
        await super().startup(sockets=sockets)
        if self.started:
            self._on_started()

    async def on_tick(self, counter: int) -> bool:
        """Decide ten times a second whether to end."""
        is_idle = self._idle_exit_seconds is not None and self._world.idle_seconds >= self._idle_exit_seconds
        return await super().on_tick(counter) or is_idle


def listen(settings: EmulatorSettings) -> tuple[socket.socket, str]:
    """Open the listening socket and give it with the base URL.

    Raises:
        ConfigurationError: The address or the port cannot be used.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # asyncio switches off Nagle's algorithm only where the protocol is named; else small answers wait 40 ms
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"The emulator cannot listen on {settings.host}:{settings.port}: {error.strerror}.",
            hint="Choose another port, or 0 for a free one.",
        ) from error
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return listener, f"http://{host}:{listener.getsockname()[1]}"
