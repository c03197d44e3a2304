"""What a file is, as far as it can be told here."""

from functools import partial
from pathlib import Path
from typing import Any

import anyio

from mediagen.editor.sources import FoundSource
from mediagen.errors import MediaError
from mediagen.media.editing.clip import DEMUXERS, Clip, open_clip
from mediagen.media.editing.engine import executable
from mediagen.media.fitting_facts import BOXED, read_clip
from mediagen.media.metadata import has_c2pa
from mediagen.media.probe import probe_file
from mediagen.report.media import MediaReport


async def probe_source(source: FoundSource, ffmpeg: str | None) -> MediaReport:
    """Look at a file. Without ffmpeg, pictures and MP4 are still read; of the rest only the format is known.

    Raises:
        MediaError: It is damaged or of no known format.
    """
    facts = await probe_file(source.path)
    found: dict[str, Any] = {
        "width": facts.width,
        "height": facts.height,
        "duration_seconds": facts.duration_seconds,
        "fps": facts.fps,
        "has_audio": facts.has_audio,
    }
    warnings: list[str] = []
    if facts.mime_type in BOXED and facts.width is not None:
        found |= await _of_boxes(source)
    if facts.mime_type in DEMUXERS:
        try:
            program = await executable(ffmpeg)
        except MediaError as error:
            warnings.append(f"Some facts are missing: {error}")
        else:
            found |= _of_packets(await _opened(source.path, program))
    signed = await anyio.to_thread.run_sync(partial(has_c2pa, source.path))
    return MediaReport.model_validate(
        {
            **dict.fromkeys(MediaReport.model_fields),
            "path": str(source.path),
            "mime_type": facts.mime_type,
            "size_bytes": source.size_bytes,
            "sha256": source.sha256,
            **found,
            "has_c2pa": signed,
            "job_id": source.job.job_id if source.job else None,
            "warnings": warnings,
        }
    )


async def _opened(path: Path, program: str) -> Clip:
    """A file of sound alone is one, too, whatever its container is called."""
    try:
        return await open_clip(path, program, needs="video")
    except MediaError as error:
        if error.code != "no_video":
            raise
        return await open_clip(path, program, needs="audio")


async def _of_boxes(source: FoundSource) -> dict[str, Any]:
    clip = await read_clip(source.path, None)
    return {
        "width": clip.width,
        "height": clip.height,
        "video_codec": clip.video_codec,
        "audio_codec": clip.audio_codec,
        "has_steady_rate": clip.is_steady,
        "is_stored_as_shown": clip.is_upright and clip.has_square_pixels,
    }


def _of_packets(clip: Clip) -> dict[str, Any]:
    found: dict[str, Any] = {"duration_seconds": round(float(clip.seconds), 6), "has_audio": clip.audio is not None}
    if clip.video:
        found |= {
            "width": clip.width,
            "height": clip.height,
            "fps": round(float(clip.fps), 4) if clip.fps else None,
            "has_steady_rate": clip.is_steady,
            "is_stored_as_shown": clip.is_plain,
            "video_codec": clip.video.value("codec_id") or None,
        }
    if clip.audio:
        rate = clip.audio.value("sample_rate")
        found |= {
            "audio_codec": clip.audio.value("codec_id") or None,
            "audio_channels": clip.audio.value("channel_layout_name") or None,
            "audio_sample_rate": int(rate) if rate.isdigit() else None,
        }
    return found
