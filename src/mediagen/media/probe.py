"""What a stored file really is, read from its bytes."""

import io
from dataclasses import dataclass
from pathlib import Path

import anyio

from mediagen.errors import MediaError
from mediagen.media.mp4 import read_mp4
from mediagen.media.sniff import SNIFF_BYTES, sniff
from mediagen.media.stills import STILL_FORMATS, check_still

BOXED_TYPES = frozenset({"video/mp4", "video/quicktime", "video/3gpp", "audio/mp4"})


@dataclass(frozen=True, kw_only=True, slots=True)
class MediaFacts:
    """Facts of one file.

    Attributes:
        mime_type: From the bytes, never from the name.
        width: As shown (rotation applied), in pixels.
        duration_seconds: None for pictures and for formats that are not read (WebM, audio).
        has_audio: None for pictures and for formats that are not read.
    """

    mime_type: str
    size_bytes: int
    width: int | None = None
    height: int | None = None
    duration_seconds: float | None = None
    fps: float | None = None
    has_audio: bool | None = None


def read_head(path: Path) -> tuple[bytes, int]:
    """The first bytes and the size of a file. Blocking.

    Raises:
        MediaError: It cannot be read, or is empty.
    """
    try:
        with path.open("rb") as file:
            head = file.read(SNIFF_BYTES)
            size_bytes = file.seek(0, 2)
    except OSError as error:
        raise MediaError(f"{path.name} cannot be read: {error.strerror or 'input/output error'}.") from error
    if not head:
        raise MediaError(f"{path.name} is empty.", code="unreadable_media")
    return head, size_bytes


def probe(path: Path) -> MediaFacts:
    """Read the facts of a picture or video and make sure that it is whole. Blocking.

    Raises:
        MediaError: It cannot be read, is empty, damaged or cut off, is no known format, or has more than 100 million
            pixels.
    """
    head, size_bytes = read_head(path)
    mime_type = sniff(head)
    if mime_type is None:
        raise MediaError(f"{path.name} is no picture or video of a known format.", code="unreadable_media")
    if mime_type in STILL_FORMATS:
        still = check_still(path, mime_type, path.name)
        return MediaFacts(mime_type=mime_type, size_bytes=size_bytes, width=still.width, height=still.height)
    if mime_type in BOXED_TYPES:
        return _probe_boxed(path, mime_type, size_bytes)
    return MediaFacts(mime_type=mime_type, size_bytes=size_bytes)


def probe_picture(data: bytes) -> MediaFacts | None:
    """Do as `probe` for a file that is in memory; None when it is no picture. Blocking.

    Raises:
        MediaError: It is damaged or cut off, or has more than 100 million pixels.
    """
    mime_type = sniff(data[:SNIFF_BYTES])
    if mime_type not in STILL_FORMATS:
        return None
    still = check_still(io.BytesIO(data), mime_type, "The file")
    return MediaFacts(mime_type=mime_type, size_bytes=len(data), width=still.width, height=still.height)


def _probe_boxed(path: Path, mime_type: str, size_bytes: int) -> MediaFacts:
    video = read_mp4(path)
    return MediaFacts(
        mime_type=mime_type,
        size_bytes=size_bytes,
        width=video.width,
        height=video.height,
        duration_seconds=video.duration_seconds,
        fps=video.fps,
        has_audio=video.has_audio,
    )


async def probe_file(path: Path) -> MediaFacts:
    """Do as `probe` does, in a thread.

    Raises:
        MediaError: As `probe`.
    """
    return await anyio.to_thread.run_sync(probe, path)
