"""`mediagen batch` as a subprocess."""

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.test_cli import COMMAND
from tests.conftest import of_child, paid

from mediagen.emulator.thread import EmulatorHandle

Run = Callable[..., subprocess.CompletedProcess[str]]
PAYING = {"MEDIAGEN_BACKEND": "gemini", "GEMINI_API_KEY": "some-key"}
DEADLINE_SECONDS = 60.0


@pytest.fixture
def mediagen(environment: dict[str, str], work: Path) -> Run:
    def run(*words: str, **changes: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *words],
            env=of_child({**environment, **changes}),
            cwd=work,
            capture_output=True,
            text=True,
            timeout=240,
            stdin=subprocess.DEVNULL,
        )

    return run


@pytest.fixture
def three(work: Path) -> str:
    (work / "mixed.csv").write_text("prompt,type\na fox,image\na hat,video\n", encoding="utf-8")
    (work / "three.txt").write_text("a red fox\na blue hat 🎩\n# not this\na tin\n", encoding="utf-8")
    return "three.txt"


def test_files_are_numbered_in_a_folder_of_the_batch(mediagen: Run, three: str, work: Path, emulator: EmulatorHandle):
    done = mediagen("batch", three, "--json", "--set", "aspect_ratio=16:9")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["done"]
    assert [Path(row["paths"][0]).name for row in report["rows"]] == [
        "001_a_red_fox.jpg",
        "002_a_blue_hat_🎩.jpg",
        "003_a_tin.jpg",
    ]
    assert all(Path(row["paths"][0]).parent == Path(report["folder"]) for row in report["rows"])
    assert Path(report["folder"]).parent == work
    assert "3 pictures: free (emulator)." in done.stderr
    assert "3/3" in done.stderr
    assert paid(emulator) == 3


def test_whole_price_is_named_and_nothing_is_sent_unless_somebody_agrees(
    mediagen: Run, three: str, emulator: EmulatorHandle
):
    refused = mediagen("batch", three, **PAYING)
    assert refused.returncode == 5
    assert "Nobody agreed to the price of $0.10" in refused.stderr
    assert "--yes" in refused.stderr
    shown = mediagen("batch", three, "--dry-run", **PAYING)
    assert shown.returncode == 0
    assert "3 pictures: about $0.10" in shown.stderr
    above = mediagen("batch", three, "--max-usd", "0.07", **PAYING)
    assert above.returncode == 5
    assert "The first 2 of its 3 rows would fit" in above.stderr
    assert paid(emulator) == 0
    agreed = mediagen("batch", three, "--max-usd", "0.2", **PAYING)
    assert agreed.returncode == 0, agreed.stderr
    assert paid(emulator) == 3


def test_batch_that_was_killed_goes_on_with_the_same_command(
    mediagen: Run, environment: dict[str, str], work: Path, emulator: EmulatorHandle
):
    (work / "many.txt").write_text("\n".join(f"fox {number}" for number in range(30)), encoding="utf-8")
    first = subprocess.Popen(
        [*COMMAND, "batch", "many.txt"],
        env=of_child(environment),
        cwd=work,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + DEADLINE_SECONDS
    while paid(emulator) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert 5 <= paid(emulator) < 30
    second = mediagen("batch", "many.txt", "--json")
    report = json.loads(second.stdout)
    assert "Goes on in" in second.stderr
    assert (second.returncode, report["done"]) == (0, True), second.stdout
    assert paid(emulator) == 30
    assert len(list(Path(report["folder"]).glob("*.jpg"))) == 30
    # It is done: the same command is a new wish.
    assert json.loads(mediagen("batch", "many.txt", "--json").stdout)["folder"] != report["folder"]


def test_rows_that_fail_are_named_and_the_exit_code_says_so(mediagen: Run, work: Path):
    (work / "two.txt").write_text("a fox\na hat [[fault:prompt_blocked]]\n", encoding="utf-8")
    done = mediagen("batch", "two.txt")
    assert done.returncode == 1
    assert "1 of 2 made" in done.stdout
    assert "row 2: filtered" in done.stdout
    assert "Traceback" not in done.stderr


def test_rows_that_failed_are_tried_again_in_the_same_batch_and_no_other_is_paid_for(
    mediagen: Run, three: str, work: Path, emulator: EmulatorHandle
):
    refusal = {"fault": "location_unsupported", "match": {"path_contains": "generateContent"}}
    emulator.add_fault(**refusal)
    first = json.loads(mediagen("batch", three, "--json").stdout)
    assert sorted(row["status"] for row in first["rows"]) == ["failed", "succeeded", "succeeded"]
    assert paid(emulator) == 2
    again = mediagen("batch", three, "--json", "--retry-failed")
    second = json.loads(again.stdout)
    assert (again.returncode, second["folder"]) == (0, first["folder"])
    assert paid(emulator) == 3
    assert len(list(work.glob("batch_*/batch.json"))) == 1


def left_unfinished(report: dict[str, Any], **changes: object) -> None:
    """Let a batch look as if its process had died before the end."""
    note = Path(report["folder"]) / "batch.json"
    found = json.loads(note.read_text(encoding="utf-8"))
    assert found["is_done"]
    note.write_text(json.dumps({**found, "is_done": False, **changes}), encoding="utf-8")


def test_batch_that_became_dearer_is_agreed_to_again(mediagen: Run, three: str, work: Path, emulator: EmulatorHandle):
    left_unfinished(json.loads(mediagen("batch", three, "--yes", "--json", **PAYING).stdout), agreed_usd="0.05")
    refused = mediagen("batch", three, **PAYING)
    assert refused.returncode == 5
    assert "Nobody agreed to the price of $0.1008" in refused.stderr
    above = mediagen("batch", three, "--max-usd", "0.06", **PAYING)
    assert above.returncode == 5
    assert "above --max-usd" in above.stderr
    assert mediagen("batch", three, "--max-usd", "0.2", **PAYING).returncode == 0
    assert paid(emulator) == 3
    (note,) = work.glob("batch_*/batch.json")
    assert json.loads(note.read_text(encoding="utf-8"))["agreed_usd"] == "0.1008"


def test_economy_names_half_the_price_and_how_long_it_may_take(mediagen: Run, three: str, emulator: EmulatorHandle):
    shown = mediagen("batch", three, "--economy", "--dry-run", **PAYING)
    assert shown.returncode == 0
    assert "3 pictures: about $0.0504" in shown.stderr
    assert "up to 24 hours" in shown.stderr
    assert (
        "At most 2 batches are open at a time"
        in mediagen("batch", three, "--economy", "--dry-run", "--parallel", "2", **PAYING).stderr
    )
    refused = mediagen("batch", three, "--economy", **PAYING)
    assert refused.returncode == 5
    assert "Nobody agreed to the price of $0.0504" in refused.stderr
    assert mediagen("batch", three, "--economy", "--max-usd", "0.05", **PAYING).returncode == 5
    assert paid(emulator) == 0
    done = mediagen("batch", three, "--economy", "--max-usd", "0.06", "--json", **PAYING)
    report = json.loads(done.stdout)
    assert (done.returncode, report["done"], report["quote_usd"]) == (0, True, 0.0504)
    assert paid(emulator) == 3


def test_batch_is_gone_on_with_only_at_the_price_at_which_it_was_begun(
    mediagen: Run, three: str, emulator: EmulatorHandle
):
    left_unfinished(json.loads(mediagen("batch", three, "--economy", "--yes", "--json", **PAYING).stdout))
    refused = mediagen("batch", three, "--yes", **PAYING)
    assert refused.returncode == 2
    assert "was begun with --economy" in refused.stderr
    # What was agreed to is not asked about again, and what is made is not made again.
    assert mediagen("batch", three, "--economy", **PAYING).returncode == 0
    assert paid(emulator) == 3


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("batch", "mixed.csv", "--economy"), 2, "row 3: economy is not possible for clips"),
        (("batch", "nowhere.txt"), 2, "nowhere.txt cannot be read"),
        (("batch", "cat.png"), 2, ".txt, .csv, .jsonl, .json"),
        (("batch", "three.txt", "--set", "sead=1"), 2, "Did you mean 'seed'?"),
        (("batch", "three.txt", "--set", "seed"), 2, "NAME=VALUE"),
        (("batch", "three.txt", "--parallel", "0"), 2, "1 to 64"),
        (("batch", "three.txt", "--max-usd", "much"), 2, "no amount"),
        (("batch", "three.txt", "--output-dir", "cat.png"), 2, "Not a directory"),
    ],
)
def test_bad_use_is_refused_and_nothing_is_sent(
    mediagen: Run, three: str, emulator: EmulatorHandle, words: tuple[str, ...], code: int, said: str
):
    assert three == "three.txt"
    done = mediagen(*words)
    assert done.returncode == code, (done.stdout, done.stderr)
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert paid(emulator) == 0
