"""Open connections to PostgreSQL, lent to one thread at a time."""

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from mediagen.errors import LedgerError

MOST = 8
WAIT_SECONDS = 30.0
PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 1.0


class Row(dict[str, Any]):
    """A row whose columns are reached by name or by number."""

    def __getitem__(self, key: str | int, /) -> Any:
        """One column."""
        return list(self.values())[key] if isinstance(key, int) else super().__getitem__(key)


class Raw(psycopg.Connection[Row]):
    """A connection of the driver.

    Attributes:
        writer: Names it in the table that tells which of its transactions was the last to be written.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.writer = secrets.token_hex(8)


def rows_by_name(cursor: psycopg.Cursor[Any]) -> Callable[[Sequence[Any]], Row]:
    """Makes rows for the driver."""
    names = [column.name for column in cursor.description or ()]
    return lambda values: Row(zip(names, values, strict=True))


class Pool:
    """At most so many connections, made when they are needed and kept.

    Without threads of its own: whoever needs a connection makes it, so that a failure is seen at once and with its
    reason, and a server that is back is used at once.
    """

    def __init__(self, connect: Callable[[], Raw], *, reconnect_seconds: float) -> None:
        self._connect = connect
        self._reconnect_seconds = reconnect_seconds
        self._room = threading.BoundedSemaphore(MOST)
        self._idle: list[Raw] = []
        self._was_connected = False

    def take(self) -> tuple[Raw, bool]:
        """Lend a connection, and say whether it was used before: it may have been lost since.

        Raises:
            LedgerError: All are in use for too long, or none can be made.
        """
        if not self._room.acquire(timeout=WAIT_SECONDS):
            raise LedgerError(
                f"All {MOST} connections to the job ledger have been busy for {WAIT_SECONDS:g} s.",
                hint="Try again; if it stays so, look at what the database server is doing.",
                code="ledger_locked",
                retryable=True,
            )
        try:
            with suppress(IndexError):
                return self._idle.pop(), True
            return self.connect(), False
        except BaseException:
            self._room.release()
            raise

    def give_back(self, raw: Raw) -> None:
        """Take a connection back, undoing what it did not commit; one that is lost is forgotten."""
        try:
            if not raw.closed and raw.info.transaction_status is not TransactionStatus.IDLE:
                raw.execute("ROLLBACK")
        except psycopg.Error:
            raw.close()
        finally:
            if not raw.closed:
                self._idle.append(raw)
            self._room.release()

    def close(self) -> None:
        """Close all connections that nobody uses."""
        with suppress(IndexError):
            while True:
                self._idle.pop().close()

    def connect(self) -> Raw:
        """Make a connection that is not of the pool.

        Raises:
            LedgerError: None can be made; after one was made once, it is tried for a while.
        """
        deadline = time.monotonic() + (self._reconnect_seconds if self._was_connected else 0)
        pause = PAUSE_SECONDS
        while True:
            try:
                raw = self._connect()
            except LedgerError:
                if time.monotonic() + pause > deadline:
                    raise
            else:
                self._was_connected = True
                return raw
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
