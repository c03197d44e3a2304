"""Reads credentials files of Google; their contents never reach a message."""

import json
import logging
import re
import stat
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mediagen.credentials.credential import Credential, Identity
from mediagen.errors import AuthenticationError

logger = logging.getLogger("mediagen.credentials")

SIZE_LIMIT = 1024 * 1024
EXPECTED = (
    "Expected is a service account key (JSON) from the Google Cloud console, or the file that "
    "`gcloud auth application-default login` writes."
)
# What google-auth's loaders cannot do without.
# Source: https://pypi.org/project/google-auth/2.62.2/, google/auth/_default.py (checked 2026-11-21)
REQUIRED_TEXTS: dict[str, tuple[str, ...]] = {
    "service_account": ("client_email", "private_key", "token_uri"),
    "authorized_user": ("client_id", "client_secret", "refresh_token"),
    "impersonated_service_account": ("service_account_impersonation_url",),
    "external_account": ("audience", "subject_token_type", "token_url"),
}
_REQUIRED_OBJECTS = {
    "impersonated_service_account": ("source_credentials",),
    "external_account": ("credential_source",),
}
# Secrets are sent to these.
_ADDRESSES = ("token_uri", "token_url", "service_account_impersonation_url")
# Tokens of whoever runs this are sent to these: whoever wrote the file must not choose where.
_GOOGLES_OWN = ("token_url", "service_account_impersonation_url")
# Strict, as the libraries do not agree where the host of a strange address ends.
_GOOGLE_HOST = re.compile(r"(?:[a-z0-9-]+\.)+googleapis\.com")
_KINDS = {"authorized_user": "user"}
_PLAIN_WORD = re.compile(r"[a-z_]{1,40}")
_IMPERSONATED = re.compile(r"/serviceAccounts/([^/:]+):")


@dataclass(frozen=True, kw_only=True, slots=True)
class CredentialsFile:
    """A credentials file that was read and looks complete.

    Attributes:
        type: Google's name for its format, a key of `REQUIRED_TEXTS`.
        content: The whole of it, secrets included.
    """

    type: str
    content: dict[str, Any] = field(repr=False)

    @property
    def quota_project(self) -> str | None:
        """Project that the file wants to be charged for quota."""
        return _text(self.content, "quota_project_id")

    @property
    def identity(self) -> Identity:
        """Whose file it is."""
        address = _text(self.content, "service_account_impersonation_url") or ""
        impersonated = _IMPERSONATED.search(address)
        email = _text(self.content, "client_email") or _text(self.content, "account")
        return Identity(
            kind=_KINDS.get(self.type, self.type),
            email=impersonated.group(1) if impersonated else email,
            project=_text(self.content, "project_id") if self.type == "service_account" else None,
        )


def read_credentials_file(credential: Credential) -> CredentialsFile:
    """Read the file of a credential; blocking.

    Raises:
        AuthenticationError: It is missing, unreadable or something else; code ``credentials_file``.
    """
    data = _bytes_of(credential)
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise unusable(credential, "is not valid JSON") from error
    if not isinstance(content, dict):
        raise unusable(credential, "holds no JSON object")
    found = content.get("type")
    if not isinstance(found, str) or found not in REQUIRED_TEXTS:
        raise _wrong_type(credential, content)
    missing = [name for name in REQUIRED_TEXTS[found] if _text(content, name) is None]
    missing += [name for name in _REQUIRED_OBJECTS.get(found, ()) if not isinstance(content.get(name), dict)]
    if missing:
        raise unusable(credential, f"({found}) has no usable {', '.join(missing)}")
    _check_addresses(credential, content)
    return CredentialsFile(type=found, content=content)


def unusable(credential: Credential, what: str, *, hint: str = EXPECTED) -> AuthenticationError:
    """Make our error of a credentials file, naming it and where its name came from."""
    return AuthenticationError(
        f"The credentials file {credential.file} (from {credential.source}) {what}.", hint=hint, code="credentials_file"
    )


def warn_if_world_readable(path: Path) -> None:
    """Log a warning when every user of this machine can read the file."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return
    if mode & stat.S_IROTH:
        logger.warning("The credentials file %s can be read by every user of this machine (chmod 600).", path)


def is_loopback(host: str) -> bool:
    """Whether the host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bytes_of(credential: Credential) -> bytes:
    path = credential.file
    if path is None:
        raise AuthenticationError(
            f"The credential from {credential.source} names no file.", hint=EXPECTED, code="credentials_file"
        )
    try:
        # A pipe or a device might never end.
        if not stat.S_ISREG(path.stat().st_mode):
            raise unusable(credential, "is not a regular file")
        with path.open("rb") as file:
            data = file.read(SIZE_LIMIT + 1)
    except FileNotFoundError as error:
        raise unusable(credential, "does not exist") from error
    except PermissionError as error:
        raise unusable(credential, "may not be read", hint="Allow this user to read it.") from error
    except (OSError, ValueError) as error:
        raise unusable(credential, f"cannot be read ({type(error).__name__})") from error
    if len(data) > SIZE_LIMIT:
        raise unusable(credential, "is far too large for a credentials file")
    return data


def _wrong_type(credential: Credential, content: dict[str, Any]) -> AuthenticationError:
    if "installed" in content or "web" in content:
        return unusable(credential, "describes an OAuth client, which cannot sign requests by itself")
    found = content.get("type")
    if isinstance(found, str) and _PLAIN_WORD.fullmatch(found):
        return unusable(credential, f"is of type {found!r}, which is not supported")
    return unusable(credential, "does not say what type of credentials it holds")


def parts_of(content: dict[str, Any]) -> list[dict[str, Any]]:
    """A credentials file, and those that it holds inside."""
    parts = [content]
    # A file made by hand may nest them as deep as it likes.
    while isinstance(inner := parts[-1].get("source_credentials"), dict):
        parts.append(inner)
    return parts


def _check_addresses(credential: Credential, content: dict[str, Any]) -> None:
    for part in parts_of(content):
        for name in _ADDRESSES:
            if name in part and not _is_safe(part[name]):
                hint = "Only https addresses are used, and http ones on this machine."
                raise unusable(credential, f"names an address in {name} that is not safe", hint=hint)
            if name in part and name in _GOOGLES_OWN and not _is_of_google(part[name]):
                hint = "A token of yours would be sent there. Get the file from the Google Cloud console or gcloud."
                raise unusable(credential, f"names an address in {name} that is not Google's", hint=hint)


def _is_safe(address: object) -> bool:
    if not isinstance(address, str) or not address.isascii() or not address.isprintable() or " " in address:
        return False
    try:
        url = urlsplit(address)
        host, _ = url.hostname, url.port
    except ValueError:
        return False
    return bool(host) and (url.scheme == "https" or (url.scheme == "http" and is_loopback(host or "")))


def _is_of_google(address: str) -> bool:
    host = (urlsplit(address).hostname or "").lower()
    return bool(_GOOGLE_HOST.fullmatch(host)) or is_loopback(host)


def _text(content: dict[str, Any], name: str) -> str | None:
    value = content.get(name)
    return value if isinstance(value, str) and value.strip() else None
