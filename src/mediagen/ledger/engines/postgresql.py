"""The ledger in a database of PostgreSQL. Blocking; for worker threads."""

import secrets
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

import psycopg

from mediagen.errors import LedgerError
from mediagen.ledger.engines import dialect
from mediagen.ledger.engines.address import target
from mediagen.ledger.engines.base import Access, Address, Cursor
from mediagen.ledger.engines.pool import Pool, Raw, rows_by_name
from mediagen.ledger.engines.postgresql_failures import interrupted, translated, undecided, unreachable
from mediagen.ledger.engines.postgresql_schema import prepare

RECONNECT_SECONDS = 15.0
SETTLE_TRIES = 3
LOCK = 0x6D65646961  # "media"

# The isolation is named, because a database can have another default. In one that keeps its first snapshot the lock
# would be taken after that, and what others wrote while it was waited for would not be seen.
BEGIN = {
    Access.READ: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    Access.WRITE: "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
    Access.EXCLUSIVE: "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
}
# Of one transaction, not of the session, which a pooler in between may give to somebody else. A process that is stopped
# within a transaction loses it, so that it does not hold up all others.
LIMITS = """;
SET LOCAL lock_timeout = '10s'; SET LOCAL statement_timeout = '30s';
SET LOCAL idle_in_transaction_session_timeout = '10s'
"""
# A commit that a power cut undoes would be a payment nobody knows of.
DURABLE = """;
SELECT set_config('synchronous_commit', 'on', TRUE) WHERE current_setting('synchronous_commit') = 'off'
"""
# A statement of its own: the snapshot of the next one is newer than the lock.
TAKE_LOCK = f"; SELECT pg_advisory_xact_lock({LOCK})"
SIGN = """;
INSERT INTO writers (writer, token, written_at) VALUES ('{writer}', '{token}', clock_timestamp())
ON CONFLICT (writer) DO UPDATE SET token = excluded.token, written_at = excluded.written_at
"""
SELECT_TOKEN = "SELECT token FROM writers WHERE writer = %s"  # noqa: S105 - the name of a column
FORGET_WRITERS = "DELETE FROM writers WHERE written_at < clock_timestamp() - INTERVAL '1 day'"


class PostgresConnection:
    """What the ledger's functions get: takes the statements of `ledger.queries`."""

    def __init__(self, raw: Raw) -> None:
        self.raw = raw

    def execute(self, statement: str, parameters: Mapping[str, Any] | None = None, /) -> Cursor:
        """Run a statement."""
        return self.raw.execute(dialect.translated(statement).encode(), parameters or {})

    def executemany(self, statement: str, rows: Iterable[Mapping[str, Any]], /) -> object:
        """Run a statement once for each row."""
        with self.raw.cursor() as cursor:
            cursor.executemany(dialect.translated(statement).encode(), list(rows))
            return cursor.rowcount


class PostgresDatabase:
    """Connections to one database, made at the first transaction."""

    has_room = True

    def __init__(self, address: Address, *, reconnect_seconds: float = RECONNECT_SECONDS) -> None:
        """Name the database; nothing is connected yet.

        Args:
            address: Of the database.
            reconnect_seconds: How long a server that was there before may be gone.

        Raises:
            ConfigurationError: The address is none.
        """
        self._address = address
        self._target = target(address.url)
        self._pool = Pool(self._connect, reconnect_seconds=reconnect_seconds)
        self._opening = threading.Lock()
        self._is_open = False

    @property
    def place(self) -> str:
        """Host and name of the database."""
        return self._target.place

    def open(self) -> None:
        """Connect, check and migrate now; does nothing when that is done.

        Raises:
            LedgerError: It cannot be used.
            ConfigurationError: It must not be used from here.
        """
        with self._opening, translated(self.place):
            if not self._is_open:
                with self._begun(Access.EXCLUSIVE) as raw:
                    prepare(raw, self._address, self.place)
                    raw.execute(FORGET_WRITERS)
                    raw.execute("COMMIT")
                self._is_open = True

    def close(self) -> None:
        """Close the connections; the next transaction opens them again."""
        with self._opening:
            self._is_open = False
            self._pool.close()

    @contextmanager
    def transaction(self, access: Access, /) -> Iterator[PostgresConnection]:
        """Run one transaction: durable when the block is left, undone when it raises.

        Raises:
            LedgerError: The database cannot be reached, is locked, read-only, full or of a newer version.
            ConfigurationError: It must not be used from here.
        """
        self.open()
        token = secrets.token_hex(8)
        with translated(self.place), self._begun(access, token) as raw:
            yield PostgresConnection(raw)
            try:
                answer = raw.execute("COMMIT").statusmessage
            except psycopg.Error:
                if not raw.closed:
                    raise
                if access is Access.EXCLUSIVE:
                    self._settle(raw.writer, token)
            else:
                if answer != "COMMIT":  # a statement failed, and whoever sent it went on
                    raise psycopg.InternalError("the transaction had failed")

    @contextmanager
    def _begun(self, access: Access, token: str | None = None) -> Iterator[Raw]:
        """Lend a connection whose transaction has begun; of those that were lost while idle none is used."""
        while True:
            raw, is_used = self._pool.take()
            try:
                try:
                    _run(raw, _beginning(access, raw.writer, token))
                except psycopg.OperationalError:
                    if is_used and raw.closed:
                        continue
                    raise
                yield raw
                return
            finally:
                self._pool.give_back(raw)

    def _settle(self, writer: str, token: str) -> None:
        """Find out whether a transaction was written whose connection was lost at its very end.

        Who has the lock knows that it is over. A transaction's number would not do: after a crash the server may give
        it to another.

        Raises:
            LedgerError: It was not, or nobody can be asked.
        """
        for _ in range(SETTLE_TRIES):
            try:
                with closing(self._pool.connect()) as raw:
                    _run(raw, BEGIN[Access.EXCLUSIVE] + LIMITS + TAKE_LOCK)
                    found = raw.execute(SELECT_TOKEN, [writer]).fetchone()
            except (psycopg.Error, LedgerError) as error:
                failure: Exception = error
                continue
            if found is None or found["token"] != token:
                raise interrupted(self.place)
            return
        raise undecided(self.place) from failure

    def _connect(self) -> Raw:
        try:
            # A prepared "SELECT *" would fail once a newer version has added a column.
            return Raw.connect(self._target.conninfo, autocommit=True, prepare_threshold=None, row_factory=rows_by_name)
        except psycopg.Error as error:
            raise unreachable(error, self.place, self._target.password) from error


def _beginning(access: Access, writer: str, token: str | None) -> str:
    """What begins a transaction, in one round trip."""
    if access is not Access.EXCLUSIVE:
        return BEGIN[access] + LIMITS
    signature = SIGN.format(writer=writer, token=token) if token else ""
    return BEGIN[access] + LIMITS + DURABLE + TAKE_LOCK + signature


def _run(raw: Raw, statements: str) -> None:
    raw.execute(statements.encode())
