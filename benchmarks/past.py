"""A ledger with a past: as many finished jobs as wanted, in one transaction, as the ledger itself writes them."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from mediagen.jobs import Adjustment, Artifact, Charge, Job, JobStatus, PaidCall, Quote, Usage
from mediagen.ledger import queries
from mediagen.ledger.engines.base import Access
from mediagen.ledger.engines.sqlite import SqliteDatabase
from mediagen.ledger.glance import LEDGER_FILE
from mediagen.ledger.ids import new_artifact_id, new_job_id
from mediagen.ledger.rows import artifact_rows, call_row, job_row

PROMPT = "a red fox walks through fresh snow at dawn, low camera, its breath in the cold air, soft light"
BETWEEN = timedelta(minutes=5)
SOURCE = "https://ai.google.dev/gemini-api/docs/pricing"


MODEL = "gemini-omni-1.2-flash"


def write_past(state: Path, jobs: int, *, seconds: float = 80.0, resolution: str = "720p") -> Path:
    """Add finished jobs of the emulator to the ledger of a state folder; gives its file.

    Args:
        state: The folder.
        jobs: How many, the last of them just now.
        seconds: How long each took.
        resolution: Of the clips.
    """
    database = SqliteDatabase(state / LEDGER_FILE)
    began = datetime.now(UTC) - (jobs + 1) * BETWEEN
    try:
        with database.transaction(Access.EXCLUSIVE) as connection:
            for number in range(jobs):
                job = a_past_job(began + number * BETWEEN, number, seconds=seconds, resolution=resolution)
                connection.execute(queries.INSERT_JOB, job_row(job, owner=None))
                for call in job.calls:
                    connection.execute(queries.INSERT_CALL, call_row(job, call))
                    connection.executemany(
                        queries.INSERT_ARTIFACT, artifact_rows(job.job_id, call.ordinal, call.artifacts)
                    )
    finally:
        database.close()
    return database.path


def a_past_job(created_at: datetime, number: int, *, seconds: float, resolution: str) -> Job:
    """One clip that was made, with all that the ledger keeps of it."""
    effective = {"duration_seconds": 8, "resolution": resolution, "aspect_ratio": "16:9", "generate_audio": True}
    price = Decimal("0.4632")
    job = Job(
        job_id=new_job_id(lambda: created_at),
        kind="video",
        mode="text_to_video",
        backend="emulator",
        endpoint="gemini",
        base_url="http://127.0.0.1:8080",
        model=MODEL,
        created_at=created_at,
        updated_at=created_at + timedelta(seconds=seconds),
        requested={"prompt": f"{PROMPT}, take {number}", "duration_seconds": 8},
        effective={"prompt": f"{PROMPT}, take {number}", **effective},
        origins=dict.fromkeys(effective, "default"),
        quote=Quote(
            usd=price,
            min_usd=price,
            max_usd=price,
            basis="8 s × $0.0579",
            as_of="2026-11-01",
            source=SOURCE,
            certainty="published",
        ),
        output_dir="/home/somebody/mediagen",
        adjustments=(Adjustment(field="duration_seconds", from_value=12, to_value=8, reason="the longest"),),
        estimated_seconds=seconds,
        fingerprint=hashlib.sha256(str(number).encode()).hexdigest(),
    )
    return replace(job, calls=(_a_call(job, number),))


def _a_call(job: Job, number: int) -> PaidCall:
    artifact = Artifact(
        artifact_id=new_artifact_id(lambda: job.updated_at),
        path=f"{job.output_dir}/video_{job.created_at:%Y%m%d_%H%M%S}_0.mp4",
        mime_type="video/mp4",
        size_bytes=5_000_000 + number,
        sha256=hashlib.sha256(job.job_id.encode()).hexdigest(),
        width=1280,
        height=720,
        duration_seconds=8.0,
        fps=24.0,
        has_audio=True,
    )
    return PaidCall(
        job_id=job.job_id,
        ordinal=0,
        status=JobStatus.SUCCEEDED,
        operation=f"v1_{artifact.sha256[:32]}",
        remote_uris=(f"{job.base_url}/v1beta/files/{artifact.sha256[:12]}:download?alt=media",),
        usage=Usage(input_tokens=20, output_video_tokens=46_336),
        charge=Charge(usd=Decimal(0), basis="made by the emulator, free", certainty="exact", billed="no"),
        artifacts=(artifact,),
        attempt=artifact.sha256[:16],
    )
