"""`mediagen spend` as a subprocess: words, JSON, tables."""

import csv
import io
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.conftest import of_child, paid

COMMAND = [sys.executable, "-m", "mediagen.cli"]
GEMINI = {"MEDIAGEN_BACKEND": "gemini", "GEMINI_API_KEY": "some-key"}


@pytest.fixture
def mediagen(environment, work):
    def run(*words: str, **changes: str) -> subprocess.CompletedProcess[str]:
        env = of_child({**environment, **GEMINI, **changes})
        env = {name: value for name, value in env.items() if value}
        return subprocess.run([*COMMAND, *words], env=env, cwd=work, capture_output=True, text=True, timeout=60)

    return run


def test_spend_tells_charged_and_possibly_billed_apart_in_words_json_and_a_table(mediagen, emulator, work: Path):
    assert mediagen("image", "a fox").returncode == 0
    emulator.add_fault(fault="drop_after_accept", match={"path_contains": "generateContent"})
    assert mediagen("image", "a fox").returncode == 6
    before = paid(emulator)
    told = mediagen("spend", "--json")
    assert told.returncode == 0, told.stderr
    report = json.loads(told.stdout)
    [row] = report["rows"]
    assert row["name"] == datetime.now(UTC).date().isoformat()
    assert row["charged_usd"] > 0
    assert row["possibly_billed_usd"] > 0
    assert row["reserved_usd"] == row["billed_at_quote_usd"] == row["free_jobs"] == 0
    assert report["counted_by_caps_usd"] == pytest.approx(row["charged_usd"] + row["possibly_billed_usd"])
    assert report["total"] == {name: value for name, value in row.items() if name != "name"}
    words = mediagen("spend", "--by", "status").stdout
    assert "(UTC)" in words
    assert f"${row['charged_usd']:.4g}" in words
    assert "possibly billed" in words
    assert {line.split()[0] for line in words.splitlines() if line.startswith("  ")} == {"succeeded", "unconfirmed"}
    table = mediagen("spend", "--by", "model", "--csv").stdout
    heading, values = csv.reader(io.StringIO(table))
    assert heading[:3] == ["model", "jobs", "free_jobs"]
    assert dict(zip(heading, values, strict=True))["jobs"] == "2"
    written = mediagen("spend", "--csv", "spend.csv", "--by", "model")
    assert (written.returncode, written.stderr.strip()) == (0, "mediagen: 1 row in spend.csv")
    assert (work / "spend.csv").read_text() == table
    assert paid(emulator) == before


def test_spend_never_overwrites_a_table(mediagen, work: Path):
    (work / "spend.csv").write_text("mine")
    done = mediagen("spend", "--csv", "spend.csv")
    assert done.returncode == 2
    assert "there already" in done.stderr
    assert (work / "spend.csv").read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--since", "yesterday"), "since is 'yesterday'"),
        (("--until", "2026-02-30"), "until is '2026-02-30'"),
        (("--until", "9999-12"), "until is '9999-12'"),
        (("--since", "0001-01-01T00:00+14:00"), "since is"),
        (("--since", "2026-11-21", "--until", "2026-11-20"), "not before"),
        (("--csv", "--json"), "--csv and --json"),
        (("--csv", "no/such/folder.csv"), "cannot be written"),
        (("--csv", "bad\x1bname/x.csv"), "cannot be written"),
    ],
)
def test_spend_refuses_what_it_cannot_do(mediagen, words, said):
    done = mediagen("spend", *words)
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stderr


def test_spend_of_an_empty_span_and_of_free_jobs(mediagen):
    assert "No jobs from" in mediagen("spend").stdout
    assert mediagen("image", "a fox", MEDIAGEN_BACKEND="emulator").returncode == 0
    said = mediagen("spend").stdout
    assert "No jobs" not in said
    assert "only 1 free job (emulator, or edits on this machine); with_free shows them" in said
    assert "$0.00 charged, 0 jobs, 1 free" in mediagen("spend", "--with-free").stdout
