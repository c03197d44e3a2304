"""Captures of Google's SDK, and a server on loopback that answers as told, also with cut connections."""

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import google_crc32c
import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from mediagen.credentials import ApiKeyAuth
from mediagen.endpoints.gemini_api import GeminiApi
from mediagen.endpoints.http import HttpSettings
from mediagen.endpoints.vertex_ai import VertexAi
from mediagen.endpoints.wire.inline_media import InlineMediaScanner

WIRE = Path(__file__).parent / "wire"
TOKEN = "plain-looking-token-of-nobody"
KEY = "AQ.test-key-0123456789"


@dataclass(frozen=True, kw_only=True)
class Received:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One scripted answer; `cut_after` breaks the connection after so many bytes of the body, None of it all."""

    status: int = 200
    body: bytes | dict[str, Any] | list[Any] = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    hang_up: bool = False
    silent: bool = False
    has_length: bool = True


@dataclass
class LoopbackServer:
    url: str = ""
    script: list[Reply] = field(default_factory=list)
    answer: Callable[[Received], Reply] | None = None
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while request := await _read_request(reader):
                self.received.append(request)
                reply = self.answer(request) if self.answer else self.script.pop(0)
                if not await self._send(writer, reply):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _send(self, writer: asyncio.StreamWriter, reply: Reply) -> bool:
        if reply.silent:
            await self.released.wait()
        if reply.hang_up or reply.silent:
            return False
        body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        headers = {**({"Content-Length": str(len(body))} if reply.has_length else {}), **reply.headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"HTTP/1.1 {reply.status} X\r\n{head}\r\n".encode() + body[: reply.cut_after])
        await writer.drain()
        return reply.cut_after is None


async def _read_request(reader: asyncio.StreamReader) -> Received | None:
    line = await reader.readline()
    if not line:
        return None
    method, target, _version = line.decode().split()
    headers: dict[str, str] = {}
    while (line := await reader.readline()).strip():
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(method=method, target=target, headers=headers, body=body)


@pytest_asyncio.fixture
async def loopback() -> AsyncIterator[LoopbackServer]:
    state = LoopbackServer()
    server = await asyncio.start_server(state.serve, "127.0.0.1", 0)
    state.url = "http://{}:{}".format(*server.sockets[0].getsockname()[:2])
    yield state
    state.released.set()
    server.close()
    await asyncio.sleep(0.01)


class BearerToken(httpx.Auth):
    """Signs with a token of a form that no pattern finds in a text."""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["authorization"] = f"Bearer {TOKEN}"
        yield request


class Naps(list[float]):
    """Takes the place of sleeping and remembers for how long."""

    async def sleep(self, seconds: float) -> None:
        self.append(seconds)
        await asyncio.sleep(0)


@pytest.fixture
def naps() -> Naps:
    return Naps()


MakeApi = Callable[..., GeminiApi]


@pytest_asyncio.fixture
async def make_api(naps: Naps) -> AsyncIterator[MakeApi]:
    opened: list[GeminiApi] = []

    def make(base_url: str, **http: Any) -> GeminiApi:
        api = GeminiApi(
            base_url=base_url,
            auth=ApiKeyAuth(SecretStr(KEY), base_url),
            key_source="GEMINI_API_KEY",
            http=HttpSettings(sleep=naps.sleep, **http),
        )
        opened.append(api)
        return api

    yield make
    for api in opened:
        await api.aclose()


VERTEX_PATH = "/v1beta1/projects/film-project/locations/us-central1"


@pytest_asyncio.fixture
async def make_vertex(naps: Naps) -> AsyncIterator[Callable[..., VertexAi]]:
    opened: list[VertexAi] = []

    def make(origin: str, path: str = VERTEX_PATH, **http: Any) -> VertexAi:
        api = VertexAi(
            base_url=f"{origin}{path}",
            auth=BearerToken(),
            key_source="the service account in GOOGLE_APPLICATION_CREDENTIALS",
            http=HttpSettings(sleep=naps.sleep, **http),
        )
        opened.append(api)
        return api

    yield make
    for api in opened:
        await api.aclose()


@pytest.fixture
def vertex(make_vertex: Callable[..., VertexAi], loopback: LoopbackServer) -> VertexAi:
    return make_vertex(loopback.url)


@pytest.fixture
def api(make_api: MakeApi, loopback: LoopbackServer) -> GeminiApi:
    return make_api(loopback.url)


class MemoryPart:
    """An unfinished file in memory."""

    def __init__(self, start: bytes = b"") -> None:
        self.data = start
        self.largest_piece = 0
        self.truncated = 0
        self.noted: dict[str, str] = {}

    def size(self) -> int:
        return len(self.data)

    async def append(self, data: bytes, /) -> None:
        self.largest_piece = max(self.largest_piece, len(data))
        self.data += data

    async def note(self) -> dict[str, str]:
        return dict(self.noted)

    async def keep_note(self, note: Mapping[str, str], /) -> None:
        self.noted = dict(note)

    async def checksum(self, kind: str, /) -> str:
        if kind == "md5":
            return base64.b64encode(hashlib.md5(self.data, usedforsecurity=False).digest()).decode()
        return base64.b64encode(google_crc32c.value(self.data).to_bytes(4, "big")).decode()

    async def truncate(self) -> None:
        self.truncated += 1
        self.data = b""


@pytest.fixture
def make_part() -> Callable[..., MemoryPart]:
    return MemoryPart


class MemorySinks:
    """Where the files inside an answer go."""

    def __init__(self) -> None:
        self.parts: dict[int, MemoryPart] = {}

    async def open(self, number: int) -> MemoryPart:
        assert number not in self.parts
        return self.parts.setdefault(number, MemoryPart())

    @property
    def files(self) -> dict[int, bytes]:
        return {number: part.data for number, part in self.parts.items()}


@pytest.fixture
def sinks() -> MemorySinks:
    return MemorySinks()


@pytest.fixture
def skeleton() -> Callable[[bytes], bytes]:
    """What remains of an answer when its files are taken out."""

    def without_files(body: bytes) -> bytes:
        scanner = InlineMediaScanner()
        list(scanner.feed(body))
        return scanner.skeleton

    return without_files


@pytest.fixture
def make_reply() -> Callable[..., Reply]:
    return Reply


@pytest.fixture
def captured_answer() -> Callable[[str], tuple[int, bytes]]:
    def read(name: str) -> tuple[int, bytes]:
        capture = json.loads((WIRE / "responses" / f"{name}.json").read_text())
        body = capture["body"]
        return capture["status"], body.encode() if isinstance(body, str) else json.dumps(body).encode()

    return read
