"""A calendar that is set forward or back loses no job, ends none too early and lifts no cap."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.conftest import paid
from tests.generator.planning import MakeSettings
from tests.ledger.ledger_values import a_job
from tests.runner.asking import clip, image, until, wait_for

from mediagen.app.app import open_app
from mediagen.emulator.thread import EmulatorHandle
from mediagen.errors import BudgetExceededError
from mediagen.ledger.ids import new_artifact_id, new_job_id
from mediagen.report.progress import progress_of
from mediagen.requests import ListJobsRequest
from mediagen.runner import patience
from mediagen.runner.patience import ASKED_ON_SECONDS, Patience

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
YEARS = [timedelta(hours=-30), timedelta(days=-800), timedelta(hours=30), timedelta(days=800)]


class Calendar:
    """The present, which a test may set."""

    def __init__(self) -> None:
        self.shift = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.shift


@pytest.fixture
def calendar(monkeypatch: pytest.MonkeyPatch) -> Calendar:
    calendar = Calendar()
    monkeypatch.setattr("mediagen.app.app.now", calendar)
    return calendar


@pytest.mark.parametrize("jump", YEARS)
async def test_running_clip_is_collected_after_the_calendar_jumped(
    make_settings: MakeSettings, emulator: EmulatorHandle, calendar: Calendar, jump: timedelta
):
    async with open_app(make_settings()) as app:
        report = await until(app, await clip(app, wait_seconds=0), "running")
        calendar.shift = jump
        done = await wait_for(app, report.job_id)
    assert done.status == "succeeded"
    assert done.progress.elapsed_seconds >= 0
    assert paid(emulator) == 1


async def test_stuck_job_is_asked_about_after_a_jump_forward_and_given_up_only_later(
    make_settings: MakeSettings, emulator: EmulatorHandle, calendar: Calendar, monkeypatch: pytest.MonkeyPatch
):
    emulator.add_fault(fault="stuck")
    async with open_app(make_settings()) as app:
        report = await until(app, await clip(app, wait_seconds=0), "running")
        calendar.shift = timedelta(days=400)
        assert (await wait_for(app, report.job_id, 0.5)).status == "running"
        monkeypatch.setattr(patience, "ASKED_ON_SECONDS", 0.0)
        done = await wait_for(app, report.job_id)
    assert done.error
    assert (done.status, done.error.code) == ("failed", "never_finished")


@pytest.mark.parametrize("jump", YEARS)
async def test_new_jobs_after_a_jump_have_ids_of_their_own_and_come_first(
    make_settings: MakeSettings, calendar: Calendar, jump: timedelta
):
    async with open_app(make_settings()) as app:
        first = await image(app)
        calendar.shift = jump
        second = await image(app, force_new=True)
        listed = await app.generator.list_jobs(ListJobsRequest())
    assert [job.job_id for job in listed.jobs] == [second.job_id, first.job_id]
    assert second.progress.elapsed_seconds >= 0


def seconds(of: list[float]) -> Callable[[], float]:
    return lambda: of[0]


def test_patience_counts_only_the_time_in_which_the_call_was_overdue() -> None:
    job, times, shift = a_job(created_at=START), [0.0], [timedelta(0)]
    patient = Patience(clock=lambda: START + shift[0], monotonic=seconds(times))
    day = timedelta(days=1)
    assert not patient.is_over(job, job.calls[0], day)
    shift[0] = timedelta(days=300)
    assert not patient.is_over(job, job.calls[0], day)
    times[0] = ASKED_ON_SECONDS - 1
    assert not patient.is_over(job, job.calls[0], day)
    shift[0] = timedelta(hours=1)  # set right
    assert not patient.is_over(job, job.calls[0], day)
    shift[0], times[0] = timedelta(days=2), ASKED_ON_SECONDS + 1
    assert not patient.is_over(job, job.calls[0], day)
    times[0] += ASKED_ON_SECONDS
    assert patient.is_over(job, job.calls[0], day)
    assert not patient.is_over(replace(job, created_at=START + timedelta(days=9)), job.calls[0], day)


def test_job_that_was_made_in_the_future_has_run_for_no_time() -> None:
    assert progress_of(a_job(created_at=START), START - timedelta(days=900)).elapsed_seconds == 0


@pytest.mark.parametrize("moment", [datetime(1969, 1, 1, tzinfo=UTC), START, datetime(2999, 1, 1, tzinfo=UTC)])
def test_ids_are_of_their_own_at_every_time(moment: datetime) -> None:
    ids = {make(lambda: moment) for make in (new_job_id, new_artifact_id) for _ in range(500)}
    assert len(ids) == 1000
    assert {len(made) for made in ids} == {30}


async def test_cap_of_a_day_still_counts_what_was_spent_before_the_clock_was_set_back(
    tmp_path, calendar: Calendar
) -> None:
    from decimal import Decimal

    from mediagen.ledger.caps import Cap
    from mediagen.ledger.ledger import Ledger

    ledger = Ledger(tmp_path / "ledger.sqlite3", calendar)
    await ledger.create(a_job(created_at=START, usd="0.50"))
    yesterday = START.replace(hour=0) - timedelta(days=1)
    cap = Cap(name="MEDIAGEN_MAX_USD_PER_DAY", limit_usd=Decimal("0.80"), since=yesterday)
    with pytest.raises(BudgetExceededError):
        await ledger.create(a_job(created_at=START - timedelta(days=1), usd="0.50"), caps=[cap])
    await ledger.aclose()
