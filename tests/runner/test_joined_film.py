"""An extension ends as one film: what Google sent when that is whole, joined with its source when it is not."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.media.metadata.samples import ffmpeg, signed
from tests.runner.asking import change, clip, left_behind, until, wait_for
from tests.runner.crashing import collector_in, die_at_each_instant, go_on, job_of, prepare
from tests.stored import sha256_as_made

from mediagen.app.app import open_app
from mediagen.emulator.settings import EmulatorSettings
from mediagen.emulator.thread import EmulatorHandle, running_emulator
from mediagen.jobs import Job
from mediagen.media.metadata import read_record
from mediagen.media.probe import probe
from mediagen.requests import ExtendVideoRequest


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Small films with sound, by their length in seconds."""
    folder = tmp_path_factory.mktemp("films")
    return {seconds: made(folder / f"{seconds}.mp4", seconds) for seconds in (1, 2, 3, 4)}


def made(path: Path, seconds: int) -> Path:
    picture = f"testsrc2=size=64x36:rate=24:duration={seconds}"
    sound = f"sine=frequency={200 * seconds}:sample_rate=48000:duration={seconds}"
    coded = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac", "-ac", "2"]
    ffmpeg("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound, *coded, "-y", str(path))
    return path


def asked(source: Path | None, seconds: float | None = 2.0, new: int = 1, **record: object) -> dict[str, Any]:
    given = {"source": "source.mp4", "duration_seconds": seconds, **record}
    if source:
        given |= {"path": str(source), "sha256": hashlib.sha256(source.read_bytes()).hexdigest(), **record}
    effective = {"mode": "video_extension", "duration_seconds": new, "resolution": "36p", "generate_audio": True}
    return {"kind": "video", "effective": effective, "input_files": {"source": [given]}}


async def collected(folder: Path, paid: Path, ffmpeg: str | None = None, **job: Any) -> Job:
    collector = collector_in(folder, ffmpeg)
    await prepare(collector, job_of(folder, **job), paid.read_bytes())
    return await go_on(collector)


def names(job: Job) -> list[str]:
    return sorted(path.name for path in Path(job.output_dir).iterdir())


def seconds_of(job: Job) -> float:
    [artifact] = job.artifacts
    assert artifact.duration_seconds == probe(Path(artifact.path)).duration_seconds
    return artifact.duration_seconds or 0.0


async def test_whole_film_is_stored_as_it_came_and_never_joined(tmp_path: Path, clips):
    job = await collected(tmp_path, clips[3], **asked(clips[2]))
    assert names(job) == ["made.json", "made.mp4"]
    assert sha256_as_made(job.artifacts[0].path) == hashlib.sha256(clips[3].read_bytes()).hexdigest()
    assert job.calls[0].warnings == ()


async def test_new_part_is_joined_once_with_its_source(tmp_path: Path, clips):
    job = await collected(tmp_path, clips[1], **asked(clips[2]))
    assert names(job) == ["made.json", "made.mp4", "made_part.mp4"]
    assert seconds_of(job) == pytest.approx(3, abs=0.05)
    assert job.artifacts[0].has_audio
    assert (Path(job.output_dir) / "made_part.mp4").read_bytes() == clips[1].read_bytes()
    assert (read_record(Path(job.artifacts[0].path)) or {})["job_id"] == "job_1"
    [warning] = job.calls[0].warnings
    assert str(Path(job.output_dir) / "made_part.mp4") in warning
    assert not list((tmp_path / "spool").iterdir())
    assert (await go_on(collector_in(tmp_path))).artifacts == job.artifacts


async def test_signed_new_part_is_kept_byte_for_byte_beside_the_film(tmp_path: Path, clips):
    part = tmp_path / "signed.mp4"
    part.write_bytes(signed(clips[1].read_bytes()))
    job = await collected(tmp_path, part, **asked(clips[2]))
    assert (Path(job.output_dir) / "made_part.mp4").read_bytes() == part.read_bytes()
    assert (read_record(Path(job.artifacts[0].path)) or {})["job_id"] == "job_1"


async def test_part_of_unclear_length_is_stored_with_all_three_lengths(tmp_path: Path, clips):
    job = await collected(tmp_path, clips[4], **asked(clips[2]))
    assert names(job) == ["made.json", "made.mp4"]
    [warning] = job.calls[0].warnings
    assert "4 s for a source of 2 s and 1 s more" in warning


async def test_source_of_unknown_length_is_told_as_such(tmp_path: Path, clips):
    job = await collected(tmp_path, clips[1], **asked(None, None))
    [warning] = job.calls[0].warnings
    assert "unknown length" in warning


@pytest.mark.parametrize(
    ("why", "said"),
    [
        ("nowhere", "not on this machine"),
        ("gone", "is gone"),
        ("changed", "was changed"),
        ("no ffmpeg", "MEDIAGEN_FFMPEG"),
    ],
)
async def test_new_part_that_cannot_be_joined_is_stored_and_says_how(tmp_path: Path, clips, why: str, said: str):
    source = tmp_path / "source 🎬.mp4"
    source.write_bytes(clips[2].read_bytes())
    job = asked(None if why == "nowhere" else source)
    if why == "no video":
        source.write_bytes(b"no video at all")
        job = asked(source)
    if why == "gone":
        source.unlink()
    if why == "changed":
        source.write_bytes(clips[3].read_bytes())
    done = await collected(tmp_path, clips[1], "/no/such/ffmpeg" if why == "no ffmpeg" else None, **job)
    assert names(done) == ["made.json", "made.mp4"]
    assert sha256_as_made(done.artifacts[0].path) == hashlib.sha256(clips[1].read_bytes()).hexdigest()
    [warning] = done.calls[0].warnings
    assert said in warning
    assert "concat_videos" in warning
    assert done.artifacts[0].path in warning
    assert not list((tmp_path / "spool").iterdir())


async def test_source_without_a_digest_is_known_again_by_its_length(tmp_path: Path, clips):
    joined = await collected(tmp_path / "a", clips[1], **asked(clips[2], sha256=None))
    other = await collected(tmp_path / "b", clips[1], **asked(clips[3], 2.0, sha256=None))
    assert seconds_of(joined) == pytest.approx(3, abs=0.05)
    assert names(other) == ["made.json", "made.mp4"]


async def test_clips_without_an_extension_are_never_joined(tmp_path: Path, clips):
    job = asked(clips[2])
    job["effective"]["mode"] = "text_to_video"
    done = await collected(tmp_path, clips[1], **job)
    assert names(done) == ["made.json", "made.mp4"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
def test_killed_at_any_instant_an_extension_is_one_film(tmp_path: Path, clips):
    found = die_at_each_instant(tmp_path / "runs", clips[1], ("os.rename", "os.link", "os.remove"), **asked(clips[2]))
    assert len(found) > 8
    for each in found:
        assert each["status"] == "succeeded", each
        assert each["files"] == ["made.json", "made.mp4", "made_part.mp4"], each
        assert each["spool"] == [], each
        assert len(each["warnings"]) == 1, each
        [[path, sha256]] = each["artifacts"]
        assert hashlib.sha256(Path(path).read_bytes()).hexdigest() == sha256, each
        assert probe(Path(path)).duration_seconds == pytest.approx(3, abs=0.05), each
        assert Path(path).with_name("made_part.mp4").read_bytes() == clips[1].read_bytes(), each
        assert read_record(Path(path)) is not None, each


@pytest.mark.skipif(os.name == "nt", reason="needs limits of POSIX")
def test_full_disk_costs_the_film_and_not_the_new_part(tmp_path: Path, clips):
    """A limit on the size of files stands in for the disk: the new part fits, the film does not."""
    program = (
        "import json, resource, signal, sys, anyio\n"
        "from pathlib import Path\n"
        "from tests.runner.crashing import collector_in, go_on, job_of, prepare\n"
        "folder, part, job = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])\n"
        "async def main():\n"
        "    collector = collector_in(folder)\n"
        "    await prepare(collector, job_of(folder, **job), part.read_bytes())\n"
        "    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "    job_there = await collector.ledger.get('job_1')\n"
        "    whole = await collector.placer().part(job_there, job_there.calls[0], 0)\n"
        "    await whole.append(part.read_bytes())\n"
        "    await whole.seal()\n"
        "    limit = part.stat().st_size + 6000\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))\n"
        "    placed = await collector.placer().place(job_there, job_there.calls[0], 0, whole)\n"
        "    print(json.dumps([str(placed.stored.path), placed.warnings]))\n"
        "anyio.run(main)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path), str(clips[1]), json.dumps(asked(clips[4], 4.0))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    path, warnings = json.loads(done.stdout)
    assert sha256_as_made(path) == hashlib.sha256(clips[1].read_bytes()).hexdigest()
    assert "could not be joined" in warnings[0]
    assert sorted(each.name for each in Path(path).parent.iterdir()) == [".mediagen-job_1-0.whole", "made.mp4"]


@pytest.fixture(scope="module")
def parts_only(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorHandle]:
    settings = EmulatorSettings(
        video_seconds=0.6, extend_returns="new_part", state_dir=tmp_path_factory.mktemp("emulator")
    )
    with running_emulator(settings) as handle:
        yield handle


async def test_extension_over_the_wire_becomes_one_film(make_settings, parts_only, work: Path, environment):
    ledger_file = Path(environment["MEDIAGEN_STATE_DIR"]) / "ledger.sqlite3"
    async with open_app(make_settings(GOOGLE_GEMINI_BASE_URL=parts_only.url)) as app:
        first = await clip(app)
        source = first.artifacts[0].file
        request = ExtendVideoRequest(source=str(source), prompt="more", duration_seconds=3, wait_seconds=0)
        report = await until(app, await app.generator.extend_video(request), "running")
        given = {"source": [{"path": str(source), "sha256": first.artifacts[0].sha256}]}
        change(ledger_file, "UPDATE jobs SET input_files = ? WHERE job_id = ?", json.dumps(given), report.job_id)
        done = await wait_for(app, report.job_id)
    assert done.status == "succeeded", done.error
    film = done.artifacts[0].file
    assert done.artifacts[0].duration_seconds == pytest.approx(6, abs=0.1)
    assert film.with_name(f"{film.stem}_part.mp4").is_file()
    assert len(done.warnings) == 1
    record = json.loads(film.with_suffix(".json").read_text())
    assert record["lineage"]["source"] == {"path": str(source), "sha256": first.artifacts[0].sha256}
    assert left_behind(work, ledger_file) == []
