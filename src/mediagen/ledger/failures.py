"""What SQLite and the file system complain of, in words for whoever runs the program."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mediagen.errors import LedgerError

PRIMARY_CODE = 0xFF  # the higher bits are SQLite's extended code
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
ANOTHER_FOLDER = "or set MEDIAGEN_STATE_DIR to another folder"


class Damaged(Exception):  # noqa: N818 - a state of the file, met inside this room alone
    """The file was looked through and is damaged, or is gone although it held jobs."""


def is_damage(error: BaseException) -> bool:
    """Whether a failure says that the content is damaged; what may pass by itself is none."""
    codes = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
    return isinstance(error, Damaged) or getattr(error, "sqlite_errorcode", 0) & PRIMARY_CODE in codes


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another holds the file at the moment."""
    return error.sqlite_errorcode & PRIMARY_CODE in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn every failure of the database or of its folder into a LedgerError.

    Raises:
        LedgerError: Says what is wrong with the file and what to do.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise ledger_error(error, path) from error
    except UnicodeEncodeError as error:
        raise LedgerError(
            "A name or path is not valid Unicode and cannot be written to the ledger.",
            hint="Use an output folder whose name is valid UTF-8.",
        ) from error
    except OSError as error:
        if error.errno in FULL:
            raise _full(path) from error
        if error.errno in FORBIDDEN:
            raise _read_only(path) from error
        raise LedgerError(
            f"The job ledger {path} cannot be used: {error.strerror or type(error).__name__}.",
            hint=f"Make its folder writable for this user, {ANOTHER_FOLDER}.",
        ) from error


def ledger_error(error: sqlite3.Error, path: Path) -> LedgerError:
    """Explain a failure of SQLite."""
    match getattr(error, "sqlite_errorcode", 0) & PRIMARY_CODE:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return locked(path)
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH | sqlite3.SQLITE_CANTOPEN:
            return _read_only(path)
        case sqlite3.SQLITE_FULL:
            return _full(path)
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return corrupt(path)
        case _:
            name = getattr(error, "sqlite_errorname", None) or type(error).__name__
            return LedgerError(
                f"The job ledger {path} cannot be read or written ({name}).",
                hint=f"Check its disk, {ANOTHER_FOLDER}.",
            )


def locked(path: Path) -> LedgerError:
    """Another holds the file for too long."""
    return LedgerError(
        f"The job ledger {path} is locked: another process has kept it busy for too long.",
        hint="Try again; if it stays so, look for a stopped process or a backup program that holds the file.",
        code="ledger_locked",
        retryable=True,
    )


def _read_only(path: Path) -> LedgerError:
    return LedgerError(
        f"The job ledger {path} cannot be opened for writing.",
        hint=f"Give this user the right to write the file and its folder, {ANOTHER_FOLDER}.",
        code="ledger_read_only",
    )


def _full(path: Path) -> LedgerError:
    return LedgerError(
        f"The job ledger {path} cannot grow: the disk is full.",
        hint=f"Free some space, {ANOTHER_FOLDER}.",
        code="ledger_full",
        retryable=True,
    )


def corrupt(path: Path) -> LedgerError:
    """Something in the file is damaged."""
    return LedgerError(
        f"The job ledger {path} is damaged.",
        hint="Try again: the file is looked through then, kept aside if need be, and a new one is made of what can be "
        "read of it and of the records beside your files.",
        code="ledger_corrupt",
        retryable=True,
    )


def newer(path: Path, *, found: int, known: int) -> LedgerError:
    """The file was written by a later version of this program."""
    return LedgerError(
        f"The job ledger {path} has version {found}, newer than the {known} that this version of mediagen knows.",
        hint=f"Update mediagen, {ANOTHER_FOLDER}.",
        code="ledger_newer",
    )


def foreign(path: Path) -> LedgerError:
    """The file is a database of something else."""
    return LedgerError(
        f"{path} is a database, but not a job ledger of mediagen.",
        hint="Set MEDIAGEN_STATE_DIR to another folder.",
        code="ledger_foreign",
    )
