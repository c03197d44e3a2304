"""Transactions of the ledger in worker threads."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import anyio
import anyio.lowlevel
import anyio.to_thread

from mediagen.errors import LedgerError
from mediagen.ledger.engines.base import INTERRUPTED, Access, Connection, Database
from mediagen.ledger.liveness import Liveness

REPEATS = 2  # a server that is going down may cut a second connection
# Other processes are let in between two commits.
MOST_AT_ONCE = 64

T = TypeVar("T")
P = ParamSpec("P")
Work = Callable[[Connection], Any]


@dataclass(kw_only=True, slots=True, eq=False)
class _Waiting:
    """Something that is to be done; `is_over` once it is, or has failed."""

    work: Work
    result: Any = None
    error: BaseException | None = None
    is_over: bool = False
    woken: anyio.Event = field(default_factory=anyio.Event)


class Lane:
    """What waits for a database with room for one thread: done together in one transaction by whoever comes first.

    To make a commit durable, or to go to a thread and back, costs more than most of what is done there.
    """

    def __init__(self, database: Database, access: Access) -> None:
        self._database = database
        self._access = access
        self._waiting: deque[_Waiting] = deque()
        self._is_led = False
        self._working = threading.Lock()
        # Not those of all others: who writes files does not wait for who waits here.
        self._threads = anyio.CapacityLimiter(1)

    async def do(self, work: Work) -> Any:
        """Do something in a transaction; once it waits it is done, so that its caller is told."""
        await anyio.lowlevel.checkpoint_if_cancelled()
        mine = _Waiting(work=work)
        self._waiting.append(mine)
        with anyio.CancelScope(shield=True):
            if self._is_led:
                await self._followed(mine)
            if not mine.is_over:
                await self._lead(mine)
        if mine.error is not None:
            raise mine.error
        return mine.result

    async def _followed(self, mine: _Waiting) -> None:
        """Wait until it is done, or is to be done by whoever waits."""
        try:
            await mine.woken.wait()
        except BaseException:
            # Not a scope that was cancelled: the event loop ends.
            if mine in self._waiting:
                self._waiting.remove(mine)
            if mine.woken.is_set() and not mine.is_over:
                self._hand_on()
            raise

    def _hand_on(self) -> None:
        self._is_led = bool(self._waiting)
        if self._waiting:
            self._waiting[0].woken.set()

    async def _lead(self, mine: _Waiting) -> None:
        self._is_led = True
        done: list[_Waiting] = []
        try:
            await anyio.to_thread.run_sync(self._do_those_waiting, mine, done, limiter=self._threads)
        finally:
            for each in done:
                each.woken.set()
            self._hand_on()

    def _do_those_waiting(self, mine: _Waiting, done: list[_Waiting]) -> None:
        with self._working:
            while not mine.is_over:
                batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_AT_ONCE))]
                done += batch
                self._do_together(batch)

    def _do_together(self, batch: Sequence[_Waiting]) -> None:
        """Do all in one transaction, or each in its own when one of them fails."""
        failed = False
        try:
            with self._database.transaction(self._access) as connection:
                failed = True
                for each in batch:
                    each.result = each.work(connection)
                failed = False
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            # It could not be begun, or not be made durable: that met all.
            alone = batch if failed and len(batch) > 1 else ()
            for each in batch:
                each.result, each.error = None, error
            for each in alone:
                self._do_alone(each)
        for each in batch:
            each.is_over = True

    def _do_alone(self, one: _Waiting) -> None:
        one.error = None
        try:
            with self._database.transaction(self._access) as connection:
                one.result = one.work(connection)
        except BaseException as error:  # noqa: BLE001 - as above
            one.error = error


@dataclass(frozen=True, kw_only=True, slots=True)
class Lanes:
    """Where the callers of one database wait their turn."""

    reads: Lane
    writes: Lane


class Transactions:
    """One database, and how work is done on it. Part of `Ledger`.

    Attributes:
        principal: Whose jobs alone are seen; None, whoever owns the machine, sees all.
    """

    principal: str | None = None

    def __init__(
        self, database: Database, owners: Liveness, clock: Callable[[], datetime], lanes: Lanes | None = None
    ) -> None:
        self._database = database
        self._owners = owners
        self._clock = clock
        self._lanes = lanes or Lanes(reads=Lane(database, Access.READ), writes=Lane(database, Access.EXCLUSIVE))

    async def _in_thread(self, work: Callable[[Connection], T], access: Access) -> T:
        if self._database.has_room or access is Access.WRITE:
            return await anyio.to_thread.run_sync(lambda: self._transact(work, access))
        lane = self._lanes.reads if access is Access.READ else self._lanes.writes
        return cast("T", await lane.do(work))

    async def _read(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._in_thread(lambda connection: work(connection, *args, **kwargs), Access.READ)

    async def _write(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._in_thread(lambda connection: work(connection, *args, **kwargs), Access.EXCLUSIVE)

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
