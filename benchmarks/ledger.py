"""What a ledger with a long past costs: a page of its jobs, and the start of a server."""

import tempfile
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from benchmarks.measuring import Curve, Figure, interleaved, median
from benchmarks.past import write_past
from benchmarks.starting import HELLO, OURS, environment, server

JOBS = 100_000
SIZES = (1_000, 10_000, JOBS)
PAGES = 60
STARTS = 15
WARM_UP = 3
PAGE = 20


def measure(jobs: int = JOBS, *, pages: int = PAGES, starts: int = STARTS) -> list[Figure]:
    """Compare a ledger of so many jobs with an empty one."""
    with tempfile.TemporaryDirectory() as folder:
        full, empty = _folders(Path(folder), jobs)
        listed = _pages(full, jobs, pages)
        mine, least = _starts(full, empty, starts)
        # The page itself is the same: what is left is what a long past costs.
        short = _folder(Path(folder) / "short", PAGE)
        first, first_short = interleaved(
            partial(_to_first_page, full), partial(_to_first_page, short), rounds=max(3, starts // 3)
        )
    words = f"{jobs:,} jobs in the ledger"
    return [
        Figure(name=f"list_jobs, {words}, p50", unit="ms", value=1000 * listed, bar=20.0, kind="value", samples=pages),
        Figure(
            name=f"start to first tools/list, {words}",
            unit="s",
            value=mine,
            floor=least,
            bar=1.05,
            kind="ratio",
            samples=starts,
        ),
        Figure(
            name=f"start to first page of list_jobs, {words}",
            unit="s",
            value=median(first),
            floor=median(first_short),
            bar=1.05,
            kind="ratio",
            samples=len(first),
        ),
    ]


def curves(sizes: tuple[int, ...] = SIZES, *, pages: int = PAGES, starts: int = STARTS) -> list[Curve]:
    """How a page and the start grow with the ledger."""
    listing = Curve(name="A page of list_jobs", x_label="jobs in the ledger", y_label="ms, p50")
    starting = Curve(name="Start of the server", x_label="jobs in the ledger", y_label="× an empty ledger")
    for size in (0, *sizes):
        with tempfile.TemporaryDirectory() as folder:
            full, empty = _folders(Path(folder), size)
            listing.points.append((size, 1000 * _pages(full, size, pages)))
            mine, least = _starts(full, empty, starts)
            starting.points.append((size, mine / least))
    return [listing, starting]


def _folders(root: Path, jobs: int) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Variables of a server with a past and of one without."""
    return _folder(root / "full", jobs), _folder(root / "empty", 0)


def _folder(folder: Path, jobs: int) -> Mapping[str, str]:
    folder.mkdir()
    write_past(folder, jobs)
    return environment(folder)


def _pages(variables: Mapping[str, str], jobs: int, rounds: int) -> float:
    with server(OURS, variables) as client:
        client.hello()
        taken = []
        for number in range(rounds + WARM_UP):
            began = time.perf_counter()
            page = client.call("list_jobs", {})
            assert len(page["structuredContent"]["jobs"]) == min(PAGE, jobs), page
            if number >= WARM_UP:
                taken.append(time.perf_counter() - began)
    return median(taken)


def _starts(full: Mapping[str, str], empty: Mapping[str, str], rounds: int) -> tuple[float, float]:
    ours, floor = partial(_to_tools, full), partial(_to_tools, empty)
    interleaved(ours, floor, rounds=1)
    mine, least = interleaved(ours, floor, rounds=rounds)
    return median(mine), median(least)


def _to_tools(variables: Mapping[str, str]) -> float:
    with server(OURS, variables) as client:
        client.ask("initialize", HELLO)
        client.tell("notifications/initialized")
        client.ask("tools/list", {})
        return time.perf_counter() - client.began


def _to_first_page(variables: Mapping[str, str]) -> float:
    with server(OURS, variables) as client:
        client.hello()
        client.call("list_jobs", {})
        return time.perf_counter() - client.began
