"""Points in time as people write them. Pure."""

import math
import re

from mediagen.errors import InvalidRequestError

_CLOCK = re.compile(r"(?:(\d{1,2}):)?(\d{1,3}):([0-5]?\d(?:\.\d{1,6})?)", re.ASCII)
_SECONDS = re.compile(r"\d{1,7}(?:\.\d{0,9})?|\.\d{1,9}", re.ASCII)


def parse_time(text: str | float, field: str) -> float:
    """Read seconds (``12``, ``1.5``) or a clock time (``M:SS``, ``M:SS.mmm``, ``H:MM:SS``) as seconds.

    Args:
        text: As the caller wrote it.
        field: Argument it was given for; named in errors.

    Raises:
        InvalidRequestError: It is neither, negative or not finite.
    """
    if isinstance(text, bool):
        raise _unreadable(text, field)
    if isinstance(text, int | float):
        try:
            seconds = float(text)
        except OverflowError as error:
            raise _unreadable("a huge number", field) from error
        if not math.isfinite(seconds) or seconds < 0:
            raise _unreadable(text, field)
        return seconds
    written = text.strip()
    if _SECONDS.fullmatch(written):
        return float(written)
    clock = _CLOCK.fullmatch(written)
    if not clock or (clock[1] and int(clock[2]) > 59):
        raise _unreadable(text[:40], field)
    return int(clock[1] or 0) * 3600 + int(clock[2]) * 60 + float(clock[3])


def _unreadable(value: object, field: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"{field}={value!r} is no time.",
        field=field,
        hint="Give seconds (12.5) or minutes and seconds (1:05 or 1:05.250).",
    )
