"""Clips with a white flash and a click at the same instants, and how to find them again in what was made."""

import array
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from mediagen.media.ffmpeg import run_ffmpeg

BUNNY = Path(__file__).parents[2] / "data" / "bigbuckbunny.mp4"
MakeClip = Callable[..., Awaitable[Path]]


@dataclass(frozen=True)
class Decoded:
    """What a decoder finds: frames, samples, and when flashes and clicks begin."""

    frames: int
    seconds_of_sound: float
    flashes: list[float]
    clicks: list[float]


async def decode(ffmpeg: str, path: Path, fps: float) -> Decoded:
    """Decode a clip of a constant frame rate."""
    source = ["-v", "error", "-i", f"file:{path}"]
    shape = [
        "-vf",
        f"fps={fps}:start_time=0,crop=iw/2:ih/2,scale=1:1:flags=area,format=gray",
        "-f",
        "rawvideo",
        "pipe:1",
    ]
    lights = await run_ffmpeg(ffmpeg, [*source, "-map", "0:v:0", *shape], 60)
    heard = ["-map", "0:a:0?", "-af", "aresample=48000:async=1:first_pts=0", "-ac", "1", "-f", "s16le", "pipe:1"]
    samples = array.array("h", await run_ffmpeg(ffmpeg, [*source, *heard], 60))
    loud = [at / 48000 for at in range(len(samples)) if abs(samples[at]) > 6000]
    bright = [at / fps for at, light in enumerate(lights) if light > 128]
    return Decoded(len(lights), len(samples) / 48000, _begins(bright), _begins(loud))


def _begins(moments: list[float]) -> list[float]:
    found: list[float] = []
    last = -1.0
    for moment in moments:
        if moment - last > 0.2:
            found.append(moment)
        last = moment
    return found


def assert_in_sync(decoded: Decoded, fps: float, *, count: int) -> None:
    assert len(decoded.flashes) == len(decoded.clicks) == count, decoded
    offsets = [click - flash for flash, click in zip(decoded.flashes, decoded.clicks, strict=True)]
    assert max(map(abs, offsets)) <= 1 / fps + 0.002, offsets


async def rate_and_sound(ffmpeg: str, path: Path) -> str:
    """How the first sound stream is coded: ``48000 stereo``."""
    told = await run_ffmpeg(
        ffmpeg,
        ["-v", "error", "-i", f"file:{path}", "-map", "0:a:0", "-c", "copy", "-t", "0.1", "-f", "framecrc", "pipe:1"],
        20,
    )
    values = dict(line[1:].split(": ", 1) for line in told.decode().splitlines() if line.startswith("#"))
    return f"{values['sample_rate 0']} {values['channel_layout_name 0']}"
