"""Made clips for the tests of the editing operations."""

from pathlib import Path

import pytest
from tests.media.editing.clips import MakeClip

from mediagen.media.ffmpeg import run_ffmpeg


@pytest.fixture
def make_clip(ffmpeg: str, tmp_path: Path) -> MakeClip:
    """Makes a clip that flashes and clicks at 1, 3, 5 … seconds."""

    async def make(
        name: str = "flash.mp4", *, seconds: float = 6, fps: str = "25", size: str = "160x90", **more
    ) -> Path:
        flash = "drawbox=color=white:t=fill:enable='lt(mod(t+1.0001,2),0.12)'"
        picture = f"color=black:size={size}:rate={fps}:duration={seconds},{flash}{more.get('filters', '')}"
        sound = f"aevalsrc='if(lt(mod(t+1,2),0.12),0.7*sin(6000*t),0)':s={more.get('rate', 48000)}"
        sound += f":d={more.get('sound_seconds', seconds)}"
        inputs = ["-f", "lavfi", "-i", picture]
        if more.get("sound", True):
            inputs += ["-f", "lavfi", "-i", sound, "-ac", str(more.get("channels", 2))]
        path = tmp_path / name
        await run_ffmpeg(ffmpeg, ["-v", "error", *inputs, *more.get("options", []), f"file:{path}"], 60)
        return path

    return make
