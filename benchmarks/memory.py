"""How much memory a finished file takes while it comes in, over what the server holds when it is idle."""

import base64
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measuring import KIBIBYTE, Curve, Figure, interleaved, median
from benchmarks.media_server import BITMAP_BYTES, clip_answer, clip_of, picture_answer, picture_of
from benchmarks.starting import OURS, Stdio, environment, server
from mediagen.endpoints.wire.inline_media import InlineMediaScanner

MEGABYTE = 1_000_000
BAR = 8.0
PICTURE_BYTES = 15 * MEGABYTE  # 20 MB as base64
CLIP_BYTES = 20 * MEGABYTE
BIG_CLIP_BYTES = 200 * MEGABYTE
SMALL_BYTES = 10_000
ROUNDS = 5
WARM_UP = 2
DECODING_ROUNDS = 15
DEADLINE_SECONDS = 120.0
CURVE_MEGABYTES = (1, 5, 20, 50, 100, 200)
# Larger answers with a picture are not taken.
CURVE_PICTURE_MEGABYTES = (1, 5, 15, 30, 45)
_CHUNK_BYTES = 256 * KIBIBYTE
_SETTLING_SECONDS = 0.5

PICTURE = {"backend": "gemini", "model": "gemini-3-pro-image", "image_size": "4K"}
INLINE = {"backend": "vertex", "model": "veo-3.1-fast", "duration_seconds": 4}
BY_URI = {"backend": "gemini", "duration_seconds": 4}


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """A call whose memory is measured.

    Attributes:
        tool: Name of the tool.
        arguments: What it is called with, besides the prompt, which names the size.
    """

    tool: str
    arguments: Mapping[str, Any]

    def peak(self, bench: "Bench", size: int) -> float:
        """Most memory during a call, over that before it, in MB."""
        return bench.peak(self.tool, {**self.arguments, "prompt": f"a fox of {size} bytes", "force_new": True})


CLIP_OF_ANSWER = Load(tool="generate_video", arguments={**INLINE, "preview": False})
FOUR_CLIPS = Load(tool="generate_video", arguments={**INLINE, "preview": False, "count": 4})
CLIP_BY_URI = Load(tool="generate_video", arguments={**BY_URI, "preview": False})
PREVIEWED = Load(tool="generate_image", arguments={**PICTURE, "preview": True})


class Bench:
    """A server that has made small files, so that all that it needs is loaded."""

    def __init__(self, client: Stdio, load: Load) -> None:
        self._client = client
        self._client.hello()
        for _ in range(WARM_UP):
            load.peak(self, SMALL_BYTES)

    def peak(self, tool: str, arguments: Mapping[str, Any]) -> float:
        """Most memory of the server and of the process that sends for it, over that before, in MB."""
        time.sleep(_SETTLING_SECONDS)
        pids = _family(self._client.process.pid)
        before = {pid: _status(pid, "VmRSS") for pid in pids}
        for pid in pids:
            # From now on the peak counts anew.
            Path(f"/proc/{pid}/clear_refs").write_text("5")
        self._make(tool, arguments)
        return sum(max(0, _status(pid, "VmHWM") - before[pid]) for pid in pids) / MEGABYTE

    def _make(self, tool: str, arguments: Mapping[str, Any]) -> None:
        told = self._call(tool, arguments)
        deadline = time.monotonic() + DEADLINE_SECONDS
        while told["status"] not in {"succeeded", "failed", "filtered", "unconfirmed", "expired"}:
            assert time.monotonic() < deadline, told
            told = self._call("get_job", {"job_id": told["job_id"], "preview": False})
        assert told["status"] == "succeeded", told
        for artifact in told["artifacts"]:
            Path(artifact["path"]).unlink()

    def _call(self, tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        answer = self._client.ask("tools/call", {"name": tool, "arguments": dict(arguments)})
        told: dict[str, Any] = answer["result"].get("structuredContent") or {}
        assert told.get("job_id"), answer
        return told


def measure(rounds: int = ROUNDS, decoding_rounds: int = DECODING_ROUNDS) -> list[Figure]:
    """Make each file again and again."""
    return [
        _figure("4K picture (20 MB answer), besides the bitmap", PREVIEWED, PICTURE_BYTES, rounds),
        _figure("20 MB clip inside the answer", CLIP_OF_ANSWER, CLIP_BYTES, rounds),
        _figure("four 20 MB clips inside one answer", FOUR_CLIPS, CLIP_BYTES, rounds),
        _figure("200 MB clip by address", CLIP_BY_URI, BIG_CLIP_BYTES, rounds),
        *_decoding(decoding_rounds),
    ]


def curves(
    sizes: Sequence[int] = CURVE_MEGABYTES, picture_sizes: Sequence[int] = CURVE_PICTURE_MEGABYTES
) -> list[Curve]:
    """Peak memory against the size of the file, in MB."""
    return [
        _curve("clip inside the answer", CLIP_OF_ANSWER, sizes),
        _curve("clip by address", CLIP_BY_URI, sizes),
        _curve("4K picture, its decoded bitmap included", PREVIEWED, picture_sizes),
    ]


def _curve(name: str, load: Load, sizes: Sequence[int]) -> Curve:
    points: list[tuple[float, float]] = []
    for megabytes in sizes:
        with running(load) as bench:
            points.append((megabytes, load.peak(bench, megabytes * MEGABYTE)))
    return Curve(name=name, x_label="size of the file, MB", y_label="peak memory over idle, MB", points=points)


@contextmanager
def running(load: Load) -> Iterator[Bench]:
    """A server, and what it takes for Google."""
    command = (sys.executable, "-m", "benchmarks.media_server")
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as google,
    ):
        try:
            assert google.stdout
            url = google.stdout.readline().strip()
            with server(OURS, _variables(Path(folder), url)) as client:
                yield Bench(client, load)
        finally:
            google.kill()


def _variables(folder: Path, url: str) -> dict[str, str]:
    own = {
        "GEMINI_API_KEY": "benchmark",
        "GOOGLE_GEMINI_BASE_URL": url,
        "VERTEX_AI_API_KEY": "benchmark",
        "GOOGLE_VERTEX_BASE_URL": url,
        "MEDIAGEN_BACKEND": "auto",
        "MEDIAGEN_POLL_SECONDS": "0.1",
        "MEDIAGEN_CONFIRM_ABOVE_USD": "1000",
        "XDG_CONFIG_HOME": str(folder),
    }
    return {**environment(folder), **own}


def _figure(name: str, load: Load, size: int, rounds: int) -> Figure:
    beside = BITMAP_BYTES / MEGABYTE if load is PREVIEWED else 0.0
    peaks = []
    for _ in range(rounds):
        # Each time another server: what one call has left to the next would be missing from its peak.
        with running(load) as bench:
            peaks.append(load.peak(bench, size) - beside)
    return Figure(name=f"peak memory: {name}", unit="MB", value=median(peaks), bar=BAR, kind="value", samples=rounds)


def _decoding(rounds: int) -> list[Figure]:
    answers = {
        "4K picture": picture_answer(picture_of(PICTURE_BYTES)),
        "20 MB clip": clip_answer([clip_of(CLIP_BYTES)]),
        "four 20 MB clips": clip_answer([clip_of(CLIP_BYTES)] * 4),
    }
    return [_decoded(name, answer, rounds) for name, answer in answers.items()]


def _decoded(name: str, answer: bytes, rounds: int) -> Figure:
    def ours() -> float:
        began = time.perf_counter()
        scanner = InlineMediaScanner(takes_data_urls=True)
        for start in range(0, len(answer), _CHUNK_BYTES):
            for _ in scanner.feed(answer[start : start + _CHUNK_BYTES]):
                pass
        json.loads(scanner.skeleton)
        return time.perf_counter() - began

    def floor() -> float:
        began = time.perf_counter()
        for text in _base64_in(json.loads(answer)):
            base64.b64decode(text, validate=True)
        return time.perf_counter() - began

    mine, least = interleaved(ours, floor, rounds=rounds)
    return Figure(
        name=f"taking the files out of an answer: {name}",
        unit="s",
        value=median(mine),
        floor=median(least),
        bar=1.0,
        kind="ratio",
        samples=rounds,
    )


def _base64_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, item in value.items():
            if name in {"data", "bytesBase64Encoded"}:
                yield item
            else:
                yield from _base64_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from _base64_in(item)


def _family(pid: int) -> list[int]:
    """A process and those that it has started."""
    children = [
        child for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]
    return [pid, *(found for child in children for found in _family(int(child)))]


def _status(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * KIBIBYTE
    raise LookupError(name)
