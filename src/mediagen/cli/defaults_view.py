"""Shows what a call would send: every value with its origin, the price, the request."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from mediagen.report.job import JobReport
from mediagen.report.text import quote_in_words

HEADING = ("field", "value", "origin")
DERIVED = "derived"
EXPLICIT = "explicit"
# Choices that stand first; the rest follows as the report has it.
FIRST = ("backend", "model", "mode")
VALUE_WIDTH = 60


def defaults_text(report: JobReport) -> str:
    """A dry run as a table of field, value and origin, then the quote and the request."""
    lines = [*_table([HEADING, *_rows(report)]), ""]
    lines += [f"Changed {a.field}: {a.from_!r} -> {a.to!r} ({a.reason})" for a in report.adjustments]
    lines += [f"Warning: {warning}" for warning in report.warnings]
    lines += [f"Price: {quote_in_words(report.quote)}. Nothing was sent."]
    lines += ["Request:", json.dumps(report.request, indent=2, ensure_ascii=False)]
    return "\n".join(lines)


def _rows(report: JobReport) -> Iterator[tuple[str, str, str]]:
    values = {"backend": report.backend, "model": report.model, "mode": report.mode, **report.effective}
    reason = values.pop("why_backend", "")
    names = [*FIRST, *(name for name in values if name not in FIRST)]
    for name in names:
        origin = str(report.origins.get(name, EXPLICIT if name in report.requested else DERIVED))
        if name == "backend" and reason:
            origin += f" ({reason})"
        yield name, _shown(values[name]), origin


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= VALUE_WIDTH else f"{text[: VALUE_WIDTH - 1]}…"


def _table(rows: Iterable[tuple[str, str, str]]) -> list[str]:
    cells = list(rows)
    widths = [max(len(row[column]) for row in cells) for column in range(2)]
    return [f"{name:{widths[0]}}  {value:{widths[1]}}  {origin}" for name, value, origin in cells]
