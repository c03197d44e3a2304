"""What a video or sound file holds, packet by packet, from ffmpeg: exact times for exact cuts."""

import bisect
import re
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Final

import anyio

from mediagen.errors import MediaError
from mediagen.media.ffmpeg import MAX_FILE_BYTES, MAX_THREADS, execute_ffmpeg
from mediagen.media.mp4 import read_mp4
from mediagen.media.probe import BOXED_TYPES, read_head
from mediagen.media.sniff import sniff

MAX_SIDE: Final = 4096
MAX_SECONDS: Final = 600.0
MAX_VIDEO_PACKETS: Final = 600 * 240
INSPECT_SECONDS: Final = 60.0
# A little more than is allowed, to see that it is more.
INSPECTED_SECONDS: Final = MAX_SECONDS + 5
_BANNER_BYTES: Final = 256 * 1024

# A playlist or a list of files is in none of these formats, so it can never name other files for ffmpeg to read.
DEMUXERS: Final = {
    **dict.fromkeys(BOXED_TYPES, "mov"),
    "video/webm": "matroska",
    "video/x-matroska": "matroska",
    "video/x-msvideo": "avi",
    "image/gif": "gif",
    "audio/wav": "wav",
    "audio/mpeg": "mp3",
    "audio/flac": "flac",
    "audio/ogg": "ogg",
    "audio/aac": "aac",
}
_HEADER = re.compile(r"#(\w+) (\d): +(.*)")
_MAPPED = re.compile(r"^  Stream #0:(\d+) -> #0:(\d)", re.MULTILINE)
_ROTATION = re.compile(r"display ?matrix: rotation of (-?\d+(?:\.\d+)?) degrees", re.IGNORECASE)
_DURATION = re.compile(r"^  Duration: (\d+):(\d\d):(\d\d\.\d+)", re.MULTILINE)
_MOSTLY = 0.95
_USUAL_RATES = (*map(Fraction, (24, 25, 30, 48, 50, 60, 120)), *(Fraction(n * 1000, 1001) for n in (24, 30, 60)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Track:
    """One stream of a file.

    Attributes:
        index: Its number in the file, for ffmpeg.
        header: What ffmpeg says of its coding; equal headers can be joined without coding anew.
        starts: When each packet is shown or heard, in ticks, in order.
        end: End of the last packet, in ticks.
    """

    index: int
    header: tuple[tuple[str, str], ...]
    time_base: Fraction
    starts: tuple[int, ...]
    end: int

    def value(self, key: str) -> str:
        """Give one value of the header, or an empty text."""
        return dict(self.header).get(key, "")


@dataclass(frozen=True, kw_only=True, slots=True)
class Clip:
    """A file that ffmpeg reads.

    Attributes:
        seconds: Length of the picture, or of the sound when there is no picture.
        width: As shown: square pixels, rotation applied. None without a picture.
        fps: Of a constant frame rate, or the mean of a variable one.
    """

    path: Path
    demuxer: str
    seconds: Fraction
    video: Track | None = None
    audio: Track | None = None
    width: int | None = None
    height: int | None = None
    fps: Fraction | None = None
    is_steady: bool = False
    is_plain: bool = True

    @property
    def input_arguments(self) -> list[str]:
        """Arguments that open it, with its format forced and nothing else reachable."""
        return [*guarded_input(self.demuxer), "-i", f"file:{self.path}"]

    def frame_at(self, seconds: Fraction) -> int:
        """Number of the frame that is shown at a moment."""
        assert self.video is not None
        ticks = seconds / self.video.time_base + Fraction(1, 2)
        return max(0, bisect.bisect_right(self.video.starts, ticks) - 1)

    def start_of(self, frame: int) -> Fraction:
        """When a frame begins; for the one after the last, when the last ends."""
        assert self.video is not None
        starts = self.video.starts
        ticks = starts[frame] if frame < len(starts) else self.video.end
        return ticks * self.video.time_base


def guarded_input(demuxer: str) -> list[str]:
    """Options before each input: its one format, local files only, few threads, no huge frames."""
    guards = ["-protocol_whitelist", "file,pipe", "-threads", str(MAX_THREADS)]
    return [*guards, "-max_pixels", str(MAX_SIDE * MAX_SIDE), "-f", demuxer]


async def open_clip(path: Path, ffmpeg: str, *, needs: str) -> Clip:
    """Read the packets' times of a file and check it against the limits.

    Args:
        path: A file of this machine.
        ffmpeg: The executable.
        needs: ``video`` or ``audio``: the stream without which the file is refused.

    Raises:
        MediaError: It is no video or sound of a known format, is damaged, cut off or empty, lacks the stream, or is
            larger or longer than allowed.
    """
    real = Path(await anyio.Path(path).absolute())
    demuxer = await anyio.to_thread.run_sync(find_demuxer, real)
    # -map with V leaves out the cover art of music files, which calls itself a video.
    maps = ["-map", "0:V:0?", "-map", "0:a:0?", "-c", "copy", "-t", f"{INSPECTED_SECONDS:g}"]
    maps += ["-f", "framecrc", "pipe:1"]
    arguments = ["-v", "info", "-nostats", *guarded_input(demuxer), "-i", f"file:{real}", *maps]
    try:
        run = await execute_ffmpeg(ffmpeg, arguments, INSPECT_SECONDS, complaint_bytes=_BANNER_BYTES)
    except MediaError as error:
        if error.code == "ffmpeg_failed":
            raise _unreadable(path, "it has neither a readable picture nor sound") from error
        raise
    read = partial(_read_clip, real, demuxer, run.output.decode("ascii", "replace"), run.complaint)
    clip = await anyio.to_thread.run_sync(read)
    _check_limits(clip, needs)
    return clip


def find_demuxer(path: Path) -> str:
    """Name the one format that ffmpeg may read a file as. Blocking.

    Raises:
        MediaError: It cannot be read, is cut off, or is no video or sound of a known format.
    """
    head, size = read_head(path)
    if size > MAX_FILE_BYTES:
        raise _too_large(path, f"it has more than {MAX_FILE_BYTES // 1024**3} GB")
    mime_type = sniff(head)
    if mime_type not in DEMUXERS:
        raise MediaError(f"{path.name} is no video or sound of a known format.", code="unreadable_media")
    if mime_type in BOXED_TYPES:
        read_mp4(path)  # refuses what is cut off, which ffmpeg would play as far as it goes
    return DEMUXERS[mime_type]


def _read_clip(path: Path, demuxer: str, listing: str, banner: str) -> Clip:
    tracks = _read_tracks(listing, {int(b): int(a) for a, b in _MAPPED.findall(banner)})
    video, audio = tracks.get("video"), tracks.get("audio")
    main = video or audio
    if main is None or main.end <= 0:
        raise _unreadable(path, "it has no pictures and no sound, or no length")
    ends = [track.end * track.time_base for track in tracks.values()]
    _check_whole(path, max(ends), banner)
    seconds = main.end * main.time_base
    if video is None:
        return Clip(path=path, demuxer=demuxer, seconds=seconds, audio=audio)
    turn = _ROTATION.search(banner)
    width, height, is_square = _shown_size(video, float(turn[1]) if turn else 0.0)
    fps, is_steady = _rate(video)
    return Clip(
        path=path,
        demuxer=demuxer,
        seconds=seconds,
        video=video,
        audio=audio,
        width=width,
        height=height,
        fps=fps,
        is_steady=is_steady,
        is_plain=is_square and turn is None,
    )


def _read_tracks(listing: str, indexes: dict[int, int]) -> dict[str, Track]:
    headers: dict[int, dict[str, str]] = {}
    packets: dict[int, list[tuple[int, int]]] = {}
    for line in listing.splitlines():
        if line.startswith("#"):
            if found := _HEADER.match(line):
                headers.setdefault(int(found[2]), {})[found[1]] = found[3].strip()
            continue
        stream, _, pts, duration, *_ = (part.strip() for part in line.split(","))
        packets.setdefault(int(stream), []).append((int(pts), int(duration)))
    tracks = {}
    for number, times in packets.items():
        header = headers[number]
        times.sort()
        tracks[header["media_type"]] = Track(
            index=indexes.get(number, number),
            header=tuple(sorted(header.items())),
            time_base=Fraction(header["tb"]),
            starts=tuple(start for start, _ in times),
            end=max(start + max(duration, 0) for start, duration in times[-8:]),
        )
    return tracks


def _check_whole(path: Path, end: Fraction, banner: str) -> None:
    """Compare the length that the file claims with that of its packets."""
    if end > MAX_SECONDS:
        return  # not read to its end
    claim = _DURATION.search(banner)
    if claim and int(claim[1]) * 3600 + int(claim[2]) * 60 + float(claim[3]) > float(end) * 1.1 + 1.0:
        raise _unreadable(path, "it is shorter than it says; it may be cut off")


def _shown_size(video: Track, rotation: float) -> tuple[int, int, bool]:
    width, height = map(int, (video.value("dimensions") or "0x0").split("x"))
    aspect = video.value("sar").split("/")
    above, below = (int(aspect[0]), int(aspect[1])) if len(aspect) == 2 else (1, 1)
    is_square = above == below or above <= 0 or below <= 0
    if not is_square:
        width = max(1, round(width * Fraction(above, below)))
    if round(rotation) % 180 == 90:
        width, height = height, width
    return width, height, is_square


def _rate(video: Track) -> tuple[Fraction, bool]:
    starts = video.starts
    if len(starts) < 2:
        length = (video.end - starts[0]) * video.time_base
        return (min(1 / length, Fraction(60)) if length > 0 else Fraction(24)), True
    mean = (
        Fraction(len(starts) - 1, starts[-1] - starts[0]) / video.time_base if starts[-1] > starts[0] else Fraction(24)
    )
    deltas = [after - before for before, after in pairwise(starts)]
    usual = sorted(deltas)[len(deltas) // 2]
    # Where a tick is nearly as long as a frame, as in AVI, it is a frame that is missing and no rounding.
    rounding = 1 if usual >= 4 else 0
    regular = sum(abs(delta - usual) <= rounding for delta in deltas)
    is_steady = regular == len(deltas)
    if not is_steady and regular >= len(deltas) * _MOSTLY and usual > 0:
        mean = 1 / (usual * video.time_base)
    nearest = min(_USUAL_RATES, key=lambda rate: abs(rate - mean))
    # Times are rounded to whole ticks, to whole milliseconds in WebM.
    return (nearest if abs(nearest - mean) < mean / 2000 else mean.limit_denominator(1001)), is_steady


def _check_limits(clip: Clip, needs: str) -> None:
    name = clip.path.name
    if needs == "video" and clip.video is None:
        raise MediaError(f"{name} has no video stream.", hint="Give a video.", code="no_video")
    if needs == "audio" and clip.audio is None:
        raise MediaError(f"{name} has no sound.", hint="Give a file with sound.", code="no_audio")
    if clip.video is None:
        return
    if not clip.width or not clip.height:
        raise _unreadable(clip.path, "its pictures have no size")
    if max(clip.width, clip.height) > MAX_SIDE:
        raise _too_large(clip.path, f"it has {clip.width}×{clip.height} pixels, at most {MAX_SIDE}×{MAX_SIDE} are read")
    if clip.seconds > MAX_SECONDS:
        raise _too_large(clip.path, f"it lasts longer than {MAX_SECONDS:g} s")
    if len(clip.video.starts) > MAX_VIDEO_PACKETS:
        raise _too_large(clip.path, f"it has more than {MAX_VIDEO_PACKETS} frames")


def _unreadable(path: Path, why: str) -> MediaError:
    return MediaError(
        f"{path.name} is not a readable video or sound: {why}.",
        hint="It may be damaged; download or export it again.",
        code="unreadable_media",
    )


def _too_large(path: Path, why: str) -> MediaError:
    return MediaError(f"{path.name} is too large: {why}.", code="media_too_large")
