"""What PostgreSQL and its driver complain of, in words for whoever runs the program."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors

from mediagen.errors import LedgerError

REASON_CHARACTERS = 200
BUSY = (
    errors.LockNotAvailable,
    errors.QueryCanceled,
    errors.DeadlockDetected,
    errors.SerializationFailure,
)
REFUSED = (errors.ReadOnlySqlTransaction, errors.InsufficientPrivilege)
FULL = (errors.DiskFull, errors.OutOfMemory)
UNKNOWN_TABLES = (errors.UndefinedTable, errors.UndefinedColumn, errors.UndefinedFunction)


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Turn every failure of the database into a LedgerError.

    Raises:
        LedgerError: Says what is wrong and what to do.
    """
    try:
        yield
    except psycopg.Error as error:
        raise ledger_error(error, place) from error
    except UnicodeEncodeError as error:
        raise LedgerError(
            "A name or path is not valid Unicode and cannot be written to the ledger.",
            hint="Use an output folder whose name is valid UTF-8.",
        ) from error


def ledger_error(error: psycopg.Error, place: str) -> LedgerError:
    """Explain a failure within a transaction, all of which is undone."""
    match error:
        case _ if isinstance(error, BUSY):
            return LedgerError(
                f"The job ledger {place} is locked: others have kept it busy for too long.",
                hint="Try again; if it stays so, look for a transaction that does not end (pg_stat_activity).",
                code="ledger_locked",
                retryable=True,
            )
        case _ if isinstance(error, REFUSED):
            return LedgerError(
                f"The job ledger {place} cannot be written.",
                hint="Give its user the right to create and write tables, and name a server that is no read-only copy.",
                code="ledger_read_only",
            )
        case _ if isinstance(error, FULL):
            return LedgerError(
                f"The job ledger {place} cannot grow: its server is out of disk or memory.",
                hint="Free some there.",
                code="ledger_full",
                retryable=True,
            )
        case _ if isinstance(error, UNKNOWN_TABLES):
            return foreign(place)
        case psycopg.DataError():
            return LedgerError(
                f"A value cannot be written to the job ledger {place} ({type(error).__name__}).",
                hint="Remove control characters from names and texts.",
            )
        case _ if _is_lost(error):
            return interrupted(place)
        case _:
            return LedgerError(
                f"The job ledger {place} cannot be read or written ({type(error).__name__}).",
                hint="Look into the log of the database server.",
            )


def unreachable(error: psycopg.Error, place: str, password: str) -> LedgerError:
    """Explain why there is no connection."""
    reason = " ".join(str(error).split())
    if password:
        reason = reason.replace(password, "***")
    return LedgerError(
        f"The database of the job ledger, {place}, cannot be reached: {_ended(reason[:REASON_CHARACTERS])}",
        hint="Check MEDIAGEN_DATABASE_URL and that the server runs and lets this user in; then try again.",
        code="ledger_unreachable",
        retryable=True,
    )


def interrupted(place: str) -> LedgerError:
    """The connection was lost and the transaction undone."""
    return LedgerError(
        f"The connection to the job ledger {place} was lost; what was being written is undone.",
        hint="Try again.",
        code="ledger_interrupted",
        retryable=True,
    )


def undecided(place: str) -> LedgerError:
    """The connection was lost while the end of a transaction was on its way, and nobody can be asked."""
    return LedgerError(
        f"The connection to the job ledger {place} was lost, and it is not known whether the last change was written.",
        hint="Look at the job once the database can be reached.",
        code="ledger_undecided",
    )


def foreign(place: str) -> LedgerError:
    """The tables are not ours."""
    return LedgerError(
        f"The tables in {place} are not those of a job ledger of mediagen.",
        hint="Name a database of its own in MEDIAGEN_DATABASE_URL, or a schema of its own by "
        "?options=-csearch_path%3Dname.",
        code="ledger_foreign",
    )


def newer(place: str, *, found: int, known: int) -> LedgerError:
    """The tables were made by a later version of this program."""
    return LedgerError(
        f"The job ledger {place} has version {found}, newer than the {known} that this version of mediagen knows.",
        hint="Update mediagen.",
        code="ledger_newer",
    )


def _is_lost(error: psycopg.Error) -> bool:
    # Of a connection that broke the driver itself tells, without a code of the server.
    if isinstance(error, errors.IdleInTransactionSessionTimeout):
        return True
    return isinstance(error, psycopg.OperationalError) and (error.sqlstate or "57P01")[:2] in {"08", "57"}


def _ended(words: str) -> str:
    return words if words.endswith((".", "?", "!")) else f"{words}."
