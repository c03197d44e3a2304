"""No result comes near 1 MB, and its words and its structured content each say everything."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from mcp.types import CallToolResult, ImageContent
from tests.conftest import Connect
from tests.ledger.ledger_values import a_job, an_artifact
from tests.server.test_tools import content_of, text_of

from mediagen.app.app import open_app
from mediagen.jobs import JobStatus
from mediagen.server.brief import LARGEST_MESSAGE, LARGEST_WORDS, MOST_WARNINGS, fitting, size_of
from mediagen.server.toolsets import TOOLS
from mediagen.settings import Settings

SENTENCE = 'He said "é 🎬"\\\n'
LONG = SENTENCE * (30_000 // len(SENTENCE))
PREVIEW_BYTES, PREVIEW_PIXELS = 300_000, 768
ALL_TOOLSETS = "core,jobs,edit"


def size(result: CallToolResult) -> int:
    """Bytes of the result on the wire, without its envelope."""
    return len(result.model_dump_json(by_alias=True, exclude_none=True).encode())


async def fill(settings: Settings, count: int, **changes: Any) -> list[str]:
    """Put finished jobs into the ledger that a server will open; their ids."""
    async with open_app(settings) as app:
        ids = []
        for _ in range(count):
            job = await app.generator.ledger.create(a_job(backend="emulator", **changes))
            await app.generator.ledger.store_artifacts(
                job.job_id, 0, expected=JobStatus.SUBMITTING, artifacts=[an_artifact()]
            )
            ids.append(job.job_id)
    return ids


async def test_page_of_a_hundred_long_jobs_is_one_small_message(connect: Connect, make_settings):
    paths = [f"/films/{number}/{'x' * 3_000}.png" for number in range(14)]
    ids = await fill(
        make_settings(),
        100,
        requested={"prompt": LONG, "input_images": paths},
        effective={"prompt_sent": LONG, "resolution": "720p"},
    )
    async with connect() as client:
        result = await client.call_tool("list_jobs", {"limit": 100})
    listed = content_of(result)["jobs"]
    assert size(result) < LARGEST_MESSAGE
    assert {job["job_id"] for job in listed} == set(ids)
    assert all(job["job_id"] in text_of(result) for job in listed)


async def test_page_that_is_still_too_large_is_shorter_and_its_cursor_goes_on(connect: Connect, make_settings):
    requested = {f"value_{number}": "\x01" * 3_000 for number in range(40)}
    ids = await fill(make_settings(), 30, requested=requested)
    seen: list[str] = []
    cursor: dict[str, str] = {}
    async with connect() as client:
        while True:
            result = await client.call_tool("list_jobs", {"limit": 100, **cursor})
            assert size(result) < LARGEST_MESSAGE
            page = content_of(result)
            seen += [job["job_id"] for job in page["jobs"]]
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
    assert len(seen) == len(ids)
    assert set(seen) == set(ids)


async def test_long_prompt_is_sent_whole_and_can_be_used_again(connect: Connect, emulator):
    async with connect() as client:
        made = await client.call_tool("generate_image", {"prompt": LONG})
        again = await client.call_tool("get_job", {"job_id": content_of(made)["job_id"]})
    sent = json.dumps(emulator.requests()[-1]["body"], ensure_ascii=False)
    assert json.dumps(LONG.strip(), ensure_ascii=False)[1:-1] in sent
    for result in (made, again):
        assert size(result) < LARGEST_MESSAGE
        assert content_of(result)["requested"]["prompt"] == LONG.strip()


async def test_dry_run_of_the_largest_request_is_one_small_message(connect: Connect):
    picture = "data:image/png;base64," + base64.b64encode(Path("cat.png").read_bytes()).decode()
    arguments = {"prompt": "🎬" * 32_000, "negative_prompt": "é" * 2_000, "input_images": [picture] * 3}
    async with connect() as client:
        result = await client.call_tool("generate_image", {**arguments, "dry_run": True})
    assert size(result) < 300_000
    assert content_of(result)["status"] == "dry_run"
    assert picture[:200] not in str(result)


async def test_many_warnings_are_counted_instead_of_told(connect: Connect, make_settings):
    [job_id] = await fill(make_settings(), 1, warnings=tuple(f"{number} {LONG}" for number in range(500)))
    async with connect() as client:
        result = await client.call_tool("get_job", {"job_id": job_id})
    warnings = content_of(result)["warnings"]
    assert size(result) < LARGEST_MESSAGE
    assert len(warnings) == MOST_WARNINGS + 1
    assert "480" in warnings[-1] or "481" in warnings[-1]


def test_any_other_content_is_cut_until_it_fits_and_what_is_needed_stays_whole():
    path = "/films/" + "x" * 3_000
    content = {"models": [f"model-{number}" for number in range(100_000)], "files": [{"path": path}], "note": LONG * 50}
    text, told = fitting(LONG * 50, content)
    assert size_of(text, told) <= LARGEST_WORDS
    assert told["files"] == [{"path": path}]
    assert told["models"][-1].startswith("… and ")
    assert "was cut" in text or "were cut" in text


@pytest.mark.parametrize("tool", [tool.name for tool in TOOLS])
async def test_huge_arguments_are_not_sent_back(connect: Connect, tool: str):
    huge = "x" * 1_500_000
    async with connect(MEDIAGEN_TOOLSETS=ALL_TOOLSETS) as client:
        schema = next(it.input_schema for it in (await client.list_tools()).tools if it.name == tool)
        words = {name: huge for name, field in schema["properties"].items() if field.get("type") == "string"}
        lists = {name: [huge] * 2 for name, field in schema["properties"].items() if field.get("type") == "array"}
        results = [
            await client.call_tool(tool, {**words, **lists}),
            await client.call_tool(tool, {**dict.fromkeys(schema.get("required", ()), huge), huge: 1}),
        ]
    assert all(result.is_error for result in results)
    assert all(size(result) < 20_000 for result in results)


async def test_preview_of_a_large_picture_is_small(connect: Connect):
    from PIL import Image

    async with connect() as client:
        result = await client.call_tool("generate_image", {"prompt": "noise", "image_size": "4K"})
    [block] = [block for block in result.content if isinstance(block, ImageContent)]
    jpeg = base64.b64decode(block.data)
    assert len(jpeg) <= PREVIEW_BYTES
    with Image.open(io.BytesIO(jpeg)) as picture:
        assert max(picture.size) <= PREVIEW_PIXELS
    assert size(result) < LARGEST_MESSAGE


async def test_words_and_structured_content_of_a_result_each_say_everything(connect: Connect):
    async with connect() as client:
        result = await client.call_tool("generate_image", {"prompt": "a boat", "negative_prompt": "fog", "count": 2})
    told, text = content_of(result), text_of(result)
    for artifact in told["artifacts"]:
        for fact in (artifact["path"], artifact["uri"], artifact["mime_type"], str(artifact["size_bytes"])):
            assert fact in text
    for fact in (told["job_id"], told["status"], told["model"], told["quote"]["basis"], told["charge"]["basis"]):
        assert fact in text
    for fact in (*told["warnings"], *(change["reason"] for change in told["adjustments"])):
        assert fact in text


async def test_words_and_structured_content_of_a_failure_each_say_everything(connect: Connect, emulator):
    emulator.add_fault(fault="image_finish", reason="IMAGE_SAFETY", match={"path_contains": "generateContent"})
    async with connect() as client:
        failed = await client.call_tool("generate_image", {"prompt": "x"})
        listed = await client.call_tool("list_jobs", {})
    assert failed.is_error
    assert isinstance(failed.structured_content, dict)
    [row] = content_of(listed)["jobs"]
    for error, text in ((failed.structured_content["error"], text_of(failed)), (row["error"], text_of(listed))):
        for fact in (error["code"], error["message"], error["hint"]):
            assert fact
            assert fact in text


async def test_words_and_structured_content_of_a_list_each_say_everything(connect: Connect, make_settings):
    await fill(make_settings(), 2, warnings=("The clip is silent.",))
    async with connect() as client:
        result = await client.call_tool("list_jobs", {"limit": 1})
    told, text = content_of(result), text_of(result)
    [row] = told["jobs"]
    facts = [row["job_id"], row["kind"], row["status"], row["model"], *row["warnings"], told["next_cursor"]]
    facts += [artifact[name] for artifact in row["artifacts"] for name in ("path", "uri")]
    assert all(fact in text for fact in facts)
    assert "$" in text
