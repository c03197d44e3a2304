"""What every surface has: connections of its own, which are closed with it."""

from types import TracebackType
from typing import Self

from mediagen.endpoints.http import HttpChannel


class HttpSurface:
    """Base of the surfaces. Close one with `aclose`, or use it as an async context manager."""

    def __init__(self, channel: HttpChannel) -> None:
        self._http = channel

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close connections."""
        await self._http.aclose()

    async def list_batches(self) -> dict[str, str]:
        """Names of all batches of the project by those that we gave them: none where the surface has none."""
        return {}

    @property
    def base_url(self) -> str:
        """Address under which its resources live."""
        return self._http.base_url
