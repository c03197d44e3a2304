"""Each end without a file leaves a record where the file would be."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.runner.asking import arrived, change, clip, until, wait_for
from tests.runner.crashing import collector_in, die_at_each_instant, end, job_of

from mediagen.app.app import open_app
from mediagen.jobs import JobStatus
from mediagen.requests import CancelJobRequest
from mediagen.runner.spool import mark
from mediagen.settings import Settings

POST = {"method": "POST", "path_contains": "interactions"}


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        ("failed", {"fault": "video_failed"}),
        ("filtered", {"fault": "video_blocked"}),
        ("cancelled", {"fault": "stuck"}),
        ("expired", {"fault": "expired", "times": 20}),
        ("unconfirmed", {"fault": "drop_after_accept", "match": POST}),
    ],
)
async def test_each_end_without_a_file_leaves_a_record(
    make_settings: Callable[..., Settings], emulator, work: Path, status: str, fault: dict[str, Any]
):
    emulator.add_fault(**fault)
    async with open_app(make_settings()) as app:
        report = await clip(app, output_name="end", wait_seconds=0)
        if status == "cancelled":
            await until(app, report, "running")
            await app.generator.cancel_job(CancelJobRequest(job_id=report.job_id or ""))
        report = await until(app, report, status)
        # A job that has ended is driven for one more instant: until its record is written.
        report = await wait_for(app, report.job_id, 10)
    record = json.loads((work / "end.json").read_text())
    assert (record["status"], record["state"], record["download_status"]) == ("ERROR", status, "none")
    assert record["job_id"] == report.job_id
    assert record["lineage"] == {"ordinal": 0}
    assert record["output"]["path"] is None
    if status != "cancelled":
        assert record["error"]["type"] == (report.error.code if report.error else None)
    assert list(work.glob("*.mp4")) == []


async def test_answer_that_comes_late_takes_the_place_of_the_record_of_its_failure(
    make_settings: Callable[..., Settings], emulator, work: Path, ledger_file: Path
):
    """As when another process gave the call up, and wrote that down, while its answer was on its way."""
    emulator.add_fault(fault="delay", seconds=1.0, match=POST)
    async with open_app(make_settings()) as app:
        report = await clip(app, output_name="late", wait_seconds=0)
        assert report.status == "submitting"
        await arrived(emulator, "interactions")
        change(ledger_file, "UPDATE calls SET status = 'unconfirmed' WHERE job_id = ?", report.job_id)
        (work / "late.json").write_text(json.dumps({"job_id": report.job_id, "ordinal": 0, "status": "ERROR"}))
        report = await until(app, report, "succeeded")
    assert sorted(path.name for path in work.glob("*late*")) == ["late.json", "late.mp4"]
    assert json.loads((work / "late.json").read_text())["state"] == "succeeded"
    assert report.artifacts[0].file.name == "late.mp4"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
@pytest.mark.parametrize("status", ["failed", "unconfirmed"])
def test_killed_at_any_instant_the_end_of_a_call_is_recorded_once(tmp_path: Path, status: str):
    found = die_at_each_instant(tmp_path, tmp_path, end=status)
    assert len(found) > 3
    for each in found:
        assert (each["status"], each["files"]) == (status, ["made.json"]), each
        # Of an unconfirmed call the answer may still come.
        assert each["spool"] == (["job_1-0"] if status == "unconfirmed" else []), each
        record = json.loads((tmp_path / str(each["instant"]) / "work 🎬" / "made.json").read_text())
        assert (record["job_id"], record["status"], record["state"]) == ("job_1", "ERROR", status)


async def test_record_that_its_user_removed_does_not_come_back(tmp_path: Path):
    collector, job = collector_in(tmp_path), job_of(tmp_path)
    Path(job.output_dir).mkdir(parents=True)
    await collector.ledger.create(job)
    await end(collector, "unconfirmed")
    record = Path(job.output_dir) / "made.json"
    record.unlink()
    await collector.forget_leftovers()
    assert not record.exists()
    await collector.ledger.aclose()


async def test_record_that_a_dead_process_never_finished_is_removed(tmp_path: Path):
    """As when it was killed over it after another one had stored the file."""
    collector, job = collector_in(tmp_path), job_of(tmp_path)
    Path(job.output_dir).mkdir(parents=True)
    await collector.ledger.create(job)
    await collector.ledger.update_call("job_1", 0, expected=JobStatus.SUBMITTING, status=JobStatus.SUCCEEDED)
    mark(collector.spool.folder_of(job, job.calls[0]))
    (Path(job.output_dir) / ".mediagen-job_1-record-0.part").write_text("{")
    await collector.forget_leftovers()
    assert list(Path(job.output_dir).iterdir()) == []
    await collector.ledger.aclose()
