"""ffmpeg filter chains that bring pictures and sound of any source to one shape. Pure."""

from fractions import Fraction

from mediagen.media.editing.clip import Clip
from mediagen.media.editing.engine import SAMPLE_RATE, even, exact


def frames_in(seconds: Fraction, fps: Fraction) -> int:
    """Whole frames nearest to a length, at least one."""
    return max(1, round(seconds * fps))


def fitted(clip: Clip, width: int, height: int) -> tuple[int, int]:
    """Size of a clip inside a frame, its shape kept."""
    assert clip.width is not None
    assert clip.height is not None
    scale = min(Fraction(width, clip.width), Fraction(height, clip.height))
    return min(width, even(round(clip.width * scale))), min(height, even(round(clip.height * scale)))


def picture_chain(clip: Clip, number: int, *, size: tuple[int, int], fps: Fraction, frames: int) -> str:
    """Exactly so many frames at a constant rate, scaled and padded to one size; input `number` of the run."""
    assert clip.video is not None
    width, height = size
    inner_width, inner_height = fitted(clip, width, height)
    return (
        # From the start of the file, not of the first frame: a late picture stays in step with its sound.
        f"[{number}:{clip.video.index}]fps={fps}:start_time=0,"
        f"scale={inner_width}:{inner_height}:flags=lanczos,"
        f"pad={width}:{height}:(ow-iw)/2:(oh-ih)/2,setsar=1,format=yuv420p,"
        f"tpad=stop_mode=clone:stop=2,trim=end_frame={frames},setpts=PTS-STARTPTS"
    )


def sound_chain(clip: Clip, number: int, *, seconds: Fraction) -> str:
    """Stereo of exactly that length, in step with the picture; silence where the source has none."""
    length = f"atrim=end={exact(seconds)}"
    if clip.audio is None:
        return f"anullsrc=sample_rate={SAMPLE_RATE}:channel_layout=stereo,{length}"
    return f"[{number}:{clip.audio.index}]{stereo()},apad,{length}"


def stereo() -> str:
    """Resample to 48 kHz stereo; gaps in the source become silence, so that nothing slides."""
    return f"aresample={SAMPLE_RATE}:async=1:first_pts=0,aformat=sample_fmts=fltp:channel_layouts=stereo"
