"""How refusals are worded: the value, what is allowed, and the nearest allowed value."""

import difflib
import math
import re
from collections.abc import Sequence

from mediagen.errors import InvalidRequestError

_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def refuse(
    field: str, value: object, *, allowed: Sequence[str | int] | str, where: str, hint: str | None = None
) -> InvalidRequestError:
    """Make the error for a value that cannot work.

    Args:
        field: Name of the argument as the caller knows it.
        value: What was given.
        allowed: Allowed values, or what is allowed in words.
        where: Model, and mode where it matters.
        hint: What to do; by default the nearest allowed value.
    """
    if hint is None:
        hint = _nearest_hint(field, value, () if isinstance(allowed, str) else allowed)
    return InvalidRequestError(
        f"{field}={value!r} is not allowed for {where}; allowed: {in_words(allowed)}.", field=field, hint=hint
    )


def in_words(allowed: Sequence[str | int] | str) -> str:
    """Write a list of allowed values; whole seconds without a gap as a range."""
    if isinstance(allowed, str):
        return allowed
    numbers = [value for value in allowed if isinstance(value, int)]
    if len(numbers) > 2 and numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]} to {numbers[-1]}"
    return ", ".join(str(value) for value in allowed) or "none (leave it out)"


def nearest(value: object, allowed: Sequence[str | int]) -> str | int | None:
    """The allowed value that is most like the one given; of two equally near numbers the larger."""
    if not allowed:
        return None
    text = re.sub(r"(?<=\d)\s*[x×/]\s*(?=\d)", ":", str(value).strip().casefold())
    for candidate in allowed:
        if str(candidate).casefold() == text:
            return candidate
    wanted = _magnitude(text)
    if wanted is not None:
        return min(allowed, key=lambda candidate: _distance(wanted, candidate))
    close = difflib.get_close_matches(text, [str(candidate) for candidate in allowed], n=1, cutoff=0.0)
    return close[0] if close else allowed[0]


def _nearest_hint(field: str, value: object, allowed: Sequence[str | int]) -> str:
    suggestion = nearest(value, allowed)
    return f"Leave {field} out." if suggestion is None else f"Use {field}={suggestion!r}."


def _distance(wanted: float, candidate: str | int) -> tuple[float, float]:
    found = _magnitude(str(candidate).casefold())
    if found is None:
        return math.inf, 0.0
    return round(abs(math.log(wanted / found)), 9), -found


def _magnitude(text: str) -> float | None:
    """A ratio "16:9" as its quotient, a size "2K" or "1080p" as its pixels, a number as itself."""
    numbers = [float(number) for number in _NUMBER.findall(text)]
    if not numbers or not all(numbers):
        return None
    if ":" in text and len(numbers) == 2:
        return numbers[0] / numbers[1]
    return numbers[0] * (1024 if text.endswith("k") else 1)
