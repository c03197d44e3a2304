"""The same request again by real clients of real processes: those that waited, gave up, went away or came at once."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
import pytest
from mcp import Client, StdioServerParameters
from tests.conftest import Connect, of_child, paid
from tests.server.test_stdio import COMMAND, HANDSHAKE

from mediagen.emulator.settings import EmulatorSettings
from mediagen.emulator.thread import EmulatorHandle, running_emulator

PICTURE = {"prompt": "a boat"}
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
            listed: dict[str, Any] = {"status": ""}
            while listed["status"] != "succeeded":
                [listed] = (await call(client, "list_jobs", {}))["jobs"]
                await anyio.sleep(0.02)
            again = await call(client, "generate_image", PICTURE)
            assert (again["job_id"], is_repeat(again), paid(slow)) == (listed["job_id"], True, 1)
            new = await call(client, "generate_image", PICTURE)
    assert (is_repeat(new), paid(slow)) == (False, 2)


async def test_picture_of_a_client_that_went_away_is_handed_over_by_the_next_server(variables, slow):
    process = subprocess.Popen(
        [sys.executable, *COMMAND], env=variables, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    assert process.stdin
    asked = {"name": "generate_image", "arguments": PICTURE}
    for message in (*HANDSHAKE, {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": asked}):
        process.stdin.write(json.dumps(message).encode() + b"\n")
    process.stdin.flush()
    await sent(slow)
    process.stdin.close()
    await anyio.to_thread.run_sync(partial(process.wait, timeout=60))
    with anyio.fail_after(60):
        async with Client(server(variables)) as client:
            again = await call(client, "generate_image", PICTURE)
    assert (again["status"], is_repeat(again), paid(slow)) == ("succeeded", True, 1)


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
