"""The structured results in words, for models and for hosts that read only text."""

import json
from decimal import Decimal

from mediagen.errors import MediaGenError
from mediagen.report.checks import BucketReport, CheckReport, EstimateReport, SurfaceReport
from mediagen.report.job import JobListReport, JobReport, QuoteReport

SKEW_SECONDS = 30  # signed requests of service accounts are refused at some minutes


def summary(report: JobReport) -> str:
    """Say in words what the structured result says, for models and logs of hosts that read only text."""
    name = report.job_id or "dry run"
    lines = [f"{report.kind} job {name}: {report.status} (model {report.model}, backend {report.backend})"]
    for artifact in report.artifacts:
        size = f"{artifact.width}x{artifact.height}" if artifact.width else ""
        length = ""
        if artifact.duration_seconds:
            sound = "with sound" if artifact.has_audio else "silent"
            length = f", {artifact.duration_seconds:g} s, {artifact.fps or 0:g} fps, {sound}"
        lines.append(
            f"File: {artifact.path} ({artifact.mime_type}, {size}{length}, {artifact.size_bytes} bytes) {artifact.uri}"
        )
    lines.append(f"Mode {report.mode}; sent: {_values(report)}")
    if report.request is not None:
        lines.append(f"Request: {json.dumps(report.request, ensure_ascii=False)}")
    lines.append(_money(report))
    if report.remote.expires_at and report.status == "downloading":
        lines.append(f"Google keeps the file until {report.remote.expires_at:%Y-%m-%d %H:%M} UTC.")
    if report.status in {"submitting", "running", "downloading"}:
        lines.append(f"Progress: {report.progress.message}")
    if report.error:
        billed = {"no": "Not billed.", "yes": "Billed.", "unknown": "May be billed."}[report.error.billed]
        lines.append(f"Error [{report.error.code}]: {report.error.message} {report.error.hint} {billed}")
    lines += [f"Changed {a.field}: {a.from_!r} -> {a.to!r} ({a.reason})" for a in report.adjustments]
    lines += [f"Warning: {warning}" for warning in report.warnings]
    if report.next:
        lines.append(f"Next: {report.next.tool} {report.next.arguments} - {report.next.reason}")
    return "\n".join(lines)


def _values(report: JobReport) -> str:
    """Effective values that were not simply what the caller said, with where they come from."""
    return ", ".join(
        f"{name}={value} ({report.origins[name]})" if name in report.origins else f"{name}={value}"
        for name, value in report.effective.items()
        if name not in {"mode", "model", "backend"}
    )


def _money(report: JobReport) -> str:
    line = f"Price: quoted {quote_in_words(report.quote)}"
    if report.status == "dry_run":
        return f"{line}. Nothing was sent."
    charged = f"{_usd(report.charge.usd)} ({report.charge.basis})"
    return f"{line}. Charged: {report.charge.basis if report.charge.usd is None else charged}"


def check_summary(report: CheckReport) -> str:
    """What check_api found."""
    lines = [line for surface in report.surfaces for line in _surface_lines(surface)] or ["No API can be used."]
    lines += [_bucket_line(report.bucket)] if report.bucket else []
    lines += [f"Problem: {problem}" for problem in report.problems]
    lines += [report.model_asked] if report.model_asked else []
    lines.append(f"Spent: {_usd(report.spent_today_usd)} today, {_usd(report.spent_this_month_usd)} this month (UTC).")
    profile = f"profile {report.profile}; " if report.profile else ""
    lines.append(f"{profile}files go to {report.output_dir}; ledger in {report.ledger}; ffmpeg: {report.ffmpeg}.")
    return "\n".join(lines)


def _surface_lines(surface: SurfaceReport) -> list[str]:
    state = {True: "works", False: "does not work", None: "could not be tested"}[surface.key_ok]
    who = f", {surface.identity}" if surface.identity else ""
    where = f", project {surface.project}" if surface.project else ""
    lines = [
        f"{surface.backend} at {surface.base_url} {state} "
        f"({surface.key_kind} from {surface.key_source}{who}{where}; {surface.reason})."
    ]
    if surface.clock_skew_seconds is not None and abs(surface.clock_skew_seconds) > SKEW_SECONDS:
        lines.append(f"The clock here differs from Google's by {abs(surface.clock_skew_seconds):.0f} s.")
    for model in surface.models:
        default = ", default" if model.default else ""
        note = f" - {model.note}" if model.note else ""
        lines.append(f"{model.kind} {model.id}: {model.state}{default}, {model.price}{note}")
    if surface.new_models:
        lines.append(f"Listed by {surface.backend} but not in the catalogue: {', '.join(surface.new_models)}")
    if surface.probe:
        refused = f" Refused: {'; '.join(surface.probe.refused_fields)}." if surface.probe.refused_fields else ""
        lines.append(f"Probe of {surface.probe.model}: {surface.probe.message}{refused}")
    return lines


def _bucket_line(bucket: BucketReport) -> str:
    words = {True: "yes", False: "no", None: "not known"}
    abilities = ", ".join(
        f"{name} {words[can]}"
        for name, can in (
            ("exists", bucket.exists),
            ("write", bucket.can_write),
            ("read", bucket.can_read),
            ("delete", bucket.can_delete),
        )
    )
    where = f" in {bucket.location}" if bucket.location else ""
    trouble = f" {bucket.problem or ''} {bucket.hint}".rstrip()
    return f"Bucket {bucket.name}{where}: {abilities}.{trouble}"


def estimate_summary(report: EstimateReport) -> str:
    """What a job would cost."""
    lines = [f"{report.kind} with {report.model}: {quote_in_words(report.quote)}"]
    lines += [
        f"Alternative: {other.model} on {other.backend} {_usd(other.usd)} ({other.basis})"
        for other in report.alternatives
    ]
    lines += [f"Changed: {item.field} {item.from_} -> {item.to}: {item.reason}" for item in report.adjustments]
    lines += [f"Warning: {warning}" for warning in report.warnings]
    return "\n".join(lines)


def list_summary(report: JobListReport) -> str:
    """One line for each job."""
    lines = [
        f"{job.job_id} {job.kind} {job.status} {job.model} {_cost(job)} "
        f"{', '.join(artifact.path for artifact in job.artifacts)}".rstrip()
        for job in report.jobs
    ]
    if report.next_cursor:
        lines.append(f"More: cursor {report.next_cursor}")
    return "\n".join(lines) or "No jobs."


def _cost(job: JobReport) -> str:
    if job.charge.usd is not None:
        return f"charged {_usd(job.charge.usd)}"
    return f"quoted {_usd(job.quote.usd)}"


def quote_in_words(quote: QuoteReport) -> str:
    """Price, how it was computed, and how sure it is."""
    if quote.usd is None:
        return f"price unknown ({quote.basis})"
    spread = f" ({_usd(quote.min_usd)} to {_usd(quote.max_usd)})" if quote.min_usd != quote.max_usd else ""
    return f"{_usd(quote.usd)}{spread}: {quote.basis}; {quote.certainty}, as of {quote.as_of}, source {quote.source}"


def _usd(value: Decimal | None) -> str:
    return "unknown" if value is None else f"${value:.4f}"


def error_in_words(error: MediaGenError) -> str:
    """An error for its reader: code, what happened, what to do, whether money was spent."""
    billed = {"no": "This call cost nothing.", "yes": "It was billed.", "unknown": "It may have been billed."}
    parts = (f"[{error.code}]", error.message, error.hint, billed[error.billed])
    return " ".join(part for part in parts if part)
