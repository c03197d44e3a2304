"""Records that came with a file: read with care, for anybody may have written them. Blocking."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from mediagen.errors import InvalidRequestError, MediaError
from mediagen.generator.beside import OWN_RECORD, paths_beside, read_beside
from mediagen.generator.inheritance import INHERITED
from mediagen.jobs import Kind
from mediagen.ledger.ids import JOB_ID
from mediagen.media.metadata import read_record
from mediagen.report.record import Place

MAX_DEPTH: Final = 8
MAX_ENTRIES: Final = 500
MAX_CHARACTERS: Final = 100_000
LARGEST_WHOLE_NUMBER: Final = 2**63
KINDS: Final[tuple[Kind, ...]] = ("image", "video")
# Sent values stand among the arguments of our sidecars; those that nobody asked for are told by their origin.
SENT: Final = frozenset(
    {"model", "mode", "duration_seconds", "aspect_ratio", "resolution", "image_size", "backend", "storage_uri"}
    | {"location", "project_id"}
)
# Arguments of earlier tools under their names of today.
OLDER_NAMES: Final = {"duration": "duration_seconds"}
OLDER_INPUTS: Final = {
    "image": "image",
    "last_frame": "last_frame",
    "reference_assets": "reference_images",
    "reference_style": "reference_images",
    "video": "video",
    "extend_video": "source",
    "mask": "mask",
}
_WORD = re.compile(r"[\w./@-]{1,200}", re.ASCII)
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What a record outside of the ledger says.

    Attributes:
        record_path: Where it was read.
        values: All of it, of plain types and bounded sizes.
        sha256: Digest of the file that it speaks of, if it says one.
        is_exact: Whether it surely is of this file as it is now.
        is_named: Whether it names this file, though the content is another.
    """

    found_in: Place
    record_path: Path
    values: Mapping[str, Any]
    sha256: str | None = None
    is_exact: bool = False
    is_named: bool = False

    @property
    def job_id(self) -> str | None:
        """The job that it names."""
        job_id = self.values.get("job_id")
        return job_id if isinstance(job_id, str) and JOB_ID.fullmatch(job_id) else None

    @property
    def kind(self) -> Kind | None:
        """Picture or video, as it says."""
        return next((kind for kind in KINDS if self.values.get("type") == kind), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Beside:
    """The records beside a file, and what was wrong with others."""

    told: tuple[Told, ...] = ()
    warnings: tuple[str, ...] = field(default=())


def records_beside(path: Path, *, sha256: str, size_bytes: int, kind: Kind | None) -> Beside:
    """Read the records beside a file; one that is plainly of another file is left out.

    Args:
        path: The real file.
        sha256: Of its content.
        size_bytes: Of its content.
        kind: Picture or video, from its content.
    """
    told: list[Told] = []
    warnings: list[str] = []
    for name in paths_beside(path):
        values = _read(name)
        if isinstance(values, str):
            warnings += [f"{name.name} beside the file was not used: {values}."] if values else []
            continue
        found = _judged(name, values, path=path, facts=(sha256, size_bytes))
        if found.kind not in {None, kind} or not (found.is_exact or found.is_named):
            warnings.append(f"{name.name} beside the file is the record of another file; it was left out.")
        else:
            told.append(found)
    return Beside(told=tuple(told), warnings=tuple(warnings))


def record_inside(path: Path) -> Told | None:
    """Read the record in a file.

    Raises:
        InvalidRequestError: The file cannot be read.
    """
    try:
        values = read_record(path)
    except MediaError as error:
        raise InvalidRequestError(error.message, field="file", hint=error.hint, code=error.code) from error
    if values is None:
        return None
    return Told(found_in="embedded", record_path=path, values=plain(values))


def _read(record: Path) -> dict[str, Any] | str:
    """A record, or why there is none; empty when there is no such file."""
    values = read_beside(record)
    if isinstance(values, str):
        return values
    if not any(isinstance(values.get(name), dict) for name in ("generation", "command_args")):
        return "it is no record of a generation"
    bounded: dict[str, Any] = plain(values)
    return bounded


def _judged(record: Path, values: Mapping[str, Any], *, path: Path, facts: tuple[str, int]) -> Told:
    """Whose record it is: by the digest; records of earlier tools, which have none, by name and size."""
    output = _dict(values, "output")
    said, size, name = output.get("sha256"), output.get("file_size_bytes"), output.get("filename")
    names_file = name == path.name
    is_exact = said == facts[0] if isinstance(said, str) else names_file and size == facts[1]
    return Told(
        found_in="sidecar",
        record_path=record,
        values=values,
        sha256=said if isinstance(said, str) else None,
        is_exact=is_exact,
        is_named=names_file,
    )


def described(told: Told, kind: Kind) -> dict[str, Any]:
    """What a record says, as fields of a found record; values of wrong types are left out."""
    values = told.values
    is_own = _text(values, "version", re.compile(re.escape(OWN_RECORD) + r".{1,20}")) is not None
    generation = _dict(values, "generation")
    arguments = _dict(values, "command_args")
    requested = _own_arguments(values, arguments) if is_own else _older_arguments(values, arguments)
    prompt = values.get("prompt", arguments.get("prompt"))
    return {
        "job_id": told.job_id,
        "kind": told.kind or kind,
        "mode": _text(generation, "mode", _WORD) or _text(arguments, "mode", _WORD),
        "status": _text(values, "state", _WORD),
        "model": _safe(generation).get("model") or _safe(arguments).get("model"),
        "backend": _text(values, "backend", _WORD),
        "created_at": _moment(values.get("timestamp")),
        "prompt": prompt if isinstance(prompt, str) else None,
        "requested": requested,
        "effective": generation,
        "origins": _dict(values, "origins"),
        "input_files": _dict(values, "input_files"),
        "charged": _charged(values),
        "parent_job_id": _text(values, "parent_job_id", JOB_ID),
        "lineage": values.get("lineage"),
    }


def _own_arguments(values: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    asked = {name for name, origin in _dict(values, "origins").items() if origin in ("explicit", "source")}
    return _safe({name: value for name, value in arguments.items() if name not in SENT or name in asked})


def _older_arguments(values: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    given = {OLDER_NAMES.get(name, name): value for name, value in arguments.items() if value is not None}
    for name, path in _dict(values, "input_files").items():
        if path and name in OLDER_INPUTS:
            given[OLDER_INPUTS[name]] = path
    # Its mode follows from its inputs, and its words for it are not all ours.
    return _safe({name: value for name, value in given.items() if name != "mode"})


def _safe(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Without what could not be part of an address or a request."""
    return {
        name: value
        for name, value in arguments.items()
        if name not in INHERITED or (isinstance(value, str) and INHERITED[name](value))
    }


def _charged(values: Mapping[str, Any]) -> str | None:
    charge, quote = _dict(values, "charge"), _dict(values, "cost_estimate")
    for amount, words in ((charge.get("usd"), "charged"), (quote.get("estimated_cost_usd"), "estimated")):
        if isinstance(amount, int | float) and not isinstance(amount, bool) and 0 <= amount <= LARGEST_WHOLE_NUMBER:
            return f"${amount:.4g} {words}, as the record says"
    return None


def _moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        return moment and (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _dict(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = values.get(name)
    return value if isinstance(value, dict) else {}


def _text(values: Mapping[str, Any], name: str, pattern: re.Pattern[str]) -> str | None:
    value = values.get(name)
    return value if isinstance(value, str) and pattern.fullmatch(value) else None


def plain(value: Any, depth: int = 0) -> Any:
    """The same of bounded depth and size, with text that can be printed and written."""
    match value:
        case dict() if depth < MAX_DEPTH:
            return {plain(name): plain(item, depth + 1) for name, item in list(value.items())[:MAX_ENTRIES]}
        case list() if depth < MAX_DEPTH:
            return [plain(item, depth + 1) for item in value[:MAX_ENTRIES]]
        case str():
            text = value[:MAX_CHARACTERS].encode("utf-8", "replace").decode("utf-8")
            return _CONTROLS.sub("�", text)
        case bool():
            return value
        case int():
            return value if abs(value) < LARGEST_WHOLE_NUMBER else None
        case float():
            return value if math.isfinite(value) else None
    return None
