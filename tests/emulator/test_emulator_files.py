"""The Files API over raw HTTP: uploads, ranges, spoiled downloads."""

import base64
import hashlib
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from mediagen.emulator.thread import EmulatorHandle

START = {"x-goog-upload-protocol": "resumable", "x-goog-upload-command": "start"}


@pytest.fixture
def film(client: httpx.Client, clips: Any) -> tuple[str, bytes]:
    uri = clips.uri(clips.order())
    return uri, client.get(uri).content


def test_upload_in_chunks_arrives_whole_after_processing(client: httpx.Client) -> None:
    headers = START | {"x-goog-upload-header-content-length": "10", "x-goog-upload-header-content-type": "video/mp4"}
    started = client.post("/upload/v1beta/files", json={"file": {"displayName": "x"}}, headers=headers)
    assert started.headers["x-goog-upload-status"] == "active"
    url = started.headers["x-goog-upload-url"]
    part = {"x-goog-upload-command": "upload", "x-goog-upload-offset": "0"}
    assert httpx.post(url, content=b"01234", headers=part).headers["x-goog-upload-status"] == "active"
    assert httpx.post(url, content=b"01234", headers=part).status_code == 400
    query = httpx.post(url, headers={"x-goog-upload-command": "query"})
    assert query.headers["x-goog-upload-size-received"] == "5"
    last = {"x-goog-upload-command": "upload, finalize", "x-goog-upload-offset": "5"}
    finished = httpx.post(url, content=b"56789", headers=last)
    file = finished.json()["file"]
    assert (finished.headers["x-goog-upload-status"], file["state"]) == ("final", "PROCESSING")
    assert (file["sizeBytes"], file["mimeType"], file["displayName"]) == ("10", "video/mp4", "x")
    digest = hashlib.sha256(b"0123456789").hexdigest()
    assert base64.b64decode(file["sha256Hash"]).decode() == digest


def test_announced_length_is_held_against_the_upload(client: httpx.Client) -> None:
    started = client.post("/upload/v1/files", headers=START | {"x-goog-upload-header-content-length": "10"})
    last = {"x-goog-upload-command": "upload, finalize", "x-goog-upload-offset": "0"}
    assert httpx.post(started.headers["x-goog-upload-url"], content=b"123", headers=last).status_code == 400


def test_file_in_processing_cannot_be_used_yet(clips: Any, make_film: Callable[..., bytes]) -> None:
    file = clips.upload(make_film(), wait=False)
    answer = clips.order([{"type": "video", "mime_type": "video/mp4", "uri": file["uri"]}], task="extend")
    assert answer.json()["error"]["code"] == "failed_precondition"


def test_uploaded_file_cannot_be_downloaded(client: httpx.Client, clips: Any) -> None:
    file = clips.upload(b"x", "text/plain")
    assert client.get(f"/v1/{file['name']}:download?alt=media").status_code == 400


def test_files_are_paged_newest_first_and_deleted(client: httpx.Client, clips: Any) -> None:
    names = [clips.upload(b"x", "text/plain", wait=False)["name"] for _ in range(3)]
    first = client.get("/v1/files?pageSize=2").json()
    rest = client.get(f"/v1/files?pageSize=2&pageToken={first['nextPageToken']}").json()
    assert [file["name"] for file in first["files"] + rest["files"]] == names[::-1]
    assert "nextPageToken" not in rest
    assert client.delete(f"/v1/{names[0]}").json() == {}
    assert client.get(f"/v1/{names[0]}").status_code == 403


def test_generated_file_is_described_with_its_address(client: httpx.Client, film: Any) -> None:
    uri, content = film
    file = client.get(uri.partition(":download")[0]).json()
    assert (file["source"], file["state"], file["downloadUri"]) == ("GENERATED", "ACTIVE", uri)
    assert file["sizeBytes"] == str(len(content))


@pytest.mark.parametrize(
    ("wanted", "part"),
    [("bytes=0-9", slice(0, 10)), ("bytes=100-", slice(100, None)), ("bytes=-7", slice(-7, None))],
)
def test_range_gives_that_part(client: httpx.Client, film: Any, wanted: Any, part: Any) -> None:
    uri, content = film
    answer = client.get(uri, headers={"range": wanted})
    assert (answer.status_code, answer.content) == (206, content[part])
    assert answer.headers["content-range"].endswith(f"/{len(content)}")


def test_range_beyond_the_end_is_a_416_and_a_changed_file_comes_whole(client: httpx.Client, film: Any) -> None:
    uri, content = film
    assert client.get(uri, headers={"range": f"bytes={len(content)}-"}).status_code == 416
    answer = client.get(uri, headers={"range": "bytes=0-1", "if-range": '"other"'})
    assert (answer.status_code, answer.content) == (200, content)


def test_download_needs_a_key_and_alt_media(client: httpx.Client, film: Any) -> None:
    uri, _ = film
    assert httpx.get(uri).status_code == 403
    assert client.get(uri.partition("?")[0]).status_code == 400


def test_cut_download_can_be_resumed(client: httpx.Client, emulator: EmulatorHandle, film: Any) -> None:
    uri, content = film
    emulator.add_fault(fault="cut_download", after_bytes=1000)
    received = bytearray()

    def read_all() -> None:
        with client.stream("GET", uri) as answer:
            for chunk in answer.iter_raw():
                received.extend(chunk)

    with pytest.raises(httpx.RemoteProtocolError):
        read_all()
    assert received == content[:1000]
    assert received + client.get(uri, headers={"range": "bytes=1000-"}).content == content


def test_wrong_length_is_declared_or_hidden(client: httpx.Client, emulator: EmulatorHandle, film: Any) -> None:
    uri, content = film
    emulator.add_fault(fault="wrong_length")
    with pytest.raises(httpx.RemoteProtocolError):
        client.get(uri)
    emulator.add_fault(fault="wrong_length", how="truncated", missing_bytes=10)
    assert client.get(uri).content == content[:-10]


def test_slow_download_takes_its_time(client: httpx.Client, emulator: EmulatorHandle, film: Any) -> None:
    uri, content = film
    emulator.add_fault(fault="slow_download", bytes_per_second=len(content) * 5)
    answer = client.get(uri)
    assert answer.elapsed.total_seconds() >= 0.15
    assert answer.content == content


@pytest.mark.parametrize("status", [403, 404])
def test_expired_file_is_refused(client: httpx.Client, emulator: EmulatorHandle, film: Any, status: Any) -> None:
    uri, _ = film
    emulator.add_fault(fault="expired", status=status)
    assert client.get(uri).status_code == status


def test_redirect_leads_to_another_origin_that_must_not_see_the_key(
    client: httpx.Client, emulator: EmulatorHandle, film: Any
) -> None:
    uri, content = film
    emulator.add_fault(fault="redirect", times=2)
    moved = client.get(uri)
    assert moved.status_code == 302
    target = httpx.URL(moved.headers["location"])
    assert target.host != httpx.URL(uri).host
    assert httpx.get(target).content == content
    assert httpx.get(target, headers={"x-goog-api-key": "AQ.test"}).status_code == 400


def test_film_of_a_deleted_interaction_cannot_be_extended(client: httpx.Client, clips: Any) -> None:
    done = clips.wait(clips.order())
    client.delete(httpx.URL(done["steps"][-1]["content"][0]["uri"]).path.removesuffix(":download"))
    answer = clips.order("more", task="extend", previous_interaction_id=done["id"])
    assert "has expired" in answer.json()["error"]["message"]
