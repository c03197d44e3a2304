"""Veo on Vertex AI through the runner: several samples of one paid request, clips inside answers, refusals."""

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from tests.conftest import paid
from tests.runner.asking import change, left_behind, until, veo, wait_for
from tests.stored import sha256_as_made

from mediagen.app.app import Manner, open_app
from mediagen.runner import patience
from mediagen.settings import Settings

VertexSettings = Callable[..., Settings]
FETCH = {"path_contains": "fetchPredictOperation"}


def submissions(emulator) -> int:
    return sum("predictLongRunning" in request["path"] for request in emulator.requests())


@pytest.mark.parametrize("count", [1, 4])
async def test_samples_come_of_one_paid_request_each_with_its_record(
    vertex_settings: VertexSettings, emulator, work: Path, ledger_file: Path, count: int
):
    async with open_app(vertex_settings()) as app:
        report = await veo(app, count=count, output_name="fox 🦊")
        assert report.job_id
        job = await app.generator.ledger.get(report.job_id)
    assert report.status == "succeeded", report.error
    assert (submissions(emulator), paid(emulator)) == (1, 1)
    assert [(call.samples, len(call.artifacts)) for call in job.calls] == [(count, count)]
    names = ["fox 🦊.mp4"] if count == 1 else [f"fox 🦊_{number}.mp4" for number in range(count)]
    assert [artifact.file.name for artifact in report.artifacts] == names
    assert len({artifact.sha256 for artifact in report.artifacts}) == count
    records = [json.loads(artifact.file.with_suffix(".json").read_text()) for artifact in report.artifacts]
    assert [record["ordinal"] for record in records] == list(range(count))
    assert [record["output"]["artifact_id"] for record in records] == [file.artifact_id for file in report.artifacts]
    assert "file:" not in json.dumps(records)
    assert report.charge.usd == report.quote.usd == Decimal(emulator.bill()["usd"])
    assert left_behind(work, ledger_file) == []


async def test_wholly_filtered_request_is_free_and_says_why(vertex_settings: VertexSettings, emulator, work: Path):
    emulator.add_fault(fault="rai_filtered", codes="17301594")
    async with open_app(vertex_settings()) as app:
        report = await veo(app, count=2)
    assert report.status == "filtered"
    assert report.error is not None
    assert (report.error.code, report.error.billed) == ("content_filtered", "no")
    assert report.charge.billed == "no"
    assert report.charge.usd == 0
    assert "child" in report.error.message.lower()
    assert len(list(work.glob("*.json"))) == 1


async def test_partly_filtered_request_gives_and_charges_what_was_made(
    vertex_settings: VertexSettings, emulator, work: Path
):
    emulator.add_fault(fault="rai_partial", count=1)
    async with open_app(vertex_settings()) as app:
        report = await veo(app, count=4)
    assert report.status == "succeeded"
    assert len(report.artifacts) == len(list(work.glob("*.mp4"))) == 3
    assert report.quote.usd
    assert report.charge.usd == report.quote.usd * 3 / 4 == Decimal(emulator.bill()["usd"])
    assert any("1 of 4 clips" in warning for warning in report.warnings)


@pytest.mark.parametrize(
    ("fault", "code", "billed", "retryable"),
    [
        ({"fault": "veo_error", "code": "13"}, "generation_failed", "unknown", True),
        ({"fault": "veo_error", "code": "8", "message": "Quota exceeded."}, "rate_limited", "no", True),
        ({"fault": "service_agents_operation"}, "service_agents_provisioning", "no", True),
        ({"fault": "completed_without_video"}, "completed_without_video", "unknown", False),
    ],
)
async def test_failure_inside_the_operation_is_told_truthfully(
    vertex_settings: VertexSettings, emulator, fault, code, billed, retryable
):
    emulator.add_fault(**fault)
    async with open_app(vertex_settings()) as app:
        report = await veo(app)
    assert report.status == "failed"
    assert report.error is not None
    assert (report.error.code, report.error.billed, report.error.retryable) == (code, billed, retryable)
    assert report.error.hint


async def test_project_that_is_being_set_up_is_waited_for_and_pays_once(vertex_settings: VertexSettings, emulator):
    emulator.add_fault(fault="service_agents", times=3)
    async with open_app(vertex_settings(), manner=Manner(setup_waits=(0.01,) * 4)) as app:
        report = await veo(app)
    assert report.status == "succeeded", report.error
    assert submissions(emulator) == 4
    assert paid(emulator) == 1


async def test_project_that_is_never_set_up_is_given_up_unbilled(vertex_settings: VertexSettings, emulator):
    emulator.add_fault(fault="service_agents", times=50)
    async with open_app(vertex_settings(), manner=Manner(setup_waits=(0.01,) * 2)) as app:
        report = await veo(app)
    assert report.status == "failed"
    assert report.error is not None
    assert (report.error.code, report.error.billed) == ("service_agents_provisioning", "no")
    assert paid(emulator) == 0


async def test_stop_while_the_project_is_being_set_up_leaves_the_sending_to_the_next_process(
    vertex_settings: VertexSettings, emulator
):
    emulator.add_fault(fault="service_agents", times=1)
    async with open_app(vertex_settings(), manner=Manner(setup_waits=(600.0,))) as app:
        report = await until(app, await veo(app, wait_seconds=0), "submitting", "Not sent yet")
        assert any("setting" in warning for warning in report.warnings)
    assert paid(emulator) == 0
    async with open_app(vertex_settings()) as app:
        await app.runner.resume()
        done = await wait_for(app, report.job_id)
    assert done.status == "succeeded", done.error
    assert (submissions(emulator), paid(emulator)) == (2, 1)


async def test_operation_that_never_ends_stays_open_for_a_day(
    vertex_settings: VertexSettings, emulator, ledger_file: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(patience, "ASKED_ON_SECONDS", 0.0)
    emulator.add_fault(fault="stuck")
    async with open_app(vertex_settings()) as app:
        report = await until(app, await veo(app, wait_seconds=0), "running")
        long_ago = (datetime.now(UTC) - timedelta(hours=25)).isoformat()
        change(ledger_file, "UPDATE jobs SET created_at = ?", long_ago)
        done = await wait_for(app, report.job_id)
    assert done.status == "failed"
    assert done.error is not None
    assert (done.error.code, done.error.billed) == ("never_finished", "unknown")


async def test_operation_that_google_does_not_know_expires_only_when_overdue(
    vertex_settings: VertexSettings, emulator, ledger_file: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(patience, "ASKED_ON_SECONDS", 0.0)
    emulator.add_fault(fault="stuck")
    async with open_app(vertex_settings()) as app:
        report = await until(app, await veo(app, wait_seconds=0), "running")
    change(ledger_file, "UPDATE calls SET operation = replace(operation, '/operations/', '/operations/x')")
    async with open_app(vertex_settings()) as app:
        await app.runner.resume()
        await until(app, report, "running", "does not know this job")
    change(ledger_file, "UPDATE jobs SET created_at = '2026-01-01T00:00:00.000000+00:00'")
    async with open_app(vertex_settings()) as app:
        await app.runner.resume()
        done = await wait_for(app, report.job_id)
    assert done.status == "expired"
    assert paid(emulator) == 1


@pytest.mark.parametrize("shape", ["generated_samples", "predictions"])
async def test_bygone_shapes_of_the_answer_are_collected(vertex_settings: VertexSettings, emulator, shape):
    emulator.add_fault(fault="old_shape", shape=shape)
    async with open_app(vertex_settings()) as app:
        report = await veo(app)
    assert report.status == "succeeded", report.warnings
    assert report.remote.uri is not None
    assert report.remote.uri.startswith("http")


async def test_token_that_is_revoked_while_polling_is_renewed(vertex_settings: VertexSettings, emulator, quick):
    refused = {"error": {"code": 401, "message": "Request had invalid credentials.", "status": "UNAUTHENTICATED"}}
    emulator.add_fault(fault="status", status=401, body=refused, match=FETCH)
    async with open_app(vertex_settings(), http=quick) as app:
        report = await veo(app)
    assert report.status == "succeeded", report.warnings
    assert sum(request["path"] == "/token" for request in emulator.requests()) == 2
    assert paid(emulator) == 1


async def test_submission_without_an_answer_is_never_sent_again(vertex_settings: VertexSettings, emulator):
    emulator.add_fault(fault="drop_after_accept")
    async with open_app(vertex_settings()) as app:
        report = await veo(app, count=2)
    async with open_app(vertex_settings()) as app:
        await app.runner.resume()
        again = await wait_for(app, report.job_id, 0.2)
    assert report.status == again.status == "unconfirmed"
    assert again.error is not None
    assert again.error.billed == "unknown"
    assert (submissions(emulator), paid(emulator)) == (1, 1)


async def test_inline_answer_that_is_cut_off_is_asked_for_again(
    vertex_settings: VertexSettings, emulator, work: Path, ledger_file: Path, quick
):
    emulator.add_fault(fault="cut_download", after_bytes=150_000, times=2, match=FETCH)
    async with open_app(vertex_settings(), http=quick) as app:
        report = await veo(app, count=2)
    assert report.status == "succeeded", report.warnings
    served = {file["sha256"] for file in emulator.files()}
    assert {sha256_as_made(artifact.file) for artifact in report.artifacts} <= served
    assert left_behind(work, ledger_file) == []
    assert paid(emulator) == 1


async def test_kept_answer_that_disappeared_is_asked_for_anew(
    vertex_settings: VertexSettings, emulator, work: Path, ledger_file: Path
):
    target = work / "films"
    async with open_app(vertex_settings()) as app:
        report = await veo(app, count=2, wait_seconds=0, output_dir=str(target))
        target.rmdir()
        target.write_text("a file is in the way")
        report = await until(app, report, "downloading")
        assert report.remote.uri is None
    shutil.rmtree(ledger_file.parent / "spool")
    target.unlink()
    async with open_app(vertex_settings()) as app:
        await app.runner.resume()
        done = await wait_for(app, report.job_id)
    assert done.status == "succeeded", done.warnings
    assert len(list(target.glob("*.mp4"))) == 2
    assert left_behind(work, ledger_file) == []
    assert paid(emulator) == 1


async def test_output_folder_that_is_removed_meanwhile_is_made_again(
    vertex_settings: VertexSettings, emulator, work: Path
):
    target = work / "films 🎞️"
    async with open_app(vertex_settings()) as app:
        report = await veo(app, wait_seconds=0, output_dir=str(target))
        shutil.rmtree(target)
        done = await wait_for(app, report.job_id)
    assert done.status == "succeeded"
    assert done.artifacts[0].file.parent == target


async def test_two_processes_take_over_a_job_once(vertex_settings: VertexSettings, emulator, work: Path):
    async with open_app(vertex_settings(MEDIAGEN_POLL_SECONDS="20")) as first:
        report = await until(first, await veo(first, count=2, wait_seconds=0), "running")
        async with open_app(vertex_settings()) as second:
            assert await second.runner.resume() == []
    async with open_app(vertex_settings()) as second, open_app(vertex_settings()) as third:
        taken = [*await second.runner.resume(), *await third.runner.resume()]
        done = await wait_for(third, report.job_id)
    assert len(taken) == 1
    assert done.status == "succeeded"
    assert len(list(work.glob("*.mp4"))) == 2
    assert paid(emulator) == 1


async def test_file_placed_before_a_crash_keeps_its_name_though_another_is_free_now(
    vertex_settings: VertexSettings, work: Path, ledger_file: Path
):
    """As after kill -9 between placing and recording, in a shell of another time zone or after tidying up."""
    (work / "fox.mp4").write_bytes(b"another film")
    async with open_app(vertex_settings()) as first:
        report = await veo(first, output_name="fox")
    placed = report.artifacts[0].file
    assert placed.name == "fox_2.mp4"
    (work / f".mediagen-{report.job_id}-0.whole").hardlink_to(placed)
    (work / "fox.mp4").unlink()
    change(ledger_file, "DELETE FROM artifacts")
    change(ledger_file, "UPDATE calls SET status = 'downloading', remote_uris = '[\"file:///nowhere\"]'")
    change(ledger_file, "UPDATE jobs SET status = 'downloading'")
    async with open_app(vertex_settings()) as second:
        await second.runner.resume()
        done = await wait_for(second, report.job_id)
    assert done.artifacts[0].path == str(placed)
    assert [path.name for path in work.glob("fox*.mp4")] == ["fox_2.mp4"]
    assert left_behind(work, ledger_file) == []
