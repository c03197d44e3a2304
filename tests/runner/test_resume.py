"""What the runner does after crashes, refusals and lost answers, against the emulator over real HTTP."""

from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from tests.conftest import paid
from tests.runner.asking import arrived, clip, image, until, wait_for
from tests.stored import sha256_as_made

from mediagen.app.app import open_app
from mediagen.jobs import JobStatus
from mediagen.requests import ExtendVideoRequest
from mediagen.settings import Settings

MakeSettings = Callable[..., Settings]
PICTURE_FAULTS = [
    ("SAFETY", "filtered"),
    ("IMAGE_SAFETY", "filtered"),
    ("IMAGE_PROHIBITED_CONTENT", "filtered"),
    ("PROHIBITED_CONTENT", "filtered"),
    ("BLOCKLIST", "filtered"),
    ("SPII", "filtered"),
    ("RECITATION", "filtered"),
    ("IMAGE_RECITATION", "filtered"),
    ("IMAGE_OTHER", "failed"),
    ("NO_IMAGE", "failed"),
    ("MAX_TOKENS", "failed"),
    ("MALFORMED_RESPONSE", "failed"),
    ("SOME_FUTURE_REASON", "failed"),
]


async def test_running_clip_is_fetched_by_the_next_process(open_either, make_settings: MakeSettings, emulator):
    async with open_either(make_settings()) as first:
        report = await until(first, await clip(first, wait_seconds=0), "running")
    async with open_either(make_settings()) as second:
        await second.runner.resume()
        done = await wait_for(second, report.job_id)
    assert done.status == "succeeded"
    assert paid(emulator) == 1


async def test_job_nobody_asks_for_is_still_collected(make_settings: MakeSettings, emulator, work: Path):
    async with open_app(make_settings()) as first:
        report = await until(first, await clip(first, wait_seconds=0), "running")
    async with open_app(make_settings()) as second:
        second.runner.scheduler.start_sweeping()
        with anyio.fail_after(60):
            while not list(work.glob("video_*.mp4")):
                await anyio.sleep(0.05)
            done = await wait_for(second, report.job_id)
    assert done.status == "succeeded"


async def test_request_without_an_answer_is_unconfirmed_and_never_sent_again(
    open_either, make_settings: MakeSettings, emulator
):
    emulator.add_fault(fault="drop_after_accept", match={"method": "POST", "path_contains": "interactions"})
    async with open_either(make_settings()) as app:
        report = await clip(app)
        await app.runner.resume()
        again = await wait_for(app, report.job_id, 0.2)
    assert report.status == again.status == "unconfirmed"
    assert report.error is not None
    assert report.error.billed == "unknown"
    assert paid(emulator) == 1


async def test_overloaded_answer_to_a_paid_request_is_not_sent_again(
    open_either, make_settings: MakeSettings, emulator
):
    emulator.add_fault(fault="status", preset="overloaded", match={"path_contains": "generateContent"})
    async with open_either(make_settings()) as app:
        report = await image(app)
    assert report.status == "failed"
    assert report.error is not None
    assert report.error.billed == "unknown"
    posts = [request for request in emulator.requests() if request["method"] == "POST"]
    assert len(posts) == 1


async def test_rate_limited_request_was_rejected_and_is_sent_once_more(
    open_either, make_settings: MakeSettings, emulator
):
    emulator.add_fault(fault="status", preset="rate_limit", seconds=0.1, match={"path_contains": "generateContent"})
    async with open_either(make_settings()) as app:
        report = await image(app)
    assert report.status == "succeeded", report.error
    assert paid(emulator) == 1


@pytest.mark.parametrize("preset", ["prepay_depleted", "quota_zero"])
async def test_permanent_quota_refusal_is_final_and_explained(
    open_either, make_settings: MakeSettings, emulator, preset
):
    emulator.add_fault(fault="status", preset=preset, match={"path_contains": "generateContent"})
    async with open_either(make_settings()) as app:
        report = await image(app)
    assert report.status == "failed"
    assert report.error is not None
    assert report.error.retryable is False
    assert report.error.hint
    assert paid(emulator) == 0


@pytest.mark.parametrize(("reason", "status"), PICTURE_FAULTS)
async def test_each_refusal_of_a_picture_has_its_own_code(make_settings: MakeSettings, emulator, reason, status):
    emulator.add_fault(fault="image_finish", reason=reason, match={"path_contains": "generateContent"})
    async with open_app(make_settings()) as app:
        report = await image(app)
    assert report.status == status
    assert report.error is not None
    assert report.error.code
    assert reason in report.error.message or reason.lower() in report.error.code
    assert report.error.hint
    assert report.artifacts == []


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ("prompt_blocked", "filtered"),
        ("text_only", "failed"),
        ("bad_base64", "failed"),
        ("video_refused_text_only", "filtered"),
        ("video_blocked", "filtered"),
        ("video_failed", "failed"),
        ("completed_without_video", "failed"),
    ],
)
async def test_each_failure_inside_a_200_is_its_own_error(
    open_either, make_settings: MakeSettings, emulator, work, fault, status
):
    emulator.add_fault(fault=fault)
    async with open_either(make_settings()) as app:
        report = await (clip(app) if "video" in fault else image(app))
    assert report.status == status
    assert report.error is not None
    assert report.error.message
    sidecars = list(work.glob("*.json"))
    assert len(sidecars) == 1
    assert '"ERROR"' in sidecars[0].read_text()


async def test_thought_pictures_are_skipped_and_the_last_one_is_taken(make_settings: MakeSettings, emulator):
    emulator.add_fault(fault="thought_parts", match={"path_contains": "generateContent"})
    async with open_app(make_settings()) as app:
        report = await image(app)
    assert report.status == "succeeded"
    assert (report.artifacts[0].width, report.artifacts[0].height) == (1024, 1024)


async def test_cut_off_download_arrives_whole(make_settings: MakeSettings, emulator):
    emulator.add_fault(fault="cut_download", after_bytes=2000, times=2)
    async with open_app(make_settings()) as app:
        report = await clip(app)
    assert report.status == "succeeded", report.error
    assert sha256_as_made(report.artifacts[0].file) in {file["sha256"] for file in emulator.files()}
    assert paid(emulator) == 1


async def test_expired_clip_says_so(make_settings: MakeSettings, emulator):
    emulator.add_fault(fault="expired", times=20)
    async with open_app(make_settings()) as app:
        report = await clip(app)
    assert report.status == "expired"
    assert paid(emulator) == 1


async def test_unknown_state_is_waited_for(make_settings: MakeSettings, emulator):
    emulator.add_fault(fault="unknown_status", match={"method": "GET", "path_contains": "interactions"})
    async with open_app(make_settings()) as app:
        report = await clip(app)
    assert report.status == "succeeded"


async def test_cancelled_clip_is_not_collected(make_settings: MakeSettings, emulator, work: Path):
    from mediagen.requests import CancelJobRequest

    emulator.add_fault(fault="stuck")
    async with open_app(make_settings()) as app:
        report = await until(app, await clip(app, wait_seconds=0), "running")
        assert report.job_id
        cancelled = await app.generator.cancel_job(CancelJobRequest(job_id=report.job_id))
    assert cancelled.status == "cancelled"
    assert list(work.glob("*.mp4")) == []


async def test_picture_is_kept_when_its_folder_cannot_be_written(make_settings: MakeSettings, emulator, work: Path):
    """The folder disappears while Google draws: the paid picture must survive and be moved when it is back."""
    import shutil

    target = work / "pictures"
    emulator.add_fault(fault="delay", seconds=1.0, match={"path_contains": "generateContent"})
    async with open_app(make_settings(MEDIAGEN_POLL_SECONDS="0.1")) as app:
        report = await image(app, output_dir=str(target), wait_seconds=0)
        await arrived(emulator, "generateContent")
        shutil.rmtree(target)
        target.write_text("a file is in the way")
        await until(app, report, "downloading", "Not finished yet")
        target.unlink()
        done = await wait_for(app, report.job_id)
    assert done.status == "succeeded"
    assert done.artifacts[0].file.parent == target
    assert paid(emulator) == 1


async def test_local_clip_is_uploaded_and_extended(make_settings: MakeSettings, emulator, work: Path):
    async with open_app(make_settings()) as app:
        first = await clip(app)
        copied = work / "my clip.mp4"
        copied.write_bytes(first.artifacts[0].file.read_bytes())
        longer = await app.generator.extend_video(
            ExtendVideoRequest(source="my clip.mp4", prompt="more", duration_seconds=3)
        )
    assert longer.status == "succeeded", longer.error
    assert longer.artifacts[0].duration_seconds == pytest.approx(6, abs=0.2)


async def test_daily_cap_is_held(make_settings: MakeSettings, emulator):
    from mediagen.errors import BudgetExceededError

    changes = {"MEDIAGEN_BACKEND": "gemini", "GEMINI_API_KEY": "some-key", "MEDIAGEN_MAX_USD_PER_DAY": "0.05"}
    async with open_app(make_settings(**changes)) as app:
        assert (await image(app)).status == "succeeded"
        with pytest.raises(BudgetExceededError, match="MEDIAGEN_MAX_USD_PER_DAY"):
            await image(app, prompt="another boat")
    assert paid(emulator) == 1


async def test_missing_key_after_a_restart_keeps_the_job_open(make_settings: MakeSettings, emulator):
    """A paid clip is not given up because a setting is missing; the answer says what is."""
    async with open_app(make_settings(MEDIAGEN_BACKEND="gemini", GEMINI_API_KEY="some-key")) as first:
        report = await until(first, await clip(first, wait_seconds=0), "running")
    async with open_app(make_settings(MEDIAGEN_BACKEND="gemini")) as second:
        await second.runner.resume()
        still = await wait_for(second, report.job_id, 0.5)
        assert still.status == JobStatus.RUNNING
        assert "GEMINI_API_KEY" in " ".join(still.warnings)
