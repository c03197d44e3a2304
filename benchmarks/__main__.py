"""Measures, prints a table and writes the results as JSON: ``python -m benchmarks [--only WORDS] [--json FILE]``."""

import argparse
import json
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import calling, memory, starting
from benchmarks.measuring import Figure

GROUPS: dict[str, Callable[[], list[Figure]]] = {
    "start": starting.measure,
    "calls": calling.measure,
    "memory": memory.measure,
}


def main() -> int:
    """Measure what was asked for; 1 when a bar is not kept."""
    arguments = _parser().parse_args()
    figures: list[Figure] = []
    for name, measure in GROUPS.items():
        if arguments.only in name:
            for figure in measure():
                figures.append(figure)
                print(in_words(figure), flush=True)
    if arguments.json:
        arguments.json.write_text(f"{json.dumps(as_json(figures), indent=2)}\n", encoding="utf-8")
    return 0 if all(figure.holds for figure in figures) else 1


def in_words(figure: Figure) -> str:
    """One row of the table."""
    floor = "" if figure.floor is None else f" (floor {figure.floor:.3g})"
    against = {"ratio": f"{figure.measured:.2f} x", "difference": f"{figure.measured:+.3g} {figure.unit}"}
    held = against.get(figure.kind, f"{figure.value:.3g} {figure.unit}")
    word = "ok  " if figure.holds else "OVER"
    return f"{word} {figure.name}: {figure.value:.3g} {figure.unit}{floor}: {held}, bar {figure.bar:g}"


def as_json(figures: list[Figure]) -> dict[str, object]:
    """The results with what they were taken on."""
    return {
        "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "figures": [{**asdict(figure), "measured": figure.measured, "holds": figure.holds} for figure in figures],
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--only", default="", metavar="WORDS", help=f"groups with these words: {', '.join(GROUPS)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results there")
    return parser


if __name__ == "__main__":
    sys.exit(main())
