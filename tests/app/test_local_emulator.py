"""The built-in emulator starts by itself, is shared, and outlives the server that started it."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.runner.asking import until

from mediagen.app.app import open_app
from mediagen.requests import GenerateVideoRequest, GetJobRequest
from mediagen.settings import Settings


@pytest.fixture
def state(environment: dict[str, str]) -> Iterator[Path]:
    folder = Path(environment["MEDIAGEN_STATE_DIR"])
    yield folder
    started = json.loads((folder / "emulator" / "url.json").read_text())
    os.kill(started["pid"], signal.SIGTERM)


async def test_clip_survives_a_restart_of_the_server(make_settings: Callable[..., Settings], state: Path):
    settings = make_settings(GOOGLE_GEMINI_BASE_URL="")
    request = GenerateVideoRequest(prompt="waves", duration_seconds=3, resolution="360p", wait_seconds=0)
    async with open_app(settings) as first:
        report = await until(first, await first.generator.generate_video(request), "running")
    started = json.loads((state / "emulator" / "url.json").read_text())
    async with open_app(settings) as second:
        await second.runner.resume()
        done = await second.generator.get_job(GetJobRequest(job_id=report.job_id or "", wait_seconds=60))
    assert done.status == "succeeded"
    assert json.loads((state / "emulator" / "url.json").read_text()) == started
