"""Serves the bytes of an object, whole or in part, with or without mishaps."""

import re
from email.utils import format_datetime
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message, Receive, Scope, Send

from mediagen.emulator.buckets import StoredObject
from mediagen.emulator.buckets_json import etag
from mediagen.emulator.download import ByteRange, FileResponse
from mediagen.emulator.faults import Fault

SPOILERS = frozenset({"cut_download", "slow_download", "wrong_length", "bad_checksum"})
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class SpoiledResponse(FileResponse):
    """The bytes of a file, the first of them wrong."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the bytes."""
        is_first = True

        async def spoil(message: Message) -> None:
            nonlocal is_first
            body = message.get("body", b"")
            if body and is_first:
                is_first = False
                message = {**message, "body": bytes([body[0] ^ 0xFF]) + body[1:]}
            await send(message)

        await super().__call__(scope, receive, spoil)


def serve_object(request: Request, stored: StoredObject, fault: Fault | None) -> Response:
    """Answer a download."""
    headers = _headers(stored)
    part = ByteRange(0, stored.size_bytes)
    status_code = 200
    wanted = request.headers.get("range")
    if wanted is not None and (match := _RANGE.fullmatch(wanted.strip())) is not None:
        found = _part(match.group(1), match.group(2), size=stored.size_bytes)
        if found is None:
            answer = {"content-range": f"bytes */{stored.size_bytes}"}
            return PlainTextResponse("The requested range cannot be satisfied.", status_code=416, headers=answer)
        part, status_code = found, 206
        headers["content-range"] = f"bytes {part.start}-{part.stop - 1}/{stored.size_bytes}"
    kind = SpoiledResponse if fault is not None and fault.kind == "bad_checksum" else FileResponse
    return kind(stored.path, part, headers=headers, fault=fault, status_code=status_code)


def _part(first: str, last: str, *, size: int) -> ByteRange | None:
    if not first and not last:
        return ByteRange(0, size)
    start = int(first) if first else max(0, size - int(last))
    stop = min(size, int(last) + 1) if first and last else size
    return ByteRange(start, stop) if start < stop else None


def _headers(stored: StoredObject) -> dict[str, str]:
    return {
        "content-type": quote(stored.content_type, safe=" /;=+.-_\"'*,!#$&^`|~:()"),
        "etag": etag(stored),
        "last-modified": format_datetime(stored.created_at, usegmt=True),
        "x-goog-generation": str(stored.generation),
        "x-goog-metageneration": "1",
        "x-goog-hash": f"crc32c={stored.crc32c},md5={stored.md5}",
        "x-goog-storage-class": "STANDARD",
        "x-goog-stored-content-encoding": "identity",
        "x-goog-stored-content-length": str(stored.size_bytes),
        "content-disposition": "attachment",
    }
