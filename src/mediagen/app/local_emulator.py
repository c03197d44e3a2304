"""Starts the built-in emulator as a process of its own, shared by all servers of one state folder.

It outlives the server that started it, so that a clip in the making is still there after a restart, and ends by
itself when nobody has used it for a while.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import anyio
from filelock import FileLock, Timeout

from mediagen.errors import ConfigurationError

IDLE_SECONDS = 900
START_SECONDS = 20.0


async def emulator_url(state_dir: Path, ffmpeg: str | None) -> str:
    """Address of the running emulator; starts it if there is none.

    Raises:
        ConfigurationError: It cannot be started.
    """
    return await anyio.to_thread.run_sync(_running_url, state_dir, ffmpeg)


def _running_url(state_dir: Path, ffmpeg: str | None) -> str:
    folder = state_dir / "emulator"
    url_file = folder / "url.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "start.lock", timeout=START_SECONDS):
            return _alive(url_file) or _start(folder, url_file, ffmpeg)
    except Timeout as error:
        raise ConfigurationError(
            f"Another process is starting the emulator in {folder} and does not get ready.",
            hint="Start it by hand with `mediagen emulator` and set GOOGLE_GEMINI_BASE_URL to its address.",
        ) from error
    except OSError as error:
        raise ConfigurationError(
            f"The emulator cannot be started: {folder} cannot be written to ({error.strerror}).",
            hint="Make it writable, or name another folder in MEDIAGEN_STATE_DIR.",
        ) from error


def _alive(url_file: Path) -> str | None:
    import httpx

    try:
        url = str(json.loads(url_file.read_text())["url"])
        httpx.get(f"{url}/emulator/bill", timeout=2.0, trust_env=False).raise_for_status()
    except (OSError, ValueError, KeyError, httpx.HTTPError):
        return None
    return url


def _start(folder: Path, url_file: Path, ffmpeg: str | None) -> str:
    url_file.unlink(missing_ok=True)
    command = [sys.executable, "-m", "mediagen.emulator", "--port", "0", "--idle-exit", str(IDLE_SECONDS)]
    command += ["--url-file", str(url_file), *(["--ffmpeg", ffmpeg] if ffmpeg else [])]
    with (folder / "emulator.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - our own module, no shell
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={name: value for name, value in os.environ.items() if "KEY" not in name and "TOKEN" not in name},
        )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if url := _alive(url_file):
            # It outlives us on purpose; without a return code Python would complain that it still runs.
            process.returncode = 0
            return url
        time.sleep(0.05)
    raise ConfigurationError(
        f"The emulator could not be started; see {folder / 'emulator.log'}.",
        hint='Install its parts with: pip install "mediagen-mcp[emulator]"',
    )
