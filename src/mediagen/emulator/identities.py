"""Who may call: service accounts, users, and the access tokens that were issued to them."""

import secrets
import time
from dataclasses import dataclass
from typing import Any, Literal

CLOUD_PLATFORM = "https://www.googleapis.com/auth/cloud-platform"
# what google-cloud-storage asks for; good for Cloud Storage and nothing else
STORAGE_SCOPES = frozenset(
    f"https://www.googleapis.com/auth/devstorage.{word}" for word in ("full_control", "read_write", "read_only")
)
_KEY_BITS = 2048
TokenState = Literal["valid", "unknown", "ended", "too_narrow"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceAccount:
    """A service account with its one key.

    Attributes:
        token_uri: Where it gets its tokens, and an audience that its assertions may name.
        public_key: The key that checks its signatures, as PEM.
    """

    client_email: str
    key_id: str
    token_uri: str
    public_key: str


@dataclass(frozen=True, kw_only=True, slots=True)
class User:
    """A person who consented once; the refresh token stands for that."""

    refresh_token: str
    client_id: str
    client_secret: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Token:
    """An access token; its end is on the monotonic clock."""

    scopes: frozenset[str]
    ends_at: float


class IdentityBook:
    """All identities of one emulator. They outlive a reset, as the files that were written for them do."""

    def __init__(self, token_seconds: float) -> None:
        self.token_seconds = token_seconds
        self.accounts: dict[str, ServiceAccount] = {}
        self.users: dict[str, User] = {}
        self._tokens: dict[str, Token] = {}

    def add_account(self, info: dict[str, Any], public_key: str) -> None:
        """Know a service account from now on."""
        account = ServiceAccount(
            client_email=info["client_email"],
            key_id=info["private_key_id"],
            token_uri=info["token_uri"],
            public_key=public_key,
        )
        self.accounts[account.client_email] = account

    def add_user(self, info: dict[str, Any]) -> None:
        """Know a user from now on."""
        user = User(
            refresh_token=info["refresh_token"], client_id=info["client_id"], client_secret=info["client_secret"]
        )
        self.users[user.refresh_token] = user

    def issue(self, scopes: frozenset[str]) -> dict[str, Any]:
        """Issue an access token and give the answer of the token endpoint."""
        token = f"ya29.c.{secrets.token_hex(32)}"
        self._tokens[token] = Token(scopes=scopes, ends_at=time.monotonic() + self.token_seconds)
        return {"access_token": token, "expires_in": max(0, int(self.token_seconds) - 1), "token_type": "Bearer"}

    def revoke(self, token: str) -> None:
        """Let a token be worth nothing from now on."""
        self._tokens.pop(token, None)

    def state(self, token: str, also: frozenset[str] = frozenset()) -> TokenState:
        """Say what a bearer token is worth where ``also`` suffices as scope; ready-made ones need no issuing."""
        issued = self._tokens.get(token)
        if issued is not None:
            if time.monotonic() >= issued.ends_at:
                return "ended"
            return "valid" if issued.scopes & {CLOUD_PLATFORM, *also} else "too_narrow"
        if "expired" in token:
            return "ended"
        if "scope" in token:
            return "too_narrow"
        return "valid" if token.startswith("ya29.ready") else "unknown"


def new_service_account(project_id: str, token_uri: str, client_email: str = "") -> tuple[dict[str, Any], str]:
    """Make a service account with a fresh key: the content of its file, and the public key as PEM. Blocks shortly."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    email = client_email or f"emulated-{secrets.token_hex(3)}@{project_id}.iam.gserviceaccount.com"
    info = {
        "type": "service_account",
        "project_id": project_id,
        "private_key_id": secrets.token_hex(20),
        "private_key": private.decode(),
        "client_email": email,
        "client_id": str(secrets.randbelow(10**20) + 10**20),
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": token_uri,
        "universe_domain": "googleapis.com",
    }
    return info, public.decode()


def new_user(token_uri: str, quota_project: str | None = None) -> dict[str, Any]:
    """Make a user: the content of an authorized_user file."""
    info = {
        "type": "authorized_user",
        "client_id": f"{secrets.token_hex(6)}.apps.googleusercontent.com",
        "client_secret": f"GOCSPX-{secrets.token_urlsafe(16)}",
        "refresh_token": f"1//{secrets.token_urlsafe(32)}",
        "token_uri": token_uri,
        "universe_domain": "googleapis.com",
    }
    return info | {"quota_project_id": quota_project} if quota_project else info
