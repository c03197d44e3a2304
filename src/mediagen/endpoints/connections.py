"""Connections that are kept and used again, so many at a time that neither side is overrun."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import httpx

from mediagen.errors import ConfigurationError

# A client asks the system about each idle connection of its own before and after every request.
EACH = 1
# Longer than between two polls.
KEPT_SECONDS = 60.0
LIMITS = httpx.Limits(max_connections=EACH, max_keepalive_connections=EACH, keepalive_expiry=KEPT_SECONDS)


class Connections:
    """Clients with a connection each, made as they are needed; who finds none free waits in order."""

    def __init__(self, make: Callable[[], httpx.AsyncClient], *, most: int) -> None:
        """Make the first client.

        Args:
            make: Makes a client with the limits of this module.
            most: How many connections are used at a time.
        """
        self._make = make
        self._used = {make(): 0}
        self._room = anyio.Semaphore(most, fast_acquire=True)

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[httpx.AsyncClient]:
        """A client for one request."""
        async with self._room:
            client = next((client for client, used in self._used.items() if used < EACH), None) or self._make()
            self._used[client] = self._used.get(client, 0) + 1
            try:
                yield client
            finally:
                self._used[client] -= 1

    async def aclose(self) -> None:
        """Close all connections."""
        for client in self._used:
            await client.aclose()


def bad_environment(error: Exception) -> ConfigurationError:
    """Make our error of a client that cannot be set up; the cause may hold the password of a proxy."""
    if isinstance(error, OSError):
        return ConfigurationError(
            f"The certificates that the environment names cannot be read ({type(error).__name__}).",
            hint="Correct SSL_CERT_FILE or SSL_CERT_DIR, or unset it.",
        )
    what = "is a SOCKS proxy, which is not supported" if isinstance(error, ImportError) else "cannot be used"
    return ConfigurationError(
        f"The proxy that the environment names {what}.",
        hint="Set HTTPS_PROXY (and ALL_PROXY, NO_PROXY) to addresses like http://proxy.example:3128, or unset them.",
    )
