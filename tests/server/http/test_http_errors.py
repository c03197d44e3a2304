"""Errors that name what lies on the server are told to callers elsewhere in words, and without its folders."""

import sqlite3
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, MCPError
from mcp.types import ResourceTemplateReference
from tests.server.http.conftest import SECRET, HttpServer, StartServer
from tests.server.tasks.task_client import Tasks, send

pytestmark = pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")
JOB = f"job_{'0' * 26}"
FILE = f"art_{'0' * 26}"
TEMPLATE = ResourceTemplateReference(type="ref/resource", uri="mediagen://artifacts/{artifact_id}")


async def listen(client: Client) -> None:
    async with client.listen(resource_subscriptions=[f"mediagen://jobs/{JOB}"]):
        raise AssertionError("a stream about what cannot be read was opened")


IN_BOTH_ERAS: dict[str, Callable[[Client], Awaitable[Any]]] = {
    "resources/list": lambda client: client.list_resources(),
    "a job": lambda client: client.read_resource(f"mediagen://jobs/{JOB}"),
    "a file": lambda client: client.read_resource(f"mediagen://artifacts/{FILE}"),
    "a part": lambda client: client.read_resource(f"mediagen://artifacts/{FILE}/parts/0"),
    "completion": lambda client: client.complete(TEMPLATE, {"name": "artifact_id", "value": ""}),
}
MODERN: dict[str, Callable[[Client], Awaitable[Any]]] = {
    **IN_BOTH_ERAS,
    "a stream": listen,
    "a task": lambda client: send(client, "tasks/get", JOB),
}
LEGACY: dict[str, Callable[[Client], Awaitable[Any]]] = {
    **IN_BOTH_ERAS,
    "a subscription": lambda client: client.subscribe_resource(f"mediagen://jobs/{JOB}"),
}


def hide(ledger: Path, *tables: str) -> None:
    change(ledger, *(f"ALTER TABLE {table} RENAME TO {table}_elsewhere" for table in tables))


def change(ledger: Path, *statements: str) -> None:
    connection = sqlite3.connect(ledger, isolation_level=None, timeout=30)
    connection.execute("BEGIN IMMEDIATE")
    for statement in statements:
        connection.execute(statement)
    connection.execute("COMMIT")
    connection.close()


@pytest.fixture
def without_ledger(start: StartServer, tmp_path: Path) -> HttpServer:
    """A server whose ledger cannot be read any more."""
    server = start(MEDIAGEN_HTTP_TOKEN=SECRET)
    hide(tmp_path / "state" / "ledger.sqlite3", "jobs", "artifacts")
    return server


@pytest.mark.parametrize(("era", "asked"), [("auto", MODERN), ("legacy", LEGACY)], ids=["auto", "legacy"])
async def test_ledger_that_cannot_be_read_is_told_without_its_folder_whatever_is_asked(
    without_ledger: HttpServer, tmp_path: Path, era: str, asked: dict[str, Callable[[Client], Awaitable[Any]]]
):
    said: dict[str, str] = {}
    async with without_ledger.client(SECRET, era, extensions=[Tasks()] if era == "auto" else []) as client:
        for name, ask in asked.items():
            with pytest.raises(MCPError) as refused:
                await ask(client)
            said[name] = str(refused.value)
        result = await client.call_tool("get_job", {"job_id": JOB})
        said["a tool"] = str(getattr(result.content[0], "text", ""))
    assert {name for name, words in said.items() if "The job ledger (on the server)" not in words} == set()
    assert {name for name, words in said.items() if str(tmp_path) in words} == set()


async def test_link_whose_file_cannot_be_looked_up_is_answered_with_503(start: StartServer, tmp_path: Path):
    server = start(MEDIAGEN_HTTP_TOKEN=SECRET)
    async with server.client(SECRET, "auto") as client:
        made = (await client.call_tool("generate_image", {"prompt": "a boat"})).structured_content or {}
    link = made["artifacts"][0]["url"].removeprefix(server.url)
    ledger = tmp_path / "state" / "ledger.sqlite3"
    hide(ledger, "jobs")
    refused = server.get(link)
    assert (refused.status_code, refused.json()["error"]) == (503, "ledger")
    assert str(tmp_path) not in refused.text
    change(ledger, "ALTER TABLE jobs_elsewhere RENAME TO jobs")
    assert server.get(link).status_code == 200


def test_server_whose_ledger_cannot_be_read_is_up_and_not_ready(without_ledger: HttpServer):
    deadline = time.monotonic() + 30
    while (answer := without_ledger.get("/ready")).status_code == 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert (answer.status_code, answer.text) == (503, "not ready")
    assert without_ledger.get("/health").status_code == 200
