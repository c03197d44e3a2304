"""Cloud Storage on this machine: the emulator package for what it can do, a scripted server for the rest."""

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import httpx
import pytest
from gcp_storage_emulator.server import create_server  # type: ignore[import-untyped] # has no types

from mediagen.storage.gcs import CloudStorage, Patience

IMPATIENT = Patience(backoff_seconds=0.0, connect_seconds=2.0, read_seconds=2.0)


@dataclass(frozen=True, kw_only=True)
class Buckets:
    """The emulator, seen from outside."""

    url: str

    def create(self, name: str) -> None:
        httpx.post(f"{self.url}/storage/v1/b", json={"name": name}, trust_env=False).raise_for_status()

    def put(self, bucket: str, name: str, data: bytes, mime_type: str = "video/mp4") -> None:
        httpx.post(
            f"{self.url}/upload/storage/v1/b/{bucket}/o",
            params={"uploadType": "media", "name": name},
            content=data,
            headers={"content-type": mime_type},
            trust_env=False,
        ).raise_for_status()

    def list(self, bucket: str) -> dict[str, dict[str, Any]]:
        answer = httpx.get(f"{self.url}/storage/v1/b/{bucket}/o", trust_env=False).raise_for_status()
        return {item["name"]: item for item in answer.json()["items"]}


@pytest.fixture(scope="session")
def shared_buckets() -> Iterator[Any]:
    server = create_server("127.0.0.1", 0, in_memory=True)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def buckets(shared_buckets: Any, monkeypatch: pytest.MonkeyPatch) -> Buckets:
    """An emulator with the empty bucket ``films``."""
    shared_buckets.wipe()
    url = f"http://127.0.0.1:{shared_buckets._api._httpd.server_address[1]}"
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
    found = Buckets(url=url)
    found.create("films")
    return found


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A request that the scripted server got."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def is_media(self) -> bool:
        return self.path.startswith("/download/")

    @property
    def span(self) -> tuple[int, int]:
        start, _, end = self.headers["range"].removeprefix("bytes=").partition("-")
        return int(start), int(end)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What it answers; `cut` closes the connection after so many bytes of the body."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None


class Scripted:
    """A web server that answers as the test says."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.respond: Callable[[Seen], Reply] = lambda _: Reply(status=500)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def count(self, method: str, part: str = "") -> int:
        return sum(1 for seen in self.seen if seen.method == method and part in seen.path)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        script = self

        class Handler(BaseHTTPRequestHandler):
            def _serve(self) -> None:
                split = urlsplit(self.path)
                seen = Seen(
                    method=self.command,
                    path=unquote(split.path),
                    query={name: values[0] for name, values in parse_qs(split.query).items()},
                    headers={name.lower(): value for name, value in self.headers.items()},
                    body=self.rfile.read(int(self.headers.get("content-length") or 0)),
                )
                script.seen.append(seen)
                reply = script.respond(seen)
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body if reply.cut is None else reply.body[: reply.cut])

            do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - names of the base class

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    script = Scripted()
    thread = threading.Thread(target=script.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield script
    script.server.shutdown()
    thread.join(timeout=5)
    script.server.server_close()


@pytest.fixture
async def open_cloud() -> AsyncIterator[Callable[..., CloudStorage]]:
    """Makes storages that are closed at the end of the test."""
    opened: list[CloudStorage] = []

    def make(**changes: Any) -> CloudStorage:
        defaults = {"credentials": None, "project": "film-42", "identity": "ann@example.com", "patience": IMPATIENT}
        opened.append(CloudStorage(**{**defaults, **changes}))
        return opened[-1]

    yield make
    for cloud in opened:
        await cloud.aclose()
