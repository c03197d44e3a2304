"""Reads what a batch file asks for. Every row is checked before anything is made."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from mediagen.errors import InvalidRequestError
from mediagen.jobs import Kind
from mediagen.requests import GenerateImageRequest, GenerateVideoRequest, problems_of

BatchRequest = GenerateImageRequest | GenerateVideoRequest
KINDS: Mapping[Kind, type[BatchRequest]] = {"image": GenerateImageRequest, "video": GenerateVideoRequest}
KIND = "type"  # what a row calls it
SHORT = {"duration": "duration_seconds"}  # also understood
# These belong to the batch as a whole.
NOT_OF_A_ROW = frozenset({"dry_run", "force_new", "max_usd", "output_dir", "preview", "request_id", "wait_seconds"})
MOST_ROWS = 10_000
MOST_BYTES = 50_000_000
MOST_PROBLEMS = 20

Values = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One wish.

    Attributes:
        number: From 1 on, as the files are numbered.
        line: Where it stands in the file, from 1 on.
    """

    number: int
    line: int
    kind: Kind
    request: BatchRequest


def read_rows(path: Path, *, kind: Kind = "image", common: Mapping[str, str] | None = None) -> list[Row]:
    """Read a batch file.

    Args:
        path: ``.txt`` (a prompt on each line), ``.csv`` (a column for each argument), ``.jsonl`` (an object on each
            line) or ``.json`` (``{"defaults": {…}, "prompts": […]}``).
        kind: What the rows make that do not say so in ``type``.
        common: Arguments of all rows; what a row says itself wins.

    Raises:
        InvalidRequestError: The file cannot be read, or one of its rows asks for something that does not exist; names
            the lines.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise InvalidRequestError(
            f"{path} is of a kind that cannot be read; allowed: {', '.join(_READERS)}.", field="file"
        )
    found = [(line, values) for line, values in reader(_text(path), path.name) if values]
    if not found:
        raise InvalidRequestError(f"{path} asks for nothing: no row has a prompt.", field="file")
    if len(found) > MOST_ROWS:
        raise InvalidRequestError(
            f"{path} has {len(found)} rows; at most {MOST_ROWS} are made at once.", field="file", hint="Split it."
        )
    return _checked(found, path.name, kind, common or {})


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or "it is no usable path"
        raise InvalidRequestError(f"{path} cannot be read: {reason}.", field="file") from error
    if len(raw) > MOST_BYTES:
        raise InvalidRequestError(f"{path} has more than {MOST_BYTES // 10**6} MB.", field="file", hint="Split it.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidRequestError(
            f"{path} is not written in UTF-8: byte {error.start} cannot be read.",
            field="file",
            hint="Save it as UTF-8.",
        ) from None


def _prompts(text: str, _name: str) -> Iterator[tuple[int, Values]]:
    for line, words in enumerate(text.split("\n"), start=1):
        prompt = words.strip()
        if prompt and not prompt.startswith("#"):
            yield line, {"prompt": prompt}


def _table(text: str, name: str) -> Iterator[tuple[int, Values]]:
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    try:
        for row in rows:
            if None in row or None in row.values():
                raise _unreadable(name, rows.line_num, f"it has not {len(rows.fieldnames or ())} columns")
            yield rows.line_num, {column.strip(): cell.strip() for column, cell in row.items() if cell.strip()}
    except csv.Error as error:
        raise _unreadable(name, rows.line_num, str(error)) from None


def _objects(text: str, name: str) -> Iterator[tuple[int, Values]]:
    for line, words in enumerate(text.split("\n"), start=1):
        if words.strip():
            yield line, _values(_parsed(words, name, line), name, line)


def _document(text: str, name: str) -> Iterator[tuple[int, Values]]:
    document = _parsed(text, name, 1)
    unknown = sorted(set(document) - {"defaults", "prompts"}) if isinstance(document, dict) else []
    if not isinstance(document, dict) or unknown or not isinstance(document.get("prompts"), list):
        raise _unreadable(name, 1, 'it is not {"defaults": {…}, "prompts": […]}')
    defaults = document.get("defaults") or {}
    if not isinstance(defaults, dict):
        raise _unreadable(name, 1, "defaults is no object")
    for number, item in enumerate(document["prompts"], start=1):
        yield number, {**defaults, **_values(item, name, number)}


_READERS: dict[str, Callable[[str, str], Iterator[tuple[int, Values]]]] = {
    ".txt": _prompts,
    ".csv": _table,
    ".jsonl": _objects,
    ".json": _document,
}


def _parsed(text: str, name: str, line: int) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise _unreadable(name, line + error.lineno - 1, f"{error.msg} at column {error.colno}") from None
    except (ValueError, RecursionError):
        raise _unreadable(name, line, "it is no usable JSON") from None


def _values(item: Any, name: str, line: int) -> Values:
    if isinstance(item, str):
        return {"prompt": item}
    if not isinstance(item, dict):
        raise _unreadable(name, line, "it is neither a prompt nor an object")
    return item


def _unreadable(name: str, line: int, why: str) -> InvalidRequestError:
    return InvalidRequestError(f"{name}, row {line}, cannot be read: {why}. Nothing was sent.", field="file")


def _checked(found: Sequence[tuple[int, Values]], name: str, kind: Kind, common: Mapping[str, str]) -> list[Row]:
    rows: list[Row] = []
    problems: list[str] = []
    for number, (line, values) in enumerate(found, start=1):
        try:
            said = {SHORT.get(column, column): value for column, value in values.items()}
            rows.append(_row(number, line, {KIND: kind, **common, **said}))
        except InvalidRequestError as error:
            problems.append(f"row {line}: {error.message}")
    if problems:
        more = len(problems) - MOST_PROBLEMS
        told = [*problems[:MOST_PROBLEMS], *([f"… and {more} more."] if more > 0 else [])]
        raise InvalidRequestError(
            f"{len(problems)} of the {len(found)} rows of {name} cannot be made:\n" + "\n".join(told),
            field="file",
            hint="Nothing was sent. Correct them and call again.",
        )
    return rows


def _row(number: int, line: int, values: Values) -> Row:
    kind = values.pop(KIND)
    if kind not in KINDS:
        raise InvalidRequestError(f"{KIND} is {kind!r}; allowed: {', '.join(get_args(Kind))}.", field=KIND)
    if other := sorted(NOT_OF_A_ROW & values.keys()):
        raise InvalidRequestError(f"{other[0]} cannot be said for one row; the command has it for all.", field=other[0])
    request_type = KINDS[kind]
    try:
        request = request_type.model_validate(values)
    except ValidationError as error:
        raise InvalidRequestError(problems_of(error, request_type), field="file") from None
    return Row(number=number, line=line, kind=kind, request=request)
