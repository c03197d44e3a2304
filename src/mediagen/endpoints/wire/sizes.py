"""How much a body holds. Pure."""

from collections.abc import Mapping
from typing import Any

SMALL_CHARACTERS = 64_000


def is_small(value: Any) -> bool:
    """Whether a JSON value is written, or digested, sooner than a thread for that is begun: it holds no pictures."""
    return _left_by(value, SMALL_CHARACTERS) >= 0


def _left_by(value: Any, left: int) -> int:
    """What is left of a number of characters, of which each value takes at least one; negative when it holds more."""
    left -= len(value) + 1 if isinstance(value, str) else 1
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list | tuple) else ()
    for name, item in items:
        if left < 0:
            break
        left = _left_by(item, left - len(str(name)))
    return left
