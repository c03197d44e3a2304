"""Measures, prints a table and writes the results: ``python -m benchmarks [--only WORDS] [--page]``; see --help."""

import argparse
import json
import os
import platform
import sqlite3
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import calling, ledger, many, memory, polling, quota, starting
from benchmarks.measuring import Curve, Figure
from benchmarks.page import write_page
from mediagen.ledger.engines.sqlite import journal_mode

DOCS = Path(__file__).resolve().parents[1] / "docs"


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """What is measured together.

    Attributes:
        short: Arguments with which it takes a few seconds.
        curves: How costs grow with the work.
        short_curves: The same as `short` for it.
    """

    measure: Callable[..., list[Figure]]
    short: Mapping[str, Any]
    curves: Callable[..., list[Curve]] | None = None
    short_curves: Mapping[str, Any] = field(default_factory=dict)


GROUPS = {
    "start": Group(measure=starting.measure, short={"rounds": 1, "idle_seconds": 0.1, "warm_up": 1}),
    "calls": Group(measure=calling.measure, short={"estimates": 10, "pictures": 5}),
    "memory": Group(
        measure=memory.measure,
        short={"rounds": 1, "decoding_rounds": 1},
        curves=memory.curves,
        short_curves={"sizes": (1,), "picture_sizes": (1,)},
    ),
    "polls": Group(measure=polling.measure, short={"clips": 50}),
    "many": Group(
        measure=many.measure,
        short={"jobs": 5, "clip_seconds": 1.0, "poll_seconds": 1.0},
        curves=many.curves,
        short_curves={"sizes": (1, 5), "clip_seconds": 1.0, "poll_seconds": 1.0},
    ),
    "ledger": Group(
        measure=ledger.measure,
        short={"jobs": 200, "pages": 5, "starts": 1},
        curves=ledger.curves,
        short_curves={"sizes": (200,), "pages": 3, "starts": 1},
    ),
    "quota": Group(measure=quota.measure, short={"prompts": 8, "calls": 5, "window_seconds": 1.0}),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what was asked for; 1 when a bar is not kept."""
    arguments = _parser().parse_args(argv)
    results = (
        json.loads(arguments.earlier.read_text(encoding="utf-8"))
        if arguments.earlier
        else measured(arguments.only, short=arguments.short, with_curves=arguments.page is not None)
    )
    if arguments.json:
        arguments.json.write_text(f"{json.dumps(results, indent=2)}\n", encoding="utf-8")
    if arguments.page:
        print(write_page(results, arguments.page))
    # A short run shows that everything works, and nothing else.
    return 0 if results.get("short") or all(figure["holds"] for figure in results["figures"]) else 1


def measured(only: str = "", *, short: bool = False, with_curves: bool = False) -> dict[str, Any]:
    """Measure groups, and print each figure as it is found."""
    figures: list[Figure] = []
    curves: list[Curve] = []
    for name, group in GROUPS.items():
        if only not in name:
            continue
        for figure in group.measure(**(group.short if short else {})):
            figures.append(figure)
            print(in_words(figure), flush=True)
        if with_curves and group.curves:
            curves += group.curves(**(group.short_curves if short else {}))
    return as_json(figures, curves, short=short)


def in_words(figure: Figure) -> str:
    """One row of the table."""
    floor = "" if figure.floor is None else f" (floor {figure.floor:.3g})"
    held = f"{figure.value:.3g} {figure.unit}"
    if figure.kind != "value":
        held = f"{figure.measured:.2f} x" if figure.kind == "ratio" else f"{figure.measured:+.3g} {figure.unit}"
    word = "ok  " if figure.holds else "OVER"
    return f"{word} {figure.name}: {figure.value:.3g} {figure.unit}{floor}: {held}, bar {figure.bar:g}"


def as_json(figures: Sequence[Figure], curves: Sequence[Curve], *, short: bool) -> dict[str, Any]:
    """The results with what they were taken on."""
    return {
        "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "sqlite": f"{sqlite3.sqlite_version} (journal mode {journal_mode(sqlite3.sqlite_version_info)})",
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "short": short,
        "figures": [{**asdict(figure), "measured": figure.measured, "holds": figure.holds} for figure in figures],
        "curves": [asdict(curve) for curve in curves],
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--only", default="", metavar="WORDS", help=f"groups with these words: {', '.join(GROUPS)}")
    parser.add_argument("--short", action="store_true", help="little work: shows that everything runs, not how fast")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results there")
    parser.add_argument(
        "--page",
        type=Path,
        nargs="?",
        const=DOCS,
        metavar="FOLDER",
        help="measure the curves, too, and write page and plots (default: docs/)",
    )
    parser.add_argument(
        "--from", dest="earlier", type=Path, metavar="FILE", help="measure nothing: take what --json wrote"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
