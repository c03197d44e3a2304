"""Says who we are: finds credentials, keeps them secret and signs requests with them.

Looking for credentials is light; whatever needs the HTTP client or Google's library is imported when first used.
"""

from typing import TYPE_CHECKING, Any

from mediagen.credentials.adc import find_adc
from mediagen.credentials.credential import Credential, CredentialKind, Identity, key_hint

if TYPE_CHECKING:
    from mediagen.credentials.signing import (
        ApiKeyAuth,
        BearerAuth,
        GoogleAuth,
        google_credentials,
        identity,
        sign_with,
    )

__all__ = [
    "ApiKeyAuth",
    "BearerAuth",
    "Credential",
    "CredentialKind",
    "GoogleAuth",
    "Identity",
    "find_adc",
    "google_credentials",
    "identity",
    "key_hint",
    "sign_with",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mediagen.credentials import signing

    return getattr(signing, name)
