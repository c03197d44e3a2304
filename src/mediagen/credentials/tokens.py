"""Keeps one access token and renews it; blocking, but safe to be used by several threads."""

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mediagen.credentials.credential import Credential
from mediagen.credentials.refusals import unreachable

if TYPE_CHECKING:
    from mediagen.credentials.google_auth import Loaded


@dataclass(frozen=True, kw_only=True, slots=True)
class AccessToken:
    """An access token and the project that is charged for quota."""

    value: str = field(repr=False)
    quota_project: str | None


class TokenSource:
    """Gives access tokens of one credential.

    The file is read with the first token, and again with a later one when it has changed, so that a new login or key
    takes effect without a restart.
    """

    def __init__(self, credential: Credential, *, deadline_seconds: float) -> None:
        self._credential = credential
        self._deadline_seconds = deadline_seconds
        self._lock = threading.Lock()
        self._loaded: Loaded | None = None
        self._stamp: tuple[int, int] | None = None

    def __repr__(self) -> str:
        return f"TokenSource(source={self._credential.source!r})"

    def current(self, refused: str | None = None) -> AccessToken | None:
        """The token at hand, without waiting; None when there is none, it expires soon, or it was refused."""
        loaded = self._loaded
        if loaded is None or not loaded.is_valid or loaded.token in {None, refused}:
            return None
        return _token_of(loaded)

    def fetch(self, refused: str | None = None) -> AccessToken:
        """The token at hand or a new one; blocking.

        Args:
            refused: A token that Google does not take any more.

        Raises:
            AuthenticationError: The file is unusable, or Google refuses it.
            UnavailableError: The token endpoint cannot be reached.
        """
        # A refresh that nobody waits for any more may still be under way.
        if not self._lock.acquire(timeout=self._deadline_seconds):
            raise unreachable("", "an earlier attempt is still waiting")
        try:
            return self.current(refused) or self._refreshed()
        finally:
            self._lock.release()

    def _refreshed(self) -> AccessToken:
        # Heavy to import, and not needed before the first token.
        from mediagen.credentials import google_auth

        stamp = _stamp(self._credential.file)
        loaded = self._loaded
        if loaded is None or (stamp is not None and stamp != self._stamp):
            loaded = google_auth.load(self._credential)
        google_auth.refresh(loaded, self._credential, deadline_seconds=self._deadline_seconds)
        self._loaded, self._stamp = loaded, stamp
        return _token_of(loaded)


def _token_of(loaded: "Loaded") -> AccessToken:
    return AccessToken(value=loaded.token or "", quota_project=loaded.quota_project)


def _stamp(path: Path | None) -> tuple[int, int] | None:
    try:
        found = path.stat() if path is not None else None
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size) if found is not None else None
