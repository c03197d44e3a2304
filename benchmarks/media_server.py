"""Answers like Google with media of the size that the prompt names: ``python -m benchmarks.media_server``.

The emulator makes real media, which takes longer and never comes to a size that was wished for.
"""

import base64
import io
import itertools
import json
import os
import re
import sys
from collections.abc import Iterator
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from PIL import Image

SIDE = 4096
SMALLEST_BYTES = 500_000
BITMAP_BYTES = SIDE * SIDE * 4  # Pillow keeps each pixel of three bytes in four
CLIP = Path(__file__).parent.parent / "tests" / "data" / "bigbuckbunny.mp4"
_PIECE_BYTES = 3 * 256 * 1024
_BYTES = re.compile(r"(\d+) bytes")
_OPERATION = "projects/p/locations/l/publishers/google/models/veo/operations"


@cache
def picture_of(size: int) -> bytes:
    """A 4K PNG of about so many bytes; a small one where that is too little."""
    side = SIDE if size >= SMALLEST_BYTES else 64
    noise = min(side, size // (3 * side))
    pixels = os.urandom(noise * side * 3) + bytes((side - noise) * side * 3)
    out = io.BytesIO()
    Image.frombytes("RGB", (side, side), pixels).save(out, "PNG", compress_level=1)
    return out.getvalue()


@cache
def clip_of(size: int) -> bytes:
    """A film of so many bytes: a short one, and a box that players skip."""
    clip = CLIP.read_bytes()
    room = max(8, size - len(clip))
    return clip + room.to_bytes(4, "big") + b"free" + (os.urandom(997) * (room // 997 + 1))[: room - 8]


class Work:
    """What was asked for, by the number of the job."""

    numbers = itertools.count(1)
    sizes: dict[str, tuple[int, int]] = {}  # noqa: RUF012 - the one of this process


class Handler(BaseHTTPRequestHandler):
    """Answers as Google's surfaces do."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Begin a job, or show one."""
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path.endswith(":generateContent"):
            self._inline(_picture_answer, [picture_of(_size(asked))])
        elif self.path.endswith(":predictLongRunning"):
            self._json({"name": f"{_OPERATION}/{_begin(asked, asked['parameters'].get('sampleCount', 1))}"})
        elif self.path.endswith(":fetchPredictOperation"):
            size, count = Work.sizes[asked["operationName"].rpartition("/")[2]]
            self._inline(_clip_answer, [clip_of(size)] * count)
        else:
            self._json({"id": f"v1_{_begin(asked, 1)}", "status": "in_progress"})

    def do_GET(self) -> None:
        """Show an interaction, or send its file."""
        name = self.path.partition("?")[0].rpartition("/")[2]
        if ":download" in name:
            self._send(clip_of(Work.sizes[name.partition(":")[0]][0]), "video/mp4")
            return
        number = name.removeprefix("v1_")
        host = self.headers["host"]
        video = {"type": "video", "mime_type": "video/mp4", "uri": f"http://{host}/v1beta/files/{number}:download"}
        steps = [{"type": "model_output", "content": [video]}]
        self._json({"id": name, "status": "completed", "steps": steps})

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - named so by the base class
        """Say nothing."""

    def _inline(self, answer: Any, files: list[bytes]) -> None:
        """Send a JSON answer with files in it; chunked, as Google does."""
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for piece in answer(files):
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    def _json(self, value: dict[str, Any]) -> None:
        self._send(json.dumps(value).encode(), "application/json")

    def _send(self, content: bytes, mime_type: str) -> None:
        self.send_response(200)
        self.send_header("content-type", mime_type)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _size(asked: dict[str, Any]) -> int:
    found = _BYTES.findall(json.dumps(asked))
    return int(found[-1]) if found else 10_000


def _begin(asked: dict[str, Any], count: int) -> str:
    number = str(next(Work.numbers))
    Work.sizes[number] = (_size(asked), count)
    return number


def picture_answer(picture: bytes) -> bytes:
    """The whole answer to a request for a picture."""
    return b"".join(_picture_answer([picture]))


def clip_answer(clips: list[bytes]) -> bytes:
    """The whole answer about an operation that is done."""
    return b"".join(_clip_answer(clips))


def _picture_answer(pictures: list[bytes]) -> Iterator[bytes]:
    yield b'{"candidates":[{"content":{"role":"model","parts":[{"inlineData":{"mimeType":"image/png","data":"'
    yield from _base64(pictures[0])
    yield b'"},"thoughtSignature":"c2lnbmVk"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":7,'
    yield b'"candidatesTokenCount":2000,"candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":2000}]}}'


def _clip_answer(clips: list[bytes]) -> Iterator[bytes]:
    yield f'{{"name":"{_OPERATION}/1","done":true,"response":{{"videos":['.encode()
    for number, clip in enumerate(clips):
        yield b'%b{"mimeType":"video/mp4","bytesBase64Encoded":"' % (b"," if number else b"")
        yield from _base64(clip)
        yield b'"}'
    yield b"]}}"


def _base64(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), _PIECE_BYTES):
        yield base64.b64encode(content[start : start + _PIECE_BYTES])


def main() -> None:
    """Serve until killed; the address is the first line of the output."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        sys.stdout.write(f"http://127.0.0.1:{server.server_address[1]}\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    main()
