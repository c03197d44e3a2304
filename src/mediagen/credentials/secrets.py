"""Checks that a secret can be sent in a header, without ever showing it."""

from mediagen.credentials.credential import Credential, CredentialKind
from mediagen.errors import AuthenticationError

_NAMES: dict[CredentialKind, str] = {
    "api_key": "API key",
    "express_key": "API key",
    "access_token": "access token",
    "proxy_key": "proxy's key",
}
_WHERE_TO_GET: dict[CredentialKind, str] = {
    "api_key": "Copy it again from https://aistudio.google.com/apikey.",
    "express_key": "Copy it again from the Google Cloud console.",
    "access_token": "Get a new one with `gcloud auth print-access-token`.",
    "proxy_key": "Copy it again from `api-keys` in the configuration of the proxy.",
}


def header_value(credential: Credential) -> str:
    """The secret as it may stand in a header.

    Raises:
        AuthenticationError: It is missing, or holds characters that no key has; code ``malformed_key``.
    """
    value = credential.secret.get_secret_value().strip() if credential.secret is not None else ""
    if not value or not value.isascii() or not value.isprintable() or " " in value:
        name = _NAMES.get(credential.kind, "secret")
        where = f" in {credential.source}" if credential.source else ""
        raise AuthenticationError(
            f"The {name}{where} is empty or holds characters that none has, such as spaces, quotes or line breaks.",
            hint=_WHERE_TO_GET.get(credential.kind, ""),
            code="malformed_key",
        )
    return value
