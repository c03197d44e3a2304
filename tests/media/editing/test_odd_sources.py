"""Sources that cameras and other programs make, through each operation: length, shape and step of what comes out."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.media.editing.clips import MakeClip, assert_in_sync, decode

from mediagen.media.editing.clip import open_clip
from mediagen.media.editing.concat import ConcatRequest, concat_videos
from mediagen.media.editing.convert import ConvertRequest, convert_video
from mediagen.media.editing.frames import FrameRequest, extract_frame
from mediagen.media.editing.sound import LOUDNESS_LUFS, AddAudioRequest, add_audio
from mediagen.media.editing.trim import TrimRequest, trim_video
from mediagen.media.ffmpeg import execute_ffmpeg, run_ffmpeg

ODD: dict[str, dict[str, Any]] = {
    "mono.mp4": {"channels": 1, "rate": 44100},
    "sixty.mp4": {"fps": "60"},
    "film.mkv": {"fps": "24000/1001", "options": ["-bf", "3"]},
    "odd.webm": {"size": "161x91"},
    "wide.mp4": {"options": ["-vf", "setsar=4/3"]},
    "deep.mov": {"options": ["-c:v", "prores_ks", "-pix_fmt", "yuv422p10le"]},
    "clear.webm": {"options": ["-c:v", "libvpx-vp9", "-pix_fmt", "yuva420p"]},
    "old.avi": {"options": ["-c:v", "mpeg4"]},
}


@pytest.fixture(params=ODD)
async def odd(request, make_clip: MakeClip) -> Path:
    return await make_clip(request.param, seconds=4, **ODD[request.param])


async def test_odd_source_is_trimmed_in_step(ffmpeg, odd: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    clip = await open_clip(odd, ffmpeg, needs="video")
    assert clip.fps
    facts = await trim_video(odd, target, request=TrimRequest(start_seconds=0.513, end_seconds=3.31))
    assert facts.duration_seconds == pytest.approx(2.797, abs=1.5 / float(clip.fps) + 0.001)
    assert_in_sync(await decode(ffmpeg, target, float(clip.fps)), float(clip.fps), count=2)


async def test_odd_source_is_joined_in_step(ffmpeg, odd: Path, make_clip: MakeClip, tmp_path: Path) -> None:
    silent = await make_clip("silent.mp4", seconds=1, sound=False, size="90x160", fps="30")
    target = tmp_path / "out.mp4"
    request = ConcatRequest(transition="crossfade", crossfade_seconds=0.25, fps=30)
    facts = await concat_videos([odd, silent, odd], target, request=request)
    assert facts.duration_seconds == pytest.approx(8.5, abs=3 / 30)
    decoded = await decode(ffmpeg, target, 30)
    assert_in_sync(decoded, 24, count=4)
    assert decoded.seconds_of_sound == pytest.approx(facts.duration_seconds, abs=0.05)


async def test_late_tracks_stay_late_by_as_much(ffmpeg, make_clip: MakeClip, tmp_path: Path) -> None:
    plain, late = await make_clip(seconds=4), tmp_path / "late.mkv"
    source = ["-v", "error", "-itsoffset", "0.5", "-i", str(plain), "-i", str(plain)]
    await run_ffmpeg(ffmpeg, [*source, "-map", "0:v", "-map", "1:a", "-c", "copy", str(late)], 20)
    for number, made in enumerate((ConvertRequest(fps=24), ConvertRequest(format="webm", fps=25))):
        target = tmp_path / f"out{number}"
        await convert_video(late, target, request=made)
        decoded = await decode(ffmpeg, target, 24)
        assert decoded.flashes == pytest.approx([1.5, 3.5], abs=1 / 24 + 0.002)
        assert decoded.clicks == pytest.approx([1, 3], abs=1 / 24 + 0.002)


async def test_avi_with_a_gap_keeps_its_usual_rate(ffmpeg, make_clip: MakeClip) -> None:
    clip = await open_clip(await make_clip("old.avi", seconds=4, options=["-c:v", "mpeg4"]), ffmpeg, needs="video")
    assert clip.fps == 25


@pytest.mark.parametrize("form", ["gif", "webp"])
async def test_animation_is_as_long_as_its_source(make_clip: MakeClip, tmp_path: Path, form) -> None:
    target = tmp_path / "out"
    request = ConvertRequest(format=form, width=80)
    facts = await convert_video(await make_clip(seconds=2), target, request=request)
    assert (facts.mime_type, facts.width, facts.height) == (f"image/{form}", 80, 44)
    assert facts.duration_seconds == pytest.approx(2, abs=0.07)
    with Image.open(io.BytesIO(target.read_bytes())) as picture:
        lights = []
        for frame in range(picture.n_frames):  # type: ignore[attr-defined] # of the classes that have frames
            picture.seek(frame)
            lights.append(picture.convert("L").crop((40, 22, 41, 23)).tobytes()[0])
    assert min(lights) < 30
    assert max(lights) > 225


@pytest.mark.parametrize("at", ["first", "last", 0.1])
async def test_clip_of_a_fifth_of_a_second_gives_each_frame(make_clip: MakeClip, tmp_path: Path, at) -> None:
    facts = await extract_frame(
        await make_clip(seconds=0.2), tmp_path / "out.png", request=FrameRequest(at=at, format="png")
    )
    assert (facts.width, facts.height) == (160, 90)


async def volume(ffmpeg: str, path: Path, start: float, seconds: float) -> float:
    """Mean volume of a part, in decibels."""
    part = ["-v", "info", "-ss", str(start), "-t", str(seconds), "-i", str(path)]
    run = await execute_ffmpeg(ffmpeg, [*part, "-map", "0:a", "-af", "volumedetect", "-f", "null", "-"], 20)
    found = re.search(r"mean_volume: (-?[\d.]+|-inf) dB", run.complaint)
    assert found
    return float(found[1])


@pytest.fixture
async def tone(ffmpeg, tmp_path: Path) -> Path:
    path = tmp_path / "tone.wav"
    sine = ["-f", "lavfi", "-i", "sine=frequency=440:duration=6", "-ac", "2"]
    await run_ffmpeg(ffmpeg, ["-v", "error", *sine, str(path)], 20)
    return path


async def test_fades_of_added_sound_are_heard(ffmpeg, make_clip: MakeClip, tone: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    request = AddAudioRequest(mode="replace", fade_in_seconds=1, fade_out_seconds=1)
    await add_audio(await make_clip(seconds=5), tone, target, request=request)
    middle = await volume(ffmpeg, target, 2, 1)
    for start in (0, 4.8):
        assert await volume(ffmpeg, target, start, 0.2) < middle - 15


async def test_volume_of_added_sound_is_heard(ffmpeg, make_clip: MakeClip, tone: Path, tmp_path: Path) -> None:
    source, heard = await make_clip(seconds=3), []
    for factor in (1.0, 0.5):
        target = tmp_path / f"{factor}.mp4"
        await add_audio(source, tone, target, request=AddAudioRequest(mode="replace", volume=factor))
        heard.append(await volume(ffmpeg, target, 0.5, 2))
    assert heard[0] - heard[1] == pytest.approx(6, abs=0.5)


@pytest.mark.parametrize("factor", [0.05, 3.0])
async def test_loudness_is_brought_to_its_target(ffmpeg, make_clip, tone: Path, tmp_path: Path, factor) -> None:
    target = tmp_path / "out.mp4"
    request = AddAudioRequest(mode="replace", volume=factor, normalize_loudness=True)
    await add_audio(await make_clip(seconds=5), tone, target, request=request)
    measure = ["-v", "info", "-i", str(target), "-map", "0:a", "-af", "loudnorm=print_format=json", "-f", "null", "-"]
    told = (await execute_ffmpeg(ffmpeg, measure, 20)).complaint
    measured = json.loads(told[told.rindex("{") : told.rindex("}") + 1])
    assert float(measured["input_i"]) == pytest.approx(LOUDNESS_LUFS, abs=1)
    assert float(measured["input_tp"]) <= -1
