"""A Google of the tests that serves one finished clip as it is told to, and a process that fetches it from there."""

import dataclasses
import json
import re
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import anyio
from pydantic import SecretStr
from tests.runner.crashing import collector_in, job_of

from mediagen.credentials import ApiKeyAuth
from mediagen.endpoints.base import Endpoint
from mediagen.endpoints.gemini_api import GeminiApi
from mediagen.endpoints.http import HttpSettings
from mediagen.errors import MediaGenError
from mediagen.jobs import Job, JobStatus
from mediagen.runner.collect import Bucket, Collector


@dataclass(kw_only=True)
class Google:
    """Serves a clip.

    Attributes:
        bodies: What is sent to each download in turn; the last one from then on.
        held_after: After so many bytes each answer waits until `released`.
        ranges: What was asked for.
    """

    bodies: list[bytes]
    held_after: int | None = None
    ranges: list[str] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    held: threading.Event = field(default_factory=threading.Event)
    status: int = 200
    mime_type: str = "video/mp4"
    url: str = ""
    polls: int = 0

    def __enter__(self) -> "Google":
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def next_body(self) -> bytes:
        return self.bodies.pop(0) if len(self.bodies) > 1 else self.bodies[0]


def _handler(google: Google) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if "alt=media" not in self.path:
                google.polls += 1
                self._send(200, b'{"name": "files/abc", "state": "ACTIVE"}', "application/json")
                return
            asked = self.headers.get("range", "")
            google.ranges.append(asked)
            if google.status != 200:
                self._send(google.status, b'{"error": {"code": 404, "status": "NOT_FOUND"}}', "application/json")
                return
            body = google.next_body()
            found = re.fullmatch(r"bytes=(\d+)-", asked)
            start = int(found[1]) if found else 0
            more = {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"} if found else {}
            self._send(206 if found else 200, body[start:], google.mime_type, **more)

        def _send(self, status: int, body: bytes, mime_type: str, **headers: str) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": mime_type, "Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            held_after = google.held_after
            try:
                if held_after is not None and mime_type == google.mime_type:
                    self.wfile.write(body[:held_after])
                    google.held.set()
                    google.released.wait(60)
                    body = body[held_after:]
                self.wfile.write(body)
            except OSError:
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the library calls it
            pass

    return Handler


class OneSurface:
    """Gives the Gemini API at one address, as the pool of the program does."""

    def __init__(self, url: str) -> None:
        async def at_once(_seconds: float) -> None:
            await anyio.sleep(0)

        auth = ApiKeyAuth(SecretStr("some-key"), url)
        http = HttpSettings(sleep=at_once, attempts=2)
        self._api = GeminiApi(base_url=url, auth=auth, key_source="GEMINI_API_KEY", http=http)

    async def for_job(self, job: Job) -> Endpoint:
        return self._api

    async def bucket_for_job(self, job: Job) -> Bucket:
        raise NotImplementedError

    def advice(self, job: Job, error: MediaGenError) -> str:
        return ""

    async def aclose(self) -> None:
        await self._api.aclose()


def collector_at(folder: Path, url: str, clock: Callable[[], datetime] | None = None) -> Collector:
    """A collector that can fetch from an address."""
    collector = collector_in(folder)
    return dataclasses.replace(collector, endpoints=OneSurface(url), clock=clock or collector.clock)


async def made(collector: Collector, folder: Path, url: str, **changes: Any) -> Job:
    """As after the poll that says the clip is made."""
    job = job_of(folder, kind="video", mode="text_to_video", **changes)
    Path(job.output_dir).mkdir(parents=True, exist_ok=True)
    await collector.ledger.create(job)
    await collector.ledger.update_call(
        job.job_id,
        0,
        expected=JobStatus.SUBMITTING,
        status=JobStatus.DOWNLOADING,
        remote_uris=(f"{url}/v1beta/files/abc:download?alt=media",),
        expires_at=datetime.now(UTC) + timedelta(days=2),
    )
    return await collector.ledger.get(job.job_id)


async def collect(collector: Collector, job_id: str = "job_1") -> Job:
    """One step of a call that is downloading; what fails is raised."""
    job = await collector.ledger.get(job_id)
    await collector.collect(job, job.calls[0])
    return await collector.ledger.get(job_id)


async def close(collector: Collector) -> None:
    await cast("OneSurface", collector.endpoints).aclose()
    await collector.ledger.aclose()


async def main() -> None:
    folder, url = Path(sys.argv[1]), sys.argv[2]
    collector = collector_at(folder, url)
    try:
        job = await collect(collector)
        print(json.dumps([str(job.status), [artifact.path for artifact in job.artifacts]]))
    finally:
        await close(collector)


if __name__ == "__main__":
    anyio.run(main)
