"""Transactions of the ledger in worker threads."""

from collections.abc import Callable
from datetime import datetime
from typing import Concatenate, ParamSpec, TypeVar

import anyio.to_thread

from mediagen.errors import LedgerError
from mediagen.ledger.engines.base import INTERRUPTED, Access, Connection, Database
from mediagen.ledger.liveness import Liveness

REPEATS = 2  # a server that is going down may cut a second connection

T = TypeVar("T")
P = ParamSpec("P")


class Transactions:
    """One database, and how work is done on it. Part of `Ledger`.

    Attributes:
        principal: Whose jobs alone are seen; None, whoever owns the machine, sees all.
    """

    principal: str | None = None

    def __init__(self, database: Database, owners: Liveness, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._owners = owners
        self._clock = clock

    async def _in_thread(self, work: Callable[[Connection], T], access: Access) -> T:
        return await anyio.to_thread.run_sync(lambda: self._transact(work, access))

    async def _read(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await anyio.to_thread.run_sync(
            lambda: self._transact(lambda connection: work(connection, *args, **kwargs), Access.READ)
        )

    async def _write(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await anyio.to_thread.run_sync(
            lambda: self._transact(lambda connection: work(connection, *args, **kwargs), Access.EXCLUSIVE)
        )

    def _transact(self, work: Callable[[Connection], T], access: Access) -> T:
        for _ in range(REPEATS):
            try:
                return self._transact_once(work, access)
            except LedgerError as error:
                if error.code != INTERRUPTED:
                    raise
        return self._transact_once(work, access)

    def _transact_once(self, work: Callable[[Connection], T], access: Access) -> T:
        with self._database.transaction(access) as connection:
            return work(connection)
