"""A server is there at once: what serves the calls is loaded with the first of them."""

import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import anyio
import pytest
from mcp import Client
from tests.conftest import of_child, paid

from mediagen.app.app import App, open_app
from mediagen.emulator.thread import EmulatorHandle
from mediagen.errors import ConfigurationError
from mediagen.ledger.glance import has_unfinished
from mediagen.requests import GenerateVideoRequest
from mediagen.server.build import build_server
from mediagen.server.desk import Desk
from mediagen.settings import Settings

SECONDS = 30
MakeSettings = Callable[..., Settings]
# What may be loaded before the first call: what the smallest server of the SDK loads, and these.
OURS_AT_START = {
    "mediagen",
    "mediagen.errors",
    "mediagen.ledger",
    "mediagen.ledger.glance",
    "mediagen.surfaces",
    *(f"mediagen.server{name}" for name in ("", ".build", ".desk", ".instructions", ".listing", ".methods")),
    *(f"mediagen.server{name}" for name in (".registry", ".resources", ".resources.capabilities", ".serve")),
    *(f"mediagen.server{name}" for name in (".tasks", ".tasks.extension", ".viewer", ".viewer.parts")),
    *(f"mediagen.server{name}" for name in (".viewer.viewer", ".__main__", ".outgoing", ".stdio")),
    *(f"mediagen.settings{name}" for name in ("", ".choice", ".config_file", ".profiles", ".settings", ".values")),
}
OTHERS_AT_START = {"sqlite3", "_sqlite3", "difflib", "importlib", "platformdirs", "tomllib"}
LOADED = """
import sys
from mcp.server import MCPServer
MCPServer("the smallest")
floor = set(sys.modules)
from mediagen.server import serve
from mediagen.server.build import build_server
from mediagen.settings import read_settings
build_server(read_settings())
print(*sorted(set(sys.modules) - floor))
"""


def test_server_loads_nothing_before_the_first_call_but_what_it_shows(environment: dict[str, str]):
    command = [sys.executable, "-c", LOADED]
    run = subprocess.run(command, env=of_child(environment), capture_output=True, text=True, check=True, timeout=60)
    loaded = set(run.stdout.split())
    assert {name for name in loaded if name.partition(".")[0] == "mediagen"} <= OURS_AT_START
    assert {name.partition(".")[0] for name in loaded} - {"mediagen", "mcp"} <= OTHERS_AT_START


async def test_nothing_is_opened_for_lists_and_everything_with_the_first_call(make_settings: MakeSettings, era: str):
    settings = make_settings()
    async with Client(build_server(settings), mode=era) as client:
        await client.list_tools()
        await client.list_prompts()
        assert not settings.folder_for_state().exists()
        assert not (await client.call_tool("list_jobs", {})).is_error
    assert (settings.folder_for_state() / "ledger.sqlite3").exists()


async def test_job_of_a_server_that_is_gone_is_gone_on_with_unasked(
    make_settings: MakeSettings, emulator: EmulatorHandle, era: str
):
    settings = make_settings()
    request = GenerateVideoRequest(prompt="waves", duration_seconds=3, wait_seconds=0.0)
    async with open_app(settings) as app:
        job_id = (await app.generator.generate_video(request)).job_id
        assert job_id
    assert has_unfinished(settings.folder_for_state())
    async with Client(build_server(settings), mode=era):
        with anyio.fail_after(SECONDS):
            while has_unfinished(settings.folder_for_state()):
                await anyio.sleep(0.05)
    async with open_app(settings) as app:
        assert (await app.generator.ledger.get(job_id)).status == "succeeded"
    assert paid(emulator) == 1


def test_ledger_that_is_not_there_has_nothing_and_one_that_cannot_be_read_has_to_be_opened(tmp_path: Path):
    assert not has_unfinished(tmp_path)
    (tmp_path / "ledger.sqlite3").write_text("no ledger")
    assert has_unfinished(tmp_path)


async def test_program_that_cannot_be_loaded_any_more_is_told(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch, era: str
):
    """As when it was upgraded or removed while the server ran."""
    monkeypatch.setitem(sys.modules, "mediagen.app.app", None)
    with anyio.fail_after(SECONDS):
        async with Client(build_server(make_settings()), mode=era) as client:
            result = await client.call_tool("list_jobs", {})
            assert result.is_error
            assert "restart the server" in str(result.content)
            monkeypatch.undo()
            assert not (await client.call_tool("list_jobs", {})).is_error


async def test_app_that_cannot_be_opened_is_told_and_tried_again():
    tries: list[int] = []
    app = cast("App", SimpleNamespace(runner=SimpleNamespace(is_sending=False)))

    @asynccontextmanager
    async def opened() -> AsyncIterator[App]:
        tries.append(len(tries))
        if len(tries) < 3:
            raise ConfigurationError(f"not yet {len(tries)}")
        yield app

    desk = Desk(opened)
    heard: list[Any] = []
    desk.when_open(heard.append)
    taken_back = desk.when_open(heard.append)
    taken_back()
    async with desk.attended(lambda: False):
        for number in (1, 2):
            with pytest.raises(ConfigurationError, match=f"not yet {number}"):
                await desk.ready()
        assert not desk.is_open
        with anyio.fail_after(SECONDS):
            await desk.ready()
            await desk.ready()
    assert desk.app is app
    assert heard == [app]
    assert len(tries) == 3


async def test_calls_that_come_together_open_one_app():
    entered: list[int] = []

    @asynccontextmanager
    async def opened() -> AsyncIterator[App]:
        entered.append(1)
        await anyio.sleep(0.01)
        yield cast("App", SimpleNamespace())
        entered.append(-1)

    desk = Desk(opened)
    async with desk.attended(lambda: False), anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(desk.ready)
    assert entered == [1, -1]


async def test_server_that_ends_before_any_call_opens_nothing():
    @asynccontextmanager
    async def opened() -> AsyncIterator[App]:
        pytest.fail("nobody wants it")
        yield cast("App", None)  # type: ignore[unreachable]

    with anyio.fail_after(SECONDS):
        async with Desk(opened).attended(lambda: False):
            pass


async def test_folder_that_cannot_be_used_is_told_by_the_first_call(
    make_settings: MakeSettings, tmp_path: Path, era: str
):
    blocked = tmp_path / "state"
    blocked.write_text("a file in the place of the folder")
    async with Client(build_server(make_settings(MEDIAGEN_STATE_DIR=str(blocked))), mode=era) as client:
        assert (await client.list_tools()).tools
        refused = await client.call_tool("list_jobs", {})
    assert refused.is_error
    assert str(blocked) in str(refused.content)
