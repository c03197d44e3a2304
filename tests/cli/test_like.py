"""`show` and `--like` on the command line: what is printed, what is sent, exit codes."""

import base64
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import paid
from tests.runner.asking import change

from mediagen.cli.commands import run
from mediagen.emulator.thread import EmulatorHandle

PAID_WORDS = (":generateContent", "/interactions", ":predictLongRunning")


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def mediagen(environment, work, monkeypatch, capsys):
    """Runs a command in this process, which is quick."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def run_here(*words: str, cwd: Path = work) -> Done:
        monkeypatch.chdir(cwd)
        code = run(words)
        said = capsys.readouterr()
        return Done(returncode=code, stdout=said.out, stderr=said.err)

    return run_here


@pytest.fixture
def make(mediagen):
    """Runs a command that has to work; gives its structured result."""

    def run(*words: str, **changes: Any) -> dict[str, Any]:
        done = mediagen(*words, "--json", **changes)
        assert done.returncode == 0, (done.stdout, done.stderr)
        report: dict[str, Any] = json.loads(done.stdout)
        return report

    return run


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.sqlite3"


def bodies(emulator: EmulatorHandle) -> list[Any]:
    """What was sent to be made."""
    found = [r for r in emulator.requests() if r["method"] == "POST" and r["path"].endswith(PAID_WORDS)]
    return [request["body"] for request in found]


def file_of(report: dict[str, Any]) -> str:
    return str(report["artifacts"][0]["path"])


def forget_jobs(ledger: Path) -> None:
    for name in ("calls", "artifacts", "jobs"):
        change(ledger, f"DELETE FROM {name}")


# ------------------------------------------------------------------ show


def test_show_tells_of_a_renamed_file_what_made_it(mediagen, make, tmp_path: Path):
    report = make("image", "a fox in the snow", "--image-size", "2K")
    renamed = shutil.move(file_of(report), tmp_path / "ชื่อ 🦊.jpg")
    plain = mediagen("show", str(renamed), cwd=tmp_path)
    as_json = make("show", str(renamed))
    assert plain.returncode == 0, plain.stderr
    for said in ("a fox in the snow", report["model"], report["job_id"], "in the ledger", "made by the emulator"):
        assert said in plain.stdout
    assert len(plain.stdout.splitlines()) < 20
    assert (as_json["found_in"], as_json["job_id"]) == ("ledger", report["job_id"])


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("cat.png", 1, "Looked for in: the ledger"),
        ("nowhere.png", 2, "nowhere.png"),
        ("notes.txt", 2, "no picture, video or sound"),
        ("job_00000000000000000000000000", 2, "no job"),
    ],
)
def test_show_without_a_record_says_what_was_looked_at(mediagen, work: Path, name: str, code: int, said: str):
    (work / "notes.txt").write_text("hello", encoding="utf-8")
    done = mediagen("show", name)
    assert done.returncode == code, (done.stdout, done.stderr)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


# ------------------------------------------------------------------ --like


def test_like_repeats_a_picture_with_the_same_body(mediagen, make, emulator, tmp_path: Path):
    first = make("image", "a fox", "--input-images", "cat.png", "--aspect-ratio", "3:2", "--seed", "7")
    again = mediagen("image", "--like", file_of(first), "--json", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    one, two = bodies(emulator)
    assert one == two
    report = json.loads(again.stdout)
    assert report["requested"]["prompt"] == "a fox"
    assert {report["origins"][name] for name in ("aspect_ratio", "seed", "model")} == {"source"}
    assert first["job_id"] in again.stderr


def test_like_repeats_a_clip_and_an_extension_with_the_same_body(make, emulator):
    clip = make("video", "waves", "--duration-seconds", "3", "--resolution", "360p", "--image", "cat.png")
    make("video", "--like", clip["job_id"])
    longer = make("extend", clip["job_id"], "--prompt", "more", "--duration-seconds", "3")
    make("extend", "--like", file_of(longer))
    one, two, three, four = bodies(emulator)
    assert (one, three) == (two, four)


def test_repeated_job_can_be_repeated_itself(make, emulator):
    first = make("image", "a fox", "--image-size", "2K")
    second = make("image", "--like", file_of(first))
    make("image", "--like", file_of(second))
    one, two, three = bodies(emulator)
    assert one == two == three


def test_what_is_given_wins_over_the_record(make, emulator):
    first = make("image", "a fox", "--aspect-ratio", "3:2", "--image-size", "2K")
    second = make("image", "an owl", "--like", file_of(first), "--aspect-ratio", "16:9")
    assert second["requested"]["prompt"] == "an owl"
    assert second["effective"]["aspect_ratio"] == "16:9"
    assert second["effective"]["image_size"] == "2K"
    assert (second["origins"]["aspect_ratio"], second["origins"]["image_size"]) == ("explicit", "source")


def test_preset_that_is_named_now_wins_over_the_record(make):
    first = make("image", "a fox", "--image-size", "2K", "--aspect-ratio", "3:2")
    second = make("image", "--like", file_of(first), "--preset", "quality", "--dry-run")
    assert (second["effective"]["image_size"], second["effective"]["aspect_ratio"]) == ("4K", "3:2")


def test_what_belongs_to_one_call_is_not_repeated(make, work: Path):
    first = make(
        "image", "a fox", "--output-name", "fox", "--output-dir", "out", "--request-id", "r1", "--max-usd", "9"
    )
    second = make("image", "--like", file_of(first))
    assert second["job_id"] != first["job_id"]
    assert Path(file_of(second)).parent == work
    assert not {"output_name", "output_dir", "request_id", "max_usd"} & second["requested"].keys()


def test_like_with_show_defaults_sends_nothing(mediagen, make, emulator):
    first = make("image", "a fox", "--aspect-ratio", "3:2")
    shown = mediagen("image", "--like", file_of(first), "--show-defaults")
    assert shown.returncode == 0, shown.stderr
    assert any(line.split() == ["aspect_ratio", "3:2", "source"] for line in shown.stdout.splitlines())
    assert paid(emulator) == 1


def test_like_works_from_the_record_beside_the_file(make, emulator, ledger: Path):
    first = make("image", "a fox", "--aspect-ratio", "3:2", "--input-images", "cat.png")
    forget_jobs(ledger)
    make("image", "--like", file_of(first))
    one, two = bodies(emulator)
    assert one == two


@pytest.mark.parametrize("ledger_is_gone", [False, True])
def test_like_brings_every_kind_of_local_input_again(make, emulator, ledger: Path, work: Path, ledger_is_gone: bool):
    film = shutil.copy(Path(__file__).parents[1] / "data" / "bigbuckbunny.mp4", work / "film ü? %41.mp4")
    (work / "notes.md").write_text("# Notes", encoding="utf-8")
    usual = ("--duration-seconds", "3", "--resolution", "360p")
    calls = [
        ("video", "waves", "--reference-images", "cat.png:asset", "--reference-images", str(work / "cat.png"), *usual),
        ("video", "waves", "--remix-from", Path(film).name, "--remix-start", "0.5", *usual),
        ("image", "a fox", "--documents", "notes.md", "--input-images", "cat.png"),
    ]
    for call in calls:
        first = make(*call)
        if ledger_is_gone:
            forget_jobs(ledger)
        make(call[0], "--like", file_of(first))
    sent = bodies(emulator)
    assert sent[::2] == sent[1::2]
    assert len(sent) == 2 * len(calls)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("image", "--like", "cat.png"), 1, "No record of"),
        (("image", "--like", "nowhere.png"), 2, "nowhere.png"),
        (("image", "a fox", "--like", ""), 2, "file is empty"),
        (("image",), 2, "prompt is needed"),
        (("extend", "--like", "cat.png"), 1, "No record of"),
    ],
)
def test_like_without_a_record_sends_nothing(mediagen, emulator, words, code, said):
    done = mediagen(*words)
    assert done.returncode == code, (done.stdout, done.stderr)
    assert said in done.stderr
    assert paid(emulator) == 0


def test_record_of_another_kind_names_the_right_command(mediagen, make, emulator):
    picture = make("image", "a fox")
    refused = mediagen("video", "--like", file_of(picture))
    assert refused.returncode == 2
    assert "mediagen image --like" in refused.stderr
    assert paid(emulator) == 1


@pytest.mark.parametrize("lost", ["gone", "changed"])
def test_input_that_is_not_there_any_more_is_named(mediagen, make, emulator, work: Path, lost: str):
    first = make("image", "a fox", "--input-images", "cat.png")
    (work / "cat.png").unlink()
    if lost == "changed":
        shutil.copy(Path(__file__).parents[1] / "data" / "rocket.jpg", work / "cat.png")
    refused = mediagen("image", "--like", file_of(first))
    assert refused.returncode == 2
    assert "input_images='cat.png'" in refused.stderr
    assert paid(emulator) == 1


def test_relative_input_is_found_from_another_folder_when_the_working_directory_is_known(
    mediagen, make, emulator, work: Path, tmp_path: Path, monkeypatch
):
    monkeypatch.delenv("MEDIAGEN_OUTPUT_DIR")
    first = make("image", "a fox", "--input-images", "cat.png")
    again = mediagen("image", "--like", first["job_id"], "--output-dir", str(tmp_path), cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    one, two = bodies(emulator)
    assert one == two
    shutil.copy(Path(__file__).parents[1] / "data" / "rocket.jpg", work / "cat.png")
    changed = mediagen("image", "--like", first["job_id"], "--dry-run")
    assert "Changed since: input_images='cat.png'" in changed.stderr
    (work / "cat.png").unlink()
    assert "does not exist any more" in mediagen("image", "--like", first["job_id"]).stderr


def test_input_that_is_only_in_part_in_the_record_is_named(mediagen, make, emulator, work: Path):
    data = "data:image/png;base64," + base64.b64encode((work / "cat.png").read_bytes()).decode()
    first = make("image", "a fox", "--input-images", data)
    refused = mediagen("image", "--like", file_of(first))
    assert refused.returncode == 2
    assert "input_images only in part" in refused.stderr
    assert mediagen("image", "--like", file_of(first), "--input-images", "cat.png").returncode == 0
    assert paid(emulator) == 2


def test_retired_model_of_a_record_is_refused_with_its_replacement(mediagen, make, emulator, ledger: Path):
    first = make("video", "waves", "--duration-seconds", "3", "--resolution", "360p")
    change(ledger, "UPDATE jobs SET model = 'veo-2.0-generate-001'")
    refused = mediagen("video", "--like", file_of(first))
    assert refused.returncode == 2
    assert "veo-2.0-generate-001" in refused.stderr
    assert "Use" in refused.stderr
    assert paid(emulator) == 1


def test_record_that_came_with_a_file_neither_pays_nor_sends_elsewhere(mediagen, make, emulator, ledger: Path, work):
    first = make("image", "a fox")
    forget_jobs(ledger)
    sidecar = Path(file_of(first)).with_suffix(".json")
    record = json.loads(sidecar.read_text(encoding="utf-8"))
    record["command_args"] |= {"upload_to": "gs://elsewhere/", "profile": "rich", "base_url": "http://evil.example"}
    sidecar.write_text(json.dumps(record), encoding="utf-8")
    again = mediagen("image", "--like", file_of(first), "--json")
    assert again.returncode == 0, again.stderr
    assert not {"upload_to", "profile", "base_url"} & json.loads(again.stdout)["requested"].keys()
    assert "Left out" in again.stderr
    for source in (str(work / "cat.png"), "cat.png", "https://evil.example/cat.png", "gs://evil/cat.png", 7):
        record["command_args"]["input_images"] = [source]
        sidecar.write_text(json.dumps(record), encoding="utf-8")
        forget_jobs(ledger)  # the emulator makes the same picture of the same prompt
        refused = mediagen("image", "--like", file_of(first))
        assert refused.returncode == 2, refused.stdout
        assert "input_images" in refused.stderr
    assert paid(emulator) == 2
