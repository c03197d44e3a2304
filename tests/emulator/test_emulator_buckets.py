"""The emulator's Cloud Storage over plain HTTP: uploads that break, odd names, conditions, permissions."""

import concurrent.futures
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from mediagen.emulator.buckets import BucketShelf
from mediagen.emulator.thread import EmulatorHandle
from mediagen.errors import ConfigurationError

BLOCK = 262_144
DATA = bytes(range(256)) * 4096
ODD_NAMES = [
    "a/b/c.png",
    "../../../etc/passwd",
    "/absolute",
    "folder/",
    "a//b",
    "..%2F..",
    "🐈 ü?#&=+%",
    "x/rewriteTo/b/y/o/z",
    "o/b/o",
    "n" * 1024,
]


@pytest.fixture
def http(emulator: EmulatorHandle) -> Iterator[httpx.Client]:
    emulator.make_bucket("films")
    with httpx.Client(base_url=emulator.url, timeout=20) as client:
        yield client


def path_of(name: str, bucket: str = "films") -> str:
    return f"/storage/v1/b/{bucket}/o/{quote(name, safe='')}"


def put(http: httpx.Client, name: str, content: bytes, **query: Any) -> httpx.Response:
    query = {"uploadType": "media", "name": name} | query
    return http.post("/upload/storage/v1/b/films/o", params=query, content=content)


def fetch(http: httpx.Client, name: str, **headers: str) -> httpx.Response:
    return http.get(path_of(name), params={"alt": "media"}, headers=headers)


def start(http: httpx.Client, name: str = "film.mp4", body: dict[str, Any] | None = None, **query: Any) -> str:
    query = {"uploadType": "resumable", "name": name} | query
    opened = http.post("/upload/storage/v1/b/films/o", params=query, json=body or {})
    assert opened.status_code == 200, opened.text
    return opened.headers["location"]


def send(http: httpx.Client, url: str, first: int, content: bytes, total: int | str) -> httpx.Response:
    span = f"bytes {first}-{first + len(content) - 1}/{total}" if content else f"bytes */{total}"
    return http.put(url, content=content, headers={"content-range": span})


def reason(answer: httpx.Response) -> str:
    error = answer.json()["error"]
    assert error["code"] == answer.status_code
    return str(error["errors"][0]["reason"])


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_come_back_as_they_were_sent(http: httpx.Client, emulator: EmulatorHandle, name: str) -> None:
    stored = put(http, name, b"x").json()
    assert (stored["name"], stored["bucket"], stored["size"]) == (name, "films", "1")
    assert fetch(http, name).content == b"x"
    assert [entry["name"] for entry in http.get("/storage/v1/b/films/o").json()["items"]] == [name]
    assert http.get(stored["mediaLink"]).content == b"x"
    assert http.delete(path_of(name)).status_code == 204
    assert emulator.objects("films") == []


def test_names_never_leave_the_folder_of_the_shelf(tmp_path: Path) -> None:
    shelf = BucketShelf(tmp_path / "inner")
    shelf.make("..")
    for name in ("../../escaped", "/escaped", "a/../../../escaped"):
        stored = shelf.put("..", name, b"x")
        assert stored.path.parent == tmp_path / "inner" / "buckets"
    assert {path.name for path in tmp_path.iterdir()} <= {"inner", "home"}


@pytest.mark.parametrize("name", ["", ".", "..", "a\nb", "n" * 1025, "ü" * 513])
def test_names_that_cloud_storage_refuses_are_refused(http: httpx.Client, name: str) -> None:
    answer = put(http, name, b"x")
    assert answer.status_code == 400
    assert reason(answer) in {"required", "invalid"}


def test_name_that_is_no_text_is_refused(http: httpx.Client) -> None:
    body = b'{"name": "a\\ud800"}'
    assert http.post("/upload/storage/v1/b/films/o?uploadType=resumable", content=body).status_code == 400


def test_slash_that_is_not_encoded_is_not_part_of_a_name(http: httpx.Client) -> None:
    put(http, "a/b", b"x")
    assert http.get("/storage/v1/b/films/o/a/b").status_code == 404


def test_download_tells_its_checksums_generation_and_type(http: httpx.Client) -> None:
    query = {"uploadType": "media", "name": "a"}
    typed = {"content-type": "image/png"}
    stored = http.post("/upload/storage/v1/b/films/o", params=query, content=b"123456789", headers=typed).json()
    # the check value that defines CRC-32C is e3069283
    assert stored["crc32c"] == "4waSgw=="
    answer = fetch(http, "a")
    assert answer.headers["x-goog-hash"] == f"crc32c=4waSgw==,md5={stored['md5Hash']}"
    assert answer.headers["x-goog-generation"] == stored["generation"]
    assert answer.headers["etag"] == stored["etag"]
    assert answer.headers["content-type"] == "image/png"


@pytest.mark.parametrize(
    ("wanted", "content", "shown"),
    [
        ("bytes=0-3", DATA[:4], "bytes 0-3"),
        ("bytes=1048570-", DATA[1048570:], "bytes 1048570-1048575"),
        ("bytes=-5", DATA[-5:], "bytes 1048571-1048575"),
        ("bytes=1048570-99999999", DATA[1048570:], "bytes 1048570-1048575"),
    ],
)
def test_range_of_an_object_is_downloaded(http: httpx.Client, wanted: str, content: bytes, shown: str) -> None:
    put(http, "a", DATA)
    for place in ("", "/download"):
        answer = http.get(f"{place}{path_of('a')}", params={"alt": "media"}, headers={"range": wanted})
        assert (answer.status_code, answer.content) == (206, content)
        assert answer.headers["content-range"] == f"{shown}/{len(DATA)}"


def test_range_behind_the_end_cannot_be_satisfied(http: httpx.Client) -> None:
    put(http, "a", b"1234")
    answer = fetch(http, "a", range="bytes=4-")
    assert (answer.status_code, answer.headers["content-range"]) == (416, "bytes */4")


def test_multipart_upload_keeps_bytes_that_look_like_its_frame(http: httpx.Client) -> None:
    content = b"\r\n--line\r\n\r\n--other--\r\n" + DATA + b"\r\n--line-"
    body = (
        b'--line\r\ncontent-type: application/json\r\n\r\n{"name": "a/b", "metadata": {"job": "j"}}\r\n'
        b"--line\r\ncontent-type: video/mp4\r\n\r\n" + content + b"\r\n--line--\r\n"
    )
    kind = {"content-type": 'multipart/related; boundary="line"'}
    url = "/upload/storage/v1/b/films/o?uploadType=multipart"
    stored = http.post(url, content=body, headers=kind).json()
    assert (stored["contentType"], stored["metadata"], stored["size"]) == ("video/mp4", {"job": "j"}, str(len(content)))
    assert fetch(http, "a/b").content == content
    for broken in (body[:30], body[:-20], b"", b"--line--"):
        assert http.post(url, content=broken, headers=kind).status_code == 400


def test_resumable_upload_tells_where_it_stands_and_goes_on_from_there(http: httpx.Client) -> None:
    url = start(http, body={"contentType": "video/mp4"})
    assert "range" not in send(http, url, 0, b"", "*").headers
    first = send(http, url, 0, DATA[: BLOCK + 100], "*")
    # what lies behind the last full block is forgotten
    assert (first.status_code, first.headers["range"]) == (308, f"bytes=0-{BLOCK - 1}")
    asked = send(http, url, 0, b"", len(DATA))
    assert (asked.status_code, asked.headers["range"]) == (308, f"bytes=0-{BLOCK - 1}")
    done = send(http, url, BLOCK, DATA[BLOCK:], len(DATA))
    assert done.status_code == 200
    assert (done.json()["contentType"], done.json()["size"]) == ("video/mp4", str(len(DATA)))
    assert fetch(http, "film.mp4").content == DATA
    # a client that missed the answer asks and gets it again
    assert send(http, url, 0, b"", len(DATA)).json() == done.json()


def test_resumable_upload_ignores_what_it_has_and_refuses_gaps(http: httpx.Client) -> None:
    url = start(http)
    send(http, url, 0, DATA[: 2 * BLOCK], "*")
    assert send(http, url, 3 * BLOCK, DATA[3 * BLOCK :], len(DATA)).status_code == 400
    assert send(http, url, BLOCK, DATA[BLOCK:], len(DATA)).status_code == 200
    assert fetch(http, "film.mp4").content == DATA


def test_resumable_upload_in_one_request_needs_no_range(http: httpx.Client) -> None:
    assert http.put(start(http), content=DATA).status_code == 200
    assert http.put(start(http, "empty"), content=b"", headers={"content-range": "bytes */0"}).json()["size"] == "0"
    assert fetch(http, "film.mp4").content == DATA


def test_cut_upload_keeps_full_blocks_and_can_be_resumed(http: httpx.Client, emulator: EmulatorHandle) -> None:
    url = start(http)
    emulator.add_fault(fault="cut_upload", after_bytes=2 * BLOCK + 5)
    with pytest.raises(httpx.TransportError):
        send(http, url, 0, DATA, len(DATA))
    asked = send(http, url, 0, b"", len(DATA))
    assert asked.headers["range"] == f"bytes=0-{2 * BLOCK - 1}"
    assert send(http, url, 2 * BLOCK, DATA[2 * BLOCK :], len(DATA)).status_code == 200
    assert emulator.object_bytes("films", "film.mp4") == DATA


def test_answer_lost_after_the_object_was_stored_leaves_the_object(
    http: httpx.Client, emulator: EmulatorHandle
) -> None:
    emulator.add_fault(fault="drop_after_stored")
    with pytest.raises(httpx.TransportError):
        put(http, "a", b"x", ifGenerationMatch=0)
    refused = put(http, "a", b"x", ifGenerationMatch=0)
    assert (refused.status_code, reason(refused)) == (412, "conditionNotMet")
    assert [entry["name"] for entry in emulator.objects("films")] == ["a"]


def test_cancelled_and_unknown_sessions_are_not_found(http: httpx.Client) -> None:
    url = start(http)
    assert http.delete(url).status_code == 499
    for place in (url, "/upload/storage/v1/b/films/o?upload_id=none"):
        assert reason(send(http, place, 0, b"x", 1)) == "notFound"


def test_malformed_uploads_are_refused(http: httpx.Client) -> None:
    assert http.post("/upload/storage/v1/b/films/o?uploadType=carrier").status_code == 400
    assert http.put(start(http), content=b"x", headers={"content-range": "bytes one-two/3"}).status_code == 400
    assert send(http, start(http), 0, b"12345", 3).status_code == 400


def test_bytes_that_differ_from_the_promised_checksum_are_refused(http: httpx.Client, emulator: EmulatorHandle) -> None:
    wrong = {"x-goog-hash": "crc32c=AAAAAA=="}
    url = "/upload/storage/v1/b/films/o?uploadType=media&name=a"
    answer = http.post(url, content=b"123456789", headers=wrong)
    assert (answer.status_code, reason(answer)) == (400, "invalid")
    assert 'doesn\'t match calculated CRC32C "4waSgw=="' in answer.json()["error"]["message"]
    assert http.put(start(http, body={"crc32c": "AAAAAA=="}), content=b"123456789").status_code == 400
    assert emulator.objects("films") == []
    assert http.put(start(http, body={"crc32c": "4waSgw=="}), content=b"123456789").status_code == 200


def test_conditions_on_the_generation_are_kept(http: httpx.Client) -> None:
    generation = put(http, "a", b"1").json()["generation"]
    assert put(http, "a", b"2", ifGenerationMatch=0).status_code == 412
    assert put(http, "a", b"2", ifGenerationMatch=generation).status_code == 200
    assert put(http, "a", b"3", ifGenerationMatch=generation).status_code == 412
    assert put(http, "b", b"3", ifGenerationMatch=generation).status_code == 412
    newest = http.get(path_of("a")).json()["generation"]
    assert int(newest) > int(generation)
    assert http.get(path_of("a"), params={"ifGenerationNotMatch": newest}).status_code == 304
    assert http.get(path_of("a"), params={"generation": generation}).status_code == 404
    assert http.delete(path_of("a"), params={"ifGenerationMatch": generation}).status_code == 412
    assert fetch(http, "a").content == b"2"
    assert put(http, "a", b"3", ifGenerationMatch="first").status_code == 400


def test_only_one_of_many_uploads_at_once_wins_when_there_must_be_none(http: httpx.Client) -> None:
    urls = [start(http, "a", ifGenerationMatch=0) for _ in range(8)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda url: httpx.put(url, content=url.encode()).status_code, urls))
    assert sorted(answers) == [200] + [412] * 7
    assert fetch(http, "a").content.decode() == urls[answers.index(200)]


def test_missing_things_are_not_found_in_googles_shape(http: httpx.Client) -> None:
    described = http.get(path_of("a"))
    assert described.json()["error"]["message"] == "No such object: films/a"
    assert reason(described) == "notFound"
    # a download is refused with the bare message
    assert (fetch(http, "a").status_code, fetch(http, "a").text) == (404, "No such object: films/a")
    for answer in (http.get("/storage/v1/b/none"), http.get("/storage/v1/b/none/o"), http.get(path_of("a", "none"))):
        assert (answer.status_code, reason(answer)) == (404, "notFound")
        assert answer.json()["error"]["message"] == "The specified bucket does not exist."


def test_listing_pages_count_prefixes_too(http: httpx.Client) -> None:
    for name in ("a/1", "b", "c/1", "c/2", "d"):
        put(http, name, b"x")
    query: dict[str, str] = {"delimiter": "/", "maxResults": "2"}
    pages = []
    while query.get("pageToken") != "":
        page = http.get("/storage/v1/b/films/o", params=query).json()
        pages.append([*page.get("prefixes", []), *(entry["name"] for entry in page.get("items", []))])
        query["pageToken"] = page.get("nextPageToken", "")
    assert pages == [["a/", "b"], ["c/", "d"]]
    offsets = http.get("/storage/v1/b/films/o", params={"startOffset": "b", "endOffset": "c/2"}).json()
    assert [entry["name"] for entry in offsets["items"]] == ["b", "c/1"]
    assert http.get("/storage/v1/b/films/o", params={"maxResults": "many"}).status_code == 400
    assert http.get("/storage/v1/b/films/o", params={"pageToken": "a"}).status_code == 400


def test_bucket_names_and_full_buckets_are_checked(http: httpx.Client) -> None:
    for name in ("UPPER", "a", None, 5):
        assert http.post("/storage/v1/b", json={"name": name}).status_code == 400
    assert http.post("/storage/v1/b", json={"name": "films"}).status_code == 409
    put(http, "a", b"x")
    assert http.delete("/storage/v1/b/films").status_code == 409
    assert http.post("/storage/v1/b", json={"name": "more", "location": "eu"}).json()["locationType"] == "multi-region"


def test_denied_permission_is_named_in_the_refusal(http: httpx.Client, emulator: EmulatorHandle) -> None:
    put(http, "a", b"x")
    emulator.deny_bucket("films", "delete")
    refused = put(http, "a", b"y")
    assert (refused.status_code, reason(refused)) == (403, "forbidden")
    assert "does not have storage.objects.delete access to the Google Cloud Storage object." in refused.text
    assert put(http, "b", b"y").status_code == 200
    emulator.deny_bucket("films", "read")
    assert fetch(http, "a").text.endswith("Permission 'storage.objects.get' denied on resource (or it may not exist).")
    emulator.reset()
    emulator.put_object("films", "a", b"x", "text/plain")
    assert fetch(http, "a").content == b"x"


def test_scripted_fault_forbids_one_request(http: httpx.Client, emulator: EmulatorHandle) -> None:
    emulator.add_fault(fault="forbidden_bucket", match={"path_contains": "/upload/storage"})
    assert http.get("/storage/v1/b/films/o").status_code == 200
    assert put(http, "a", b"x").status_code == 403
    assert put(http, "a", b"x").status_code == 200


def test_status_faults_and_the_record_of_requests_hold_for_storage(
    http: httpx.Client, emulator: EmulatorHandle
) -> None:
    emulator.add_fault(fault="overloaded", match={"path_contains": "/storage/"})
    assert put(http, "a", b"x").status_code == 503
    assert put(http, "a", b"x").status_code == 200
    emulator.add_fault(fault="overloaded", match={"path_contains": "/storage/"})
    assert fetch(http, "a").status_code == 503
    assert [entry["method"] for entry in emulator.requests()] == ["POST", "POST", "GET"]


def test_token_must_be_valid_when_there_is_one(http: httpx.Client) -> None:
    def listing(authorization: str) -> httpx.Response:
        return http.get("/storage/v1/b/films/o", headers={"authorization": authorization})

    assert listing("Bearer ya29.ready-1").status_code == 200
    for wrong in ("Bearer ya29.expired", "Bearer AIza", "Basic ya29.ready", "Bearer"):
        assert (listing(wrong).status_code, reason(listing(wrong))) == (401, "authError")
    narrow = listing("Bearer ya29.scope")
    assert (narrow.status_code, reason(narrow)) == (403, "insufficientPermissions")
    assert "ACCESS_TOKEN_SCOPE_INSUFFICIENT" in narrow.text
    assert "ya29" not in json.dumps([listing("Bearer ya29.ready").json()])


def test_slow_and_cut_downloads_are_scripted(http: httpx.Client, emulator: EmulatorHandle) -> None:
    put(http, "a", DATA)
    emulator.add_fault(fault="cut_download", after_bytes=1000)
    with pytest.raises(httpx.RemoteProtocolError):
        fetch(http, "a")
    emulator.add_fault(fault="bad_checksum")
    spoiled = fetch(http, "a").content
    assert spoiled != DATA
    assert spoiled[1:] == DATA[1:]
    assert fetch(http, "a").content == DATA


def test_object_is_stored_from_a_file_without_taking_the_file(tmp_path: Path) -> None:
    shelf = BucketShelf(tmp_path / "shelf")
    shelf.make("films")
    film = tmp_path / "film.mp4"
    film.write_bytes(DATA)
    stored = shelf.put("films", "a", film, "video/mp4")
    again = shelf.put("films", "b", stored.path)
    assert film.read_bytes() == stored.path.read_bytes() == again.path.read_bytes() == DATA
    replaced = shelf.put("films", "a", b"new")
    assert replaced.generation > stored.generation
    assert not stored.path.exists()
    shelf.clear()
    assert not (tmp_path / "shelf" / "buckets").exists()


def test_finished_and_failed_uploads_leave_nothing_behind(http: httpx.Client, emulator: EmulatorHandle) -> None:
    put(http, "a", DATA)
    put(http, "a", DATA)
    put(http, "a", DATA, ifGenerationMatch=0)
    emulator.add_fault(fault="cut_upload")
    with pytest.raises(httpx.TransportError):
        put(http, "b", DATA)
    url = "/upload/storage/v1/b/films/o?uploadType=multipart"
    http.post(url, content=DATA, headers={"content-type": "multipart/related; boundary=x"})
    http.put(start(http, "c"), content=DATA)
    folder = emulator._world.buckets.folder
    assert len(list(folder.iterdir())) == len(emulator.objects("films")) == 2


def test_reset_ends_uploads_under_way(http: httpx.Client, emulator: EmulatorHandle) -> None:
    url = start(http)
    emulator.reset()
    assert send(http, url, 0, DATA, len(DATA)).status_code == 404
    with pytest.raises(ConfigurationError):
        emulator.object_bytes("films", "film.mp4")
