"""What callers are told about a job: the public structured result."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from mediagen.errors import Billed
from mediagen.jobs import (
    Artifact,
    Charge,
    Job,
    JobError,
    JobStatus,
    Kind,
    Origin,
    PaidCall,
    public_address,
)
from mediagen.report.difference import difference_in_words
from mediagen.report.progress import progress_of
from mediagen.report.unsettled import how_to_settle, is_unsettled, what_now

ROW_CHARACTERS = 200
ROW_ENTRIES = 5

Usd = Annotated[Decimal, PlainSerializer(float, return_type=float)]

HINTS = {
    "content_filtered": "Rephrase the prompt or use other input pictures.",
    "unconfirmed": "Nobody knows whether it was billed.",
}


GENERALLY = "not sent again"


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
    """One file, on this machine or to be downloaded from it."""

    artifact_id: str
    uri: str
    path: str | None = Field(description="Absolute path of the file; null for callers on another machine.")
    url: str | None = Field(None, description="Where callers on another machine download it; null on this one.")
    url_expires_at: datetime | None = Field(None, description="Until when; get_job gives a new one.")
    gcs_uri: str | None
    mime_type: str
    size_bytes: int
    sha256: str
    width: int | None
    height: int | None
    duration_seconds: float | None
    fps: float | None
    has_audio: bool | None

    @property
    def file(self) -> Path:
        """The file, for those who work on this machine."""
        assert self.path is not None, "only callers on another machine are told no path"
        return Path(self.path)


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
        charge=_charge(job),
        artifacts=[_artifact(artifact) for artifact in job.artifacts],
        remote=_remote(job),
        progress=ProgressReport.model_validate(progress_of(job, now or datetime.now(UTC))),
        warnings=[*dict.fromkeys((*job.warnings, *call_warnings, *_partial_failures(job), *extra_warnings))],
        error=_error(job),
        next=_next(job),
    )


def total_charge(job: Job) -> Charge:
    """Add up what the calls of a job cost."""
    states = [_billed(job, call) for call in job.calls]
    billed: Billed = "yes" if "yes" in states else "unknown" if "unknown" in states else "no"
    known = [call.charge for call in job.calls if call.charge and call.charge.usd is not None]
    open_question = sum(
        state != "no" and not (call.charge and call.charge.usd is not None)
        for state, call in zip(states, job.calls, strict=True)
    )
    if not known:
        if billed == "no":
            return Charge(usd=Decimal(0), basis="nothing was billed", certainty="exact", billed="no")
        what = "billed, the amount is unknown" if billed == "yes" else "unknown"
        basis = f"{what}; look at your usage at Google" if job.status.is_terminal else "not known yet"
        return Charge(usd=None, basis=basis, certainty="unknown", billed=billed)
    times = Counter(charge.basis for charge in known)
    basis = "; ".join(f"{count} × ({what})" if count > 1 else what for what, count in times.items())
    if open_question:
        basis += f"; {open_question} of {len(job.calls)} calls may be billed on top"
    is_exact = all(charge.certainty == "exact" for charge in known)
    return Charge(
        usd=sum((charge.usd or Decimal(0) for charge in known), Decimal(0)),
        basis=basis,
        certainty="unknown" if open_question else "exact" if is_exact else "estimated",
        billed=billed,
    )


def _charge(job: Job) -> ChargeReport:
    charge = total_charge(job)
    difference = difference_in_words(job.quote, charge) if job.status.is_terminal else ""
    basis = f"{charge.basis}; {difference}" if difference else charge.basis
    return ChargeReport.model_validate(replace(charge, basis=basis))


def _billed(job: Job, call: PaidCall) -> Billed:
    if job.backend == "emulator":
        return "no"
    if call.charge:
        return call.charge.billed
    if call.error:
        return call.error.billed
    return "yes" if call.status is JobStatus.DOWNLOADING else "unknown"


def _artifact(artifact: Artifact) -> ArtifactReport:
    return ArtifactReport.model_validate(artifact)


def _remote(job: Job) -> RemoteReport:
    call = next((call for call in job.calls if call.operation or call.remote_uris), None)
    if call is None:
        return RemoteReport(operation=None, uri=None, expires_at=None)
    # What came inside an answer lies with us for a moment, not at Google.
    uri = next((public_address(uri) for uri in call.remote_uris if not uri.startswith("file:")), None)
    return RemoteReport(operation=call.operation, uri=uri, expires_at=call.expires_at)


def _error(job: Job) -> ErrorReport | None:
    error = job.error
    if error is None:
        return None
    return ErrorReport(
        code=error.code,
        message=error.message,
        retryable=error.retryable,
        billed=error.billed,
        hint=_hint(error, what_now(job)),
    )


def _hint(error: JobError, now: str) -> str:
    said = error.hint or HINTS.get(error.code, "")
    # What is said of an unconfirmed job in general is in what is said of this one; what was found out since is not.
    if now and error.code == "unconfirmed" and (not error.hint or GENERALLY in error.hint):
        said = ""
    return f"{said} {now}".strip()


def _partial_failures(job: Job) -> list[str]:
    if job.status is not JobStatus.SUCCEEDED:
        return []
    return [
        f"{job.kind} {call.ordinal + 1} of {len(job.calls)}: {call.status}: {call.error.message}"
        f"{how_to_settle(job, call)}"
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
    if job.status is JobStatus.SUCCEEDED and job.kind == "video" and job.backend != "local":
        source = job.artifacts[0].uri if len(job.artifacts) > 1 else job.job_id
        return NextReport(
            tool="extend_video",
            arguments={"source": source, "prompt": "(say what happens next)"},
            reason="Continues this clip.",
        )
    if is_unsettled(job):
        return NextReport(
            tool="resolve_job",
            arguments={"job_id": job.job_id},
            reason="Only once whoever pays has looked at the bill, with the outcome that they name: billed or "
            "not_billed. Until then nothing has to be done.",
        )
    # Shortened inputs cannot be given again as they stand.
    if job.error and job.error.retryable and job.error.billed == "no" and "…" not in str(job.requested):
        arguments = {**job.requested, **({"force_new": True} if job.request_id else {})}
        return NextReport(tool=_tool(job), arguments=arguments, reason="It was not billed and may work later.")
    return None


def _tool(job: Job) -> str:
    if job.kind == "image":
        return "generate_image"
    return "extend_video" if job.mode == "video_extension" else "generate_video"


def short_row(report: JobReport) -> JobReport:
    """A job as a row of a list: long texts are cut, so that a full page stays small."""
    return report.model_copy(
        update={
            "requested": _short(report.requested),
            "effective": _short(report.effective),
            "warnings": _short(report.warnings),
            "next": None,
        }
    )


def _short(value: Any) -> Any:
    match value:
        case str() if len(value) > ROW_CHARACTERS:
            return value[:ROW_CHARACTERS] + "…"
        case dict():
            return {name: _short(inner) for name, inner in value.items()}
        case list():
            more = [f"… and {len(value) - ROW_ENTRIES} more"] if len(value) > ROW_ENTRIES else []
            return [*(_short(inner) for inner in value[:ROW_ENTRIES]), *more]
        case _:
            return value


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
