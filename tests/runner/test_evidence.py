"""Unconfirmed jobs on Vertex AI: the folder of the job tells whether the clip was made."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import anyio
import pytest
from tests.conftest import of_child, paid
from tests.runner.asking import change, left_behind, until, veo, wait_for
from tests.runner.lost import BUCKET, PREFIX, SUBMISSIONS, age, lost_clip, resolution
from tests.runner.test_killed_while_sending import submitter_of, wait_until_gone

from mediagen.app.app import App, open_app
from mediagen.generator.resolving import resolve_job
from mediagen.jobs import JobStatus
from mediagen.report.job import JobReport
from mediagen.requests import GetSpendRequest
from mediagen.runner.evidence import clips_in
from mediagen.settings import Settings
from mediagen.storage.gs_uri import FolderObject

VertexSettings = Callable[..., Settings]
LISTS = f"/storage/v1/b/{BUCKET}/o"


async def written(emulator, number: int = 1) -> None:
    """Wait until Google has written so many objects."""
    with anyio.fail_after(60):
        while len(emulator.objects(BUCKET)) < number:
            await anyio.sleep(0.02)


async def looked(settings: Settings, report: JobReport) -> JobReport:
    """What the next process finds."""
    async with open_app(settings) as app:
        await app.runner.resume()
        return await wait_for(app, report.job_id)


def lists(emulator) -> list[str]:
    return [request["query"]["prefix"] for request in emulator.requests() if request["path"] == LISTS]


async def spent(app: App) -> tuple[float, float]:
    report = await app.spending.get_spend(GetSpendRequest.model_validate({"by": "model"}))
    return float(report.total.charged_usd), float(report.total.possibly_billed_usd)


async def test_each_job_and_call_has_a_folder_of_its_own_that_is_told(vertex_settings: VertexSettings, emulator):
    emulator.make_bucket(BUCKET)
    async with open_app(vertex_settings()) as app:
        planned = await veo(app, storage_uri=PREFIX, dry_run=True)
        first = await veo(app, storage_uri=PREFIX)
        second = await veo(app, storage_uri=f"{PREFIX}/", count=2)
    assert planned.effective["storage_uri"] == f"{PREFIX}/(job id)/"
    assert planned.request is not None
    assert planned.request["parameters"]["storageUri"] == f"{PREFIX}/(job id)/"
    for report in (first, second):
        folder = f"{PREFIX}/{report.job_id}/"
        assert report.effective["storage_uri"] == folder
        assert report.requested["storage_uri"].rstrip("/") == PREFIX
        (moved,) = [change for change in report.adjustments if change.field == "storage_uri"]
        assert (moved.from_, moved.to) == (report.requested["storage_uri"], folder)
        assert all(artifact.gcs_uri and artifact.gcs_uri.startswith(folder) for artifact in report.artifacts)
    bodies = [r["body"] for r in emulator.requests() if SUBMISSIONS["path_contains"] in r["path"]]
    assert [body["parameters"]["storageUri"] for body in bodies] == [
        f"{PREFIX}/{report.job_id}/" for report in (first, second)
    ]


async def test_calls_of_one_job_have_folders_of_their_own(vertex_settings: VertexSettings, emulator):
    emulator.make_bucket(BUCKET)
    asked = {"model": "omni", "duration_seconds": 3, "resolution": "360p", "count": 2, "storage_uri": PREFIX}
    async with open_app(vertex_settings()) as app:
        report = await veo(app, **asked)
    assert report.status == "succeeded", report.error
    folder = f"{PREFIX}/{report.job_id}/"
    assert report.effective["storage_uri"] == folder
    assert [str(artifact.gcs_uri)[: len(folder) + 2] for artifact in report.artifacts] == [f"{folder}0/", f"{folder}1/"]


async def test_prefix_that_leaves_no_room_for_the_folder_is_refused(vertex_settings: VertexSettings, emulator):
    async with open_app(vertex_settings()) as app:
        with pytest.raises(Exception, match="1024 bytes") as caught:
            await veo(app, storage_uri=f"gs://{BUCKET}/{'x' * 1010}")
    assert getattr(caught.value, "field", None) == "storage_uri"
    assert emulator.requests() == []


async def test_lost_clip_is_found_in_its_folder_and_fetched(
    vertex_settings: VertexSettings, emulator, work: Path, ledger_file: Path
):
    async with open_app(vertex_settings()) as app:
        report = await lost_clip(app, emulator, count=2)
        assert report.error is not None
        assert (report.error.code, report.error.billed) == ("unconfirmed", "unknown")
        assert f"{PREFIX}/{report.job_id}/" in report.error.hint
        assert (work / "lost_0.json").exists()
    await written(emulator, 2)
    done = await looked(vertex_settings(), report)
    assert done.status == "succeeded", done.error
    assert done.error is None
    assert (done.charge.billed, done.charge.usd) == ("yes", done.quote.usd)
    assert {artifact.gcs_uri for artifact in done.artifacts} == {
        f"gs://{BUCKET}/{stored['name']}" for stored in emulator.objects(BUCKET)
    }
    assert any("was lost; the clip was found in" in warning for warning in done.warnings)
    assert json.loads((work / "lost_0.json").read_text())["state"] == "succeeded"
    assert left_behind(work, ledger_file) == []
    assert paid(emulator) == 1


async def test_server_that_sent_it_looks_by_itself(vertex_settings: VertexSettings, emulator):
    async with open_app(vertex_settings()) as app:
        report = await lost_clip(app, emulator)
        await written(emulator)
        app.runner.scheduler.start_sweeping()
        done = await until(app, report, "succeeded")
    assert done.artifacts
    assert paid(emulator) == 1


async def test_two_processes_that_find_it_fetch_it_once(
    vertex_settings: VertexSettings, emulator, work: Path, ledger_file: Path
):
    async with open_app(vertex_settings()) as first:
        report = await lost_clip(first, emulator)
    await written(emulator)
    async with open_app(vertex_settings()) as one, open_app(vertex_settings()) as other:
        taken: list[int] = []

        async def look(app: App) -> None:
            taken.append(len(await app.runner.resume()))

        async with anyio.create_task_group() as group:
            group.start_soon(look, one)
            group.start_soon(look, other)
        done = await until(one, report, "succeeded")
    assert sorted(taken) == [0, 1]
    assert len(list(work.glob("*.mp4"))) == len(done.artifacts) == 1
    assert left_behind(work, ledger_file) == []


async def test_empty_folder_leaves_the_job_unconfirmed_while_google_may_still_be_at_work(
    vertex_settings: VertexSettings, emulator, ledger_file: Path
):
    async with open_app(vertex_settings()) as app:
        report = await lost_clip(app, emulator, fault="lost_after_accept")
        age(ledger_file, timedelta(minutes=50))
        await app.runner.resume()
        await app.runner.resume()
        again = await wait_for(app, report.job_id, 0)
    assert again.status == "unconfirmed"
    # Asked a moment later, it is not looked for again.
    assert lists(emulator) == [f"clips 🎬/{report.job_id}/"]
    assert paid(emulator) == 0


async def test_clip_that_never_came_ends_the_job_and_stays_possibly_billed(
    vertex_settings: VertexSettings, emulator, work: Path, ledger_file: Path
):
    async with open_app(vertex_settings()) as app:
        report = await lost_clip(app, emulator, fault="lost_after_accept")
        age(ledger_file, timedelta(hours=3))
        await app.runner.resume()
        ended = await wait_for(app, report.job_id)
        assert ended.quote.usd is not None
        assert await spent(app) == (0.0, float(ended.quote.usd))
    assert ended.status == "failed"
    assert ended.error is not None
    assert (ended.error.code, ended.error.billed) == ("not_made", "unknown")
    assert "3 h later" in ended.error.message
    assert ended.next is not None
    assert ended.next.tool == "resolve_job"
    assert json.loads((work / "lost.json").read_text())["error"]["type"] == "not_made"


async def test_clip_that_comes_after_the_job_was_given_up_is_fetched(
    vertex_settings: VertexSettings, emulator, ledger_file: Path
):
    async with open_app(vertex_settings()) as app:
        report = await lost_clip(app, emulator, fault="lost_after_accept")
        age(ledger_file, timedelta(hours=3))
        await app.runner.resume()
        assert (await wait_for(app, report.job_id)).status == "failed"
        emulator.make_bucket("other")
        made = await veo(app, storage_uri="gs://other", output_name="other")
    name = str(made.artifacts[0].gcs_uri).removeprefix("gs://other/")
    clip = emulator.object_bytes("other", name)
    emulator.put_object(BUCKET, f"clips 🎬/{report.job_id}/1/sample_0.mp4", clip, "video/mp4")
    done = await looked(vertex_settings(), report)
    assert done.status == "succeeded", done.error
    assert done.charge.billed == "yes"


async def test_one_of_two_clips_is_waited_for_and_then_taken(
    vertex_settings: VertexSettings, emulator, ledger_file: Path
):
    async with open_app(vertex_settings()) as app:
        report = await lost_clip(app, emulator, fault="lost_after_accept", count=2)
        made = await veo(app, storage_uri=f"gs://{BUCKET}/other", output_name="other")
    clip = emulator.object_bytes(BUCKET, str(made.artifacts[0].gcs_uri).removeprefix(f"gs://{BUCKET}/"))
    emulator.put_object(BUCKET, f"clips 🎬/{report.job_id}/1/sample_0.mp4", clip, "video/mp4")
    assert (await looked(vertex_settings(), report)).status == "unconfirmed"
    age(ledger_file, timedelta(hours=3))
    done = await looked(vertex_settings(), report)
    assert done.status == "succeeded", done.error
    assert len(done.artifacts) == 1
    assert done.charge.usd == done.quote.usd / 2 if done.quote.usd else False
    assert any("1 of 2 are not there" in warning for warning in done.warnings)


async def test_something_else_in_the_folder_is_told_and_settles_nothing(
    vertex_settings: VertexSettings, emulator, ledger_file: Path
):
    async with open_app(vertex_settings()) as app:
        report = await lost_clip(app, emulator, fault="lost_after_accept")
    emulator.put_object(BUCKET, f"clips 🎬/{report.job_id}/notes.txt", b"hello", "text/plain")
    emulator.put_object(BUCKET, f"clips 🎬/{report.job_id}/empty.mp4", b"", "video/mp4")
    age(ledger_file, timedelta(hours=3))
    found = await looked(vertex_settings(), report)
    assert found.status == "unconfirmed"
    assert found.error is not None
    assert "lies no clip, but" in found.error.hint


@pytest.mark.parametrize("trouble", ["denied", "gone"])
async def test_bucket_that_cannot_be_listed_leaves_the_job_unconfirmed_and_says_what_to_do(
    vertex_settings: VertexSettings, emulator, ledger_file: Path, trouble: str
):
    async with open_app(vertex_settings()) as app:
        report = await lost_clip(app, emulator, fault="lost_after_accept")
    if trouble == "denied":
        emulator.deny_bucket(BUCKET, "list")
    else:
        emulator._world.call(lambda: emulator._world.buckets.remove(BUCKET))
    age(ledger_file, timedelta(hours=3))
    found = await looked(vertex_settings(), report)
    assert found.status == "unconfirmed"
    assert found.error is not None
    expected = {"denied": "roles/storage.objectViewer", "gone": f"gcloud storage buckets create gs://{BUCKET}"}
    assert expected[trouble] in found.error.hint
    assert f"mediagen jobs resolve {report.job_id} --as billed" in found.error.hint
    assert found.charge.billed == "unknown"


async def test_clip_that_is_deleted_after_it_was_found_ends_the_job_as_billed(
    vertex_settings: VertexSettings, emulator, ledger_file: Path
):
    async with open_app(vertex_settings()) as app:
        report = await lost_clip(app, emulator, fault="lost_after_accept")
        gone = json.dumps([f"{PREFIX}/{report.job_id}/1/sample_0.mp4"])
        change(ledger_file, "UPDATE calls SET status = 'downloading', remote_uris = ?, error = NULL", gone)
        change(ledger_file, "UPDATE jobs SET status = 'downloading', owner = NULL")
        await app.runner.resume()
        ended = await wait_for(app, report.job_id)
    assert ended.status == "expired"
    assert (ended.error.code, ended.error.billed) == ("expired", "yes") if ended.error else False


async def test_clip_is_found_before_anybody_s_word_is_taken(vertex_settings: VertexSettings, emulator):
    async with open_app(vertex_settings()) as app:
        report = await lost_clip(app, emulator)
        await written(emulator)
        done = await resolve_job(
            app.generator, resolution(report, outcome="not_billed", wait_seconds=60), "the tool resolve_job"
        )
    assert done.status == "succeeded", done.error
    assert done.charge.billed == "yes"
    assert any("Nothing was resolved by hand" in warning for warning in done.warnings)


def test_clips_are_taken_in_google_s_order():
    names = ["1/sample_10.mp4", "1/sample_2.mp4", "1/sample_0.MP4", "1/a.json", "1/empty.mp4"]
    found = [
        FolderObject(
            uri=f"gs://b/{name}",
            size_bytes=0 if "empty" in name else 9,
            content_type="application/json" if name.endswith("json") else "application/octet-stream",
        )
        for name in names
    ]
    assert clips_in(found) == ("gs://b/1/sample_0.MP4", "gs://b/1/sample_2.mp4", "gs://b/1/sample_10.mp4")


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
async def test_server_and_submitter_killed_while_the_request_is_on_its_way_loses_no_clip(
    vertex_settings: VertexSettings, vertex_variables: dict[str, str], environment: dict[str, str], emulator, work: Path
):
    emulator.make_bucket(BUCKET)
    emulator.add_fault(fault="silent_after_accept", match=SUBMISSIONS)
    command = ["video", "waves", "--model", "veo-3.1-fast", "--duration-seconds", "4", "--resolution", "720p"]
    process = subprocess.Popen(
        [sys.executable, "-m", "mediagen.cli", *command, "--storage-uri", PREFIX],
        env=of_child(environment | vertex_variables),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while not emulator.objects(BUCKET):
            assert process.poll() is None
            assert time.monotonic() < deadline
            await anyio.sleep(0.02)
        submitter = submitter_of(process)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    # It would wait for the answer on behalf of the next process.
    os.kill(submitter, signal.SIGKILL)
    wait_until_gone(submitter)
    async with open_app(vertex_settings()) as app:
        (job,) = await app.runner.resume()
        assert (await wait_for(app, job.job_id)).status == JobStatus.UNCONFIRMED
        (job,) = await app.runner.resume()
        done = await wait_for(app, job.job_id)
    assert done.status == "succeeded", done.error
    assert len(list(work.glob("*.mp4"))) == 1
    assert paid(emulator) == 1


async def test_one_lost_call_of_a_job_that_succeeded_is_told_and_found(vertex_settings: VertexSettings, emulator):
    emulator.make_bucket(BUCKET)
    emulator.add_fault(fault="drop_after_accept", match={"method": "POST", "path_contains": "interactions"})
    asked = {"model": "omni", "duration_seconds": 3, "resolution": "360p", "count": 2, "storage_uri": PREFIX}
    async with open_app(vertex_settings()) as app:
        report = await veo(app, **asked)
        assert report.status == "succeeded", report.error
        assert len(report.artifacts) == 1
        assert any(f"mediagen jobs resolve {report.job_id}" in warning for warning in report.warnings)
        assert report.charge.certainty == "unknown"
        await written(emulator, 2)
        await app.runner.resume()
        done = await wait_for(app, report.job_id)
    assert len(done.artifacts) == 2
    assert done.charge.certainty != "unknown"
    assert paid(emulator) == 2
