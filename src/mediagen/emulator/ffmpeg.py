"""Finds and runs the ffmpeg executable, and reads what it says about a file."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio

from mediagen.errors import MediaError

_DURATION = re.compile(r"Duration: (\d+):(\d+):(\d+(?:\.\d+)?)")
_VIDEO = re.compile(r"Stream #[^\n]*Video: (\w+)[^\n]*? (\d{2,5})x(\d{2,5})[^\n]*")
_FPS = re.compile(r"([\d.]+k?) fps")
_BASE_FPS = re.compile(r"([\d.]+k?) tbr")
_PLAIN_420 = re.compile(r"\byuvj?420p\b")
_AUDIO = re.compile(r"Stream #[^\n]*Audio: (\w+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """What ffmpeg says about a film.

    Attributes:
        fps: Frames per second, on average.
        base_fps: The rate that all frames lie on; another one than the average when the rate varies. 0 = not told.
        audio_codec: Of the first sound track; empty without one.
        is_plain_420: Whether the pixels have 8 bits and 4:2:0 colours.
    """

    container: str
    codec: str
    width: int
    height: int
    fps: float
    duration_seconds: float
    has_audio: bool
    base_fps: float = 0.0
    audio_codec: str = ""
    is_plain_420: bool = True


def find_ffmpeg(wanted: str | None) -> str:
    """Find the ffmpeg executable: the wanted one, then PATH, then the imageio_ffmpeg package.

    Raises:
        MediaError: There is none.
    """
    found = shutil.which(wanted or "ffmpeg")
    if found is None and wanted is None:
        found = _packaged_ffmpeg()
    if found is None:
        what = f"ffmpeg was not found at {wanted}." if wanted else "ffmpeg was not found."
        raise MediaError(
            what, hint='The emulator makes films with it; install it with: pip install "mediagen-mcp[emulator]"'
        )
    return found


def _packaged_ffmpeg() -> str | None:
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        return None


async def run_ffmpeg(executable: str, arguments: Sequence[str]) -> None:
    """Run ffmpeg to its end; the process is killed when the caller is cancelled.

    Raises:
        MediaError: ffmpeg could not do it.
    """
    command = [executable, "-hide_banner", "-nostdin", "-loglevel", "error", "-y", *arguments]
    try:
        done = await anyio.run_process(command, stdin=subprocess.DEVNULL, check=False)
    except OSError as error:
        raise MediaError("ffmpeg could not be started.") from error
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise MediaError(f"ffmpeg failed: {lines[-1][:200]}")


async def probe(executable: str, path: Path) -> Probe:
    """Read a film's properties.

    Raises:
        MediaError: The file is not a film.
    """
    command = [executable, "-hide_banner", "-nostdin", "-i", str(path)]
    try:
        # ffmpeg ends with an error because no output is named; what it says on stderr is wanted
        done = await anyio.run_process(command, stdin=subprocess.DEVNULL, check=False)
    except OSError as error:
        raise MediaError("ffmpeg could not be started.") from error
    return read_probe(done.stderr.decode(errors="replace"))


def read_probe(text: str) -> Probe:
    """Read the description that ffmpeg prints.

    Raises:
        MediaError: No film is described.
    """
    video = _VIDEO.search(text)
    duration = _DURATION.search(text)
    container = re.search(r"Input #0, ([\w,]+), from", text)
    if video is None or duration is None or container is None:
        raise MediaError("The file is not a video.")
    audio = _AUDIO.search(text)
    hours, minutes, seconds = duration.groups()
    return Probe(
        container=container.group(1),
        codec=video.group(1),
        width=int(video.group(2)),
        height=int(video.group(3)),
        fps=_rate(_FPS, video.group(0)),
        duration_seconds=int(hours) * 3600 + int(minutes) * 60 + float(seconds),
        has_audio=audio is not None,
        base_fps=_rate(_BASE_FPS, video.group(0)),
        audio_codec=audio.group(1) if audio else "",
        is_plain_420=_PLAIN_420.search(video.group(0)) is not None,
    )


def _rate(pattern: re.Pattern[str], text: str) -> float:
    found = pattern.search(text)
    return float(found.group(1).replace("k", "e3")) if found else 0.0
