"""Which process drives a job: each holds a file lock for its whole life, which the system frees when it dies."""

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mediagen.ledger.engines.base import Connection

if TYPE_CHECKING:
    from filelock import BaseFileLock

REGISTER_SECONDS = 5.0


class Owners:
    """The lock of this process and those of the others, in one folder beside the ledger. Blocking.

    Call within a write transaction of the ledger only: it keeps a new lock from being taken for a dead one between
    the making of its file and its locking.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._id: str | None = None
        self._lock: BaseFileLock | None = None

    @property
    def own_id(self) -> str | None:
        """Id of this process, or None while it owns nothing."""
        return self._id

    def register(self, connection: Connection) -> str:
        """Id of this process; takes its lock when first asked and removes the files of dead owners.

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
        return self._id

    def renew(self, connection: Connection) -> None:
        """Nothing: the lock lasts."""

    def is_alive(self, connection: Connection, owner_id: str) -> bool:  # noqa: ARG002 - the lock says it all
        """Whether the process that registered under this id still runs; removes its file when it does not."""
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
