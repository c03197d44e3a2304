"""What a credential is, and whose it is; values only."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import SecretStr

CredentialKind = Literal["api_key", "express_key", "access_token", "service_account", "user", "adc", "proxy_key"]

# Only for words in messages: AI Studio has changed the prefix before, so nothing is decided by it.
# Source: https://ai.google.dev/gemini-api/docs/api-key (checked 2026-11-21)
_LOOKS = (
    ("ya29.", "an OAuth access token (ya29.…)"),
    ("AIza", "a Gemini API key (AIza…)"),
    ("AQ.", "a Gemini or Vertex AI API key (AQ.…)"),
    ("auth_tokens/", "a short-lived token of the Live API (auth_tokens/…)"),
    ("1//", "an OAuth refresh token (1//…)"),
    ("GOCSPX-", "an OAuth client secret (GOCSPX-…)"),
    ("eyJ", "a signed token (JWT)"),
    ("sk-", "a key of another provider (sk-…)"),
    ("{", "the content of a credentials file"),
    ("-----BEGIN", "a private key"),
    ("gs://", "an address in Cloud Storage"),
    ("http://", "a web address"),
    ("https://", "a web address"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Credential:
    """One way to prove who we are.

    Attributes:
        kind: What it is; decides how requests are signed.
        source: Where it came from, for messages: ``GEMINI_API_KEY``, ``profile film in /x/mediagen.toml``; never the
            value.
        secret: The key or token itself; None for files and the metadata server.
        file: Credentials file in Google's JSON format.
        quota_project: Project that is charged for quota; wins over the one in the file.
        use_metadata_server: Whether the metadata server of Google Cloud is asked when there is no file.
    """

    kind: CredentialKind
    source: str
    secret: SecretStr | None = None
    file: Path | None = None
    quota_project: str | None = None
    use_metadata_server: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """Whose credential it is, as far as that can be known without asking Google.

    Attributes:
        kind: Kind of the credential, or of the file that it names: ``service_account``, ``user``, ….
        email: E-mail address of the account, or None.
        project: Project that the account belongs to; None for users and keys.
    """

    kind: str
    email: str | None = None
    project: str | None = None


def key_hint(secret: SecretStr | str) -> str:
    """Say what a key looks like, for the hint of an error; empty when nothing is known.

    Nothing of the key but its well-known prefix is repeated.
    """
    value = (secret.get_secret_value() if isinstance(secret, SecretStr) else secret).strip().strip("'\"")
    for prefix, looks in _LOOKS:
        if value.startswith(prefix):
            return f"looks like {looks}"
    return "looks like the path of a file" if value.lower().endswith(".json") else ""
