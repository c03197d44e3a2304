"""Jobs as the records beside their files tell them, for the day that the ledger is lost. Blocking."""

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import Any, Final

from mediagen.generator.beside import OWN_RECORD, read_beside
from mediagen.generator.foreign_records import Told, described, plain
from mediagen.jobs import Adjustment, Artifact, Charge, Job, JobError, JobStatus, PaidCall, Quote
from mediagen.ledger.folders import Rebuild
from mediagen.ledger.stored_types import checked

logger = logging.getLogger(__name__)

MOST_RECORDS: Final = 50_000
WARNING: Final = "The ledger was lost or damaged; this job was rebuilt from the record beside its file."
_ARTIFACT_ID = re.compile(r"art_[0-9a-z]{1,40}")
_MEDIA = re.compile(r"(?:image|video|audio)/[\w.+-]{1,40}", re.ASCII)
_SURFACES: Final = {"gemini": "gemini", "vertex": "vertex", "cliproxy": "cliproxy", "local": "local"}
_LARGEST_USD: Final = 1_000_000


def rebuild_from(*folders: Path) -> Rebuild:
    """Gives the reader of records in these folders, besides those that the ledger knew."""
    return partial(_rebuilt, tuple(map(str, folders)))


def _rebuilt(always: Sequence[str], folders: Sequence[str]) -> dict[str, Job]:
    records: dict[str, list[tuple[int, Told]]] = {}
    for told in _records(dict.fromkeys((*always, *folders))):
        if told.job_id:
            records.setdefault(told.job_id, []).append((_whole(told.values.get("ordinal")), told))
    found = {}
    for job_id, of_job in records.items():
        try:
            found[job_id] = checked(_job(job_id, [told for _, told in sorted(of_job, key=lambda pair: pair[0])]))
        except (ValueError, TypeError, ArithmeticError):
            logger.warning("the records of job %s cannot be understood", job_id)
    return found


def _records(folders: Iterable[str]) -> Iterator[Told]:
    left = MOST_RECORDS
    for folder in folders:
        with suppress(OSError):
            for path in sorted(Path(folder).glob("*.json")):
                if not left:
                    logger.warning("more than %d records; the rest was not read", MOST_RECORDS)
                    return
                left -= 1
                values = read_beside(path)
                if isinstance(values, dict) and str(values.get("version")).startswith(OWN_RECORD):
                    yield Told(found_in="sidecar", record_path=path, values=plain(values))


def _job(job_id: str, records: Sequence[Told]) -> Job:
    first = records[0]
    kind = first.kind
    if kind is None:
        raise ValueError("neither picture nor video")
    told = described(first, kind)
    ended, took = told["created_at"] or datetime.now(UTC), _dict(first, "api_response").get("processing_time_seconds")
    seconds = took if isinstance(took, int | float) and 0 <= took < timedelta.max.days else 0.0
    return Job(
        job_id=job_id,
        kind=kind,
        mode=told["mode"] or "unknown",
        backend=told["backend"] or "unknown",
        endpoint=_SURFACES.get(told["backend"], "gemini"),  # type: ignore[arg-type] # its values are the words
        base_url="",
        model=str(told["model"] or "unknown"),
        created_at=ended - timedelta(seconds=seconds),
        updated_at=ended,
        requested=told["requested"],
        effective={name: v for name, v in told["effective"].items() if name not in {"has_audio", "frame_rate"}},
        origins={name: origin for name, origin in told["origins"].items() if origin in _ORIGINS},
        quote=_quote(_dict(first, "cost_estimate")),
        output_dir=str(first.record_path.parent),
        calls=tuple(_calls(job_id, records)),
        adjustments=_adjustments(first.values.get("adjustments")),
        warnings=(WARNING,),
        profile=profile if isinstance(profile := told["effective"].get("profile"), str) else None,
        parent_job_id=told["parent_job_id"],
        input_files=told["input_files"],
    )


_ORIGINS: Final = frozenset({"explicit", "source", "profile", "environment", "default"})


def _calls(job_id: str, records: Sequence[Told]) -> Iterator[PaidCall]:
    """One call for each operation; where none is named, one for each file."""
    groups: dict[object, list[Told]] = {}
    for number, told in enumerate(records):
        operation = _dict(told, "api_response").get("operation_name")
        groups.setdefault(operation if isinstance(operation, str) else number, []).append(told)
    for ordinal, (operation, of_call) in enumerate(groups.items()):
        made = [artifact for artifact in map(_artifact, of_call) if artifact]
        first = of_call[0].values
        uri = _dict(of_call[0], "api_response").get("video_uri")
        yield PaidCall(
            job_id=job_id,
            ordinal=ordinal,
            status=_status(first.get("state"), is_made=bool(made)),
            samples=len(of_call),
            operation=operation if isinstance(operation, str) else None,
            remote_uris=(uri,) if isinstance(uri, str) and len(of_call) == 1 else (),
            charge=_charge(first.get("charge")),
            error=_error(first.get("error")),
            artifacts=tuple(made),
        )


def _status(state: object, *, is_made: bool) -> JobStatus:
    if is_made:
        return JobStatus.SUCCEEDED
    with suppress(ValueError):
        known = JobStatus(str(state))
        if known.is_terminal and known is not JobStatus.SUCCEEDED:
            return known
    return JobStatus.UNCONFIRMED


def _artifact(told: Told) -> Artifact | None:
    """The file that a record speaks of, which can only lie in the folder of the record."""
    output = _dict(told, "output")
    name, artifact_id, mime_type = output.get("filename"), output.get("artifact_id"), output.get("mime_type")
    if not (isinstance(name, str) and name and PureWindowsPath(name).name == name == Path(name).name):
        return None
    if not (isinstance(artifact_id, str) and _ARTIFACT_ID.fullmatch(artifact_id)):
        return None
    if not (isinstance(mime_type, str) and _MEDIA.fullmatch(mime_type)):
        return None
    sha256 = output.get("sha256")
    uri = output.get("gcs_uri")
    return Artifact(
        artifact_id=artifact_id,
        path=str(told.record_path.with_name(name)),
        mime_type=mime_type,
        size_bytes=_whole(output.get("file_size_bytes")),
        sha256=sha256 if isinstance(sha256, str) else "",
        width=_whole(output.get("width")) or None,
        height=_whole(output.get("height")) or None,
        duration_seconds=_real(output.get("duration_seconds")),
        fps=_real(output.get("fps")),
        has_audio=output["has_audio"] if isinstance(output.get("has_audio"), bool) else None,
        gcs_uri=uri if isinstance(uri, str) and uri.startswith("gs://") else None,
    )


def _quote(values: Mapping[str, Any]) -> Quote:
    certainty = values.get("certainty")
    usd = _usd(values.get("usd", values.get("estimated_cost_usd")))
    return Quote(
        usd=usd,
        min_usd=_usd(values.get("min_usd")),
        max_usd=_usd(values.get("max_usd")),
        basis=str(values.get("basis") or "as the record beside the file says"),
        as_of=str(values.get("as_of") or values.get("pricing_date") or ""),
        source=str(values.get("source") or ""),
        certainty=certainty if certainty in ("published", "inferred") else "unknown",
    )


def _charge(values: object) -> Charge | None:
    if not isinstance(values, dict) or values.get("billed") not in ("no", "yes", "unknown"):
        return None
    certainty = values.get("certainty")
    return Charge(
        usd=_usd(values.get("usd")),
        basis=str(values.get("basis") or ""),
        certainty=certainty if certainty in ("exact", "estimated") else "unknown",
        billed=values["billed"],
    )


def _error(values: object) -> JobError | None:
    if not isinstance(values, dict):
        return None
    told = values.get("details")
    details = told if isinstance(told, dict) else {}
    billed = details.get("billed")
    return JobError(
        code=str(values.get("type") or "unknown"),
        message=str(values.get("message") or ""),
        retryable=details.get("retryable") is True,
        billed=billed if billed in ("no", "yes") else "unknown",
        hint=str(details.get("hint") or ""),
    )


def _adjustments(values: object) -> tuple[Adjustment, ...]:
    return tuple(
        Adjustment(field=value["field"], from_value=value.get("from"), to_value=value.get("to"), reason="")
        for value in (values if isinstance(values, list) else ())
        if isinstance(value, dict) and isinstance(value.get("field"), str)
    )


def _dict(told: Told, name: str) -> dict[str, Any]:
    value = told.values.get(name)
    return value if isinstance(value, dict) else {}


def _usd(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    return amount if 0 <= amount <= _LARGEST_USD else None


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def _real(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
