"""Several extensions asked for at once: one film, one price up front, each link paid once."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.conftest import paid
from tests.generator.planning import FAST_VEO, OMNI_12, extend, make_clip, plan_clip, plan_extension, vertex
from tests.runner.asking import change, clip, until, wait_for

from mediagen.app.app import App, open_app
from mediagen.endpoints.http import HttpSettings
from mediagen.errors import BudgetExceededError, InvalidRequestError, UnavailableError
from mediagen.generator import chains
from mediagen.report.job import JobReport
from mediagen.report.text import summary
from mediagen.requests import CancelJobRequest, ListJobsRequest
from mediagen.settings import Settings

MakeSettings = Callable[..., Settings]
GEMINI = {"MEDIAGEN_BACKEND": "gemini", "GEMINI_API_KEY": "some-key"}
LINK_SECONDS = 3


@pytest.fixture
def ledger_file(environment: dict[str, str]) -> Path:
    return Path(environment["MEDIAGEN_STATE_DIR"]) / "ledger.sqlite3"


async def chain(app: App, source: Path | str | None, times: int = 3, **values: Any) -> JobReport:
    return await extend(app, source, times=times, **{"duration_seconds": LINK_SECONDS, **values})


async def links(app: App) -> list[JobReport]:
    """All links in the ledger, oldest first."""
    page = await app.generator.list_jobs(ListJobsRequest(limit=50))
    return [job for job in reversed(page.jobs) if "chain_id" in job.effective]


async def until_links(app: App, number: int, status: str = "succeeded") -> list[JobReport]:
    with anyio.fail_after(60):
        while len(made := await links(app)) < number or made[-1].status != status:
            await anyio.sleep(0.02)
    return made


async def test_three_links_make_one_film_and_are_charged_one_by_one(make_settings: MakeSettings, emulator):
    async with open_app(make_settings(**GEMINI)) as app:
        first = await clip(app)
        report = await chain(app, first.job_id)
        made = await links(app)
        again = await wait_for(app, made[0].job_id, 0)
    assert report.status == "succeeded", report.error
    assert report.artifacts[0].duration_seconds == pytest.approx(3 + 3 * LINK_SECONDS, abs=0.3)
    assert [job.effective["link"] for job in made] == [1, 2, 3]
    assert report.job_id == made[-1].job_id
    assert {job.effective["chain_id"] for job in made} == {made[0].job_id}
    assert [job.requested["source"] for job in made] == [first.job_id, made[0].job_id, made[1].job_id]
    assert all(job.charge.usd for job in made)
    assert paid(emulator) == 4
    assert again.next
    assert again.next.arguments["job_id"] == made[1].job_id
    assert report.next
    assert report.next.tool == "extend_video"
    assert "link 3 of 3" in summary(report)


async def test_chain_on_vertex_makes_one_film_of_the_same_kind(make_settings: MakeSettings, emulator, monkeypatch):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator.url)
    emulator.make_bucket("films", location="us-central1")
    async with open_app(make_settings(**vertex(emulator.url, GCS_BUCKET="films"))) as app:
        first = await plan_clip(app, dry_run=False, model=FAST_VEO, duration_seconds=4, generate_audio=False)
        assert first.status == "succeeded", first.error
        report = await extend(app, first.job_id, times=3, generate_audio=False)
        made = await links(app)
    assert report.status == "succeeded", report.error
    assert report.artifacts[0].duration_seconds == pytest.approx(4 + 3 * 7, abs=0.3)
    assert {(job.model, job.backend, job.effective["location"]) for job in made} == {
        (FAST_VEO, "vertex", first.effective["location"])
    }
    assert {job.quote.usd for job in made} == {made[0].quote.usd}
    assert [job.origins for job in made] == [made[0].origins] * 3
    assert paid(emulator) == 4


async def test_last_link_tells_what_was_changed_for_the_first(make_settings: MakeSettings, emulator, work: Path):
    make_clip(work / "beach.mp4", width=1280, height=720, seconds=3, fps=25)
    async with open_app(make_settings(**GEMINI)) as app:
        report = await chain(app, "beach.mp4", times=2)
    assert report.effective["link"] == 2
    [change] = [item for item in report.adjustments if item.field == "source.fps"]
    assert (change.from_, change.to) == ("25 fps", "24 fps")
    assert change.reason.startswith("link 1: ")


async def test_dry_run_names_the_price_of_the_whole_chain(make_settings: MakeSettings, emulator):
    async with open_app(make_settings()) as app:
        first = await clip(app)
        single = await plan_extension(app, first.job_id, duration_seconds=LINK_SECONDS)
        report = await plan_extension(app, first.job_id, times=3, duration_seconds=LINK_SECONDS)
        ended = await chain(app, first.job_id, max_usd=report.effective["chain_usd"], output_name="m" * 120)
        made = await links(app)
    assert ended.artifacts[0].file.stem == "m" * 118 + "_3"
    assert report.effective["chain_usd"] == pytest.approx(sum(float(job.quote.usd or 0) for job in made), abs=0.01)
    assert single.quote.usd
    assert report.quote.usd == single.quote.usd
    # Each link sees a longer source than the one before, which costs too.
    assert report.effective["chain_usd"] > float(3 * single.quote.usd)
    assert f"link 1 of 3; the whole chain costs about ${report.effective['chain_usd']:.2f}" in summary(report)
    assert "chain_id" not in report.effective
    assert paid(emulator) == 4


async def test_limit_below_the_whole_price_sends_nothing(make_settings: MakeSettings, emulator):
    async with open_app(make_settings(MEDIAGEN_CONFIRM_ABOVE_USD="0.3")) as app:
        first = await clip(app)
        single = await plan_extension(app, first.job_id, duration_seconds=LINK_SECONDS)
        assert single.quote.usd
        with pytest.raises(BudgetExceededError, match="max_usd") as refused:
            await chain(app, first.job_id, max_usd=single.quote.usd * 2)
        assert "3 links: $" in str(refused.value)
        with pytest.raises(BudgetExceededError, match="approval"):
            await chain(app, first.job_id)
        assert await links(app) == []
    assert paid(emulator) == 1


@pytest.mark.parametrize("cap", ["MEDIAGEN_MAX_USD_PER_CALL", "MEDIAGEN_MAX_USD_PER_DAY"])
async def test_cap_is_held_against_the_whole_chain(make_settings: MakeSettings, emulator, cap: str):
    async with open_app(make_settings(**GEMINI)) as app:
        first = await clip(app)
        single = await plan_extension(app, first.job_id, duration_seconds=LINK_SECONDS)
    assert single.quote.usd
    assert first.charge.usd
    limit = str(first.charge.usd + 2 * single.quote.usd)
    async with open_app(make_settings(**GEMINI, **{cap: limit})) as app:
        with pytest.raises(BudgetExceededError, match=cap):
            await chain(app, first.job_id, times=4)
        assert await links(app) == []
    assert paid(emulator) == 1


async def test_cap_reached_in_the_middle_stops_the_chain_and_says_how_to_go_on(
    make_settings: MakeSettings, emulator, ledger_file: Path
):
    settings = make_settings(**GEMINI, MEDIAGEN_POLL_SECONDS="0.3", MEDIAGEN_MAX_USD_PER_DAY="1.25")
    async with open_app(settings) as app:
        first = await clip(app)
        running = await until(app, await chain(app, first.job_id, wait_seconds=0), "running")
        change(ledger_file, "UPDATE calls SET counted_microusd = 1200000 WHERE job_id = ?", first.job_id)
        report = await until(app, running, "succeeded", "Chain stopped after link 1 of 3")
        made = await links(app)
        assert await app.runner.resume() == []
    assert len(made) == 1
    assert paid(emulator) == 2
    assert "MEDIAGEN_MAX_USD_PER_DAY" in " ".join(report.warnings)
    assert f"extend_video(source='{report.job_id}', times=2)" in " ".join(report.warnings)
    assert report.next
    assert (report.next.tool, report.next.arguments["times"]) == ("extend_video", 2)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"last_frame": "cat.png"}, "last_frame"),
        ({"reference_images": ["cat.png"]}, "reference_images"),
        ({"count": 2}, "count"),
        ({"source": "data:video/mp4;base64,AAAA"}, "source"),
    ],
)
async def test_what_belongs_to_one_link_is_refused(
    make_settings: MakeSettings, emulator, values: dict[str, Any], field: str
):
    async with open_app(make_settings()) as app:
        with pytest.raises(InvalidRequestError, match=f"{field}.*times=2") as refused:
            await chain(app, values.pop("source", "clip.mp4"), 2, **values)
    assert refused.value.field == field
    assert paid(emulator) == 0


async def test_chain_that_would_be_too_long_is_refused_and_told_how_many_fit(make_settings: MakeSettings, emulator):
    async with open_app(make_settings()) as app:
        first = await clip(app, model=OMNI_12)
        with pytest.raises(InvalidRequestError, match="30 s") as refused:
            await chain(app, first.job_id, 4, duration_seconds=10)
        assert "times=2" in refused.value.hint
        assert await links(app) == []
    assert paid(emulator) == 1


async def test_same_request_id_returns_the_same_chain(make_settings: MakeSettings, emulator):
    async with open_app(make_settings()) as app:
        first = await clip(app)
        report = await chain(app, first.job_id, 2, request_id="film", output_name="my film 🎬")
        again = await chain(app, first.job_id, 2, request_id="film", output_name="my film 🎬")
        made = await links(app)
    assert again.job_id == report.job_id
    assert "earlier job" in " ".join(again.warnings)
    assert [job.artifacts[0].file.name for job in made] == ["my film 🎬_1.mp4", "my film 🎬_2.mp4"]
    assert paid(emulator) == 3


async def test_filtered_link_ends_the_chain_and_names_what_is_made(make_settings: MakeSettings, emulator):
    async with open_app(make_settings(MEDIAGEN_POLL_SECONDS="0.3")) as app:
        first = await clip(app)
        await until(app, await chain(app, first.job_id, wait_seconds=0), "running")
        emulator.add_fault(fault="video_blocked")
        made = await until_links(app, 2, "filtered")
        report = await wait_for(app, made[1].job_id, 5)
        await app.runner.resume()
        assert len(await links(app)) == 2
    told = " ".join(report.warnings)
    assert "Chain ended at link 2 of 3, which is filtered." in told
    assert str(made[0].artifacts[0].file) in told
    assert f"extend_video(source='{made[0].job_id}', times=2)" in told


async def test_link_that_fails_for_a_while_offers_the_rest_again(make_settings: MakeSettings, emulator):
    quick = HttpSettings(sleep=no_wait)
    async with open_app(make_settings(MEDIAGEN_POLL_SECONDS="0.3"), http=quick) as app:
        first = await clip(app)
        await until(app, await chain(app, first.job_id, wait_seconds=0), "running")
        emulator.add_fault(fault="status", preset="rate_limit", times=9, match={"method": "POST"})
        made = await until_links(app, 2, "failed")
        report = await wait_for(app, made[1].job_id, 5)
        emulator.reset()
    assert report.next
    assert report.next.tool == "extend_video"
    assert report.next.arguments["times"] == 2
    assert report.next.arguments["source"] == made[0].job_id


async def test_cancelled_link_stops_the_chain(make_settings: MakeSettings, emulator):
    async with open_app(make_settings()) as app:
        first = await clip(app)
        emulator.add_fault(fault="stuck", match={"method": "POST", "path_contains": "interactions"})
        running = await until(app, await chain(app, first.job_id, wait_seconds=0), "running")
        assert running.job_id
        await app.generator.cancel_job(CancelJobRequest(job_id=running.job_id))
        report = await wait_for(app, running.job_id, 10)
        await app.runner.resume()
        assert len(await links(app)) == 1
    assert report.status == "cancelled"
    assert "Chain ended at link 1 of 3, which is cancelled." in " ".join(report.warnings)


async def test_link_that_cannot_be_cancelled_any_more_names_the_newest(make_settings: MakeSettings):
    async with open_app(make_settings()) as app:
        first = await clip(app)
        report = await chain(app, first.job_id, 2)
        made = await links(app)
        with pytest.raises(InvalidRequestError, match=report.job_id):
            await app.generator.cancel_job(CancelJobRequest(job_id=str(made[0].job_id)))


async def test_chain_between_two_links_is_stopped_by_cancelling(
    make_settings: MakeSettings, emulator, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(chains.Chains, "go_on", _nothing)
    async with open_app(make_settings()) as app:
        first = await clip(app)
        report = await chain(app, first.job_id)
        assert report.job_id
        report = await app.generator.cancel_job(CancelJobRequest(job_id=report.job_id))
    monkeypatch.undo()
    async with open_app(make_settings()) as app:
        assert await app.runner.resume() == []
    assert "it was cancelled." in " ".join(report.warnings)
    assert paid(emulator) == 2


async def no_wait(_seconds: float) -> None:
    await anyio.lowlevel.checkpoint()


async def _nothing(_chains: object, _job: object) -> None:
    """A process that dies between two links."""


async def test_interrupted_chain_is_ended_once_by_processes_that_sweep_at_once(
    make_settings: MakeSettings, emulator, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as dying:
        dying.setattr(chains.Chains, "go_on", _nothing)
        async with open_app(make_settings()) as app:
            first = await clip(app)
            report = await chain(app, first.job_id)
    assert report.effective["link"] == 1
    async with open_app(make_settings()) as one, open_app(make_settings()) as two:
        async with anyio.create_task_group() as group:
            group.start_soon(one.runner.resume)
            group.start_soon(two.runner.resume)
        made = await until_links(one, 3)
    assert [job.effective["link"] for job in made] == [1, 2, 3]
    assert paid(emulator) == 4


async def test_chain_of_yesterday_is_not_gone_on_with(
    make_settings: MakeSettings, emulator, ledger_file: Path, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as dying:
        dying.setattr(chains.Chains, "go_on", _nothing)
        async with open_app(make_settings()) as app:
            first = await clip(app)
            report = await chain(app, first.job_id)
    long_ago = (datetime.now(UTC) - timedelta(hours=25)).isoformat(timespec="microseconds")
    change(ledger_file, "UPDATE jobs SET updated_at = ? WHERE job_id = ?", long_ago, report.job_id)
    async with open_app(make_settings()) as app:
        assert await app.runner.resume() == []
        report = await wait_for(app, report.job_id, 0)
    assert "Chain stopped after link 1 of 3: no server was running" in " ".join(report.warnings)
    assert paid(emulator) == 2


async def test_source_that_is_gone_stops_the_chain(make_settings: MakeSettings, emulator, monkeypatch):
    with monkeypatch.context() as dying:
        dying.setattr(chains.Chains, "go_on", _nothing)
        async with open_app(make_settings(**vertex(emulator.url))) as app:
            first = await plan_clip(app, dry_run=False, model=FAST_VEO, duration_seconds=4)
            report = await extend(app, first.job_id, times=3)
    report.artifacts[0].file.unlink()
    async with open_app(make_settings(**vertex(emulator.url))) as app:
        await app.runner.resume()
        report = await until(app, report, "succeeded", "Chain stopped after link 1 of 3: The file of artifact")
    assert paid(emulator) == 2


async def test_link_is_tried_again_when_the_reason_passes(
    make_settings: MakeSettings, emulator, monkeypatch: pytest.MonkeyPatch
):
    tries = []

    async def stubborn(job: object) -> None:
        tries.append(job)
        raise UnavailableError("Google cannot be reached.")

    with monkeypatch.context() as dying:
        dying.setattr(chains.Chains, "go_on", _nothing)
        async with open_app(make_settings()) as app:
            first = await clip(app)
            report = await chain(app, first.job_id)
    async with open_app(make_settings()) as app:
        assert report.job_id
        job = await app.generator.ledger.get(report.job_id)
        await chains.Chains(ledger=app.generator.ledger, make_next=stubborn, try_again=(0.01, 0.01)).go_on(job)
        report = await wait_for(app, report.job_id, 0)
    assert len(tries) == 3
    assert "Google cannot be reached." in " ".join(report.warnings)
    assert paid(emulator) == 2
