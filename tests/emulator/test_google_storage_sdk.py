"""Google's own library for Cloud Storage talks to the emulator and notices nothing."""

import contextlib
import io
import random
from collections.abc import Iterator
from typing import Any

import pytest
from google.api_core.exceptions import Conflict, Forbidden, NotFound, PreconditionFailed
from google.auth.exceptions import RefreshError
from google.cloud import storage
from google.cloud.storage.exceptions import DataCorruption
from google.oauth2.credentials import Credentials

from mediagen.emulator.thread import EmulatorHandle

MEBIBYTE = 1_048_576
BIG = random.Random(1).randbytes(20 * MEBIBYTE)
CHUNK = 5 * MEBIBYTE


@pytest.fixture
def sdk(emulator: EmulatorHandle, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator.url)
    client = storage.Client(project="p")
    yield client
    client.close()


@pytest.fixture
def bucket(sdk: Any) -> Any:
    return sdk.create_bucket("films")


def uploads(emulator: EmulatorHandle) -> list[str]:
    return [entry["method"] for entry in emulator.requests() if entry["path"].startswith("/upload/storage")]


def test_bucket_is_made_shown_listed_and_removed(sdk: Any) -> None:
    made = sdk.create_bucket("pictures", location="europe-west4")
    assert sdk.get_bucket("pictures").location == "EUROPE-WEST4"
    assert [found.name for found in sdk.list_buckets()] == ["pictures"]
    assert sdk.lookup_bucket("others") is None
    with pytest.raises(Conflict):
        sdk.create_bucket("pictures")
    made.delete()
    assert not made.exists()


def test_small_object_is_uploaded_with_metadata_and_downloaded(bucket: Any, emulator: EmulatorHandle) -> None:
    blob = bucket.blob("folder/a cat 🐈 ?#%.png")
    blob.metadata = {"job": "j1"}
    blob.upload_from_string(b"meow", content_type="image/png", if_generation_match=0)
    found = bucket.get_blob(blob.name)
    assert (found.size, found.content_type, found.metadata) == (4, "image/png", {"job": "j1"})
    assert (found.crc32c, found.md5_hash) == (blob.crc32c, blob.md5_hash)
    assert found.download_as_bytes(checksum="crc32c") == b"meow"
    assert found.generation == blob.generation
    assert uploads(emulator) == ["POST"]


def test_empty_object_survives_the_round_trip(bucket: Any) -> None:
    bucket.blob("empty").upload_from_string(b"")
    assert bucket.blob("empty").download_as_bytes() == b""


def test_large_object_is_uploaded_in_chunks_and_downloaded_whole_and_in_part(
    bucket: Any, emulator: EmulatorHandle
) -> None:
    blob = bucket.blob("film.mp4", chunk_size=CHUNK)
    blob.upload_from_file(io.BytesIO(BIG), size=len(BIG), content_type="video/mp4", checksum="crc32c")
    assert uploads(emulator) == ["POST", "PUT", "PUT", "PUT", "PUT"]
    fresh = bucket.blob("film.mp4")
    assert fresh.download_as_bytes(checksum="crc32c") == BIG
    assert fresh.download_as_bytes(checksum="md5") == BIG
    assert fresh.download_as_bytes(start=CHUNK + 1, end=CHUNK + 10) == BIG[CHUNK + 1 : CHUNK + 11]
    assert fresh.download_as_bytes(start=len(BIG) - 3) == BIG[-3:]


def test_object_of_unknown_length_is_uploaded_in_chunks(bucket: Any) -> None:
    blob = bucket.blob("film.mp4", chunk_size=CHUNK)
    with blob.open("wb") as stream:
        stream.write(BIG[: CHUNK + 5])
    assert bucket.blob("film.mp4").download_as_bytes() == BIG[: CHUNK + 5]


def test_download_in_chunks_gives_the_whole_object(bucket: Any) -> None:
    bucket.blob("film.mp4").upload_from_string(BIG[: 2 * CHUNK + 7])
    parts = io.BytesIO()
    bucket.blob("film.mp4", chunk_size=CHUNK).download_to_file(parts)
    assert parts.getvalue() == BIG[: 2 * CHUNK + 7]


def test_objects_are_listed_by_prefix_and_delimiter_over_pages(sdk: Any, bucket: Any) -> None:
    for name in ("a/1", "a/2", "a/b/3", "b/4", "5"):
        bucket.blob(name).upload_from_string(name)
    assert [blob.name for blob in sdk.list_blobs(bucket, page_size=2)] == ["5", "a/1", "a/2", "a/b/3", "b/4"]
    listing = sdk.list_blobs(bucket, prefix="a/", delimiter="/")
    assert [blob.name for blob in listing] == ["a/1", "a/2"]
    assert listing.prefixes == {"a/b/"}


def test_object_is_copied_renamed_and_deleted(sdk: Any, bucket: Any) -> None:
    blob = bucket.blob("a/1")
    blob.upload_from_string("x", content_type="text/plain")
    copied = bucket.copy_blob(blob, sdk.create_bucket("copies"), "b/2 🎬")
    assert (copied.download_as_bytes(), copied.content_type) == (b"x", "text/plain")
    token, _, size = bucket.blob("c").rewrite(blob)
    assert (token, size) == (None, 1)
    blob.delete()
    assert not blob.exists()
    with pytest.raises(NotFound):
        blob.delete()


def test_upload_over_an_object_is_refused_when_there_must_be_none(bucket: Any) -> None:
    bucket.blob("a").upload_from_string("first")
    with pytest.raises(PreconditionFailed, match="pre-conditions"):
        bucket.blob("a").upload_from_string("second", if_generation_match=0)
    with pytest.raises(PreconditionFailed):
        bucket.blob("a", chunk_size=CHUNK).upload_from_file(io.BytesIO(b"second"), if_generation_match=0)
    assert bucket.blob("a").download_as_bytes() == b"first"


def test_missing_objects_and_buckets_are_not_found(sdk: Any, bucket: Any) -> None:
    with pytest.raises(NotFound, match="No such object: films/a/b"):
        bucket.blob("a/b").download_as_bytes()
    with pytest.raises(NotFound, match="No such object"):
        bucket.blob("a/b").reload()
    assert bucket.get_blob("a/b") is None
    with pytest.raises(NotFound, match="bucket does not exist"):
        sdk.bucket("nowhere").blob("a").upload_from_string("x")
    with pytest.raises(NotFound, match="bucket does not exist"):
        list(sdk.list_blobs("nowhere"))


def test_denied_permissions_are_forbidden_one_by_one(sdk: Any, bucket: Any, emulator: EmulatorHandle) -> None:
    blob = bucket.blob("a")
    blob.upload_from_string("x")
    emulator.deny_bucket("films", "write")
    with pytest.raises(Forbidden, match=r"storage\.objects\.create access"):
        bucket.blob("b").upload_from_string("x")
    assert blob.download_as_bytes() == b"x"
    emulator.deny_bucket("films", "read")
    with pytest.raises(Forbidden, match=r"Permission 'storage\.objects\.get' denied on resource"):
        blob.download_as_bytes()
    emulator.deny_bucket("films")
    with pytest.raises(Forbidden, match=r"storage\.objects\.list"):
        list(sdk.list_blobs(bucket))
    with pytest.raises(Forbidden, match=r"storage\.buckets\.get"):
        bucket.reload()
    assert bucket.test_iam_permissions(["storage.objects.create", "storage.buckets.update"]) == [
        "storage.buckets.update"
    ]


def test_token_opens_the_buckets_unless_it_is_expired(bucket: Any, emulator: EmulatorHandle) -> None:
    def upload(token: str) -> None:
        signed = Credentials(token)  # type: ignore[no-untyped-call] # not annotated there
        with contextlib.closing(storage.Client(project="p", credentials=signed)) as client:
            client.bucket(bucket.name).blob("a").upload_from_string(token)

    upload("ya29.ready-1")
    # refused with 401, the library wants to refresh the token and has nothing to do it with
    with pytest.raises(RefreshError):
        upload("ya29.expired")
    with pytest.raises(Forbidden, match="Insufficient Permission"):
        upload("ya29.scope")
    assert emulator.object_bytes("films", "a") == b"ya29.ready-1"


def test_corrupt_bytes_are_noticed_on_the_way_down_and_up(bucket: Any, emulator: EmulatorHandle) -> None:
    blob = bucket.blob("a", chunk_size=CHUNK)
    blob.upload_from_file(io.BytesIO(b"meow"), checksum="crc32c")
    emulator.add_fault(fault="bad_checksum", match={"method": "GET"})
    with pytest.raises(DataCorruption):
        bucket.blob("a").download_as_bytes(checksum="crc32c")
    emulator.add_fault(fault="bad_checksum")
    with pytest.raises(DataCorruption):
        bucket.blob("b", chunk_size=CHUNK).upload_from_file(io.BytesIO(b"meow"), checksum="crc32c")


def test_library_resumes_a_download_that_was_cut(bucket: Any, emulator: EmulatorHandle) -> None:
    bucket.blob("film.mp4").upload_from_string(BIG[:CHUNK])
    emulator.add_fault(fault="cut_download", after_bytes=MEBIBYTE)
    assert bucket.blob("film.mp4").download_as_bytes(checksum="crc32c") == BIG[:CHUNK]
