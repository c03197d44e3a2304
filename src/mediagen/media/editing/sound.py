"""Sound put to a video."""

import json
import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final, Literal

from mediagen.errors import InvalidRequestError
from mediagen.media.editing.clip import Clip, open_clip
from mediagen.media.editing.engine import (
    AAC,
    H264,
    MP4,
    SAMPLE_RATE,
    OnProgress,
    check_choice,
    check_range,
    encoder_options,
    even,
    exact,
    executable,
    render,
    time_limit,
    write_options,
)
from mediagen.media.editing.filters import sound_chain, stereo
from mediagen.media.ffmpeg import execute_ffmpeg
from mediagen.media.probe import MediaFacts

LOUDNESS_LUFS: Final = -16.0
TRUE_PEAK_DBTP: Final = -1.5
_QUIETEST_LUFS: Final = -69.0
_MEASURED: Final = re.compile(r"\{[^{}]*\"input_i\"[^{}]*\}")
_MEASUREMENT_BYTES: Final = 16 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class AddAudioRequest:
    """How the sound is put in.

    Attributes:
        mode: ``mix`` keeps the video's own sound beneath, ``replace`` drops it.
        volume: Factor for the added sound, 0 to 10.
        fade_in_seconds: From silence, at the start of the added sound.
        fade_out_seconds: Into silence, where the added sound or the video ends.
        normalize_loudness: Bring the whole to −16 LUFS with peaks below −1.5 dBTP.
    """

    mode: Literal["mix", "replace"] = "mix"
    volume: float = 1.0
    fade_in_seconds: float = 0.0
    fade_out_seconds: float = 0.0
    normalize_loudness: bool = False


async def add_audio(
    source: Path,
    audio: Path,
    target: Path,
    *,
    request: AddAudioRequest,
    ffmpeg: str | None = None,
    on_progress: OnProgress | None = None,
) -> MediaFacts:
    """Write the video with more or other sound (AAC 48 kHz stereo); H.264 pictures are kept as they are.

    Sound longer than the picture is cut off, shorter is followed by silence.

    Args:
        source: A video.
        audio: A sound file, or a video whose sound is meant.
        target: Where the result goes, an MP4; must not exist.
        request: How.
        ffmpeg: Executable to use; None looks for one as `find_ffmpeg` does.
        on_progress: Told how far it is.

    Raises:
        InvalidRequestError: A value is out of range.
        MediaError: A source cannot be read, or the result not written.
    """
    _check(request)
    program = await executable(ffmpeg)
    clip = await open_clip(source, program, needs="video")
    added = await open_clip(audio, program, needs="audio")
    graph = _graph(clip, added, request)
    opened = write_options([clip, added])
    if request.normalize_loudness:
        graph = await _normalised(graph, opened, program, clip.seconds)
    tracks = ["-filter_complex", f"{graph}[a]", *_picture(clip), "-map", "[a]", *AAC]
    command = [*opened, *tracks, *encoder_options(), *MP4]
    return await render(program, command, target, seconds=clip.seconds, on_progress=on_progress)


def _check(request: AddAudioRequest) -> None:
    check_choice(request.mode, ("mix", "replace"), field="mode")
    check_range(request.volume, 0, 10, field="volume")
    check_range(request.fade_in_seconds, 0, 600, field="fade_in")
    check_range(request.fade_out_seconds, 0, 600, field="fade_out")


def _picture(clip: Clip) -> list[str]:
    assert clip.video is not None
    chosen = ["-map", f"0:{clip.video.index}"]
    if clip.video.value("codec_id") == "h264":
        return [*chosen, "-c:v", "copy"]
    return [*chosen, "-vf", f"scale={even(clip.width or 2)}:{even(clip.height or 2)},setsar=1", *H264]


def _graph(clip: Clip, added: Clip, request: AddAudioRequest) -> str:
    assert added.audio is not None
    length = min(added.audio.end * added.audio.time_base, clip.seconds)
    filters = [f"[1:{added.audio.index}]{stereo()}", f"atrim=end={exact(length)}", f"volume={request.volume:.6f}"]
    _check_fades(length, request)
    if request.fade_in_seconds:
        filters.append(f"afade=type=in:start_time=0:duration={request.fade_in_seconds:.6f}")
    if request.fade_out_seconds:
        begin = exact(length - Fraction(request.fade_out_seconds))
        filters.append(f"afade=type=out:start_time={begin}:duration={request.fade_out_seconds:.6f}")
    filters += ["apad", f"atrim=end={exact(clip.seconds)}"]
    chain = ",".join(filters)
    if request.mode == "replace" or clip.audio is None:
        return chain
    # A sum can be louder than full scale; the limiter catches what would crackle.
    own = sound_chain(clip, 0, seconds=clip.seconds)
    return f"{own}[own];{chain}[added];[own][added]amix=inputs=2:duration=first:normalize=0,alimiter=limit=0.97:level=0"


def _check_fades(length: Fraction, request: AddAudioRequest) -> None:
    for field, seconds in (("fade_in", request.fade_in_seconds), ("fade_out", request.fade_out_seconds)):
        if seconds > length:
            raise InvalidRequestError(
                f"{field}={seconds:g} is longer than the sound that is heard ({float(length):.2f} s).", field=field
            )


async def _normalised(graph: str, opened: list[str], program: str, seconds: Fraction) -> str:
    """Measure first, so that one gain fits the whole and quiet parts are not pumped up."""
    target = f"loudnorm=I={LOUDNESS_LUFS}:TP={TRUE_PEAK_DBTP}:LRA=11"
    measure = ["-filter_complex", f"{graph},{target}:print_format=json[a]", "-map", "[a]", "-f", "null", "-"]
    options = ["-v", "info", *opened[2:]]
    run = await execute_ffmpeg(
        program, [*options, *measure], time_limit(float(seconds)), complaint_bytes=_MEASUREMENT_BYTES
    )
    found = _MEASURED.search(run.complaint)
    measured = json.loads(found[0]) if found else {}
    loudness = float(measured.get("input_i", "-inf"))
    if not loudness > _QUIETEST_LUFS:  # silence has no loudness that could be raised
        return graph
    known = ":".join(
        f"measured_{ours}={float(measured[theirs]):.2f}"
        for ours, theirs in (("I", "input_i"), ("TP", "input_tp"), ("LRA", "input_lra"), ("thresh", "input_thresh"))
    )
    return f"{graph},{target}:{known}:offset={float(measured['target_offset']):.2f}:linear=true,aresample={SAMPLE_RATE}"
