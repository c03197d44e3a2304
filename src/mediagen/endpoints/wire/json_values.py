"""Tolerant access to JSON that others wrote: wrong types count as absent."""

import base64
import binascii
import json
from typing import Any

Json = dict[str, Any]

# Larger ones are no counts of tokens, files or errors, and neither the ledger nor a text could hold them.
LARGEST_COUNT = 10**9


def parse_object(body: bytes) -> Json | None:
    """Parse a JSON object, or the first one of a top-level array; None for anything else."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, list) and value:
        value = value[0]
    return value if isinstance(value, dict) else None


def child(value: Any, name: str) -> Json:
    """Object of that name, or an empty one."""
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def children(value: Any, name: str) -> list[Json]:
    """Objects in the list of that name."""
    found = value.get(name) if isinstance(value, dict) else None
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def word(value: Any, name: str) -> str:
    """Text of that name, or the empty string."""
    found = value.get(name) if isinstance(value, dict) else None
    return writable(found) if isinstance(found, str) else ""


def writable(text: str) -> str:
    """The text with half characters replaced: JSON can name them, but neither a file nor the ledger can hold them."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def count(value: Any, name: str) -> int:
    """Non-negative whole number of that name, or 0; Google writes some as text."""
    found = value.get(name) if isinstance(value, dict) else None
    if isinstance(found, str) and found.isascii() and found.isdigit() and len(found) < 20:
        found = int(found)
    if not isinstance(found, int) or isinstance(found, bool):
        return 0
    return found if 0 <= found <= LARGEST_COUNT else 0


def bytes_from_base64(text: Any) -> bytes | None:
    """Decode base64 in either alphabet, padded or not; None when it is neither or empty."""
    if not isinstance(text, str) or not text:
        return None
    try:
        padded = text.translate(_STANDARD_ALPHABET) + "=" * (-len(text) % 4)
        return base64.b64decode(padded, validate=True) or None
    except (binascii.Error, ValueError):
        return None


_STANDARD_ALPHABET = str.maketrans("-_", "+/")
