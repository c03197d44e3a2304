"""The structured results in words, for models and for hosts that read only text."""

import json
from collections.abc import Callable
from decimal import Decimal

from mediagen.errors import MediaGenError
from mediagen.jobs import OPEN_STATUSES
from mediagen.report.checks import AlternativeReport, EstimateReport
from mediagen.report.edits import edit_in_words
from mediagen.report.job import ArtifactReport, JobListReport, JobReport, NextReport, QuoteReport
from mediagen.report.money import dollars

PROMPT_CHARACTERS = 100


def summary(report: JobReport, next_words: Callable[[NextReport], str] | None = None) -> str:
    """Say in words what the structured result says, for models and logs of hosts that read only text.

    Args:
        report: The result.
        next_words: Words the call that makes sense now; None words it as a tool call.
    """
    lines = [_headline(report), *_prompt(report)]
    for artifact in report.artifacts:
        size = f"{artifact.width}x{artifact.height}" if artifact.width else ""
        length = ""
        if artifact.duration_seconds:
            sound = "with sound" if artifact.has_audio else "silent"
            length = f", {artifact.duration_seconds:g} s, {artifact.fps or 0:g} fps, {sound}"
        lines.append(
            f"File: {where_is(artifact)} ({artifact.mime_type}, {size}{length}, {artifact.size_bytes} bytes) "
            f"{artifact.uri}"
        )
        lines += [f"In Cloud Storage: {artifact.gcs_uri}"] if artifact.gcs_uri else []
    if reason := report.effective.get("why_backend"):
        lines.append(f"Backend {report.backend}: {reason}")
    lines.append(f"Mode {report.mode}; values: {_values(report)}")
    if report.request is not None:
        lines.append(f"Request: {json.dumps(report.request, ensure_ascii=False)}")
    lines.append(_money(report))
    lines += _chain(report)
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
        call = next_words(report.next) if next_words else f"{report.next.tool} {report.next.arguments}"
        lines.append(f"Next: {call} - {report.next.reason}")
    return "\n".join(lines)


def where_is(artifact: ArtifactReport) -> str:
    """The path of a file, or the link that stands for it."""
    if artifact.path is not None:
        return artifact.path
    if artifact.url is None or artifact.url_expires_at is None:
        return artifact.uri
    return f"{artifact.url} (link until {artifact.url_expires_at:%H:%M} UTC)"


def _headline(report: JobReport) -> str:
    if report.backend == "local":
        return f"{report.kind} job {report.job_id}: {report.status}: {edit_in_words(report)}"
    what = f"{report.kind} job {report.job_id}: {report.status}" if report.job_id else f"{report.kind}: dry run"
    return f"{what} (model {report.model}, backend {report.backend})"


def _prompt(report: JobReport) -> list[str]:
    """What was asked for, by which people tell jobs apart: one line of it."""
    prompt = _on_one_line(report.requested.get("prompt") or "")
    if not prompt:
        return []
    return [f"Prompt: {prompt if len(prompt) <= PROMPT_CHARACTERS else f'{prompt[:PROMPT_CHARACTERS]}…'}"]


def _values(report: JobReport) -> str:
    """Effective values that were not simply what the caller said, with where they come from."""
    return ", ".join(
        f"{name}={_on_one_line(value)} ({report.origins[name]})"
        if name in report.origins
        else f"{name}={_on_one_line(value)}"
        for name, value in report.effective.items()
        if name not in {"mode", "model", "backend", "why_backend"}
    )


def _on_one_line(value: object) -> str:
    """A prompt may have lines of its own, which would pass for those of the summary."""
    return " ".join(str(value).split())


def _money(report: JobReport) -> str:
    if report.backend == "local":
        return f"Price: none, {report.charge.basis}"
    line = f"Price: quoted {quote_in_words(report.quote)}"
    if report.status == "dry_run":
        return f"{line}. Nothing was sent."
    charged = f"{_usd(report.charge.usd)} ({report.charge.basis})"
    return f"{line}. Charged: {report.charge.basis if report.charge.usd is None else charged}"


def _chain(report: JobReport) -> list[str]:
    """Place in a chain of extensions, and what all of it costs."""
    values = report.effective
    if "link" not in values or "times" not in values:
        return []
    usd = values.get("chain_usd")
    price = "the price of the whole chain is not known"
    if usd is not None:
        price = f"the whole chain costs about {_usd(Decimal(str(usd)))}"
    return [f"Chain: link {values['link']} of {values['times']}; {price}."]


def estimate_summary(report: EstimateReport) -> str:
    """What a job would cost: the price first, then how it comes about and which other ways there are."""
    quote = report.quote
    what = f"{_wanted(report)} with {report.model} on {report.backend}"
    where = "" if report.configured else " (not configured)"
    if quote.usd is None:
        lines = [f"Price unknown: {what}{where}: {quote.basis}."]
    else:
        spread = f" ({_usd(quote.min_usd)} to {_usd(quote.max_usd)})" if quote.min_usd != quote.max_usd else ""
        lines = [f"{_usd(quote.usd)}{spread}: {what}{where}"]
        lines.append(f"  {quote.basis}; {quote.certainty}, as of {quote.as_of}, source {quote.source}")
    lines += [f"  {note}" for note in report.notes]
    lines += [_alternative(other, quote.usd) for other in report.alternatives]
    lines += [f"Changed: {item.field} {item.from_} -> {item.to}: {item.reason}" for item in report.adjustments]
    lines += [f"Warning: {warning}" for warning in report.warnings]
    return "\n".join(lines)


def _wanted(report: EstimateReport) -> str:
    values = report.effective
    if report.kind == "image":
        noun = "picture" if report.count == 1 else "pictures"
        return f"{report.count} {noun} of {values['image_size']}"
    noun = {"video": "clip", "extension": "extension"}[report.kind] + ("" if report.count == 1 else "s")
    sound = "" if values["generate_audio"] else ", silent"
    return f"{report.count} {noun} of {values['duration_seconds']} s in {values['resolution']}{sound}"


def _alternative(other: AlternativeReport, usd: Decimal | None) -> str:
    where = "" if other.configured else " (not configured)"
    doubts = f". Doubt: {' '.join(other.warnings)}" if other.warnings else ""
    word = "Alternative"
    if other.usd is not None and usd is not None:
        word = "Cheaper" if other.usd < usd else "Not cheaper"
    return f"{word}: {_usd(other.usd)} with {other.model} on {other.backend}{where}: {other.basis}{doubts}"


def list_summary(report: JobListReport) -> str:
    """One line for each job; below it, its prompt and what went wrong."""
    lines = [line for job in report.jobs for line in _row(job)]
    if report.next_cursor:
        lines.append(f"More: cursor {report.next_cursor}")
    return "\n".join(lines) or "No jobs."


def _row(job: JobReport) -> list[str]:
    files = ", ".join(
        f"{artifact.path} ({artifact.uri})" if artifact.path else artifact.uri for artifact in job.artifacts
    )
    lines = [f"{job.job_id} {job.kind} {job.status} {job.model} {_cost(job)} {files}".rstrip()]
    lines += [f"  {line}" for line in _prompt(job)]
    if job.error:
        lines.append(f"  Error [{job.error.code}]: {job.error.message} {job.error.hint}".rstrip())
    return [*lines, *(f"  Warning: {_on_one_line(warning)}" for warning in job.warnings)]


def _cost(job: JobReport) -> str:
    if job.charge.usd is not None and job.status not in OPEN_STATUSES:
        return f"charged {_usd(job.charge.usd)}"
    if job.status not in OPEN_STATUSES and job.charge.billed == "unknown":
        return f"possibly billed {_usd(job.quote.usd)}"
    return f"quoted {_usd(job.quote.usd)}"


def quote_in_words(quote: QuoteReport) -> str:
    """Price, how it was computed, and how sure it is."""
    if quote.usd is None:
        return f"price unknown ({quote.basis})"
    spread = f" ({_usd(quote.min_usd)} to {_usd(quote.max_usd)})" if quote.min_usd != quote.max_usd else ""
    return f"{_usd(quote.usd)}{spread}: {quote.basis}; {quote.certainty}, as of {quote.as_of}, source {quote.source}"


def _usd(value: Decimal | None) -> str:
    return "unknown" if value is None else dollars(value)


def error_in_words(error: MediaGenError) -> str:
    """An error for its reader: code, what happened, what to do, whether money was spent."""
    billed = {"no": "This call cost nothing.", "yes": "It was billed.", "unknown": "It may have been billed."}
    parts = (f"[{error.code}]", error.message, error.hint, billed[error.billed])
    return " ".join(part for part in parts if part)
