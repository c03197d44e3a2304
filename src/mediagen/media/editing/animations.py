"""How long an animated WebP lasts, which ffmpeg does not tell. Blocking.

Source: https://developers.google.com/speed/webp/docs/riff_container (checked 2026-11-21).
"""

from fractions import Fraction
from pathlib import Path
from typing import Final

_MAX_CHUNKS: Final = 100_000
_HEADER_BYTES: Final = 12
_FRAME_DURATION_AT: Final = 12


def webp_seconds(path: Path) -> Fraction | None:
    """Add up the times of the frames; None for a WebP without any."""
    milliseconds = 0
    with path.open("rb") as file:
        at = _HEADER_BYTES
        for _ in range(_MAX_CHUNKS):
            file.seek(at)
            head = file.read(8 + _FRAME_DURATION_AT + 3)
            if len(head) < 8:
                break
            if head[:4] == b"ANMF":
                milliseconds += int.from_bytes(head[8 + _FRAME_DURATION_AT :], "little")
            length = int.from_bytes(head[4:8], "little")
            at += 8 + length + length % 2
    return Fraction(milliseconds, 1000) or None
