"""The record written beside each file, or in its place when there is none. Pure."""

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path, PureWindowsPath
from typing import Any

from mediagen.jobs import Artifact, Job, JobStatus, PaidCall, public_address
from mediagen.report.job import ArtifactReport, ChargeReport, QuoteReport
from mediagen.report.progress import progress_of


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
        **_head(job, position),
        "status": "SUCCESS" if artifact else "ERROR",
        "state": str(call.status),
        "timestamp": _utc(job.updated_at),
        **_asked(job),
        "generation": {
            **job.effective,
            "has_audio": artifact.has_audio if artifact else None,
            "frame_rate": artifact.fps if artifact else None,
        },
        **_inputs(job, position),
        "output": _output(artifact),
        "api_response": {
            **_answer(job, call, call.artifacts.index(artifact) if artifact in call.artifacts else 0),
            "processing_time_seconds": progress_of(job, job.updated_at).elapsed_seconds,
        },
        "cost_estimate": _cost(job),
        "charge": ChargeReport.model_validate(call.charge).model_dump(mode="json") if call.charge else None,
        "download_status": "completed" if artifact else "none",
        "error": _error(call),
        # Under this name earlier tools kept an answer as it was; ours goes no further than its error.
        "google_api_response": None,
    }


def embedded_record(job: Job, position: int) -> dict[str, Any]:
    """Record that goes into a file itself before it has its name.

    What it says is the same each time that it is made, so that a file is the same whoever finishes it; what is only
    known afterwards (name, digest, charge) is in the sidecar and the ledger. Files are passed on to others, so it names
    neither projects nor buckets, and of files of this machine only their names.

    Args:
        job: The job.
        position: Place of the file among all that the job asks for, from 0.
    """
    record = {
        **_head(job, position),
        "status": "SUCCESS",
        "state": str(JobStatus.SUCCEEDED),
        "timestamp": _utc(job.created_at),
        **_asked(job),
        "generation": job.effective,
        **_inputs(job, position),
        "cost_estimate": _cost(job),
    }
    return _for_others(record)  # type: ignore[no-any-return]


_OURS = frozenset({"project", "project_id", "profile", "storage_uri", "upload_to", "output_dir", "path", "gcs_uri"})
_WORDS = frozenset({"prompt", "prompt_sent", "negative_prompt", "basis", "reason"})
_PLACE = re.compile(r"[/~]|\\\\|[A-Za-z]:[/\\]|(?:file|gs)://")


def _for_others(value: Any) -> Any:
    """The same without what tells about this machine and its accounts."""
    if isinstance(value, Mapping):
        kept = {name: item for name, item in value.items() if name not in _OURS}
        return {name: item if name in _WORDS else _for_others(item) for name, item in kept.items()}
    if isinstance(value, list | tuple):
        return [_for_others(item) for item in value]
    return _name_of(value) if isinstance(value, str) else value


def _name_of(text: str) -> str:
    """Of a path or an address in a bucket its name; any other text as it is."""
    return PureWindowsPath(text).name if _PLACE.match(text) else text


def _head(job: Job, position: int) -> dict[str, Any]:
    return {
        "version": "mediagen.sidecar.v1",
        "type": job.kind,
        "job_id": job.job_id,
        "ordinal": position,
        "parent_job_id": job.parent_job_id,
        "backend": job.backend,
    }


def _utc(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _asked(job: Job) -> dict[str, Any]:
    return {"prompt": job.requested.get("prompt"), "command_args": {**_sent(job), **job.requested}}


def _inputs(job: Job, position: int) -> dict[str, Any]:
    return {
        "origins": job.origins,
        "adjustments": [{"field": a.field, "from": a.from_value, "to": a.to_value} for a in job.adjustments],
        "input_files": job.input_files,
        "lineage": _lineage(job, position),
    }


def _lineage(job: Job, position: int) -> dict[str, Any]:
    """What a file comes from; what does not apply is left out."""
    known = {
        "parent_job_id": job.parent_job_id,
        "source": _source(job),
        "frame": job.effective.get("source_frame"),
        "last_frame": job.effective.get("source_last_frame"),
        "ordinal": position,
        "chain_id": job.effective.get("chain_id"),
        "link": job.effective.get("link"),
        "times": job.effective.get("times"),
    }
    return {name: value for name, value in known.items() if value is not None}


def _source(job: Job) -> dict[str, Any] | None:
    """The video that was extended, edited or remixed."""
    given = next((job.input_files[name] for name in ("source", "video", "remix_from") if job.input_files.get(name)), ())
    first = given[0] if isinstance(given, list | tuple) and given and isinstance(given[0], Mapping) else {}
    return {name: first[name] for name in ("path", "sha256") if first.get(name)} or None


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


def _answer(job: Job, call: PaidCall, sample: int) -> dict[str, Any]:
    return {
        "operation_name": call.operation,
        "video_uri": _video_uri(job, call, sample),
        "video_uri_expires": call.expires_at.isoformat() if call.expires_at else None,
    }


def _video_uri(job: Job, call: PaidCall, sample: int) -> str | None:
    if job.kind != "video" or not call.remote_uris:
        return None
    uri = call.remote_uris[min(sample, len(call.remote_uris) - 1)]
    # What came inside an answer lies with us for a moment, not at Google.
    return None if uri.startswith("file:") else public_address(uri)


def _sent(job: Job) -> dict[str, Any]:
    sent = {name: job.effective[name] for name in _SENT if name in job.effective}
    # Earlier tools looked for them under these names.
    named = {"project_id": "project", "duration": "duration_seconds"}
    return sent | {name: job.effective[ours] for name, ours in named.items() if ours in job.effective}


def _output(artifact: Artifact | None) -> dict[str, Any]:
    if artifact is None:
        return {"filename": None, "path": None, "file_size_bytes": None, "mime_type": None}
    record = ArtifactReport.model_validate(artifact).model_dump(mode="json", exclude={"url", "url_expires_at"})
    return {"filename": Path(artifact.path).name, "file_size_bytes": artifact.size_bytes, **record}


def _cost(job: Job) -> dict[str, Any]:
    quote = QuoteReport.model_validate(job.quote).model_dump(mode="json")
    given = job.effective.get("duration_seconds")
    seconds = given if isinstance(given, int | float) else None
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
