"""Streams a file from disk, whole or in part, with or without mishaps."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import anyio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mediagen.emulator.answers import end_connection
from mediagen.emulator.faults import Fault

CHUNK_BYTES = 65_536


class ByteRange(NamedTuple):
    """Bytes from start up to, not including, stop."""

    start: int
    stop: int


class FileResponse(Response):
    """The bytes of a file; a fault may cut, slow or mislabel them."""

    def __init__(
        self,
        path: Path,
        part: ByteRange,
        *,
        headers: Mapping[str, str],
        fault: Fault | None = None,
        status_code: int = 200,
    ) -> None:
        length = part.stop - part.start
        self._path = path
        self._start = part.start
        self._send_bytes = length
        self._pace: float | None = None
        self._cut = False
        if fault is not None:
            length = self._spoil(fault, length)
        self.status_code = status_code
        self.background = None
        self.body = b""
        self.init_headers({**headers, "content-length": str(length)})

    def _spoil(self, fault: Fault, length: int) -> int:
        """Apply a fault and give the length to announce."""
        if fault.kind == "cut_download":
            self._send_bytes = min(length, int(fault.number("after_bytes", length // 2)))
            self._cut = True
        elif fault.kind == "slow_download":
            self._pace = max(1.0, fault.number("bytes_per_second", 20_000))
        elif fault.kind == "wrong_length":
            missing = int(fault.number("missing_bytes", 1000))
            if fault.text("how", "declared") == "truncated":
                self._send_bytes = max(0, length - missing)
                return self._send_bytes
            self._cut = True
            return length + missing
        return length

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the bytes."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await self._send_file(send)
        if self._cut:
            await end_connection(scope, receive, at_once=False)
        else:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_file(self, send: Send) -> None:
        left = self._send_bytes
        size = CHUNK_BYTES if self._pace is None else max(1, min(CHUNK_BYTES, int(self._pace / 20)))
        async with await anyio.open_file(self._path, "rb") as stream:
            await stream.seek(self._start)
            while left > 0:
                chunk = await stream.read(min(size, left))
                if not chunk:
                    return
                left -= len(chunk)
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                if self._pace is not None:
                    await anyio.sleep(len(chunk) / self._pace)
