"""The public keys of an OAuth issuer, found through its metadata and kept."""

import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import anyio

from mediagen.errors import ConfigurationError
from mediagen.server.http.access import is_trustworthy

if TYPE_CHECKING:
    from jwt import PyJWK

logger = logging.getLogger(__name__)

# Tokens with made-up keys must not make us call the issuer again and again.
SECONDS_BETWEEN: Final = 30
# A key that the issuer withdraws is forgotten after that.
KEPT_SECONDS: Final = 3600
TIMEOUT_SECONDS: Final = 10
MAX_ANSWER_BYTES: Final = 1024 * 1024
FAMILIES: Final = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}


class IssuerKeys:
    """Keys by their id; fetched at first use, when an unknown one is asked for, and every hour."""

    def __init__(
        self, issuer: str, jwks_url: str | None = None, *, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._issuer = issuer
        self._jwks_url = jwks_url
        self._seconds = seconds
        self._keys: Mapping[str | None, dict[str, Any]] = {}
        self._tried_at: float | None = None
        self._fetched_at: float | None = None
        self._one_at_a_time = anyio.Lock()

    async def find(self, key_id: object, algorithm: str) -> "PyJWK | None":
        """The key of an id, or the only one where tokens name none; None when there is none for this algorithm.

        Raises:
            jwt.PyJWTError: The key is malformed.
        """
        import jwt

        if key_id is not None and not isinstance(key_id, str):
            return None
        # While one asks for newer keys, the others go on with those that are known.
        if self._known(key_id) is None or (self._is_old() and not self._one_at_a_time.locked()):
            async with self._one_at_a_time:
                if self._is_old() or self._known(key_id) is None:
                    await self._fetch_again()
        key = self._known(key_id)
        return jwt.PyJWK(key, algorithm) if key is not None and _fits(key, algorithm) else None

    def _known(self, key_id: str | None) -> dict[str, Any] | None:
        if key_id is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(key_id)

    def _is_old(self) -> bool:
        return self._fetched_at is None or self._seconds() - self._fetched_at > KEPT_SECONDS

    async def _fetch_again(self) -> None:
        now = self._seconds()
        if self._tried_at is not None and now - self._tried_at < SECONDS_BETWEEN:
            return
        self._tried_at = now
        try:
            self._keys = await self._fetch()
            self._fetched_at = now
        except ConfigurationError as error:
            # The keys that are known still hold; the issuer may be back in a minute.
            logger.warning("the keys of MEDIAGEN_HTTP_ISSUER cannot be had: %s", error)

    async def _fetch(self) -> Mapping[str | None, dict[str, Any]]:
        address = self._jwks_url or await self._discovered()
        told = await _json(address)
        listed = told.get("keys")
        return {
            entry.get("kid"): entry
            for entry in (listed if isinstance(listed, list) else ())
            if isinstance(entry, dict) and isinstance(entry.get("kid"), str | None) and entry.get("use", "sig") == "sig"
        }

    async def _discovered(self) -> str:
        """Where the keys are, as the issuer's metadata says.

        Raises:
            ConfigurationError: Neither kind of metadata can be had, or it is another issuer's.
        """
        problem = ConfigurationError(f"{self._issuer} has no metadata.", hint="Set MEDIAGEN_HTTP_JWKS_URL.")
        for address in _metadata_addresses(self._issuer):
            try:
                told = await _json(address)
            except ConfigurationError as error:
                problem = error
                continue
            where = told.get("jwks_uri")
            if told.get("issuer") != self._issuer:
                problem = ConfigurationError(f"{address} is the metadata of another issuer.")
            elif not isinstance(where, str) or not is_trustworthy(where):
                problem = ConfigurationError(f"{address} names no https address of keys.")
            else:
                return where
        raise problem


def _metadata_addresses(issuer: str) -> tuple[str, ...]:
    """By RFC 8414, between host and path, and by OpenID Connect, behind the path."""
    parts = urlsplit(issuer)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    return (
        f"{origin}/.well-known/oauth-authorization-server{path}",
        f"{origin}{path}/.well-known/openid-configuration",
    )


def _fits(key: Mapping[str, Any], algorithm: str) -> bool:
    """Whether a key is for an algorithm: the token does not choose how its signature is checked."""
    return key.get("kty") == FAMILIES.get(algorithm[:2]) and key.get("alg") in {None, algorithm}


async def _json(address: str) -> dict[str, Any]:
    import httpx

    try:
        async with (
            httpx.AsyncClient(timeout=TIMEOUT_SECONDS, follow_redirects=False) as client,
            client.stream("GET", address, headers={"Accept": "application/json"}) as response,
        ):
            data = b""
            async for piece in response.aiter_bytes():
                data += piece[: MAX_ANSWER_BYTES + 1 - len(data)]
        told = json.loads(data) if response.is_success and len(data) <= MAX_ANSWER_BYTES else None
    except (httpx.HTTPError, ValueError) as error:
        raise ConfigurationError(f"{address} cannot be read ({type(error).__name__}).") from error
    if not isinstance(told, dict):
        raise ConfigurationError(f"{address} answers {response.status_code}, without a JSON object of a usable size.")
    return told
