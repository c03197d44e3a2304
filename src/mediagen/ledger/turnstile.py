"""One writer at a time, of all processes, and none that waits without end. Blocking."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mediagen.ledger.failures import locked

if TYPE_CHECKING:
    from filelock import BaseFileLock

WAIT_SECONDS = 30.0
# SQLite's own waiting grows to 100 ms for whoever waits long, while newcomers try every few milliseconds: under load
# the same ones come too late again and again. Here all try equally often.
TRY_SECONDS = 0.001


class Turnstile:
    """Lets the threads of this process pass one after the other, and this process or another."""

    def __init__(self, ledger: Path) -> None:
        self._ledger = ledger
        self._file = ledger.with_name(f"{ledger.name}.lock")
        self._threads = threading.RLock()
        self._processes: BaseFileLock | None = None

    @contextmanager
    def passed(self) -> Iterator[None]:
        """Be the only one inside; may be entered again by the thread that is.

        Raises:
            LedgerError: Another stays inside for too long.
            OSError: The folder cannot be written.
        """
        with self.passed_here(), self._alone():
            yield

    @contextmanager
    def passed_here(self) -> Iterator[None]:
        """Be the only one of this process inside; other processes may be.

        Raises:
            LedgerError: Another stays inside for too long.
        """
        # Longer than whoever is first in this process waits for the others: it is that one that gives up.
        if not self._threads.acquire(timeout=2 * WAIT_SECONDS):
            raise locked(self._ledger)
        try:
            yield
        finally:
            self._threads.release()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        from filelock import FileLock, Timeout  # costs as much as all the rest of the room to import

        # Somebody may have removed the folder meanwhile.
        if not self._ledger.parent.is_dir():
            self._ledger.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._processes is None:
            self._processes = FileLock(self._file, mode=0o600, thread_local=False)
        try:
            self._processes.acquire(timeout=WAIT_SECONDS, poll_interval=TRY_SECONDS)
        except Timeout as error:
            raise locked(self._ledger) from error
        try:
            yield
        finally:
            self._processes.release()
