"""A lost ledger is rebuilt from the records beside the files, and what runs at Google goes on."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import paid
from tests.generator.planning import MakeSettings
from tests.runner.asking import change, clip, image, until, wait_for

from mediagen.app.app import open_app
from mediagen.emulator.thread import EmulatorHandle
from mediagen.generator.rebuilding import WARNING, rebuild_from
from mediagen.jobs import JobStatus
from mediagen.ledger.ledger import Ledger
from mediagen.requests import CheckApiRequest, ListJobsRequest


@pytest.fixture
def ledger_file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.sqlite3"


async def test_wiped_ledger_is_rebuilt_from_sidecars_and_told(
    make_settings: MakeSettings, emulator: EmulatorHandle, ledger_file: Path, tmp_path: Path
):
    elsewhere = tmp_path / "elsewhere 📁"
    async with open_app(make_settings()) as app:
        made = [await image(app, prompt="a fox"), await image(app, prompt="a hen", output_dir=str(elsewhere))]
        made.append(await clip(app))
    ledger_file.write_bytes(b"\0" * ledger_file.stat().st_size)
    async with open_app(make_settings()) as app:
        listed = await app.generator.list_jobs(ListJobsRequest())
        assert {job.job_id for job in listed.jobs} == {job.job_id for job in made}
        for before in made:
            after = await wait_for(app, before.job_id, 0)
            assert after.artifacts == before.artifacts
            assert (after.status, after.model, after.mode) == ("succeeded", before.model, before.mode)
            assert (after.quote, after.charge.usd) == (before.quote, before.charge.usd)
            assert WARNING in after.warnings
        report = await app.checks.check_api(CheckApiRequest())
        assert report.ok
        assert any("ledger.damaged-" in problem and "3 were rebuilt" in problem for problem in report.problems)
        assert (await image(app)).status == "succeeded"
    assert paid(emulator) == 4


async def test_job_that_runs_is_collected_after_its_ledger_was_damaged(
    make_settings: MakeSettings, emulator: EmulatorHandle, ledger_file: Path
):
    emulator.add_fault(fault="stuck")
    async with open_app(make_settings()) as app:
        report = await until(app, await clip(app, wait_seconds=0), "running")

    content = ledger_file.read_bytes()
    ledger_file.write_bytes(b"\xa5" * 4096 + content[4096:])
    async with open_app(make_settings()) as app:
        [job] = await app.runner.resume()
        assert job.job_id == report.job_id
        assert job.calls[0].operation
    assert paid(emulator) == 1


def record(**changes: Any) -> dict[str, Any]:
    known = {
        "version": "mediagen.sidecar.v1",
        "type": "video",
        "job_id": "job_1",
        "ordinal": 0,
        "backend": "gemini",
        "state": "succeeded",
        "timestamp": "2026-11-21T12:00:00Z",
        "prompt": "a fox",
        "command_args": {"prompt": "a fox"},
        "generation": {"model": "veo-3.1-fast", "mode": "text_to_video"},
        "output": {
            "filename": "film.mp4",
            "artifact_id": "art_1",
            "mime_type": "video/mp4",
            "file_size_bytes": 7,
            "sha256": "ab",
        },
        "api_response": {"operation_name": "operations/1", "processing_time_seconds": 60.0},
        "cost_estimate": {"usd": 0.4},
        "charge": {"usd": 0.35, "basis": "x", "certainty": "exact", "billed": "yes"},
    }
    return {**known, **changes}


def write(folder: Path, name: str, values: object) -> None:
    (folder / name).write_text(json.dumps(values), encoding="utf-8")


async def test_rebuilt_charges_count_for_the_caps_once(tmp_path: Path):
    from datetime import UTC, datetime

    folder = tmp_path / "files"
    folder.mkdir()
    for number in range(2):  # two files of one paid request
        output = {**record()["output"], "filename": f"film_{number}.mp4", "artifact_id": f"art_{number}"}
        write(folder, f"film_{number}.json", record(ordinal=number, output=output))
    write(folder, "lost.json", record(job_id="job_2", state="unconfirmed", output={}, charge=None, error=None))
    ledger = Ledger(tmp_path / "ledger.sqlite3", lambda: datetime.now(UTC), rebuild=rebuild_from(folder))
    (tmp_path / "ledger.sqlite3").write_text("damaged")
    assert await ledger.spent(datetime(2026, 11, 21, tzinfo=UTC)) == Decimal("0.75")
    job = await ledger.get("job_1")
    assert [Path(made.path).name for made in job.artifacts] == ["film_0.mp4", "film_1.mp4"]
    assert (await ledger.get("job_2")).status is JobStatus.UNCONFIRMED
    await ledger.aclose()


@pytest.mark.parametrize(
    "changes",
    [
        {"output": {**record()["output"], "filename": "../secret.mp4"}},
        {"output": {**record()["output"], "filename": "..\\secret.mp4"}},
        {"output": {**record()["output"], "filename": "/etc/passwd"}},
        {"output": {**record()["output"], "mime_type": "text/plain"}},
        {"output": {**record()["output"], "artifact_id": "../x"}},
        {"output": ["film.mp4"]},
    ],
)
def test_record_that_names_another_place_makes_no_file_known(tmp_path: Path, changes: dict[str, Any]):
    write(tmp_path, "film.json", record(**changes))
    [job] = rebuild_from(tmp_path)([]).values()
    assert job.artifacts == ()
    assert job.status is JobStatus.UNCONFIRMED


@pytest.mark.parametrize("name", [*record()])
@pytest.mark.parametrize("value", [None, [], {}, -1, 1e308, "x" * 2000, {"usd": "NaN"}, {"usd": -5}, True])
def test_record_of_wrong_types_never_stops_the_rebuilding(tmp_path: Path, name: str, value: object):
    write(tmp_path, "bad.json", record(**{name: value}))
    write(tmp_path, "good.json", record(job_id="job_good"))
    assert "job_good" in rebuild_from(tmp_path)([])


def test_record_of_a_foreign_tool_and_a_link_are_left_alone(tmp_path: Path):
    write(tmp_path, "foreign.json", record(version="other.v1"))
    (tmp_path / "link.json").symlink_to(tmp_path / "foreign.json")
    (tmp_path / "text.json").write_text("no json")
    assert rebuild_from(tmp_path, tmp_path / "gone")([]) == {}


async def test_row_of_a_job_and_its_sidecar_make_one_job(
    make_settings: MakeSettings, emulator: EmulatorHandle, ledger_file: Path
):
    async with open_app(make_settings()) as app:
        made = await image(app, prompt="a fox")
    change(ledger_file, "DELETE FROM calls")
    content = ledger_file.read_bytes()
    ledger_file.write_bytes(b"\xa5" * 4096 + content[4096:])
    async with open_app(make_settings()) as app:
        after = await wait_for(app, made.job_id, 0)
    assert (after.status, after.artifacts) == ("succeeded", made.artifacts)
    assert paid(emulator) == 1
