"""Which process drives a job.

Each process holds a file lock for its whole life, which the system frees when it dies, and a lease, which it renews
while it drives jobs: a process that is stopped holds its lock for ever, but its lease runs out.
"""

import os
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from mediagen.ledger import queries
from mediagen.ledger.engines.base import Connection
from mediagen.ledger.liveness import LEASE_SECONDS
from mediagen.ledger.rows import time_text

if TYPE_CHECKING:
    from filelock import BaseFileLock

REGISTER_SECONDS = 5.0


class Owners:
    """The lock and lease of this process and those of the others; locks are in one folder beside the ledger. Blocking.

    Call within a write transaction of the ledger only: it keeps a new lock from being taken for a dead one between
    the making of its file and its locking.
    """

    def __init__(
        self,
        folder: Path,
        clock: Callable[[], datetime],
        *,
        lease_seconds: float = LEASE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._lease_seconds = lease_seconds
        self._monotonic = monotonic
        self._seen: dict[str, tuple[str, float]] = {}
        self._id: str | None = None
        self._lock: BaseFileLock | None = None

    @property
    def own_id(self) -> str | None:
        """Id of this process, or None while it owns nothing."""
        return self._id

    def register(self, connection: Connection) -> str:
        """Id of this process, with a whole lease; takes its lock when first asked and removes what the dead left.

        Raises:
            OSError: The folder cannot be written.
        """
        if self._id is None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._remove_dead(connection)
            owner_id = f"{os.getpid()}-{secrets.token_hex(8)}"
            lock = _file_lock(self._file(owner_id))
            lock.acquire(timeout=REGISTER_SECONDS)
            self._id, self._lock = owner_id, lock
        self.renew(connection)
        return self._id

    def renew(self, connection: Connection) -> None:
        """Begin the lease of this process anew; nothing when it owns nothing."""
        if self._id:
            expires_at = self._clock() + timedelta(seconds=self._lease_seconds)
            connection.execute(queries.RENEW_OWNER, {"owner_id": self._id, "expires_at": time_text(expires_at)})

    def is_alive(self, connection: Connection, owner_id: str) -> bool:
        """Whether the process that registered under this id still runs and drives its jobs."""
        if not self._holds_lock(owner_id):
            connection.execute(queries.DELETE_OWNER, {"owner_id": owner_id})
            return False
        lease = connection.execute(queries.SELECT_OWNER, {"owner_id": owner_id}).fetchone()
        return lease is None or not self._has_run_out(owner_id, lease["expires_at"])

    def _has_run_out(self, owner_id: str, expires_at: str) -> bool:
        """Whether a lease was not renewed for as long as it lasts, measured here.

        A clock that jumps, or a machine that slept, makes all leases look old at once; so what counts is how long
        this process has seen it unchanged.
        """
        seen, since = self._seen.get(owner_id, ("", 0.0))
        if seen != expires_at:
            self._seen[owner_id] = (expires_at, self._monotonic())
            return False
        return self._monotonic() - since > self._lease_seconds

    def _holds_lock(self, owner_id: str) -> bool:
        """Whether the lock of a process is taken; removes its file when it is not."""
        file = self._file(owner_id)
        if not file.exists():
            return False
        lock = _file_lock(file)
        try:
            lock.acquire(blocking=False)
        except OSError:  # held by a living process, or a file of another user that says nothing
            return True
        # Unlinked while locked, so that nobody can lock it in between; Windows can unlink it only afterwards.
        with suppress(OSError):
            file.unlink()
        lock.release()
        if os.name == "nt":
            with suppress(OSError):
                file.unlink()
        return False

    def close(self) -> None:
        """Give up the lock: jobs of this process are free for others from now on."""
        lock, owner_id = self._lock, self._id
        self._lock = self._id = None
        if lock and owner_id:
            lock.release()
            with suppress(OSError):
                self._file(owner_id).unlink()

    def _remove_dead(self, connection: Connection) -> None:
        for file in self._folder.glob("*.lock"):
            self.is_alive(connection, file.stem)

    def _file(self, owner_id: str) -> Path:
        return self._folder / f"{owner_id}.lock"


def _file_lock(file: Path) -> "BaseFileLock":
    from filelock import FileLock  # costs as much as all the rest of the room to import

    # One process-wide lock: it is taken in one worker thread and given back in another.
    return FileLock(file, mode=0o600, thread_local=False)
