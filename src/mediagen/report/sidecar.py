"""The record written beside each file, or in its place when there is none. Pure."""

from typing import Any

from mediagen.jobs import Artifact, Job, JobStatus, PaidCall, progress_of
from mediagen.report.job import ArtifactReport, ChargeReport, QuoteReport


def sidecar(job: Job, call: PaidCall, *, status: JobStatus, artifact: Artifact | None) -> dict[str, Any]:
    """Record written beside a file, or in its place when there is none.

    Carries the fields of the source design's metadata (type, status, timestamp, command_args, generation, output,
    api_response, cost_estimate, prompt) and our job and artifact ids.
    """
    error = call.error
    return {
        "version": "mediagen.sidecar.v1",
        "type": job.kind,
        "status": "SUCCESS" if artifact else "ERROR",
        "state": str(status),
        "timestamp": job.updated_at.isoformat(),
        "job_id": job.job_id,
        "ordinal": call.ordinal,
        "parent_job_id": job.parent_job_id,
        "backend": job.backend,
        "prompt": job.requested.get("prompt"),
        "command_args": job.requested,
        "generation": {"mode": job.mode, **job.effective},
        "origins": job.origins,
        "adjustments": [{"field": a.field, "from": a.from_value, "to": a.to_value} for a in job.adjustments],
        "input_files": job.input_files,
        "output": ArtifactReport.model_validate(artifact).model_dump(mode="json") if artifact else None,
        "api_response": {
            "operation_name": call.operation,
            "video_uri": call.remote_uri if job.kind == "video" else None,
            "video_uri_expires": call.expires_at.isoformat() if call.expires_at else None,
            "processing_time_seconds": progress_of(job, job.updated_at).elapsed_seconds,
        },
        "cost_estimate": QuoteReport.model_validate(job.quote).model_dump(mode="json"),
        "charge": ChargeReport.model_validate(call.charge).model_dump(mode="json") if call.charge else None,
        "error": {"type": error.code, "message": error.message, "billed": error.billed} if error else None,
    }
