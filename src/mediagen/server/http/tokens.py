"""Checks bearer tokens: the one of the operator, and the access tokens of an OAuth issuer."""

import hashlib
import hmac
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from mcp.server.auth.provider import AccessToken

from mediagen.server.callers import PRINCIPAL_CLAIM
from mediagen.settings import Settings

if TYPE_CHECKING:
    from mediagen.server.http.keys import IssuerKeys

logger = logging.getLogger(__name__)

# The issuer signs with a key that only it has; with a shared secret, or none, whoever checks could also forge.
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
LEEWAY_SECONDS: Final = 30
MAX_TOKEN_CHARACTERS: Final = 16_384
TOKEN_PRINCIPAL: Final = "token"  # noqa: S105 - it is a name


class Verifier:
    """Says whose a token is; the SDK asks it for every request."""

    def __init__(self, settings: Settings, keys: "IssuerKeys | None") -> None:
        secret = settings.http_token.get_secret_value() if settings.http_token else None
        self._digest = hashlib.sha256(secret.encode()).digest() if secret else None
        self._settings = settings
        self._keys = keys

    async def verify_token(self, token: str) -> AccessToken | None:
        """Whose token it is; None when it is nobody's."""
        given = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        # Digests have one length, so that not even the length of the secret shows in the time it takes.
        if self._digest and hmac.compare_digest(self._digest, given):
            return self._access(TOKEN_PRINCIPAL, scopes=list(self._settings.http_scopes))
        if self._keys is None or len(token) > MAX_TOKEN_CHARACTERS or token.count(".") != 2:
            return None
        claims = await self._claims(token, self._keys)
        return None if claims is None else self._of_issuer(claims)

    async def _claims(self, token: str, keys: "IssuerKeys") -> Mapping[str, Any] | None:
        import jwt

        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in ALGORITHMS or "crit" in header:
                return None
            key = await keys.find(header.get("kid"), header["alg"])
            if key is None:
                return None
            claims: dict[str, Any] = jwt.decode(
                token,
                key=key,
                algorithms=[header["alg"]],
                issuer=self._settings.http_issuer,
                audience=self._audiences(),
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            # The token itself is never told.
            logger.info("an access token was refused: %s", type(error).__name__)
            return None
        return claims

    def _audiences(self) -> list[str]:
        address = self._settings.http_public_url or ""
        return [address, f"{address}/", f"{address}/mcp"]

    def _of_issuer(self, claims: Mapping[str, Any]) -> AccessToken | None:
        subject = claims["sub"]
        if not isinstance(subject, str) or not subject:
            return None
        # A subject means something only together with its issuer.
        digest = hashlib.sha256(f"{claims['iss']}\n{subject}".encode("utf-8", "surrogatepass")).hexdigest()
        return self._access(
            f"oauth-{digest[:32]}", scopes=_scopes(claims), expires_at=int(claims["exp"]) + LEEWAY_SECONDS
        )

    def _access(self, principal: str, *, scopes: list[str], expires_at: int | None = None) -> AccessToken:
        # Without the token: nothing behind this line needs it, and nothing can pass it on.
        return AccessToken(
            token="",
            client_id=principal,
            subject=principal,
            scopes=scopes,
            expires_at=expires_at,
            resource=self._settings.http_public_url,
            claims={PRINCIPAL_CLAIM: principal},
        )


def _scopes(claims: Mapping[str, Any]) -> list[str]:
    """As the standard has them, one text, or as some issuers have them, a list."""
    told = claims.get("scope", claims.get("scp", ""))
    if isinstance(told, str):
        return told.split()
    return [scope for scope in told if isinstance(scope, str)] if isinstance(told, list) else []
