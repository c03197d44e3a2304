"""Between the values of a job and the rows of the ledger."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from decimal import Decimal
from os import PathLike, fspath
from typing import Any, TypeVar

from mediagen.errors import LedgerError
from mediagen.jobs import Adjustment, Artifact, ChainLink, Charge, Job, JobError, JobStatus, PaidCall, Quote, Usage
from mediagen.ledger.caps import counted_microusd
from mediagen.ledger.engines.base import Row
from mediagen.ledger.stored_types import checked

LARGEST_USD = 10**9
MAX_DEPTH = 50

A = TypeVar("A")
B = TypeVar("B")


def time_text(moment: datetime) -> str:
    """Write an aware time so that it sorts as text."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def scale_of(effective: Mapping[str, Any]) -> str | None:
    """Resolution of a clip or size of a picture: what the time that it takes depends on most."""
    scale = effective.get("resolution") or effective.get("image_size")
    return None if scale is None else str(scale)


def job_row(job: Job, *, owner: str | None) -> dict[str, Any]:
    """Columns of a job."""
    scale = scale_of(job.effective)
    return {
        "job_id": job.job_id,
        "kind": job.kind,
        "mode": job.mode,
        "backend": job.backend,
        "endpoint": job.endpoint,
        "base_url": job.base_url,
        "model": job.model,
        "resolution": scale,
        "status": str(job.status),
        "created_at": time_text(job.created_at),
        "updated_at": time_text(job.updated_at),
        "owner": owner,
        "fence": job.fence,
        "request_id": job.request_id,
        "profile": job.profile,
        "parent_job_id": job.parent_job_id,
        "output_dir": job.output_dir,
        "output_name": job.output_name,
        "estimated_seconds": job.estimated_seconds,
        # PostgreSQL keeps no NUL in a text; searching needs none.
        "folded_prompt": str(job.requested.get("prompt") or "").casefold().replace("\0", ""),
        "requested": _json(job.requested),
        "effective": _json(job.effective),
        "origins": _json(job.origins),
        "quote": _json(_fields_of(job.quote)),
        "adjustments": _json([asdict(adjustment) for adjustment in job.adjustments]),
        "warnings": _json(job.warnings),
        "input_files": _json(job.input_files),
        "chain_id": job.chain.chain_id if job.chain else None,
        "chain_link": job.chain.link if job.chain else None,
        "chain_times": job.chain.times if job.chain else None,
        "fingerprint": job.fingerprint,
        "principal": job.principal,
    }


def call_row(job: Job, call: PaidCall) -> dict[str, Any]:
    """Columns of a paid call."""
    return {
        "job_id": job.job_id,
        "ordinal": call.ordinal,
        "samples": call.samples,
        "status": str(call.status),
        "operation": call.operation,
        "remote_uris": _json(call.remote_uris),
        "expires_at": _optional(time_text, call.expires_at),
        "created_at": time_text(job.created_at),
        "attempt": call.attempt,
        "counted_microusd": counted_microusd(job, call),
        "usage": _json(_fields_of(call.usage)) if call.usage else None,
        "charge": _json(_fields_of(call.charge)) if call.charge else None,
        "error": _json(_fields_of(call.error)) if call.error else None,
        "warnings": _json(call.warnings),
    }


def artifact_rows(job_id: str, ordinal: int, artifacts: Iterable[Artifact]) -> list[dict[str, Any]]:
    """Columns of the artifacts of a call."""
    return [
        {"job_id": job_id, "ordinal": ordinal, "sample": sample, **_fields_of(artifact)}
        for sample, artifact in enumerate(artifacts)
    ]


def job_from(row: Row, calls: Iterable[Row], artifacts: Mapping[int, Sequence[Row]]) -> Job:
    """Read a job back.

    Args:
        row: Row of the job.
        calls: Rows of its calls, in their order.
        artifacts: Rows of the artifacts of each call by ordinal, in their order.

    Raises:
        LedgerError: A column holds what no version of this program wrote.
    """
    try:
        return checked(_job(row, tuple(_call(call, artifacts.get(call["ordinal"], ())) for call in calls)))
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError) as error:
        raise LedgerError(
            f"Job {row['job_id']} in the ledger cannot be read: {type(error).__name__} in one of its columns.",
            hint="The ledger was changed by another program; move it aside or restore a copy of it.",
        ) from error


def _job(row: Row, calls: tuple[PaidCall, ...]) -> Job:
    return Job(
        job_id=row["job_id"],
        kind=row["kind"],
        mode=row["mode"],
        backend=row["backend"],
        endpoint=row["endpoint"],
        base_url=row["base_url"],
        model=row["model"],
        created_at=datetime.fromisoformat(row["created_at"]),
        updated_at=datetime.fromisoformat(row["updated_at"]),
        requested=_parsed(row["requested"]),
        effective=_parsed(row["effective"]),
        origins=_parsed(row["origins"]),
        quote=_quote(_parsed(row["quote"])),
        output_dir=row["output_dir"],
        calls=calls,
        adjustments=tuple(Adjustment(**adjustment) for adjustment in _parsed(row["adjustments"])),
        warnings=tuple(_parsed(row["warnings"])),
        output_name=row["output_name"],
        request_id=row["request_id"],
        profile=row["profile"],
        parent_job_id=row["parent_job_id"],
        input_files=_parsed(row["input_files"]),
        estimated_seconds=row["estimated_seconds"],
        chain=_chain(row),
        fence=row["fence"],
        due_at=_optional(datetime.fromisoformat, row["due_at"]),
        note=row["note"],
        failures=row["failures"],
        fingerprint=row["fingerprint"],
        principal=row["principal"],
    )


def _chain(row: Row) -> ChainLink | None:
    if row["chain_id"] is None:
        return None
    return ChainLink(
        chain_id=row["chain_id"], link=row["chain_link"], times=row["chain_times"], stopped=row["chain_stopped"]
    )


def _call(row: Row, artifacts: Iterable[Row]) -> PaidCall:
    return PaidCall(
        job_id=row["job_id"],
        ordinal=row["ordinal"],
        samples=row["samples"],
        status=JobStatus(row["status"]),
        operation=row["operation"],
        remote_uris=tuple(_parsed(row["remote_uris"])),
        expires_at=_optional(datetime.fromisoformat, row["expires_at"]),
        usage=Usage(**_parsed(row["usage"])) if row["usage"] else None,
        charge=_charge(_parsed(row["charge"])) if row["charge"] else None,
        error=JobError(**_parsed(row["error"])) if row["error"] else None,
        artifacts=tuple(artifact_from(artifact) for artifact in artifacts),
        warnings=tuple(_parsed(row["warnings"])),
        attempt=row["attempt"],
    )


def artifact_from(row: Row) -> Artifact:
    """Read the record of a file back."""
    return Artifact(
        artifact_id=row["artifact_id"],
        path=row["path"],
        mime_type=row["mime_type"],
        size_bytes=row["size_bytes"],
        sha256=row["sha256"],
        width=row["width"],
        height=row["height"],
        duration_seconds=row["duration_seconds"],
        fps=row["fps"],
        has_audio=_optional(bool, row["has_audio"]),
        gcs_uri=row["gcs_uri"],
    )


def _quote(columns: dict[str, Any]) -> Quote:
    usd, min_usd, max_usd = (_optional(_money, columns.pop(name)) for name in ("usd", "min_usd", "max_usd"))
    return Quote(usd=usd, min_usd=min_usd, max_usd=max_usd, **columns)


def _charge(columns: dict[str, Any]) -> Charge:
    return Charge(usd=_optional(_money, columns.pop("usd")), **columns)


def _money(text: str) -> Decimal:
    amount = Decimal(text)
    if not abs(amount) <= LARGEST_USD:
        raise ValueError("an amount beyond all money")
    return amount


def _parsed(text: str) -> Any:
    """A JSON column; one too deep for any report is refused like one that is no JSON."""
    value = json.loads(text)
    if text.count("[") + text.count("{") >= MAX_DEPTH:
        _check_depth(value, MAX_DEPTH)
    return value


def _check_depth(value: Any, left: int) -> None:
    if not left:
        raise ValueError("nested too deeply")
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            _check_depth(inner, left - 1)


def _fields_of(value: Quote | Usage | Charge | JobError | Artifact) -> dict[str, Any]:
    """As `asdict` does, which copies even what cannot be changed."""
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _json(value: object) -> str:
    return json.dumps(value, default=_plain, separators=(",", ":"))


def _plain(value: object) -> object:
    """Write what JSON has no word for: exact numbers and paths as text."""
    match value:
        case Decimal():
            return str(value)
        case datetime():
            return time_text(value)
        case PathLike():
            return fspath(value)
        case set() | frozenset():
            return sorted(value)
        case _:
            raise LedgerError(f"A value of type {type(value).__name__} cannot be written to the ledger.")


def _optional(convert: Callable[[A], B], value: A | None) -> B | None:
    return None if value is None else convert(value)
