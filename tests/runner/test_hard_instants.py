"""The instants at which paid work is lost elsewhere: late answers, crashes between two steps, lying intermediaries."""

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import httpx
import pytest
from tests.conftest import paid
from tests.runner.asking import arrived, clip, image, until, wait_for

from mediagen.app.app import open_app
from mediagen.errors import InvalidRequestError
from mediagen.jobs import public_address
from mediagen.requests import (
    ExtendVideoRequest,
    ListJobsRequest,
)
from mediagen.settings import Settings

MakeSettings = Callable[..., Settings]


@pytest.fixture
def ledger_file(environment: dict[str, str]) -> Path:
    return Path(environment["MEDIAGEN_STATE_DIR"]) / "ledger.sqlite3"


def change(ledger_file: Path, statement: str, *values: object) -> None:
    with sqlite3.connect(ledger_file) as connection:
        connection.execute(statement, values)
    connection.close()


async def test_answer_that_comes_after_the_call_was_given_up_wins(
    open_either, make_settings: MakeSettings, emulator, ledger_file
):
    emulator.add_fault(fault="delay", seconds=1.0, match={"method": "POST", "path_contains": "interactions"})
    async with open_either(make_settings()) as app:
        report = await clip(app, wait_seconds=0)
        assert report.status == "submitting"
        await arrived(emulator, "interactions")
        change(ledger_file, "UPDATE calls SET status = 'unconfirmed' WHERE job_id = ?", report.job_id)
        change(ledger_file, "UPDATE jobs SET status = 'unconfirmed' WHERE job_id = ?", report.job_id)
        await until(app, await wait_for(app, report.job_id, 0), "succeeded")
    assert paid(emulator) == 1


async def test_paid_picture_that_was_kept_before_the_crash_is_delivered(
    make_settings: MakeSettings, emulator, ledger_file: Path, work: Path
):
    """As after kill -9 between the answer and the ledger: the row says submitting, the answer lies beside it."""
    async with open_app(make_settings()) as app:
        report = await image(app)
    made = report.artifacts[0].file
    answer = made.read_bytes()
    made.unlink()
    folder = ledger_file.parent / "spool" / f"{report.job_id}-0"
    folder.mkdir(parents=True)
    (folder / "answer.bin").write_bytes(answer)
    change(ledger_file, "DELETE FROM artifacts")
    change(ledger_file, "UPDATE calls SET status = 'submitting'")
    change(ledger_file, "UPDATE jobs SET status = 'submitting'")
    async with open_app(make_settings()) as app:
        await app.runner.resume()
        done = await wait_for(app, report.job_id)
    assert done.status == "succeeded"
    assert done.artifacts[0].file.read_bytes() == answer
    assert not folder.exists()
    assert paid(emulator) == 1


async def test_clip_of_last_week_is_asked_for_before_it_is_given_up(make_settings: MakeSettings, emulator, ledger_file):
    """As after a laptop slept: the clip has long been made, nobody has asked."""
    emulator.add_fault(fault="delay", seconds=0.1, match={"method": "POST", "path_contains": "interactions"})
    async with open_app(make_settings(MEDIAGEN_POLL_SECONDS="20")) as first:
        report = await until(first, await clip(first, wait_seconds=0), "running")
    long_ago = (datetime.now(UTC) - timedelta(days=7)).isoformat()
    change(ledger_file, "UPDATE jobs SET created_at = ? WHERE job_id = ?", long_ago, report.job_id)
    operation = report.remote.operation
    async with httpx.AsyncClient(trust_env=False, headers={"x-goog-api-key": "test"}) as google:
        with anyio.fail_after(60):
            while (await google.get(f"{emulator.url}/v1beta/interactions/{operation}")).json()["status"] != "completed":
                await anyio.sleep(0.05)
    async with open_app(make_settings()) as second:
        await second.runner.resume()
        done = await wait_for(second, report.job_id)
    assert done.status == "succeeded"


async def test_picture_on_its_way_is_kept_when_the_server_ends(open_either, make_settings: MakeSettings, emulator):
    emulator.add_fault(fault="delay", seconds=1.0, match={"path_contains": "generateContent"})
    async with open_either(make_settings()) as first:
        report = await image(first, wait_seconds=0)
        assert report.status == "submitting"
        await arrived(emulator, "generateContent")
    async with open_either(make_settings()) as second:
        await second.runner.resume()
        done = await wait_for(second, report.job_id)
    assert done.status == "succeeded"
    assert paid(emulator) == 1


async def test_clip_that_google_sends_inside_its_answer_is_stored(make_settings: MakeSettings, emulator, ledger_file):
    """A poll may answer with the clip itself although an address was asked for."""
    emulator.add_fault(fault="stuck", match={"path_contains": "interactions"})
    inline = {
        "model": "gemini-omni-1.2-flash",
        "background": True,
        "store": True,
        "input": "waves",
        "response_format": {"type": "video", "resolution": "360p", "duration": "3s"},
    }
    async with open_app(make_settings()) as app:
        report = await until(app, await clip(app, wait_seconds=0), "running")
        async with httpx.AsyncClient(trust_env=False, headers={"x-goog-api-key": "test"}) as google:
            made = (await google.post(f"{emulator.url}/v1beta/interactions", json=inline)).json()
        change(ledger_file, "UPDATE calls SET operation = ? WHERE job_id = ?", made["id"], report.job_id)
        done = await wait_for(app, report.job_id)
    assert done.status == "succeeded"
    assert done.artifacts[0].duration_seconds == pytest.approx(3, abs=0.2)
    downloads = [request for request in emulator.requests() if "files" in request["path"]]
    assert downloads == []


async def test_nothing_is_left_behind_by_several_pictures_at_once(
    open_either, make_settings: MakeSettings, ledger_file: Path, work: Path
):
    async with open_either(make_settings()) as app:
        report = await image(app, count=4)
    assert len(list(work.glob("image_*.json"))) == len(report.artifacts) == 4
    assert list(work.glob(".mediagen-*")) == []
    assert list((ledger_file.parent / "spool").iterdir()) == []


async def test_answer_left_behind_by_a_crash_is_cleared_away(make_settings: MakeSettings, ledger_file: Path):
    async with open_app(make_settings()) as app:
        report = await image(app)
    left = ledger_file.parent / "spool" / f"{report.job_id}-0"
    left.mkdir(parents=True)
    (left / "answer.bin").write_bytes(b"x")
    async with open_app(make_settings()) as app:
        app.runner.scheduler.start_sweeping()
        with anyio.fail_after(60):
            while left.exists():
                await anyio.sleep(0.02)


async def test_clip_that_is_whole_on_the_disk_needs_google_no_more(
    make_settings: MakeSettings, emulator, ledger_file: Path, work: Path
):
    """As after kill -9 between the end of a download and the ledger, with the file gone from Google meanwhile."""
    async with open_app(make_settings()) as first:
        report = await clip(first)
    made = report.artifacts[0].file
    made.rename(work / f".mediagen-{report.job_id}-0.whole")
    made.with_suffix(".json").unlink()
    change(ledger_file, "DELETE FROM artifacts")
    change(ledger_file, "UPDATE calls SET status = 'downloading'")
    change(ledger_file, "UPDATE jobs SET status = 'downloading'")
    emulator.add_fault(fault="expired", times=50)
    async with open_app(make_settings()) as second:
        await second.runner.resume()
        done = await wait_for(second, report.job_id)
    assert done.status == "succeeded"
    assert done.artifacts[0].sha256 == report.artifacts[0].sha256
    assert made.with_suffix(".json").is_file()


async def test_wrong_key_long_after_does_not_expire_a_clip(make_settings: MakeSettings, emulator, ledger_file: Path):
    refused = {"error": {"code": 401, "message": "no", "status": "UNAUTHENTICATED"}}
    match = {"method": "GET", "path_contains": "files"}
    emulator.add_fault(fault="status", status=401, body=refused, times=50, match=match)
    async with open_app(make_settings()) as app:
        report = await until(app, await clip(app, wait_seconds=0), "downloading")
        change(ledger_file, "UPDATE calls SET expires_at = '2020-01-01T00:00:00+00:00'")
    async with open_app(make_settings()) as app:
        await app.runner.resume()
        await until(app, await wait_for(app, report.job_id, 0), "downloading", "Not finished yet")


async def test_proxy_that_forbids_a_download_once_does_not_expire_it(make_settings: MakeSettings, emulator):
    emulator.add_fault(
        fault="status", status=403, body="blocked by proxy", match={"method": "GET", "path_contains": "files"}
    )
    async with open_app(make_settings()) as app:
        report = await clip(app)
    assert report.status == "succeeded"


async def test_job_that_google_does_not_know_stays_open_with_a_note(make_settings: MakeSettings, emulator):
    """The key of another project gets the same answer, so nothing is settled by it."""
    unknown = {"error": {"code": 404, "message": "not found", "status": "NOT_FOUND"}}
    emulator.add_fault(
        fault="status", status=404, body=unknown, times=50, match={"method": "GET", "path_contains": "interactions"}
    )
    async with open_app(make_settings()) as app:
        await until(app, await clip(app, wait_seconds=0), "running", "does not know this job")


async def test_charge_says_that_lost_siblings_may_be_billed(make_settings: MakeSettings, emulator):
    emulator.add_fault(fault="drop_after_accept", times=2, match={"path_contains": "generateContent"})
    settings = make_settings(MEDIAGEN_BACKEND="gemini", GEMINI_API_KEY="some-key")
    async with open_app(settings) as app:
        report = await image(app, count=3)
    assert report.status == "succeeded"
    assert report.charge.certainty == "unknown"
    assert "2 of 3" in report.charge.basis


async def test_same_request_id_for_another_wish_is_refused(make_settings: MakeSettings, emulator):
    async with open_app(make_settings()) as app:
        first = await image(app, request_id="one")
        again = await image(app, request_id="one")
        with pytest.raises(InvalidRequestError, match="prompt"):
            await image(app, request_id="one", prompt="another boat")
    assert first.job_id == again.job_id
    assert any("earlier job" in warning for warning in again.warnings)
    assert paid(emulator) == 1


async def test_job_of_two_clips_is_not_extended_by_guess(make_settings: MakeSettings, emulator):
    async with open_app(make_settings()) as app:
        report = await clip(app, count=2)
        assert report.job_id
        with pytest.raises(InvalidRequestError, match="2 clips") as refused:
            await app.generator.extend_video(ExtendVideoRequest(source=report.job_id, prompt="more"))
    assert report.artifacts[1].uri in refused.value.hint
    assert paid(emulator) == 2


async def test_damaged_row_does_not_hide_the_other_jobs(make_settings: MakeSettings, ledger_file: Path):
    async with open_app(make_settings()) as app:
        damaged = await image(app)
        whole = await image(app, prompt="a ship")
        change(ledger_file, "UPDATE jobs SET quote = '{}' WHERE job_id = ?", damaged.job_id)
        page = await app.generator.list_jobs(ListJobsRequest())
    assert [job.job_id for job in page.jobs] == [whole.job_id]


async def test_inputs_as_some_clients_send_them_are_understood(make_settings: MakeSettings, work: Path):
    async with open_app(make_settings()) as app:
        report = await image(
            app, input_images='["cat.png"]', dry_run=None, force_new=None, model=None, preview=None, seed="7"
        )
        lone = await image(app, input_images="cat.png")
    assert report.status == lone.status == "succeeded"
    assert report.mode == lone.mode == "image_edit"
    assert "model" not in report.requested


def test_signatures_are_cut_from_addresses():
    assert public_address("https://x.example/f?X-Signature=abc") == "https://x.example/f?…"
    assert public_address("https://x.example/f:download?alt=media") == "https://x.example/f:download?alt=media"
    assert public_address(None) is None
