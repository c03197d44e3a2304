"""Facts of an MP4 file, read from its boxes without decoding it.

Only the small boxes that carry facts are read, so a file of gigabytes costs a few kilobytes; counts and sizes are
capped so that a hostile file cannot make the reader work for long.
Source: ISO/IEC 14496-12, chapter 8 (checked 2026-11-21).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, Final

from mediagen.errors import MediaError

MAX_BOXES: Final = 200_000
MAX_LEAF_BYTES: Final = 8 * 1024 * 1024
MAX_TOTAL_BYTES: Final = 64 * 1024 * 1024
MAX_TRACKS: Final = 64
# Films of phones, whose frames come as they can, have some hundreds.
MAX_FRAME_LENGTHS: Final = 50_000

_UNKNOWN_DURATIONS = frozenset({0, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF})
_USUAL_RATES = (*map(Fraction, (24, 25, 30, 50, 60)), *(Fraction(n * 1000, 1001) for n in (24, 30, 60)))
_CODECS = {
    "avc1": "h264",
    "avc3": "h264",
    "hvc1": "hevc",
    "hev1": "hevc",
    "av01": "av1",
    "vp08": "vp8",
    "vp09": "vp9",
    "mp4v": "mpeg4",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Mp4Facts:
    """What the boxes of an MP4 file say.

    Attributes:
        duration_seconds: Length of the presentation, or None when the file does not say.
        width: Of the picture as shown (rotation applied), in pixels; None without a video track.
        fps: Frames per second of the video track; exact for a constant frame rate.
        video_codec: ``h264``, ``hevc``, …, or the four characters of the file when they are not known.
    """

    duration_seconds: float | None
    width: int | None
    height: int | None
    fps: float | None
    has_audio: bool
    video_codec: str | None


@dataclass(frozen=True, slots=True)
class _Box:
    kind: bytes
    start: int
    end: int


@dataclass(slots=True)
class _Track:
    track_id: int = 0
    handler: bytes = b""
    timescale: int = 0
    duration: int = 0
    width: int = 0
    height: int = 0
    codec: str | None = None
    deltas: dict[int, int] = field(default_factory=dict)
    default_delta: int = 0

    def add(self, count: int, delta: int) -> None:
        if count:
            self.deltas[delta] = self.deltas.get(delta, 0) + count

    @property
    def ticks(self) -> int:
        return sum(count * delta for delta, count in self.deltas.items())

    @property
    def seconds(self) -> Fraction | None:
        # In a fragmented file the header may speak of the first fragment only.
        ticks = max(self.duration, self.ticks)
        return Fraction(ticks, self.timescale) if ticks and self.timescale else None

    @property
    def fps(self) -> float | None:
        frames, ticks = sum(self.deltas.values()), self.ticks
        if not frames or not ticks or not self.timescale:
            return None
        usual = max(self.deltas, key=lambda delta: self.deltas[delta])
        steady = {delta: count for delta, count in self.deltas.items() if abs(delta - usual) <= 1}
        # Writers often stretch or cut the last frame; that does not change the rate of the clip.
        if usual and frames > 1 and sum(steady.values()) >= frames - 1:
            return round(float(_steady_rate(steady, self.timescale)), 4)
        return round(float(Fraction(frames * self.timescale, ticks)), 4)


def _steady_rate(deltas: dict[int, int], timescale: int) -> Fraction:
    """Rate of frames whose lengths differ by rounding at most."""
    frames = sum(deltas.values())
    ticks = sum(count * delta for delta, count in deltas.items())
    rate = Fraction(frames * timescale, ticks)
    if len(deltas) == 1:
        return rate
    nearest = min(_USUAL_RATES, key=lambda usual: abs(usual - rate))
    # Start and end of the clip are rounded to whole ticks as well.
    return nearest if abs(nearest - rate) <= rate / ticks else rate


def read_mp4(path: Path) -> Mp4Facts:
    """Read the facts of an MP4 or QuickTime file.

    Raises:
        MediaError: The file is no MP4, is truncated, or is built in a way that no player would read.
    """
    try:
        with path.open("rb") as file:
            return _Reader(file, path.name).facts()
    except OSError as error:
        raise MediaError(f"{path.name} cannot be read: {error.strerror or 'input/output error'}.") from error
    except (struct.error, IndexError) as error:
        raise _broken(path.name, "a box is shorter than its contents") from error


def _broken(name: str, why: str) -> MediaError:
    return MediaError(
        f"{name} is not a readable MP4 video: {why}.",
        hint="It may be cut off; download or export it again.",
        code="unreadable_media",
    )


class _Reader:
    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self._name = name
        self._size = file.seek(0, 2)
        self._boxes_left = MAX_BOXES
        self._bytes_left = MAX_TOTAL_BYTES
        self._tracks: list[_Track] = []
        self._movie_seconds: Fraction | None = None
        self._is_fragmented = False

    def facts(self) -> Mp4Facts:
        fragments: list[_Box] = []
        seen: set[bytes] = set()
        for box in self._children(_Box(b"file", 0, self._size)):
            if box.kind == b"moov" and b"moov" not in seen:
                self._read_movie(box)
            elif box.kind == b"moof":
                fragments.append(box)
            seen.add(box.kind)
        if b"moov" not in seen:
            raise self._fail("it has no moov box")
        if not self._tracks:
            raise self._fail("it has no tracks")
        self._is_fragmented = bool(fragments)
        for fragment in fragments:
            self._read_fragment(fragment)
        return self._summary()

    def _summary(self) -> Mp4Facts:
        video = next((track for track in self._tracks if track.handler == b"vide"), None)
        seconds = self._movie_seconds
        if seconds is None or self._is_fragmented:
            seconds = max((t.seconds for t in self._tracks if t.seconds), default=seconds)
        return Mp4Facts(
            duration_seconds=round(float(seconds), 6) if seconds else None,
            width=(video.width or None) if video else None,
            height=(video.height or None) if video else None,
            fps=video.fps if video else None,
            has_audio=any(track.handler == b"soun" for track in self._tracks),
            video_codec=video.codec if video else None,
        )

    def _fail(self, why: str) -> MediaError:
        return _broken(self._name, why)

    def _children(self, parent: _Box) -> Iterator[_Box]:
        at = parent.start
        while at + 8 <= parent.end:
            self._boxes_left -= 1
            if self._boxes_left < 0:
                raise self._fail("it has too many boxes")
            box, at = self._box_at(at, parent)
            yield box

    def _box_at(self, at: int, parent: _Box) -> tuple[_Box, int]:
        header = self._read(at, 8)
        size, kind = struct.unpack(">I4s", header)
        start = at + 8
        if size == 1:
            size = int.from_bytes(self._read(start, 8), "big")
            start += 8
        elif size == 0:
            size = parent.end - at
        end = at + size
        if end < start:
            raise self._fail("a box has an impossible size")
        if end > parent.end:
            raise self._fail("it ends before its data does" if parent.end == self._size else "a box is too large")
        return _Box(kind, start, end), end

    def _read(self, at: int, count: int) -> bytes:
        self._bytes_left -= count
        if self._bytes_left < 0:
            raise self._fail("its tables are too large")
        self._file.seek(at)
        found = self._file.read(count)
        if len(found) < count:
            raise self._fail("it ends before its data does")
        return found

    def _payload(self, box: _Box) -> bytes:
        if box.end - box.start > MAX_LEAF_BYTES:
            raise self._fail("one of its tables is too large")
        return self._read(box.start, box.end - box.start)

    def _read_movie(self, moov: _Box) -> None:
        for box in self._children(moov):
            match box.kind:
                case b"mvhd":
                    timescale, duration = _times(self._payload(box))
                    if timescale and duration:
                        self._movie_seconds = Fraction(duration, timescale)
                case b"trak":
                    if len(self._tracks) >= MAX_TRACKS:
                        raise self._fail("it has too many tracks")
                    self._tracks.append(self._read_track(box))
                case b"mvex":
                    self._read_extends(box)

    def _read_extends(self, mvex: _Box) -> None:
        for box in self._children(mvex):
            if box.kind == b"trex":
                track_id, _, delta = struct.unpack_from(">III", self._payload(box), 4)
                for track in self._tracks:
                    if track.track_id == track_id:
                        track.default_delta = delta

    def _read_track(self, trak: _Box) -> _Track:
        track = _Track()
        rotated = False
        shown = (0, 0)
        for box in self._children(trak):
            if box.kind == b"tkhd":
                track.track_id, shown, rotated = _track_header(self._payload(box))
            elif box.kind == b"mdia":
                self._read_media(box, track)
        if not track.width or not track.height:
            track.width, track.height = shown
        if rotated:
            track.width, track.height = track.height, track.width
        return track

    def _read_media(self, mdia: _Box, track: _Track) -> None:
        tables = None
        for box in self._children(mdia):
            match box.kind:
                case b"mdhd":
                    track.timescale, track.duration = _times(self._payload(box))
                case b"hdlr":
                    track.handler = self._payload(box)[8:12]
                case b"minf":
                    tables = next((inner for inner in self._children(box) if inner.kind == b"stbl"), None)
        # hdlr says what the sample description means, and may come after it.
        for box in self._children(tables) if tables else ():
            if box.kind == b"stts":
                self._read_sample_times(box, track)
            elif box.kind == b"stsd" and track.handler == b"vide":
                self._read_sample_description(box, track)

    def _read_sample_times(self, stts: _Box, track: _Track) -> None:
        payload = self._payload(stts)
        (entries,) = struct.unpack_from(">I", payload, 4)
        if len(payload) - 8 < entries * 8:
            raise self._fail("its table of frames is cut off")
        for count, delta in struct.iter_unpack(">II", payload[8 : 8 + entries * 8]):
            self._add(track, count, delta)

    def _read_sample_description(self, stsd: _Box, track: _Track) -> None:
        payload = self._read(stsd.start, min(stsd.end - stsd.start, 64))
        code = payload[12:16].decode("latin-1").strip()
        track.codec = _CODECS.get(code, code if code.isprintable() else None)
        track.width, track.height = struct.unpack_from(">HH", payload, 40)

    def _read_fragment(self, moof: _Box) -> None:
        for box in self._children(moof):
            if box.kind == b"traf":
                self._read_track_fragment(box)

    def _read_track_fragment(self, traf: _Box) -> None:
        track: _Track | None = None
        default = 0
        for box in self._children(traf):
            if box.kind == b"tfhd":
                track_id, delta = _fragment_header(self._payload(box))
                track = next((t for t in self._tracks if t.track_id == track_id), None)
                default = (track.default_delta if track else 0) if delta is None else delta
            elif box.kind == b"trun" and track:
                self._read_run(box, track, default)

    def _read_run(self, trun: _Box, track: _Track, default: int) -> None:
        head = self._read(trun.start, 8)
        flags, samples = int.from_bytes(head[1:4], "big"), int.from_bytes(head[4:8], "big")
        if not flags & 0x100:
            track.add(samples, default)
            return
        step = 4 * sum(bool(flags & bit) for bit in (0x100, 0x200, 0x400, 0x800))
        offset = 8 + 4 * sum(bool(flags & bit) for bit in (0x1, 0x4))
        payload = self._payload(trun)
        if len(payload) < offset + samples * step:
            raise self._fail("its table of frames is cut off")
        for at in range(offset, offset + samples * step, step):
            self._add(track, 1, int.from_bytes(payload[at : at + 4], "big"))

    def _add(self, track: _Track, count: int, delta: int) -> None:
        track.add(count, delta)
        if len(track.deltas) > MAX_FRAME_LENGTHS:
            raise self._fail("its frames are of too many different lengths")


def _times(payload: bytes) -> tuple[int, int]:
    """Timescale and duration of an mvhd or mdhd box; a duration that means "unknown" becomes 0."""
    timescale, duration = struct.unpack_from(">IQ", payload, 20) if payload[0] == 1 else _short_times(payload)
    return timescale, 0 if duration in _UNKNOWN_DURATIONS else duration


def _short_times(payload: bytes) -> tuple[int, int]:
    timescale, duration = struct.unpack_from(">II", payload, 12)
    return timescale, duration


def _track_header(payload: bytes) -> tuple[int, tuple[int, int], bool]:
    """Track id, size as shown, and whether the picture is turned by a quarter."""
    longer = 12 if payload[0] == 1 else 0
    (track_id,) = struct.unpack_from(">I", payload, 12 + (8 if longer else 0))
    a, b, _, c, d = struct.unpack_from(">iiiii", payload, 40 + longer)
    width, height = struct.unpack_from(">II", payload, 76 + longer)
    return track_id, (width >> 16, height >> 16), a == 0 and d == 0 and b != 0 and c != 0


def _fragment_header(payload: bytes) -> tuple[int, int | None]:
    """Track id and default frame length of a tfhd box, None when it has none."""
    flags = int.from_bytes(payload[1:4], "big")
    (track_id,) = struct.unpack_from(">I", payload, 4)
    if not flags & 0x8:
        return track_id, None
    offset = 8 + (8 if flags & 0x1 else 0) + (4 if flags & 0x2 else 0)
    return track_id, struct.unpack_from(">I", payload, offset)[0]
