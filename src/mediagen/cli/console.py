"""What people see: progress bars on a terminal, plain lines otherwise, JSON on request."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import BaseModel
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from mediagen.jobs import Progress as JobProgress
from mediagen.report.harmless import UNSEEN, harmless
from mediagen.runner.runner import OnProgress

PLAIN_SECONDS = 5.0


def print_report(report: BaseModel, text: str, *, as_json: bool) -> None:
    """Print a result on standard output."""
    if as_json:
        written = json.dumps(report.model_dump(mode="json", by_alias=True), indent=2, ensure_ascii=False)
        # JSON escapes the first 32 by itself.
        print(UNSEEN.sub(lambda found: json.dumps(found[0])[1:-1], written))
    else:
        print(harmless(text))


def print_error(text: str) -> None:
    """Print an error on standard error."""
    print(f"mediagen: {harmless(text)}", file=sys.stderr)


@contextmanager
def progress_display() -> Iterator[OnProgress]:
    """Show progress on standard error while a job runs."""
    console = Console(stderr=True)
    if console.is_terminal:
        with _bar(console) as show:
            yield show
    else:
        yield _plain_lines()


@contextmanager
def _bar(console: Console) -> Iterator[OnProgress]:
    columns = (
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, transient=False) as bar:
        task = bar.add_task("starting", total=1.0)

        async def show(progress: JobProgress) -> None:
            bar.update(task, completed=progress.fraction, description=escape(harmless(progress.message)))

        yield show


def _plain_lines() -> OnProgress:
    shown_at, shown = -PLAIN_SECONDS, ""

    async def show(progress: JobProgress) -> None:
        nonlocal shown_at, shown
        line = f"{progress.fraction:4.0%} {harmless(progress.message)}"
        is_due = progress.fraction >= 1.0 or progress.elapsed_seconds - shown_at >= PLAIN_SECONDS
        if is_due and line != shown:
            shown_at, shown = progress.elapsed_seconds, line
            print(line, file=sys.stderr, flush=True)

    return show
