"""Brings a picture or video from a public https address to the disk. Costs nothing.

The addresses come from callers and must not open a way into the network of this machine: each host, also after a
redirect, is looked up once, checked, and connected to by the number that was checked. Where the environment names a
proxy, the proxy looks the name up, and only the name is checked.
"""

import contextlib
import hashlib
import logging
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO, Final

import anyio
import httpx

from mediagen.errors import ConfigurationError, InvalidRequestError, MediaError, UnavailableError
from mediagen.media.fetch_guard import Resolve, check_name, checked_addresses, proxy_for, resolve
from mediagen.media.sniff import SNIFF_BYTES, sniff
from mediagen.media.sources import BY_PATH, shown, too_large

MAX_REDIRECTS: Final = 5
CHUNK_BYTES: Final = 256 * 1024
MAX_PORT: Final = 65535
_TRANSIENT: Final = frozenset({408, 425, 429})
_PAGES: Final = (b"<!doctype html", b"<html", b"<head", b"<body")
_HEADERS: Final = {"accept": "video/*, image/*, audio/*, */*;q=0.1", "accept-encoding": "identity"}
_KEPT: Final = "Nothing was kept of it; try again."

OnProgress = Callable[[int, int | None], Awaitable[None]]

logger = logging.getLogger(__name__)
for _name in ("httpx", "httpcore"):
    # They log whole addresses, and those may be signed.
    logging.getLogger(_name).setLevel(logging.WARNING)


@dataclass(frozen=True, kw_only=True, slots=True)
class FetchSettings:
    """How to fetch.

    Attributes:
        field: Argument that the address was given for; named in errors.
        connect_seconds: Longest wait for a connection to one address.
        stall_seconds: Longest time without a single byte.
        deadline_seconds: Longest time for everything, redirects included.
        allow_hosts: Hosts that may be private and may speak plain http, spelled as in the address, without port.
        resolve: Looks names up.
    """

    field: str = "video"
    connect_seconds: float = 10.0
    stall_seconds: float = 30.0
    deadline_seconds: float = 900.0
    allow_hosts: frozenset[str] = frozenset()
    resolve: Resolve = resolve


@dataclass(frozen=True, kw_only=True, slots=True)
class FetchedMedia:
    """A file that was brought here.

    Attributes:
        mime_type: From the bytes, never from what the server says.
    """

    path: Path
    mime_type: str
    size_bytes: int
    sha256: str


_DEFAULTS: Final = FetchSettings()


async def fetch_media(
    url: str,
    target: Path,
    *,
    max_bytes: int,
    kinds: frozenset[str],
    on_progress: OnProgress | None = None,
    settings: FetchSettings = _DEFAULTS,
) -> FetchedMedia:
    """Bring a file to `target`, whole or not at all.

    Args:
        url: https address; its query may be a signature and is never told to anyone but the server.
        target: Where it goes; replaced when it exists. The folder must exist.
        max_bytes: Largest file, checked against what is announced and against what comes.
        kinds: Mime types that are accepted (``video/mp4``), or whole families of them (``video``).
        on_progress: Told the bytes so far and in total, None when the server does not say.
        settings: Time-outs, and for tests a resolver and hosts.

    Raises:
        InvalidRequestError: The address cannot be used, leads to a private network, or holds another file than wanted.
        UnavailableError: It could not be had just now, or not completely.
        ConfigurationError: The proxy or the certificates that the environment names cannot be used.
        MediaError: It cannot be written to the disk.
    """
    fetch = _Fetch(max_bytes=max_bytes, kinds=kinds, on_progress=on_progress, settings=settings)
    try:
        with anyio.fail_after(settings.deadline_seconds):
            return await fetch.run(url, target)
    except TimeoutError as error:
        raise UnavailableError(
            f"{fetch.name} was not here after {settings.deadline_seconds:g} s.", hint=_KEPT, code="fetch_timeout"
        ) from error
    except httpx.RequestError as error:
        # Not chained: what httpx says may hold the address with its signature.
        raise fetch.unreachable(error) from None


class _Fetch:
    def __init__(
        self, *, max_bytes: int, kinds: frozenset[str], on_progress: OnProgress | None, settings: FetchSettings
    ) -> None:
        self.name = "The address"
        self._max_bytes = max_bytes
        self._kinds = kinds
        self._on_progress = on_progress
        self._settings = settings
        self._field = settings.field

    async def run(self, address: str, target: Path) -> FetchedMedia:
        self.name = shown(address)
        url = self._parsed(address)
        for _hop in range(MAX_REDIRECTS + 1):
            self._check(url)
            async with self._open(url) as response:
                if not response.has_redirect_location:
                    return await self._take(response, target)
                try:
                    # The request may have gone to a number; the redirect is meant from the name.
                    url = url.join(response.headers["location"])
                except httpx.InvalidURL:
                    raise self._invalid("leads to an address that cannot be read", code="bad_redirect") from None
        raise self._invalid(f"leads in circles (more than {MAX_REDIRECTS} redirects)", code="bad_redirect")

    def unreachable(self, error: httpx.RequestError) -> UnavailableError:
        """Make our error of a connection that failed."""
        settings = self._settings
        if isinstance(error, httpx.ConnectTimeout):
            told = f"{self.name} could not be reached within {settings.connect_seconds:g} s."
        elif isinstance(error, httpx.TimeoutException):
            told = f"{self.name} sent nothing for {settings.stall_seconds:g} s."
        else:
            told = f"{self.name} could not be fetched ({type(error).__name__})."
            return UnavailableError(told, hint=_KEPT, code="fetch_failed")
        return UnavailableError(told, hint=_KEPT, code="fetch_timeout")

    def _parsed(self, address: str) -> httpx.URL:
        try:
            url = httpx.URL(address)
        except (httpx.InvalidURL, TypeError):
            raise self._invalid("is no address that can be read") from None
        return url

    def _check(self, url: httpx.URL) -> None:
        if url.scheme != "https" and not (url.scheme == "http" and self._is_allowed(url)):
            raise self._invalid(
                "is not an https address, or leads to one that is not",
                hint=f"Use the https address, or download the file and {BY_PATH}.",
                code="not_https",
            )
        if not _host(url) or url.userinfo or (url.port or 1) > MAX_PORT:
            raise self._invalid(
                "has no host, a user name in it or an impossible port", hint="Give a plain or a signed https address."
            )

    def _is_allowed(self, url: httpx.URL) -> bool:
        return _host(url) in self._settings.allow_hosts

    @contextlib.asynccontextmanager
    async def _open(self, url: httpx.URL) -> AsyncIterator[httpx.Response]:
        """Connect to the addresses that were checked, one after the other, until one takes the connection."""
        proxy = proxy_for(url.scheme, _host(url))
        if proxy is not None:
            if not self._is_allowed(url):
                check_name(_host(url), self._field)
            async with self._client(proxy) as client, client.stream("GET", url) as response:
                yield response
            return
        port = url.port or (443 if url.scheme == "https" else 80)
        addresses = await checked_addresses(
            _host(url), port, field=self._field, resolve=self._settings.resolve, is_allowed=self._is_allowed(url)
        )
        # A client for each hop: connections are kept by number, and one number may serve several names.
        async with self._client(None) as client:
            response = await self._first_answer(client, url, addresses)
            try:
                yield response
            finally:
                await response.aclose()

    async def _first_answer(
        self, client: httpx.AsyncClient, url: httpx.URL, addresses: Sequence[str]
    ) -> httpx.Response:
        failed: httpx.RequestError | None = None
        for address in addresses:
            request = client.build_request(
                "GET",
                url.copy_with(host=address.partition("%")[0]),
                headers={"host": url.netloc.decode("ascii")},
                # The certificate is checked against the name, though the connection goes to the number.
                extensions={"sni_hostname": _host(url)},
            )
            try:
                return await client.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failed = error
        assert failed is not None
        raise failed

    def _client(self, proxy: str | None) -> httpx.AsyncClient:
        settings = self._settings
        timeout = httpx.Timeout(settings.stall_seconds, connect=settings.connect_seconds)
        try:
            return httpx.AsyncClient(
                proxy=proxy,
                verify=httpx.create_ssl_context(),
                timeout=timeout,
                headers=_HEADERS,
                follow_redirects=False,
                # The proxy is chosen by us; .netrc would send passwords to wherever a redirect leads.
                trust_env=False,
            )
        except (ImportError, ValueError, OSError, httpx.InvalidURL):
            # Not chained: the message may hold the password of a proxy.
            raise ConfigurationError(
                "The proxy or the certificates that the environment names cannot be used.",
                hint="Check HTTPS_PROXY, ALL_PROXY, SSL_CERT_FILE and SSL_CERT_DIR.",
            ) from None

    async def _take(self, response: httpx.Response, target: Path) -> FetchedMedia:
        self._check_answer(response)
        total = _announced(response)
        if total is not None and total > self._max_bytes:
            raise too_large(self._field, self.name, self._max_bytes)
        part: Path | None = None
        try:
            part, file = _open_part(target)
            with file:
                size, digest, mime_type = await self._write(response, file, total)
                await anyio.to_thread.run_sync(_flush, file)
            part.replace(target)
        except OSError as error:
            raise MediaError(
                f"{target.name} could not be written: {error.strerror or 'input/output error'}.", code="cannot_write"
            ) from error
        finally:
            if part is not None:
                # Without a thread: it must happen even when the caller was cancelled.
                part.unlink(missing_ok=True)
        logger.debug("fetched %d bytes from %s", size, response.request.headers["host"])
        return FetchedMedia(path=target, mime_type=mime_type, size_bytes=size, sha256=digest)

    def _check_answer(self, response: httpx.Response) -> None:
        status = response.status_code
        if status in _TRANSIENT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise UnavailableError(
                f"{self.name} answered {status}.", status_code=status, hint="Try again later.", code="fetch_failed"
            )
        if status != HTTPStatus.OK:
            raise self._invalid(
                f"answered {status}",
                hint=f"Signed addresses run out; ask for a new one, or download the file and {BY_PATH}.",
                code="source_refused",
            )
        # A few bytes can be packed so that they fill the disk; nothing is unpacked here.
        if response.headers.get("content-encoding", "").strip().lower() not in {"", "identity"}:
            raise self._invalid(
                "sends the file packed, though it was asked not to",
                hint=f"Download the file and {BY_PATH}.",
                code="source_packed",
            )

    async def _write(self, response: httpx.Response, file: BinaryIO, total: int | None) -> tuple[int, str, str]:
        digest = hashlib.sha256()
        size = 0
        head = b""
        mime_type: str | None = None
        async for chunk in response.aiter_raw(CHUNK_BYTES):
            size += len(chunk)
            if size > self._max_bytes:
                raise too_large(self._field, self.name, self._max_bytes)
            digest.update(chunk)
            if mime_type is None:
                head += chunk
                if len(head) >= SNIFF_BYTES:
                    mime_type = self._wanted_type(head)
            await anyio.to_thread.run_sync(file.write, chunk)
            if self._on_progress:
                await self._on_progress(size, total)
        if total is not None and size != total:
            raise UnavailableError(f"{self.name} was cut off after {size} bytes.", hint=_KEPT, code="fetch_failed")
        return size, digest.hexdigest(), mime_type or self._wanted_type(head)

    def _wanted_type(self, head: bytes) -> str:
        if not head:
            raise self._invalid("holds nothing", code="source_empty")
        mime_type = sniff(head[:SNIFF_BYTES])
        if mime_type is not None and (mime_type in self._kinds or mime_type.partition("/")[0] in self._kinds):
            return mime_type
        wanted = ", ".join(sorted(self._kinds))
        raise self._invalid(
            f"holds {mime_type or _text_kind(head)}, not what is needed here ({wanted})",
            hint="Open it in a browser: it must lead to the file itself, without a log-in or a preview page.",
            code="source_wrong_type",
        )

    def _invalid(self, what: str, *, hint: str = "", code: str | None = None) -> InvalidRequestError:
        return InvalidRequestError(f"{self._field}={self.name} {what}.", field=self._field, hint=hint, code=code)


def _host(url: httpx.URL) -> str:
    # As it goes over the wire: names of other alphabets are encoded, so that no look-alike of a dot is left.
    return url.raw_host.decode("ascii").strip("[]").lower()


def _announced(response: httpx.Response) -> int | None:
    length = response.headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else None


def _text_kind(head: bytes) -> str:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(_PAGES):
        return "a web page"
    if text.startswith((b"{", b"[")):
        return "a JSON answer"
    return "an XML answer" if text.startswith(b"<?xml") else "nothing of a known format"


def _open_part(target: Path) -> tuple[Path, BinaryIO]:
    descriptor, name = tempfile.mkstemp(prefix=".mediagen-fetch-", suffix=".part", dir=target.parent)
    return Path(name), os.fdopen(descriptor, "wb")


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
