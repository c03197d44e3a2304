"""The same request again by real clients of real processes: those that waited, gave up, went away or came at once."""

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from mcp import Client, StdioServerParameters
from tests.conftest import Connect, of_child, paid
from tests.server.test_http import free_port, wait_until_listening
from tests.server.test_stdio import COMMAND, HANDSHAKE

from mediagen.emulator.settings import EmulatorSettings
from mediagen.emulator.thread import EmulatorHandle, running_emulator

PICTURE = {"prompt": "a boat"}
ASKED = {
    "jsonrpc": "2.0",
    "id": 3,
    "method": "tools/call",
    "params": {"name": "generate_image", "arguments": PICTURE},
}
CLIENT = f"""
import anyio, sys
from mcp import Client
async def ask(url, era):
    async with Client(url, mode=era) as client:
        await client.call_tool("generate_image", {PICTURE})
anyio.run(ask, *sys.argv[1:])
"""
NOTE = "This is the job of the same request asked"
CLI = [sys.executable, "-m", "mediagen.cli"]


@pytest.fixture
def slow() -> Iterator[EmulatorHandle]:
    """An emulator that takes its time."""
    with running_emulator(EmulatorSettings(image_seconds=0.8, video_seconds=1.0)) as handle:
        yield handle


@pytest.fixture
def variables(environment: dict[str, str], slow: EmulatorHandle) -> dict[str, str]:
    return of_child({**environment, "GOOGLE_GEMINI_BASE_URL": slow.url})


def server(variables: dict[str, str]) -> StdioServerParameters:
    return StdioServerParameters(command=sys.executable, args=list(COMMAND), env=variables)


async def call(client: Client, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    assert isinstance(result.structured_content, dict)
    return result.structured_content


def is_repeat(report: dict[str, Any]) -> bool:
    return any(warning.startswith(NOTE) for warning in report["warnings"])


async def sent(emulator: EmulatorHandle, number: int = 1) -> None:
    """Wait until so many paid requests have arrived."""
    with anyio.fail_after(60):
        while sum("generateContent" in request["path"] for request in emulator.requests()) < number:
            await anyio.sleep(0.02)


async def give_up(client: Client, emulator: EmulatorHandle) -> None:
    """Ask for a picture, and cancel the call while it is made."""
    async with anyio.create_task_group() as group:
        group.start_soon(client.call_tool, "generate_image", PICTURE)
        await sent(emulator)
        group.cancel_scope.cancel()


async def until_made(client: Client) -> str:
    """Wait until the only job there is has its file, and say which one it is."""
    with anyio.fail_after(60):
        while True:
            jobs = (await call(client, "list_jobs", {}))["jobs"]
            if jobs and jobs[0]["status"] == "succeeded":
                return str(jobs[0]["job_id"])
            await anyio.sleep(0.02)


async def until_told(variables: dict[str, str]) -> None:
    """Wait until it is written down that the end of the only job was told."""
    ledger = Path(variables["MEDIAGEN_STATE_DIR"]) / "ledger.sqlite3"
    with anyio.fail_after(60), closing(sqlite3.connect(f"{ledger.as_uri()}?mode=ro", uri=True)) as connection:
        while connection.execute("SELECT delivered_at FROM jobs").fetchone() in {None, (None,)}:
            await anyio.sleep(0.02)


async def read_until(process: subprocess.Popen[bytes], number: int) -> None:
    """Read what a server says up to its answer to one request."""
    assert process.stdout
    said: dict[str, Any] = {}
    with anyio.fail_after(60):
        while said.get("id") != number:
            said = json.loads(await anyio.to_thread.run_sync(process.stdout.readline, abandon_on_cancel=True))


@contextmanager
def started(variables: dict[str, str], code: str = COMMAND[1]) -> Iterator[subprocess.Popen[bytes]]:
    """A server that was greeted, and whose answers nobody reads as yet."""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            write(process, *HANDSHAKE)
            yield process
        finally:
            process.kill()


def write(process: subprocess.Popen[bytes], *messages: Mapping[str, Any]) -> None:
    assert process.stdin
    process.stdin.write(b"".join(json.dumps(message).encode() + b"\n" for message in messages))
    process.stdin.flush()


async def test_client_that_gave_up_gets_its_open_job_and_then_a_new_one(variables, slow, era):
    with anyio.fail_after(60):
        async with Client(server(variables), mode=era) as client:
            await give_up(client, slow)
            again = await call(client, "generate_image", PICTURE)
            assert (again["status"], is_repeat(again), paid(slow)) == ("succeeded", True, 1)
            new = await call(client, "generate_image", PICTURE)
    assert (is_repeat(new), new["job_id"] == again["job_id"], paid(slow)) == (False, False, 2)


async def test_picture_that_was_done_after_its_client_gave_up_is_handed_over_once(variables, slow, era):
    with anyio.fail_after(60):
        async with Client(server(variables), mode=era) as client:
            await give_up(client, slow)
            made = await until_made(client)
            again = await call(client, "generate_image", PICTURE)
            assert (again["job_id"], is_repeat(again), paid(slow)) == (made, True, 1)
            new = await call(client, "generate_image", PICTURE)
    assert (is_repeat(new), paid(slow)) == (False, 2)


async def test_picture_of_a_client_that_went_away_is_handed_over_by_the_next_server(variables, slow):
    with started(variables) as process:
        write(process, ASKED)
        await sent(slow)
        assert process.stdin
        process.stdin.close()
        await anyio.to_thread.run_sync(partial(process.wait, timeout=60))
    with anyio.fail_after(60):
        async with Client(server(variables)) as client:
            again = await call(client, "generate_image", PICTURE)
    assert (again["status"], is_repeat(again), paid(slow)) == ("succeeded", True, 1)


async def test_picture_whose_answer_was_not_read_is_handed_over_by_the_next_server(variables, slow):
    with started(variables) as process:
        # More than a pipe holds, so that the answer to the picture cannot leave.
        write(process, *({"jsonrpc": "2.0", "id": 10 + number, "method": "tools/list"} for number in range(20)))
        write(process, ASKED)
        async with Client(server(variables)) as other:
            await until_made(other)
            # What would be written down of its end would be by now.
            await anyio.sleep(0.05)
            process.kill()
            await anyio.to_thread.run_sync(process.wait)
            again = await call(other, "generate_image", PICTURE)
    assert (again["status"], is_repeat(again), paid(slow)) == ("succeeded", True, 1)


async def test_list_that_names_the_job_is_no_delivery_of_the_answer_behind_it(variables, slow):
    lists = [{"jsonrpc": "2.0", "id": 10 + number, "method": "tools/list"} for number in range(40)]
    with started(variables) as process:
        write(process, *lists[:20], ASKED)
        await sent(slow)
        listed = {**ASKED, "id": 5, "params": {"name": "list_jobs", "arguments": {}}}
        write(process, listed, *lists[20:])
        async with Client(server(variables)) as other:
            await until_made(other)
            await read_until(process, 5)
            await anyio.sleep(0.05)
            process.kill()
            again = await call(other, "generate_image", PICTURE)
    assert (again["status"], is_repeat(again), paid(slow)) == ("succeeded", True, 1)


async def test_answer_was_told_though_its_client_left_before_the_server_knew(variables, slow):
    slowly = f"""
import time
from mediagen.server import stdio
write = stdio._Outlet._write
stdio._Outlet._write = lambda self, data: (write(self, data), time.sleep(0.03))
{COMMAND[1]}
"""
    with started(variables, slowly) as process:
        write(process, ASKED)
        await read_until(process, 3)
        assert process.stdin
        process.stdin.close()
        assert await anyio.to_thread.run_sync(partial(process.wait, timeout=60)) == 0
    async with Client(server(variables)) as other:
        new = await call(other, "generate_image", PICTURE)
    assert (new["status"], is_repeat(new), paid(slow)) == ("succeeded", False, 2)


async def test_picture_of_a_client_that_reads_no_more_is_handed_over_by_the_next_server(variables, slow):
    with started(variables) as process:
        assert process.stdin
        assert process.stdout
        await anyio.to_thread.run_sync(process.stdout.readline)
        process.stdout.close()
        write(process, ASKED, {"jsonrpc": "2.0", "id": 4, "method": "tools/list"})
        async with Client(server(variables)) as other:
            await until_made(other)
            process.stdin.close()
            assert await anyio.to_thread.run_sync(partial(process.wait, timeout=60)) == 0
            again = await call(other, "generate_image", PICTURE)
    assert (again["status"], is_repeat(again), paid(slow)) == ("succeeded", True, 1)


async def test_picture_whose_answer_was_read_is_not_handed_over_again_though_its_server_was_killed(variables, slow):
    with started(variables) as process:
        write(process, ASKED)
        await read_until(process, 3)
        await until_told(variables)
        process.kill()
        await anyio.to_thread.run_sync(process.wait)
    async with Client(server(variables)) as other:
        new = await call(other, "generate_image", PICTURE)
    assert (new["status"], is_repeat(new), paid(slow)) == ("succeeded", False, 2)


@contextmanager
def over_http(variables: dict[str, str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([*CLI, "serve", "--http", "--port", str(port)], env=variables) as process:
        try:
            yield process
        finally:
            process.terminate()


async def test_picture_of_a_client_whose_connection_broke_is_handed_over_by_the_same_server(variables, slow, era):
    port = free_port()
    url = f"http://127.0.0.1:{port}/mcp"
    with over_http(variables, port) as process:
        await wait_until_listening(port, process)
        with subprocess.Popen([sys.executable, "-c", CLIENT, url, era], env=variables) as client:
            await sent(slow)
            client.kill()
        async with Client(url, mode=era) as other:
            made = await until_made(other)
            again = await call(other, "generate_image", PICTURE)
            assert (again["job_id"], is_repeat(again), paid(slow)) == (made, True, 1)
            new = await call(other, "generate_image", PICTURE)
    assert (is_repeat(new), paid(slow)) == (False, 2)


async def test_answer_is_delivered_by_the_tool_and_by_get_job_and_not_by_a_list(connect: Connect, emulator):
    async with connect() as client:
        first = await call(client, "generate_image", PICTURE)
        second = await call(client, "generate_image", {**PICTURE, "wait_seconds": 0})
        assert not is_repeat(second)
        third = second
        while third["status"] != "succeeded":
            await call(client, "list_jobs", {})
            third = await call(client, "generate_image", {**PICTURE, "wait_seconds": 0})
        assert third["job_id"] == second["job_id"] != first["job_id"]
        running = await call(client, "generate_image", {**PICTURE, "wait_seconds": 0})
        followed = await call(client, "get_job", {"job_id": running["job_id"], "wait_seconds": 30})
        assert followed["status"] == "succeeded"
        new = await call(client, "generate_image", PICTURE)
        assert not is_repeat(new)
    assert paid(emulator) == 4


async def test_client_that_asks_again_at_once_each_time_gets_a_new_one_each_time(connect: Connect, emulator):
    async with connect() as client:
        made = [await call(client, "generate_image", PICTURE) for _ in range(5)]
    assert len({report["job_id"] for report in made}) == 5
    assert not any(map(is_repeat, made))
    assert paid(emulator) == 5


def start(variables: dict[str, str], *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*CLI, *words, "--json"], env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def told(process: subprocess.Popen[str]) -> dict[str, Any]:
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    report = json.loads(output)
    assert isinstance(report, dict)
    return report


def test_commands_that_ask_for_the_same_at_once_pay_once_and_later_ones_anew(variables, slow):
    words = ("image", "a boat", "--input-images", "cat.png")
    both = [told(process) for process in [start(variables, *words), start(variables, *words)]]
    assert len({report["job_id"] for report in both}) == 1
    assert sorted(map(is_repeat, both)) == [False, True]
    assert paid(slow) == 1
    later = told(start(variables, *words))
    assert (is_repeat(later), paid(slow)) == (False, 2)


async def test_command_that_was_killed_is_taken_up_by_the_same_command(variables, slow):
    words = ("video", "waves", "--duration-seconds", "3", "--resolution", "360p")
    process = start(variables, *words)
    with anyio.fail_after(60):
        while not any(request["method"] == "GET" for request in slow.requests()):
            await anyio.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    again = told(start(variables, *words))
    assert (again["status"], is_repeat(again), paid(slow)) == ("succeeded", True, 1)
