"""Cloud Storage against an emulator over real HTTP: the ways that work."""

import base64
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import google_crc32c
import pytest
from tests.storage.conftest import Buckets

from mediagen.errors import EndpointError, InvalidRequestError, StorageError, UnavailableError
from mediagen.storage.gcs import CloudStorage
from mediagen.storage.local import LocalStorage, PartFile
from mediagen.storage.part import Part

OpenCloud = Callable[..., CloudStorage]
NAME = "folder with space/a🎬 100%+#?.mp4"
MIB = 1024**2


@pytest.fixture
def cloud(buckets: Buckets, open_cloud: OpenCloud) -> CloudStorage:
    return open_cloud()


@pytest.fixture
async def part(tmp_path: Path) -> PartFile:
    return await LocalStorage().open_part(tmp_path, "job-1")


def pattern(size: int) -> bytes:
    """Bytes in which every MiB differs, so that swapped pieces are noticed."""
    return b"".join(hashlib.sha256(bytes([number % 256])).digest() * (MIB // 32) for number in range(size // MIB))


def crc32c(data: bytes) -> str:
    return base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()


async def test_download_brings_a_large_object_and_tells_progress(
    cloud: CloudStorage, buckets: Buckets, part: PartFile
) -> None:
    data = pattern(20 * MIB) + b"end"
    buckets.put("films", NAME, data)
    steps: list[tuple[int, int | None]] = []

    async def note(here: int, whole: int | None) -> None:
        steps.append((here, whole))

    await cloud.download(f"gs://films/{NAME}", part, note)
    assert part.path.read_bytes() == data
    assert steps == sorted(steps)
    assert len(steps) == 6
    assert steps[-1] == (len(data), len(data))


async def test_download_goes_on_after_what_is_here(cloud: CloudStorage, buckets: Buckets, part: PartFile) -> None:
    data = pattern(9 * MIB)
    buckets.put("films", "a.mp4", data)
    await part.append(data[: 5 * MIB + 7])
    seen: list[int] = []

    async def note(here: int, whole: int | None) -> None:
        seen.append(here)

    await cloud.download("gs://films/a.mp4", part, note)
    assert part.path.read_bytes() == data
    assert seen == [9 * MIB]


async def test_download_of_a_whole_part_asks_for_nothing_more(
    cloud: CloudStorage, buckets: Buckets, part: PartFile
) -> None:
    buckets.put("films", "a.mp4", b"film")
    await part.append(b"film")
    await cloud.download("gs://films/a.mp4", part)
    await cloud.download("gs://films/a.mp4", part)
    assert part.path.read_bytes() == b"film"


async def test_download_starts_over_when_the_part_is_larger_than_the_object(
    cloud: CloudStorage, buckets: Buckets, part: PartFile
) -> None:
    buckets.put("films", "a.mp4", b"film")
    await part.append(b"something longer")
    await cloud.download("gs://films/a.mp4", part)
    assert part.path.read_bytes() == b"film"


async def test_download_throws_away_what_does_not_fit_the_checksum(
    cloud: CloudStorage, buckets: Buckets, part: PartFile
) -> None:
    buckets.put("films", "a.mp4", b"new content")
    await part.append(b"old")
    with pytest.raises(UnavailableError) as caught:
        await cloud.download("gs://films/a.mp4", part)
    assert (caught.value.code, caught.value.billed, caught.value.retryable) == ("download_incomplete", "yes", True)
    assert part.size() == 0
    await cloud.download("gs://films/a.mp4", part)
    assert part.path.read_bytes() == b"new content"


async def test_download_of_a_sealed_part_that_is_wrong_does_not_stay_sealed(
    cloud: CloudStorage, buckets: Buckets, part: PartFile, tmp_path: Path
) -> None:
    buckets.put("films", "a.mp4", b"right")
    await part.append(b"wrong")
    await part.seal()
    with pytest.raises(UnavailableError):
        await cloud.download("gs://films/a.mp4", part)
    await part.append(b"ri")
    assert not part.is_whole
    assert not Part(tmp_path, "job-1").is_whole
    await cloud.download("gs://films/a.mp4", part)
    assert part.path.read_bytes() == b"right"


async def test_download_of_a_missing_object_says_so(cloud: CloudStorage, buckets: Buckets, part: PartFile) -> None:
    with pytest.raises(EndpointError, match=r"gs://films/none\.mp4") as caught:
        await cloud.download("gs://films/none.mp4", part)
    assert (caught.value.code, caught.value.status_code, caught.value.retryable) == ("object_missing", 404, False)
    assert caught.value.billed == "yes"


@pytest.mark.parametrize("size", [0, 5, 8 * MIB, 20 * MIB])
async def test_upload_stores_the_file_with_its_type(
    cloud: CloudStorage, buckets: Buckets, tmp_path: Path, size: int
) -> None:
    data = pattern(size) or b"x" * size
    file = tmp_path / "a🎬.mp4"
    file.write_bytes(data)
    assert await cloud.upload(file, f"gs://films/{NAME}", mime_type="video/mp4") == f"gs://films/{NAME}"
    stored = buckets.list("films")[NAME]
    assert (stored["contentType"], int(stored["size"]), stored["crc32c"]) == ("video/mp4", len(data), crc32c(data))


async def test_upload_of_the_same_content_again_is_done(cloud: CloudStorage, buckets: Buckets, tmp_path: Path) -> None:
    file = tmp_path / "a.mp4"
    file.write_bytes(b"film")
    await cloud.upload(file, "gs://films/a.mp4", mime_type="video/mp4")
    before = buckets.list("films")["a.mp4"]["generation"]
    assert await cloud.upload(file, "gs://films/a.mp4", mime_type="video/mp4") == "gs://films/a.mp4"
    assert buckets.list("films")["a.mp4"]["generation"] == before


async def test_upload_never_replaces_other_content(cloud: CloudStorage, buckets: Buckets, tmp_path: Path) -> None:
    buckets.put("films", "a.mp4", b"other")
    file = tmp_path / "a.mp4"
    file.write_bytes(b"film!")
    with pytest.raises(StorageError, match="another name") as caught:
        await cloud.upload(file, "gs://films/a.mp4", mime_type="video/mp4")
    assert (caught.value.code, caught.value.retryable) == ("object_exists", False)
    assert buckets.list("films")["a.mp4"]["crc32c"] == crc32c(b"other")


async def test_upload_into_a_missing_bucket_says_how_to_create_it(
    cloud: CloudStorage, buckets: Buckets, tmp_path: Path
) -> None:
    file = tmp_path / "a.mp4"
    file.write_bytes(b"film")
    with pytest.raises(StorageError) as caught:
        await cloud.upload(file, "gs://nowhere/a.mp4", mime_type="video/mp4")
    assert (caught.value.code, caught.value.retryable) == ("bucket_missing", False)
    assert "gcloud storage buckets create gs://nowhere --location=us-central1 --project=film-42" in caught.value.hint
    assert "film-42-media-output" in caught.value.hint


async def test_upload_of_a_file_that_is_not_there_says_so(
    cloud: CloudStorage, buckets: Buckets, tmp_path: Path
) -> None:
    with pytest.raises(StorageError) as caught:
        await cloud.upload(tmp_path / "none.mp4", "gs://films/a.mp4", mime_type="video/mp4")
    assert caught.value.code == "file_unreadable"
    assert buckets.list("films") == {}


@pytest.mark.parametrize("uri", ["gs://films", "gs://films/", "gs://films/folder/", "https://films/a", "gs://films/.."])
async def test_addresses_of_no_object_are_refused(cloud: CloudStorage, tmp_path: Path, uri: str) -> None:
    file = tmp_path / "a.mp4"
    file.write_bytes(b"film")
    with pytest.raises(InvalidRequestError):
        await cloud.upload(file, uri, mime_type="video/mp4")
    with pytest.raises(InvalidRequestError):
        await cloud.read(uri, max_bytes=10)


async def test_read_gives_content_and_type(cloud: CloudStorage, buckets: Buckets) -> None:
    buckets.put("films", NAME, b"picture", "image/png")
    assert await cloud.read(f"gs://films/{NAME}", max_bytes=7) == (b"picture", "image/png")


async def test_read_refuses_what_is_too_large(cloud: CloudStorage, buckets: Buckets) -> None:
    buckets.put("films", "a.png", b"pictures")
    with pytest.raises(InvalidRequestError, match="8 bytes; at most 7") as caught:
        await cloud.read("gs://films/a.png", max_bytes=7)
    assert caught.value.code == "input_too_large"


async def test_check_finds_all_rights_and_leaves_nothing_behind(cloud: CloudStorage, buckets: Buckets) -> None:
    found = await cloud.check("films")
    assert (found.exists, found.location) == (True, "US")
    assert (found.can_write, found.can_read, found.can_delete) == (True, True, True)
    assert (found.problem, found.hint) == (None, "")
    assert buckets.list("films") == {}


async def test_check_of_a_missing_bucket_says_how_to_create_it(cloud: CloudStorage, buckets: Buckets) -> None:
    found = await cloud.check("nowhere")
    assert (found.exists, found.can_write, found.can_read, found.can_delete) == (False, None, None, None)
    assert found.problem == "The bucket gs://nowhere does not exist."
    assert "gcloud storage buckets create gs://nowhere" in found.hint


@pytest.mark.parametrize("name", ["", "No_Bucket", "a/b", "gs://films", "..", "a" * 64])
async def test_check_of_no_bucket_name_says_so(cloud: CloudStorage, buckets: Buckets, name: str) -> None:
    found = await cloud.check(name)
    assert found.problem
    assert found.exists is None


async def test_proxies_of_the_environment_are_not_used_for_this_machine(
    buckets: Buckets, open_cloud: OpenCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    buckets.put("films", "a.png", b"picture")
    assert (await open_cloud().read("gs://films/a.png", max_bytes=99))[0] == b"picture"


async def test_emulator_address_may_leave_the_scheme_out(
    buckets: Buckets, open_cloud: OpenCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", buckets.url.removeprefix("http://"))
    buckets.put("films", "a.png", b"picture")
    assert (await open_cloud(project=None).read("gs://films/a.png", max_bytes=99))[0] == b"picture"


async def test_storage_can_be_used_again_after_closing(cloud: CloudStorage, buckets: Buckets) -> None:
    buckets.put("films", "a.png", b"picture")
    await cloud.aclose()
    assert (await cloud.read("gs://films/a.png", max_bytes=99))[0] == b"picture"


KILLED = """
import os, signal, sys
from pathlib import Path
import anyio
from mediagen.storage.gcs import CloudStorage
from mediagen.storage.local import LocalStorage

async def main():
    cloud = CloudStorage(credentials=None, project=None, identity="")
    part = await LocalStorage().open_part(Path(sys.argv[1]), "job-1")
    async def die(here, whole):
        if here < whole:
            os.kill(os.getpid(), signal.SIGKILL)
    await cloud.download("gs://films/a.mp4", part, die)

anyio.run(main)
"""


@pytest.mark.skipif(os.name == "nt", reason="POSIX only")
async def test_download_goes_on_after_the_process_was_killed(
    cloud: CloudStorage, buckets: Buckets, part: PartFile, tmp_path: Path
) -> None:
    data = pattern(9 * MIB)
    buckets.put("films", "a.mp4", data)
    died = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], capture_output=True, timeout=60)
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert part.size() == 4 * MIB
    await cloud.download("gs://films/a.mp4", part)
    assert part.path.read_bytes() == data


def test_light_modules_do_not_import_googles_library() -> None:
    code = (
        "import sys, mediagen.storage.local, mediagen.storage.gs_uri;"
        "print([name for name in sys.modules if name.split('.')[0] in ('google', 'requests', 'urllib3', 'httpx')])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ran.stdout.strip() == "[]", ran.stderr


async def test_folder_is_listed_with_all_that_lies_in_it_and_nothing_beside_it(
    cloud: CloudStorage, buckets: Buckets
) -> None:
    for name in ("made 🎬/job_1/1/sample_0.mp4", "made 🎬/job_1/1/sample_1.mp4", "made 🎬/job_10/sample_0.mp4"):
        buckets.put("films", name, b"clip")
    found = await cloud.list_folder("gs://films/made 🎬/job_1/")
    assert [(each.uri, each.size_bytes) for each in found] == [
        (f"gs://films/made 🎬/job_1/1/sample_{number}.mp4", 4) for number in (0, 1)
    ]
    assert await cloud.list_folder("gs://films/made 🎬/job_2/") == ()


async def test_folder_of_a_bucket_that_is_not_there_is_told(cloud: CloudStorage) -> None:
    with pytest.raises(EndpointError) as caught:
        await cloud.list_folder("gs://no-such-films/job_1/")
    assert caught.value.code == "bucket_missing"
