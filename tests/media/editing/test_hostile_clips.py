import os
import shutil
import sys
from fractions import Fraction
from pathlib import Path

import anyio
import pytest
from tests.media.editing.clips import BUNNY, MakeClip

from mediagen.errors import InvalidRequestError, MediaError
from mediagen.media.editing.clip import open_clip
from mediagen.media.editing.concat import ConcatRequest, concat_videos
from mediagen.media.editing.convert import ConvertRequest, convert_video
from mediagen.media.editing.frames import FrameRequest, extract_frame
from mediagen.media.editing.sound import AddAudioRequest, add_audio
from mediagen.media.editing.stills import ResizeRequest, resize_image
from mediagen.media.editing.trim import TrimRequest, trim_video
from mediagen.media.ffmpeg import run_ffmpeg

PICTURE = BUNNY.with_name("chelsea.png")


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".mediagen")]


@pytest.mark.parametrize("text", ["#EXTM3U\n#EXTINF:1,\n{0}\n", "ffconcat version 1.0\nfile '{0}'\n"])
async def test_playlist_reads_no_other_file(tmp_path: Path, text) -> None:
    source = tmp_path / "list.mp4"
    source.write_text(text.format(BUNNY))
    with pytest.raises(MediaError, match="no video or sound of a known format"):
        await convert_video(source, tmp_path / "out.mp4", request=ConvertRequest())


@pytest.mark.parametrize("keep", [0, 4, 4000, 500_000])
async def test_truncated_video_is_refused_and_leaves_nothing(tmp_path: Path, keep) -> None:
    source = tmp_path / "cut.mp4"
    source.write_bytes(BUNNY.read_bytes()[:keep])
    with pytest.raises(MediaError, match=r"cut\.mp4") as raised:
        await trim_video(source, tmp_path / "out.mp4", request=TrimRequest())
    assert str(tmp_path) not in str(raised.value)
    assert not (tmp_path / "out.mp4").exists()
    assert leftovers(tmp_path) == []


async def test_truncated_webm_is_refused(make_clip: MakeClip, tmp_path: Path) -> None:
    whole = await make_clip("whole.webm", options=["-g", "5"])
    cut = tmp_path / "cut.webm"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(MediaError, match="shorter than it says"):
        await convert_video(cut, tmp_path / "out.mp4", request=ConvertRequest())


async def test_one_pixel_video_becomes_two_pixels(make_clip: MakeClip, tmp_path: Path) -> None:
    source = await make_clip("dot.webm", size="1x1", seconds=1, options=["-c:v", "libvpx-vp9"])
    facts = await convert_video(source, tmp_path / "out.mp4", request=ConvertRequest())
    assert (facts.width, facts.height) == (2, 2)
    assert facts.duration_seconds == pytest.approx(1, abs=0.041)


async def test_rotated_video_stands_upright(ffmpeg, tmp_path: Path) -> None:
    turned = tmp_path / "turned.mp4"
    await run_ffmpeg(
        ffmpeg, ["-v", "error", "-display_rotation", "90", "-i", str(BUNNY), "-c", "copy", str(turned)], 20
    )
    facts = await convert_video(turned, tmp_path / "out.mp4", request=ConvertRequest(width=180))
    assert (facts.width, facts.height) == (180, 320)
    frame = await extract_frame(turned, tmp_path / "out.png", request=FrameRequest())
    assert (frame.width, frame.height) == (720, 1280)


async def test_cover_art_is_no_video(ffmpeg, make_clip: MakeClip, tmp_path: Path) -> None:
    sound = await make_clip("sound.wav")
    song = tmp_path / "song.mp3"
    art = ["-i", str(PICTURE), "-map", "0:a", "-map", "1:v", "-c:v", "png", "-disposition:v", "attached_pic"]
    await run_ffmpeg(ffmpeg, ["-v", "error", "-i", str(sound), *art, str(song)], 20)
    with pytest.raises(MediaError, match="no video stream") as raised:
        await extract_frame(song, tmp_path / "out.png", request=FrameRequest())
    assert raised.value.code == "no_video"
    facts = await add_audio(BUNNY, song, tmp_path / "out.mp4", request=AddAudioRequest())
    assert facts.has_audio


async def test_sound_longer_than_its_picture_ends_with_it(make_clip: MakeClip, tmp_path: Path) -> None:
    source = await make_clip(seconds=2, sound_seconds=6)
    last = await extract_frame(source, tmp_path / "last.png", request=FrameRequest(at="last"))
    assert last.width == 160
    facts = await convert_video(source, tmp_path / "out.mp4", request=ConvertRequest(fps=24))
    assert facts.duration_seconds == pytest.approx(2, abs=1 / 24)


async def test_very_short_video_gives_its_last_frame(make_clip: MakeClip, tmp_path: Path) -> None:
    source = await make_clip(seconds=0.04, sound=False)
    facts = await extract_frame(source, tmp_path / "last.jpg", request=FrameRequest(at="last", format="jpeg"))
    assert (facts.mime_type, facts.width) == ("image/jpeg", 160)


@pytest.mark.parametrize("at", ["last", 1.9])
async def test_frame_that_is_damaged_is_refused_and_no_other_taken(make_clip: MakeClip, tmp_path: Path, at) -> None:
    source = await make_clip(seconds=2, sound=False, options=["-g", "96", "-bf", "0"])
    data = bytearray(source.read_bytes())
    start = data.index(b"mdat") + 4
    end = start + int.from_bytes(data[start - 8 : start - 4], "big") - 8
    middle = end - (end - start) // 8
    data[middle:end] = bytes(end - middle)
    source.write_bytes(data)
    with pytest.raises(MediaError, match=r"no picture at 1\.") as raised:
        await extract_frame(source, tmp_path / "out.png", request=FrameRequest(at=at))
    assert raised.value.code == "no_frame"
    assert not (tmp_path / "out.png").exists()
    assert leftovers(tmp_path) == []


async def test_frame_after_the_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match=r"lasts 5\.28 s"):
        await extract_frame(BUNNY, tmp_path / "out.png", request=FrameRequest(at=5.28))


async def test_video_larger_than_the_limit_is_refused(make_clip: MakeClip, tmp_path: Path) -> None:
    source = await make_clip(size="4112x64", seconds=0.1, sound=False)
    with pytest.raises(MediaError, match="4112×64") as raised:
        await convert_video(source, tmp_path / "out.mp4", request=ConvertRequest())
    assert raised.value.code == "media_too_large"


async def test_video_longer_than_the_limit_is_refused(make_clip: MakeClip, tmp_path: Path) -> None:
    source = await make_clip(size="16x16", seconds=603, fps="1", sound=False)
    with pytest.raises(MediaError, match="longer than 600 s"):
        await trim_video(source, tmp_path / "out.mp4", request=TrimRequest(end_seconds=1))


@pytest.mark.parametrize("name", ["-i.mp4", "💥 'quoted' %d.mp4", "a:b [v];$(touch x).mp4"])
async def test_strange_names_are_only_names(make_clip: MakeClip, tmp_path: Path, name, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = await make_clip("plain.mp4", fps="24", seconds=1)
    Path(name).hardlink_to(source)
    facts = await concat_videos([Path(name), Path(name)], Path(f"out {name}"), request=ConcatRequest())
    assert facts.duration_seconds == pytest.approx(2, abs=1 / 24)
    frame = await extract_frame(Path(name), Path(f"{name}.png"), request=FrameRequest(at="last"))
    assert frame.mime_type == "image/png"
    assert not Path("x").exists()


async def test_existing_target_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    target.write_bytes(b"mine")
    with pytest.raises(MediaError, match="exists already") as raised:
        await convert_video(BUNNY, target, request=ConvertRequest())
    assert raised.value.code == "output_exists"
    assert target.read_bytes() == b"mine"


async def test_target_that_appears_meanwhile_is_kept(make_clip: MakeClip, tmp_path: Path) -> None:
    source, target = await make_clip(), tmp_path / "out.mp4"

    async def meddle(_: float) -> None:
        target.write_bytes(b"mine")

    with pytest.raises(MediaError, match="exists already"):
        await convert_video(source, target, request=ConvertRequest(), on_progress=meddle)
    assert target.read_bytes() == b"mine"
    assert leftovers(tmp_path) == []


async def test_cancelled_work_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "in.mp4"
    shutil.copy(BUNNY, source)
    with anyio.fail_after(60), anyio.CancelScope() as scope:

        async def stop(_: float) -> None:
            scope.cancel()

        await convert_video(source, tmp_path / "out.webm", request=ConvertRequest(format="webm"), on_progress=stop)
    assert scope.cancelled_caught
    assert sorted(path.name for path in tmp_path.glob("*.*")) == ["in.mp4"]


async def test_progress_only_grows_and_ends_at_one(tmp_path: Path) -> None:
    told: list[float] = []

    async def note(part: float) -> None:
        told.append(part)

    await convert_video(BUNNY, tmp_path / "out.mp4", request=ConvertRequest(fps=24), on_progress=note)
    assert len(told) > 1
    assert told == sorted(set(told))
    assert told[-1] == 1


async def test_without_ffmpeg_stills_still_work(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(MediaError, match="Install ffmpeg"):
        await convert_video(BUNNY, tmp_path / "out.mp4", request=ConvertRequest())
    facts = await resize_image(PICTURE, tmp_path / "out.png", request=ResizeRequest(width=100))
    assert facts.width == 100


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands in for ffmpeg")
@pytest.mark.parametrize(
    ("says", "code"),
    [
        ("av_interleaved_write_frame(): No space left on device", "disk_full"),
        ("Unknown encoder 'libx264'", "ffmpeg_failed"),
    ],
)
async def test_trouble_of_ffmpeg_is_explained(tmp_path: Path, ffmpeg, says, code) -> None:
    program = tmp_path / "ffmpeg"
    # The real one reads the source; only what writes fails.
    program.write_text(f'#!/bin/sh\ncase "$*" in *framecrc*) exec {ffmpeg} "$@";; esac\necho "{says}" >&2\nexit 228\n')
    program.chmod(0o755)
    with pytest.raises(MediaError) as raised:
        await convert_video(BUNNY, tmp_path / "out.mp4", request=ConvertRequest(), ffmpeg=str(program))
    assert raised.value.code == code
    assert raised.value.hint


async def test_missing_source_is_named_without_its_folder(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"^gone\.mp4 cannot be read: No such file") as raised:
        await trim_video(tmp_path / "gone.mp4", tmp_path / "out.mp4", request=TrimRequest())
    assert str(tmp_path) not in str(raised.value)


async def test_clip_facts_are_exact(ffmpeg) -> None:
    clip = await open_clip(BUNNY, ffmpeg, needs="video")
    assert (clip.width, clip.height, float(clip.seconds)) == (1280, 720, 5.28)
    assert clip.fps == Fraction(25)
    assert clip.audio is not None
    assert clip.audio.value("channel_layout_name") == "5.1"
