"""What other processes cost: the server with all that it started, and an emulator whose work is not the server's."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.measuring import KIBIBYTE

FILM = (
    *("-f", "lavfi", "-i", "gradients=size=640x360:rate=24:duration=3"),
    *("-f", "lavfi", "-i", "sine=frequency=300:sample_rate=48000:duration=3"),
    *("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac", "-movflags", "+faststart"),
)
TICKS = os.sysconf("SC_CLK_TCK")


class OtherEmulator:
    """An emulator in a process of its own."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, what: str) -> Any:
        """What the emulator says of itself: ``bill``, ``interactions``."""
        with urllib.request.urlopen(f"{self.url}/emulator/{what}") as answer:
            return json.load(answer)


@contextmanager
def emulator(*arguments: str, variables: Mapping[str, str] | None = None) -> Iterator[OtherEmulator]:
    """An emulator that runs for as long as it is entered."""
    command = [sys.executable, "-m", "mediagen.emulator", *arguments]
    environment = {**os.environ, **(variables or {})}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        yield OtherEmulator(process.stdout.readline().strip().rstrip("/"))
    finally:
        process.terminate()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def ready_films(folder: Path) -> Path:
    """A stand-in for ffmpeg that gives the same film at once: a thousand real ones would take the machine for hours."""
    from mediagen.emulator.ffmpeg import find_ffmpeg

    film, program = folder / "film.mp4", folder / "ffmpeg"
    subprocess.run([find_ffmpeg(None), "-v", "error", *FILM, str(film)], check=True, stdin=subprocess.DEVNULL)
    program.write_text(f'#!/bin/sh\nfor last; do :; done\ncp "{film}" "$last"\n', encoding="utf-8")
    program.chmod(0o755)
    return program


def family(pid: int) -> list[int]:
    """A process and those that it started and that still run."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int(_stat(int(entry.name))[1])
            except OSError:
                continue
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found


def cpu_seconds(pid: int) -> float:
    """Processor time of a process and all that it started, as far as it has waited for them or they still run."""
    return sum(sum(map(int, _stat(each)[11:15])) for each in family(pid)) / TICKS


def peak_bytes_of(pid: int) -> int:
    """Most memory that a process and those it started have held, each at its own worst moment."""
    return sum(_peak(each) for each in family(pid))


def _peak(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * KIBIBYTE
    return 0


def _stat(pid: int) -> list[str]:
    # The name of a process may hold anything, but ends with the last bracket.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
