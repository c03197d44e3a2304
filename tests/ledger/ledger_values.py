"""Values that the ledger's tests and their worker processes share."""

import dataclasses
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from mediagen.jobs import Artifact, Job, JobStatus, PaidCall, Quote
from mediagen.ledger.engines.base import Address
from mediagen.ledger.ids import new_artifact_id, new_job_id

NOON = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 21, tzinfo=UTC)

sqlite_only = pytest.mark.parametrize("engine", ["sqlite"])
postgresql_only = pytest.mark.parametrize("engine", ["postgresql"])


def text_of(place: Path | Address) -> str:
    """A place as an argument of a process."""
    return str(place) if isinstance(place, Path) else f"{place.url}\n{place.state_folder}"


def place_of(text: str) -> Path | Address:
    """The place of such an argument."""
    url, _, folder = text.partition("\n")
    return Address(url=url, state_folder=Path(folder)) if folder else Path(text)


def noon() -> datetime:
    return NOON


def a_quote(usd: str | None = "0.50") -> Quote:
    amount = None if usd is None else Decimal(usd)
    return Quote(
        usd=amount,
        min_usd=amount,
        max_usd=amount,
        basis="1 x",
        as_of="2026-11-21",
        source="https://example.com",
        certainty="published",
    )


def a_job(*, calls: int = 1, usd: str | None = "0.50", prompt: str = "a fox", **changes: Any) -> Job:
    """A draft as the generator makes it."""
    job_id = changes.pop("job_id", None) or new_job_id(noon)
    job = Job(
        job_id=job_id,
        kind="video",
        mode="text_to_video",
        backend="gemini",
        endpoint="gemini",
        base_url="https://example.com",
        model="veo-test",
        created_at=NOON,
        updated_at=NOON,
        requested={"prompt": prompt},
        effective={"prompt": prompt, "resolution": "720p"},
        origins={"resolution": "default"},
        quote=a_quote(usd),
        output_dir="/tmp/out",
        calls=tuple(PaidCall(job_id=job_id, ordinal=n, status=JobStatus.SUBMITTING) for n in range(calls)),
    )
    return dataclasses.replace(job, **changes)


def an_artifact(**changes: Any) -> Artifact:
    """A stored file."""
    artifact = Artifact(
        artifact_id=new_artifact_id(noon),
        path="/tmp/out/film.mp4",
        mime_type="video/mp4",
        size_bytes=1234,
        sha256="ab" * 32,
        width=1280,
        height=720,
        duration_seconds=8.0,
        fps=24.0,
        has_audio=False,
        gcs_uri="gs://bucket/film.mp4",
    )
    return dataclasses.replace(artifact, **changes)
