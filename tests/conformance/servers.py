"""Starts the servers that the suites are run against, each in a process and a folder of its own."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 60.0
STOP_SECONDS = 10.0
ROOT = Path(__file__).parent.parent.parent


class ServerNotStartedError(Exception):
    """The server ended or did not listen in time."""


def product_environment(folder: Path) -> dict[str, str]:
    """A server that needs no key: the built-in emulator, every toolset, everything below one folder."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT))),
        "NO_GCE_CHECK": "true",
        "MEDIAGEN_BACKEND": "emulator",
        "MEDIAGEN_STATE_DIR": str(folder / "state"),
        "MEDIAGEN_OUTPUT_DIR": str(folder / "output"),
        "MEDIAGEN_POLL_SECONDS": "0.1",
        "MEDIAGEN_TOOLSETS": "core,jobs,edit",
    }


@contextmanager
def product_server(folder: Path) -> Iterator[str]:
    """The address of `mediagen serve --http`."""
    with _served(["-m", "mediagen.cli", "serve", "--http", "--port"], folder) as url:
        yield url


@contextmanager
def fixture_server(folder: Path) -> Iterator[str]:
    """The address of the server with the tools that the suite calls."""
    with _served(["-m", "tests.conformance.server"], folder) as url:
        yield url


@contextmanager
def _served(arguments: list[str], folder: Path) -> Iterator[str]:
    port = _free_port()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "output").mkdir(exist_ok=True)
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *arguments, str(port)],
            cwd=folder,
            env=product_environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            _wait_until_listening(port, process, folder / "server.log")
            yield f"http://127.0.0.1:{port}/mcp"
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_listening(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise ServerNotStartedError(f"the server did not start: {log.read_text(errors='replace')[-2000:]}")
