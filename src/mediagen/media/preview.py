"""Small JPEGs of finished files, for clients that show pictures in a conversation."""

import io
from pathlib import Path
from typing import Final

import anyio

from mediagen.errors import MediaError
from mediagen.media.editing.clip import find_demuxer, guarded_input
from mediagen.media.ffmpeg import find_ffmpeg, run_ffmpeg
from mediagen.media.sniff import SNIFF_BYTES, sniff
from mediagen.media.stills import STILL_FORMATS, still_as_jpeg

PREVIEW_PIXELS: Final = 768
PREVIEW_BYTES: Final = 300_000
POSTER_SECONDS: Final = 20.0


def preview_image(path: Path, max_pixels: int = PREVIEW_PIXELS, max_bytes: int = PREVIEW_BYTES) -> bytes:
    """Make a small JPEG of a picture: EXIF orientation honoured, transparency on white. Blocking.

    Args:
        path: A picture of any format that is read.
        max_pixels: Longest side, in pixels.
        max_bytes: Largest result.

    Raises:
        MediaError: The picture cannot be read.
    """
    try:
        with path.open("rb") as file:
            mime_type = sniff(file.read(SNIFF_BYTES))
    except OSError as error:
        raise MediaError(f"{path.name} cannot be read: {error.strerror or 'input/output error'}.") from error
    if mime_type not in STILL_FORMATS:
        raise MediaError(f"{path.name} is no picture of a known format.", code="unreadable_media")
    return still_as_jpeg(path, mime_type, path.name, max_pixels=max_pixels, max_bytes=max_bytes)


async def preview(path: Path, mime_type: str, ffmpeg: str | None) -> bytes | None:
    """Make a small JPEG of a picture, or of the first frame of a video.

    Args:
        path: The file.
        mime_type: Its real mime type.
        ffmpeg: Executable to use; None looks for one as `find_ffmpeg` does.

    Returns:
        The JPEG, or None for a file that is neither picture nor video.

    Raises:
        MediaError: The file cannot be read, or a video's frame cannot be had for want of ffmpeg.
    """
    if mime_type.startswith("image/"):
        return await anyio.to_thread.run_sync(preview_image, path)
    if mime_type.startswith("video/"):
        return await _poster(path, await anyio.to_thread.run_sync(find_ffmpeg, ffmpeg))
    return None


async def _poster(path: Path, ffmpeg: str) -> bytes:
    real = Path(await anyio.Path(path).absolute())
    demuxer = await anyio.to_thread.run_sync(find_demuxer, real)
    source = ["-v", "error", *guarded_input(demuxer), "-i", f"file:{real}"]
    size = f"scale={PREVIEW_PIXELS}:{PREVIEW_PIXELS}:force_original_aspect_ratio=decrease"
    frame = ["-map", "0:v:0", "-frames:v", "1", "-vf", size, "-f", "image2pipe", "-c:v", "png", "pipe:1"]
    picture = await run_ffmpeg(ffmpeg, [*source, *frame], POSTER_SECONDS)
    return await anyio.to_thread.run_sync(_poster_jpeg, picture, path.name)


def _poster_jpeg(picture: bytes, name: str) -> bytes:
    return still_as_jpeg(io.BytesIO(picture), "image/png", name, max_pixels=PREVIEW_PIXELS, max_bytes=PREVIEW_BYTES)
