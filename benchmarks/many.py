"""Many clips at once in one server process, and what each of them costs."""

import sqlite3
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.measuring import Curve, Figure, median
from benchmarks.past import write_past
from benchmarks.processes import cpu_seconds, emulator, peak_bytes_of, ready_films
from benchmarks.starting import OURS, environment, server
from mediagen.ledger.glance import LEDGER_FILE

JOBS = 1_000
SIZES = (1, 10, 100)
CLIP_SECONDS = 60.0
POLL_SECONDS = 10.0
# So much of an interval passes until a clip that is done is noticed, and in its place.
LEARNED_LATE = 0.4
LOOK_SECONDS = 2.0
SETTLED_SECONDS = 2.0
# A machine that is busy with other things may take this much longer.
PATIENCE_SECONDS = 600.0
ASKED: dict[str, Any] = {"kind": "video", "duration_seconds": 3, "resolution": "360p"}
MADE = "SELECT operation, jobs.status, updated_at FROM jobs JOIN calls USING (job_id) WHERE request_id IS NOT NULL"
OPEN = frozenset({"submitting", "running", "downloading"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What so many clips at once cost.

    Attributes:
        cpu_seconds: Of the server and all that it started, from its start on.
        own_cpu_seconds: The same without what it takes to be there.
        noticed: Seconds from the end of each clip until the server was told of it.
        stored: The same until its file was in its place and in the ledger.
        polls: Of each clip.
    """

    jobs: int
    cpu_seconds: float
    own_cpu_seconds: float
    peak_bytes: int
    own_peak_bytes: int
    noticed: list[float]
    stored: list[float]
    polls: list[float]


_known: dict[tuple[int, float], Found] = {}


def measure(jobs: int = JOBS, clip_seconds: float = CLIP_SECONDS, poll_seconds: float = POLL_SECONDS) -> list[Figure]:
    """Make so many clips at once."""
    found = made(jobs, clip_seconds, poll_seconds)
    words = f"{jobs:,} clips at once"
    kind: dict[str, Any] = {"kind": "value", "samples": jobs}
    return [
        Figure(name=f"{words}: CPU of the server", unit="s", value=found.cpu_seconds, bar=30.0, **kind),
        Figure(name=f"{words}: peak memory of the server", unit="MB", value=found.peak_bytes / 1e6, bar=250.0, **kind),
        Figure(
            name=f"{words}: last one noticed late", unit="s", value=max(found.noticed), bar=poll_seconds + 1, **kind
        ),
        Figure(name=f"{words}: polls of each, median", unit="polls", value=median(found.polls), bar=8.0, **kind),
    ]


def curves(
    sizes: tuple[int, ...] = (*SIZES, JOBS), clip_seconds: float = CLIP_SECONDS, poll_seconds: float = POLL_SECONDS
) -> list[Curve]:
    """How the cost of one clip changes with their number."""
    each = Curve(name="CPU of each clip", x_label="clips at once", y_label="CPU ms of the server")
    memory = Curve(name="Memory of many clips", x_label="clips at once", y_label="MB above the idle server")
    noticed = Curve(name="How late clips are noticed", x_label="clips at once", y_label="s, the last one")
    stored = Curve(name="How late clips are in their place", x_label="clips at once", y_label="s, the last one")
    for size in sizes:
        found = made(size, clip_seconds, poll_seconds)
        each.points.append((size, 1000 * found.own_cpu_seconds / size))
        memory.points.append((size, found.own_peak_bytes / 1e6))
        noticed.points.append((size, max(found.noticed)))
        stored.points.append((size, max(found.stored)))
    return [each, memory, noticed, stored]


def made(jobs: int, clip_seconds: float, poll_seconds: float) -> Found:
    """Make clips, or give what was found when as many were made before."""
    key = (jobs, clip_seconds)
    if key not in _known:
        with tempfile.TemporaryDirectory() as folder:
            _known[key] = _made(Path(folder), jobs, clip_seconds, poll_seconds)
    return _known[key]


def _made(folder: Path, jobs: int, clip_seconds: float, poll_seconds: float) -> Found:
    state = folder / "state"
    state.mkdir()
    # What such clips take is known by now, as it is of Google's models.
    learned = clip_seconds + LEARNED_LATE * poll_seconds
    write_past(state, 20, seconds=learned, resolution=ASKED["resolution"])
    arguments = ("--video-seconds", str(clip_seconds), "--ffmpeg", str(ready_films(folder)))
    with emulator(*arguments) as google:
        variables = {
            **environment(state),
            "GOOGLE_GEMINI_BASE_URL": google.url,
            "MEDIAGEN_POLL_SECONDS": str(poll_seconds),
        }
        with server(OURS, variables) as client:
            client.hello()
            client.call("estimate_cost", ASKED)
            time.sleep(SETTLED_SECONDS)
            pid = client.process.pid
            idle_cpu, idle_peak = cpu_seconds(pid), peak_bytes_of(pid)
            client.ask_all("tools/call", [_request(number) for number in range(jobs)])
            rows = _ended(state / LEDGER_FILE, jobs, time.monotonic() + clip_seconds + PATIENCE_SECONDS)
            cpu, peak = cpu_seconds(pid), peak_bytes_of(pid)
            journal = {each["id"]: each for each in google.get("interactions")}
    return Found(
        jobs=jobs,
        cpu_seconds=cpu,
        own_cpu_seconds=cpu - idle_cpu,
        peak_bytes=peak,
        own_peak_bytes=peak - idle_peak,
        noticed=[_seconds(journal[name]["updated"], journal[name]["told"]) for name, _, _ in rows],
        stored=[_seconds(journal[name]["updated"], ended) for name, _, ended in rows],
        polls=[float(journal[name]["polls"]) for name, _, _ in rows],
    )


def _request(number: int) -> dict[str, Any]:
    asked = {name: value for name, value in ASKED.items() if name != "kind"}
    arguments = {**asked, "prompt": f"a red fox, take {number}", "request_id": f"take-{number}", "wait_seconds": 0}
    return {"name": "generate_video", "arguments": arguments}


def _ended(ledger: Path, jobs: int, deadline: float) -> list[tuple[str, str, str]]:
    while time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
        with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True, timeout=30)) as connection:
            rows: list[tuple[str, str, str]] = connection.execute(MADE).fetchall()
        if len(rows) == jobs and not any(status in OPEN for _, status, _ in rows):
            assert all(status == "succeeded" for _, status, _ in rows), {status for _, status, _ in rows}
            return rows
    raise TimeoutError(f"{jobs} clips are not done")


def _seconds(began: str, ended: str) -> float:
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds()
