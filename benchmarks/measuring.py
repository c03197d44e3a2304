"""How things are measured: interleaved with their floor, so that a machine that slows down slows down both."""

import math
import resource
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

KIBIBYTE = 1024

Bar = Literal["ratio", "difference", "value"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One row of the table.

    Attributes:
        name: What was measured.
        unit: Of `value` and `floor`.
        value: Ours.
        floor: The same of the floor, in the same run; None where there is none.
        bar: What must not be exceeded.
        kind: What the bar is held against: the ratio, the difference or the value itself.
        samples: How many were taken.
    """

    name: str
    unit: str
    value: float
    bar: float
    kind: Bar
    floor: float | None = None
    samples: int = 1

    @property
    def measured(self) -> float:
        """What the bar is held against."""
        if self.kind == "value":
            return self.value
        assert self.floor is not None
        return self.value / self.floor if self.kind == "ratio" else self.value - self.floor

    @property
    def holds(self) -> bool:
        """Whether the bar is kept."""
        return self.measured <= self.bar


@dataclass(kw_only=True, slots=True)
class Curve:
    """How a cost grows with the work."""

    name: str
    x_label: str
    y_label: str
    points: list[tuple[float, float]] = field(default_factory=list)


def interleaved(*measures: Callable[[], float], rounds: int) -> list[list[float]]:
    """Take samples of each in turns, beginning each round with the next one."""
    found: list[list[float]] = [[] for _ in measures]
    for number in range(rounds):
        for offset in range(len(measures)):
            which = (number + offset) % len(measures)
            found[which].append(measures[which]())
    return found


def median(samples: Sequence[float]) -> float:
    """The one in the middle."""
    return statistics.median(samples)


def percentile(samples: Sequence[float], share: float) -> float:
    """The smallest sample that so large a share does not exceed."""
    return sorted(samples)[max(0, math.ceil(share * len(samples)) - 1)]


def resident_bytes(pid: int) -> int:
    """Memory of a process that no other process shares, and its part of what is shared (PSS)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * KIBIBYTE
    raise LookupError(pid)


def peak_bytes() -> int:
    """Most memory that this process has held so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * KIBIBYTE
