"""The same request again, through the whole data path: how often is paid, and what is told."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from PIL import Image
from tests.conftest import paid
from tests.generator.planning import extend, make_clip
from tests.runner.asking import clip, image, wait_for

from mediagen.app.app import App, open_app
from mediagen.errors import BudgetExceededError
from mediagen.generator import deliveries
from mediagen.generator.deliveries import Deliveries
from mediagen.report.job import JobReport
from mediagen.settings import Settings

MakeSettings = Callable[..., Settings]
NOTE = "This is the job of the same request asked"
GEMINI = {"MEDIAGEN_BACKEND": "gemini", "GEMINI_API_KEY": "AIza-wishes"}


def is_repeat(report: JobReport) -> bool:
    return any(warning.startswith(NOTE) and "force_new=true" in warning for warning in report.warnings)


async def test_same_request_returns_the_finished_job_until_it_was_delivered(make_settings: MakeSettings, emulator):
    async with open_app(make_settings()) as app:
        first = await image(app)
        again = await image(app, preview=False, max_usd=3)
        assert (again.job_id, again.artifacts, is_repeat(again)) == (first.job_id, first.artifacts, True)
        assert not is_repeat(first)
        assert paid(emulator) == 1
        await app.deliveries.told(again)
        after = await image(app)
        assert after.job_id != first.job_id
        assert not is_repeat(after)
    assert paid(emulator) == 2


async def test_end_that_was_just_handed_over_counts_as_delivered_whatever_comes_next(
    make_settings: MakeSettings, emulator, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(deliveries, "HEAD_START_SECONDS", 600.0)
    with anyio.fail_after(60):
        async with open_app(make_settings()) as app:
            first = await image(app)
            app.deliveries.hand_over(first)
            second = await image(app)
            assert second.job_id != first.job_id
            app.deliveries.hand_over(second)
        async with open_app(make_settings()) as app:
            assert (await image(app)).job_id not in {first.job_id, second.job_id}
    assert paid(emulator) == 3


async def test_end_that_was_handed_over_when_everything_is_told_to_stop_counts_as_delivered(
    make_settings: MakeSettings, emulator
):
    async with open_app(make_settings()) as app:
        first = await image(app)
        with anyio.CancelScope() as scope:
            async with Deliveries(app.generator.ledger) as handing:
                handing.hand_over(first)
                await anyio.sleep(0)
                scope.cancel()
                await anyio.sleep(60)
        assert (await image(app)).job_id != first.job_id
    assert paid(emulator) == 2


async def test_same_request_returns_the_open_job_at_once(make_settings: MakeSettings, emulator):
    async with open_app(make_settings()) as app:
        first = await clip(app, wait_seconds=0)
        again = await clip(app, wait_seconds=0)
        assert first.status in {"submitting", "running", "downloading"}
        assert (again.job_id, is_repeat(again)) == (first.job_id, True)
        await app.deliveries.told(again)
        done = await clip(app)
        assert (done.job_id, done.status) == (first.job_id, "succeeded")
    assert paid(emulator) == 1


async def test_same_requests_at_once_make_one_job(make_settings: MakeSettings, emulator):
    reports: list[JobReport] = []

    async def ask(app: App) -> None:
        reports.append(await image(app, input_images=["cat.png"]))

    async with open_app(make_settings()) as app, anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(ask, app)
    assert len({report.job_id for report in reports}) == 1
    assert sorted(map(is_repeat, reports)) == [False, True, True, True, True]
    assert paid(emulator) == 1


async def test_force_new_pays_for_another_and_the_newest_is_found_then(make_settings: MakeSettings, emulator):
    async with open_app(make_settings()) as app:
        first = await image(app)
        new = await image(app, force_new=True)
        again = await image(app)
    assert first.job_id != new.job_id == again.job_id
    assert paid(emulator) == 2


async def test_dry_run_neither_finds_nor_delivers(make_settings: MakeSettings, emulator):
    async with open_app(make_settings()) as app:
        first = await image(app)
        shown = await image(app, dry_run=True)
        await app.deliveries.told(shown)
        again = await image(app)
    assert (shown.job_id, shown.status, is_repeat(shown)) == (None, "dry_run", False)
    assert again.job_id == first.job_id
    assert paid(emulator) == 1


async def test_inputs_count_by_their_content_not_by_their_name(make_settings: MakeSettings, emulator, work: Path):
    async with open_app(make_settings()) as app:
        first = await image(app, input_images=["cat.png"])
        shutil.copy(work / "cat.png", work / "same 🐈.png")
        same = await image(app, input_images=["same 🐈.png"])
        Image.new("RGB", (64, 64), "teal").save(work / "cat.png")
        changed = await image(app, input_images=["cat.png"])
    assert same.job_id == first.job_id
    assert changed.job_id != first.job_id
    assert paid(emulator) == 2


async def test_uploaded_video_counts_by_its_content(make_settings: MakeSettings, emulator, work: Path, ffmpeg):
    make_clip(work / "sea.mp4", width=640, height=360, seconds=3)
    shutil.copy(work / "sea.mp4", work / "same.mp4")
    async with open_app(make_settings()) as app:
        first = await extend(app, work / "sea.mp4", duration_seconds=3, wait_seconds=0)
        same = await extend(app, work / "same.mp4", duration_seconds=3)
    assert (same.job_id, same.status) == (first.job_id, "succeeded")
    assert paid(emulator) == 1


async def test_what_is_sent_or_where_it_goes_makes_another_wish(make_settings: MakeSettings, emulator, work: Path):
    changes: list[dict[str, Any]] = [
        {},
        {"prompt": "a ship"},
        {"aspect_ratio": "16:9"},
        {"count": 2},
        {"seed": 1},
        {"seed": 2},
        {"output_name": "boat"},
        {"output_dir": str(work / "elsewhere")},
        {"model": "gemini-3.1-flash-image"},
    ]
    async with open_app(make_settings()) as app:
        made = [(await image(app, **change)).job_id for change in changes]
        again = [(await image(app, **change)).job_id for change in changes]
        default = await image(app, aspect_ratio="1:1", count=1)
    assert len(set(made)) == len(changes)
    assert again == made
    assert default.job_id == made[0]


async def test_repeat_needs_no_approval_and_no_room_under_a_cap(make_settings: MakeSettings, emulator):
    limits = {"MEDIAGEN_CONFIRM_ABOVE_USD": "0.01", "MEDIAGEN_MAX_USD_PER_DAY": "0.10"}
    async with open_app(make_settings(**GEMINI, **limits)) as app:
        first = await image(app, max_usd=1)
        again = await image(app)
        lower = await image(app, max_usd=0.01)
        assert {again.job_id, lower.job_id} == {first.job_id}
        await app.deliveries.told(again)
        with pytest.raises(BudgetExceededError, match="approval threshold"):
            await image(app)
    assert paid(emulator) == 1


async def test_failed_job_is_asked_for_anew_at_once(make_settings: MakeSettings, emulator):
    emulator.add_fault(fault="location_unsupported", match={"path_contains": "generateContent"})
    async with open_app(make_settings()) as app:
        first = await image(app)
        again = await image(app)
    assert (first.status, again.status) == ("failed", "succeeded")
    assert not is_repeat(again)


async def test_unconfirmed_job_is_returned_with_a_warning_instead_of_paid_again(make_settings: MakeSettings, emulator):
    emulator.add_fault(fault="drop_after_accept", match={"path_contains": "generateContent"})
    async with open_app(make_settings()) as app:
        first = await image(app)
        again = await image(app)
        await app.deliveries.told(again)
        after = await image(app)
        paid_once = paid(emulator)
        other = await image(app, force_new=True)
    assert (first.status, again.status, after.status) == ("unconfirmed",) * 3
    assert first.job_id == again.job_id == after.job_id
    assert paid_once == 1
    assert other.status == "succeeded"
    assert any("It may have been billed: pass force_new=true only if" in warning for warning in again.warnings)


async def test_id_given_with_a_repeat_means_its_job_from_then_on(make_settings: MakeSettings, emulator):
    async with open_app(make_settings()) as app:
        first = await image(app)
        named = await image(app, request_id="mine")
        await app.deliveries.told(named)
        later = await image(app, request_id="mine")
        other = await image(app, request_id="other")
    assert first.job_id == named.job_id == later.job_id != other.job_id
    assert paid(emulator) == 2


async def test_same_chain_is_followed_and_its_links_are_no_wishes(make_settings: MakeSettings, emulator):
    async with open_app(make_settings()) as app:
        source = await clip(app)
        asked = {"duration_seconds": 3, "times": 2}
        first = await extend(app, source.job_id, **asked, wait_seconds=0)
        again = await extend(app, source.job_id, **asked)
        assert is_repeat(again)
        assert again.status == "succeeded"
        assert (again.effective["chain_id"], again.effective["link"]) == (first.effective["chain_id"], 2)
        assert paid(emulator) == 3
        await app.deliveries.told(await wait_for(app, first.effective["chain_id"], 0))
        still = await extend(app, source.job_id, **asked)
        assert still.job_id == again.job_id
        link = await extend(app, first.effective["chain_id"], duration_seconds=3)
        assert not is_repeat(link)
    assert paid(emulator) == 4
