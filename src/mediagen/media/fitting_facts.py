"""What a clip is, as far as that decides whether Google takes it: codecs, rate, size, and what players merely pretend.

MP4 and QuickTime files are read from their boxes, so a clip that fits needs no ffmpeg. For everything else ffmpeg lists
the packets, without decoding them.
Source: ISO/IEC 14496-12, chapter 8, and 14496-14, chapter 5 (checked 2026-11-21).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, Final

import anyio

from mediagen.errors import MediaError
from mediagen.media.editing.clip import DEMUXERS, Clip, open_clip
from mediagen.media.mp4 import Mp4Facts, read_mp4
from mediagen.media.probe import BOXED_TYPES
from mediagen.media.sniff import SNIFF_BYTES, sniff

VIDEO_TYPES: Final = frozenset(mime_type for mime_type in DEMUXERS if mime_type.startswith("video/"))
BOXED: Final = frozenset(mime_type for mime_type in VIDEO_TYPES if mime_type in BOXED_TYPES)
# Encoders hide the first frames of B-frame delay in this way; more than that was cut off on purpose.
MAX_HIDDEN_SECONDS: Final = 0.25

_MAX_BOX_BYTES: Final = 8 * 1024 * 1024
_MAX_BOXES: Final = 20_000
_CONTAINERS: Final = frozenset({b"trak", b"mdia", b"minf", b"stbl", b"edts"})
_AUDIO: Final = {"mp4a": "aac", "ac-3": "ac3", "ec-3": "eac3", "Opus": "opus", "fLaC": "flac", ".mp3": "mp3"}
_AAC_OBJECT_TYPES: Final = frozenset({0x40, 0x66, 0x67, 0x68})
_UPRIGHT: Final = (1, 0, 0, 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipFacts:
    """Facts of one clip.

    Attributes:
        mime_type: Of the container, from the bytes.
        width: As shown, in pixels: turned, and with the shape of the pixels applied.
        fps: Frames per second; the average when `is_steady` is false.
        is_steady: Whether all frames last equally long; None when that is not known.
        video_profile: H.264 profile number, None when it is not H.264 or not known.
        audio_codec: None without sound, "unknown" when the file has sound that it does not describe.
        is_upright: Whether it is shown as it is stored; false when players turn or mirror it.
        is_uncut: Whether everything stored is shown; false when an edit list hides or delays some of it.
        has_square_pixels: Whether a pixel is as wide as high.
    """

    mime_type: str
    size_bytes: int
    duration_seconds: float | None
    width: int | None
    height: int | None
    fps: float | None
    video_codec: str | None
    audio_codec: str | None
    is_steady: bool | None = True
    video_profile: int | None = None
    is_upright: bool = True
    is_uncut: bool = True
    has_square_pixels: bool = True


async def read_clip(path: Path, executable: str | None) -> ClipFacts:
    """Read the facts of a clip.

    Args:
        path: The file.
        executable: ffmpeg, for containers other than MP4 and QuickTime; without it only the container is known.

    Raises:
        MediaError: It is no video that can be read.
    """
    facts = await anyio.to_thread.run_sync(_read_without_ffmpeg, path)
    if executable is None or facts.mime_type in BOXED:
        return facts
    return _from_clip(await open_clip(path, executable, needs="video"), facts)


def _read_without_ffmpeg(path: Path) -> ClipFacts:
    try:
        with path.open("rb") as file:
            mime_type = sniff(file.read(SNIFF_BYTES))
            size_bytes = file.seek(0, 2)
    except OSError as error:
        raise MediaError(f"{path.name} cannot be read: {error.strerror or 'input/output error'}.") from error
    if mime_type not in VIDEO_TYPES:
        raise MediaError(
            f"{path.name} is no video that can be used ({mime_type or 'unknown format'}).",
            hint="MP4, MOV, WebM, MKV and AVI are understood.",
            code="unreadable_media",
        )
    if mime_type in BOXED:
        return _from_boxes(path, mime_type, size_bytes)
    return ClipFacts(
        mime_type=mime_type,
        size_bytes=size_bytes,
        duration_seconds=None,
        width=None,
        height=None,
        fps=None,
        video_codec=None,
        audio_codec=None,
        is_steady=None,
    )


def _from_boxes(path: Path, mime_type: str, size_bytes: int) -> ClipFacts:
    basic = read_mp4(path)
    try:
        with path.open("rb") as file:
            tracks = _read_tracks(file)
    except (OSError, struct.error, IndexError, ZeroDivisionError, RecursionError) as error:
        raise MediaError(
            f"{path.name} is not a readable video: one of its boxes is damaged.", code="unreadable_media"
        ) from error
    video = next((track for track in tracks if track.handler == b"vide"), None)
    if video is None:
        raise MediaError(f"{path.name} has no picture.", code="unreadable_media")
    sound = next((track for track in tracks if track.handler == b"soun"), None)
    facts = ClipFacts(
        mime_type=mime_type,
        size_bytes=size_bytes,
        duration_seconds=basic.duration_seconds,
        width=basic.width,
        height=basic.height,
        fps=basic.fps,
        video_codec=basic.video_codec,
        audio_codec=(sound.codec if sound else "unknown") if basic.has_audio else None,
        is_steady=_is_steady(video.deltas) if video.deltas else None,
        video_profile=video.profile,
        is_upright=video.matrix == _UPRIGHT,
        is_uncut=video.is_uncut,
        has_square_pixels=video.pixel_shape[0] == video.pixel_shape[1],
    )
    return _stretched(facts, basic, video)


def _stretched(facts: ClipFacts, basic: Mp4Facts, video: "_Track") -> ClipFacts:
    horizontal, vertical = video.pixel_shape
    if facts.has_square_pixels or not horizontal or not vertical or not basic.width or not basic.height:
        return facts
    if video.matrix[0] == 0 == video.matrix[3]:
        return replace(facts, height=round(basic.height * horizontal / vertical))
    return replace(facts, width=round(basic.width * horizontal / vertical))


def _is_steady(deltas: list[tuple[int, int]]) -> bool:
    """Whether frames last equally long, but for rounding and for the last one, which writers cut or stretch."""
    frames = sum(count for count, _ in deltas)
    usual = max(deltas, key=lambda entry: entry[0])[1]
    odd = sum(count for count, delta in deltas if abs(delta - usual) > 1)
    return odd == 0 or (frames > 1 and odd == 1 and abs(deltas[-1][1] - usual) > 1)


@dataclass(slots=True)
class _Track:
    handler: bytes = b""
    codec: str = "unknown"
    profile: int | None = None
    timescale: int = 0
    matrix: tuple[int, int, int, int] = _UPRIGHT
    pixel_shape: tuple[int, int] = (1, 1)
    deltas: list[tuple[int, int]] = field(default_factory=list)
    edits: list[tuple[int, int]] = field(default_factory=list)
    description: bytes = b""

    @property
    def is_uncut(self) -> bool:
        if len(self.edits) > 1:
            return False
        hidden = self.edits[0][1] if self.edits else 0
        return 0 <= hidden <= MAX_HIDDEN_SECONDS * max(self.timescale, 1)

    def describe(self) -> None:
        """Read the sample description, once the kind of the track is known."""
        code = self.description[12:16].decode("latin-1")
        if self.handler == b"vide":
            self.profile, self.pixel_shape = _picture_description(self.description)
        elif self.handler == b"soun":
            self.codec = _AUDIO.get(code, code.strip() or "unknown")
            if self.codec == "aac" and not _is_aac(self.description):
                self.codec = "mp3 or another sound than AAC"


def _read_tracks(file: BinaryIO) -> list[_Track]:
    size = file.seek(0, 2)
    tracks: list[_Track] = []
    budget = [_MAX_BOXES]
    for kind, start, end in _boxes(file, 0, size, budget):
        if kind == b"moov":
            for inner, inner_start, inner_end in _boxes(file, start, end, budget):
                if inner == b"trak" and len(tracks) < 64:
                    tracks.append(_Track())
                    _fill(file, (inner_start, inner_end), tracks[-1], budget)
                    tracks[-1].describe()
                    if tracks[-1].handler != b"vide":
                        tracks[-1].deltas = []  # only those of a picture are looked at, and they may be a million
            break
    return tracks


def _boxes(file: BinaryIO, at: int, end: int, budget: list[int]) -> Iterator[tuple[bytes, int, int]]:
    while at + 8 <= end and budget[0] > 0:
        budget[0] -= 1
        file.seek(at)
        size, kind = struct.unpack(">I4s", file.read(8))
        start = at + 8
        if size == 1:
            size = int.from_bytes(file.read(8), "big")
            start += 8
        stop = end if size == 0 else at + size
        if stop < start or stop > end:
            return
        yield kind, start, stop
        at = stop


def _fill(file: BinaryIO, span: tuple[int, int], track: _Track, budget: list[int]) -> None:
    for kind, start, end in _boxes(file, *span, budget):
        if kind in _CONTAINERS:
            _fill(file, (start, end), track, budget)
        elif kind in _READERS and end - start <= _MAX_BOX_BYTES:
            file.seek(start)
            _READERS[kind](track, file.read(end - start))


def _read_header(track: _Track, data: bytes) -> None:
    a, b, _, c, d = struct.unpack_from(">iiiii", data, 40 + (12 if data[0] == 1 else 0))
    track.matrix = (_sign(a), _sign(b), _sign(c), _sign(d))


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)


def _read_media_header(track: _Track, data: bytes) -> None:
    (track.timescale,) = struct.unpack_from(">I", data, 20 if data[0] == 1 else 12)


def _read_handler(track: _Track, data: bytes) -> None:
    # QuickTime has a second one, in minf, that names the kind of the data reference.
    if data[8:12] in {b"vide", b"soun"}:
        track.handler = data[8:12]


def _read_times(track: _Track, data: bytes) -> None:
    entries = data[8 : 8 + 8 * min(int.from_bytes(data[4:8], "big"), len(data) // 8 - 1)]
    track.deltas = [(count, delta) for count, delta in struct.iter_unpack(">II", entries) if count]


def _read_edits(track: _Track, data: bytes) -> None:
    form = ">Qqi" if data[0] == 1 else ">Iii"
    step = struct.calcsize(form)
    count = min(int.from_bytes(data[4:8], "big"), (len(data) - 8) // step)
    track.edits = [(length, start) for length, start, _ in struct.iter_unpack(form, data[8 : 8 + count * step])]


def _read_description(track: _Track, data: bytes) -> None:
    track.description = data


_READERS: Final = {
    b"tkhd": _read_header,
    b"mdhd": _read_media_header,
    b"hdlr": _read_handler,
    b"stts": _read_times,
    b"elst": _read_edits,
    b"stsd": _read_description,
}


def _picture_description(data: bytes) -> tuple[int | None, tuple[int, int]]:
    """Profile and shape of the pixels, from the boxes behind the fixed part of the description."""
    profile: int | None = None
    shape = (1, 1)
    at = 8 + 86
    end = min(len(data), 8 + int.from_bytes(data[8:12], "big"))
    while at + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, at)
        if size < 8:
            break
        if kind == b"avcC":
            profile = data[at + 9]
        elif kind == b"pasp":
            shape = struct.unpack_from(">II", data, at + 8)
        at += size
    return profile, shape


def _is_aac(data: bytes) -> bool:
    at = data.find(b"esds")
    if at < 0:
        return True
    # Descriptors 3 and 4: each a tag and a length of one to four bytes; then comes the kind of the sound.
    at = data.find(b"\x04", at + 12)
    while 0 <= at < len(data) - 2 and data[at + 1] & 0x80:
        at += 1
    return at < 0 or data[at + 2] in _AAC_OBJECT_TYPES


def _from_clip(clip: Clip, facts: ClipFacts) -> ClipFacts:
    assert clip.video is not None
    return replace(
        facts,
        duration_seconds=float(clip.seconds),
        width=clip.width,
        height=clip.height,
        fps=round(float(clip.fps), 4) if clip.fps else None,
        is_steady=clip.is_steady,
        video_codec=clip.video.value("codec_id") or None,
        audio_codec=(clip.audio.value("codec_id") or "unknown") if clip.audio else None,
        # Either turned or with pixels that are not square: both mean that it is not stored as it is shown.
        is_upright=clip.is_plain,
    )
