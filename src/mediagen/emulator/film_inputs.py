"""Films that come as input, what ffmpeg says about them, and what makes a film unfit to be extended or edited."""

from dataclasses import dataclass
from pathlib import Path

import anyio

from mediagen.emulator.catalogue import VIDEO_FPS
from mediagen.emulator.ffmpeg import Probe, find_ffmpeg, probe
from mediagen.errors import MediaError

# the containers' own resolution of a frame rate; 23.976 lies outside
_FPS_SLACK = 0.01 + 1e-6
# encoders round the container's length by up to a frame or an audio packet
SLACK_SECONDS = 0.1
_HEADER_BYTES = 8
_MOST_BOXES = 10_000
_QUICKTIME = b"qt  "
_WITH_MEDIA = frozenset({b"mdat", b"moov", b"moof"})
NOT_A_FILM = "Unable to process input video."
_FORMAT = "Unsupported video: only MP4 with H.264 (8 bits, 4:2:0) and AAC can be extended or edited, got {found}."


@dataclass(frozen=True, kw_only=True, slots=True)
class Film:
    """A film that came as input, and what ffmpeg says about it (None without ffmpeg)."""

    path: Path
    probe: Probe | None
    is_quicktime: bool = False

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.probe.duration_seconds if self.probe else 0.0


async def read_film(path: Path, ffmpeg: str | None) -> Film:
    """Look at a film.

    Raises:
        ValueError: The file is not a film, or breaks off.
    """
    try:
        is_quicktime = await anyio.to_thread.run_sync(_survey, path)
    except OSError as error:
        raise ValueError("the file was deleted meanwhile") from error
    try:
        executable = find_ffmpeg(ffmpeg)
    except MediaError:
        # the clip itself will fail with the same reason, as an operation
        return Film(path=path, probe=None, is_quicktime=is_quicktime)
    try:
        return Film(path=path, probe=await probe(executable, path), is_quicktime=is_quicktime)
    except MediaError as error:
        raise ValueError("not a film") from error


def source_refusal(film: Film) -> str:
    """Say, in Google's words where they are known, why a film cannot be extended or edited; nothing when it can.

    The words about the rate are known from reports: 23.976 is called 23. Those about the format are not documented.
    A film whose rate varies is refused, too: whether Google reads its average or its base rate is not known.
    Source: reports of users; no page of Google's was found that names these refusals.
    """
    found = film.probe
    if found is None:
        return ""
    if strange := _strange_format(film, found):
        return _FORMAT.format(found=strange)
    rates = (found.fps, found.base_fps or found.fps)
    wrong = next((rate for rate in rates if abs(rate - VIDEO_FPS) > _FPS_SLACK), None)
    if wrong is not None:
        return f"Video fps mismatch. Expected: {VIDEO_FPS} got: {_rate_in_words(wrong)}"
    return ""


def _strange_format(film: Film, found: Probe) -> str:
    if "mp4" not in found.container:
        return found.container
    if film.is_quicktime:
        return "QuickTime"
    if found.codec != "h264":
        return found.codec
    if not found.is_plain_420:
        return "H.264 of another pixel format"
    return found.audio_codec if found.audio_codec not in {"", "aac"} else ""


def _rate_in_words(rate: float) -> str:
    # cut off, not rounded, as in the known "got: 23"
    return f"{rate:g}" if int(rate) == VIDEO_FPS else str(int(rate))


def _survey(path: Path) -> bool:
    """Look through the boxes of an MP4 file and say whether it is one of QuickTime.

    Raises:
        ValueError: A box goes on behind the end of the file.
    """
    size, position, is_quicktime = path.stat().st_size, 0, False
    with path.open("rb") as file:
        for _ in range(_MOST_BOXES):
            if position + _HEADER_BYTES > size:
                break
            file.seek(position)
            header = file.read(2 * _HEADER_BYTES)
            length, kind = int.from_bytes(header[:4]), header[4:8]
            if position == 0 and kind != b"ftyp":
                return False
            is_quicktime = is_quicktime or (kind == b"ftyp" and header[8:12] == _QUICKTIME)
            length = int.from_bytes(header[8:16]) if length == 1 else length or size - position
            if kind in _WITH_MEDIA and position + length > size:
                raise ValueError("the film breaks off")
            position += max(length, _HEADER_BYTES)
    return is_quicktime
