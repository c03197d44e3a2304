"""Real servers over HTTP, as subprocesses, and callers with tokens of an issuer."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import anyio
import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from tests.conftest import SOURCE, of_child
from tests.server.http.issuer import AUDIENCE, Issuer, running_issuer

from mediagen.emulator.thread import EmulatorHandle

SECRET = "operators-own-token"
HOST = "media.example.com"


class HttpServer:
    """A running server.

    Attributes:
        url: Its address, without a path.
    """

    def __init__(self, variables: Mapping[str, str], work: Path, *arguments: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "mediagen.cli", "serve", "--http", "--port", str(self.port), *arguments]
        self.process = subprocess.Popen(command, env=of_child(variables), cwd=work)

    def wait(self) -> "HttpServer":
        """Wait until it is ready."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert self.process.poll() is None
            with contextlib.suppress(httpx.TransportError):
                if self.get("/ready").status_code == 200:
                    return self
            time.sleep(0.05)
        raise AssertionError("the server did not start")

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.request("GET", path, **more)

    def request(self, method: str, path: str, *, token: str | None = None, **more: Any) -> httpx.Response:
        headers = {**more.pop("headers", {}), **bearer(token)}
        with httpx.Client(trust_env=False, timeout=30) as client:
            return client.request(method, f"{self.url}{path}", headers=headers, **more)

    def end(self) -> float:
        """Send SIGTERM; returns how many seconds it takes, without those in which other programs had the processor."""
        before = waited = self._waited_for_processor()
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        while self.process.poll() is None:
            assert time.monotonic() < began + 60
            waited = max(waited, self._waited_for_processor())
            time.sleep(0.01)
        return time.monotonic() - began - (waited - before)

    def _waited_for_processor(self) -> float:
        """Seconds that the process was ready to run and did not get to; 0 where the system does not tell."""
        with contextlib.suppress(OSError, IndexError):
            # The last look finds the process gone or as a zombie, whose file is empty.
            return int(Path(f"/proc/{self.process.pid}/schedstat").read_text().split()[1]) / 1e9
        return 0.0

    def close(self) -> None:
        """End it, however it is."""
        self.process.kill()
        self.process.wait()

    @contextlib.asynccontextmanager
    async def client(self, token: str | None, era: str, **more: Any) -> AsyncIterator[Client]:
        """An MCP client with a token."""
        async with (
            httpx2.AsyncClient(
                headers=bearer(token), trust_env=False, timeout=60, event_hooks={"request": [name_task]}
            ) as http,
            Client(streamable_http_client(f"{self.url}/mcp", http_client=http), mode=era, **more) as client,
        ):
            yield client


async def name_task(request: httpx2.Request) -> None:
    """Name the task in the headers, as the specification of tasks has it and the SDK's client does not know."""
    body = json.loads(request.content or b"{}")
    if str(body.get("method")).startswith("tasks/"):
        request.headers["Mcp-Name"] = body["params"]["taskId"]


def bearer(token: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


StartServer = Callable[..., HttpServer]


@pytest.fixture
def start(environment: dict[str, str], work: Path) -> Iterator[StartServer]:
    """Starts servers of this test's own."""
    servers: list[HttpServer] = []

    def start_with(*arguments: str, **variables: str) -> HttpServer:
        servers.append(HttpServer({**environment, **variables}, work, *arguments))
        return servers[-1].wait()

    yield start_with
    for server in servers:
        server.close()


@pytest.fixture(scope="session")
def issuer() -> Iterator[Issuer]:
    with running_issuer() as issuer:
        yield issuer


@pytest.fixture(scope="session")
def shared(
    issuer: Issuer, shared_emulator: EmulatorHandle, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[HttpServer]:
    """One server that several people share; each test calls as somebody new."""
    folder = tmp_path_factory.mktemp("shared")
    (folder / "out").mkdir()
    variables = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
        "PYTHONPATH": str(SOURCE),
        "MEDIAGEN_BACKEND": "emulator",
        "GOOGLE_GEMINI_BASE_URL": shared_emulator.url,
        "MEDIAGEN_STATE_DIR": str(folder / "state"),
        "MEDIAGEN_OUTPUT_DIR": str(folder / "out"),
        "MEDIAGEN_POLL_SECONDS": "0.05",
        "MEDIAGEN_TOOLSETS": "core,jobs,edit",
        "MEDIAGEN_HTTP_TOKEN": SECRET,
        "MEDIAGEN_HTTP_ISSUER": issuer.url,
        "MEDIAGEN_HTTP_PUBLIC_URL": AUDIENCE,
        "MEDIAGEN_HTTP_SCOPES": "media",
        "MEDIAGEN_HTTP_ALLOWED_ORIGINS": "https://app.example.com",
    }
    server = HttpServer(variables, folder)
    try:
        yield server.wait()
    finally:
        server.close()


async def until(claim: Callable[[], bool]) -> None:
    """Wait until something is so."""
    with anyio.fail_after(30):
        while not await anyio.to_thread.run_sync(claim):
            await anyio.sleep(0.02)
