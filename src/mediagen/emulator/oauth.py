"""The OAuth token endpoint: signed assertions and refresh tokens become access tokens.

Source: https://developers.google.com/identity/protocols/oauth2/service-account (checked 2026-11-21)
"""

import json
import time
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mediagen.emulator.answers import ApiError
from mediagen.emulator.identities import CLOUD_PLATFORM, IdentityBook, ServiceAccount
from mediagen.emulator.reading import read_base64
from mediagen.emulator.world import World

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
GOOGLE_AUDIENCE = "https://oauth2.googleapis.com/token"
MAX_ASSERTION_SECONDS = 3600
# what Google forgives a clock that goes wrong
_SKEW_SECONDS = 300
_WINDOW = (
    "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
    "Check your iat and exp values in the JWT claim."
)


def oauth_error(error: str, description: str, status_code: int = 400) -> ApiError:
    """Build a refusal of the token endpoint."""
    return ApiError(status_code, {"error": error, "error_description": description})


class TokenApi:
    """Issues access tokens."""

    def __init__(self, world: World) -> None:
        self._identities = world.identities

    async def token(self, request: Request) -> Response:
        """POST /token."""
        form = dict(parse_qsl((await request.body()).decode("utf-8", errors="replace")))
        grant = form.get("grant_type")
        if not grant:
            raise oauth_error("invalid_request", "Missing required parameter: grant_type")
        if grant == JWT_BEARER:
            return JSONResponse(grant_assertion(self._identities, form.get("assertion", "")))
        if grant == "refresh_token":
            return JSONResponse(grant_refresh(self._identities, form))
        raise oauth_error("unsupported_grant_type", f"Invalid grant_type: {grant}")


def grant_assertion(identities: IdentityBook, assertion: str) -> dict[str, Any]:
    """Issue a token for a signed assertion.

    Raises:
        ApiError: The assertion is not to be believed.
    """
    if not assertion:
        raise oauth_error("invalid_request", "Missing required parameter: assertion")
    parts = assertion.split(".")
    if len(parts) != 3:
        raise oauth_error("invalid_request", "Bad Request")
    header, claims, signature = _json_part(parts[0]), _json_part(parts[1]), _decode(parts[2])
    account = identities.accounts.get(str(claims.get("iss", "")))
    if account is None:
        raise oauth_error("invalid_grant", "Invalid grant: account not found")
    _check_signature(account, header, f"{parts[0]}.{parts[1]}".encode(), signature)
    _check_claims(claims, account.token_uri)
    scopes = frozenset(str(claims.get("scope", "")).split())
    if not scopes:
        raise oauth_error("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
    return identities.issue(scopes)


def grant_refresh(identities: IdentityBook, form: dict[str, str]) -> dict[str, Any]:
    """Issue a token for a refresh token.

    Raises:
        ApiError: The client or the refresh token is unknown.
    """
    for name in ("client_id", "client_secret", "refresh_token"):
        if not form.get(name):
            raise oauth_error("invalid_request", f"Missing required parameter: {name}")
    clients = {user.client_id: user.client_secret for user in identities.users.values()}
    if form["client_id"] not in clients:
        raise oauth_error("invalid_client", "The OAuth client was not found.", 401)
    if form["client_secret"] != clients[form["client_id"]]:
        raise oauth_error("invalid_client", "Unauthorized", 401)
    user = identities.users.get(form["refresh_token"])
    if user is None or user.client_id != form["client_id"]:
        raise oauth_error("invalid_grant", "Token has been expired or revoked.")
    scope = form.get("scope") or CLOUD_PLATFORM
    return identities.issue(frozenset(scope.split())) | {"scope": scope}


def _decode(part: str) -> bytes:
    content = read_base64(part + "=" * (-len(part) % 4))
    if content is None:
        raise oauth_error("invalid_request", "Bad Request")
    return content


def _json_part(part: str) -> dict[str, Any]:
    try:
        content = json.loads(_decode(part))
    except ValueError as error:
        raise oauth_error("invalid_request", "Bad Request") from error
    if not isinstance(content, dict):
        raise oauth_error("invalid_request", "Bad Request")
    return content


def _check_signature(account: ServiceAccount, header: dict[str, Any], signed: bytes, signature: bytes) -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    key = serialization.load_pem_public_key(account.public_key.encode())
    assert isinstance(key, rsa.RSAPublicKey)
    if header.get("alg") != "RS256" or header.get("kid", account.key_id) != account.key_id:
        raise oauth_error("invalid_grant", "Invalid JWT Signature.")
    try:
        key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature as error:
        raise oauth_error("invalid_grant", "Invalid JWT Signature.") from error


def _check_claims(claims: dict[str, Any], token_uri: str) -> None:
    # google-auth names Google's own endpoint, wherever it sends the assertion
    if claims.get("aud") not in {token_uri, GOOGLE_AUDIENCE}:
        message = f"Invalid JWT: Failed audience check. The right audience is {token_uri}"
        raise oauth_error("invalid_grant", message)
    issued, ends, now = claims.get("iat"), claims.get("exp"), time.time()
    if not isinstance(issued, int | float) or not isinstance(ends, int | float):
        raise oauth_error("invalid_grant", _WINDOW)
    is_short = 0 < ends - issued <= MAX_ASSERTION_SECONDS
    if not is_short or issued > now + _SKEW_SECONDS or ends < now - _SKEW_SECONDS:
        raise oauth_error("invalid_grant", _WINDOW)
