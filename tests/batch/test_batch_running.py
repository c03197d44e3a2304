"""Batches on the emulator, in this process."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from tests.conftest import paid

from mediagen.app.app import App, now, open_app
from mediagen.batch.pace import Pace
from mediagen.batch.prices import check_total, priced
from mediagen.batch.rows import read_rows
from mediagen.batch.running import Run
from mediagen.emulator.settings import EmulatorSettings
from mediagen.emulator.thread import EmulatorHandle, running_emulator
from mediagen.endpoints.http import HttpSettings
from mediagen.errors import BudgetExceededError, InvalidRequestError
from mediagen.settings import Settings

WINDOW_SECONDS = 3.0
CALLS = 20
MakeSettings = Callable[..., Settings]


@pytest.fixture
def limited() -> Iterator[EmulatorHandle]:
    with running_emulator(EmulatorSettings(calls_per_window=CALLS, window_seconds=WINDOW_SECONDS)) as handle:
        yield handle


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[App]:
    async with open_app(settings, http=HttpSettings(paid_retries=0)) as app:
        yield app


async def a_run(app: App, folder: Path, prompts: list[str], batch_id: str = "one", *, again: bool = False) -> Run:
    file = folder / "prompts.txt"
    file.write_text("\n".join(prompts), encoding="utf-8")
    items = await priced(app.generator, read_rows(file), folder)
    pace = Pace(app.generator.ledger, now, timedelta(seconds=WINDOW_SECONDS))
    return Run(
        generator=app.generator,
        pace=pace,
        batch_id=batch_id,
        folder=str(folder),
        items=items,
        most=32,
        retries_failed=again,
    )


def refusals(emulator: EmulatorHandle) -> int:
    asked = sum(request["path"].endswith(":generateContent") for request in emulator.requests())
    return int(asked - paid(emulator))


async def test_rows_are_made_as_fast_as_the_limit_lets_and_few_calls_are_refused(
    make_settings: MakeSettings, limited: EmulatorHandle, work: Path
):
    settings = make_settings(GOOGLE_GEMINI_BASE_URL=limited.url)
    async with opened(settings) as app:
        run = await a_run(app, work, [f"fox {number}" for number in range(50)])
        began = now()
        await run.run()
        seconds = (now() - began).total_seconds()
    assert [standing.report and standing.report.status for standing in run.standings] == ["succeeded"] * 50
    assert paid(limited) == 50
    assert refusals(limited) <= 8
    assert run.is_done
    # Two whole windows have to pass before the last ten are taken; a slow machine takes longer.
    assert seconds >= 2 * WINDOW_SECONDS - 1
    assert len({path.name for path in work.glob("0*_fox_*.jpg")}) == 50


async def test_two_processes_share_one_limit(make_settings: MakeSettings, limited: EmulatorHandle, work: Path):
    settings = make_settings(GOOGLE_GEMINI_BASE_URL=limited.url)
    async with opened(settings) as one, opened(settings) as other:
        first = await a_run(one, work, [f"fox {number}" for number in range(CALLS + 2)])
        await first.run()
        # It has been refused nothing itself, and knows all the same.
        second = await a_run(other, work, [f"hat {number}" for number in range(CALLS)], batch_id="two")
        before = refusals(limited)
        await second.run()
    assert second.is_done
    assert refusals(limited) - before <= 3
    assert paid(limited) == 2 * CALLS + 2


async def test_batch_that_was_left_goes_on_and_pays_for_nothing_twice(
    make_settings: MakeSettings, emulator: EmulatorHandle, work: Path
):
    prompts = [f"fox {number}" for number in range(6)]
    async with opened(make_settings()) as app:
        half = await a_run(app, work, prompts)
        half.items = half.items[:3]
        half.standings = half.standings[:3]
        await half.run()
    assert paid(emulator) == 3
    async with opened(make_settings()) as app:
        whole = await a_run(app, work, prompts)
        await whole.run()
        again = await a_run(app, work, prompts)
        await again.run()
    assert whole.is_done
    assert again.is_done
    assert paid(emulator) == 6
    made = [standing.report.job_id for standing in whole.standings if standing.report]
    assert made == [standing.report.job_id for standing in again.standings if standing.report]
    assert made[:3] == [standing.report.job_id for standing in half.standings if standing.report]


async def test_one_failure_does_not_stop_the_rest_and_is_tried_again_when_asked(
    make_settings: MakeSettings, emulator: EmulatorHandle, work: Path
):
    prompts = ["a fox", "a hat [[fault:prompt_blocked]]", "a cat"]
    async with opened(make_settings()) as app:
        run = await a_run(app, work, prompts)
        await run.run()
        assert [standing.report and standing.report.status for standing in run.standings] == [
            "succeeded",
            "filtered",
            "succeeded",
        ]
        same = await a_run(app, work, prompts)
        await same.run()
        asked = len(emulator.requests())
        tried = await a_run(app, work, prompts, again=True)
        await tried.run()
    assert run.stopped is same.stopped is None
    assert len(emulator.requests()) == asked + 1


async def test_what_meets_all_rows_stops_the_batch(make_settings: MakeSettings, emulator: EmulatorHandle, work: Path):
    emulator.add_fault(fault="quota_zero", times=100)
    async with opened(make_settings()) as app:
        run = await a_run(app, work, [f"fox {number}" for number in range(40)])
        await run.run()
    assert run.stopped
    assert "quota" in run.stopped
    assert not run.is_done
    assert len([request for request in emulator.requests() if request["method"] == "POST"]) <= 6
    assert paid(emulator) == 0


async def test_rows_that_fail_one_after_another_stop_the_batch(
    make_settings: MakeSettings, emulator: EmulatorHandle, work: Path
):
    emulator.add_fault(fault="internal", times=100)
    async with opened(make_settings()) as app:
        run = await a_run(app, work, [f"fox {number}" for number in range(40)])
        await run.run()
    assert run.stopped
    assert "rows failed one after another" in run.stopped
    assert len([request for request in emulator.requests() if request["method"] == "POST"]) <= 12


async def test_same_prompt_twice_makes_two_pictures(make_settings: MakeSettings, emulator: EmulatorHandle, work: Path):
    async with opened(make_settings()) as app:
        run = await a_run(app, work, ["a fox", "a fox"])
        await run.run()
    assert paid(emulator) == 2
    assert len(list(work.glob("*_a_fox.jpg"))) == 2


async def test_batch_above_a_cap_is_refused_with_what_would_fit(
    make_settings: MakeSettings, emulator: EmulatorHandle, work: Path
):
    settings = make_settings(MEDIAGEN_BACKEND="gemini", GEMINI_API_KEY="some-key", MEDIAGEN_MAX_USD_PER_DAY="0.12")
    async with opened(settings) as app:
        run = await a_run(app, work, [f"fox {number}" for number in range(5)])
        with pytest.raises(BudgetExceededError) as refused:
            await check_total(app.generator, run.items, None)
    assert "MEDIAGEN_MAX_USD_PER_DAY" in refused.value.message
    assert "The first 3 of its 5 rows would fit" in refused.value.hint
    assert emulator.requests() == []


async def test_row_that_no_model_makes_is_named_before_anything_is_sent(
    make_settings: MakeSettings, emulator: EmulatorHandle, work: Path
):
    (work / "rows.csv").write_text("prompt,image_size,input_images\nx,1K,\ny,9K,\nz,,nowhere.png\n", encoding="utf-8")
    async with opened(make_settings()) as app:
        with pytest.raises(InvalidRequestError) as refused:
            await priced(app.generator, read_rows(work / "rows.csv"), work)
    assert "2 of the 3 rows cannot be made" in refused.value.message
    assert "row 3: " in refused.value.message
    assert "9K" in refused.value.message
    assert "nowhere.png" in refused.value.message
    assert paid(emulator) == 0
