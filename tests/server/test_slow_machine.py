"""A disk or a resolver that hangs holds up the call that needs it, and no other."""

import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from tests.conftest import Connect

from mediagen.emulator.thread import EmulatorHandle

SECONDS = 30
# Events of the interpreter (sys.audit) that wait for a disk or for a server of names, with the place of the path.
WAITING = (
    "open",
    "os.rename",
    "os.remove",
    "os.mkdir",
    "os.link",
    "os.listdir",
    "os.scandir",
    "os.truncate",
    "os.utime",
)
LOOKUP = "socket.getaddrinfo"


class Seen:
    """What a thread does with the files below a folder, and which names it looks up, while it is looked at."""

    def __init__(self) -> None:
        self.folder: str | None = None
        self.thread = 0
        self.found: list[str] = []

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.folder is None or threading.get_ident() != self.thread:
            return
        if event == LOOKUP or (event in WAITING and str(arguments[0]).startswith(self.folder)):
            self.found.append(f"{event} {arguments[0]}")


SEEN = Seen()
sys.addaudithook(SEEN.hook)


@contextmanager
def looked_at(folder: Path) -> Iterator[list[str]]:
    SEEN.folder, SEEN.thread, SEEN.found = str(folder), threading.get_ident(), []
    try:
        yield SEEN.found
    finally:
        SEEN.folder = None


async def answered(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    with anyio.fail_after(SECONDS):
        result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    return result.structured_content or {}


async def test_no_call_waits_for_the_disk_or_a_name_on_the_event_loop(
    connect: Connect, tmp_path: Path, work: Path, emulator: EmulatorHandle
):
    address = emulator.url.replace("127.0.0.1", "localhost")
    async with connect(GOOGLE_GEMINI_BASE_URL=address) as client:
        with looked_at(tmp_path) as found:
            picture = await answered(client, "generate_image", prompt="a fox")
            await answered(client, "generate_image", prompt="the same in snow", continue_from=picture["job_id"])
            await answered(client, "generate_image", prompt="it as a drawing", input_images=[str(work / "cat.png")])
            clip = await answered(client, "generate_video", prompt="waves", duration_seconds=3)
            await answered(client, "extend_video", source=clip["job_id"], prompt="a boat")
            for tool in ("list_jobs", "check_api", "get_spend"):
                await answered(client, tool)
            await answered(client, "get_job", job_id=clip["job_id"])
            for resource in (await client.list_resources()).resources:
                if "preview" in str(resource.uri):
                    await client.read_resource(str(resource.uri))
    assert found == []


@pytest.mark.parametrize("slow", ["fsync", "getaddrinfo"])
async def test_call_is_answered_while_another_waits_for_the_machine(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, emulator: EmulatorHandle, slow: str
):
    """What hangs goes on only when the other call was answered: were there one thread, both would fail."""
    module: Any = os if slow == "fsync" else socket
    usual: Callable[..., Any] = getattr(module, slow)
    hangs, goes_on = threading.Event(), threading.Event()

    def hanging(*arguments: Any, **options: Any) -> Any:
        hangs.set()
        assert goes_on.wait(SECONDS), "the other call was not answered"
        return usual(*arguments, **options)

    results: list[dict[str, Any]] = []

    async def film(client: Client) -> None:
        results.append(await answered(client, "generate_video", prompt="a fox", duration_seconds=3))

    address = emulator.url.replace("127.0.0.1", "localhost")
    async with connect(GOOGLE_GEMINI_BASE_URL=address) as client:
        await answered(client, "list_jobs")
        monkeypatch.setattr(module, slow, hanging)
        async with anyio.create_task_group() as group:
            group.start_soon(film, client)
            with anyio.fail_after(SECONDS):
                while not hangs.is_set():
                    await anyio.sleep(0.01)
            try:
                await answered(client, "estimate_cost", kind="video", duration_seconds=4)
                assert not results
            finally:
                goes_on.set()
    assert [result["status"] for result in results] == ["succeeded"]
