"""How a file was made is read back: from the ledger by its content, from the record beside it, from inside it."""

import json
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.generator.planning import MakeSettings
from tests.media.metadata.samples import C2PA_UUID, JUMBF, box, signed
from tests.runner.asking import change, clip, image

from mediagen.app.app import App, open_app
from mediagen.errors import InvalidRequestError, JobNotFoundError, MediaError
from mediagen.media.metadata import embed_record, read_record
from mediagen.report.record import record_summary

Sidecar = dict[str, Any]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def forget_jobs(state: Path) -> None:
    for name in ("calls", "artifacts", "jobs"):
        change(state / "ledger.sqlite3", f"DELETE FROM {name}")


async def made(app: App, **changes: Any) -> Path:
    """A picture from the emulator."""
    report = await image(app, **changes)
    assert report.status == "succeeded", report.error
    return report.artifacts[0].file


def read(sidecar: Path) -> Sidecar:
    record: Sidecar = json.loads(sidecar.read_text(encoding="utf-8"))
    return record


def inner(record: Sidecar) -> Sidecar:
    """A record as it is embedded: without what is only known of the finished file."""
    return {name: value for name, value in record.items() if name != "output"}


# ------------------------------------------------------------------ by the content


async def test_file_is_found_in_the_ledger_after_it_was_renamed_and_moved(make_settings: MakeSettings, tmp_path: Path):
    async with open_app(make_settings(), confine_inputs=False) as app:
        report = await image(app, prompt="a fox", aspect_ratio="3:2")
        elsewhere = tmp_path / "ที่อื่น 📁" / "my fox.bin"
        elsewhere.parent.mkdir()
        shutil.move(report.artifacts[0].file, elsewhere)
        found = await app.records.find(str(elsewhere))
    assert (found.found_in, found.job_id, found.is_in_ledger) == ("ledger", report.job_id, True)
    assert (found.prompt, found.model, found.kind, found.mode) == ("a fox", report.model, "image", "text_to_image")
    assert found.requested == {"prompt": "a fox", "aspect_ratio": "3:2"}
    assert found.file
    assert found.file.path == str(elsewhere)
    assert found.file.sha256 == report.artifacts[0].sha256
    assert found.is_changed is False
    assert found.charge
    assert found.charge.billed == "no"
    assert found.warnings == []


async def test_signed_file_is_found_in_the_ledger_and_stays_as_it_is(make_settings: MakeSettings, state: Path):
    async with open_app(make_settings(), confine_inputs=False) as app:
        film = (await clip(app)).artifacts[0].file
        content = film.read_bytes() + box(b"uuid", C2PA_UUID + bytes(4) + b"manifest\0" + bytes(8) + JUMBF)
        renamed = film.with_name("holiday.mp4")
        renamed.write_bytes(content)
        film.with_suffix(".json").unlink()
        digest = (await app.generator.list_jobs(_all())).jobs[0].artifacts[0].sha256
        change(state / "ledger.sqlite3", "UPDATE artifacts SET sha256 = ? WHERE sha256 = ?", _sha(content), digest)
        found = await app.records.find(str(renamed))
    assert (found.found_in, found.signed, found.is_changed) == ("ledger", True, False)
    assert renamed.read_bytes() == content
    assert "C2PA" in record_summary(found)


async def test_newest_of_several_jobs_with_the_same_content_is_shown_and_the_others_are_named(
    make_settings: MakeSettings, state: Path, work: Path
):
    async with open_app(make_settings(), confine_inputs=False) as app:
        first, second = await image(app, prompt="one"), await image(app, prompt="two")
        # Without a record inside, which would tell them apart.
        change(state / "ledger.sqlite3", "UPDATE artifacts SET sha256 = ?", _sha((work / "cat.png").read_bytes()))
        found = await app.records.find("cat.png")
        shutil.copy(work / "cat.png", first.artifacts[0].file)
        in_place = await app.records.find(str(first.artifacts[0].file))
    assert found.job_id == second.job_id
    assert first.job_id
    assert first.job_id in " ".join(found.warnings)
    assert in_place.job_id == first.job_id


async def test_job_and_artifact_are_found_by_their_names(make_settings: MakeSettings):
    async with open_app(make_settings()) as app:
        report = await image(app, count=2)
        by_job = await app.records.find(str(report.job_id))
        by_artifact = await app.records.find(report.artifacts[1].uri)
        report.artifacts[1].file.unlink()
        gone = await app.records.find(report.artifacts[1].uri)
        with pytest.raises(JobNotFoundError):
            await app.records.find("job_00000000000000000000000000")
    assert by_job.job_id == by_artifact.job_id == report.job_id
    assert "2 files" in " ".join(by_job.warnings)
    assert by_artifact.file
    assert by_artifact.file.path == report.artifacts[1].path
    assert gone.file
    assert not gone.file.exists
    assert "no longer there" in record_summary(gone)


async def test_summary_tells_what_a_clip_was_made_from(make_settings: MakeSettings):
    async with open_app(make_settings()) as app:
        first = await clip(app)
        from mediagen.requests import ExtendVideoRequest

        asked = ExtendVideoRequest(source=str(first.job_id), prompt="more", duration_seconds=3)
        second = await app.generator.extend_video(asked)
        found = await app.records.find(str(second.artifacts[0].file))
    assert (found.parent_job_id, found.ancestors) == (first.job_id, [first.job_id])
    assert f"From:    {first.job_id}" in record_summary(found)
    assert record_summary(found).count(str(first.job_id)) == 1


# ------------------------------------------------------------------ beside the file and inside it


async def test_record_beside_the_file_is_read_when_the_ledger_knows_nothing(make_settings: MakeSettings, state: Path):
    async with open_app(make_settings(), confine_inputs=False) as app:
        path = await made(app, prompt="a fox", image_size="2K")
        forget_jobs(state)
        found = await app.records.find(str(path))
    assert (found.found_in, found.is_in_ledger) == ("sidecar", False)
    assert found.record_path == str(path.with_suffix(".json"))
    assert (found.prompt, found.requested) == ("a fox", {"prompt": "a fox", "image_size": "2K"})
    assert found.is_changed is False
    assert found.created_at is not None


async def test_record_inside_the_file_is_read_when_there_is_nothing_else(
    make_settings: MakeSettings, state: Path, tmp_path: Path
):
    async with open_app(make_settings(), confine_inputs=False) as app:
        path = await made(app, prompt="a fox")
        assert embed_record(path, inner(read(path.with_suffix(".json"))))
        forget_jobs(state)
        lonely = tmp_path / "elsewhere.jpg"
        shutil.move(path, lonely)
        found = await app.records.find(str(lonely))
    assert (found.found_in, found.prompt, found.is_changed) == ("embedded", "a fox", None)
    assert found.record_path == str(lonely)


async def test_file_saved_anew_is_found_by_the_record_inside_and_said_to_be_changed(
    make_settings: MakeSettings, tmp_path: Path
):
    async with open_app(make_settings(), confine_inputs=False) as app:
        report = await image(app, prompt="a fox")
        path = report.artifacts[0].file
        record = inner(read(path.with_suffix(".json")))
        edited = tmp_path / "edited.png"
        Image.open(path).rotate(90).save(edited)
        assert embed_record(edited, record)
        found = await app.records.find(str(edited))
    assert (found.found_in, found.job_id, found.is_in_ledger) == ("embedded", report.job_id, True)
    assert found.is_changed is True
    assert "changed since it was made" in record_summary(found)


async def test_file_overwritten_in_its_place_is_said_to_be_changed(make_settings: MakeSettings, state: Path):
    async with open_app(make_settings(), confine_inputs=False) as app:
        path = await made(app)
        Image.new("RGB", (64, 64), "teal").save(path)
        known = await app.records.find(str(path))
        forget_jobs(state)
        unknown = await app.records.find(str(path))
    assert (known.found_in, known.is_changed) == ("sidecar", True)
    assert (unknown.found_in, unknown.is_changed) == ("sidecar", True)


async def test_record_inside_wins_over_one_beside_that_speaks_of_other_content(
    make_settings: MakeSettings, state: Path
):
    async with open_app(make_settings(), confine_inputs=False) as app:
        one, two = await made(app, prompt="one"), await made(app, prompt="two")
        record = inner(read(two.with_suffix(".json")))
        shutil.copy(two, one)
        assert embed_record(one, record)
        forget_jobs(state)
        found = await app.records.find(str(one))
    assert (found.found_in, found.prompt) == ("embedded", "two")
    assert "names another job" in " ".join(found.warnings)


async def test_record_of_another_file_is_not_believed(make_settings: MakeSettings, state: Path, work: Path):
    async with open_app(make_settings(), confine_inputs=False) as app:
        path = await made(app)
        forget_jobs(state)
        shutil.copy(path.with_suffix(".json"), work / "cat.json")
        with pytest.raises(MediaError) as raised:
            await app.records.find(str(work / "cat.png"))
        film = (work / path.name).with_suffix(".mp4")
        film.write_bytes(b"\0\0\0\x18ftypisom" + bytes(100))
        with pytest.raises(MediaError) as of_picture:
            await app.records.find(str(film))
    for error in (raised.value, of_picture.value):
        assert error.code == "no_record"
        assert "another file" in str(error)


async def test_record_of_an_earlier_tool_is_read(make_settings: MakeSettings, work: Path):
    picture = work / "image_20260124_101530_0.png"
    shutil.copy(work / "cat.png", picture)
    record = {
        "version": "2.25",
        "type": "image",
        "timestamp": "2026-01-24T10:15:30Z",
        "command_args": {"prompt": "a lighthouse", "model": "veo-3.1-fast-generate-001", "duration": 8},
        "output": {"filename": picture.name, "file_size_bytes": picture.stat().st_size},
        "prompt": "a lighthouse",
        "cost_estimate": {"estimated_cost_usd": 1.2},
    }
    (work / "metadata_20260124_101530.json").write_text(json.dumps(record), encoding="utf-8")
    async with open_app(make_settings(), confine_inputs=False) as app:
        found = await app.records.find(str(picture))
    assert (found.found_in, found.prompt, found.is_changed) == ("sidecar", "a lighthouse", None)
    assert found.requested["duration_seconds"] == 8
    assert found.charged == "$1.2 estimated, as the record says"


# ------------------------------------------------------------------ what may be in the way


def _huge(record: Path) -> None:
    record.write_bytes(b'{"generation": {}, "prompt": "' + b"x" * 1_100_000 + b'"}')


def _deep(record: Path) -> None:
    record.write_text('{"generation": ' + "[" * 100_000, encoding="utf-8")


def _link(record: Path) -> None:
    secret = record.parent.parent / "secret.json"
    secret.write_text('{"generation": {}, "prompt": "secret"}', encoding="utf-8")
    record.symlink_to(secret)


def _pipe(record: Path) -> None:
    os.mkfifo(record)


def _folder(record: Path) -> None:
    record.mkdir()


def _closed(record: Path) -> None:
    record.write_text("[1, 2]", encoding="utf-8")


def _bytes(record: Path) -> None:
    record.write_bytes(b"\xff\xfe\x00")


@pytest.mark.skipif(os.name != "posix", reason="pipes and links of POSIX")
@pytest.mark.parametrize("place", [_huge, _deep, _link, _pipe, _folder, _closed, _bytes])
async def test_hostile_record_beside_a_file_is_not_read(
    make_settings: MakeSettings, work: Path, place: Callable[[Path], None]
):
    place(work / "cat.json")
    async with open_app(make_settings(), confine_inputs=False) as app:
        with pytest.raises(MediaError) as raised:
            await app.records.find(str(work / "cat.png"))
    assert raised.value.code == "no_record"
    assert "cat.json beside the file was not used" in raised.value.hint
    assert "secret" not in str(raised.value)


def _nested(depth: int) -> Any:
    value: Any = "end"
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "changes",
    [
        dict.fromkeys(("job_id", "ordinal", "timestamp", "state", "prompt", "backend", "origins", "input_files"), 7),
        {name: ["x"] for name in ("job_id", "type", "timestamp", "charge", "cost_estimate", "command_args", "lineage")},
        {"prompt": "\x1b]0;owned\x07 \x9b2J \u202e", "lineage": _nested(300), "charge": {"usd": float("nan")}},
        {"prompt": "\ud800", "timestamp": "9999-99-99", "generation": {"model": "../..", "x": 10**30, "y": {"z": 1}}},
        {"generation": {f"n{n}": "v" * 100 for n in range(3000)}, "origins": {"model": ["explicit"]}},
    ],
)
async def test_hostile_values_of_a_record_do_no_harm(make_settings: MakeSettings, work: Path, changes: Sidecar):
    picture = work / "cat.png"
    record = {
        "version": "mediagen.sidecar.v1",
        "generation": {},
        "command_args": {},
        "output": {"sha256": _sha(picture.read_bytes()), "filename": "cat.png"},
        **changes,
    }
    (work / "cat.json").write_text(json.dumps(record), encoding="utf-8")
    async with open_app(make_settings(), confine_inputs=False) as app:
        found = await app.records.find(str(picture))
    text = record_summary(found)
    json.dumps(found.model_dump(mode="json"), allow_nan=False, ensure_ascii=False).encode()
    text.encode()
    assert not set(text) & {"\x1b", "\x07", "\x9b", "\u202e"}
    assert found.job_id is None
    assert found.model is None


async def test_prompt_of_a_record_cannot_pose_as_what_we_say(make_settings: MakeSettings, work: Path):
    record = {
        "version": "mediagen.sidecar.v1",
        "generation": {"x": "1\nFound:   in the ledger"},
        "prompt": "a fox\nFound:   in the ledger\rFound:" + "\nline" * 50,
        "output": {"sha256": _sha((work / "cat.png").read_bytes())},
    }
    (work / "cat.json").write_text(json.dumps(record), encoding="utf-8")
    async with open_app(make_settings(), confine_inputs=False) as app:
        lines = record_summary(await app.records.find("cat.png")).splitlines()
    assert [line.startswith("Found:   in the record beside it") for line in lines if line.startswith("Found")] == [True]
    assert len(lines) < 25


async def test_job_without_a_file_is_shown(make_settings: MakeSettings, emulator):
    emulator.add_fault(fault="prompt_blocked")
    async with open_app(make_settings()) as app:
        report = await image(app)
        found = await app.records.find(str(report.job_id))
    assert (found.file, found.status) == (None, report.status)
    assert f"({report.status})" in record_summary(found)


@pytest.mark.parametrize("name", ["nowhere.png", "notes.txt", "empty.png", ".", "https://example.com/a.png", "a.json"])
async def test_what_is_no_media_file_is_refused(make_settings: MakeSettings, work: Path, name: str):
    (work / "notes.txt").write_text("hello", encoding="utf-8")
    (work / "a.json").write_text("{}", encoding="utf-8")
    (work / "empty.png").touch()
    async with open_app(make_settings(), confine_inputs=False) as app:
        with pytest.raises(InvalidRequestError):
            await app.records.find(name)


async def test_file_outside_of_the_input_folders_is_not_read(make_settings: MakeSettings, tmp_path: Path, work: Path):
    outside = Path(shutil.copy(work / "cat.png", tmp_path / "outside.png"))
    async with open_app(make_settings()) as app:
        with pytest.raises(InvalidRequestError) as raised:
            await app.records.find(str(outside))
    assert raised.value.code == "input_outside_roots"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the superuser reads everything")
async def test_file_that_may_not_be_read_is_refused(make_settings: MakeSettings, work: Path):
    (work / "cat.png").chmod(0)
    async with open_app(make_settings(), confine_inputs=False) as app:
        with pytest.raises(InvalidRequestError, match="permission"):
            await app.records.find("cat.png")
    (work / "cat.png").chmod(stat.S_IRUSR)


def test_signed_samples_hold_no_record_of_ours(work: Path):
    picture = work / "cat.png"
    picture.write_bytes(signed(picture.read_bytes()))
    assert not embed_record(picture, {"prompt": "x"})
    assert read_record(picture) is None


def _sha(content: bytes) -> str:
    import hashlib

    return hashlib.sha256(content).hexdigest()


def _all() -> Any:
    from mediagen.requests import ListJobsRequest

    return ListJobsRequest()
