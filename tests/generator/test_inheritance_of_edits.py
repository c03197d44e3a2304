"""A clip that was edited on this machine is extended like the clip that it was made of."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.generator.planning import FAST_VEO, plan_clip, plan_extension, vertex

from mediagen.app.app import open_app
from mediagen.requests import TrimVideoRequest
from mediagen.settings import Settings


@pytest.mark.parametrize("way", ["job", "artifact", "file"])
async def test_trimmed_clip_is_extended_like_its_source(
    make_settings: Callable[..., Settings], emulator, work: Path, way: str
):
    async with open_app(make_settings(**vertex(emulator.url))) as app:
        made = await plan_clip(app, dry_run=False, model=FAST_VEO, duration_seconds=4, aspect_ratio="9:16")
        trimmed = await app.editor.trim_video(TrimVideoRequest(source=made.artifacts[0].path, end="3"))
        again = await app.editor.trim_video(TrimVideoRequest(source=trimmed.artifacts[0].path, end="2"))
        source = {"job": again.job_id, "artifact": again.artifacts[0].uri, "file": again.artifacts[0].path}[way]
        report = await plan_extension(app, source)
    assert (report.model, report.origins["model"]) == (FAST_VEO, "source")
    assert report.effective["aspect_ratio"] == "9:16"
    assert report.effective["location"] == made.effective["location"]
