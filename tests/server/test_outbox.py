"""Notices of one session: never more than it has subscriptions, and a client that does not read holds up nobody."""

from collections.abc import Mapping
from typing import Any

import anyio
import pytest
from mcp.server.connection import Connection

from mediagen.server.resources.outbox import Outbox


class Client:
    """The other end of a connection, which reads only when it is told to."""

    def __init__(self) -> None:
        self.reads = anyio.Event()
        self.got: list[str] = []
        self.is_broken = False

    async def send_raw_request(self, method: str, params: Mapping[str, Any] | None, opts: Any = None) -> dict[str, Any]:
        raise AssertionError(method)

    async def notify(self, method: str, params: Mapping[str, Any] | None, opts: Any = None) -> None:
        await self.reads.wait()
        if self.is_broken:
            raise OSError("secret")
        self.got.append(str((params or {}).get("uri", method)))


@pytest.fixture
async def client() -> Client:
    return Client()


@pytest.fixture
async def outbox(client: Client) -> Outbox:
    return Outbox(Connection.for_loop(client))


async def settled(client: Client, count: int) -> None:
    with anyio.fail_after(10):
        while len(client.got) < count:
            await anyio.sleep(0.01)


async def test_notices_that_are_not_read_are_gathered_and_hold_up_nobody(client: Client, outbox: Outbox):
    async with anyio.create_task_group() as group:
        group.start_soon(outbox.send)
        for _ in range(1000):
            outbox.updated("a")
            outbox.updated("b")
            outbox.list_changed()
            await anyio.sleep(0)
        client.reads.set()
        await settled(client, 3)
        await anyio.sleep(0.05)
        outbox.close()
    assert sorted({*client.got}) == ["a", "b", "notifications/resources/list_changed"]
    assert len(client.got) <= 5


async def test_closing_ends_a_client_that_does_not_read_and_all_that_was_followed(client: Client, outbox: Outbox):
    stopped: list[str] = []
    async with anyio.create_task_group() as group:
        group.start_soon(outbox.send)
        outbox.keep("a", lambda: stopped.append("a"))
        outbox.keep("b", lambda: stopped.append("b"))
        outbox.drop("a")
        outbox.updated("b")
        await anyio.sleep(0.01)
        with anyio.fail_after(10):
            outbox.close()
    assert stopped == ["a", "b"]
    assert outbox.addresses == []
    outbox.keep("late", lambda: stopped.append("late"))
    assert stopped == ["a", "b", "late"]
    assert client.got == []


async def test_connection_that_fails_ends_its_own_notices_only(client: Client, outbox: Outbox, caplog):
    stopped: list[str] = []
    client.is_broken = True
    client.reads.set()
    outbox.keep("a", lambda: stopped.append("a"))
    async with anyio.create_task_group() as group:
        group.start_soon(outbox.send)
        outbox.updated("a")
    assert stopped == ["a"]
    assert "OSError" in caplog.text
    assert "secret" not in caplog.text
