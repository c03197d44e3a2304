"""Films that come as input, and what ffmpeg says about them."""

from dataclasses import dataclass
from pathlib import Path

from mediagen.emulator.ffmpeg import Probe, find_ffmpeg, probe
from mediagen.errors import MediaError


@dataclass(frozen=True, kw_only=True, slots=True)
class Film:
    """A film that came as input, and what ffmpeg says about it (None without ffmpeg)."""

    path: Path
    probe: Probe | None

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.probe.duration_seconds if self.probe else 0.0


async def read_film(path: Path, ffmpeg: str | None) -> Film:
    """Look at a film.

    Raises:
        ValueError: The file is not a film.
    """
    try:
        executable = find_ffmpeg(ffmpeg)
    except MediaError:
        # the clip itself will fail with the same reason, as an operation
        return Film(path=path, probe=None)
    try:
        return Film(path=path, probe=await probe(executable, path))
    except MediaError as error:
        raise ValueError("not a film") from error
