"""One emulator for all tests of this room, emptied before each, and what its tests share."""

import base64
import io
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from mediagen.emulator.ffmpeg import Probe, find_ffmpeg, read_probe
from mediagen.emulator.settings import EmulatorSettings
from mediagen.emulator.thread import EmulatorHandle, running_emulator

WAIT_SECONDS = 30.0
OMNI = "gemini-omni-1.2-flash"


@pytest.fixture(scope="session")
def shared_emulator() -> Iterator[EmulatorHandle]:
    with running_emulator(EmulatorSettings(video_seconds=0)) as handle:
        yield handle


@pytest.fixture
def emulator(shared_emulator: EmulatorHandle) -> EmulatorHandle:
    shared_emulator.reset()
    return shared_emulator


@pytest.fixture
def client(emulator: EmulatorHandle) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=emulator.url, headers={"x-goog-api-key": "AQ.test"}, timeout=WAIT_SECONDS) as http:
        yield http


@pytest.fixture(scope="session")
def png() -> Callable[..., bytes]:
    def make(colour: str = "red", size: tuple[int, int] = (64, 36)) -> bytes:
        buffer = io.BytesIO()
        Image.new("RGB", size, colour).save(buffer, "PNG")
        return buffer.getvalue()

    return make


@pytest.fixture(scope="session")
def probe_bytes(tmp_path_factory: pytest.TempPathFactory) -> Callable[[bytes], Probe]:
    path = tmp_path_factory.mktemp("probe") / "film.mp4"

    def read(content: bytes) -> Probe:
        path.write_bytes(content)
        done = subprocess.run([find_ffmpeg(None), "-i", str(path)], capture_output=True, text=True)
        return read_probe(done.stderr)

    return read


@pytest.fixture(scope="session")
def make_film(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., bytes]:
    folder: Path = tmp_path_factory.mktemp("films")

    def make(fps: str = "24", seconds: float = 3, codec: str = "libx264", suffix: str = "mp4") -> bytes:
        path = folder / f"film_{fps.replace('/', '_')}_{seconds}_{codec}.{suffix}"
        if not path.exists():
            source = f"color=c=blue:size=128x72:rate={fps}:duration={seconds}"
            encoding = ["-c:v", codec, "-pix_fmt", "yuv420p"]
            command = [find_ffmpeg(None), "-loglevel", "error", "-f", "lavfi", "-i", source, *encoding, str(path)]
            subprocess.run(command, check=True)
        return path.read_bytes()

    return make


class Clips:
    """Orders clips over raw HTTP."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def order(self, content: Any = "a cat", *, task: str | None = None, **extra: Any) -> httpx.Response:
        wanted: dict[str, Any] = {"type": "video", "resolution": "360p", "duration": "3s", "delivery": "uri"}
        wanted |= extra.pop("response_format", {})
        body: dict[str, Any] = {
            "model": OMNI,
            "background": True,
            "store": True,
            "input": content if isinstance(content, str) else [{"type": "user_input", "content": content}],
            "response_format": {name: value for name, value in wanted.items() if value},
        }
        if task:
            body["generation_config"] = {"video_config": {"task": task}}
        return self._client.post("/v1/interactions", json=body | extra)

    def get(self, interaction_id: str) -> dict[str, Any]:
        answer = self._client.get(f"/v1/interactions/{interaction_id}")
        assert answer.status_code == 200, answer.text
        shown: dict[str, Any] = answer.json()
        return shown

    def wait(self, ordered: httpx.Response) -> dict[str, Any]:
        assert ordered.status_code == 200, ordered.text
        deadline = time.monotonic() + WAIT_SECONDS
        while (shown := self.get(ordered.json()["id"]))["status"] == "in_progress":
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return shown

    def uri(self, ordered: httpx.Response) -> str:
        shown = self.wait(ordered)
        assert shown["status"] == "completed", shown
        return str(shown["steps"][-1]["content"][0]["uri"])

    def film(self, ordered: httpx.Response) -> bytes:
        answer = self._client.get(self.uri(ordered))
        assert answer.status_code == 200, answer.text
        return answer.content

    def upload(self, content: bytes, mime_type: str = "video/mp4", *, wait: bool = True) -> dict[str, Any]:
        started = self._client.post(
            "/upload/v1/files",
            json={"file": {"mime_type": mime_type}},
            headers={
                "x-goog-upload-protocol": "resumable",
                "x-goog-upload-command": "start",
                "x-goog-upload-header-content-length": str(len(content)),
            },
        )
        headers = {"x-goog-upload-command": "upload, finalize", "x-goog-upload-offset": "0"}
        file: dict[str, Any] = httpx.post(
            started.headers["x-goog-upload-url"], content=content, headers=headers
        ).json()["file"]
        while wait and self._client.get(f"/v1/{file['name']}").json()["state"] != "ACTIVE":
            time.sleep(0.02)
        return file


@pytest.fixture
def clips(client: httpx.Client) -> Clips:
    return Clips(client)


@pytest.fixture(scope="session")
def b64() -> Callable[[bytes], str]:
    return lambda content: base64.b64encode(content).decode()
