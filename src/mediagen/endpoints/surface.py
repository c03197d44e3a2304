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

    async def find_batch(self, display_name: str) -> str:
        """Look for a batch by the name that we gave it: none where the surface has none."""
        del display_name
        return ""

    @property
    def base_url(self) -> str:
        """Address under which its resources live."""
        return self._http.base_url
