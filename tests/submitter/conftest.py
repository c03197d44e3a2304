"""A server on loopback that answers paid requests as told and counts them, and what tests ask of processes."""

import os
import socketserver
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import anyio
import pytest

from mediagen.submitter.base import Patience, SignedRequest
from mediagen.submitter.tickets import open_folder

KEY = "AQ.secret-of-nobody-0123456789"
DEADLINE = 60.0
BODY = b'{"name": "operations/1"}'

Behave = Callable[["Handler"], object]

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs a platform with the submitter")


class Handler(BaseHTTPRequestHandler):
    """One request; what it does is said by the server."""

    protocol_version = "HTTP/1.1"
    server: "Google"

    def do_POST(self) -> None:
        if self.server.reads_requests:
            self.rfile.read(int(self.headers["content-length"]))
        with self.server.lock:
            self.server.seen[self.headers.get("x-job", "")] += 1
            self.server.targets.append(self.path)
            self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        self.server.behave(self)
        self.close_connection = True

    def answer(self, body: bytes = BODY, *, status: int = 200, cut_after: int | None = None) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:cut_after])

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - named so in the standard library
        pass

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:
            # Who asked is gone.
            return


class Google(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: Counter[str] = Counter()
        self.targets: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.lock = threading.Lock()
        self.released = threading.Event()
        self.behave: Behave = Handler.answer
        self.reads_requests = True
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1/models/veo:predict?alt=json"

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass

    def wait_and_answer(self, handler: Handler) -> None:
        """Behaviour: answers when `released` is set."""
        assert self.released.wait(DEADLINE)
        handler.answer()


@pytest.fixture
def google() -> Iterator[Google]:
    with Google() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield server
        server.released.set()
        server.shutdown()
        thread.join()


@dataclass
class Spool:
    folder: Path

    def request(self, url: str, job: str = "job_1", body: bytes = b"{}", **changes: Any) -> SignedRequest:
        headers = (("x-goog-api-key", KEY), ("content-type", "application/json"), ("x-job", job))
        patience = Patience(connect_seconds=5.0, write_seconds=5.0, read_seconds=10.0, total_seconds=20.0)
        given = {"url": url, "headers": headers, "body": body, "folder": self.folder / f"{job}-0", "patience": patience}
        request = SignedRequest(**{**given, **changes})
        request.folder.mkdir(exist_ok=True)
        open_folder(str(request.folder))
        return request

    def texts(self) -> bytes:
        return b"".join(path.read_bytes() for path in self.folder.rglob("*") if path.is_file())


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    folder = tmp_path / "spool 🎬"
    folder.mkdir()
    return Spool(folder)


def state_of(process_id: int) -> str:
    """First letter of the state of a process; empty when it has ended."""
    found = subprocess.run(["ps", "-o", "stat=", "-p", str(process_id)], capture_output=True, text=True).stdout.strip()
    return "" if found.startswith("Z") else found[:1]


def until(holds: Callable[[], Any], seconds: float = DEADLINE) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "what is waited for did not happen"
        time.sleep(0.02)


async def until_async(holds: Callable[[], Any], seconds: float = DEADLINE) -> None:
    with anyio.fail_after(seconds):
        while not holds():
            await anyio.sleep(0.02)
