"""Says in words which argument is wrong and what is allowed. Pure."""

import difflib
from typing import Any

from pydantic import BaseModel, ValidationError

MOST_TOLD = 10
_LONGEST_NAME = 60


def explain_invalid(error: ValidationError, request_type: type[BaseModel]) -> str:
    """Refuse a call: which argument is wrong and what is allowed, without the values of free text."""
    return f"[invalid_arguments] {problems_of(error, request_type)} This call cost nothing."


def problems_of(error: ValidationError, request_type: type[BaseModel]) -> str:
    """Say which argument is wrong and what is allowed, without the values of free text."""
    known = list(request_type.model_fields)
    items = [dict(item) for item in error.errors(include_url=False, include_input=True)]
    lines = [_explain_one(item, known) for item in items[:MOST_TOLD]]
    if len(items) > MOST_TOLD:
        lines.append(f"{len(items) - MOST_TOLD} more like these.")
    if any(item["type"] == "extra_forbidden" for item in items):
        lines.append(f"Accepted: {', '.join(known)}.")
    return " ".join(lines)


_WORDS = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "decimal_parsing": "must be a number",
    "decimal_type": "must be a number",
    "string_type": "must be text",
    "list_type": 'must be a list, for example ["a.png", "b.png"]',
    "missing": "is needed",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "too_short": "must have at least {min_length} entries",
    "too_long": "may have at most {max_length} entries",
    "string_too_long": "may have at most {max_length} characters",
    "string_too_short": "must not be empty",
    "controls": "must be one line without control characters",
    "zero": "must not hold the character 0",
    "string_unicode": "must be whole text: it has half a character in it",
    "model": "must be the id of a model: letters, digits, '-', '_' and '.'",
    "literal_error": "must be one of: {expected}",
}


def _explain_one(item: dict[str, Any], known: list[str]) -> str:
    name = _readable(".".join(str(part) for part in item["loc"]) or "arguments")
    if item["type"] == "extra_forbidden":
        close = difflib.get_close_matches(name, known, n=1)
        meant = f" Did you mean {close[0]!r}?" if close else ""
        return f"{name}: unknown argument.{meant}"
    words = _WORDS.get(item["type"])
    said = words.format(**item.get("ctx", {})) if words else f"cannot be used ({item['msg']})"
    value = item.get("input")
    shown = f" (got {value!r})" if _is_number(value) or _is_word(value) else ""
    return f"{name} {said}{shown}."


def _readable(name: str) -> str:
    """Names of unknown arguments are the caller's words, and may be anything."""
    short = name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"
    return short if short.isprintable() else repr(short)


def _is_number(value: object) -> bool:
    # Python writes no number of more than 4300 digits.
    return isinstance(value, float) or (isinstance(value, int) and abs(value) < 10**40)


def _is_word(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 40 and " " not in value
