"""The SQLite file: opening, checking, migrating, transactions. Blocking; for worker threads."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from importlib.resources import files
from pathlib import Path

from mediagen.ledger import queries
from mediagen.ledger.engines.base import Access
from mediagen.ledger.failures import corrupt, foreign, newer, translated

BUSY_SECONDS = 10.0
CHECKED_BYTES = 200_000_000
OTHERS_BITS = 0o077

# Source: https://sqlite.org/wal.html, "the WAL-reset bug": several processes that share a file may damage it.
FIRST_SAFE_WAL = (3, 51, 3)


def journal_mode(version: tuple[int, int, int]) -> str:
    """Journal mode for a version of SQLite."""
    return "wal" if version >= FIRST_SAFE_WAL else "delete"


class SqliteDatabase:
    """One connection, opened at the first transaction and guarded by a lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    @property
    def place(self) -> str:
        """Path of the file."""
        return str(self.path)

    def open(self) -> None:
        """Open, check and migrate the file now; does nothing when it is open.

        Raises:
            LedgerError: It cannot be used.
        """
        with self._lock, translated(self.path):
            self._opened()

    def close(self) -> None:
        """Close the file; the next transaction opens it again."""
        with self._lock:
            connection, self._connection = self._connection, None
            if connection:
                connection.close()

    @contextmanager
    def transaction(self, access: Access, /) -> Iterator[sqlite3.Connection]:
        """Run one transaction: durable when the block is left, undone when it raises.

        Args:
            access: Whatever writes takes the write lock of the file at once.

        Raises:
            LedgerError: The file is locked, read-only, full, damaged or of a newer version.
        """
        with self._lock, translated(self.path):
            connection = self._opened()
            connection.execute(queries.BEGIN_READ if access is Access.READ else queries.BEGIN_WRITE)
            try:
                yield connection
                connection.execute(queries.COMMIT)
            except BaseException:
                _roll_back(connection)
                raise

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._open()
        return self._connection

    def _open(self) -> sqlite3.Connection:
        existing = _prepare_file(self.path)
        connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            connection.row_factory = sqlite3.Row
            connection.execute(queries.SYNCHRONOUS)
            connection.execute(queries.FOREIGN_KEYS)
            if existing:
                _check(connection, self.path)
            _set_journal_mode(connection)
            _migrate(connection)
        except BaseException:
            connection.close()
            raise
        return connection


def _prepare_file(path: Path) -> bool:
    """Make folder and file for this user alone; returns whether the file held anything before.

    An existing file is never opened here: closing it would drop the locks that another connection of this process
    has on it.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    found = path.stat()
    if os.name == "posix" and found.st_mode & OTHERS_BITS:
        with suppress(PermissionError):
            path.chmod(found.st_mode & ~OTHERS_BITS & 0o777)
    return found.st_size > 0


def _check(connection: sqlite3.Connection, path: Path) -> None:
    version, known = _version(connection), max(_migrations())
    if version > known:
        raise newer(path, found=version, known=known)
    if version == 0 and connection.execute(queries.COUNT_TABLES).fetchone()[0]:
        raise foreign(path)
    if path.stat().st_size <= CHECKED_BYTES and connection.execute(queries.QUICK_CHECK).fetchone()[0] != "ok":
        raise corrupt(path)


def _set_journal_mode(connection: sqlite3.Connection) -> None:
    """Bring the file to the mode that is safe here, unless others are using it in the other one."""
    wanted = journal_mode(sqlite3.sqlite_version_info)
    with closing(connection.execute(queries.JOURNAL_MODE)) as cursor:
        present = cursor.fetchone()[0]
    if present == wanted:
        return
    try:
        connection.execute(queries.SET_JOURNAL_MODE[wanted]).fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            raise


def _migrate(connection: sqlite3.Connection) -> None:
    for number, script in _migrations().items():
        if number <= _version(connection):
            continue
        connection.execute(queries.BEGIN_WRITE)
        try:
            if number > _version(connection):  # another process may have been faster
                for statement in _statements(script):
                    connection.execute(statement)
                connection.execute(queries.SET_USER_VERSION.format(version=number))
            connection.execute(queries.COMMIT)
        except BaseException:
            _roll_back(connection)
            raise


def _migrations() -> dict[int, str]:
    scripts = sorted(files("mediagen.ledger").joinpath("migrations").iterdir(), key=lambda script: script.name)
    return {
        int(script.name[:4]): script.read_text(encoding="utf-8") for script in scripts if script.name.endswith(".sql")
    }


def _statements(script: str) -> Iterator[str]:
    """Cut a script into statements: executescript would commit between them."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute(queries.USER_VERSION).fetchone()[0])


def _roll_back(connection: sqlite3.Connection) -> None:
    with suppress(sqlite3.Error):
        if connection.in_transaction:
            connection.execute(queries.ROLLBACK)
