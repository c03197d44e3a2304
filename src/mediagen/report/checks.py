"""What callers are told about the APIs, the bucket and prices."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from mediagen.jobs import Kind, Surface
from mediagen.report.job import AdjustmentReport, QuoteReport, Report, Usd
from mediagen.report.spending import CapReport


class ModelReport(Report):
    """One model of the catalogue compared with what a surface lists for these credentials."""

    id: str
    kind: Kind
    state: Literal["live", "missing", "retired", "unlisted"] = Field(
        description="live = listed; missing = in the catalogue only; retired = gone by the catalogue; "
        "unlisted = the list could not be read."
    )
    listed: bool | None = Field(description="Whether the surface lists it; null when it gave no list.")
    default: bool
    asked: bool = Field(description="Whether it is the model asked about.")
    usd: Usd | None = Field(description="List price of one picture, or of a clip of the usual length.")
    price: str
    note: str


class ProbeReport(Report):
    """What a request with one field that does not exist showed: how it is parsed, never that it would work."""

    model: str
    accepted: bool | None = Field(description="Whether every field is known; null when it could not be found out.")
    refused_fields: list[str]
    message: str


class SurfaceReport(Report):
    """What was found at one API surface."""

    backend: str
    surface: Surface = Field(description="Whose protocol is spoken; the emulator speaks for two.")
    chosen: bool = Field(description="Whether calls go here when they do not say otherwise and it has the model.")
    works: bool = Field(description="Whether paid calls can be expected to work here.")
    base_url: str
    reason: str = Field(description="Why it is looked at.")
    reachable: bool
    key_ok: bool | None = Field(description="Null when it could not be found out.")
    key_kind: str
    key_source: str = Field(description="Variable or file that the credentials come from; never their value.")
    identity: str | None = Field(description="E-mail address of a service account.")
    project: str | None
    location: str | None
    latency_ms: float | None
    clock_skew_seconds: float | None
    models: list[ModelReport]
    new_models: list[str] = Field(description="Media models that are listed and not in the catalogue.")
    probe: ProbeReport | None
    error: str | None = Field(description="Why it does not work, and what to do.")
    retryable: bool = Field(description="Whether the failure may be over later.")
    note: str | None = Field(description="What could not be tested for free.")


class BucketReport(Report):
    """What was found at a bucket; a marker object was written, read and deleted."""

    name: str
    origin: str
    exists: bool | None
    location: str | None
    can_write: bool | None
    can_read: bool | None
    can_delete: bool | None
    problem: str | None
    hint: str = Field(description="What to do; without a problem, a note.")


class CheckReport(Report):
    """Result of check_api."""

    ok: bool = Field(description="Whether paid calls, with the model asked for, can be expected to work.")
    profile: str | None
    surfaces: list[SurfaceReport]
    bucket: BucketReport | None
    model_asked: str | None = Field(description="Answer about the model asked for.")
    model_available: bool | None = Field(
        description="Whether the chosen surface has the model asked for; null when none was, or it is not known."
    )
    spent_today_usd: Usd | None = Field(
        description="What today's jobs (UTC) cost or may still cost; null when the ledger cannot be read, or "
        "on a shared server without a cap on the day."
    )
    spent_this_month_usd: Usd | None
    max_usd_per_day: Usd | None = Field(description="Spending cap over all profiles; null is none.")
    max_usd_per_month: Usd | None
    caps: list[CapReport] = Field(
        default_factory=list, description="Spending caps over time that hold here, those of the profile included."
    )
    no_spend: str | None = Field(description="Which setting forbids every paid call; null when none does.")
    output_dir: str | None
    ledger: str
    ffmpeg: str
    blocking: list[str] = Field(description="Those of the problems that stop every paid call, whatever the surface.")
    problems: list[str]


class AlternativeReport(Report):
    """Another way: the same job with another model or surface, or less of it with the same model."""

    model: str
    backend: str
    usd: Usd | None
    basis: str = Field(description="What would be less, if anything, and how the price comes about.")
    configured: bool
    warnings: list[str]


class EstimateReport(Report):
    """Result of estimate_cost."""

    kind: Literal["image", "video", "extension"]
    model: str
    backend: str
    effective: dict[str, Any]
    quote: QuoteReport
    unit: str = Field(description="What is paid for: picture or second.")
    count: int = Field(description="Pictures or clips.")
    units: int = Field(description="Units of all of them together; with a clip's own seconds only, not its source's.")
    configured: bool = Field(description="Whether there are credentials for the backend; a price needs none.")
    notes: list[str] = Field(description="What would change the price.")
    alternatives: list[AlternativeReport]
    adjustments: list[AdjustmentReport]
    warnings: list[str]


def ledger_in_words(place: str, folder: Path) -> str:
    """Where the ledger is, for people: the folder of its file, or the database and the folder beside it."""
    return f"{place}, with files in {folder}" if place.startswith("postgresql:") else str(folder)
