import os
import shutil
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import anyio
import pytest

from mediagen.catalog import Catalog
from mediagen.errors import InvalidRequestError, MediaError
from mediagen.media.editing.clip import Clip, open_clip
from mediagen.media.ffmpeg import run_ffmpeg
from mediagen.media.fitting import make_acceptable
from mediagen.media.fitting_facts import ClipFacts, read_clip
from mediagen.media.fitting_join import is_whole_film, join_once
from mediagen.media.fitting_rules import Requirements, choose_frame, judge, requirements_for

DATA = Path(__file__).parent.parent / "data"


def requirements(model: str, mode: str) -> Requirements:
    spec = next(spec for spec in Catalog.load().models() if spec.id == model)
    return requirements_for(spec, mode)


VEO_EXTENSION = requirements("veo-3.1-generate-001", "video_extension")
OMNI_EXTENSION = requirements("gemini-omni-1.2-flash", "video_extension")
OMNI_EDIT = requirements("gemini-omni-1.2-flash", "video_edit")
OMNI_1_1_EDIT = requirements("gemini-omni-1.1-flash", "video_edit")
VEO_SIZES = VEO_EXTENSION.sizes
GOOD = ClipFacts(
    mime_type="video/mp4",
    size_bytes=1_000_000,
    duration_seconds=8.0,
    width=1280,
    height=720,
    fps=24.0,
    video_codec="h264",
    audio_codec="aac",
    video_profile=100,
)
# Small sizes keep the tests quick; the rules are the same.
SMALL = replace(VEO_EXTENSION, sizes=((320, 180), (640, 360), (180, 320), (360, 640)))
X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")

Make = Callable[..., Path]


@pytest.fixture
def make(ffmpeg: str, tmp_path: Path) -> Make:
    """Makes a clip of a counting picture and a tone."""

    def build(
        name: str,
        *options: str,
        size: str = "320x180",
        rate: str = "24",
        seconds: float = 2,
        sound: str | None = "sine=frequency=440:sample_rate=48000",
    ) -> Path:
        import subprocess

        path = tmp_path / name
        inputs = ["-f", "lavfi", "-i", f"testsrc=size={size}:rate={rate}:duration={seconds}"]
        if sound:
            inputs += ["-f", "lavfi", "-t", str(seconds), "-i", sound]
        command = [ffmpeg, "-v", "error", "-y", *inputs, *(options or X264), f"file:{path}"]
        subprocess.run(command, check=True, timeout=30)
        return path

    return build


async def fit(path: Path, ffmpeg: str, requirements: Requirements = SMALL) -> tuple[Path, dict[str, str], Clip]:
    with anyio.fail_after(60):
        fitted = await make_acceptable(path, requirements, folder=path.parent / "kept 🎬", ffmpeg=ffmpeg)
        assert not judge(await read_clip(fitted.path, None), requirements)
        changes = {change.field.removeprefix("video."): change.to_value for change in fitted.changes}
        assert fitted.converted == (fitted.path != path) == bool(changes)
        return fitted.path, changes, await open_clip(fitted.path, ffmpeg, needs="video")


# ---------------------------------------------------------------- rules


@pytest.mark.parametrize("requirements", [VEO_EXTENSION, OMNI_EXTENSION, OMNI_EDIT, OMNI_1_1_EDIT])
def test_judge_accepts_a_clip_as_google_makes_it(requirements: Requirements) -> None:
    assert judge(GOOD, requirements) == ()
    assert judge(replace(GOOD, audio_codec=None, width=720, height=1280), requirements) == ()


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"fps": 23.976}, "fps"),
        ({"fps": 23.98}, "fps"),
        ({"fps": 25.0}, "fps"),
        ({"fps": 24.02}, "fps"),
        ({"fps": None}, "fps"),
        ({"fps": 24.0, "is_steady": False}, "fps"),
        ({"video_codec": "hevc"}, "video_codec"),
        ({"video_codec": None}, "video_codec"),
        ({"video_profile": 110}, "video_profile"),
        ({"audio_codec": "opus"}, "audio_codec"),
        ({"mime_type": "video/quicktime"}, "container"),
        ({"width": 1276}, "size"),
        ({"width": None}, "size"),
        ({"is_upright": False}, "rotation"),
        ({"is_uncut": False}, "edit_list"),
        ({"has_square_pixels": False}, "pixel_shape"),
        ({"duration_seconds": 0.5}, "duration"),
        ({"duration_seconds": 142.0}, "duration"),
        ({"duration_seconds": None}, "duration"),
    ],
)
def test_judge_names_the_one_rule_that_is_broken(change: dict[str, object], rule: str) -> None:
    misfits = judge(replace(GOOD, **change), VEO_EXTENSION)  # type: ignore[arg-type]  # fields of the dataclass
    assert [misfit.rule for misfit in misfits] == [rule]
    assert misfits[0].convertible == (rule != "duration" or change["duration_seconds"] is None)


@pytest.mark.parametrize("fps", [23.991, 24.0, 24.009])
def test_judge_lets_rounding_of_the_rate_pass(fps: float) -> None:
    assert judge(replace(GOOD, fps=fps), VEO_EXTENSION) == ()


def test_judge_knows_the_lengths_of_each_use() -> None:
    def is_refused(seconds: float, requirements: Requirements) -> bool:
        return bool(judge(replace(GOOD, duration_seconds=seconds), requirements))

    assert [is_refused(s, OMNI_EDIT) for s in (2.9, 3.0, 15.0, 15.2)] == [True, False, False, True]
    assert [is_refused(s, OMNI_1_1_EDIT) for s in (10.0, 10.2)] == [False, True]
    assert [is_refused(s, OMNI_EXTENSION) for s in (27.0, 27.2)] == [False, True]
    assert is_refused(8.0, OMNI_EXTENSION) is False
    assert [m.rule for m in judge(replace(GOOD, size_bytes=3 * 1024**3), OMNI_EDIT)] == ["file_size"]


@pytest.mark.parametrize(
    ("size", "expected", "fill"),
    [
        ((1280, 720), (1280, 720), "exact"),
        ((3840, 2160), (1920, 1080), "exact"),  # 4k becomes 1080p
        ((1600, 900), (1280, 720), "exact"),  # never enlarged when a smaller size is there
        ((640, 360), (1280, 720), "exact"),  # nothing smaller is taken
        ((1376, 768), (1280, 720), "crop"),
        ((1918, 1078), (1920, 1080), "exact"),
        ((1440, 1080), (1920, 1080), "pad"),
        ((1000, 1000), (1280, 720), "pad"),
        ((1080, 1350), (1080, 1920), "pad"),
        ((2560, 1080), (1920, 1080), "pad"),
        ((1080, 1920), (1080, 1920), "exact"),
        ((17, 2000), (1080, 1920), "pad"),
    ],
)
def test_choose_frame_takes_the_nearest_size_without_needless_growth(
    size: tuple[int, int], expected: tuple[int, int], fill: str
) -> None:
    frame = choose_frame(*size, VEO_SIZES)
    assert ((frame.width, frame.height), frame.fill) == (expected, fill)


# ---------------------------------------------------------------- real clips


async def test_a_real_25_fps_clip_with_5_1_sound_becomes_24_fps_and_stays_in_step(ffmpeg: str, tmp_path: Path) -> None:
    source = Path(shutil.copy(DATA / "bigbuckbunny.mp4", tmp_path))
    before = source.read_bytes()
    path, changes, clip = await fit(source, ffmpeg, VEO_EXTENSION)
    assert set(changes) == {"fps", "audio_channels"}
    original = await open_clip(source, ffmpeg, needs="video")
    assert clip.audio is not None
    assert original.audio is not None
    assert (clip.fps, clip.is_steady, clip.width, clip.height) == (Fraction(24), True, 1280, 720)
    assert (clip.audio.value("channel_layout_name"), clip.audio.value("sample_rate")) == ("stereo", "48000")
    assert abs(clip.seconds - original.seconds) <= Fraction(1, 24)
    sound = [track.end * track.time_base for track in (clip.audio, original.audio)]
    assert abs(sound[0] - sound[1]) <= Fraction(1, 24)
    assert source.read_bytes() == before
    assert path.read_bytes().index(b"moov") < path.read_bytes().index(b"mdat")


async def test_a_clip_that_fits_is_left_alone_without_ffmpeg(make: Make, tmp_path: Path) -> None:
    path = make("good.mp4")
    fitted = await make_acceptable(path, SMALL, folder=tmp_path / "kept", ffmpeg="/nowhere/ffmpeg")
    assert (fitted.path, fitted.changes, fitted.converted) == (path, (), False)
    assert not (tmp_path / "kept").exists()


async def test_without_ffmpeg_the_error_says_what_would_have_to_be_changed(make: Make, tmp_path: Path) -> None:
    path = make("fast.mp4", rate="30", sound=None)
    with pytest.raises(MediaError, match=r"fps is 30 fps and must be exactly 24 fps") as raised:
        await make_acceptable(path, SMALL, folder=tmp_path, ffmpeg="/nowhere/ffmpeg")
    assert raised.value.code == "ffmpeg_missing"
    assert "Install ffmpeg" in raised.value.hint
    webm = make("a.webm", "-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-an")
    with pytest.raises(MediaError, match=r"container is video/webm"):
        await make_acceptable(webm, SMALL, folder=tmp_path, ffmpeg="/nowhere/ffmpeg")


VP9 = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus")


@pytest.mark.parametrize(
    ("name", "options", "rate", "size", "expected"),
    [
        ("film.mp4", X264, "24000/1001", "320x180", {"fps"}),
        ("fast.mp4", X264, "60", "320x180", {"fps"}),
        ("hevc.mp4", ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none"), "24", "320x180",
         {"video_codec"}),
        ("prores.mov", ("-c:v", "prores_ks", "-c:a", "pcm_s16le"), "24", "320x180",
         {"container", "video_codec", "audio_codec"}),
        ("plain.mov", X264, "24", "320x180", {"container"}),
        ("vp9.webm", VP9, "30", "320x180", {"container", "video_codec", "audio_codec", "fps"}),
        ("h264.mkv", (*X264, "-c:a", "ac3"), "24", "320x180", {"container", "audio_codec"}),
        ("ten bits.mp4", ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le"), "24", "320x180",
         {"video_profile"}),
        ("full.mp4", ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv444p"), "24", "320x180",
         {"video_profile"}),
        ("odd.mp4", ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv444p"), "24", "317x179",
         {"video_profile", "size"}),
        ("square.mp4", X264, "24", "200x200", {"size"}),
        ("tall.mp4", X264, "24", "240x320", {"size"}),
        ("mp3.mp4", (*X264, "-c:a", "libmp3lame"), "24", "320x180", {"audio_codec"}),
        ("anamorphic.mp4", (*X264, "-vf", "setsar=4/3"), "24", "240x180", {"pixel_shape"}),
    ],
)  # fmt: skip
async def test_make_acceptable_mends_what_is_not_as_it_must_be(
    make: Make, ffmpeg: str, name: str, options: Sequence[str], rate: str, size: str, expected: set[str]
) -> None:
    source = make(name, *options, rate=rate, size=size)
    _, changes, clip = await fit(source, ffmpeg)
    assert set(changes) == expected
    assert clip.video is not None
    assert clip.audio is not None
    assert abs(clip.seconds - 2) <= Fraction(1, 24)
    assert clip.video.value("codec_id") == "h264"
    assert clip.audio.value("codec_id") == "aac"


async def test_a_silent_clip_stays_silent(make: Make, ffmpeg: str) -> None:
    _, changes, clip = await fit(make("silent.mp4", rate="25", sound=None), ffmpeg)
    assert set(changes) == {"fps"}
    assert clip.audio is None


async def test_a_quicktime_clip_is_only_repacked(make: Make, ffmpeg: str) -> None:
    source = make("plain.mov", *X264)
    path, _, clip = await fit(source, ffmpeg)
    original = await open_clip(source, ffmpeg, needs="video")
    assert clip.video is not None
    assert original.video is not None
    extract = ["-map", "0:v", "-c", "copy", "-f", "md5", "pipe:1"]
    sums = [await run_ffmpeg(ffmpeg, ["-v", "error", "-i", f"file:{p}", *extract], 20) for p in (source, path)]
    assert sums[0] == sums[1]


async def test_a_variable_rate_becomes_steady_and_keeps_its_length(make: Make, ffmpeg: str) -> None:
    # Half of the frames are dropped in the second half: 24 fps, then 12 fps.
    options = ("-vf", r"select='if(gte(t\,1)\,mod(n\,2)\,1)'", "-fps_mode", "vfr", *X264)
    source = make("phone.mp4", *options)
    assert (await read_clip(source, None)).is_steady is False
    _, changes, clip = await fit(source, ffmpeg)
    assert set(changes) == {"fps"}
    assert clip.is_steady
    assert abs(clip.seconds - 2) <= Fraction(2, 24)


async def test_a_clip_that_players_turn_is_stored_upright(make: Make, ffmpeg: str, tmp_path: Path) -> None:
    lying = make("lying.mp4", size="320x180")
    turned = tmp_path / "turned.mp4"
    arguments = ["-v", "error", "-display_rotation", "90", "-i", f"file:{lying}", "-c", "copy", f"file:{turned}"]
    await run_ffmpeg(ffmpeg, arguments, 20)
    path, changes, clip = await fit(turned, ffmpeg)
    assert set(changes) == {"rotation"}
    assert (clip.width, clip.height) == (180, 320)
    assert (await read_clip(path, None)).is_upright


async def test_a_clip_that_players_cut_is_stored_as_it_is_shown(make: Make, ffmpeg: str, tmp_path: Path) -> None:
    whole = make("whole.mp4", *X264, "-g", "240", seconds=3)
    cut = tmp_path / "cut.mp4"
    # A cut between key frames without coding anew: what lies before is hidden by an edit list.
    await run_ffmpeg(ffmpeg, ["-v", "error", "-ss", "1.5", "-i", f"file:{whole}", "-c", "copy", f"file:{cut}"], 20)
    facts = await read_clip(cut, None)
    assert facts.is_uncut is False
    _, changes, clip = await fit(cut, ffmpeg)
    assert set(changes) == {"edit_list"}
    assert abs(clip.seconds - Fraction(3, 2)) <= Fraction(1, 24)


async def test_sound_that_starts_later_stays_where_it_belongs(make: Make, ffmpeg: str, tmp_path: Path) -> None:
    """A flash of white and a beep at the same moment are at the same moment afterwards."""
    picture = "color=black:size=320x180:rate=25:duration=3,drawbox=t=fill:color=white:enable='between(t,2,2.2)'"
    sound = "sine=frequency=1000:sample_rate=44100:duration=0.2"
    source = tmp_path / "clap.mp4"
    inputs = ["-f", "lavfi", "-i", picture, "-itsoffset", "2", "-f", "lavfi", "-i", sound]
    await run_ffmpeg(ffmpeg, ["-v", "error", *inputs, *X264, "-c:a", "aac", f"file:{source}"], 30)
    path, _, _ = await fit(source, ffmpeg)
    flash, beep = await clap_of(path, ffmpeg)
    assert abs(flash - 2) <= 1 / 24
    assert abs(flash - beep) <= 1 / 24


async def clap_of(path: Path, ffmpeg: str) -> tuple[float, float]:
    opened = ["-v", "error", "-i", f"file:{path}"]
    pixels = ["-map", "0:v", "-vf", "scale=1:1,format=gray", "-f", "rawvideo", "pipe:1"]
    samples = ["-map", "0:a", "-ac", "1", "-ar", "48000", "-f", "s16le", "pipe:1"]
    grey = await run_ffmpeg(ffmpeg, [*opened, *pixels], 20)
    waves = await run_ffmpeg(ffmpeg, [*opened, *samples], 20)
    loud = struct.unpack(f"<{len(waves) // 2}h", waves)
    flash = next(n for n, value in enumerate(grey) if value > 128) / 24
    beep = next(n for n, value in enumerate(loud) if abs(value) > 1000) / 48000
    return flash, beep


# ---------------------------------------------------------------- length


@pytest.mark.parametrize(("name", "options"), [("long.mp4", X264), ("long.webm", (*VP9,))])
@pytest.mark.parametrize(("seconds", "limits"), [(2, (3, 9)), (2, (0.5, 1))])
async def test_a_wrong_length_is_refused_with_the_limit_and_never_cut(
    make: Make, ffmpeg: str, name: str, options: Sequence[str], seconds: float, limits: tuple[float, float]
) -> None:
    source = make(name, *options, rate="25", seconds=seconds)
    asked = replace(SMALL, min_seconds=limits[0], max_seconds=limits[1])
    with pytest.raises(
        InvalidRequestError, match=f"extending with veo-3.1-generate-001 takes {limits[0]:g} to {limits[1]:g} s"
    ) as raised:
        await make_acceptable(source, asked, folder=source.parent / "kept", ffmpeg=ffmpeg, field="source")
    assert raised.value.field == "source"
    assert "trim_video" in raised.value.hint
    assert not (source.parent / "kept").exists()


# ---------------------------------------------------------------- kept conversions


async def test_a_second_call_finds_the_conversion_again(make: Make, ffmpeg: str, tmp_path: Path) -> None:
    source = make("fast.mp4", rate="30")
    first, changes, _ = await fit(source, ffmpeg)
    made = first.stat().st_mtime_ns
    renamed = source.rename(tmp_path / "other name.mp4")
    second, again, _ = await fit(renamed, ffmpeg)
    assert (second, again, second.stat().st_mtime_ns) == (first, changes, made)
    other, _, _ = await fit(renamed, ffmpeg, replace(SMALL, sizes=((640, 360),)))
    assert other != first


async def test_a_damaged_conversion_is_made_again(make: Make, ffmpeg: str) -> None:
    source = make("fast.mp4", rate="30")
    first, _, _ = await fit(source, ffmpeg)
    whole = first.read_bytes()
    first.write_bytes(whole[: len(whole) // 2])
    again, _, _ = await fit(source, ffmpeg)
    assert again == first
    assert len(again.read_bytes()) > len(whole) // 2


async def test_two_calls_at_once_give_the_same_whole_file(make: Make, ffmpeg: str) -> None:
    source = make("fast.mp4", rate="30")
    found: list[Path] = []

    async def one() -> None:
        found.append((await fit(source, ffmpeg))[0])

    async with anyio.create_task_group() as group:
        group.start_soon(one)
        group.start_soon(one)
    assert found[0] == found[1]
    assert [path.name for path in found[0].parent.iterdir()] == [found[0].name]


@pytest.mark.skipif(os.name == "nt", reason="shell scripts stand in for ffmpeg")
async def test_a_conversion_that_is_broken_off_leaves_nothing_behind(make: Make, ffmpeg: str, tmp_path: Path) -> None:
    source = make("fast.mp4", rate="30")
    stuck = tmp_path / "stuck"
    stuck.write_text(
        '#!/bin/sh\ncase "$*" in *framecrc*) exec ' + ffmpeg + ' "$@";; esac\n'
        'for out; do :; done\necho half > "${out#file:}"\nsleep 60\n'
    )
    stuck.chmod(0o755)
    folder = tmp_path / "kept"
    with anyio.move_on_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: make_acceptable(source, SMALL, folder=folder, ffmpeg=str(stuck)))
            while not (folder.exists() and list(folder.iterdir())):
                await anyio.sleep(0.01)
            assert not list(folder.glob("fitted-*"))
            group.cancel_scope.cancel()
    assert not list(folder.iterdir())


async def test_a_hostile_playlist_is_not_opened(tmp_path: Path, ffmpeg: str) -> None:
    path = tmp_path / "list.mp4"
    path.write_text(f"#EXTM3U\n#EXTINF:10,\nfile://{DATA}/bigbuckbunny.mp4\n")
    with pytest.raises(MediaError, match=r"no video that can be used"):
        await make_acceptable(path, SMALL, folder=tmp_path, ffmpeg=ffmpeg)


@pytest.mark.parametrize("length", [0, 40, 200, 3000])
async def test_a_cut_off_clip_ends_in_an_error(make: Make, ffmpeg: str, tmp_path: Path, length: int) -> None:
    data = make("good.mp4", *X264, "-movflags", "+faststart").read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(data[:length])
    with pytest.raises(MediaError):
        await make_acceptable(path, SMALL, folder=tmp_path, ffmpeg=ffmpeg)


async def test_damaged_boxes_end_in_our_error_or_in_facts(make: Make, tmp_path: Path) -> None:
    data = make("good.mp4", *X264, "-movflags", "+faststart", seconds=1).read_bytes()
    path = tmp_path / "damaged.mp4"
    outcomes = set()
    for at in range(0, data.index(b"mdat"), 7):
        path.write_bytes(data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :])
        # Any other exception than ours fails the test.
        with suppress(MediaError):
            await read_clip(path, None)
            outcomes.add("facts")
            continue
        outcomes.add("error")
    assert outcomes == {"facts", "error"}


# ---------------------------------------------------------------- whole film or new part


@pytest.mark.parametrize(
    ("result", "source", "new", "expected"),
    [
        (15.0, 8.0, 7.0, "whole"),
        (14.7, 8.0, 7.0, "whole"),
        (7.0, 8.0, 7.0, "new_part"),
        (7.3, 8.0, 7.0, "new_part"),
        (8.0, 8.0, 8.0, "new_part"),
        (10.0, 8.0, 7.0, "unclear"),  # neither
        (3.0, 8.0, 7.0, "unclear"),
        (30.0, 8.0, 7.0, "unclear"),
        (8.0, 1.0, 7.0, "whole"),
        (7.0, 1.0, 7.0, "new_part"),
        (7.5, 1.0, 7.0, "unclear"),  # in the middle of both
        (0.0, 8.0, 7.0, "unclear"),
        (float("nan"), 8.0, 7.0, "unclear"),
        (float("inf"), 8.0, 7.0, "unclear"),
        (15.0, -8.0, 7.0, "unclear"),
    ],
)
def test_is_whole_film_decides_by_the_length(result: float, source: float, new: float, expected: str) -> None:
    assert is_whole_film(result, source, new) == expected


@pytest.mark.parametrize("silent", ["none", "source", "new part", "both"])
async def test_join_once_makes_one_film_with_sound(make: Make, ffmpeg: str, tmp_path: Path, silent: str) -> None:
    tone = "sine=frequency=440:sample_rate=44100"
    source = make("a.mp4", sound=None if silent in {"source", "both"} else tone)
    new_part = make("b.mp4", rate="25", size="640x480", sound=None if silent in {"new part", "both"} else tone)
    target = tmp_path / "film.mp4"
    assert await join_once(source, new_part, target, ffmpeg=ffmpeg) == target
    clip = await open_clip(target, ffmpeg, needs="video")
    assert (clip.width, clip.height, clip.fps) == (320, 180, Fraction(24))
    assert abs(clip.seconds - 4) <= Fraction(1, 24)
    assert (clip.audio is None) == (silent == "both")
    if clip.audio:
        assert abs(clip.audio.end * clip.audio.time_base - 4) <= Fraction(1, 24)


async def test_join_once_joins_nothing_twice(make: Make, ffmpeg: str, tmp_path: Path) -> None:
    source, new_part = make("a.mp4"), make("b.mp4")
    target = tmp_path / "film.mp4"
    await join_once(source, new_part, target, ffmpeg=ffmpeg)
    made = target.read_bytes()
    await join_once(source, new_part, target, ffmpeg=ffmpeg)
    assert target.read_bytes() == made
    with pytest.raises(MediaError, match=r"exists already and is another film"):
        await join_once(target, new_part, source, ffmpeg=ffmpeg)


def box(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(data), kind) + data


async def test_boxes_within_boxes_without_end_are_refused(tmp_path: Path) -> None:
    nested = b""
    for _ in range(3000):
        nested = box(b"edts", nested)
    path = tmp_path / "nested.mp4"
    film = box(b"moov", box(b"mvhd", bytes(100)) + box(b"trak", nested))
    path.write_bytes(box(b"ftyp", b"isom\0\0\0\0isom") + film)
    with pytest.raises(MediaError, match="damaged") as raised:
        await read_clip(path, None)
    assert raised.value.code == "unreadable_media"


async def test_source_that_changes_while_it_is_converted_leaves_no_conversion(
    make: Make, ffmpeg: str, tmp_path: Path
) -> None:
    source, other = make("source.mp4", rate="25"), make("other.mp4", rate="30")
    kept = tmp_path / "kept"

    async def swap(_: float) -> None:  # ffmpeg goes on with the one it has opened
        if other.exists():
            other.replace(source)

    with pytest.raises(MediaError, match="changed while it was converted") as raised:
        await make_acceptable(source, SMALL, folder=kept, ffmpeg=ffmpeg, on_progress=swap)
    assert raised.value.code == "source_changed"
    assert list(kept.iterdir()) == []
