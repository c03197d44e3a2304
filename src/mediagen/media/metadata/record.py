"""A record as text that fits into a file, and back. Pure."""

import json
import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final
from xml.sax.saxutils import escape

from mediagen.errors import InvalidRequestError

MAX_RECORD_BYTES: Final = 32 * 1024
SHORTENED: Final = "… [shortened]"
"""Ends each text of a record that was too long; what a record with it tells is not complete."""

_SHORTEST: Final = 24
# Allowed in JSON as they are, but not in XML, or not in UTF-8.
_ESCAPED: Final = re.compile("[\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def record_text(record: Mapping[str, Any], max_bytes: int = MAX_RECORD_BYTES) -> str | None:
    """Write a record as JSON that XML can hold, with its longest texts shortened until it fits.

    Returns:
        None when it does not fit even so.

    Raises:
        InvalidRequestError: It holds something that JSON cannot say.
    """
    try:
        whole = _json(record)
        if _bytes_in_xml(whole) <= max_bytes:
            return whole
        plain = json.loads(whole)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRequestError("The record of this file is no JSON.", code="invalid_record") from error
    fitting, low, high = None, _SHORTEST, max_bytes
    while low <= high:
        middle = (low + high) // 2
        text = _json(_shortened(plain, middle))
        if _bytes_in_xml(text) <= max_bytes:
            fitting, low = text, middle + 1
        else:
            high = middle - 1
    return fitting


def parse_record(text: str) -> dict[str, Any] | None:
    """Read a record back; None when it is none."""
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def shorten(text: str, max_characters: int) -> str:
    """Cut a text that is too long and mark where."""
    if len(text) <= max_characters:
        return text
    return text[: max(0, max_characters - len(SHORTENED))].rstrip() + SHORTENED


def _json(record: Any) -> str:
    text = json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain)
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _plain(value: object) -> Any:
    match value:
        case Mapping():
            return dict(value)
        case date():
            return value.isoformat()
        case Decimal():
            return str(value)
    raise TypeError


def _shortened(value: Any, max_characters: int) -> Any:
    match value:
        case str():
            return shorten(value, max_characters)
        case dict():
            return {key: _shortened(inner, max_characters) for key, inner in value.items()}
        case list():
            return [_shortened(inner, max_characters) for inner in value]
    return value


def _bytes_in_xml(text: str) -> int:
    return len(escape(text).encode())
