"""The editing commands: output, exit codes, files."""

import json
import shutil
from pathlib import Path

import anyio
import pytest

from mediagen.cli.commands import run
from mediagen.errors import MediaError
from mediagen.media.ffmpeg import find_ffmpeg, run_ffmpeg


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        ffmpeg = find_ffmpeg(None)
    except MediaError:
        pytest.skip("needs ffmpeg")
    path = tmp_path_factory.mktemp("samples") / "clip.mp4"
    picture = ["-f", "lavfi", "-i", "testsrc=size=160x90:rate=24:duration=2"]
    sound = ["-f", "lavfi", "-i", "sine=frequency=440:duration=2"]
    anyio.run(run_ffmpeg, ffmpeg, ["-v", "error", *picture, *sound, "-pix_fmt", "yuv420p", str(path)], 60)
    return path


@pytest.fixture
def folder(sample: Path, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDIAGEN_STATE_DIR", str(tmp_path / "state"))
    shutil.copy(sample, work / "clip.mp4")
    return work


@pytest.mark.parametrize(
    ("words", "made", "said"),
    [
        (("probe", "clip.mp4"), None, "160x90, 2 s, 24 fps, h264, sound aac mono"),
        (("frame", "clip.mp4", "--at", "0:01"), "clip_frame_1s.png", "frame at 1 s of 2 s"),
        (("trim", "clip.mp4", "--start", "0.5", "--end", "1.5"), "clip_trimmed.mp4", "trimmed 2 s → 1 s, free"),
        (("concat", "clip.mp4", "clip.mp4"), "clip_joined.mp4", "joined 2 videos to 4 s"),
        (("audio", "clip.mp4", "clip.mp4", "--mode", "replace"), "clip_sound.mp4", "replaced the sound"),
        (("convert", "clip.mp4", "--format", "webm", "--fps", "12"), "clip_converted.webm", "→ webm"),
        (("resize", "cat.png", "--width", "50", "--output-name", "ภาพ 🐱"), "ภาพ 🐱.png", "resized 451x300 → 50x33"),
    ],
)
def test_command_makes_the_file_and_says_what_it_did(folder, capsys, words, made, said):
    before = {path.name for path in folder.iterdir()}
    assert run(words) == 0
    assert said in capsys.readouterr().out
    new = {path.name for path in folder.iterdir()} - before
    assert new == ({made, f"{Path(made).stem}.json"} if made else set())


def test_json_is_the_structured_result_and_the_job_is_listed(folder, capsys):
    assert run(["trim", "clip.mp4", "--end", "1", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["backend"] == "local"
    assert run(["jobs", "show", report["job_id"]]) == 0
    assert "trimmed 2 s → 1 s" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "changes", "code", "said"),
    [
        (("trim", "nowhere.mp4"), {}, 2, "nowhere.mp4"),
        (("trim", "clip.mp4", "--start", "soon"), {}, 2, "start"),
        (("concat", "clip.mp4"), {}, 2, "sources"),
        (("resize", "clip.mp4", "--width", "5"), {}, 2, "clip.mp4"),
        (("trim", "clip.mp4"), {"MEDIAGEN_FFMPEG": "/nonexistent"}, 3, "Install ffmpeg"),
        (("trim", "clip.mp4"), {"MEDIAGEN_FFMPEG": "/bin/false"}, 2, "clip.mp4"),
    ],
)
def test_each_kind_of_failure_has_its_exit_code(folder, capsys, monkeypatch, words, changes, code, said):
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    assert run(words) == code
    assert said in capsys.readouterr().err
