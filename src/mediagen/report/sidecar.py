"""The record written beside each file, or in its place when there is none. Pure."""

from pathlib import Path
from typing import Any

from mediagen.jobs import Artifact, Job, PaidCall, progress_of, public_address
from mediagen.report.job import ArtifactReport, ChargeReport, QuoteReport


def sidecar(job: Job, call: PaidCall, *, position: int, artifact: Artifact | None) -> dict[str, Any]:
    """Record written beside a file, or in its place when there is none.

    Args:
        job: The job.
        call: Its paid call.
        position: Place of the file among all that the job asks for, from 0.
        artifact: The file, or None.

    Its names are those that earlier tools of this kind wrote, so that their readers understand it; see the docs.
    """
    return {
        "version": "mediagen.sidecar.v1",
        "type": job.kind,
        "status": "SUCCESS" if artifact else "ERROR",
        "state": str(call.status),
        "timestamp": job.updated_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "job_id": job.job_id,
        "ordinal": position,
        "parent_job_id": job.parent_job_id,
        "backend": job.backend,
        "prompt": job.requested.get("prompt"),
        "command_args": {**_sent(job), **job.requested},
        "generation": {
            **job.effective,
            "has_audio": artifact.has_audio if artifact else None,
            "frame_rate": artifact.fps if artifact else None,
        },
        "origins": job.origins,
        "adjustments": [{"field": a.field, "from": a.from_value, "to": a.to_value} for a in job.adjustments],
        "input_files": job.input_files,
        "output": _output(artifact),
        "api_response": _answer(job, call, artifact),
        "cost_estimate": _cost(job),
        "charge": ChargeReport.model_validate(call.charge).model_dump(mode="json") if call.charge else None,
        "download_status": "completed" if artifact else "none",
        "error": _error(call),
    }


_SENT = (
    "model",
    "mode",
    "duration_seconds",
    "aspect_ratio",
    "resolution",
    "image_size",
    "backend",
    "storage_uri",
    "location",
)


def _answer(job: Job, call: PaidCall, artifact: Artifact | None) -> dict[str, Any]:
    return {
        "operation_name": call.operation,
        "video_uri": _video_uri(job, call, artifact),
        "video_uri_expires": call.expires_at.isoformat() if call.expires_at else None,
        "processing_time_seconds": progress_of(job, job.updated_at).elapsed_seconds,
    }


def _video_uri(job: Job, call: PaidCall, artifact: Artifact | None) -> str | None:
    if job.kind != "video" or not call.remote_uris:
        return None
    sample = call.artifacts.index(artifact) if artifact in call.artifacts else 0
    uri = call.remote_uris[min(sample, len(call.remote_uris) - 1)]
    # What came inside an answer lies with us for a moment, not at Google.
    return None if uri.startswith("file:") else public_address(uri)


def _sent(job: Job) -> dict[str, Any]:
    sent = {name: job.effective[name] for name in _SENT if name in job.effective}
    # Earlier tools looked for it under this name.
    return sent | ({"project_id": job.effective["project"]} if "project" in job.effective else {})


def _output(artifact: Artifact | None) -> dict[str, Any]:
    if artifact is None:
        return {"filename": None, "path": None, "file_size_bytes": None, "mime_type": None}
    record = ArtifactReport.model_validate(artifact).model_dump(mode="json")
    return {"filename": Path(artifact.path).name, "file_size_bytes": artifact.size_bytes, **record}


def _cost(job: Job) -> dict[str, Any]:
    quote = QuoteReport.model_validate(job.quote).model_dump(mode="json")
    seconds = job.effective.get("duration_seconds")
    return {
        "estimated_cost_usd": quote["usd"],
        "currency": "USD",
        "pricing_date": quote["as_of"],
        "duration_seconds": seconds,
        "price_per_second": round(quote["usd"] / seconds, 6) if seconds and quote["usd"] is not None else None,
        "model_tier": job.model,
        **quote,
    }


def _error(call: PaidCall) -> dict[str, Any] | None:
    if call.error is None:
        return None
    error = call.error
    details = {"retryable": error.retryable, "billed": error.billed, "hint": error.hint}
    return {"type": error.code, "message": error.message, "details": details}
