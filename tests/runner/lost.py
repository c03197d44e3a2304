"""Jobs on Vertex AI whose paid request was taken, and whose answer was never seen."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.runner.asking import change, veo

from mediagen.app.app import App
from mediagen.report.job import JobReport
from mediagen.requests import ResolveJobRequest

BUCKET = "film-bucket"
PREFIX = f"gs://{BUCKET}/clips 🎬"
SUBMISSIONS = {"method": "POST", "path_contains": "predictLongRunning"}


async def lost_clip(app: App, emulator, *, fault: str = "drop_after_accept", **changes: object) -> JobReport:
    """Ask for a clip; the job ends as unconfirmed."""
    emulator.make_bucket(BUCKET)
    emulator.add_fault(fault=fault, match=SUBMISSIONS)
    report = await veo(app, storage_uri=PREFIX, output_name="lost", **changes)
    assert report.status == "unconfirmed", report.error
    return report


def age(ledger_file: Path, span: timedelta) -> None:
    """Let all jobs have been asked for so long ago."""
    then = (datetime.now(UTC) - span).isoformat(timespec="microseconds")
    change(ledger_file, "UPDATE jobs SET created_at = ?", then)
    change(ledger_file, "UPDATE calls SET created_at = ?", then)


def resolution(report: JobReport, **given: object) -> ResolveJobRequest:
    return ResolveJobRequest.model_validate({"job_id": report.job_id, **given})
