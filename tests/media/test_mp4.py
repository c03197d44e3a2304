import os
import random
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mediagen.errors import MediaError
from mediagen.media import mp4
from mediagen.media.mp4 import read_mp4

DATA = Path(__file__).parents[1] / "data"
MakeClip = Callable[..., Path]


@pytest.fixture
def make_clip(ffmpeg: str, tmp_path: Path) -> MakeClip:
    def make(name: str = "clip.mp4", *, rate: str = "24", seconds: int = 1, more: tuple[str, ...] = ()) -> Path:
        path = tmp_path / name
        source = ["-f", "lavfi", "-i", f"testsrc=size=64x48:rate={rate}:duration={seconds}"]
        command = [ffmpeg, "-v", "error", "-y", *source, "-c:v", "libx264", "-pix_fmt", "yuv420p", *more, str(path)]
        subprocess.run(command, check=True)
        return path

    return make


def box(kind: bytes, *contents: bytes) -> bytes:
    payload = b"".join(contents)
    return struct.pack(">I4s", len(payload) + 8, kind) + payload


def test_read_mp4_measures_a_real_film() -> None:
    facts = read_mp4(DATA / "bigbuckbunny.mp4")
    assert (facts.width, facts.height, facts.fps, facts.has_audio) == (1280, 720, 25.0, True)
    assert facts.video_codec == "h264"
    assert facts.duration_seconds == pytest.approx(5.28, abs=0.05)


@pytest.mark.parametrize(("rate", "fps"), [("24", 24.0), ("24000/1001", 23.976), ("30000/1001", 29.97), ("30", 30.0)])
@pytest.mark.parametrize("timescale", [None, "600", "1000"])
def test_read_mp4_tells_close_frame_rates_apart(
    make_clip: MakeClip, rate: str, fps: float, timescale: str | None
) -> None:
    more = ["-video_track_timescale", timescale] if timescale else []
    facts = read_mp4(make_clip(rate=rate, seconds=4, more=more))
    assert facts.fps == pytest.approx(fps, abs=0.0005)
    assert facts.has_audio is False


def test_read_mp4_of_exactly_24_frames_per_second_is_exact(make_clip: MakeClip) -> None:
    assert read_mp4(make_clip(rate="24")).fps == 24.0


def test_read_mp4_finds_the_facts_before_and_behind_the_data(make_clip: MakeClip) -> None:
    behind = make_clip("behind.mp4", seconds=2)
    before = make_clip("before.mp4", seconds=2, more=["-movflags", "+faststart"])
    assert behind.read_bytes().index(b"moov") > behind.read_bytes().index(b"mdat")
    assert before.read_bytes().index(b"moov") < before.read_bytes().index(b"mdat")
    assert read_mp4(behind) == read_mp4(before)


@pytest.mark.parametrize(
    "flags", ["+frag_keyframe+empty_moov", "+frag_keyframe+empty_moov+default_base_moof", "+frag_keyframe"]
)
def test_read_mp4_adds_up_fragments(make_clip: MakeClip, flags: str) -> None:
    facts = read_mp4(make_clip(seconds=3, more=["-g", "12", "-movflags", flags]))
    assert (facts.width, facts.height, facts.fps) == (64, 48, 24.0)
    assert facts.duration_seconds == pytest.approx(3.0, abs=0.05)


def test_read_mp4_turns_the_size_of_a_rotated_film(make_clip: MakeClip, ffmpeg: str, tmp_path: Path) -> None:
    turned = tmp_path / "turned.mp4"
    clip = make_clip()
    subprocess.run([ffmpeg, "-v", "error", "-display_rotation", "90", "-i", clip, "-c", "copy", turned], check=True)
    facts = read_mp4(turned)
    assert (facts.width, facts.height) == (48, 64)


def test_read_mp4_reads_64_bit_sizes(tmp_path: Path) -> None:
    content = (DATA / "bigbuckbunny.mp4").read_bytes()
    at = content.index(b"mdat") - 4
    (size,) = struct.unpack_from(">I", content, at)
    large = struct.pack(">I4sQ", 1, b"mdat", size + 8)
    copy = tmp_path / "large.mp4"
    copy.write_bytes(content[:at] + large + content[at + 8 :])
    assert read_mp4(copy) == read_mp4(DATA / "bigbuckbunny.mp4")


def test_read_mp4_does_not_read_the_data_of_a_huge_file(make_clip: MakeClip) -> None:
    clip = make_clip(more=["-movflags", "+faststart"])
    facts = read_mp4(clip)
    with clip.open("r+b") as file:
        file.seek(0, os.SEEK_END)
        file.write(struct.pack(">I4sQ", 1, b"free", 3 * 1024**3))
        file.truncate(file.tell() - 16 + 3 * 1024**3)
    assert read_mp4(clip) == facts


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_read_mp4_refuses_a_film_that_is_cut_off(tmp_path: Path, share: float) -> None:
    content = (DATA / "bigbuckbunny.mp4").read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(MediaError, match=r"cut.mp4 is not a readable MP4"):
        read_mp4(cut)


@pytest.mark.parametrize(
    "content",
    [
        b"not a film at all, only words",
        box(b"ftyp", b"isom\0\0\0\0") + box(b"moov"),
        box(b"ftyp", b"isom\0\0\0\0") + box(b"moov", box(b"mvhd", b"\0")),
        box(b"ftyp", b"isom\0\0\0\0") + box(b"moov", box(b"trak", box(b"tkhd", b"\0" * 8))),
        box(b"ftyp", b"isom\0\0\0\0") + box(b"moov", struct.pack(">I4s", 4, b"trak")),
        box(b"moov", struct.pack(">I4s", 99_999, b"trak")),
        box(b"moov", box(b"trak", box(b"mdia", box(b"minf", box(b"stbl", box(b"stts", b"\0" * 4 + b"\xff" * 4)))))),
        box(b"moov", box(b"trak", box(b"mdia", box(b"hdlr", b"")))) + struct.pack(">I4sQ", 1, b"mdat", 2**64 - 1),
    ],
)
def test_read_mp4_refuses_damaged_boxes(tmp_path: Path, content: bytes) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(content)
    with pytest.raises(MediaError, match=r"not a readable MP4"):
        read_mp4(broken)


def test_read_mp4_stops_at_too_many_boxes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mp4, "MAX_BOXES", 1000)
    many = tmp_path / "many.mp4"
    many.write_bytes(box(b"free") * 2000)
    with pytest.raises(MediaError, match=r"too many boxes"):
        read_mp4(many)


def test_read_mp4_stops_at_too_large_tables(tmp_path: Path) -> None:
    large = tmp_path / "large.mp4"
    size = 9 * 1024 * 1024
    head = struct.pack(">I4s", size + 16, b"moov") + struct.pack(">I4s", size + 8, b"mvhd")
    with large.open("wb") as file:
        file.write(head)
        file.truncate(size + 16)
    with pytest.raises(MediaError, match=r"too large"):
        read_mp4(large)


def test_read_mp4_says_when_the_file_is_gone(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"gone.mp4 cannot be read"):
        read_mp4(Path(tmp_path / "gone.mp4"))


def test_read_mp4_of_any_damaged_copy_answers_or_refuses(tmp_path: Path) -> None:
    content = bytearray((DATA / "bigbuckbunny.mp4").read_bytes())
    start = content.index(b"moov") - 4
    (size,) = struct.unpack_from(">I", content, start)
    shuffled = random.Random(7)
    copy = tmp_path / "damaged.mp4"
    for _ in range(150):
        damaged = bytearray(content)
        for _ in range(8):
            damaged[start + shuffled.randrange(size)] = shuffled.randrange(256)
        copy.write_bytes(damaged)
        try:
            read_mp4(copy)
        except MediaError:
            continue
