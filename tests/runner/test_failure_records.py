"""Each end without a file leaves a record where the file would be."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.runner.asking import arrived, change, clip, until, wait_for

from mediagen.app.app import open_app
from mediagen.requests import CancelJobRequest
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
    assert Path(report.artifacts[0].path).name == "late.mp4"
