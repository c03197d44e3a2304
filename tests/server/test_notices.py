"""Change notices in both protocol eras: of the jobs of this process, and of those that another one drives."""

import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
import uvicorn
from mcp import Client, MCPError, StdioServerParameters
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.types import INVALID_PARAMS, ResourceListChangedNotification, ResourceUpdatedNotification
from tests.conftest import of_child

from mediagen.app.app import App, open_app
from mediagen.emulator.settings import EmulatorSettings
from mediagen.emulator.thread import EmulatorHandle, running_emulator
from mediagen.requests import GenerateVideoRequest, GetJobRequest
from mediagen.server.build import build_server
from mediagen.server.callers import app_of
from mediagen.server.desk import Desk
from mediagen.server.resources.notices import MOST_ADDRESSES, MOST_STREAMS_OF_ONE
from mediagen.settings import Settings

pytestmark = pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")

LIST = "list changed"
SECONDS = 120.0  # a deadline, far beyond what an idle machine needs


class Heard:
    """What a client was told: addresses of resources, and changes of the list."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self._news = anyio.Event()

    def hear(self, event: str) -> None:
        self.events.append(event)
        self._news.set()

    async def until(self, is_enough: Callable[[list[str]], bool]) -> None:
        with anyio.fail_after(SECONDS):
            while not is_enough(self.events):
                await self._news.wait()
                self._news = anyio.Event()


@asynccontextmanager
async def listening(server: Any, era: str, addresses: Callable[[Client], Any]) -> AsyncIterator[Any]:
    """A client that listens in the way of its era to what a function gives; yields it and what it hears."""
    heard = Heard()

    async def on_message(message: Any) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            heard.hear(str(message.params.uri))
        elif isinstance(message, ResourceListChangedNotification):
            heard.hear(LIST)

    # In the later era the stream gives the same notices, too.
    async with Client(server, mode=era, message_handler=on_message if era == "legacy" else None) as client:
        wanted = await addresses(client)
        if era == "legacy":
            for address in wanted:
                await client.subscribe_resource(address)
            yield client, heard
            return
        stream = client.listen(resource_subscriptions=wanted, resources_list_changed=True)
        async with stream as events, anyio.create_task_group() as group:

            async def listen() -> None:
                async for event in events:
                    heard.hear(getattr(event, "uri", LIST))

            group.start_soon(listen)
            yield client, heard
            group.cancel_scope.cancel()


@pytest.fixture(scope="module")
def slow_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorHandle]:
    settings = EmulatorSettings(video_seconds=1.5, state_dir=tmp_path_factory.mktemp("slow"))
    with running_emulator(settings) as handle:
        yield handle


@pytest.fixture
def settings(make_settings: Callable[..., Settings], slow_emulator: EmulatorHandle) -> Settings:
    return make_settings(GOOGLE_GEMINI_BASE_URL=slow_emulator.url)


async def begun(client: Client, **arguments: Any) -> str:
    result = await client.call_tool("generate_video", {"prompt": "a fox", "wait_seconds": 0, **arguments})
    assert isinstance(result.structured_content, dict)
    assert not result.is_error
    return str(result.structured_content["job_id"])


async def test_job_that_ends_and_its_file_are_told(settings: Settings, era: str):
    job_ids = []

    async def addresses(client: Client) -> list[str]:
        job_ids.append(await begun(client))
        return [f"mediagen://jobs/{job_ids[0]}"]

    async with listening(build_server(settings), era, addresses) as (client, heard):
        address = f"mediagen://jobs/{job_ids[0]}"
        await heard.until(lambda events: address in events and LIST in events)
        with anyio.fail_after(SECONDS):
            while '"succeeded"' not in (await client.read_resource(address)).contents[0].text:
                count = len(heard.events)
                await heard.until(lambda events, count=count: len(events) > count)
    assert set(heard.events) == {address, LIST}
    assert len(heard.events) < 12


async def test_file_of_an_edit_on_this_machine_is_told(make_settings: Callable[..., Settings], era: str):
    async def nothing(client: Client) -> list[str]:
        return []

    server = build_server(make_settings(MEDIAGEN_TOOLSETS="core,edit"))
    async with listening(server, era, nothing) as (client, heard):
        result = await client.call_tool("resize_image", {"source": "cat.png", "width": 32})
        assert not result.is_error
        await heard.until(lambda events: LIST in events)
    assert heard.events == [LIST]


async def test_job_of_another_process_is_told_to_who_follows_it(settings: Settings, era: str):
    async with open_app(settings) as other:
        job = await other.generator.generate_video(GenerateVideoRequest(prompt="a fox", wait_seconds=0))
        address = f"mediagen://jobs/{job.job_id}"

        async def addresses(client: Client) -> list[str]:
            return [address]

        async with listening(build_server(settings), era, addresses) as (_, heard):
            await heard.until(lambda events: address in events and LIST in events)
            assert job.job_id
            await other.generator.get_job(GetJobRequest(job_id=job.job_id, wait_seconds=30))


async def test_link_of_a_chain_is_told_what_becomes_of_the_links_after_it(settings: Settings, era: str, ffmpeg: str):
    job_ids = []

    async def addresses(client: Client) -> list[str]:
        source = await begun(client, wait_seconds=20)
        result = await client.call_tool(
            "extend_video", {"source": source, "prompt": "it runs", "times": 2, "wait_seconds": 0}
        )
        assert isinstance(result.structured_content, dict), result.content
        job_ids.append(str(result.structured_content["job_id"]))
        return [f"mediagen://jobs/{job_ids[0]}"]

    async with listening(build_server(settings), era, addresses) as (client, heard):
        address = f"mediagen://jobs/{job_ids[0]}"

        async def states() -> list[str]:
            found = (await client.call_tool("list_jobs", {})).structured_content
            assert isinstance(found, dict)
            return [job["status"] for job in found["jobs"]]

        with anyio.fail_after(SECONDS):
            while (await states()) != ["succeeded"] * 3:
                count = len(heard.events)
                await heard.until(lambda events, count=count: len(events) > count)
    assert heard.events.count(address) > 1


async def test_session_that_unsubscribed_is_told_no_more(settings: Settings):
    async def nothing(client: Client) -> list[str]:
        return []

    async with listening(build_server(settings), "legacy", nothing) as (client, heard):
        address = f"mediagen://jobs/{await begun(client)}"
        await client.subscribe_resource(address)
        await client.subscribe_resource(address)
        await client.unsubscribe_resource(address)
        await client.unsubscribe_resource(address)
        await heard.until(lambda events: LIST in events)
        await client.call_tool("get_job", {"job_id": address.rpartition("/")[2], "wait_seconds": 30})
    assert set(heard.events) == {LIST}


async def test_subscriptions_are_bounded_and_unknown_jobs_are_refused(settings: Settings):
    async with Client(build_server(settings), mode="legacy") as client:
        with pytest.raises(MCPError) as refused:
            await client.subscribe_resource("mediagen://jobs/job_none")
        assert refused.value.error.code == INVALID_PARAMS
        for number in range(MOST_ADDRESSES):
            await client.subscribe_resource(f"mediagen://errors/{number}")
        with pytest.raises(MCPError, match=str(MOST_ADDRESSES)):
            await client.subscribe_resource("mediagen://models")
        await client.unsubscribe_resource("mediagen://errors/0")
        await client.subscribe_resource("mediagen://models")


async def test_streams_and_their_addresses_are_bounded(settings: Settings):
    server = build_server(settings)
    async with Client(server, mode="auto") as client:
        with pytest.raises(MCPError, match=str(MOST_ADDRESSES)):
            async with client.listen(resource_subscriptions=[f"x://{n}" for n in range(MOST_ADDRESSES + 1)]):
                raise AssertionError
        async with anyio.create_task_group() as group:
            opened = []

            async def hold() -> None:
                async with client.listen(resource_subscriptions=["mediagen://jobs/job_none"]):
                    opened.append(True)
                    await anyio.sleep_forever()

            for _ in range(MOST_STREAMS_OF_ONE):
                group.start_soon(hold)
            with anyio.fail_after(SECONDS):
                while len(opened) < MOST_STREAMS_OF_ONE:
                    await anyio.sleep(0.01)
            with pytest.raises(MCPError, match="streams"):
                async with client.listen(resources_list_changed=True):
                    raise AssertionError
            group.cancel_scope.cancel()
        with anyio.fail_after(SECONDS):
            while True:
                try:
                    async with client.listen(resources_list_changed=True):
                        break
                except MCPError:
                    await anyio.sleep(0.01)


async def test_capabilities_say_what_is_told(settings: Settings, era: str):
    async with Client(build_server(settings), mode=era) as client:
        capabilities = client.server_capabilities
    assert capabilities.resources is not None
    assert (capabilities.resources.subscribe, capabilities.resources.list_changed) == (True, True)
    assert capabilities.tools is not None
    assert not capabilities.tools.list_changed
    assert capabilities.prompts is not None
    assert not capabilities.prompts.list_changed


async def test_job_that_ends_is_told_over_stdio(environment: dict[str, str], slow_emulator: EmulatorHandle, era: str):
    environment = {**environment, "GOOGLE_GEMINI_BASE_URL": slow_emulator.url}
    command = StdioServerParameters(
        command=sys.executable, args=["-c", "from mediagen.server import main; main()"], env=of_child(environment)
    )
    addresses: list[str] = []

    async def begin(client: Client) -> list[str]:
        addresses.append(f"mediagen://jobs/{await begun(client)}")
        return addresses

    async with listening(command, era, begin) as (client, heard):
        await heard.until(lambda events: LIST in events and addresses[0] in events)
        found = await client.call_tool("get_job", {"job_id": addresses[0].rpartition("/")[2], "wait_seconds": 30})
    assert not found.is_error


async def test_nothing_is_followed_any_more_when_the_client_is_gone(settings: Settings, era: str):
    """Over HTTP, where the server stays: what a session or a stream asked for ends with it."""
    server, apps = build_server(settings), list[App]()

    @server.tool()
    async def peek(context: Context[Any, Any]) -> str:
        await context.request_context.lifespan_context.ready()
        apps.append(app_of(context))
        return ""

    async def begin(client: Client) -> list[str]:
        await client.call_tool("peek", {})
        return [f"mediagen://jobs/{await begun(client)}"]

    async with served(server) as url:
        async with listening(url, era, begin) as (client, heard):
            await heard.until(lambda events: LIST in events)
            assert not is_idle(apps[0])
        with anyio.fail_after(SECONDS):
            while not is_idle(apps[0]):
                await anyio.sleep(0.01)
        async with Client(url, mode=era) as client:
            await client.call_tool("peek", {})
        assert apps[1] is apps[0]


def is_idle(app: App) -> bool:
    return app.runner.watcher.is_idle


@asynccontextmanager
async def served(server: MCPServer[Desk]) -> AsyncIterator[str]:
    """The server over HTTP in this process."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(server.streamable_http_app(), log_level="error", timeout_graceful_shutdown=1)
        http = uvicorn.Server(config)
        async with anyio.create_task_group() as group:
            group.start_soon(http.serve, [listener])
            with anyio.fail_after(SECONDS):
                while not http.started:
                    await anyio.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
            http.should_exit = True
