"""What was asked of the emulator, and the gate through which every request comes."""

import hashlib
import json
import time
from collections import deque
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl

import anyio
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mediagen.emulator.answers import TRANSPORT, DropResponse, google_error
from mediagen.emulator.bill import now_text
from mediagen.emulator.fault_answers import status_answer
from mediagen.emulator.faults import ARRIVAL, Fault, magic_faults

if TYPE_CHECKING:
    from mediagen.emulator.world import World

KEPT_REQUESTS = 5000
BODY_LIMIT_BYTES = 104_857_600
_SECRET_HEADERS = frozenset({"x-goog-api-key", "x-api-key", "authorization", "cookie"})
_SHOWN_CHARACTERS = 200


class Traffic:
    """The requests seen so far."""

    def __init__(self) -> None:
        self._requests: deque[dict[str, Any]] = deque(maxlen=KEPT_REQUESTS)
        self.last_at = time.monotonic()
        self.open_requests = 0
        self.key_leaks = 0

    def note(self, scope: Scope) -> dict[str, Any]:
        """Remember a request; the body is filled in later."""
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        entry: dict[str, Any] = {
            "method": scope["method"],
            "path": scope["path"],
            "query": {name: "…" if name == "key" else value for name, value in query},
            "headers": {
                name.decode("latin-1"): "…" if name.decode("latin-1") in _SECRET_HEADERS else value.decode("latin-1")
                for name, value in scope["headers"]
            },
            "body": None,
            "body_sha256": hashlib.sha256().hexdigest(),
            "at": now_text(),
        }
        self._requests.append(entry)
        return entry

    def as_json(self) -> list[dict[str, Any]]:
        """List the requests, oldest first."""
        return list(self._requests)

    def clear(self) -> None:
        """Forget the requests."""
        self._requests.clear()
        self.key_leaks = 0


def shorten(value: Any) -> Any:
    """Cut long texts, such as base64, so that a body can be read."""
    if isinstance(value, dict):
        return {key: shorten(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shorten(inner) for inner in value]
    if isinstance(value, str) and len(value) > _SHOWN_CHARACTERS and " " not in value:
        return f"{value[:24]}… ({len(value)} characters)"
    return value


def newest_turn(content: Any) -> Any:
    """Leave earlier turns of a conversation out."""
    if isinstance(content, dict) and isinstance(content.get("contents"), list):
        return content["contents"][-1:]
    return content


def prompt_texts(value: Any) -> str:
    """Join all texts of a body that may hold a prompt."""
    if isinstance(value, dict):
        parts = [
            inner if name in {"text", "input", "prompt"} and isinstance(inner, str) else prompt_texts(inner)
            for name, inner in value.items()
            if name != "data"
        ]
        return "\n".join(part for part in parts if part)
    if isinstance(value, list):
        return "\n".join(part for part in map(prompt_texts, value) if part)
    return ""


class Gate:
    """Records each request and lets the faults of arrival happen before anything else does."""

    def __init__(self, app: ASGIApp, world: "World") -> None:
        self._app = app
        self._world = world

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        traffic = self._world.traffic
        traffic.open_requests += 1
        try:
            await self._handle(scope, receive, send)
        except anyio.get_cancelled_exc_class():
            # the server is ending: no answer is more honest than a made-up one
            scope[TRANSPORT].abort()
            raise
        finally:
            traffic.open_requests -= 1
            traffic.last_at = time.monotonic()

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if path.startswith("/emulator"):
            await self._app(scope, receive, send)
            return
        entry = self._world.traffic.note(scope)
        magic: list[Fault] = []
        if path.startswith("/upload/"):
            receive = _hashing(receive, entry)
        else:
            body = await _read_body(receive)
            entry["body_sha256"] = hashlib.sha256(body).hexdigest()
            content = _json_or_none(body)
            entry["body"] = shorten(content)
            magic = magic_faults(prompt_texts(newest_turn(content)))
            receive = _replaying(body, receive)
            if len(body) > BODY_LIMIT_BYTES:
                refusal = google_error(400, f"Request payload size exceeds the limit: {BODY_LIMIT_BYTES} bytes.")
                await JSONResponse(refusal.body, status_code=400)(scope, receive, send)
                return
        scope["mediagen.magic"] = magic
        if not await self._suffer(magic, scope, receive, send):
            await self._app(scope, receive, send)

    async def _suffer(self, magic: list[Fault], scope: Scope, receive: Receive, send: Send) -> bool:
        """Let faults of arrival happen; True when the request is over."""
        pending = [fault for fault in magic if fault.kind in ARRIVAL]
        while True:
            fault = pending.pop(0) if pending else None
            fault = fault or self._world.faults.take(ARRIVAL, method=scope["method"], path=scope["path"])
            fault = fault or self._world.quota.take(scope["method"], scope["path"])
            if fault is None:
                return False
            if fault.kind == "delay":
                await anyio.sleep(fault.number("seconds", 1))
                continue
            answer = DropResponse() if fault.kind == "drop_before" else status_answer(fault)
            await answer(scope, receive, send)
            return True


async def _read_body(receive: Receive) -> bytes:
    chunks = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            break
    return b"".join(chunks)


def _json_or_none(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return None


def _replaying(body: bytes, receive: Receive) -> Receive:
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay


def _hashing(receive: Receive, entry: dict[str, Any]) -> Receive:
    digest = hashlib.sha256()

    async def hashed() -> Message:
        message = await receive()
        digest.update(cast("bytes", message.get("body", b"")))
        entry["body_sha256"] = digest.hexdigest()
        return message

    return hashed
