"""The command line as a subprocess: output, exit codes, files."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import of_child, paid

COMMAND = [sys.executable, "-m", "mediagen.cli"]


@pytest.fixture
def mediagen(environment, work):
    def run(*words: str, **changes: str) -> subprocess.CompletedProcess[str]:
        env = of_child({**environment, **changes})
        env = {name: value for name, value in env.items() if value}
        return subprocess.run([*COMMAND, *words], env=env, cwd=work, capture_output=True, text=True, timeout=240)

    return run


def test_image_prints_the_path_and_json_is_the_structured_result(mediagen, work: Path, emulator):
    plain = mediagen("image", "a fox", "--aspect-ratio", "3:2", "--input-images", "cat.png", "--output-name", "ชื่อ 🦊")
    as_json = mediagen("image", "a fox", "--json")
    assert plain.returncode == as_json.returncode == 0, plain.stderr
    assert str(work / "ชื่อ 🦊.jpg") in plain.stdout
    assert (work / "ชื่อ 🦊.jpg").is_file()
    report = json.loads(as_json.stdout)
    assert report["status"] == "succeeded"
    assert Path(report["artifacts"][0]["path"]).is_file()
    assert paid(emulator) == 2


def test_the_same_name_is_never_overwritten(mediagen, work: Path):
    for _ in range(2):
        assert mediagen("image", "a fox", "--output-name", "same").returncode == 0
    assert len(list(work.glob("same*.jpg"))) == 2


def test_progress_goes_to_standard_error_as_plain_lines(mediagen):
    done = mediagen("video", "waves", "--duration-seconds", "3", "--resolution", "360p")
    assert done.returncode == 0, done.stderr
    assert "100%" in done.stderr
    assert "\x1b" not in done.stderr


@pytest.mark.parametrize(
    ("words", "changes", "code", "said"),
    [
        (("image",), {}, 2, "prompt"),
        (("image", "x", "--aspect-ratio", "7:3"), {}, 2, "7:3"),
        (("image", "x", "--count", "9"), {}, 2, "count"),
        (("image", "x", "--input-images", "nowhere.png"), {}, 2, "nowhere.png"),
        (("jobs", "show", "job_none"), {}, 2, "job_none"),
        (("image", "x"), {"MEDIAGEN_BACKEND": "", "GOOGLE_GEMINI_BASE_URL": ""}, 3, "GEMINI_API_KEY"),
        (("image", "x"), {"MEDIAGEN_BACKEND": "nonsense"}, 3, "MEDIAGEN_BACKEND"),
        (("image", "x"), {"MEDIAGEN_BACKEND": "gemini", "GEMINI_API_KEY": "bad-key"}, 3, "GEMINI_API_KEY"),
        (("image", "x"), {"GOOGLE_GEMINI_BASE_URL": "http://127.0.0.1:9"}, 4, "base URL"),
        (("check",), {"GOOGLE_GEMINI_BASE_URL": "http://127.0.0.1:9"}, 4, "127.0.0.1"),
        (("image", "x", "--max-usd", "0.01"), {}, 5, "max_usd"),
        (("image", "x"), {"MEDIAGEN_MAX_USD_PER_CALL": "0.01"}, 5, "MEDIAGEN_MAX_USD_PER_CALL"),
    ],
)
def test_each_kind_of_failure_has_its_exit_code(mediagen, emulator, words, changes, code, said):
    done = mediagen(*words, **changes)
    assert done.returncode == code, (done.stdout, done.stderr)
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert paid(emulator) == 0


def test_refused_picture_exits_1_and_lost_answer_exits_6(mediagen, emulator):
    emulator.add_fault(fault="prompt_blocked")
    assert mediagen("image", "x").returncode == 1
    emulator.add_fault(fault="drop_after_accept", match={"path_contains": "generateContent"})
    lost = mediagen("image", "x")
    assert lost.returncode == 6
    assert "unconfirmed" in lost.stdout


def test_lost_answer_is_settled_with_the_command_that_it_names(mediagen, emulator):
    emulator.add_fault(fault="lost_after_accept", match={"path_contains": "generateContent"})
    lost = mediagen("image", "x", MEDIAGEN_BACKEND="gemini", GEMINI_API_KEY="AIza-test")
    assert lost.returncode == 6
    job_id = re.findall(r"job_[0-9a-z]{26}", lost.stdout)[0]
    assert f"mediagen jobs resolve {job_id} --as billed" in lost.stdout
    assert "May be billed." in lost.stdout
    neither = mediagen("jobs", "resolve", job_id)
    assert neither.returncode == 2
    settled = mediagen("jobs", "resolve", job_id, "--as", "not-billed", "--json")
    assert settled.returncode == 0, settled.stderr
    report = json.loads(settled.stdout)
    assert (report["status"], report["error"]["code"]) == ("failed", "resolved_not_billed")
    assert "through the command line" in report["error"]["message"]
    assert report["charge"]["billed"] == "no"
    assert mediagen("jobs", "resolve", "job_none", "--as", "billed").returncode == 2
    assert paid(emulator) == 0


@pytest.mark.parametrize(
    "words",
    [
        ("check",),
        ("cost", "video", "--duration-seconds", "10"),
        ("cost", "image", "--json"),
        ("models",),
        ("models", "--json"),
        ("config", "show"),
        ("config", "path"),
        ("jobs", "list"),
        ("jobs", "resume"),
        ("--version",),
        ("--help",),
        ("video", "--help"),
        ("emulator", "--help"),
    ],
)
def test_free_command_works_and_costs_nothing(mediagen, emulator, words):
    done = mediagen(*words)
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert done.stdout.strip()
    assert paid(emulator) == 0


def test_config_never_shows_a_key(mediagen):
    done = mediagen("config", "show", GEMINI_API_KEY="very-secret")
    assert "[set]" in done.stdout
    assert "very-secret" not in done.stdout


def test_clip_is_listed_shown_and_extended(mediagen, work: Path):
    made = json.loads(mediagen("video", "w", "--duration-seconds", "3", "--resolution", "360p", "--json").stdout)
    job_id = made["job_id"]
    assert job_id in mediagen("jobs", "list", "--kind", "video").stdout
    assert job_id in mediagen("jobs", "show", job_id).stdout
    extended = mediagen("extend", job_id, "--prompt", "more", "--duration-seconds", "3", "--json")
    assert extended.returncode == 0, extended.stderr
    assert json.loads(extended.stdout)["artifacts"][0]["duration_seconds"] == pytest.approx(6, abs=0.2)


def test_job_handed_back_is_waited_for_by_a_later_command(mediagen):
    handed = mediagen("video", "w", "--duration-seconds", "3", "--resolution", "360p", "--wait-seconds", "0", "--json")
    report = json.loads(handed.stdout)
    assert handed.returncode == 0
    assert report["status"] in {"submitting", "running"}
    waited = mediagen("jobs", "wait", report["job_id"], "--json")
    assert waited.returncode == 0
    assert json.loads(waited.stdout)["status"] == "succeeded"


def test_running_job_is_cancelled(mediagen, emulator):
    emulator.add_fault(fault="stuck")
    handed = mediagen("video", "w", "--duration-seconds", "3", "--resolution", "360p", "--wait-seconds", "1", "--json")
    job_id = json.loads(handed.stdout)["job_id"]
    cancelled = mediagen("jobs", "cancel", job_id, "--json")
    assert cancelled.returncode == 0, cancelled.stderr
    assert json.loads(cancelled.stdout)["status"] == "cancelled"
    again = mediagen("jobs", "cancel", job_id)
    assert again.returncode == 2
    assert "cancelled" in again.stderr


def test_http_for_others_without_a_token_is_refused(mediagen):
    done = mediagen("serve", "--http", "--host", "0.0.0.0")
    assert done.returncode == 3
    assert "MEDIAGEN_HTTP_TOKEN" in done.stderr


def test_demo_does_the_whole_job(mediagen, work: Path):
    done = mediagen("demo", "--output-dir", str(work / "out"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((work / "out").glob("*.mp4"))) == 2
    assert "Google would charge" in done.stdout
