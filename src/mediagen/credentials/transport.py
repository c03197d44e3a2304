"""Carries the requests of google-auth over our own HTTP client; blocking."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

import httpx
from google.auth.exceptions import TransportError
from google.auth.transport import Request

from mediagen import __version__
from mediagen.credentials.files import is_loopback
from mediagen.credentials.refusals import unreachable

ANSWER_LIMIT = 1024 * 1024
CONNECT_SECONDS = 10.0
_HEADERS = {"user-agent": f"mediagen-mcp/{__version__}", "accept-encoding": "identity"}
_METADATA_HOST = "metadata.google.internal"


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenAnswer:
    """What google-auth wants to know of an answer."""

    status: int
    headers: Mapping[str, str]
    data: bytes = field(repr=False)


class HttpxRequest(Request):
    """One refresh: its requests share a deadline.

    Attributes:
        host: Host that was asked last, for messages.
        status: Status of the last answer; None when there was none.
        body: The last answer; may hold secrets.
        trouble: Why there was no answer.
    """

    def __init__(self, *, deadline_seconds: float) -> None:
        self._ends = time.monotonic() + deadline_seconds
        self.host = ""
        self.status: int | None = None
        self.body = b""
        self.trouble = ""

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_unused: Any,
    ) -> TokenAnswer:
        """Send a request.

        Raises:
            TransportError: No answer came, as google-auth expects it.
            UnavailableError: The deadline has passed; unlike the other, google-auth does not try again after this one.
        """
        self.status, self.body = None, b""
        try:
            address = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise self._no_answer("unreadable address") from error
        self.host = address.host
        remaining = self._ends - time.monotonic()
        if remaining <= 0:
            raise unreachable(self.host, "it took too long")
        seconds = min(remaining, timeout or remaining)
        try:
            return self._send(method, address, body, headers={**_HEADERS, **(headers or {})}, seconds=seconds)
        except httpx.RequestError as error:
            raise self._no_answer(type(error).__name__) from error
        except (ImportError, ValueError, OSError, httpx.InvalidURL):
            # Of setting the client up; the message may hold the password of a proxy.
            raise self._no_answer("the proxy or the certificates that the environment names cannot be used") from None

    def _no_answer(self, trouble: str) -> TransportError:
        self.trouble = trouble
        make: Any = TransportError  # google-auth has no complete types
        error: TransportError = make(trouble)
        return error

    def _send(
        self, method: str, url: httpx.URL, body: bytes | None, *, headers: Mapping[str, str], seconds: float
    ) -> TokenAnswer:
        timeout = httpx.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS))
        options: dict[str, Any] = {
            "verify": httpx.create_ssl_context(),
            "timeout": timeout,
            "follow_redirects": False,
            # A proxy of the environment cannot reach this machine or its metadata server.
            "trust_env": not _is_near(url.host),
        }
        with (
            httpx.Client(**options) as client,
            client.stream(method, url, content=body, headers=dict(headers)) as response,
        ):
            data = bytearray()
            for chunk in response.iter_bytes():
                data += chunk
                if len(data) > ANSWER_LIMIT:
                    raise self._no_answer("far too large an answer")
                if time.monotonic() > self._ends:
                    raise unreachable(self.host, "it took too long")
            self.status, self.body = response.status_code, bytes(data)
            return TokenAnswer(status=response.status_code, headers=response.headers, data=self.body)


def _is_near(host: str) -> bool:
    try:
        return ip_address(host).is_link_local or is_loopback(host)
    except ValueError:
        return is_loopback(host) or host == _METADATA_HOST
