"""The emulator as a process of its own."""

import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from mediagen.emulator.__main__ import is_loopback, main
from mediagen.emulator.thread import EmulatorHandle

KEY = {"x-goog-api-key": "k"}


@contextmanager
def program(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "mediagen.emulator", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def test_program_prints_its_url_writes_the_file_and_ends_cleanly(tmp_path: Path) -> None:
    url_file = tmp_path / "state" / "emulator.json"
    with program("--url-file", str(url_file)) as (process, url):
        assert json.loads(url_file.read_text()) == {"url": url, "pid": process.pid}
        assert httpx.get(f"{url}/v1/models", headers=KEY).status_code == 200
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "")


def test_program_ends_quickly_although_a_stream_is_open_and_a_clip_renders() -> None:
    with program("--video-seconds", "60") as (process, url):
        body = {
            "model": "gemini-omni-1.2-flash",
            "input": "x",
            "response_format": {"type": "video", "resolution": "360p"},
        }

        def hold() -> None:
            with pytest.raises(httpx.TransportError):
                httpx.post(f"{url}/v1/interactions", json=body, headers=KEY, timeout=60)

        holder = threading.Thread(target=hold)
        holder.start()
        while httpx.get(f"{url}/emulator/bill").json()["paid_submissions"] == 0:
            time.sleep(0.02)
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        holder.join()
    assert process.returncode == 0
    assert time.monotonic() - started < 4


def test_program_ends_by_itself_when_idle() -> None:
    with program("--idle-exit", "0.3") as (process, url):
        assert url.startswith("http://127.0.0.1:")
        assert process.wait(timeout=60) == 0


def test_program_signs_films_and_refuses_uploaded_ones_when_told_to() -> None:
    video = {"type": "video", "mime_type": "video/mp4"}
    body = {
        "model": "gemini-omni-1.2-flash",
        "input": "x",
        "response_format": {"type": "video", "resolution": "360p", "duration": "3s"},
    }
    with program("--video-seconds", "0", "--signed", "--region-refuses-uploaded-video") as (_, url):
        made = httpx.post(f"{url}/v1/interactions", json=body, headers=KEY, timeout=60).json()
        data = made["steps"][-1]["content"][0]["data"]
        assert b"urn:c2pa:" in base64.b64decode(data)
        again = httpx.post(
            f"{url}/v1/interactions", json=body | {"input": [video | {"data": data}]}, headers=KEY, timeout=60
        )
    assert (again.status_code, "uploaded videos" in again.text) == (400, True)


def test_host_that_others_can_reach_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--host", "0.0.0.0"]) == 2
    assert "--allow-remote" in capsys.readouterr().err
    assert [is_loopback(host) for host in ("localhost", "::1", "127.0.0.9", "example.com")] == [True, True, True, False]


def test_taken_port_is_said_so(emulator: EmulatorHandle, capsys: pytest.CaptureFixture[str]) -> None:
    port = emulator.url.rpartition(":")[2]
    assert main(["--port", port]) == 3
    assert "cannot listen" in capsys.readouterr().err


def test_temporary_folder_is_removed_at_the_end(tmp_path: Path) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    environment = os.environ | {"TMPDIR": str(folder)}
    command = [sys.executable, "-m", "mediagen.emulator", "--idle-exit", "0.2"]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=60)
    assert list(folder.iterdir()) == []
