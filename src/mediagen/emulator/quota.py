"""How many paid calls of a model are taken in a minute; the one too many is refused with the time to wait."""

import math
import re
import time
from collections import defaultdict, deque

from mediagen.emulator.faults import Fault

_PAID = re.compile(r"(?P<model>/models/[^/:]+):(?:generateContent|predictLongRunning)$")
_INTERACTIONS = "/interactions"


class Quota:
    """Counts the calls that were taken, in a window that slides.

    Google counts in a way that it does not tell; a window that slides takes no more in any minute than it takes in one.
    """

    def __init__(self, calls: int | None, window_seconds: float) -> None:
        self._calls = calls
        self._window_seconds = window_seconds
        self._taken: defaultdict[str, deque[float]] = defaultdict(deque)

    def take(self, method: str, path: str) -> Fault | None:
        """Count a request; gives the refusal when it is one too many."""
        if self._calls is None or method != "POST" or not (counted := _counted(path)):
            return None
        now, taken = time.monotonic(), self._taken[counted]
        while taken and taken[0] <= now - self._window_seconds:
            taken.popleft()
        if len(taken) < self._calls:
            taken.append(now)
            return None
        seconds = math.ceil(taken[0] + self._window_seconds - now)
        return Fault(kind="status", parameters={"preset": "rate_limit", "seconds": seconds})


def _counted(path: str) -> str | None:
    if found := _PAID.search(path):
        return found["model"]
    return _INTERACTIONS if path.endswith(_INTERACTIONS) else None
