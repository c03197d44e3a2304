"""Clients with few connections each: used again while they are free, and no more at a time than are allowed."""

import anyio
import httpx

from mediagen.endpoints.connections import EACH, Connections


def a_client() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200)))


async def test_one_after_the_other_use_the_same_client():
    connections = Connections(a_client, most=2 * EACH)
    used = set()
    for _ in range(3):
        async with connections.lend() as client:
            used.add(client)
    assert len(used) == 1
    await connections.aclose()
    assert all(client.is_closed for client in used)


async def test_no_client_is_used_by_more_than_it_has_connections_and_none_is_lent_beyond_the_most():
    connections = Connections(a_client, most=2 * EACH)
    at_a_time: dict[httpx.AsyncClient, int] = {}
    highest: list[int] = []
    leave = anyio.Event()

    async def use() -> None:
        async with connections.lend() as client:
            at_a_time[client] = at_a_time.get(client, 0) + 1
            highest.append(sum(at_a_time.values()))
            assert at_a_time[client] <= EACH
            await leave.wait()
            at_a_time[client] -= 1

    async with anyio.create_task_group() as group:
        for _ in range(3 * EACH):
            group.start_soon(use)
        await anyio.wait_all_tasks_blocked()
        assert (max(highest), len(at_a_time)) == (2 * EACH, 2)
        leave.set()
    assert len(highest) == 3 * EACH
    await connections.aclose()
