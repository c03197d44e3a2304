"""Signs requests: one httpx.Auth per scheme. Secrets stay inside and leave only to the origin they are meant for.

The client that uses one must not follow redirects by itself: httpx signs before it follows them.
"""

from collections.abc import AsyncGenerator, Generator
from copy import copy
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, assert_never

import anyio
import anyio.to_thread
import httpx
from pydantic import SecretStr

from mediagen.credentials.credential import Credential, Identity
from mediagen.credentials.files import read_credentials_file
from mediagen.credentials.refusals import unreachable
from mediagen.credentials.secrets import header_value
from mediagen.credentials.tokens import AccessToken, TokenSource
from mediagen.errors import MediaGenError

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

API_KEY_HEADER = "x-goog-api-key"
QUOTA_HEADER = "x-goog-user-project"
SIGNING_HEADERS = ("authorization", API_KEY_HEADER, QUOTA_HEADER)
REFRESH_SECONDS = 30.0
# It is next door, or it is not there at all.
METADATA_SECONDS = 10.0


class _SecretAuth(httpx.Auth):
    """Signs with a secret that never changes, and only what goes to one origin."""

    def __init__(self, secret: str, origin: str) -> None:
        self._secret = SecretStr(secret)
        self._origin = _origin(httpx.URL(origin))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(origin={self._origin!r})"

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign the request, or make sure that it carries no secret when it goes elsewhere."""
        _strip(request)
        if _origin(request.url) == self._origin:
            request.headers.update(self._headers(self._secret.get_secret_value()))
        yield request

    def _headers(self, secret: str) -> dict[str, str]:
        raise NotImplementedError


class ApiKeyAuth(_SecretAuth):
    """Signs with an API key, and only what goes to one origin.

    The key travels in a header and never in an address. Any prefix is accepted: AI Studio has changed it before.
    Source: https://ai.google.dev/gemini-api/docs/api-key (checked 2026-11-21)
    """

    def __init__(self, key: SecretStr, origin: str, *, credential: Credential | None = None) -> None:
        """Keep a key.

        Args:
            key: The API key.
            origin: Address whose scheme, host and port a request must have to be signed; its path does not matter.
            credential: Where the key came from, for messages.

        Raises:
            AuthenticationError: The key holds characters that no key has.
        """
        super().__init__(header_value(credential or Credential(kind="api_key", source="", secret=key)), origin)

    def _headers(self, secret: str) -> dict[str, str]:
        return {API_KEY_HEADER: secret}


class BearerAuth(_SecretAuth):
    """Signs with a ready token or with the key of a proxy, and only what goes to one origin."""

    def __init__(self, credential: Credential, origin: str) -> None:
        """Keep a token.

        Raises:
            AuthenticationError: The token holds characters that no token has.
        """
        super().__init__(header_value(credential), origin)
        self._quota_project = credential.quota_project

    def _headers(self, secret: str) -> dict[str, str]:
        return _bearer(secret, self._quota_project)


class GoogleAuth(httpx.Auth):
    """Signs with access tokens that are fetched and renewed when needed, and only what goes to one origin.

    A request that is answered with 401 is sent once more with a new token: Google has not accepted it.
    """

    def __init__(self, credential: Credential, origin: str, *, deadline_seconds: float = REFRESH_SECONDS) -> None:
        """Remember a credential; its file is read with the first request.

        Args:
            credential: A file, or leave to ask the metadata server.
            origin: Address whose scheme, host and port a request must have to be signed; its path does not matter.
            deadline_seconds: Time that fetching a token may take.
        """
        self._source = TokenSource(credential, deadline_seconds=deadline_seconds)
        self._origin = _origin(httpx.URL(origin))
        self._deadline_seconds = deadline_seconds
        self._lock = anyio.Lock()
        self._refused: str | None = None
        self._failure: MediaGenError | None = None

    def __repr__(self) -> str:
        return f"GoogleAuth(origin={self._origin!r}, {self._source!r})"

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Refuse: fetching a token would block the event loop."""
        raise NotImplementedError("GoogleAuth signs for httpx.AsyncClient only")

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Sign the request, or make sure that it carries no secret when it goes elsewhere.

        Raises:
            AuthenticationError: There is no usable credential.
            UnavailableError: No token can be fetched now; Google has not accepted the request.
        """
        _strip(request)
        if _origin(request.url) != self._origin:
            yield request
            return
        token = await self._token()
        request.headers.update(_bearer(token.value, token.quota_project))
        response = yield request
        if response.status_code != HTTPStatus.UNAUTHORIZED:
            return
        self._refused = token.value
        # A body that comes from a stream is gone.
        if not isinstance(request.stream, httpx.ByteStream):
            return
        token = await self._token()
        request.headers.update(_bearer(token.value, token.quota_project))
        yield request

    async def _token(self) -> AccessToken:
        earlier = self._failure
        if found := self._source.current(self._refused):
            return found
        async with self._lock:
            if found := self._source.current(self._refused):
                return found
            # Whoever waited while an attempt failed shares its outcome, rather than all waiting in turn.
            if self._failure is not None and self._failure is not earlier:
                raise copy(self._failure)
            try:
                found = await self._fetched()
            except MediaGenError as error:
                self._failure = copy(error)
                raise
            self._failure, self._refused = None, None
            return found

    async def _fetched(self) -> AccessToken:
        try:
            with anyio.fail_after(self._deadline_seconds):
                return await anyio.to_thread.run_sync(self._source.fetch, self._refused, abandon_on_cancel=True)
        except TimeoutError as error:
            raise unreachable("", "it took too long") from error


def sign_with(credential: Credential, origin: str) -> httpx.Auth:
    """Choose how requests to one origin are signed.

    Args:
        credential: What to sign with; a file is read with the first request only.
        origin: Address whose scheme, host and port a request must have to be signed; its path does not matter.

    Raises:
        AuthenticationError: The key or token is missing or malformed.
    """
    match credential.kind:
        case "api_key" | "express_key":
            return ApiKeyAuth(credential.secret or SecretStr(""), origin, credential=credential)
        case "access_token" | "proxy_key":
            return BearerAuth(credential, origin)
        case "service_account" | "user" | "adc":
            seconds = REFRESH_SECONDS if credential.file is not None else METADATA_SECONDS
            return GoogleAuth(credential, origin, deadline_seconds=seconds)
        case _:
            assert_never(credential.kind)


async def identity(credential: Credential) -> Identity:
    """Tell whose credential it is, without asking Google.

    Raises:
        AuthenticationError: Its file is unusable; code ``credentials_file``.
    """
    if credential.file is not None:
        file = await anyio.to_thread.run_sync(read_credentials_file, credential)
        return file.identity
    return Identity(kind="metadata_server" if credential.use_metadata_server else credential.kind)


def google_credentials(credential: Credential) -> "Credentials":
    """Make the object that Google's own libraries sign with; blocking.

    Raises:
        AuthenticationError: Its file is unusable, or it is an API key, which Cloud Storage does not take.
    """
    from mediagen.credentials.google_auth import load

    found: Any = load(credential).google
    return found  # type: ignore[no-any-return] # google-auth has no complete types


def _bearer(token: str, quota_project: str | None) -> dict[str, str]:
    headers = {"authorization": f"Bearer {token}"}
    return {**headers, QUOTA_HEADER: quota_project} if quota_project else headers


def _strip(request: httpx.Request) -> None:
    for name in SIGNING_HEADERS:
        request.headers.pop(name, None)


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    port = url.port if url.port is not None else {"https": 443, "http": 80}.get(url.scheme)
    return url.scheme, url.host, port
