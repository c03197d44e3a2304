"""What every engine of the ledger offers: as much of sqlite3's connection as the ledger's statements need."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

INTERRUPTED = "ledger_interrupted"  # code of a failure after which it is certain that nothing was written


class Access(StrEnum):
    """What a transaction may do.

    Attributes:
        READ: One snapshot for all of its statements.
        WRITE: Statements that may be run twice and stand each for itself; it waits only for who changes the same rows.
        EXCLUSIVE: No other exclusive transaction is between its begin and its end, in any process, and each of its
            statements sees all that those before it wrote.
    """

    READ = "read"
    WRITE = "write"
    EXCLUSIVE = "exclusive"


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """A database on a server, and the folder that all processes which use it share.

    Attributes:
        url: ``postgresql://…``; may hold a password, so it is never shown.
        state_folder: Folder of paid answers that are not in their place yet.
    """

    url: str = field(repr=False)
    state_folder: Path


class Row(Protocol):
    """A row whose columns are reached by name or by number."""

    def __getitem__(self, key: Any, /) -> Any:
        """One column."""

    def keys(self) -> Iterable[str]:
        """Names of the columns."""


class Cursor(Protocol):
    """What came of a statement."""

    @property
    def rowcount(self) -> int:
        """Rows that were changed."""

    def fetchone(self) -> Any:
        """Next row, or None."""

    def fetchall(self) -> list[Any]:
        """All rows that are left."""

    def __iter__(self) -> Iterator[Any]:
        """Goes through the rows that are left."""


class Connection(Protocol):
    """A connection within a transaction. Statements are those of `ledger.queries`, with ``:name`` for values."""

    def execute(self, statement: str, parameters: Mapping[str, Any] = ..., /) -> Cursor:
        """Run a statement."""

    def executemany(self, statement: str, rows: Iterable[Mapping[str, Any]], /) -> object:
        """Run a statement once for each row."""


class Database(Protocol):
    """A database of the ledger. Blocking; for worker threads.

    Attributes:
        has_room: Whether several threads can work with it at a time.
    """

    has_room: bool

    @property
    def place(self) -> str:
        """Where it is, for people; without a password."""

    def open(self) -> None:
        """Open, check and migrate it now; does nothing when it is open.

        Raises:
            LedgerError: It cannot be used.
            ConfigurationError: It must not be used from here.
        """

    def close(self) -> None:
        """Close it; the next transaction opens it again."""

    def transaction(self, access: Access, /) -> AbstractContextManager[Connection]:
        """Run one transaction: durable when the block is left, undone when it raises.

        Raises:
            LedgerError: It cannot be read or written; with the code `INTERRUPTED`, nothing was written because the
                connection was lost, and the same may be tried again at once.
        """
