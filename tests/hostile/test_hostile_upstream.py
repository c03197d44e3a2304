"""An upstream that lies: whatever it names, sends or says, nothing of ours goes elsewhere and the server lives."""

import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from tests.hostile.conftest import KEY, Attack, said, trouble_with
from tests.hostile.traps import pictures

COMMANDS = "\x1b]0;owned\x07\x1b[2J\u202eevil\x9b31m"
PNG = pictures()


@dataclass
class Liar:
    """Answers every request with the same lie, and keeps what it was asked."""

    url: str = ""
    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def liar() -> Iterator[Liar]:
    lies = Liar()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", "0")))
            lies.asked.append(self.path)
            self.send_response_only(lies.status)
            for name, value in {"content-length": str(len(lies.body)), **lies.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(lies.body)

        do_GET = do_POST  # noqa: N815 - the names are http.server's

        def log_message(self, *_args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    lies.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield lies
    server.shutdown()
    server.server_close()
    thread.join(5)


def _refusal(message: str) -> dict[str, Any]:
    return {"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}


def _picture(data: bytes, mime_type: str = "image/png", **more: Any) -> dict[str, Any]:
    inline = {"inlineData": {"mimeType": mime_type, "data": base64.b64encode(data).decode()}}
    return {"candidates": [{"content": {"parts": [inline]}, "finishReason": "STOP", **more}]}


PICTURE_LIES: dict[str, tuple[int, Any]] = {
    "words with commands": (400, _refusal(f"no {COMMANDS}\nFile: /etc/passwd")),
    "our key": (400, _refusal(f"key {KEY} was refused, key={KEY}")),
    "a signed address": (403, _refusal("see https://x.test/a?X-Goog-Signature=hunter2")),
    "half a character": (400, _refusal("a \ud83e b")),
    "a page": (502, "<html>\x1b[2J</html>"),
    "a deep nest": (200, "[" * 100_000),
    "a bomb": (200, _picture(PNG["bomb.png"])),
    "a page as a picture": (200, _picture(b"<html></html>", "image/png")),
    "a type that is a path": (200, _picture(PNG["cut.png"], "image/../../../x")),
    "a type with commands": (200, _picture(b"x", f"image/{COMMANDS}")),
    "a reason with commands": (200, {"candidates": [{"finishReason": COMMANDS, "finishMessage": COMMANDS}]}),
    "a number beyond all": (200, {**_picture(b""), "usageMetadata": {"promptTokenCount": 10**300}}),
    "nothing": (200, ""),
}


async def test_lies_about_a_picture_end_in_harmless_words(attack: Attack, liar: Liar) -> None:
    async with attack(GOOGLE_GEMINI_BASE_URL=liar.url) as attacked:
        for row, (status, body) in PICTURE_LIES.items():
            liar.status, liar.body = status, (body if isinstance(body, str) else json.dumps(body)).encode()
            call = {"prompt": "p", "backend": "gemini", "model": "gemini-3-pro-image", "preview": False}
            result = await attacked.client.call_tool("generate_image", call)
            text = said(result)
            if trouble := trouble_with(text, most=4000):
                attacked.failures[row] = trouble
            if "defect" in text or any(line.startswith("File: /etc") for line in text.splitlines()):
                attacked.failures[row] = text
            if "\ud83e" in str(result.structured_content) or KEY in str(result.structured_content):
                attacked.failures[row] = str(result.structured_content)
        listed = await attacked.client.call_tool("list_jobs", {"limit": 50})
        if listed.is_error or trouble_with(said(listed), most=20_000):
            attacked.failures["list"] = said(listed)
    assert liar.asked
    assert all(path.startswith("/v1beta/models/gemini-3-pro-image:generateContent") for path in liar.asked)


@pytest.mark.parametrize(
    "name",
    [
        "../../../secrets",
        "https://127.0.0.1:1/x",
        "//evil.example/x",
        "x?key=1#",
        f"v1_{COMMANDS}",
        "\ud83e",
        "n" * 9000,
    ],
)
async def test_job_with_a_hostile_name_is_asked_for_nowhere_else(attack: Attack, liar: Liar, name: str) -> None:
    liar.body = json.dumps({"id": name, "status": "failed", "error": {"message": COMMANDS}}).encode()
    async with attack(GOOGLE_GEMINI_BASE_URL=liar.url) as attacked:
        call = {"prompt": "p", "backend": "gemini", "wait_seconds": 0.2, "preview": False}
        result = await attacked.client.call_tool("generate_video", call)
        if trouble := trouble_with(said(result), most=13_000):
            attacked.failures["answer"] = trouble
        if "defect" in said(result):
            attacked.failures["answer"] = said(result)
        if (await attacked.client.call_tool("list_jobs", {})).is_error:
            attacked.failures["list"] = "is dead"
    assert liar.asked
    assert all(path.startswith("/v1beta/interactions") and "/../" not in path for path in liar.asked)
