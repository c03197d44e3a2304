"""What callers are told about a job: the public structured result."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from mediagen.errors import Billed
from mediagen.jobs import Artifact, Charge, Job, JobStatus, Kind, Origin, progress_of

Usd = Annotated[Decimal, PlainSerializer(float, return_type=float)]

HINTS = {
    "content_filtered": "Rephrase the prompt or use other input pictures.",
    "unconfirmed": "Look at your usage at Google before you try again: it may have been billed.",
}


class Report(BaseModel):
    """Base of everything that callers are told."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", protected_namespaces=(), from_attributes=True, populate_by_name=True
    )


class QuoteReport(Report):
    """Price before the call, in US dollars, for the whole job."""

    usd: Usd | None = Field(description="Expected price; null when none is known.")
    min_usd: Usd | None
    max_usd: Usd | None
    basis: str
    as_of: str
    source: str
    certainty: Literal["published", "inferred", "unknown"]


class ChargeReport(Report):
    """Price after the call, in US dollars."""

    usd: Usd | None
    basis: str
    certainty: Literal["exact", "estimated", "unknown"]
    billed: Billed


class ArtifactReport(Report):
    """One file on this machine."""

    artifact_id: str
    uri: str
    path: str = Field(description="Absolute path of the file.")
    gcs_uri: str | None
    mime_type: str
    size_bytes: int
    sha256: str
    width: int | None
    height: int | None
    duration_seconds: float | None
    fps: float | None
    has_audio: bool | None


class AdjustmentReport(Report):
    """A value that was changed before sending."""

    field: str
    from_: Any = Field(alias="from")
    to: Any
    reason: str


class RemoteReport(Report):
    """Where Google keeps the result."""

    operation: str | None
    uri: str | None
    expires_at: datetime | None


class ProgressReport(Report):
    """How far the job is; an estimate until it has ended."""

    fraction: float
    message: str
    elapsed_seconds: float
    estimated_seconds: float


class ErrorReport(Report):
    """Why there is no file."""

    code: str
    message: str
    retryable: bool
    billed: Billed
    hint: str


class NextReport(Report):
    """The call that makes sense now."""

    tool: str
    arguments: dict[str, Any]
    reason: str


class JobReport(Report):
    """Result of a paid tool, of get_job and of each row of list_jobs."""

    job_id: str | None = Field(description="Null for a dry run.")
    kind: Kind
    mode: str
    status: str = Field(description="A job state, or dry_run.")
    backend: str
    model: str
    requested: dict[str, Any]
    effective: dict[str, Any]
    adjustments: list[AdjustmentReport]
    origins: dict[str, Origin]
    quote: QuoteReport
    charge: ChargeReport
    artifacts: list[ArtifactReport]
    remote: RemoteReport
    progress: ProgressReport
    warnings: list[str]
    error: ErrorReport | None
    next: NextReport | None
    request: dict[str, Any] | None = Field(None, description="Dry run only: the request, large inputs shortened.")


class JobListReport(Report):
    """Result of list_jobs."""

    jobs: list[JobReport]
    next_cursor: str | None = Field(description="Give it as cursor to go on; null at the end.")


def job_report(job: Job, now: datetime | None = None, *, extra_warnings: tuple[str, ...] = ()) -> JobReport:
    """Describe a job as it is now."""
    call_warnings = [warning for call in job.calls for warning in call.warnings]
    return JobReport(
        job_id=job.job_id,
        kind=job.kind,
        mode=job.mode,
        status=str(job.status),
        backend=job.backend,
        model=job.model,
        requested=job.requested,
        effective=job.effective,
        adjustments=[
            AdjustmentReport(field=a.field, from_=a.from_value, to=a.to_value, reason=a.reason) for a in job.adjustments
        ],
        origins=job.origins,
        quote=QuoteReport.model_validate(job.quote),
        charge=ChargeReport.model_validate(total_charge(job)),
        artifacts=[_artifact(artifact) for artifact in job.artifacts],
        remote=_remote(job),
        progress=ProgressReport.model_validate(progress_of(job, now or datetime.now(UTC))),
        warnings=[*dict.fromkeys((*job.warnings, *call_warnings, *_partial_failures(job), *extra_warnings))],
        error=_error(job),
        next=_next(job),
    )


def total_charge(job: Job) -> Charge:
    """Add up what the calls of a job cost."""
    charges = [call.charge for call in job.calls if call.charge]
    billed: Billed = "no"
    states = {charge.billed for charge in charges} | {call.error.billed for call in job.calls if call.error}
    if "yes" in states or any(call.status is JobStatus.DOWNLOADING for call in job.calls):
        billed = "yes"
    elif "unknown" in states or not job.status.is_terminal:
        billed = "unknown"
    if not charges:
        known_free = billed == "no"
        return Charge(
            usd=Decimal(0) if known_free else None,
            basis="nothing was billed" if known_free else "not known yet",
            certainty="exact" if known_free else "unknown",
            billed=billed,
        )
    known = [charge.usd for charge in charges if charge.usd is not None]
    certainties = {charge.certainty for charge in charges}
    worst: Literal["exact", "estimated", "unknown"] = (
        "unknown" if "unknown" in certainties else "estimated" if "estimated" in certainties else "exact"
    )
    return Charge(usd=sum(known, Decimal(0)) if known else None, basis=charges[0].basis, certainty=worst, billed=billed)


def _artifact(artifact: Artifact) -> ArtifactReport:
    return ArtifactReport.model_validate(artifact)


def _remote(job: Job) -> RemoteReport:
    call = next((call for call in job.calls if call.operation or call.remote_uri), None)
    if call is None:
        return RemoteReport(operation=None, uri=None, expires_at=None)
    return RemoteReport(operation=call.operation, uri=call.remote_uri, expires_at=call.expires_at)


def _error(job: Job) -> ErrorReport | None:
    error = job.error
    if error is None:
        return None
    return ErrorReport(
        code=error.code,
        message=error.message,
        retryable=error.retryable,
        billed=error.billed,
        hint=error.hint or HINTS.get(error.code, ""),
    )


def _partial_failures(job: Job) -> list[str]:
    if job.status is not JobStatus.SUCCEEDED:
        return []
    return [
        f"{job.kind} {call.ordinal + 1} of {len(job.calls)}: {call.status}: {call.error.message}"
        for call in job.calls
        if call.error
    ]


def _next(job: Job) -> NextReport | None:
    if not job.status.is_terminal:
        return NextReport(
            tool="get_job",
            arguments={"job_id": job.job_id, "wait_seconds": 45},
            reason="It goes on in the background; this waits for it.",
        )
    if job.status is JobStatus.SUCCEEDED and job.kind == "video":
        return NextReport(
            tool="extend_video", arguments={"source": job.job_id, "prompt": "…"}, reason="Continues this clip."
        )
    if job.error and job.error.retryable and job.error.billed == "no":
        tool = "generate_image" if job.kind == "image" else "generate_video"
        return NextReport(tool=tool, arguments=job.requested, reason="It was not billed and may work later.")
    return None


def dry_run_report(draft: Job, request: dict[str, Any]) -> JobReport:
    """Describe a job that is not made: effective values, price, and the request as it would be sent."""
    nothing = ChargeReport(usd=Decimal(0), basis="dry run, nothing was sent", certainty="exact", billed="no")
    report = job_report(draft, draft.created_at)
    progress = ProgressReport(
        fraction=0.0, message="dry run", elapsed_seconds=0.0, estimated_seconds=draft.estimated_seconds
    )
    return report.model_copy(
        update={
            "job_id": None,
            "status": "dry_run",
            "charge": nothing,
            "progress": progress,
            "next": None,
            "request": request,
        }
    )
