"""Links to files: signed, so that they need no token, and short-lived."""

import hashlib
import hmac
import os
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlencode

from mcp.server.request_state import RequestStateSecurity

from mediagen.errors import ConfigurationError
from mediagen.settings import Settings

LIFETIME_SECONDS: Final = 3600
KEY_BYTES: Final = 32
KEY_FILE: Final = "http_links.key"
FILES: Final = "/files"

Verdict = Literal["good", "expired", "wrong"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Links:
    """Makes and checks links.

    Attributes:
        base_url: Address of this server as its callers know it.
    """

    base_url: str
    key: bytes

    def make(self, artifact_id: str, *, now: float | None = None) -> tuple[str, datetime]:
        """A link to a file, and until when it holds."""
        expires = int(time.time() if now is None else now) + LIFETIME_SECONDS
        query = urlencode({"expires": expires, "signature": self._signature(artifact_id, str(expires))})
        return f"{self.base_url}{FILES}/{artifact_id}?{query}", datetime.fromtimestamp(expires, UTC)

    def check(self, artifact_id: str, expires: str, signature: str, *, now: float | None = None) -> Verdict:
        """Whether a link is ours and still holds."""
        # Compared as bytes: a text with other letters than ASCII cannot be compared in constant time.
        expected = self._signature(artifact_id, expires).encode()
        if not hmac.compare_digest(expected, signature.encode("utf-8", "surrogatepass")):
            return "wrong"
        return "good" if (time.time() if now is None else now) <= int(expires) else "expired"

    def _signature(self, artifact_id: str, expires: str) -> str:
        signed = f"{artifact_id}\n{expires}".encode("utf-8", "surrogatepass")
        return hmac.new(self.key, signed, hashlib.sha256).hexdigest()


def links_of(settings: Settings) -> Links:
    """The links of a server; every server with the same state folder accepts them.

    Raises:
        ConfigurationError: The key cannot be read or written.
    """
    return Links(base_url=settings.http_public_url or "", key=_key(settings.folder_for_state() / KEY_FILE))


def state_security(settings: Settings) -> RequestStateSecurity:
    """Lets every server with the same state folder take the answer to a question that another one asked.

    Raises:
        ConfigurationError: The key cannot be read or written.
    """
    key = _key(settings.folder_for_state() / KEY_FILE)
    return RequestStateSecurity(keys=[hmac.new(key, b"questions", hashlib.sha256).digest()])


@cache
def _key(path: Path) -> bytes:
    try:
        if not path.exists():
            _write_key(path)
        key = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"The key for links to files, {path}, cannot be read or written ({type(error).__name__}).",
            hint="Make MEDIAGEN_STATE_DIR a folder of this user's own.",
        ) from error
    if len(key) != KEY_BYTES:
        raise ConfigurationError(
            f"{path} is no key for links to files: it has {len(key)} bytes instead of {KEY_BYTES}.",
            hint="Remove it: a new one is made, and links that were given out hold no longer.",
        )
    return key


def _write_key(path: Path) -> None:
    """Make the key; of several processes that do so at once, the first one's stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(unfinished, path)
        except FileExistsError:
            return
    finally:
        unfinished.unlink(missing_ok=True)
