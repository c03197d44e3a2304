"""Signs requests: one httpx.Auth per scheme. Keys stay inside and leave only to the origin they are meant for."""

from collections.abc import Generator

import httpx
from pydantic import SecretStr

from mediagen.errors import AuthenticationError


class ApiKeyAuth(httpx.Auth):
    """Signs with an API key, and only what goes to one origin.

    The key travels in a header and never in an address. Any prefix is accepted: AI Studio has changed it before.
    Source: https://ai.google.dev/gemini-api/docs/api-key (checked 2026-11-21)
    """

    header = "x-goog-api-key"

    def __init__(self, key: SecretStr, origin: str) -> None:
        """Keep a key.

        Args:
            key: The API key.
            origin: Address whose scheme, host and port a request must have to be signed; its path does not matter.

        Raises:
            AuthenticationError: The key holds characters that no key has.
        """
        value = key.get_secret_value().strip()
        if not value or not value.isascii() or not value.isprintable() or " " in value:
            raise AuthenticationError(
                "The API key is empty or holds characters that no key has, such as spaces, quotes or line breaks.",
                hint="Copy it again from https://aistudio.google.com/apikey.",
                code="malformed_key",
            )
        self._key = SecretStr(value)
        self._origin = _origin(httpx.URL(origin))

    def __repr__(self) -> str:
        return f"ApiKeyAuth(origin={self._origin!r})"

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign the request, or make sure that it carries no key when it goes elsewhere."""
        if _origin(request.url) == self._origin:
            request.headers[self.header] = self._key.get_secret_value()
        else:
            request.headers.pop(self.header, None)
        yield request


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    port = url.port if url.port is not None else {"https": 443, "http": 80}.get(url.scheme)
    return url.scheme, url.host, port
