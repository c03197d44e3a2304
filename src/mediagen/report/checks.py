"""What callers are told about the APIs, the bucket and prices."""

from typing import Any, Literal

from pydantic import Field

from mediagen.jobs import Kind
from mediagen.report.job import AdjustmentReport, QuoteReport, Report, Usd


class ModelReport(Report):
    """One model of the catalogue compared with what a surface lists for these credentials."""

    id: str
    kind: Kind
    state: Literal["live", "missing", "retired", "unlisted"] = Field(
        description="live = listed; missing = in the catalogue only; retired = gone by the catalogue; "
        "unlisted = the list could not be read."
    )
    default: bool
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
    chosen: bool = Field(description="Whether calls go here when they do not say otherwise and it has the model.")
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
    error: str | None


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
    hint: str


class CheckReport(Report):
    """Result of check_api."""

    ok: bool = Field(description="Whether paid calls can be expected to work on the chosen surface.")
    profile: str | None
    surfaces: list[SurfaceReport]
    bucket: BucketReport | None
    model_asked: str | None = Field(description="Answer about the model asked for.")
    spent_today_usd: Usd = Field(description="What today's jobs (UTC) cost or may still cost.")
    spent_this_month_usd: Usd
    output_dir: str | None
    ledger: str
    ffmpeg: str
    problems: list[str]


class AlternativeReport(Report):
    """Another model that can do the same job."""

    model: str
    backend: str
    usd: Usd | None
    basis: str
    warnings: list[str]


class EstimateReport(Report):
    """Result of estimate_cost."""

    kind: Literal["image", "video", "extension"]
    model: str
    backend: str
    effective: dict[str, Any]
    quote: QuoteReport
    unit: str
    count: int
    alternatives: list[AlternativeReport]
    adjustments: list[AdjustmentReport]
    warnings: list[str]
