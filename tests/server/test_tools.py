"""The tools through the in-memory client, in both protocol eras, against the emulator."""

import base64
import hashlib
from pathlib import Path
from typing import Any

import pytest
from mcp import MCPError
from mcp.types import BlobResourceContents, CallToolResult
from tests.conftest import Connect, paid
from tests.stored import sha256_as_made

from mediagen.server.instructions import instructions
from mediagen.server.toolsets import TOOLS

PAID_TOOLS = {"generate_image", "generate_video", "extend_video"}
EDIT_TOOLS = {
    "probe_media",
    "extract_frame",
    "trim_video",
    "concat_videos",
    "add_audio",
    "convert_video",
    "resize_image",
}


def text_of(result: CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if block.type == "text")


def content_of(result: CallToolResult) -> dict[str, Any]:
    assert not result.is_error, text_of(result)
    assert isinstance(result.structured_content, dict)
    return result.structured_content


async def test_tools_are_all_listed_with_flat_schemas_and_honest_annotations(connect: Connect):
    async with connect(MEDIAGEN_TOOLSETS="core,jobs,edit") as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert set(tools) == {tool.name for tool in TOOLS}
    for name, tool in tools.items():
        assert "$ref" not in str(tool.input_schema)
        assert "anyOf" not in str(tool.input_schema), name
        assert tool.input_schema["additionalProperties"] is False
        assert tool.annotations is not None
        if name in PAID_TOOLS:
            assert tool.annotations.read_only_hint is False
            assert tool.annotations.idempotent_hint is False
            assert tool.annotations.open_world_hint is True
        elif tool.name in EDIT_TOOLS:
            assert tool.annotations.open_world_hint is False
            assert tool.annotations.destructive_hint is False
            assert "Free" in str(tool.description)


async def test_edit_tools_are_offered_only_when_asked_for(connect: Connect):
    async with connect() as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
    assert not names & EDIT_TOOLS
    assert {tool.name for tool in TOOLS} - names == EDIT_TOOLS


@pytest.mark.parametrize("toolsets", [("core",), ("core", "jobs", "edit")])
def test_instructions_stay_short_and_name_the_edits_only_when_they_are_on(toolsets: tuple[str, ...]):
    told = instructions(toolsets)
    assert len(told) < 2000
    edits = [tool.name for tool in TOOLS if tool.toolset == "edit"]
    assert [name for name in edits if name in told] == (edits if "edit" in toolsets else [])


async def test_toolsets_limit_what_is_listed(connect: Connect):
    async with connect(MEDIAGEN_TOOLSETS="core") as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
    assert "generate_image" in names
    assert "list_jobs" not in names


async def test_picture_is_stored_whole_and_described(connect: Connect, emulator, work: Path):
    async with connect() as client:
        result = await client.call_tool(
            "generate_image", {"prompt": "a red fox", "aspect_ratio": "16:9", "input_images": ["cat.png"]}
        )
    report = content_of(result)
    assert report["status"] == "succeeded"
    assert report["backend"] == "emulator"
    assert report["charge"] == {
        "usd": 0.0, "basis": "made by the emulator, free", "certainty": "exact", "billed": "no"
    }  # fmt: skip
    artifact = report["artifacts"][0]
    path = Path(artifact["path"])
    assert path.is_absolute()
    assert path.parent == work
    assert (artifact["width"], artifact["height"]) == (1376, 768)
    assert artifact["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert sha256_as_made(path) in {file["sha256"] for file in emulator.files()}
    assert path.with_suffix(".json").is_file()
    assert [block.type for block in result.content] == ["text", "image", "resource_link"]
    assert str(path) in text_of(result)
    assert report["job_id"] in text_of(result)
    assert paid(emulator) == 1


async def test_clip_arrives_with_progress_and_can_be_extended(connect: Connect, emulator):
    seen: list[float] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        seen.append(progress)

    async with connect() as client:
        clip = content_of(
            await client.call_tool(
                "generate_video",
                {"prompt": "waves", "duration_seconds": 3, "resolution": "360p", "image": "cat.png"},
                progress_callback=on_progress,
            )
        )
        longer = content_of(
            await client.call_tool(
                "extend_video", {"source": clip["job_id"], "prompt": "more waves", "duration_seconds": 3}
            )
        )
    assert seen
    assert seen == sorted(set(seen))
    first, second = clip["artifacts"][0], longer["artifacts"][0]
    assert (first["width"], first["height"], first["fps"], first["has_audio"]) == (640, 360, 24.0, True)
    assert first["duration_seconds"] == pytest.approx(3, abs=0.1)
    assert second["duration_seconds"] == pytest.approx(6, abs=0.15)
    assert longer["effective"]["resolution"] == "360p"
    assert longer["origins"]["resolution"] == "source"
    posts = [request for request in emulator.requests() if request["method"] == "POST"]
    assert posts[-1]["body"]["previous_interaction_id"] == clip["remote"]["operation"]
    assert {sha256_as_made(first["path"]), sha256_as_made(second["path"])} <= {
        file["sha256"] for file in emulator.files()
    }
    assert paid(emulator) == 2


async def test_running_job_is_handed_back_and_followed(connect: Connect, emulator):
    async with connect() as client:
        emulator.add_fault(fault="delay", seconds=0.3, match={"method": "GET", "path_contains": "interactions"})
        handed = await client.call_tool(
            "generate_video",
            {"prompt": "waves", "duration_seconds": 3, "resolution": "360p", "wait_seconds": 0},
        )
        report = content_of(handed)
        assert report["status"] in {"submitting", "running"}
        assert report["next"]["tool"] == "get_job"
        done = content_of(await client.call_tool("get_job", {"job_id": report["job_id"], "wait_seconds": 20}))
    assert done["status"] == "succeeded"
    assert paid(emulator) == 1


async def test_client_that_leaves_does_not_stop_the_job(connect: Connect, emulator):
    import anyio

    # Long enough to leave before the end, however busy the machine is.
    emulator.add_fault(fault="delay", seconds=1, match={"path_contains": "/interactions"})
    asked = {"prompt": "waves", "duration_seconds": 3, "resolution": "360p"}
    async with connect() as client:
        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.call_tool, "generate_video", asked)
                while not (jobs := content_of(await client.call_tool("list_jobs", {}))["jobs"]):
                    await anyio.sleep(0.02)
                assert jobs[0]["status"] in {"submitting", "running"}
                tasks.cancel_scope.cancel()
        done = content_of(await client.call_tool("get_job", {"job_id": jobs[0]["job_id"], "wait_seconds": 20}))
    assert done["status"] == "succeeded"
    assert paid(emulator) == 1


@pytest.mark.parametrize(
    ("tool", "arguments", "named"),
    [
        ("generate_image", {"prompt": "x", "aspect": "16:9"}, "aspect_ratio"),
        ("generate_image", {}, "prompt"),
        ("generate_image", {"prompt": "   "}, "prompt"),
        ("generate_image", {"prompt": "x", "count": 5}, "count"),
        ("generate_image", {"prompt": "x", "aspect_ratio": "7:3"}, "'7:3'"),
        ("generate_image", {"prompt": "x", "image_size": "4k"}, "4K"),
        ("generate_image", {"prompt": "x", "image_size": "8K"}, "'8K'"),
        ("generate_image", {"prompt": "x", "model": "gemini-omni-1.2-flash"}, "gemini-omni-1.2-flash"),
        ("generate_image", {"prompt": "x", "model": "imagen-4.0-generate-001"}, "gemini-nano-banana-2.1"),
        ("generate_image", {"prompt": "x", "input_images": ["nowhere.png"]}, "nowhere.png"),
        ("generate_image", {"prompt": "x", "input_images": ["text.png"]}, "input_images"),
        ("generate_image", {"prompt": "x", "input_images": ["/etc/hostname"]}, "MEDIAGEN_INPUT_ROOTS"),
        ("generate_image", {"prompt": "x", "max_usd": 0.001}, "max_usd"),
        ("generate_image", {"prompt": "x", "backend": "vertex"}, "GOOGLE_APPLICATION_CREDENTIALS"),
        ("generate_image", {"prompt": "x", "continue_from": "job_1"}, "job_1"),
        ("generate_image", {"prompt": "x", "person_generation": "allow_all"}, "person_generation"),
        ("generate_video", {"prompt": "x", "duration_seconds": 30}, "duration_seconds"),
        ("generate_video", {"prompt": "x", "resolution": "1440p"}, "'1440p'"),
        ("generate_video", {"prompt": "x", "aspect_ratio": "1:1"}, "'1:1'"),
        ("generate_video", {"prompt": "x", "generate_audio": False}, "generate_audio"),
        ("generate_video", {"prompt": "x", "model": "veo-3.1-generate-001", "duration_seconds": 5}, "duration_seconds"),
        ("generate_video", {"prompt": "x", "model": "veo-3.0-generate-001"}, "veo-3.0-generate-001"),
        ("generate_image", {"prompt": "x", "preset": "extend"}, "preset"),
        ("generate_image", {"prompt": "x", "profile": "film"}, "film"),
        ("generate_video", {"prompt": "x", "storage_uri": "gs://b/c"}, "storage_uri"),
        ("generate_image", {"prompt": "x", "upload_to": "/tmp"}, "upload_to"),
        ("generate_video", {"prompt": "x", "last_frame": "cat.png"}, "last_frame"),
        ("generate_video", {"duration_seconds": 5}, "prompt"),
        ("generate_video", {"prompt": "x", "reference_images": ["cat.png:style", "cat.png"]}, "style"),
        ("generate_video", {"prompt": "x", "mode": "image_to_video"}, "mode"),
        ("generate_video", {"prompt": "x", "mask": "cat.png"}, "mask"),
        ("extend_video", {"source": "gs://bucket/clip.mp4", "prompt": "x"}, "gs://"),
        ("extend_video", {"source": "http://example.com/clip.mp4", "prompt": "x"}, "https"),
        ("extend_video", {"source": "job_unknown", "prompt": "x"}, "job_unknown"),
        ("extend_video", {"source": "cat.png", "prompt": "x"}, "source"),
        ("get_job", {"job_id": "job_unknown"}, "job_unknown"),
        ("list_jobs", {"status": "done"}, "'done'"),
        ("estimate_cost", {"kind": "video", "duration_seconds": 30}, "duration_seconds"),
    ],
)
async def test_bad_request_is_refused_before_anything_is_sent(connect, emulator, work, tool, arguments, named):
    (work / "text.png").write_text("not a picture")
    async with connect() as client:
        result = await client.call_tool(tool, arguments)
    assert result.is_error
    assert named in text_of(result)
    posts = [request for request in emulator.requests() if request["method"] == "POST"]
    assert posts == []


async def test_source_clip_of_25_frames_is_made_24_and_the_change_is_told(connect, emulator, work):
    import shutil

    from tests.conftest import DATA

    shutil.copy(DATA / "bigbuckbunny.mp4", work / "bunny.mp4")
    async with connect() as client:
        report = content_of(
            await client.call_tool("extend_video", {"source": "bunny.mp4", "prompt": "x", "wait_seconds": 60})
        )
    assert report["status"] == "succeeded", report["error"]
    changes = {change["field"]: (change["from"], change["to"]) for change in report["adjustments"]}
    assert changes["source.fps"] == ("25 fps", "24 fps")
    assert paid(emulator) == 1


async def test_dry_run_shows_everything_and_sends_nothing(connect, emulator):
    async with connect() as client:
        report = content_of(
            await client.call_tool("generate_image", {"prompt": "x", "dry_run": True, "input_images": ["cat.png"]})
        )
    assert report["status"] == "dry_run"
    assert report["job_id"] is None
    assert report["quote"]["usd"] == pytest.approx(0.0353, abs=0.002)
    assert "BASE64_DATA" in str(report["request"])
    assert emulator.requests() == []


async def test_same_request_id_returns_the_same_job(connect, emulator):
    async with connect() as client:
        arguments = {"prompt": "x", "request_id": "once"}
        first = content_of(await client.call_tool("generate_image", arguments))
        again = content_of(await client.call_tool("generate_image", arguments))
        anew = content_of(await client.call_tool("generate_image", {**arguments, "force_new": True}))
    assert first["job_id"] == again["job_id"]
    assert anew["job_id"] != first["job_id"]
    assert paid(emulator) == 2


async def test_dear_job_needs_approval(connect, emulator):
    async with connect(MEDIAGEN_CONFIRM_ABOVE_USD="0.01") as client:
        refused = await client.call_tool("generate_image", {"prompt": "x"})
        approved = await client.call_tool("generate_image", {"prompt": "x", "max_usd": 0.05})
    assert refused.is_error
    assert "max_usd" in text_of(refused)
    assert not approved.is_error
    assert paid(emulator) == 1


async def test_several_pictures_are_several_paid_calls_and_one_failure_keeps_the_others(connect, emulator):
    emulator.add_fault(fault="image_finish", reason="NO_IMAGE", match={"path_contains": "generateContent"})
    async with connect() as client:
        report = content_of(await client.call_tool("generate_image", {"prompt": "x", "count": 3}))
    assert len(report["artifacts"]) == 2
    assert len({artifact["path"] for artifact in report["artifacts"]}) == 2
    assert any("NO_IMAGE" in warning or "picture" in warning for warning in report["warnings"])


async def test_artifact_can_be_read_as_resource(connect):
    async with connect() as client:
        report = content_of(await client.call_tool("generate_image", {"prompt": "x"}))
        found = await client.read_resource(report["artifacts"][0]["uri"])
        with pytest.raises(MCPError):
            await client.read_resource("mediagen://artifacts/art_unknown")
    content = found.contents[0]
    assert isinstance(content, BlobResourceContents)
    data = base64.b64decode(content.blob)
    assert hashlib.sha256(data).hexdigest() == report["artifacts"][0]["sha256"]


async def test_check_api_says_what_works_and_costs_nothing(connect, emulator):
    async with connect() as client:
        report = content_of(await client.call_tool("check_api", {"model": "gemini-nano-banana-2.1"}))
    assert report["ok"] is True
    live = {model["id"] for model in report["surfaces"][0]["models"] if model["state"] == "live"}
    assert {"gemini-nano-banana-2.1", "gemini-omni-1.2-flash"} <= live
    assert "is listed" in report["model_asked"]
    assert paid(emulator) == 0


async def test_without_credentials_the_tools_say_what_to_set(connect):
    async with connect(MEDIAGEN_BACKEND="auto", GOOGLE_GEMINI_BASE_URL="") as client:
        result = await client.call_tool("generate_image", {"prompt": "x"})
        check = content_of(await client.call_tool("check_api", {}))
        price = content_of(await client.call_tool("estimate_cost", {"kind": "image"}))
    assert result.is_error
    assert "GEMINI_API_KEY" in text_of(result)
    assert "emulator" in text_of(result)
    assert check["ok"] is False
    assert price["quote"]["usd"] == pytest.approx(0.0336)


async def test_missing_key_at_the_api_is_explained(connect, emulator):
    async with connect(MEDIAGEN_BACKEND="gemini", GEMINI_API_KEY="bad-key-value") as client:
        result = await client.call_tool("generate_image", {"prompt": "x"})
    assert result.is_error
    assert "GEMINI_API_KEY" in text_of(result)
    assert "bad-key-value" not in text_of(result) + str(result.structured_content)
    assert paid(emulator) == 0


async def test_every_change_before_sending_is_told(connect, emulator, work):
    from PIL import Image

    Image.new("RGB", (40, 30), "red").save(work / "old.gif")
    async with connect() as client:
        report = content_of(
            await client.call_tool(
                "generate_image", {"prompt": "x", "negative_prompt": "text", "input_images": ["old.gif"]}
            )
        )
    changed = {adjustment["field"]: adjustment for adjustment in report["adjustments"]}
    assert set(changed) == {"negative_prompt", "input_images"}
    assert changed["input_images"]["to"] == "image/png"
    sent = emulator.requests()[-1]["body"]["contents"][0]["parts"]
    assert "Avoid: text" in sent[-1]["text"]


async def test_preview_is_left_out_when_not_wanted(connect):
    async with connect() as client:
        result = await client.call_tool("generate_image", {"prompt": "x", "preview": False})
    assert [block.type for block in result.content] == ["text", "resource_link"]


async def test_spend_is_told_by_its_parts_and_a_bad_date_is_refused(connect: Connect, emulator):
    gemini = {"MEDIAGEN_BACKEND": "gemini", "GEMINI_API_KEY": "some-key"}
    async with connect(**gemini) as client:
        made = content_of(await client.call_tool("generate_image", {"prompt": "a fox", "preview": False}))
        result = await client.call_tool("get_spend", {"by": "model"})
        refused = await client.call_tool("get_spend", {"since": "yesterday"})
    [row] = content_of(result)["rows"]
    assert row["name"] == made["model"]
    assert row["charged_usd"] == pytest.approx(made["charge"]["usd"])
    assert row["reserved_usd"] == row["possibly_billed_usd"] == 0
    assert "charged" in text_of(result)
    assert refused.is_error
    assert "since is 'yesterday'" in text_of(refused)
    assert paid(emulator) == 1


async def test_lost_answer_is_settled_by_the_word_of_the_user(connect: Connect, emulator):
    emulator.add_fault(fault="lost_after_accept", match={"path_contains": "generateContent"})
    gemini = {"MEDIAGEN_BACKEND": "gemini", "GEMINI_API_KEY": "some-key"}
    async with connect(**gemini) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        lost = await client.call_tool("generate_image", {"prompt": "a fox", "preview": False})
        assert lost.structured_content is not None
        job_id, following = lost.structured_content["job_id"], lost.structured_content["next"]
        guessed = await client.call_tool("resolve_job", following["arguments"])
        settled = await client.call_tool("resolve_job", {"job_id": job_id, "outcome": "billed"})
    annotations = tools["resolve_job"].annotations
    assert annotations is not None
    assert (annotations.read_only_hint, annotations.destructive_hint) == (False, True)
    assert lost.is_error
    assert following["tool"] == "resolve_job"
    # What is not known is left to the user, and the call does nothing without it.
    assert following["arguments"] == {"job_id": job_id}
    assert "billed or not_billed" in following["reason"]
    assert guessed.is_error
    assert "[invalid_request]" in text_of(guessed)
    report = content_of(settled)
    assert report["charge"]["usd"] == report["quote"]["usd"]
    assert report["error"]["code"] == "resolved_billed"
