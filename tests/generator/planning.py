"""What the tests of profiles, defaults and inheritance share: configurations, clips, records and dry runs."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mediagen.app.app import App
from mediagen.media.ffmpeg import find_ffmpeg
from mediagen.report.job import JobReport
from mediagen.requests import ExtendVideoRequest, GenerateImageRequest, GenerateVideoRequest
from mediagen.settings import Settings

MakeSettings = Callable[..., Settings]
VEO = "veo-3.1-generate-001"
FAST_VEO = "veo-3.1-fast-generate-001"
LITE_VEO = "veo-3.1-lite-generate-001"
OMNI_11 = "gemini-omni-1.1-flash"
OMNI_12 = "gemini-omni-1.2-flash"


def vertex(url: str, **changes: str) -> dict[str, str]:
    """Variables of somebody who has Vertex AI, and nothing else."""
    return {
        "MEDIAGEN_BACKEND": "",
        "GOOGLE_VERTEX_BASE_URL": url,
        "STORAGE_EMULATOR_HOST": url,
        "GOOGLE_ACCESS_TOKEN": "ya29.ready-films",
        "GOOGLE_CLOUD_PROJECT": "env-project",
        **changes,
    }


def both(url: str, **changes: str) -> dict[str, str]:
    """The same with a key of the Gemini API, which is tried first."""
    return vertex(url, GEMINI_API_KEY="AIza-films", **changes)


def write_config(folder: Path, text: str) -> None:
    (folder / "mediagen.toml").write_text(text, encoding="utf-8")


def make_clip(path: Path, *, width: int = 64, height: int = 36, seconds: float = 1, fps: int = 24) -> Path:
    """A clip of one colour, made with ffmpeg."""
    source = f"color=c=teal:size={width}x{height}:rate={fps}:duration={seconds}"
    command = [find_ffmpeg(None), "-v", "error", "-f", "lavfi", "-i", source, "-pix_fmt", "yuv420p", str(path)]
    subprocess.run(command, check=True, timeout=30)
    return path


def write_record(clip: Path, *, backend: str = "vertex", **generation: Any) -> Path:
    """The sidecar that we write beside a clip, cut down to what is read again."""
    record = clip.with_suffix(".json")
    values = {"version": "mediagen.sidecar.v1", "backend": backend, "generation": generation}
    record.write_text(json.dumps(values), encoding="utf-8")
    return record


async def plan_image(app: App, **values: Any) -> JobReport:
    request = GenerateImageRequest.model_validate({"prompt": "a boat", "dry_run": True, **values})
    return await app.generator.generate_image(request)


async def plan_clip(app: App, **values: Any) -> JobReport:
    request = GenerateVideoRequest.model_validate({"prompt": "waves", "dry_run": True, **values})
    return await app.generator.generate_video(request)


async def extend(app: App, source: Path | str | None, **values: Any) -> JobReport:
    request = ExtendVideoRequest.model_validate({"prompt": "more waves", "source": str(source), **values})
    return await app.generator.extend_video(request)


async def plan_extension(app: App, source: Path | str | None, **values: Any) -> JobReport:
    return await extend(app, source, dry_run=True, **values)


def change_of(report: JobReport, field: str) -> tuple[Any, Any] | None:
    """Old and new value of the one adjustment of a field."""
    found = [(item.from_, item.to) for item in report.adjustments if item.field == field]
    assert len(found) < 2, found
    return found[0] if found else None
