"""`mediagen batch` as a subprocess."""

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

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


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
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
