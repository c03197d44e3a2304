"""What callers are told about the API and about prices."""

from typing import Any, Literal

from pydantic import Field

from mediagen.jobs import Kind
from mediagen.report.job import QuoteReport, Report, Usd


class SurfaceReport(Report):
    """What was found at the API."""

    backend: str
    base_url: str
    reason: str = Field(description="Why this surface was chosen.")
    reachable: bool
    key_ok: bool | None = Field(description="Null when it could not be found out.")
    key_source: str = Field(description="Variable that the key came from; never the key.")
    latency_ms: float | None
    clock_skew_seconds: float | None
    error: str | None


class ModelReport(Report):
    """One model of the catalogue compared with what Google lists for this key."""

    id: str
    kind: Kind
    state: Literal["live", "missing", "unlisted"] = Field(
        description="live = listed by Google; missing = in the catalogue only; unlisted = the list could not be read."
    )
    default: bool
    price: str
    note: str


class CheckReport(Report):
    """Result of check_api."""

    ok: bool = Field(description="Whether paid calls can be expected to work.")
    surface: SurfaceReport | None
    models: list[ModelReport]
    new_models: list[str] = Field(description="Media models that Google lists and the catalogue does not know.")
    model_asked: str | None = Field(description="Answer about the model asked for.")
    spent_today_usd: Usd = Field(description="What today's jobs (UTC) cost or may still cost.")
    spent_this_month_usd: Usd
    output_dir: str
    ledger: str
    ffmpeg: str
    problems: list[str]


class AlternativeReport(Report):
    """Another model that can do the same job."""

    model: str
    usd: Usd | None
    basis: str


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
    warnings: list[str]
