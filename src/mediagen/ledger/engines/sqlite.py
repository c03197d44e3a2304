"""The SQLite file: opening, checking, migrating, transactions. Blocking; for worker threads."""

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from mediagen.ledger import queries
from mediagen.ledger.engines.base import Access
from mediagen.ledger.failures import Damaged, foreign, is_busy, is_damage, newer, translated
from mediagen.ledger.folders import KnownFolders, Rebuild, no_records
from mediagen.ledger.glance import SPOOL
from mediagen.ledger.turnstile import Turnstile

if TYPE_CHECKING:
    from mediagen.ledger.recovery import Recovery


logger = logging.getLogger(__name__)

FileId = tuple[int, int] | None
# Who opens the ledger and waits for longer than this is told what for.
SLOW_SECONDS = 4.0
# How long a writer waits for programs that do not queue with the others, and a reader for a commit.
BUSY_SECONDS = 10.0
READ_SECONDS = 5.0
SHARE_SECONDS = 0.2
CHECKED_BYTES = 200_000_000
OTHERS_BITS = 0o077

# Source: https://sqlite.org/wal.html, "the WAL-reset bug": several processes that share a file may damage it.
FIRST_SAFE_WAL = (3, 51, 3)


def journal_mode(version: tuple[int, int, int]) -> str:
    """Journal mode for a version of SQLite."""
    return "wal" if version >= FIRST_SAFE_WAL else "delete"


class SqliteDatabase:
    """One connection that writes and one that reads, opened at the first transaction; each is guarded by a lock."""

    has_room = False

    def __init__(self, path: Path, rebuild: Rebuild = no_records) -> None:
        """Name the file; nothing is read or written yet.

        Args:
            path: The file.
            rebuild: Gives the jobs that the records in some folders tell of, should the ledger be lost.
        """
        self.path = path
        self.folders = KnownFolders(path.with_name("output-folders.jsonl"))
        self._rebuild = rebuild
        self._turnstile = Turnstile(path)
        self._opening = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._reading_lock = threading.Lock()
        self._reading: sqlite3.Connection | None = None
        # What the connections are connected to: the file may be replaced by another process.
        self._opened_file: FileId = None
        self._read_file: FileId = None
        # A page that turned out to be damaged in the middle of work lets the whole file be looked through.
        self._is_suspect = False
        self._is_left = False

    @cached_property
    def _recovery(self) -> "Recovery":
        from mediagen.ledger.recovery import Recovery  # works with rows, which know the engines

        return Recovery(
            path=self.path,
            new=_new,
            rebuild=self._rebuild,
            folders=self.folders,
            spool=self.path.with_name(SPOOL),
        )

    def recoveries(self) -> list[str]:
        """What is to be told of each time that the file was lost or damaged and made anew."""
        from mediagen.ledger.recovery import told  # as above

        return told(self.path)

    @property
    def place(self) -> str:
        """Path of the file."""
        return str(self.path)

    def open(self) -> None:
        """Open, check and migrate the file now; does nothing when it is open.

        Raises:
            LedgerError: It cannot be used.
        """
        with translated(self.path):
            self._usable()

    def close(self) -> None:
        """Close the file; a later transaction opens it again, and closes it when it is done."""
        self._is_left = True
        with self._reading_lock, self._turnstile.passed_here(), self._opening:
            for connection in (self._connection, self._reading):
                if connection:
                    connection.close()
            self._connection = self._reading = None

    @contextmanager
    def transaction(self, access: Access, /) -> Iterator[sqlite3.Connection]:
        """Run one transaction: durable when the block is left, undone when it raises.

        Args:
            access: Whatever writes takes the write lock of the file at once.

        Raises:
            LedgerError: The file is locked, read-only, full or of a newer version, or damaged and cannot be replaced.
        """
        try:
            with self._within(access) as connection:
                yield connection
        finally:
            if self._is_left:  # a thread that was at work when the others left
                self.close()

    @contextmanager
    def _within(self, access: Access) -> Iterator[sqlite3.Connection]:
        writes = access is not Access.READ
        with translated(self.path), self._writer() if writes else self._reader() as connection:
            try:
                if writes:
                    connection.execute(queries.BEGIN_WRITE)
                else:
                    self._begin_read(connection)
                yield connection
                connection.execute(queries.COMMIT)
            except BaseException as error:
                _roll_back(connection)
                self._is_suspect |= is_damage(error)
                raise

    @contextmanager
    def _writer(self) -> Iterator[sqlite3.Connection]:
        with self._turnstile.passed():
            yield self._usable()

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        with self._reading_lock:
            if self._reading is None or self._is_suspect or self._read_file != file_id(self.path):
                if self._reading:
                    self._reading.close()
                self._reading = None
                self._usable()
                self._read_file = file_id(self.path)
                self._reading = _connected(self.path, SHARE_SECONDS)
            yield self._reading

    def _begin_read(self, connection: sqlite3.Connection) -> None:
        """Begin to read at once, or queue with the writers: they would let nobody in for as long as they go on."""
        try:
            _share(connection)
        except sqlite3.OperationalError as error:
            if not is_busy(error):
                raise
        else:
            return None
        with self._turnstile.passed():
            deadline = time.monotonic() + READ_SECONDS
            while True:
                try:
                    return _share(connection)
                except sqlite3.OperationalError as error:
                    if not is_busy(error) or time.monotonic() > deadline:
                        raise

    def _usable(self) -> sqlite3.Connection:
        """The connection that writes, opened if need be; a damaged file is replaced first."""
        try:
            return self._opened()
        except (Damaged, sqlite3.DatabaseError) as error:
            if not is_damage(error):
                raise
        with self._turnstile.passed(), self._opening:
            try:
                return self._opened()  # another may have been faster
            except (Damaged, sqlite3.DatabaseError) as error:
                if not is_damage(error):
                    raise
            self._recovery.run()
            self._is_suspect = False
            return self._opened()

    def _opened(self) -> sqlite3.Connection:
        with self._opening:
            if self._connection and (self._is_suspect or self._opened_file != file_id(self.path)):
                self._connection.close()
                self._connection = None
            if self._connection is None:
                with _told_when_slow(self.path):
                    self._connection = self._open()
                self._is_suspect = False
            return self._connection

    def _open(self) -> sqlite3.Connection:
        if self._recovery.is_interrupted or self._recovery.is_lost:
            raise Damaged
        existing = _prepare_file(self.path)
        self._opened_file = file_id(self.path)
        connection = _connected(self.path, BUSY_SECONDS)
        try:
            if existing:
                _check(connection, self.path, thoroughly=self._is_suspect)
            _set_journal_mode(connection)
            _migrate(connection)
            if not self.folders.file.exists():
                self.folders.remember(row[0] for row in connection.execute(queries.SELECT_FOLDERS))
        except BaseException:
            connection.close()
            raise
        return connection


@contextmanager
def _told_when_slow(path: Path) -> Iterator[None]:
    """Tell whoever waits for the ledger to open what he waits for."""
    words = "the job ledger %s is held by another program, or is looked through; waiting for it"
    timer = threading.Timer(SLOW_SECONDS, logger.warning, (words, path))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _share(connection: sqlite3.Connection) -> None:
    """Begin a transaction whose lock is taken already."""
    connection.execute(queries.BEGIN_READ)
    try:
        connection.execute(queries.COUNT_TABLES).fetchone()
    except BaseException:
        _roll_back(connection)
        raise


def _connected(path: Path, busy_seconds: float) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=busy_seconds, isolation_level=None, check_same_thread=False)
    try:
        connection.row_factory = sqlite3.Row
        connection.execute(queries.SYNCHRONOUS)
        connection.execute(queries.FOREIGN_KEYS)
    except BaseException:
        connection.close()
        raise
    return connection


def _new(path: Path) -> sqlite3.Connection:
    """An empty ledger that is a single file as long as it is written."""
    _prepare_file(path)
    connection = _connected(path, BUSY_SECONDS)
    try:
        connection.execute(queries.SET_JOURNAL_MODE["delete"]).fetchone()
        _migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def file_id(path: Path) -> FileId:
    """What tells a file from another one that takes its name; None when there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


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


def _check(connection: sqlite3.Connection, path: Path, *, thoroughly: bool) -> None:
    version, known = _version(connection), max(_migrations())
    if version > known:
        raise newer(path, found=version, known=known)
    if version == 0 and connection.execute(queries.COUNT_TABLES).fetchone()[0]:
        raise foreign(path)
    if not thoroughly and path.stat().st_size > CHECKED_BYTES:
        return
    if connection.execute(queries.FULL_CHECK if thoroughly else queries.QUICK_CHECK).fetchone()[0] != "ok":
        raise Damaged


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
        if not is_busy(error):
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
