"""The edit tools through the in-memory client: files, ledger, lineage, refusals, cancellation."""

import hashlib
import json
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.types import CallToolResult
from tests.conftest import Connect, paid
from tests.editor.conftest import files_in
from tests.media.metadata.samples import signed

from mediagen.app.app import App, open_app
from mediagen.editor.workshop import MOST_AT_ONCE
from mediagen.errors import LedgerError
from mediagen.media.ffmpeg import run_ffmpeg
from mediagen.requests import ConvertVideoRequest, TrimVideoRequest

EDITING = {"MEDIAGEN_TOOLSETS": "core,jobs,edit"}


@pytest.fixture
def era() -> str:
    return "auto"


@pytest.fixture
def opened(connect: Connect):
    @asynccontextmanager
    async def open_client(**changes: str) -> AsyncIterator[Client]:
        async with connect(**{**EDITING, **changes}) as client:
            yield client

    return open_client


def text_of(result: CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if block.type == "text")


async def made(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, text_of(result)
    assert isinstance(result.structured_content, dict)
    return {**result.structured_content, "text": text_of(result)}


@pytest.mark.parametrize(
    ("tool", "arguments", "name", "facts", "said"),
    [
        ("extract_frame", {"at": "last"}, "clip 🎞_frame_2.875s.png", {"width": 160}, "frame at 2.88 s of 3 s"),
        ("extract_frame", {"at": 1.5, "format": "jpeg"}, "clip 🎞_frame_1.5s.jpg", {"height": 90}, "frame at 1.5 s"),
        ("trim_video", {"start": "0:01", "end": 2}, "clip 🎞_trimmed.mp4", {"duration_seconds": 1.0}, "3 s → 1 s, free"),
        ("add_audio", {"audio": "tone.wav", "fade_out": 0.2}, "clip 🎞_sound.mp4", {"has_audio": True}, "mixed sound"),
        ("convert_video", {"fps": 12, "width": 80}, "clip 🎞_converted.mp4", {"fps": 12.0, "width": 80}, "→ mp4 80x44"),
        ("convert_video", {"format": "gif", "fps": 5}, "clip 🎞_converted.gif", {"width": 160}, "→ gif 160x90"),
    ],
)
async def test_edit_of_a_video_is_stored_described_and_recorded(opened, clip, work, tool, arguments, name, facts, said):
    async with opened() as client:
        report = await made(client, tool, source=clip.name, **arguments)
        again = await made(client, "get_job", job_id=report["job_id"])
    artifact = report["artifacts"][0]
    path = work / name
    assert artifact["path"] == str(path)
    assert {key: artifact[key] for key in facts} == facts
    assert artifact["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert said in report["text"].splitlines()[0]
    assert (report["backend"], report["mode"], report["model"]) == ("local", tool, "ffmpeg")
    assert report["charge"] == {
        "usd": 0.0, "basis": "made on this machine, free", "certainty": "exact", "billed": "no"
    }  # fmt: skip
    assert report["quote"]["usd"] == 0.0
    assert report["next"] is None
    assert {key: again[key] for key in ("artifacts", "effective", "status")} == {
        key: report[key] for key in ("artifacts", "effective", "status")
    }
    record = json.loads((work / f"{path.stem}.json").read_text())
    assert record["generation"]["mode"] == tool
    assert record["input_files"]["source"][0]["sha256"] == hashlib.sha256(clip.read_bytes()).hexdigest()
    assert files_in(work) == {"cat.png", clip.name, "tone.wav", name, f"{path.stem}.json"}


async def test_frame_says_when_it_was_shown(opened, clip):
    async with opened() as client:
        report = await made(client, "extract_frame", source=clip.name, at="1.51")
    assert report["effective"]["source_frame"] == 1.5
    assert report["origins"]["at"] == "explicit"
    assert report["origins"]["format"] == "default"


async def test_videos_are_joined_in_order_with_every_source_recorded(opened, clip, work):
    async with opened() as client:
        trimmed = await made(client, "trim_video", source=clip.name, end="1")
        report = await made(
            client,
            "concat_videos",
            sources=[trimmed["job_id"], clip.name],
            transition="crossfade",
            crossfade_seconds=0.25,
        )
        row = await made(client, "list_jobs", limit=1)
    assert report["artifacts"][0]["duration_seconds"] == pytest.approx(3.75, abs=0.05)
    record = json.loads((work / "clip 🎞_trimmed_joined.json").read_text())
    assert record["parent_job_id"] == trimmed["job_id"]
    assert [file["path"] for file in record["input_files"]["sources"]] == [str(work / "clip 🎞_trimmed.mp4"), str(clip)]
    assert row["jobs"][0]["job_id"] == report["job_id"]


@pytest.mark.parametrize("name", ["job", "uri", "path", "file"])
async def test_edit_of_a_made_file_knows_the_job_it_comes_from(opened, clip, name):
    async with opened() as client:
        first = await made(client, "trim_video", source=clip.name, end="1", preview=False)
        artifact = first["artifacts"][0]
        source = {
            "job": first["job_id"],
            "uri": artifact["uri"],
            "path": artifact["path"],
            "file": Path(artifact["path"]).as_uri(),
        }[name]
        second = await made(client, "extract_frame", source=source, preview=False)
    record = json.loads(Path(second["artifacts"][0]["path"]).with_suffix(".json").read_text())
    assert record["parent_job_id"] == first["job_id"]
    assert record["input_files"]["source"][0]["uri"] == artifact["uri"]


async def test_file_changed_since_it_was_made_is_nobodys_child(opened, clip):
    async with opened() as client:
        first = await made(client, "trim_video", source=clip.name, end="1", preview=False)
        path = Path(first["artifacts"][0]["path"])
        path.write_bytes(clip.read_bytes())
        second = await made(client, "extract_frame", source=str(path), preview=False)
    assert json.loads(Path(second["artifacts"][0]["path"]).with_suffix(".json").read_text())["parent_job_id"] is None


async def test_picture_is_resized_and_its_frame_can_start_a_clip(opened, work, emulator):
    async with opened() as client:
        report = await made(client, "resize_image", source="cat.png", width=100, format="webp", output_name="small 🐱")
        clip = await made(
            client,
            "generate_video",
            prompt="purring",
            image=report["artifacts"][0]["uri"],
            duration_seconds=3,
            resolution="360p",
        )
    assert report["artifacts"][0]["path"] == str(work / "small 🐱.webp")
    assert report["model"] == "pillow"
    assert "resized 451x300 → 100x67, free" in report["text"]
    assert clip["status"] == "succeeded"
    assert paid(emulator) == 1


async def test_made_clip_is_trimmed_and_extended(opened, clip, emulator):
    async with opened() as client:
        first = await made(client, "generate_video", prompt="x", duration_seconds=3, resolution="360p")
        cut = await made(client, "trim_video", source=first["job_id"], end="2")
        longer = await made(client, "extend_video", source=cut["job_id"], prompt="y", duration_seconds=3)
    assert longer["status"] == "succeeded"
    assert longer["artifacts"][0]["duration_seconds"] == pytest.approx(5, abs=0.2)
    assert paid(emulator) == 2


async def test_probe_tells_the_facts_and_writes_nothing(opened, clip, work):
    before = files_in(work)
    async with opened() as client:
        video = await made(client, "probe_media", source=clip.name)
        sound = await made(client, "probe_media", source="tone.wav")
        picture = await made(client, "probe_media", source="cat.png")
        jobs = await made(client, "list_jobs")
    assert (video["width"], video["height"], video["fps"], video["duration_seconds"]) == (160, 90, 24.0, 3.0)
    assert (video["video_codec"], video["audio_codec"], video["audio_channels"]) == ("h264", "aac", "mono")
    assert video["sha256"] == hashlib.sha256(clip.read_bytes()).hexdigest()
    assert (sound["mime_type"], sound["width"], sound["duration_seconds"]) == ("audio/wav", None, 1.0)
    assert (picture["mime_type"], picture["has_audio"], picture["has_c2pa"]) == ("image/png", None, False)
    assert jobs["jobs"] == []
    assert files_in(work) == before


@pytest.mark.parametrize("name", ["sound.mp4", "sound.webm", "sound.mp3"])
async def test_sound_alone_is_looked_at_too(opened, clip, work, ffmpeg, name):
    await run_ffmpeg(ffmpeg, ["-v", "error", "-i", str(work / "tone.wav"), "-strict", "-2", str(work / name)], 20)
    async with opened() as client:
        facts = await made(client, "probe_media", source=name)
    assert facts["width"] is None
    assert facts["has_audio"] is True
    assert facts["duration_seconds"] == pytest.approx(1, abs=0.1)


async def test_existing_files_keep_their_names(opened, clip, work):
    (work / "cut.png").write_bytes(b"mine")
    async with opened() as client:
        names = [
            Path(
                (await made(client, "trim_video", source=clip.name, end="1", output_name="cut"))["artifacts"][0]["path"]
            )
            for _ in range(2)
        ]
    assert [path.name for path in names] == ["cut_2.mp4", "cut_3.mp4"]
    assert (work / "cut.png").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("trim_video", {"source": "/etc/hostname"}, "MEDIAGEN_INPUT_ROOTS"),
        ("probe_media", {"source": "/etc/hostname"}, "MEDIAGEN_INPUT_ROOTS"),
        ("trim_video", {"source": "list.mp4"}, "list.mp4"),
        ("probe_media", {"source": "list.mp4"}, "list.mp4"),
        ("trim_video", {"source": "cat.png"}, "cat.png"),
        ("resize_image", {"source": "clip 🎞.mp4", "width": 10}, "no picture"),
        ("resize_image", {"source": "cat.png"}, "width"),
        ("trim_video", {"source": "nowhere.mp4"}, "nowhere.mp4"),
        ("trim_video", {"source": "job_unknown"}, "job_unknown"),
        ("trim_video", {"source": "mediagen://artifacts/art_none"}, "art_none"),
        ("trim_video", {"source": "https://example.com/clip.mp4"}, "Download"),
        ("trim_video", {"source": "gs://bucket/clip.mp4"}, "Download"),
        ("trim_video", {"source": "data:video/mp4;base64,AAAA"}, "Download"),
        ("trim_video", {"source": "clip 🎞.mp4", "start": "2", "end": "1"}, "end"),
        ("trim_video", {"source": "clip 🎞.mp4", "start": "1:75"}, "start"),
        ("trim_video", {"source": "clip 🎞.mp4", "start": "99"}, "start"),
        ("extract_frame", {"source": "clip 🎞.mp4", "at": "nan"}, "at"),
        ("extract_frame", {"source": "clip 🎞.mp4", "at": 3.5}, "at"),
        ("concat_videos", {"sources": ["clip 🎞.mp4"]}, "2"),
        ("concat_videos", {"sources": ["clip 🎞.mp4"] * 2, "crossfade_seconds": 1}, "crossfade"),
        ("concat_videos", {"sources": ["clip 🎞.mp4"] * 2, "width": 100}, "height"),
        ("add_audio", {"source": "clip 🎞.mp4", "audio": "cat.png"}, "cat.png"),
        ("add_audio", {"source": "clip 🎞.mp4", "audio": "tone.wav", "volume": 11}, "volume"),
        ("convert_video", {"source": "clip 🎞.mp4", "format": "avi"}, "format"),
        ("convert_video", {"source": "clip 🎞.mp4", "output_name": "///"}, "output_name"),
        ("convert_video", {"source": "clip 🎞.mp4", "output_dir": "cat.png"}, "output_dir"),
    ],
)
async def test_what_cannot_be_edited_is_refused_and_nothing_is_left(opened, clip, work, tool, arguments, said):
    (work / "list.mp4").write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/secret\n")
    before = files_in(work)
    async with opened() as client:
        result = await client.call_tool(tool, arguments)
        jobs = await made(client, "list_jobs")
    assert result.is_error
    assert said in text_of(result)
    assert "cost nothing" in text_of(result)
    assert jobs["jobs"] == []
    assert files_in(work) == before


async def test_without_ffmpeg_pictures_and_facts_still_work(opened, clip):
    async with opened(MEDIAGEN_FFMPEG="/nonexistent") as client:
        refused = await client.call_tool("trim_video", {"source": clip.name, "end": "1"})
        facts = await made(client, "probe_media", source=clip.name)
        sound = await made(client, "probe_media", source="tone.wav")
        await made(client, "resize_image", source="cat.png", height=20)
    assert refused.is_error
    assert "ffmpeg_missing" in text_of(refused)
    assert "Install ffmpeg" in text_of(refused)
    assert (facts["width"], facts["video_codec"]) == (160, "h264")
    assert sound["mime_type"] == "audio/wav"
    assert any("Install ffmpeg" in warning for warning in sound["warnings"])


async def test_lost_manifest_is_told(opened, work):
    (work / "signed.png").write_bytes(signed((work / "cat.png").read_bytes()))
    async with opened() as client:
        facts = await made(client, "probe_media", source="signed.png")
        report = await made(client, "resize_image", source="signed.png", width=40)
        again = await made(client, "probe_media", source=report["job_id"])
    assert facts["has_c2pa"] is True
    assert any("C2PA" in warning for warning in report["warnings"])
    assert again["has_c2pa"] is False
    assert again["job_id"] == report["job_id"]


async def test_progress_rises(opened, clip):
    seen: list[float] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        seen.append(progress)

    async with opened() as client:
        arguments = {"source": clip.name, "end": "2"}
        result = await client.call_tool("trim_video", arguments, progress_callback=on_progress)
    assert not result.is_error
    assert seen
    assert seen == sorted(set(seen))


def hanging(child: Path) -> str:
    """Script that reads files, and hangs when it is to make one; its process id is in `child` then."""
    return (
        'case "$*" in *framecrc*) exec $FFMPEG "$@";; esac\n'
        f"printf %s $$ > '{child}.new'\nmv '{child}.new' '{child}'\nexec sleep 60\n"
    )


@asynccontextmanager
async def app_with(make_settings, **changes: str) -> AsyncIterator[App]:
    async with open_app(make_settings(**changes)) as app:
        yield app


async def test_at_most_two_are_made_at_once(make_settings, clip, script, tmp_path):
    log = tmp_path / "log"
    log.touch()
    wrapper = script(f"echo + >> '{log}'\n$FFMPEG \"$@\"\nstatus=$?\necho - >> '{log}'\nexit $status\n")
    async with app_with(make_settings, MEDIAGEN_FFMPEG=wrapper) as app, anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(app.editor.trim_video, TrimVideoRequest(source=clip.name, end="1"))
    running, most = 0, 0
    for line in log.read_text().split():
        running += 1 if line == "+" else -1
        most = max(most, running)
    assert most == MOST_AT_ONCE
    assert len(list(clip.parent.glob("*_trimmed*.mp4"))) == 4
    assert len(list(clip.parent.glob("*_trimmed*.json"))) == 4


async def test_cancelled_edit_ends_its_child_and_leaves_nothing(make_settings, clip, script, tmp_path):
    child = tmp_path / "child"
    wrapper = script(hanging(child))
    before = files_in(clip.parent)
    async with app_with(make_settings, MEDIAGEN_FFMPEG=wrapper) as app:
        async with anyio.create_task_group() as group:
            group.start_soon(app.editor.convert_video, ConvertVideoRequest(source=clip.name))
            with anyio.fail_after(60):
                while not child.exists():
                    await anyio.sleep(0.02)
            assert files_in(clip.parent) != before
            group.cancel_scope.cancel()
        page = await app.generator.ledger.list_jobs()
    with pytest.raises(ProcessLookupError):
        os.kill(int(child.read_text()), 0)
    assert page.jobs == ()
    assert files_in(clip.parent) == before


@pytest.mark.parametrize("era", ["legacy", "auto"])
async def test_client_that_leaves_stops_the_edit(opened, clip, script, tmp_path):
    child = tmp_path / "child"
    wrapper = script(hanging(child))
    before = files_in(clip.parent)
    async with opened(MEDIAGEN_FFMPEG=wrapper) as client:
        async with anyio.create_task_group() as group:
            group.start_soon(client.call_tool, "convert_video", {"source": clip.name})
            with anyio.fail_after(60):
                while not child.exists():
                    await anyio.sleep(0.02)
            group.cancel_scope.cancel()
        with anyio.fail_after(60):
            while files_in(clip.parent) != before:
                await anyio.sleep(0.02)
    with pytest.raises(ProcessLookupError):
        os.kill(int(child.read_text()), 0)


async def test_what_cannot_be_written_down_is_not_kept(make_settings, clip, work):
    async with app_with(make_settings) as app:
        await app.generator.ledger.open()
        before = files_in(work)
        with sqlite3.connect(app.generator.ledger.place) as connection:
            connection.execute("DROP TABLE artifacts")
        connection.close()
        with pytest.raises(LedgerError):
            await app.editor.trim_video(TrimVideoRequest(source=clip.name, end="1"))
    assert files_in(work) == before


async def test_local_jobs_disturb_neither_caps_nor_resuming(make_settings, clip):
    from datetime import UTC, datetime
    from decimal import Decimal

    async with app_with(make_settings, MEDIAGEN_MAX_USD_PER_DAY="0.01") as app:
        report = await app.editor.trim_video(TrimVideoRequest(source=clip.name, end="1"))
        ledger = app.generator.ledger
        assert await ledger.open_jobs() == []
        assert await app.runner.resume() == []
        assert await ledger.claim(str(report.job_id)) is None
        assert await ledger.spent(datetime(2020, 1, 1, tzinfo=UTC)) == Decimal(0)
        job = await ledger.get(str(report.job_id))
        alike = replace(job, job_id="job_alike", backend="gemini", estimated_seconds=99, calls=())
        assert (await ledger.create(alike)).estimated_seconds == 99
    assert (job.endpoint, job.base_url, job.parent_job_id) == ("local", "", None)
