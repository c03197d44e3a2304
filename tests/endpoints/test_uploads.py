import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mediagen.endpoints import files
from mediagen.endpoints.gemini_api import GeminiApi
from mediagen.errors import EndpointError, InvalidRequestError, MediaError, UnavailableError

Loopback = Any
MakeReply = Callable[..., Any]

CHUNK = 1000
URI = "https://generativelanguage.googleapis.com/v1beta/files/abc"


@pytest.fixture
def film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(files, "CHUNK_BYTES", CHUNK)
    path = tmp_path / "my private film.mp4"
    path.write_bytes(bytes(range(250)) * 10)
    return path


def session(loopback: Loopback, make_reply: MakeReply) -> Any:
    return make_reply(headers={"X-Goog-Upload-URL": f"{loopback.url}/upload/session?upload_id=A"})


def done(make_reply: MakeReply, state: str = "ACTIVE") -> Any:
    return make_reply(body={"file": {"name": "files/abc", "uri": URI, "state": state}})


def sent(loopback: Loopback) -> list[tuple[str, str | None, int]]:
    return [
        (request.headers["x-goog-upload-command"], request.headers.get("x-goog-upload-offset"), len(request.body))
        for request in loopback.received[1:]
        if "x-goog-upload-command" in request.headers
    ]


def test_chunks_are_8_mebibytes() -> None:
    assert files.CHUNK_BYTES == 8 * 1024 * 1024


async def test_file_is_sent_in_chunks_and_waited_for(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, film: Path
) -> None:
    loopback.script = [
        session(loopback, make_reply),
        make_reply(),
        make_reply(),
        done(make_reply, "PROCESSING"),
        make_reply(body={"name": "files/abc", "state": "PROCESSING"}),
        make_reply(body={"name": "files/abc", "uri": URI, "state": "ACTIVE"}),
    ]
    assert await api.upload(film, "video/mp4") == URI
    assert sent(loopback) == [("upload", "0", 1000), ("upload", "1000", 1000), ("upload, finalize", "2000", 500)]
    assert b"".join(request.body for request in loopback.received[1:4]) == film.read_bytes()
    assert loopback.received[4].target == "/v1beta/files/abc"


async def test_upload_is_announced_without_the_local_name(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, film: Path
) -> None:
    loopback.script = [session(loopback, make_reply), make_reply(), make_reply(), done(make_reply)]
    await api.upload(film, "video/mp4")
    start = loopback.received[0]
    assert start.target == "/upload/v1beta/files"
    assert json.loads(start.body) == {"file": {"mime_type": "video/mp4", "size_bytes": 2500}}
    assert start.headers["x-goog-upload-protocol"] == "resumable"
    assert start.headers["x-goog-upload-command"] == "start"
    assert start.headers["x-goog-upload-header-content-length"] == "2500"
    assert start.headers["x-goog-upload-header-content-type"] == "video/mp4"
    assert "private" not in str(start)


async def test_broken_chunk_goes_on_from_what_arrived(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, film: Path
) -> None:
    loopback.script = [
        session(loopback, make_reply),
        make_reply(),
        make_reply(hang_up=True),
        make_reply(headers={"X-Goog-Upload-Size-Received": "1500", "X-Goog-Upload-Status": "active"}),
        done(make_reply),
    ]
    assert await api.upload(film, "video/mp4") == URI
    assert sent(loopback)[2:] == [("query", None, 0), ("upload, finalize", "1500", 1000)]


async def test_lost_last_answer_is_asked_for(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, film: Path
) -> None:
    final = make_reply(
        body={"file": {"name": "files/abc", "uri": URI, "state": "ACTIVE"}}, headers={"X-Goog-Upload-Status": "final"}
    )
    loopback.script = [
        session(loopback, make_reply),
        make_reply(),
        make_reply(),
        make_reply(status=503),
        final,
    ]
    assert await api.upload(film, "video/mp4") == URI


async def test_upload_that_keeps_breaking_ends(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, film: Path
) -> None:
    def answer(request: Any) -> Any:
        match request.headers["x-goog-upload-command"]:
            case "start":
                return session(loopback, make_reply)
            case "query":
                return make_reply(headers={"X-Goog-Upload-Size-Received": "0"})
            case _:
                return make_reply(status=500)

    loopback.answer = answer
    with pytest.raises(UnavailableError):
        await api.upload(film, "video/mp4")
    assert len([command for command, _, _ in sent(loopback) if command == "upload"]) == 5


@pytest.mark.parametrize(
    "address", ["http://elsewhere.test/x", "https://elsewhere.test/x", "https://xgoogleapis.com/x"]
)
async def test_upload_address_elsewhere_is_refused(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, film: Path, address: str
) -> None:
    loopback.script = [make_reply(headers={"X-Goog-Upload-URL": address})]
    with pytest.raises(EndpointError) as caught:
        await api.upload(film, "video/mp4")
    assert caught.value.code == "unsafe_uri"


async def test_file_that_google_cannot_process_is_an_error(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, film: Path
) -> None:
    loopback.script = [
        session(loopback, make_reply),
        make_reply(),
        make_reply(),
        done(make_reply, "PROCESSING"),
        make_reply(body={"name": "files/abc", "state": "FAILED"}),
    ]
    with pytest.raises(EndpointError) as caught:
        await api.upload(film, "video/mp4")
    assert caught.value.code == "file_failed"


async def test_empty_and_missing_files_are_refused_before_anything_is_sent(
    api: GeminiApi, loopback: Loopback, tmp_path: Path
) -> None:
    empty = tmp_path / "empty.mp4"
    empty.touch()
    with pytest.raises(InvalidRequestError, match="empty"):
        await api.upload(empty, "video/mp4")
    with pytest.raises(MediaError):
        await api.upload(tmp_path / "missing.mp4", "video/mp4")
    assert not loopback.received
