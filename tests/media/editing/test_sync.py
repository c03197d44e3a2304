"""Sound stays with its picture, within a frame, whatever is done to the clip."""

from pathlib import Path

import pytest
from tests.media.editing.clips import BUNNY, MakeClip, assert_in_sync, decode, rate_and_sound

from mediagen.media.editing.clip import open_clip
from mediagen.media.editing.concat import ConcatRequest, concat_videos
from mediagen.media.editing.convert import ConvertRequest, convert_video
from mediagen.media.editing.sound import AddAudioRequest, add_audio
from mediagen.media.editing.trim import TrimRequest, trim_video


@pytest.mark.parametrize(("start", "end", "count"), [(0.5, 5.5, 3), (0.513, 3.5, 2), (2.0, 4.017, 1)])
async def test_trim_keeps_sound_in_step(ffmpeg, make_clip: MakeClip, tmp_path: Path, start, end, count) -> None:
    target = tmp_path / "part.mp4"
    facts = await trim_video(await make_clip(), target, request=TrimRequest(start_seconds=start, end_seconds=end))
    assert facts.duration_seconds == pytest.approx(end - start, abs=0.041)
    assert facts.fps == 25
    decoded = await decode(ffmpeg, target, 25)
    assert_in_sync(decoded, 25, count=count)
    assert decoded.flashes[0] == pytest.approx((1 if start < 1 else 3) - start, abs=0.041)


async def test_trim_of_a_variable_rate_keeps_sound_in_step(ffmpeg, make_clip: MakeClip, tmp_path: Path) -> None:
    options = ["-vf", "select='not(eq(mod(n,7),3))'", "-fps_mode", "vfr"]
    source = await make_clip("vfr.mp4", fps="50", options=options)
    target = tmp_path / "part.mp4"
    await trim_video(source, target, request=TrimRequest(start_seconds=0.5, end_seconds=5.5))
    assert_in_sync(await decode(ffmpeg, target, 50), 25, count=3)


@pytest.mark.parametrize("rate", ["25", "30", "24000/1001", "vfr", "12"])
async def test_convert_to_24_fps_is_exact_and_in_step(ffmpeg, make_clip: MakeClip, tmp_path: Path, rate) -> None:
    vfr = ["-vf", "select='not(eq(mod(n,7),3))'", "-fps_mode", "vfr"] if rate == "vfr" else []
    source = await make_clip("in.mp4", fps="50" if rate == "vfr" else rate, options=vfr)
    target = tmp_path / "out.mp4"
    facts = await convert_video(source, target, request=ConvertRequest(fps=24))
    assert facts.fps == 24
    assert facts.duration_seconds == pytest.approx(6, abs=1 / 24 + 0.001)
    decoded = await decode(ffmpeg, target, 24)
    assert abs(decoded.frames - 144) <= 1
    assert_in_sync(decoded, 12 if rate == "12" else 24, count=3)


async def test_convert_brings_surround_to_stereo_at_24_fps(ffmpeg, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    facts = await convert_video(BUNNY, target, request=ConvertRequest(fps=24))
    assert (facts.width, facts.height, facts.fps, facts.has_audio) == (1280, 720, 24, True)
    assert facts.duration_seconds == pytest.approx(5.28, abs=1 / 24)
    assert await rate_and_sound(ffmpeg, target) == "48000 stereo"


async def test_concat_without_coding_stays_in_step(ffmpeg, make_clip: MakeClip, tmp_path: Path) -> None:
    # The sound of each runs on after its picture: joined as files are, each joint would push the sound back.
    clip = await make_clip(fps="24", seconds=4, sound_seconds=4.3)
    target = tmp_path / "all.mp4"
    facts = await concat_videos([clip] * 4, target, request=ConcatRequest())
    assert facts.duration_seconds == pytest.approx(16, abs=1 / 24)
    decoded = await decode(ffmpeg, target, 24)
    assert abs(decoded.frames - 384) <= 1
    assert_in_sync(decoded, 24, count=8)
    assert decoded.flashes[-1] == pytest.approx(15, abs=1 / 24)
    joined, clip_facts = await open_clip(target, ffmpeg, needs="video"), await open_clip(clip, ffmpeg, needs="video")
    assert joined.video
    assert clip_facts.video
    assert joined.video.value("extradata") == clip_facts.video.value("extradata")
    assert joined.video.starts[0] == 0
    assert joined.is_steady


async def test_concat_of_different_clips_is_one_shape_and_in_step(ffmpeg, make_clip: MakeClip, tmp_path: Path) -> None:
    tall = await make_clip("tall.mp4", fps="30", size="90x160", seconds=4, rate=44100, channels=1)
    silent = await make_clip("silent.webm", fps="25", seconds=2, sound=False)
    wide = await make_clip("wide.mp4", fps="24000/1001", seconds=4, channels=6)
    target = tmp_path / "all.mp4"
    facts = await concat_videos([tall, silent, wide], target, request=ConcatRequest(width=160, height=90))
    assert (facts.width, facts.height, facts.fps, facts.has_audio) == (160, 90, 24, True)
    assert facts.duration_seconds == pytest.approx(10, abs=1 / 24)
    assert await rate_and_sound(ffmpeg, target) == "48000 stereo"
    decoded = await decode(ffmpeg, target, 24)
    assert [round(click) for click in decoded.clicks] == [1, 3, 7, 9]  # nothing is heard in the silent one
    by_time = {round(flash): flash for flash in decoded.flashes}
    assert all(abs(by_time[round(click)] - click) <= 1 / 24 + 0.002 for click in decoded.clicks)


async def test_crossfade_overlaps_picture_and_sound_alike(ffmpeg, make_clip: MakeClip, tmp_path: Path) -> None:
    clip = await make_clip(fps="24", seconds=4)
    target = tmp_path / "all.mp4"
    request = ConcatRequest(transition="crossfade", crossfade_seconds=0.5)
    facts = await concat_videos([clip] * 3, target, request=request)
    assert facts.duration_seconds == pytest.approx(11, abs=1 / 24)
    decoded = await decode(ffmpeg, target, 24)
    assert_in_sync(decoded, 24, count=6)
    assert decoded.flashes[-1] == pytest.approx(10, abs=1 / 24)


@pytest.mark.parametrize("mode", ["mix", "replace"])
async def test_added_sound_is_in_step_and_pictures_are_kept(ffmpeg, make_clip: MakeClip, tmp_path: Path, mode) -> None:
    source = await make_clip(sound=mode == "mix")
    sound = await make_clip("sound.wav", seconds=9)
    target = tmp_path / "out.mp4"
    facts = await add_audio(source, sound, target, request=AddAudioRequest(mode=mode))
    assert facts.duration_seconds == pytest.approx(6, abs=0.041)
    decoded = await decode(ffmpeg, target, 25)
    assert decoded.frames == 150
    assert_in_sync(decoded, 25, count=3)
