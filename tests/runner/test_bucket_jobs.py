"""Results in Cloud Storage: written there by Google and fetched, or copied there once they are stored here."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from tests.conftest import paid
from tests.runner.asking import change, image, left_behind, until, veo, wait_for
from tests.stored import sha256_as_made

from mediagen.app.app import open_app
from mediagen.settings import Settings

VertexSettings = Callable[..., Settings]
BUCKET = "film-bucket"
PREFIX = f"gs://{BUCKET}/clips 🎬"
OBJECTS = {"method": "GET", "path_contains": f"/storage/v1/b/{BUCKET}/o/"}


@pytest.fixture
def bucket(emulator) -> str:
    emulator.make_bucket(BUCKET)
    return BUCKET


def object_sha256(emulator, uri: str) -> str:
    name = uri.removeprefix(f"gs://{BUCKET}/")
    return hashlib.sha256(emulator.object_bytes(BUCKET, name)).hexdigest()


async def delete_objects(emulator) -> None:
    async with httpx.AsyncClient(trust_env=False) as google:
        for stored in emulator.objects(BUCKET):
            url = f"{emulator.url}/storage/v1/b/{BUCKET}/o/{quote(stored['name'], safe='')}"
            assert (await google.delete(url)).status_code == 204


async def test_clips_that_google_writes_to_a_bucket_are_fetched_from_there(
    vertex_settings: VertexSettings, emulator, bucket: str, work: Path, ledger_file: Path
):
    async with open_app(vertex_settings()) as app:
        report = await veo(app, count=2, storage_uri=PREFIX)
    assert report.status == "succeeded", report.error
    assert len(emulator.objects(bucket)) == len(report.artifacts) == 2
    for artifact in report.artifacts:
        assert artifact.gcs_uri is not None
        assert artifact.gcs_uri.startswith(f"{PREFIX}/")
        assert object_sha256(emulator, artifact.gcs_uri) == sha256_as_made(artifact.file)
        record = json.loads(artifact.file.with_suffix(".json").read_text())
        assert record["api_response"]["video_uri"] == artifact.gcs_uri
    assert report.remote.uri == report.artifacts[0].gcs_uri
    assert left_behind(work, ledger_file) == []
    assert paid(emulator) == 1


async def test_missing_bucket_fails_the_job_unbilled_with_a_command_that_makes_it(
    vertex_settings: VertexSettings, emulator
):
    async with open_app(vertex_settings()) as app:
        report = await veo(app, storage_uri="gs://no-such-bucket/clips")
    assert report.status == "failed"
    assert report.error is not None
    assert (report.error.code, report.error.billed) == ("bucket_missing", "no")
    assert "gs://no-such-bucket/clips" in report.error.message
    assert "gcloud storage buckets create gs://no-such-bucket --location=us-central1" in report.error.hint
    assert paid(emulator) == 0


async def test_bucket_that_google_may_not_write_to_names_the_role(
    vertex_settings: VertexSettings, emulator, bucket: str
):
    emulator.deny_bucket(bucket, "write")
    async with open_app(vertex_settings()) as app:
        report = await veo(app, storage_uri=PREFIX)
    assert report.status == "failed"
    assert report.error is not None
    assert (report.error.code, report.error.billed) == ("bucket_forbidden", "no")
    assert "roles/storage.objectUser" in report.error.hint
    assert "gcp-sa-aiplatform" in report.error.hint
    assert PREFIX in report.error.message


async def test_clip_that_we_may_not_read_is_named_and_fetched_once_we_may(
    vertex_settings: VertexSettings, emulator, bucket: str
):
    emulator.add_fault(fault="forbidden_bucket", times=2, match=OBJECTS)
    async with open_app(vertex_settings()) as app:
        report = await veo(app, storage_uri=PREFIX, wait_seconds=0)
        report = await until(app, report, "downloading", "Not finished yet")
        done = await wait_for(app, report.job_id)
    assert report.status == "downloading"
    assert report.charge.billed == "yes"
    assert report.remote.uri is not None
    assert report.remote.uri.startswith(f"{PREFIX}/")
    assert "roles/storage.objectViewer" in " ".join(report.warnings)
    assert done.status == "succeeded"
    assert not any("Not finished yet" in warning for warning in done.warnings)
    assert paid(emulator) == 1


async def test_bucket_that_is_down_for_a_while_keeps_the_job_open(
    vertex_settings: VertexSettings, emulator, bucket: str
):
    emulator.add_fault(fault="overloaded", times=4, match=OBJECTS)
    async with open_app(vertex_settings()) as app:
        report = await veo(app, storage_uri=PREFIX, wait_seconds=0)
        await until(app, report, "downloading", "Not finished yet")
        done = await wait_for(app, report.job_id)
    assert done.status == "succeeded"


@pytest.mark.parametrize("operation", ["known", "forgotten"])
async def test_clip_deleted_from_the_bucket_meanwhile_expires_and_was_billed(
    vertex_settings: VertexSettings, emulator, bucket: str, work: Path, ledger_file: Path, operation
):
    emulator.add_fault(fault="forbidden_bucket", times=1, match=OBJECTS)
    async with open_app(vertex_settings(MEDIAGEN_POLL_SECONDS="0.3")) as app:
        report = await until(app, await veo(app, storage_uri=PREFIX, wait_seconds=0), "downloading")
    await delete_objects(emulator)
    if operation == "forgotten":
        change(ledger_file, "UPDATE calls SET operation = replace(operation, '/operations/', '/operations/x')")
    async with open_app(vertex_settings()) as app:
        await app.runner.resume()
        done = await wait_for(app, report.job_id)
    assert done.status == "expired"
    assert done.error is not None
    assert (done.error.code, done.error.billed) == ("expired", "yes")
    assert "deleted from the bucket" in done.error.hint
    assert done.charge.usd == done.quote.usd
    assert left_behind(work, ledger_file) == []


async def test_one_clip_of_two_deleted_leaves_the_other_and_says_so(
    vertex_settings: VertexSettings, emulator, bucket: str, ledger_file: Path, work: Path
):
    emulator.add_fault(fault="forbidden_bucket", times=1, match=OBJECTS)
    async with open_app(vertex_settings(MEDIAGEN_POLL_SECONDS="0.3")) as app:
        report = await until(app, await veo(app, count=2, storage_uri=PREFIX, wait_seconds=0), "downloading")
        assert report.job_id
        _, second = (await app.generator.ledger.get(report.job_id)).calls[0].remote_uris
    kept = emulator.object_bytes(BUCKET, second.removeprefix(f"gs://{BUCKET}/"))
    await delete_objects(emulator)
    emulator.put_object(BUCKET, second.removeprefix(f"gs://{BUCKET}/"), kept, "video/mp4")
    async with open_app(vertex_settings()) as app:
        await app.runner.resume()
        done = await wait_for(app, report.job_id)
    assert done.status == "succeeded"
    assert [artifact.gcs_uri for artifact in done.artifacts] == [second]
    assert any("1 of 2 files" in warning for warning in done.warnings)
    assert done.charge.usd == done.quote.usd
    record = json.loads(done.artifacts[0].file.with_suffix(".json").read_text())
    assert done.artifacts[0].file.stem.endswith("_1")
    assert (record["ordinal"], record["api_response"]["video_uri"]) == (1, second)
    assert left_behind(work, ledger_file) == []


@pytest.mark.parametrize("ask", [veo, image])
async def test_stored_file_is_copied_to_the_bucket_as_well(vertex_settings: VertexSettings, emulator, bucket: str, ask):
    async with open_app(vertex_settings()) as app:
        report = await ask(app, upload_to=f"{PREFIX}/")
    assert report.status == "succeeded", report.error
    artifact = report.artifacts[0]
    assert artifact.gcs_uri == f"{PREFIX}/{Path(artifact.path).name}"
    assert object_sha256(emulator, artifact.gcs_uri) == artifact.sha256
    assert len(emulator.objects(bucket)) == 1
    assert "upload_to" not in " ".join(report.warnings)


async def test_copy_and_original_may_lie_in_buckets_both(vertex_settings: VertexSettings, emulator, bucket: str):
    async with open_app(vertex_settings()) as app:
        report = await veo(app, storage_uri=f"gs://{BUCKET}/made", upload_to=f"gs://{BUCKET}/copies")
    assert report.status == "succeeded", report.error
    assert report.remote.uri is not None
    assert report.remote.uri.startswith(f"gs://{BUCKET}/made/")
    assert report.artifacts[0].gcs_uri == f"gs://{BUCKET}/copies/{report.artifacts[0].file.name}"
    assert object_sha256(emulator, report.remote.uri) == sha256_as_made(report.artifacts[0].file)
    assert object_sha256(emulator, report.artifacts[0].gcs_uri) == report.artifacts[0].sha256


async def test_copy_to_a_missing_bucket_is_a_warning_that_says_what_to_do(vertex_settings: VertexSettings, emulator):
    async with open_app(vertex_settings()) as app:
        report = await image(app, upload_to="gs://no-such-bucket/copies")
    assert report.status == "succeeded"
    assert report.artifacts[0].gcs_uri is None
    said = " ".join(report.warnings)
    assert "gcloud storage buckets create gs://no-such-bucket" in said
    assert "gcloud storage cp --no-clobber" in said
    assert str(report.artifacts[0].file) in said


async def test_copy_that_is_forbidden_is_a_warning_with_the_role(
    vertex_settings: VertexSettings, emulator, bucket: str
):
    emulator.deny_bucket(bucket)
    async with open_app(vertex_settings()) as app:
        report = await image(app, upload_to=PREFIX)
    assert report.status == "succeeded"
    assert "roles/storage.objectUser" in " ".join(report.warnings)
    assert paid(emulator) == 1


async def test_copy_is_sent_again_when_the_connection_breaks(vertex_settings: VertexSettings, emulator, bucket: str):
    emulator.add_fault(fault="cut_upload", after_bytes=20_000)
    async with open_app(vertex_settings()) as app:
        report = await image(app, upload_to=PREFIX)
    assert report.artifacts[0].gcs_uri is not None, report.warnings
    assert object_sha256(emulator, report.artifacts[0].gcs_uri) == report.artifacts[0].sha256


async def test_copy_never_replaces_another_object(vertex_settings: VertexSettings, emulator, bucket: str):
    async with open_app(vertex_settings()) as app:
        first = await image(app, upload_to=PREFIX, output_name="boat", output_dir="one")
        other = await image(app, upload_to=PREFIX, output_name="boat", output_dir="two", prompt="another boat")
    assert other.status == "succeeded"
    assert other.artifacts[0].gcs_uri is None
    assert object_sha256(emulator, f"{first.artifacts[0].gcs_uri}") == first.artifacts[0].sha256
    assert any("is stored here but could not be copied" in warning for warning in other.warnings)
