"""What is known of how a file was made: the structured result of `show`, and the same in words."""

import re
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from mediagen.jobs import Kind
from mediagen.report.job import ChargeReport, QuoteReport, Report
from mediagen.report.money import dollars

Place = Literal["ledger", "sidecar", "embedded"]
# A record may have come with somebody else's file, and terminals obey such characters.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_PROMPT_CHARACTERS = 1500
_PROMPT_LINES = 12
_VALUE_CHARACTERS = 120
_VALUES = 16
_SOURCES = 14
_NOT_VALUES = frozenset({"prompt", "why_backend", "backend", "model", "mode", "output_dir", "profile", "prompt_sent"})
_PLACES: dict[Place, str] = {"ledger": "the ledger", "sidecar": "the record beside it", "embedded": "the file itself"}


class FileReport(Report):
    """The file that was asked about, as it is now."""

    path: str = Field(description="Where it is, or was when it was last known.")
    exists: bool
    size_bytes: int | None
    sha256: str | None
    mime_type: str | None
    width: int | None = None
    height: int | None = None
    duration_seconds: float | None = None
    fps: float | None = None
    has_audio: bool | None = None


class FoundRecord(Report):
    """How a file was made, and where that is written."""

    found_in: Place
    record_path: str = Field(description="The ledger, the sidecar or the file.")
    is_in_ledger: bool = Field(
        description="Whether the values are those of this machine's ledger; otherwise they came with the file."
    )
    job_id: str | None
    kind: Kind
    mode: str | None
    status: str | None
    model: str | None
    backend: str | None
    profile: str | None = None
    created_at: datetime | None
    prompt: str | None
    requested: dict[str, Any]
    effective: dict[str, Any]
    origins: dict[str, Any] = Field(default_factory=dict)
    input_files: dict[str, Any] = Field(default_factory=dict)
    file: FileReport | None
    is_changed: bool | None = Field(description="Whether the file was changed since it was made; null if unknown.")
    signed: bool = Field(description="Whether the file carries a C2PA manifest.")
    quote: QuoteReport | None = None
    charge: ChargeReport | None = None
    charged: str | None = Field(None, description="What a record that came with the file says it cost.")
    parent_job_id: str | None = None
    ancestors: list[str] = Field(
        default_factory=list, description="Jobs it goes back to, nearest first, as far as the ledger knows."
    )
    lineage: Any = None
    warnings: list[str] = Field(default_factory=list)


def record_summary(record: FoundRecord) -> str:
    """A record on one screen: what made it, of what, for how much, when, and where that is written."""
    lines = [*_file_lines(record)]
    made = " · ".join(part for part in (record.model, record.backend, record.mode) if part)
    lines.append(f"Made by: {made or 'unknown'}")
    if record.prompt:
        lines += _prompt_lines(record.prompt)
    lines.append(f"Price:   {_price(record)}")
    if record.created_at:
        lines.append(f"When:    {record.created_at:%Y-%m-%d %H:%M} UTC")
    lines += [f"From:    {source}" for source in _sources(record)]
    values = [f"{name}={_cut(str(value), _VALUE_CHARACTERS)}" for name, value in _values(record).items()]
    more = ["…"] if len(values) > _VALUES else []
    lines += [f"Values:  {', '.join([*values[:_VALUES], *more])}"] if values else []
    status = f" ({record.status})" if record.status not in {None, "succeeded"} else ""
    lines.append(f"Job:     {record.job_id or 'unknown'}{status}")
    lines.append(f"Found:   in {_PLACES[record.found_in]} ({record.record_path}){_standing(record)}")
    lines += [f"Warning: {warning}" for warning in record.warnings]
    return "\n".join(_CONTROLS.sub("�", line) for line in lines)


def _file_lines(record: FoundRecord) -> list[str]:
    file = record.file
    if file is None:
        return [f"File:    none ({record.kind})"]
    size = f"{file.width}x{file.height}" if file.width else ""
    length = f"{file.duration_seconds:g} s" if file.duration_seconds else ""
    sound = {True: "with sound", False: "silent", None: ""}[file.has_audio if record.kind == "video" else None]
    weight = f"{file.size_bytes} bytes" if file.size_bytes is not None else ""
    facts = ", ".join(part for part in (file.mime_type, size, length, sound, weight) if part)
    state = "" if file.exists else " - no longer there"
    lines = [f"File:    {file.path}{state}", f"         {facts}"]
    if record.signed:
        lines.append("         signed by its maker (C2PA): it is kept exactly as it came, without a record inside")
    if record.is_changed:
        lines.append("         changed since it was made")
    return lines


def _prompt_lines(prompt: str) -> list[str]:
    """Indented, so that no line of it looks like one of ours."""
    lines = _cut(prompt, _PROMPT_CHARACTERS).splitlines()
    shown = [*lines[:_PROMPT_LINES], *(["…"] if len(lines) > _PROMPT_LINES else [])]
    return [f"{'         ' if number else 'Prompt:  '}{line}" for number, line in enumerate(shown)]


def _price(record: FoundRecord) -> str:
    charge, quote = record.charge, record.quote
    if charge and charge.usd is not None:
        return f"{dollars(charge.usd)} ({charge.basis})"
    if charge and charge.billed == "no":
        return charge.basis
    if quote and quote.usd is not None:
        return f"quoted {dollars(quote.usd)} ({quote.basis}); the charge is not known"
    return record.charged or "unknown"


def _sources(record: FoundRecord) -> list[str]:
    found = [
        f"{_cut(str(item.get('source')), _VALUE_CHARACTERS)} ({field})"
        for field, items in record.input_files.items()
        for item in (items if isinstance(items, list) else [items])
        if isinstance(item, dict) and item.get("source")
    ]
    chain = record.ancestors or ([record.parent_job_id] if record.parent_job_id else [])
    if len(chain) == 1 and any(source.startswith(f"{chain[0]} (") for source in found):
        chain = []  # the job was given as the source, and nothing is known before it
    return [*found[:_SOURCES], *([" <- ".join(chain)] if chain else [])]


def _values(record: FoundRecord) -> dict[str, Any]:
    return {
        name: value
        for name, value in record.effective.items()
        if name not in _NOT_VALUES and value is not None and isinstance(value, str | int | float | bool)
    }


def _standing(record: FoundRecord) -> str:
    if record.found_in == "ledger":
        return ""
    return "; the ledger knows the job" if record.is_in_ledger else "; not in this ledger, so nothing vouches for it"


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[:characters]}…"
