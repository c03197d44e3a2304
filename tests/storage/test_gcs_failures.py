"""Cloud Storage that refuses, breaks off or lies; over real HTTP against a scripted server."""

import base64
import gzip
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import google_crc32c
import pytest
from google.oauth2.credentials import Credentials
from tests.storage.conftest import Reply, Scripted, Seen

from mediagen.errors import (
    AuthenticationError,
    EndpointError,
    InvalidRequestError,
    MediaGenError,
    StorageError,
    UnavailableError,
)
from mediagen.storage.gcs import CloudStorage, Patience
from mediagen.storage.local import LocalStorage, PartFile

OpenCloud = Callable[..., CloudStorage]
MIB = 1024**2
TOKEN = "ya29.very-secret-token"
HTML = b"<!DOCTYPE html><html><body>Sign in to the hotel</body></html>"
READ_REFUSED = (
    "ann@example.com does not have storage.objects.get access to the Google Cloud Storage object. "
    "Permission 'storage.objects.get' denied on resource (or it may not exist)."
)
WRITE_REFUSED = READ_REFUSED.replace(".get", ".create")


@pytest.fixture
def cloud(scripted: Scripted, open_cloud: OpenCloud) -> CloudStorage:
    return open_cloud(endpoint=scripted.url, credentials=signed())


@pytest.fixture
async def part(tmp_path: Path) -> PartFile:
    return await LocalStorage().open_part(tmp_path, "job-1")


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"film")
    return path


def signed() -> Credentials:
    return Credentials(token=TOKEN)  # type: ignore[no-untyped-call] # not annotated there


def crc32c(data: bytes) -> str:
    return base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()


def google(status: int, message: str = "", reason: str = "") -> Reply:
    error = {"code": status, "message": message, "errors": [{"reason": reason, "message": message}]}
    return Reply(status=status, body=json.dumps({"error": error}).encode())


def as_json(value: Any) -> Reply:
    return Reply(body=json.dumps(value).encode(), headers={"content-type": "application/json"})


def metadata(data: bytes, **changes: Any) -> Reply:
    resource = {"name": "a.mp4", "size": str(len(data)), "crc32c": crc32c(data), "generation": "7", **changes}
    return as_json(resource)


def piece(data: bytes, seen: Seen, cut: int | None = None) -> Reply:
    start, end = seen.span
    body = data[start : end + 1]
    return Reply(status=206, body=body, headers={"content-range": f"bytes {start}-{end}/{len(data)}"}, cut=cut)


def holding(data: bytes, media: Callable[[Seen], Reply] | None = None, **changes: Any) -> Callable[[Seen], Reply]:
    """A bucket that holds one object."""
    return lambda seen: (media(seen) if media else piece(data, seen)) if seen.is_media else metadata(data, **changes)


async def test_download_pins_the_generation_and_signs(cloud: CloudStorage, scripted: Scripted, part: PartFile) -> None:
    data = bytes(5 * MIB)
    scripted.respond = holding(data, mediaLink="http://127.0.0.1:9/elsewhere")
    await cloud.download("gs://films/a.mp4", part)
    media = [seen for seen in scripted.seen if seen.is_media]
    assert [seen.span for seen in media] == [(0, 4 * MIB - 1), (4 * MIB, 5 * MIB - 1)]
    assert {seen.query["generation"] for seen in media} == {"7"}
    assert {seen.headers["authorization"] for seen in scripted.seen} == {f"Bearer {TOKEN}"}
    assert len(scripted.seen) == 3, "and nothing was asked behind our back"


async def test_download_that_breaks_off_goes_on(cloud: CloudStorage, scripted: Scripted, part: PartFile) -> None:
    data = bytes(range(256)) * 4096 * 6
    cuts = iter([1_000_000, 3, None, 77, None])
    scripted.respond = holding(data, lambda seen: piece(data, seen, cut=next(cuts)))
    await cloud.download("gs://films/a.mp4", part)
    assert part.path.read_bytes() == data


async def test_download_that_keeps_breaking_off_keeps_what_came(
    cloud: CloudStorage, scripted: Scripted, part: PartFile
) -> None:
    data = bytes(range(250)) * 4000
    scripted.respond = holding(data, lambda seen: piece(data, seen, cut=1000))
    with pytest.raises(UnavailableError) as caught:
        await cloud.download("gs://films/a.mp4", part)
    assert (caught.value.code, caught.value.billed) == ("storage_unavailable", "yes")
    assert part.path.read_bytes() == data[:3000]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_download_tries_three_times_while_google_is_overloaded(
    cloud: CloudStorage, scripted: Scripted, part: PartFile, status: int
) -> None:
    scripted.respond = lambda _: google(status, "try later")
    with pytest.raises(UnavailableError) as caught:
        await cloud.download("gs://films/a.mp4", part)
    assert (caught.value.code, caught.value.status_code) == ("storage_unavailable", status)
    assert len(scripted.seen) == 3
    scripted.seen.clear()
    scripted.respond = holding(b"film", lambda seen: google(status, "try later"))
    with pytest.raises(UnavailableError):
        await cloud.download("gs://films/a.mp4", part)
    assert sum(seen.is_media for seen in scripted.seen) == 3


async def test_download_gets_over_two_failures(cloud: CloudStorage, scripted: Scripted, part: PartFile) -> None:
    failures = iter([google(503), google(429)])
    scripted.respond = lambda seen: next(failures, None) or holding(b"film")(seen)
    await cloud.download("gs://films/a.mp4", part)
    assert part.path.read_bytes() == b"film"


async def test_download_with_a_bad_checksum_is_thrown_away(
    cloud: CloudStorage, scripted: Scripted, part: PartFile
) -> None:
    scripted.respond = holding(b"film", lambda seen: piece(b"lies", seen))
    with pytest.raises(UnavailableError, match="checksum") as caught:
        await cloud.download("gs://films/a.mp4", part)
    assert (caught.value.code, caught.value.billed, part.size()) == ("download_incomplete", "yes", 0)


async def test_download_refuses_more_than_was_asked_for(
    cloud: CloudStorage, scripted: Scripted, part: PartFile
) -> None:
    await part.append(b"fi")
    scripted.respond = holding(b"film", lambda seen: Reply(body=b"film"))
    with pytest.raises(UnavailableError) as caught:
        await cloud.download("gs://films/a.mp4", part)
    assert (caught.value.code, part.size()) == ("download_incomplete", 0)


async def test_download_of_an_object_replaced_meanwhile_starts_over(
    cloud: CloudStorage, scripted: Scripted, part: PartFile
) -> None:
    generations = iter(["7", "8"])
    await part.append(b"f")
    scripted.respond = lambda seen: (
        Reply(status=404, body=b"No such object: films/a.mp4")
        if seen.is_media
        else metadata(b"film", generation=next(generations))
    )
    with pytest.raises(UnavailableError, match="replaced") as caught:
        await cloud.download("gs://films/a.mp4", part)
    assert (caught.value.code, part.size()) == ("download_incomplete", 0)


async def test_download_of_an_object_deleted_meanwhile_says_so(
    cloud: CloudStorage, scripted: Scripted, part: PartFile
) -> None:
    found = iter([metadata(b"film")])
    scripted.respond = lambda seen: (not seen.is_media and next(found, None)) or google(404, "No such object: films/a")
    with pytest.raises(EndpointError) as caught:
        await cloud.download("gs://films/a.mp4", part)
    assert caught.value.code == "object_missing"


@pytest.mark.parametrize(
    "reply", [Reply(body=HTML), Reply(status=404, body=HTML), Reply(status=403, body=HTML), as_json([]), as_json({})]
)
async def test_something_in_between_settles_nothing(
    cloud: CloudStorage, scripted: Scripted, part: PartFile, reply: Reply
) -> None:
    await part.append(b"kept")
    scripted.respond = lambda _: reply
    with pytest.raises(UnavailableError) as caught:
        await cloud.download("gs://films/a.mp4", part)
    assert caught.value.retryable
    assert "hotel" not in str(caught.value)
    assert part.size() == 4


async def test_reading_without_the_right_names_role_and_identity(
    cloud: CloudStorage, scripted: Scripted, part: PartFile
) -> None:
    scripted.respond = lambda _: google(403, READ_REFUSED, "forbidden")
    with pytest.raises(EndpointError) as caught:
        await cloud.download("gs://films/a.mp4", part)
    error = caught.value
    assert (error.code, error.status_code, error.retryable, error.billed) == ("bucket_forbidden", 403, False, "yes")
    assert error.message == "ann@example.com may not read gs://films/a.mp4 (storage.objects.get is missing)."
    assert "roles/storage.objectViewer" in error.hint
    assert "--member=user:ann@example.com" in error.hint
    assert len(scripted.seen) == 1


async def test_writing_without_the_right_names_role_identity_and_service_agent(
    scripted: Scripted, open_cloud: OpenCloud, film: Path
) -> None:
    robot = "film@film-42.iam.gserviceaccount.com"
    cloud = open_cloud(endpoint=scripted.url, identity=robot)
    scripted.respond = lambda seen: google(403, WRITE_REFUSED if seen.method == "POST" else READ_REFUSED, "forbidden")
    with pytest.raises(StorageError) as caught:
        await cloud.upload(film, "gs://films/a.mp4", mime_type="video/mp4")
    error = caught.value
    assert (error.code, error.retryable, error.billed) == ("bucket_forbidden", False, "no")
    assert f"{robot} may not write gs://films/a.mp4 (storage.objects.create is missing)" in error.message
    assert f"--member=serviceAccount:{robot} --role=roles/storage.objectUser" in error.hint
    assert "gcp-sa-aiplatform.iam.gserviceaccount.com" in error.hint


async def test_a_closed_account_says_billing(cloud: CloudStorage, scripted: Scripted, part: PartFile) -> None:
    said = "The billing account for the owning project is disabled in state absent"
    scripted.respond = lambda _: google(403, said, "accountDisabled")
    with pytest.raises(EndpointError, match="billing account") as caught:
        await cloud.download("gs://films/a.mp4", part)
    assert "Set up billing" in caught.value.hint


async def test_a_missing_bucket_is_told_apart_from_a_missing_object(
    cloud: CloudStorage, scripted: Scripted, part: PartFile
) -> None:
    scripted.respond = lambda _: google(404, "The specified bucket does not exist.", "notFound")
    with pytest.raises(EndpointError) as caught:
        await cloud.download("gs://films/a.mp4", part)
    assert caught.value.code == "bucket_missing"


async def test_refused_credentials_are_told_without_the_token(
    cloud: CloudStorage, scripted: Scripted, part: PartFile
) -> None:
    scripted.respond = lambda _: google(401, f"Invalid Credentials {TOKEN} https://x.test/a?X-Goog-Signature=abc")
    with pytest.raises(AuthenticationError, match=r"ann@example\.com") as caught:
        await cloud.download("gs://films/a.mp4", part)
    assert not caught.value.retryable
    assert TOKEN not in str(caught.value)
    assert "abc" not in str(caught.value)


async def test_missing_credentials_are_told(scripted: Scripted, open_cloud: OpenCloud, part: PartFile) -> None:
    scripted.respond = lambda _: google(401, "Anonymous caller does not have storage.objects.get access")
    with pytest.raises(AuthenticationError):
        await open_cloud(endpoint=scripted.url).download("gs://films/a.mp4", part)


async def test_a_token_never_goes_to_the_emulator_of_the_environment(
    scripted: Scripted, open_cloud: OpenCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", scripted.url)
    scripted.respond = holding(b"film")
    assert await open_cloud(credentials=signed()).read("gs://films/a.mp4", max_bytes=9) == (
        b"film",
        None,
    )
    assert all("authorization" not in seen.headers for seen in scripted.seen)


async def test_nothing_that_listens_is_unavailable(open_cloud: OpenCloud, part: PartFile) -> None:
    with pytest.raises(UnavailableError, match="could not be reached"):
        await open_cloud(endpoint="http://127.0.0.1:9").download("gs://films/a.mp4", part)


async def test_a_server_that_says_nothing_is_given_up(
    scripted: Scripted, open_cloud: OpenCloud, part: PartFile
) -> None:
    patience = Patience(attempts=2, backoff_seconds=0.0, read_seconds=0.04)

    def answer_late(_: Seen) -> Reply:
        time.sleep(0.05)
        return Reply()

    scripted.respond = answer_late
    with pytest.raises(UnavailableError):
        await open_cloud(endpoint=scripted.url, patience=patience).download("gs://films/a.mp4", part)
    assert len(scripted.seen) == 2


async def test_a_cancelled_download_keeps_what_came(cloud: CloudStorage, scripted: Scripted, part: PartFile) -> None:
    data = bytes(9 * MIB)
    scripted.respond = holding(data)
    with anyio.move_on_after(10), anyio.CancelScope() as scope:

        async def stop(here: int, whole: int | None) -> None:
            scope.cancel()

        await cloud.download("gs://films/a.mp4", part, stop)
    assert scope.cancelled_caught
    assert part.size() == 4 * MIB


async def test_a_full_disk_is_told_as_such(
    cloud: CloudStorage, scripted: Scripted, part: PartFile, tmp_path: Path
) -> None:
    scripted.respond = holding(b"film")
    part.path.mkdir()
    with pytest.raises(StorageError):
        await cloud.download("gs://films/a.mp4", part)
    assert sum(seen.is_media for seen in scripted.seen) <= 1


async def test_read_unpacks_and_bounds_what_is_stored_compressed(cloud: CloudStorage, scripted: Scripted) -> None:
    packed = gzip.compress(bytes(5000))
    scripted.respond = holding(packed, contentEncoding="gzip", contentType="image/png")
    assert await cloud.read("gs://films/a.mp4", max_bytes=5000) == (bytes(5000), "image/png")
    with pytest.raises(InvalidRequestError, match="unpacked"):
        await cloud.read("gs://films/a.mp4", max_bytes=4999)


async def test_read_refuses_a_large_object_before_reading(cloud: CloudStorage, scripted: Scripted) -> None:
    scripted.respond = holding(b"film")
    with pytest.raises(InvalidRequestError):
        await cloud.read("gs://films/a.mp4", max_bytes=3)
    assert not any(seen.is_media for seen in scripted.seen)


async def test_read_notices_a_bad_checksum(cloud: CloudStorage, scripted: Scripted) -> None:
    scripted.respond = holding(b"film", lambda seen: piece(b"lies", seen))
    with pytest.raises(UnavailableError) as caught:
        await cloud.read("gs://films/a.mp4", max_bytes=9)
    assert (caught.value.code, caught.value.billed) == ("download_incomplete", "no")


def taken(data: bytes, status: int = 412, message: str = "") -> Callable[[Seen], Reply]:
    """An object that comes into being between the question and the upload."""
    found = iter([google(404, "No such object")])
    words = message or "At least one of the pre-conditions you specified did not hold."
    return lambda seen: google(status, words) if seen.method == "POST" else next(found, None) or metadata(data)


async def test_upload_asks_google_never_to_replace(cloud: CloudStorage, scripted: Scripted, film: Path) -> None:
    scripted.respond = lambda seen: metadata(b"film") if seen.method == "POST" else google(404, "No such object")
    await cloud.upload(film, "gs://films/a.mp4", mime_type="video/mp4")
    sent = scripted.seen[-1]
    assert sent.query["ifGenerationMatch"] == "0"
    assert b"content-type: video/mp4" in sent.body
    assert crc32c(b"film").encode() in sent.body


@pytest.mark.parametrize("status", [412, 403])
async def test_upload_of_what_arrived_before_is_done(
    cloud: CloudStorage, scripted: Scripted, film: Path, status: int
) -> None:
    message = "ann@example.com does not have storage.objects.delete access" if status == 403 else ""
    scripted.respond = taken(b"film", status, message)
    assert await cloud.upload(film, "gs://films/a.mp4", mime_type="video/mp4") == "gs://films/a.mp4"
    assert scripted.count("POST") == 1


async def test_upload_leaves_another_object_of_that_name_alone(
    cloud: CloudStorage, scripted: Scripted, film: Path
) -> None:
    scripted.respond = taken(b"else")
    with pytest.raises(StorageError, match="with other content") as caught:
        await cloud.upload(film, "gs://films/a.mp4", mime_type="video/mp4")
    assert (caught.value.code, caught.value.retryable) == ("object_exists", False)


async def test_upload_that_cannot_be_compared_says_so(cloud: CloudStorage, scripted: Scripted, film: Path) -> None:
    scripted.respond = lambda seen: google(412) if seen.method == "POST" else google(403, READ_REFUSED)
    with pytest.raises(StorageError, match="may not be read") as caught:
        await cloud.upload(film, "gs://films/a.mp4", mime_type="video/mp4")
    assert caught.value.code == "object_exists"


async def test_upload_tries_three_times_while_google_is_overloaded(
    cloud: CloudStorage, scripted: Scripted, film: Path
) -> None:
    scripted.respond = lambda seen: google(503 if seen.method == "POST" else 404)
    with pytest.raises(UnavailableError) as caught:
        await cloud.upload(film, "gs://films/a.mp4", mime_type="video/mp4")
    assert (caught.value.code, caught.value.billed) == ("storage_unavailable", "no")
    assert scripted.count("POST") == 3


async def test_upload_that_lands_wrong_is_told(cloud: CloudStorage, scripted: Scripted, film: Path) -> None:
    scripted.respond = lambda seen: metadata(b"lies") if seen.method == "POST" else google(404)
    # What is wrong must not stay under the name, or the next attempt would be refused.
    with pytest.raises(StorageError) as caught:
        await cloud.upload(film, "gs://films/a.mp4", mime_type="video/mp4")
    assert (caught.value.code, caught.value.retryable) == ("upload_corrupt", True)
    assert scripted.seen[-1].method == "DELETE"
    assert scripted.seen[-1].query["ifGenerationMatch"] == "7"


@pytest.mark.parametrize("reply", [Reply(body=HTML), as_json([]), as_json({}), as_json(None), Reply()])
async def test_upload_with_a_senseless_answer_removes_nothing(
    cloud: CloudStorage, scripted: Scripted, film: Path, reply: Reply
) -> None:
    scripted.respond = lambda seen: reply if seen.method == "POST" else google(404, "No such object")
    with pytest.raises(UnavailableError):
        await cloud.upload(film, "gs://films/a.mp4", mime_type="video/mp4")
    assert scripted.count("DELETE") == 0


async def test_upload_of_a_file_that_shrinks_meanwhile_says_so(
    cloud: CloudStorage, scripted: Scripted, film: Path
) -> None:
    def shrink(seen: Seen) -> Reply:
        film.write_bytes(b"f")
        return google(404, "No such object")

    scripted.respond = shrink
    with pytest.raises(StorageError, match="changed") as caught:
        await cloud.upload(film, "gs://films/a.mp4", mime_type="video/mp4")
    assert caught.value.code == "file_changed"


class Session:
    """Resumable uploads, with trouble: statuses that answer the first chunks sent."""

    def __init__(self, url: str, *trouble: int) -> None:
        self.url = url
        self.trouble = list(trouble)
        self.arrived = b""

    def __call__(self, seen: Seen) -> Reply:
        if seen.method == "GET":
            return google(404, "No such object")
        if seen.method == "POST":
            self.arrived = b""
            return Reply(headers={"location": f"{self.url}/upload/session?upload_id=secret"})
        if self.trouble and (status := self.trouble.pop(0)):
            return google(status)
        span, _, total = seen.headers["content-range"].removeprefix("bytes ").partition("/")
        self.arrived = self.arrived[: int(span.partition("-")[0])] + seen.body
        if len(self.arrived) < int(total):
            return Reply(status=308, headers={"range": f"bytes=0-{len(self.arrived) - 1}"})
        return metadata(self.arrived)


@pytest.mark.parametrize("trouble", [(), (0, 503, 503), (503, 429, 0, 500, 502), (0, 410), (404,)])
async def test_large_upload_gets_over_trouble(
    cloud: CloudStorage, scripted: Scripted, tmp_path: Path, trouble: tuple[int, ...]
) -> None:
    data = bytes(range(256)) * 4096 * 9
    file = tmp_path / "large.mp4"
    file.write_bytes(data)
    session = Session(scripted.url, *trouble)
    scripted.respond = session
    await cloud.upload(file, "gs://films/a.mp4", mime_type="video/mp4")
    assert session.arrived == data
    assert max(len(seen.body) for seen in scripted.seen) == 4 * MIB
    lost = sum(status in {404, 410} for status in trouble)
    assert scripted.count("POST") == 1 + lost


async def test_large_upload_gives_up_without_showing_its_session(
    cloud: CloudStorage, scripted: Scripted, tmp_path: Path
) -> None:
    file = tmp_path / "large.mp4"
    file.write_bytes(bytes(9 * MIB))
    scripted.respond = Session(scripted.url, *[503] * 9)
    with pytest.raises(UnavailableError) as caught:
        await cloud.upload(file, "gs://films/a.mp4", mime_type="video/mp4")
    assert "secret" not in str(caught.value)
    assert scripted.count("PUT") == 3


class Rights:
    """A bucket in which some requests are refused: the statuses by kind of request."""

    def __init__(self, **refused: int) -> None:
        self.refused = refused

    def __call__(self, seen: Seen) -> Reply:
        kind = {"POST": "write", "DELETE": "delete"}.get(seen.method, "read" if seen.is_media else "bucket")
        if status := self.refused.get(kind):
            return google(status, WRITE_REFUSED if kind == "write" else f"no {kind}")
        if kind == "bucket":
            return as_json({"name": "films", "location": "EUROPE-WEST4"})
        if kind == "delete":
            return Reply(status=204)
        return metadata(b"mediagen") if kind == "write" else Reply(status=206, body=b"mediagen")


@pytest.mark.parametrize(
    ("refused", "exists", "rights", "problem"),
    [
        ({}, True, (True, True, True), None),
        ({"bucket": 403}, True, (True, True, True), None),
        ({"read": 403}, True, (True, False, True), "may not read"),
        ({"delete": 403}, True, (True, True, False), "left there"),
        ({"delete": 404}, True, (True, True, True), None),
        ({"write": 403, "read": 404}, True, (False, True, None), "storage.objects.create is missing"),
        ({"write": 403, "read": 403}, True, (False, None, None), "may not write"),
        ({"bucket": 403, "write": 404}, False, (None, None, None), "does not exist"),
        ({"bucket": 403, "write": 503}, None, (None, None, True), "answered 503"),
        ({"bucket": 503}, None, (None, None, None), "answered 503"),
        ({"bucket": 401}, None, (None, None, None), "refused the credentials"),
    ],
)
async def test_check_tells_what_is_allowed(
    cloud: CloudStorage,
    scripted: Scripted,
    refused: dict[str, int],
    exists: bool | None,
    rights: tuple[bool | None, ...],
    problem: str | None,
) -> None:
    scripted.respond = Rights(**refused)
    found = await cloud.check("films")
    assert found.exists is exists
    assert (found.can_write, found.can_read, found.can_delete) == rights
    assert (problem in found.problem) if problem and found.problem else found.problem is problem
    assert found.location == (None if "bucket" in refused else "EUROPE-WEST4")


async def test_check_cleans_up_after_a_write_without_an_answer(cloud: CloudStorage, scripted: Scripted) -> None:
    scripted.respond = Rights(write=503)
    found = await cloud.check("films")
    assert found.can_write is None
    assert scripted.count("DELETE", "mediagen-check-") == 1


async def test_check_cleans_up_when_cancelled(cloud: CloudStorage, scripted: Scripted) -> None:
    rights = Rights()
    with anyio.move_on_after(10), anyio.CancelScope() as scope:

        def respond(seen: Seen) -> Reply:
            if seen.method == "POST":
                anyio.from_thread.run_sync(scope.cancel, token=token)
            return rights(seen)

        token = anyio.lowlevel.current_token()
        scripted.respond = respond
        await cloud.check("films")
    assert scope.cancelled_caught
    assert scripted.count("DELETE", "mediagen-check-") == 1


async def test_check_warns_of_a_bucket_elsewhere(scripted: Scripted, open_cloud: OpenCloud) -> None:
    scripted.respond = Rights()
    found = await open_cloud(endpoint=scripted.url, location="us-central1").check("films")
    assert found.problem is None
    assert "europe-west4" in found.hint


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 411, 416, 429, 500, 503])
@pytest.mark.parametrize("body", [b"", HTML, b"[]", b'{"error":"x"}', b'{"error":{"errors":[7]}}', b"\xff\xfe"])
async def test_every_answer_becomes_an_error_of_ours(
    cloud: CloudStorage, scripted: Scripted, film: Path, status: int, body: bytes
) -> None:
    scripted.respond = lambda _: Reply(status=status, body=body)
    with pytest.raises(MediaGenError):
        await cloud.read("gs://films/a.mp4", max_bytes=9)
    with pytest.raises(MediaGenError):
        await cloud.upload(film, "gs://films/a.mp4", mime_type="video/mp4")
    assert (await cloud.check("films")).problem
