"""What many callers of one ledger ask at the same moment is done together, and each gets its own outcome."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import pytest

from mediagen.errors import LedgerError
from mediagen.ledger.engines.base import Access
from mediagen.ledger.transactions import MOST_AT_ONCE, Lane


class Counted:
    """A database that counts its transactions, and that can be held."""

    place = "nowhere"
    has_room = False

    def __init__(self) -> None:
        self.transactions = 0
        self.written: list[Any] = []
        self.free = threading.Event()
        self.free.set()
        self.fails_to_begin = False

    def open(self) -> None: ...

    def close(self) -> None: ...

    @contextmanager
    def transaction(self, _access: Access, /) -> Iterator[Any]:
        if self.fails_to_begin:
            raise LedgerError("It is locked.")
        self.transactions += 1
        assert self.free.wait(5)
        pending: list[Any] = []
        yield pending
        self.written += pending


async def test_what_waits_while_one_writes_is_written_in_one_transaction():
    database = Counted()
    lane: Any = Lane(database, Access.EXCLUSIVE)
    database.free.clear()
    found: dict[int, Any] = {}

    async def write(number: int) -> None:
        found[number] = await lane.do(lambda pending: pending.append(number) or number * 2)

    async with anyio.create_task_group() as group:
        group.start_soon(write, 0)
        await _until(lambda: database.transactions == 1)
        for number in range(1, 31):
            group.start_soon(write, number)
        await anyio.wait_all_tasks_blocked()
        database.free.set()
    assert database.transactions == 2
    assert found == {number: number * 2 for number in range(31)}
    assert database.written == list(range(31))


async def test_other_processes_are_let_in_between_two_transactions():
    database = Counted()
    lane: Any = Lane(database, Access.EXCLUSIVE)
    async with anyio.create_task_group() as group:
        for number in range(3 * MOST_AT_ONCE):
            group.start_soon(lane.do, lambda pending, number=number: pending.append(number))
    assert database.transactions >= 3
    assert sorted(database.written) == list(range(3 * MOST_AT_ONCE))


async def test_one_that_fails_undoes_nothing_of_the_others():
    database = Counted()
    lane: Any = Lane(database, Access.EXCLUSIVE)
    database.free.clear()
    failures: list[str] = []

    def fail(pending: list[Any]) -> None:
        pending.append("half")
        raise LookupError("no such job")

    async def failing() -> None:
        with pytest.raises(LookupError, match="no such job"):
            await lane.do(fail)
        failures.append("told")

    async with anyio.create_task_group() as group:
        group.start_soon(lane.do, lambda pending: pending.append("first"))
        await _until(lambda: database.transactions == 1)
        group.start_soon(lane.do, lambda pending: pending.append("before"))
        group.start_soon(failing)
        group.start_soon(lane.do, lambda pending: pending.append("after"))
        await anyio.wait_all_tasks_blocked()
        database.free.set()
    assert database.written == ["first", "before", "after"]
    assert failures == ["told"]


async def test_database_that_cannot_be_used_is_told_to_all_and_tried_anew_later():
    database = Counted()
    lane: Any = Lane(database, Access.EXCLUSIVE)
    database.fails_to_begin = True
    told = 0

    async def write() -> None:
        nonlocal told
        with pytest.raises(LedgerError, match="locked"):
            await lane.do(lambda pending: pending.append(1))
        told += 1

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(write)
    assert told == 5
    database.fails_to_begin = False
    assert await lane.do(lambda _: "again") == "again"


async def test_caller_that_gives_up_while_it_waits_leaves_the_way_free():
    database = Counted()
    lane: Any = Lane(database, Access.EXCLUSIVE)
    database.free.clear()
    async with anyio.create_task_group() as group:
        group.start_soon(lane.do, lambda pending: pending.append("first"))
        await _until(lambda: database.transactions == 1)
        scope = anyio.CancelScope()

        async def giving_up() -> None:
            with scope:
                await lane.do(lambda pending: pending.append("second"))

        group.start_soon(giving_up)
        await anyio.wait_all_tasks_blocked()
        scope.cancel()
        database.free.set()
    # It was taken on, so it is done.
    assert database.written == ["first", "second"]
    assert await lane.do(lambda _: "third") == "third"


async def _until(is_so: Any) -> None:
    with anyio.fail_after(5):
        while not is_so():
            await anyio.sleep(0.005)
