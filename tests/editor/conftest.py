"""Small clips, pictures and sounds in the working directory of a test."""

import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from mediagen.media.ffmpeg import run_ffmpeg


@pytest.fixture(scope="session")
def samples(ffmpeg: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of 3 s with sound, and a sound of 1 s."""
    import anyio

    folder = tmp_path_factory.mktemp("samples")
    picture = ["-f", "lavfi", "-i", "testsrc=size=160x90:rate=24:duration=3"]
    sound = ["-f", "lavfi", "-i", "sine=frequency=440:duration=3"]
    anyio.run(
        run_ffmpeg, ffmpeg, ["-v", "error", *picture, *sound, "-pix_fmt", "yuv420p", str(folder / "clip.mp4")], 60
    )
    anyio.run(run_ffmpeg, ffmpeg, ["-v", "error", *sound, "-t", "1", str(folder / "tone.wav")], 60)
    return folder


@pytest.fixture
def clip(samples: Path, work: Path) -> Path:
    shutil.copy(samples / "tone.wav", work / "tone.wav")
    return Path(shutil.copy(samples / "clip.mp4", work / "clip 🎞.mp4"))


@pytest.fixture
def script(tmp_path: Path, ffmpeg: str) -> Callable[[str], str]:
    """Makes an executable that stands before ffmpeg; ``$FFMPEG`` in its text is the real one."""

    def make(text: str) -> str:
        path = tmp_path / "ffmpeg-wrapper"
        path.write_text("#!/bin/sh\n" + text.replace("$FFMPEG", f"'{ffmpeg}'"))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    return make


def files_in(folder: Path) -> set[str]:
    """Names of all files and folders, hidden ones included."""
    return {path.name for path in folder.iterdir()}
