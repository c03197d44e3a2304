"""Says in words why no access token was given, and what to do; never repeats what Google answered."""

import json
from typing import Protocol

from mediagen.credentials.adc import GCLOUD_SOURCE
from mediagen.credentials.credential import Credential
from mediagen.errors import AuthenticationError, MediaGenError, UnavailableError

_TRANSIENT = frozenset({408, 429})
_SERVER_ERROR = 500
_CLIENT_ERROR = 400
_NOT_FOUND = 404
_FORBIDDEN = 403
# Words of Google's descriptions, and what they mean for a service account.
# Source: https://github.com/googleapis/python-ndb/issues/282 (checked 2026-11-21)
# Source: https://github.com/googleapis/google-cloud-python/issues/10004 (checked 2026-11-21)
# Source: https://github.com/googleapis/google-cloud-php/issues/3622 (checked 2026-11-21)
# Source: https://github.com/googleapis/google-api-ruby-client/issues/720 (checked 2026-11-21)
_KEY_TROUBLES = (
    ("timeframe", "The clock of this machine seems to be wrong; set it by a time server."),
    ("signature", "The key was deleted or disabled, or the file is damaged; create a new key."),
    (
        "account not found",
        "The service account was deleted or disabled; enable it, or create another one and a key for it.",
    ),
    ("disabled", "The service account is disabled; enable it in the Google Cloud console."),
)


class LastAnswer(Protocol):
    """The last answer that a token endpoint gave."""

    host: str
    status: int | None
    body: bytes
    trouble: str


def unreachable(host: str, why: str) -> UnavailableError:
    """Make our error of a token endpoint that gives no sensible answer; the API itself was not asked."""
    where = host or "the token endpoint"
    return UnavailableError(
        f"No access token could be fetched from {where} ({why or 'no answer'}); nothing was billed.",
        hint="Check the network and a proxy in between, and try again.",
        reason=why,
    )


def refused(answer: LastAnswer, *, credential: Credential, file_type: str) -> MediaGenError:
    """Make our error of a refresh that failed.

    Args:
        answer: The last answer of the token endpoint.
        credential: What was to be refreshed.
        file_type: Google's name for the kind of its file.
    """
    word, description = _oauth_error(answer.body)
    status = answer.status
    if status is None:
        if answer.host:
            return unreachable(answer.host, answer.trouble)
        hint = "See what the credentials file refers to, such as the file or program that a token comes from."
        return _refusal(credential, "Google's library could not use it", hint)
    if status < _CLIENT_ERROR or status >= _SERVER_ERROR or status in _TRANSIENT:
        return unreachable(answer.host, f"it answered HTTP {status} without a token")
    if word is None and not answer.body.lstrip().startswith(b"{"):
        hint = "Another server may stand in between, such as a proxy; see also token_uri in the credentials file."
        return _refusal(credential, f"{answer.host} answered HTTP {status}, but not like a token endpoint", hint)
    what = f"Google refused it (HTTP {status}{f', {word}' if word else ''})"
    return _refusal(credential, what, _hint(word or "", description.lower(), file_type, status))


def _refusal(credential: Credential, what: str, hint: str) -> AuthenticationError:
    where = f"{credential.source}, {credential.file}" if credential.file else credential.source
    return AuthenticationError(
        f"The credential from {where} gives no access token: {what}.", hint=hint, code="credentials_refused"
    )


def _hint(word: str, description: str, file_type: str, status: int) -> str:
    if word == "invalid_scope":
        return f"It does not cover Google Cloud; run `{GCLOUD_SOURCE}` without --scopes."
    if file_type == "authorized_user":
        return f"The login has expired or was revoked; run `{GCLOUD_SOURCE}` again."
    if file_type == "service_account":
        for sign, hint in _KEY_TROUBLES:
            if sign in description:
                return hint
        return "The key may have been deleted or disabled, or the clock of this machine may be wrong."
    if file_type == "impersonated_service_account" and status in {_FORBIDDEN, _NOT_FOUND}:
        return "Grant roles/iam.serviceAccountTokenCreator on the service account to whoever impersonates it."
    if file_type == "metadata_server":
        return "No service account is attached to this machine, or it lacks the scope cloud-platform."
    return "See whether the account that the file names still exists and may be used."


def _oauth_error(body: bytes) -> tuple[str | None, str]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None, ""
    if not isinstance(found, dict):
        return None, ""
    word, description = found.get("error"), found.get("error_description")
    # Only a plain word may come into a message.
    is_plain = isinstance(word, str) and word.replace("_", "").isalpha() and word.isascii() and word.islower()
    return (word if is_plain else None), description if isinstance(description, str) else ""
