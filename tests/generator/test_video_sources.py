"""Every kind of video that a caller may name, for every model that takes one: what is sent, and what it costs."""

import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.conftest import DATA, paid
from tests.generator.planning import OMNI_11, VEO, MakeSettings, both, change_of, extend, make_clip, vertex
from tests.runner.asking import change

from mediagen.app.app import App, open_app
from mediagen.emulator.thread import EmulatorHandle
from mediagen.errors import AuthenticationError, EndpointError, InvalidRequestError, JobNotFoundError, MediaGenError
from mediagen.media.fetch import FetchSettings
from mediagen.report.job import JobReport
from mediagen.requests import GenerateVideoRequest
from mediagen.settings import Settings

BUNNY = DATA / "bigbuckbunny.mp4"  # 25 fps, 5.1 sound
LOCAL = FetchSettings(allow_hosts=frozenset({"127.0.0.1"}))
TARGETS = {
    "Gemini Omni": {"backend": "gemini", "model": OMNI_11, "duration_seconds": 3},
    "Vertex Veo": {"backend": "vertex", "model": VEO},
    "Vertex Omni": {"backend": "vertex", "model": OMNI_11, "duration_seconds": 3},
}
IN_BUCKET = {"GCS_BUCKET": "media"}


@pytest.fixture
def settings(emulator: EmulatorHandle, make_settings: MakeSettings) -> Settings:
    emulator.make_bucket("media")
    return make_settings(**both(emulator.url, **IN_BUCKET))


@pytest.fixture
def inputs(environment: dict[str, str]) -> Path:
    return Path(environment["MEDIAGEN_STATE_DIR"]) / "inputs"


@contextmanager
def web(folder: Path) -> Iterator[str]:
    """Serves a folder on loopback."""

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(folder))

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"https://127.0.0.1:{server.server_port}"
        server.shutdown()


def sent(emulator: EmulatorHandle) -> Any:
    """The video in the one paid body."""
    bodies = [r["body"] for r in emulator.requests() if r["path"].endswith((":predictLongRunning", "/interactions"))]
    assert len(bodies) == 1, len(bodies)
    return bodies[0]


def is_mended(report: JobReport, field: str = "source") -> bool:
    return change_of(report, f"{field}.fps") == ("25 fps", "24 fps")


async def made(app: App, **values: Any) -> JobReport:
    """A clip of our own."""
    asked = {"prompt": "waves", "duration_seconds": 4, "resolution": "720p", **values}
    return await app.generator.generate_video(GenerateVideoRequest.model_validate(asked))


async def source_record(app: App, report: JobReport, field: str = "source") -> dict[str, Any]:
    job = await app.generator.ledger.get(report.job_id or "")
    return dict(job.input_files[field][0])


# ---------------------------------------------------------------- files of other makes


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", ["path", "gs", "https"])
async def test_a_25_fps_clip_from_anywhere_is_made_acceptable_and_extended(
    settings: Settings, emulator, work: Path, inputs: Path, target: str, kind: str
):
    shutil.copy(BUNNY, work / "bunny 🐰.mp4")
    emulator.put_object("media", "in/bunny.mp4", BUNNY.read_bytes(), "video/mp4")
    with web(DATA) as url:
        sources = {
            "path": "bunny 🐰.mp4",
            "gs": "gs://media/in/bunny.mp4",
            "https": f"{url}/bigbuckbunny.mp4?sig=s3cr3t",
        }
        async with open_app(settings, web=LOCAL) as app:
            # The certificate of a loopback server is nobody's: plain http is allowed to such hosts.
            source = sources[kind].replace("https://", "https://") if kind != "https" else sources[kind]
            report = await extend(app, source, **TARGETS[target])
            record = await source_record(app, report)
    assert report.status == "succeeded", report.error
    assert is_mended(report)
    assert paid(emulator) == 1
    assert "s3cr3t" not in str(report)
    assert Path(record["path"]).parent == inputs
    assert record["duration_seconds"] == pytest.approx(report.effective["source_seconds"])
    assert BUNNY.name not in str(sent(emulator))
