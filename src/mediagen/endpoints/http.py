"""The HTTP client of an API surface: who may be contacted, what is signed, and reads that are tried again."""

import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache, partial
from http import HTTPStatus
from typing import Any

import anyio
import httpx

from mediagen import __version__
from mediagen.addresses import is_private_host
from mediagen.endpoints.answer import Answer, sent_key
from mediagen.endpoints.base import OpenSink, PartSink, nowhere
from mediagen.endpoints.connections import LIMITS, Connections, bad_environment
from mediagen.endpoints.wire.google_errors import to_exception
from mediagen.endpoints.wire.inline_media import InlineMediaScanner
from mediagen.errors import ConfigurationError, EndpointError, MediaGenError, RateLimitError, UnavailableError
from mediagen.submitter.base import Submitter
from mediagen.submitter.routes import is_loopback

logger = logging.getLogger("mediagen.endpoints")
# These log whole addresses, with the queries of signed URLs, and the headers of answers.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)

MEBIBYTE = 1024 * 1024
ERROR_LIMIT = MEBIBYTE
CHUNK_BYTES = 256 * 1024
MAX_INLINE_FILES = 32
_DEFAULT_PORTS = {"https": 443, "http": 80}
MOST_READS = 16
MOST_DOWNLOADS = 8
TRANSIENT = frozenset({408, 429, 499, 500, 502, 503, 504})


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpSettings:
    """How patient the client is. Times in seconds.

    Attributes:
        paid_read_seconds: Silence after which the outcome of a paid request counts as unknown; a 4K picture is slow.
        paid_total_seconds: The same for the whole answer.
        attempts: How often a read is tried.
        paid_retries: How often a paid request is sent again after it was certainly not accepted.
        longest_wait_seconds: Longer waits that Google asks for are left to the caller.
        answer_limit: Largest answer to a paid request that is taken, in bytes.
        read_limit: Largest answer to a read, in bytes; finished clips may come inside one.
        skeleton_limit: Largest part of an answer to a read that is taken into memory, in bytes.
    """

    connect_seconds: float = 10.0
    read_seconds: float = 60.0
    write_seconds: float = 120.0
    paid_read_seconds: float = 300.0
    paid_total_seconds: float = 900.0
    attempts: int = 5
    paid_retries: int = 2
    first_backoff_seconds: float = 1.0
    longest_backoff_seconds: float = 20.0
    longest_wait_seconds: float = 60.0
    answer_limit: int = 64 * MEBIBYTE
    read_limit: int = 4096 * MEBIBYTE
    skeleton_limit: int = 16 * MEBIBYTE
    clock: Callable[[], datetime] = field(default=partial(datetime.now, UTC))
    sleep: Callable[[float], Awaitable[None]] = field(default=anyio.sleep)


class HttpChannel:
    """Connections to one API surface. Whoever made it closes it with `aclose`.

    Only the origin of `base_url` gets the key, and only that origin or https addresses are contacted at all.
    """

    def __init__(
        self,
        *,
        base_url: str,
        auth: httpx.Auth,
        key_source: str,
        settings: HttpSettings,
        address_setting: str = "GOOGLE_GEMINI_BASE_URL",
        submitter: Submitter | None = None,
    ) -> None:
        """Set the connections up; nothing is sent yet.

        Args:
            base_url: Address of the surface; its origin alone is signed by `auth`.
            auth: Signs requests.
            key_source: Variable that the key came from, or the credential in words ("the access token in X").
            settings: Time-outs, retries and clock.
            address_setting: Variable that holds the address, for messages.
            submitter: Sends paid requests, where it can.

        Raises:
            ConfigurationError: `base_url` is no http or https address.
        """
        self.base_url = base_url.strip().rstrip("/")
        self.key_source = key_source
        self.settings = settings
        self.submitter = submitter
        self._base = _parsed(self.base_url, address_setting)
        try:
            self._set_up(self._common(auth))
        except (ImportError, ValueError, OSError, httpx.InvalidURL) as error:
            raise bad_environment(error) from None

    def _set_up(self, common: dict[str, Any]) -> None:
        make = partial(httpx.AsyncClient, timeout=self._timeout(self.settings.read_seconds), limits=LIMITS, **common)
        self.reads = Connections(make, most=MOST_READS)
        # Whoever asks how far a job is does not wait for the files of others.
        self.downloads = Connections(make, most=MOST_DOWNLOADS)
        # A reused connection may be closed by the other side just then, and the outcome would be unknown.
        self.paid = httpx.AsyncClient(
            timeout=self._timeout(self.settings.paid_read_seconds),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
            **common,
        )

    def _common(self, auth: httpx.Auth) -> dict[str, Any]:
        return {
            "auth": auth,
            "verify": httpx.create_ssl_context(),
            "follow_redirects": False,
            "headers": {"user-agent": f"mediagen-mcp/{__version__}", "accept-encoding": "identity"},
            # A proxy of the environment cannot reach this machine.
            "trust_env": not is_loopback(self._base.host),
        }

    async def aclose(self) -> None:
        """Close all connections."""
        await self.reads.aclose()
        await self.downloads.aclose()
        await self.paid.aclose()

    def is_own(self, url: httpx.URL) -> bool:
        """Whether the address has the origin of the surface."""
        return _origin(url) == _origin(self._base)

    def allowed(self, address: str | httpx.URL) -> httpx.URL:
        """Parse an address that came from elsewhere.

        Raises:
            EndpointError: It is neither public and https nor on the surface itself; code ``unsafe_uri``.
        """
        try:
            url = httpx.URL(address)
        except (httpx.InvalidURL, TypeError) as error:
            raise _unsafe("an address that cannot be read") from error
        is_own = self.is_own(url)
        if url.userinfo or not url.host or not (is_own or url.scheme == "https"):
            raise _unsafe(f"{url.scheme or 'no'} address on host {url.host or '(none)'}")
        if is_own or not is_private_host(url.raw_host.decode("ascii")):
            return url
        raise _unsafe(f"address in a private network, on host {url.host}")

    async def read(
        self,
        method: str,
        url: str | httpx.URL,
        *,
        attempts: int | None = None,
        accept: frozenset[int] = frozenset(),
        open_sink: OpenSink | None = None,
        **content: Any,
    ) -> Answer:
        """Send a request that costs nothing, again while that may help.

        Args:
            method: HTTP method.
            url: Address; must be allowed already.
            attempts: How often at most; default as in the settings.
            accept: Failing statuses that are handed back rather than raised.
            open_sink: Takes the files inside a successful answer; the body is then its skeleton.
            content: ``params``, ``headers``, ``content`` or ``json`` as httpx takes them.

        Raises:
            MediaGenError: Google refused it, or could not be reached.
        """
        remaining = attempts or self.settings.attempts
        files = _InlineFiles(open_sink) if open_sink else None
        tried = 0
        while True:
            tried += 1
            error: MediaGenError
            try:
                answer = await self._read_once(method, url, content, files)
            except httpx.RequestError as failed:
                error = unreachable(failed)
                error.__cause__ = failed
            else:
                if answer.is_success or answer.status_code in accept:
                    return answer
                error = to_exception(answer.failure(), paid=False, key_source=self.key_source, model="")
            if tried >= remaining or not await self.wait_before_retry(error, tried):
                raise error

    async def _read_once(
        self, method: str, url: str | httpx.URL, content: dict[str, Any], files: "_InlineFiles | None"
    ) -> Answer:
        async with self.reads.lend() as client, self.stream(client, method, url, **content) as response:
            if files is None or not response.is_success:
                return await self.read_to_end(response, self.settings.skeleton_limit)
            await files.empty()
            return _answer(response, await files.read(response, self.settings))

    @asynccontextmanager
    async def stream(
        self, client: httpx.AsyncClient, method: str, url: str | httpx.URL, **content: Any
    ) -> AsyncIterator[httpx.Response]:
        """Send a request and log it without its query."""
        started = time.monotonic()
        async with client.stream(method, _parsed_once(url) if isinstance(url, str) else url, **content) as response:
            if logger.isEnabledFor(logging.DEBUG):
                place = response.url.path if self.is_own(response.url) else response.url.host
                seconds = time.monotonic() - started
                logger.debug("%s %s -> %d in %.1f s", method, place, response.status_code, seconds)
            yield response

    async def read_to_end(self, response: httpx.Response, limit: int) -> Answer:
        """Take the body into memory, at most `limit` bytes; of a refusal, whatever part of it arrives.

        Raises:
            EndpointError: It is larger; code ``answer_too_large``.
            httpx.RequestError: A successful answer was cut off.
        """
        body = bytearray()
        is_refusal = response.is_client_error and response.status_code not in TRANSIENT - {HTTPStatus.TOO_MANY_REQUESTS}
        limit = limit if response.is_success else ERROR_LIMIT
        try:
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > limit:
                    if response.is_success:
                        raise too_large(limit)
                    break
        except httpx.RequestError:
            if not is_refusal:
                raise
        return _answer(response, bytes(body))

    async def wait_before_retry(self, error: MediaGenError, tried: int) -> bool:
        """Sleep before the next attempt; False when another attempt does not help or is too far away."""
        if not isinstance(error, (RateLimitError, UnavailableError)) or not error.retryable:
            return False
        if error.retry_after is not None:
            if error.retry_after > self.settings.longest_wait_seconds:
                return False
            await self.settings.sleep(error.retry_after + self.jitter(0.5))
        else:
            await self.settings.sleep(self.backoff(tried))
        return True

    def backoff(self, tried: int) -> float:
        """Seconds to wait after so many attempts, at random up to a bound that doubles."""
        bound = self.settings.first_backoff_seconds * 2.0 ** (tried - 1)
        return self.jitter(min(self.settings.longest_backoff_seconds, bound))

    def jitter(self, bound: float) -> float:
        """Random share of so many seconds."""
        return random.uniform(0, bound)  # noqa: S311 - spreads load, guards nothing

    def _timeout(self, read_seconds: float) -> httpx.Timeout:
        settings = self.settings
        return httpx.Timeout(read_seconds, connect=settings.connect_seconds, write=settings.write_seconds, pool=None)


class _InlineFiles:
    """The sinks of the files inside one answer; each further attempt starts them over."""

    def __init__(self, open_sink: OpenSink) -> None:
        self._open = open_sink
        self._sinks: dict[int, PartSink] = {}

    async def empty(self) -> None:
        for sink in self._sinks.values():
            await sink.truncate()

    async def read(self, response: httpx.Response, settings: HttpSettings) -> bytes:
        """Give the skeleton.

        Raises:
            EndpointError: The answer is too large; code ``answer_too_large``.
            StorageError: A sink cannot be written.
        """
        scanner = InlineMediaScanner()
        received = 0
        async for chunk in response.aiter_bytes(CHUNK_BYTES):
            received += len(chunk)
            for number, data in scanner.feed(chunk):
                await (await self._sink(number)).append(data)
            if received > settings.read_limit:
                raise too_large(settings.read_limit)
            if scanner.skeleton_size > settings.skeleton_limit:
                raise too_large(settings.skeleton_limit)
        return scanner.skeleton

    async def _sink(self, number: int) -> PartSink:
        if number not in self._sinks:
            # Whoever keeps nothing can be handed any number of them.
            if number >= MAX_INLINE_FILES and self._open is not nowhere:
                raise EndpointError(
                    f"Google's answer holds more than {MAX_INLINE_FILES} files.", code="answer_too_large"
                )
            self._sinks[number] = await self._open(number)
        return self._sinks[number]


# The same job is asked about again and again.
_parsed_once = lru_cache(maxsize=2048)(httpx.URL)


def _answer(response: httpx.Response, body: bytes) -> Answer:
    key = sent_key(response.request)
    return Answer(status_code=response.status_code, headers=dict(response.headers.items()), body=body, sent_key=key)


def unreachable(error: httpx.RequestError) -> UnavailableError:
    """Make our error of a connection that failed; the cause may hold addresses, so only its kind is told."""
    return UnavailableError(
        f"Google could not be reached ({type(error).__name__}).",
        reason=type(error).__name__,
        hint="Check the network, a proxy in between, and the base URL.",
    )


def too_large(limit: int) -> EndpointError:
    """Make our error of an answer that does not fit into memory."""
    return EndpointError(
        f"Google's answer is larger than {limit // MEBIBYTE} MiB.",
        code="answer_too_large",
        hint="Ask for a smaller picture or a lower resolution.",
        billed="unknown",
    )


def _unsafe(what: str) -> EndpointError:
    return EndpointError(
        f"Google named {what}, which is not contacted: only https addresses and the API itself are.",
        code="unsafe_uri",
        hint="Check the base URL of the API.",
    )


def _parsed(base_url: str, setting: str) -> httpx.URL:
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL as error:
        raise _bad_base_url(setting) from error
    if url.scheme not in _DEFAULT_PORTS or not url.host or url.userinfo or url.query or url.fragment:
        raise _bad_base_url(setting)
    return url


def _bad_base_url(setting: str) -> ConfigurationError:
    return ConfigurationError(
        "The base URL of the API cannot be used.",
        hint=f"Set {setting} to an address like https://host.example.com, or unset it.",
    )


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, _DEFAULT_PORTS.get(url.scheme) if url.port is None else url.port
