"""What becomes of a yes to a price when something goes wrong after it, and how errors of tasks are told."""

import sqlite3
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, MCPError
from mcp.types import INTERNAL_ERROR
from tests.conftest import paid
from tests.runner.asking import clip
from tests.server.tasks.task_client import call, ended, send
from tests.server.tasks.test_job_tasks import CLIP, DEAR, following

from mediagen.app.app import now, open_app
from mediagen.emulator.thread import EmulatorHandle
from mediagen.ledger.approvals import ANSWERED_WITHIN, Approval
from mediagen.ledger.ids import new_job_id
from mediagen.server.tasks.jobs import DEFECT
from mediagen.settings import Settings

MakeSettings = Callable[..., Settings]
YES = {"price": {"action": "accept", "content": {"agree": True}}}
# Google asks to wait for longer than a call does by itself.
BUSY = {"fault": "status", "preset": "rate_limit", "seconds": 90}


async def asked_for(settings: Settings, **changes: Any) -> str:
    """Keep a question, as another process or version did; returns its task."""
    question = {
        "job_id": new_job_id(now),
        "principal": None,
        "tool": "generate_video",
        "arguments": CLIP,
        "question": "This costs about $3.20. Go ahead?",
        "usd": Decimal("3.20"),
        "created_at": now(),
    }
    async with open_app(settings) as app:
        return (await app.generator.ledger.ask_approval(Approval(**{**question, **changes}))).job_id


def change_ledger(settings: Settings, statement: str) -> None:
    connection = sqlite3.connect(settings.folder_for_state() / "ledger.sqlite3")
    connection.execute(statement)
    connection.commit()
    connection.close()


async def test_yes_is_kept_until_an_input_that_is_out_of_reach_can_be_had_again(
    make_settings: MakeSettings, emulator: EmulatorHandle, tmp_path: Path
):
    async with open_app(make_settings(MEDIAGEN_STATE_DIR=str(tmp_path / "other"))) as app:
        job = await app.generator.ledger.get((await clip(app)).job_id or "")
    async with following(make_settings(**DEAR)) as client:
        task = await call(client, "extend_video", source=job.calls[0].remote_uris[0], prompt="it sleeps")
        assert task["status"] == "input_required", task
        emulator.add_fault(**BUSY, times=2, match={"method": "GET", "path_contains": "/files/"})
        await send(client, "tasks/update", task["taskId"], inputResponses=YES)
        assert (await send(client, "tasks/get", task["taskId"]))["status"] == "working"
        assert paid(emulator) == 1
        done = await ended(client, task["taskId"])
    assert not done["result"].get("isError"), done
    assert done["result"]["structuredContent"]["job_id"] == task["taskId"]
    assert paid(emulator) == 2


async def test_yes_that_many_follow_at_once_makes_one_job(make_settings: MakeSettings, emulator: EmulatorHandle):
    settings = make_settings(**DEAR)
    async with following(settings) as client, following(settings) as other:
        task_id = (await call(client, "generate_video", **CLIP))["taskId"]
        async with open_app(settings) as app:
            assert await app.generator.ledger.decide_approval(task_id, "accept")
        async with anyio.create_task_group() as group:
            for follower in (client, other) * 3:
                group.start_soon(send, follower, "tasks/get", task_id)
        done = [await ended(follower, task_id) for follower in (client, other)]
    assert [task["result"]["structuredContent"]["job_id"] for task in done] == [task_id, task_id]
    assert paid(emulator) == 1


async def test_defect_after_the_yes_ends_the_task_and_sends_nothing(
    make_settings: MakeSettings, emulator: EmulatorHandle
):
    settings = make_settings(**DEAR)
    task_id = await asked_for(settings, tool="make_film")
    async with following(settings) as client:
        with pytest.raises(MCPError):
            await send(client, "tasks/update", task_id, inputResponses=YES)
        done = await send(client, "tasks/get", task_id)
    assert done["status"] == "completed"
    assert done["result"]["isError"]
    assert done["result"]["content"][0]["text"] == DEFECT
    assert paid(emulator) == 0


async def test_yes_to_arguments_of_another_version_is_refused_in_words(
    make_settings: MakeSettings, emulator: EmulatorHandle
):
    settings = make_settings(**DEAR)
    task_id = await asked_for(settings, arguments={**CLIP, "colour": "red"})
    async with following(settings) as client:
        await send(client, "tasks/update", task_id, inputResponses=YES)
        done = await send(client, "tasks/get", task_id)
    assert done["result"]["isError"]
    assert "colour" in done["result"]["content"][0]["text"]
    assert paid(emulator) == 0


async def test_question_that_nobody_answered_in_time_is_a_cancelled_task(
    make_settings: MakeSettings, emulator: EmulatorHandle
):
    settings = make_settings(**DEAR)
    task_id = await asked_for(settings, created_at=now() - ANSWERED_WITHIN - timedelta(seconds=1))
    async with following(settings) as client:
        assert (await send(client, "tasks/get", task_id))["status"] == "cancelled"
        await send(client, "tasks/update", task_id, inputResponses=YES)
        done = await send(client, "tasks/get", task_id)
    assert done["status"] == "cancelled"
    assert "in time" in done["statusMessage"]
    assert paid(emulator) == 0


async def refusal_of(client: Client, method: str, task_id: str) -> MCPError:
    with pytest.raises(MCPError) as refused:
        await send(client, method, task_id, **({"inputResponses": YES} if method == "tasks/update" else {}))
    return refused.value


async def test_ledger_that_cannot_be_read_is_told_with_a_hint_by_every_method_of_tasks(
    make_settings: MakeSettings, emulator: EmulatorHandle
):
    settings = make_settings(**DEAR)
    async with following(settings) as client:
        task = await call(client, "generate_video", **CLIP)
        change_ledger(settings, "ALTER TABLE approvals RENAME TO elsewhere")
        refusals = [
            await refusal_of(client, method, task["taskId"]) for method in ("tasks/get", "tasks/update", "tasks/cancel")
        ]
        change_ledger(settings, "ALTER TABLE elsewhere RENAME TO approvals")
        assert (await send(client, "tasks/get", task["taskId"]))["status"] == "input_required"
    assert {refusal.error.code for refusal in refusals} == {INTERNAL_ERROR}
    assert all("The job ledger" in str(refusal) and "Check its disk" in str(refusal) for refusal in refusals)
    assert paid(emulator) == 0


async def test_job_that_cannot_be_read_back_as_a_task_is_answered_as_without_tasks(
    make_settings: MakeSettings, emulator: EmulatorHandle
):
    settings = make_settings()
    async with following(settings) as client:
        await client.call_tool("list_jobs", {})
        change_ledger(settings, "ALTER TABLE approvals RENAME TO elsewhere")
        # Without the ids no question can be read; the job is made all the same.
        others = "principal, arguments, fingerprint, decision, outcome"
        change_ledger(settings, f"CREATE VIEW approvals AS SELECT {others} FROM elsewhere")
        answer = await call(client, "generate_video", **CLIP)
        change_ledger(settings, "DROP VIEW approvals")
        change_ledger(settings, "ALTER TABLE elsewhere RENAME TO approvals")
        assert "taskId" not in answer
        assert answer["structuredContent"]["next"]["tool"] == "get_job"
        done = await ended(client, answer["structuredContent"]["job_id"])
    assert done["status"] == "completed"
    assert paid(emulator) == 1
