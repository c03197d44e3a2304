"""A call of a client that follows tasks is answered at once; the task is the job, whoever serves it."""

import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from mcp import Client, MCPError, StdioServerParameters
from mcp.types import INVALID_PARAMS, METHOD_NOT_FOUND, MISSING_REQUIRED_CLIENT_CAPABILITY, ElicitResult
from tests.conftest import Connect, of_child, paid
from tests.server.tasks.task_client import Tasks, call, ended, send

from mediagen.app.app import open_app
from mediagen.emulator.thread import EmulatorHandle
from mediagen.server.build import build_server
from mediagen.server.tasks.jobs import JobTasks
from mediagen.settings import Settings

MakeSettings = Callable[..., Settings]
CLIP = {"prompt": "a fox runs", "duration_seconds": 4}
OPEN = {"working", "input_required"}


async def never_asked(context: Any, params: Any) -> ElicitResult:
    raise AssertionError("nobody is to be asked by the way of the call")


@asynccontextmanager
async def following(settings: Settings, *, asks: bool = True) -> AsyncIterator[Client]:
    callback = never_asked if asks else None
    async with Client(build_server(settings), extensions=[Tasks()], elicitation_callback=callback) as client:
        yield client


async def test_clip_is_answered_with_a_task_whose_id_is_the_job(make_settings: MakeSettings, emulator: EmulatorHandle):
    async with following(make_settings()) as client:
        task = await call(client, "generate_video", **CLIP)
        assert task["resultType"] == "task"
        assert task["status"] == "working"
        assert task["taskId"].startswith("job_")
        assert "result" not in task
        done = await ended(client, task["taskId"])
        job = (await client.call_tool("get_job", {"job_id": task["taskId"]})).structured_content
    assert done["status"] == "completed"
    assert job
    assert done["result"]["structuredContent"]["artifacts"] == job["artifacts"]
    assert job["status"] == "succeeded"
    assert [block["type"] for block in done["result"]["content"]] == ["text", "image", "resource_link"]
    assert paid(emulator) == 1


async def test_task_tells_the_progress_of_its_job(make_settings: MakeSettings, emulator: EmulatorHandle):
    emulator.add_fault(fault="stuck")
    async with following(make_settings()) as client:
        task = await call(client, "generate_video", **CLIP)
        with anyio.fail_after(30):
            while "(estimate" not in task["statusMessage"]:
                task = await send(client, "tasks/get", task["taskId"])
        await send(client, "tasks/cancel", task["taskId"])


@pytest.mark.parametrize(
    ("tool", "arguments", "is_task"),
    [
        ("generate_image", {"prompt": "a fox"}, False),
        ("generate_image", {"prompt": "a fox", "count": 2}, True),
        ("generate_image", {"prompt": "a fox", "count": "2"}, True),
        ("generate_image", {"prompt": "a fox", "count": "1"}, False),
        ("generate_image", {"prompt": "a fox", "count": "many"}, False),
        ("generate_video", {**CLIP, "dry_run": True}, False),
        ("generate_video", {"prompt": "a fox", "duration_seconds": 400}, False),
        ("estimate_cost", {"kind": "video"}, False),
    ],
)
async def test_only_calls_that_take_long_become_tasks(
    make_settings: MakeSettings, tool: str, arguments: dict[str, Any], is_task: bool
):
    async with following(make_settings()) as client:
        answer = await call(client, tool, **arguments)
        assert ("taskId" in answer) is is_task
        if is_task:
            done = await ended(client, answer["taskId"])
            assert len(done["result"]["structuredContent"]["artifacts"]) == 2


async def test_client_that_declares_no_tasks_waits_for_the_clip_and_may_not_ask_for_tasks(connect: Connect):
    async with connect() as client:
        made = await client.call_tool("generate_video", CLIP)
        assert made.structured_content
        assert made.structured_content["status"] == "succeeded"
        with pytest.raises(MCPError) as refused:
            await send(client, "tasks/get", made.structured_content["job_id"])
        is_modern = client.protocol_version == "2026-07-28"
    assert refused.value.error.code == (MISSING_REQUIRED_CLIENT_CAPABILITY if is_modern else METHOD_NOT_FOUND)


async def test_task_that_nobody_made_is_unknown(make_settings: MakeSettings):
    async with following(make_settings()) as client:
        for method in ("tasks/get", "tasks/update", "tasks/cancel"):
            with pytest.raises(MCPError) as refused:
                await send(client, method, "job_20200101_000000_nothing")
            assert refused.value.error.code == INVALID_PARAMS


async def test_failed_job_completes_its_task_with_an_error_result(
    make_settings: MakeSettings, emulator: EmulatorHandle
):
    async with following(make_settings()) as client:
        emulator.add_fault(fault="video_failed")
        task = await call(client, "generate_video", **CLIP)
        done = await ended(client, task["taskId"])
    assert done["status"] == "completed"
    assert done["result"]["isError"]


async def test_cancel_stops_the_job_and_may_be_said_twice(make_settings: MakeSettings, emulator: EmulatorHandle):
    async with following(make_settings(MEDIAGEN_POLL_SECONDS="0.05")) as client:
        task = await call(client, "generate_video", **CLIP)
        assert "status" not in await send(client, "tasks/cancel", task["taskId"])
        assert "status" not in await send(client, "tasks/cancel", task["taskId"])
        done = await ended(client, task["taskId"])
        assert done["status"] in {"cancelled", "completed"}
        await send(client, "tasks/cancel", task["taskId"])
        assert (await send(client, "tasks/get", task["taskId"]))["status"] == done["status"]


async def test_task_is_served_by_the_next_server(make_settings: MakeSettings, emulator: EmulatorHandle):
    async with following(make_settings()) as client:
        task = await call(client, "generate_video", **CLIP)
    async with following(make_settings()) as client:
        done = await ended(client, task["taskId"])
    assert done["result"]["structuredContent"]["job_id"] == task["taskId"]
    assert paid(emulator) == 1


async def test_chain_is_one_task_until_its_last_link(make_settings: MakeSettings, emulator: EmulatorHandle):
    settings = make_settings()
    async with following(settings) as client:
        first = await call(client, "generate_video", **CLIP)
        source = await ended(client, first["taskId"])
        assert not source["result"].get("isError"), source
        chain = await call(client, "extend_video", source=first["taskId"], prompt="it sleeps", times=2)
        done = await ended(client, chain["taskId"])
    assert not done["result"].get("isError"), done
    assert paid(emulator) == 3


DEAR = {"MEDIAGEN_CONFIRM_ABOVE_USD": "0.001"}


async def test_price_is_asked_for_before_anything_is_made(make_settings: MakeSettings, emulator: EmulatorHandle):
    async with following(make_settings(**DEAR)) as client:
        task = await call(client, "generate_video", **CLIP)
        assert task["resultType"] == "task"
        assert task["status"] == "input_required"
        asked = await send(client, "tasks/get", task["taskId"])
        (key,) = asked["inputRequests"]
        assert asked["inputRequests"][key]["method"] == "elicitation/create"
        assert "$" in asked["inputRequests"][key]["params"]["message"]
        assert paid(emulator) == 0
        await send(client, "tasks/update", task["taskId"], inputResponses={"other": {"action": "accept"}})
        assert (await send(client, "tasks/get", task["taskId"]))["status"] == "input_required"
        said = {key: {"action": "accept", "content": {"agree": True}}}
        await send(client, "tasks/update", task["taskId"], inputResponses=said)
        await send(client, "tasks/update", task["taskId"], inputResponses=said)
        done = await ended(client, task["taskId"])
    assert not done["result"].get("isError"), done
    assert done["result"]["structuredContent"]["job_id"] == task["taskId"]
    assert paid(emulator) == 1


async def test_pictures_become_a_task_when_several_are_usual_here(make_settings: MakeSettings, tmp_path: Path):
    (tmp_path / "mediagen.toml").write_text("[image]\ncount = 2\n", encoding="utf-8")
    async with following(make_settings(MEDIAGEN_CONFIG=str(tmp_path / "mediagen.toml"))) as client:
        two = await call(client, "generate_image", prompt="a fox")
        one = await call(client, "generate_image", prompt="a fox", count=1)
        await ended(client, two["taskId"])
    assert two["resultType"] == "task"
    assert one.get("resultType") != "task"


async def test_task_is_fulfilled_by_the_job_that_another_call_made_of_its_wish(
    make_settings: MakeSettings, emulator: EmulatorHandle
):
    async with following(make_settings(MEDIAGEN_CONFIRM_ABOVE_USD="0.001")) as client:
        task = await call(client, "generate_video", **CLIP)
        assert task["status"] == "input_required"
        other = await call(client, "generate_video", **CLIP, max_usd=3)
        await ended(client, other["taskId"])
        await send(client, "tasks/update", task["taskId"], inputResponses={"price": {"action": "accept"}})
        done = await ended(client, task["taskId"])
    assert done["result"]["structuredContent"]["job_id"] == other["taskId"]
    assert any("another call made" in warning for warning in done["result"]["structuredContent"]["warnings"])
    assert paid(emulator) == 1


async def test_task_that_has_ended_when_it_is_begun_is_not_told_before_its_result(
    make_settings: MakeSettings, emulator: EmulatorHandle, monkeypatch: pytest.MonkeyPatch
):
    find = JobTasks.find

    async def late(self: JobTasks, task_id: str, context: Any) -> Any:
        while (task := await find(self, task_id, context)) and task.status in OPEN:
            await anyio.sleep(0.02)
        return task

    monkeypatch.setattr(JobTasks, "find", late)
    pictures = {"prompt": "a boat", "count": 2}
    async with following(make_settings()) as client:
        task = await call(client, "generate_image", **pictures)
        assert (task["status"], "result" in task) == ("completed", False)
        again = await call(client, "generate_image", **pictures)
        assert (again["structuredContent"]["job_id"], paid(emulator)) == (task["taskId"], 2)
        new = await call(client, "generate_image", **pictures)
    assert (new["taskId"] == task["taskId"], paid(emulator)) == (False, 4)


async def test_job_whose_price_is_asked_about_is_no_unknown_one(make_settings: MakeSettings):
    async with following(make_settings(MEDIAGEN_CONFIRM_ABOVE_USD="0.001")) as client:
        task = await call(client, "generate_video", **CLIP)
        waiting = await client.call_tool("get_job", {"job_id": task["taskId"]})
        with pytest.raises(MCPError, match="waits until somebody agrees"):
            await client.read_resource(f"mediagen://jobs/{task['taskId']}")
        await send(client, "tasks/update", task["taskId"], inputResponses={"price": {"action": "decline"}})
        over = await client.call_tool("get_job", {"job_id": task["taskId"]})
    assert waiting.is_error
    assert "[not_begun]" in str(waiting.content)
    assert "agrees to its price of $" in str(waiting.content)
    assert "nobody agreed to its price" in str(over.content)


@pytest.mark.parametrize(
    "said", [{"action": "decline"}, {"action": "cancel"}, {"action": "accept", "content": {"agree": False}}]
)
async def test_price_that_is_declined_makes_nothing(
    make_settings: MakeSettings, emulator: EmulatorHandle, said: dict[str, Any]
):
    async with following(make_settings(**DEAR)) as client:
        task = await call(client, "generate_video", **CLIP)
        await send(client, "tasks/update", task["taskId"], inputResponses={"price": said})
        # Who has said no cannot be taken to have said yes.
        await send(client, "tasks/update", task["taskId"], inputResponses={"price": {"action": "accept"}})
        done = await send(client, "tasks/get", task["taskId"])
    assert done["status"] == ("cancelled" if said["action"] == "cancel" else "completed")
    assert paid(emulator) == 0
    if done["status"] == "completed":
        assert "declined" in done["result"]["content"][0]["text"]


async def test_question_outlives_its_server_and_can_be_taken_back(
    make_settings: MakeSettings, emulator: EmulatorHandle
):
    settings = make_settings(**DEAR)
    async with following(settings) as client:
        one = await call(client, "generate_video", **CLIP)
        other = await call(client, "generate_video", prompt="a hare", duration_seconds=4)
    async with following(settings) as client:
        await send(client, "tasks/cancel", other["taskId"])
        assert (await send(client, "tasks/get", other["taskId"]))["status"] == "cancelled"
        await send(client, "tasks/update", one["taskId"], inputResponses={"price": {"action": "accept"}})
        done = await ended(client, one["taskId"])
    assert done["result"]["structuredContent"]["job_id"] == one["taskId"]
    assert paid(emulator) == 1


async def test_yes_is_kept_when_the_server_ends_before_the_job_is_made(
    make_settings: MakeSettings, emulator: EmulatorHandle
):
    settings = make_settings(**DEAR)
    async with following(settings) as client:
        task = await call(client, "generate_video", **CLIP)
    async with open_app(settings) as app:
        assert await app.generator.ledger.decide_approval(task["taskId"], "accept")
    async with following(settings) as client:
        done = await ended(client, task["taskId"])
    assert done["result"]["structuredContent"]["job_id"] == task["taskId"]
    assert paid(emulator) == 1


async def test_job_that_was_agreed_to_and_not_made_yet_can_be_cancelled(
    make_settings: MakeSettings, emulator: EmulatorHandle
):
    settings = make_settings(**DEAR)
    async with following(settings) as client:
        task = await call(client, "generate_video", **CLIP)
        async with open_app(settings) as app:
            ledger = app.generator.ledger
            assert await ledger.decide_approval(task["taskId"], "accept")
            await JobTasks().cancel(task["taskId"], SimpleNamespace(lifespan_context=SimpleNamespace(app=app)))  # type: ignore[arg-type]  # all it reads
        done = await send(client, "tasks/get", task["taskId"])
    assert done["status"] == "cancelled"
    assert paid(emulator) == 0


async def test_price_that_no_longer_fits_a_cap_is_refused_after_the_yes(
    make_settings: MakeSettings, emulator: EmulatorHandle
):
    async with following(make_settings(**DEAR)) as client:
        task = await call(client, "generate_video", **CLIP)
    async with following(make_settings(MEDIAGEN_MAX_USD_PER_CALL="0.0001", **DEAR)) as client:
        await send(client, "tasks/update", task["taskId"], inputResponses={"price": {"action": "accept"}})
        done = await ended(client, task["taskId"])
    assert done["result"]["isError"]
    assert "MEDIAGEN_MAX_USD_PER_CALL" in done["result"]["content"][0]["text"]
    assert paid(emulator) == 0


async def test_client_that_cannot_ask_is_told_to_give_max_usd(make_settings: MakeSettings, emulator: EmulatorHandle):
    async with following(make_settings(**DEAR), asks=False) as client:
        refused = await call(client, "generate_video", **CLIP)
    assert refused["isError"]
    assert "max_usd" in refused["content"][0]["text"]
    assert paid(emulator) == 0


@pytest.mark.parametrize("force", [signal.SIGKILL, signal.SIGTERM])
async def test_task_of_a_killed_server_is_collected_on_another(
    environment: dict[str, str], emulator: EmulatorHandle, tmp_path: Path, force: signal.Signals
):
    emulator.add_fault(fault="delay", seconds=1.0, times=1, match={"method": "GET"})
    pid_file = tmp_path / "pid"
    with anyio.fail_after(90):
        # The client may notice in the middle of leaving.
        with contextlib.suppress(MCPError, anyio.BrokenResourceError, ExceptionGroup):
            async with Client(real_server(environment, pid_file), extensions=[Tasks()]) as client:
                task = await call(client, "generate_video", **CLIP)
                os.kill(int(pid_file.read_text()), force)
        assert task["status"] == "working"
        async with Client(real_server(environment, pid_file), extensions=[Tasks()]) as client:
            done = await ended(client, task["taskId"])
    assert done["result"]["structuredContent"]["job_id"] == task["taskId"]
    assert Path(done["result"]["structuredContent"]["artifacts"][0]["path"]).is_file()
    assert paid(emulator) == 1


def real_server(environment: dict[str, str], pid_file: Path) -> StdioServerParameters:
    program = (
        f"import os; open({str(pid_file)!r}, 'w').write(str(os.getpid())); from mediagen.server import main; main()"
    )
    return StdioServerParameters(command=sys.executable, args=["-c", program], env=of_child(environment))
