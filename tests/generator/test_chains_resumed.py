"""A chain that another process goes on with: only where it was begun, and only while it is expected."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.conftest import paid
from tests.generator.planning import write_config
from tests.generator.test_chains import GEMINI, chain, links
from tests.runner.asking import change, clip, until, wait_for

from mediagen.app.app import open_app
from mediagen.cli.commands import run
from mediagen.emulator.settings import EmulatorSettings
from mediagen.emulator.thread import running_emulator
from mediagen.generator import chains
from mediagen.jobs import Job
from mediagen.ledger.ledger import Ledger
from mediagen.report.job import JobReport
from mediagen.runner import steps
from mediagen.settings import Settings

MakeSettings = Callable[..., Settings]


@pytest.fixture
def ledger_file(environment: dict[str, str]) -> Path:
    return Path(environment["MEDIAGEN_STATE_DIR"]) / "ledger.sqlite3"


async def _nothing(_chains: object, _job: object) -> None:
    """A process that dies between two links."""


async def interrupted(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> JobReport:
    """The first link of a chain whose process died right after it."""
    with monkeypatch.context() as dying:
        dying.setattr(chains.Chains, "go_on", _nothing)
        async with open_app(settings) as app:
            first = await clip(app)
            return await chain(app, first.job_id)


async def test_chain_is_not_gone_on_with_at_another_address(
    make_settings: MakeSettings, emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    report = await interrupted(make_settings(**GEMINI), monkeypatch)
    with running_emulator(EmulatorSettings(video_seconds=0.1, state_dir=tmp_path / "other")) as other:
        async with open_app(make_settings(**GEMINI, GOOGLE_GEMINI_BASE_URL=other.url)) as app:
            await app.runner.resume()
            report = await until(app, report, "succeeded", "Chain stopped after link 1 of 3")
        assert paid(other) == 0
    assert other.url in " ".join(report.warnings)
    assert paid(emulator) == 2


async def test_chain_is_not_gone_on_with_by_another_profile(
    make_settings: MakeSettings, emulator, monkeypatch: pytest.MonkeyPatch, work: Path
):
    report = await interrupted(make_settings(**GEMINI), monkeypatch)
    write_config(work, "profile = 'firm'\n[profiles.firm]\napi_key = 'AIza-of-the-firm'\n")
    async with open_app(make_settings(MEDIAGEN_BACKEND="gemini")) as app:
        await app.runner.resume()
        report = await until(app, report, "succeeded", "Chain stopped after link 1 of 3")
    assert "profile (none) became firm" in " ".join(report.warnings)
    assert paid(emulator) == 2


async def test_link_that_ends_days_after_it_was_asked_for_is_the_last(
    make_settings: MakeSettings, emulator, ledger_file: Path, monkeypatch: pytest.MonkeyPatch
):
    # As if Google had made it at once, and nobody had looked.
    monkeypatch.setattr(steps, "GIVE_UP_AFTER", timedelta(days=9))
    settings = make_settings(**GEMINI, MEDIAGEN_POLL_SECONDS="0.3")
    async with open_app(settings) as app:
        first = await clip(app)
        report = await until(app, await chain(app, first.job_id, wait_seconds=0), "running")
    long_ago = (datetime.now(UTC) - timedelta(hours=30)).isoformat(timespec="microseconds")
    change(ledger_file, "UPDATE jobs SET created_at = ? WHERE job_id = ?", long_ago, report.job_id)
    async with open_app(settings) as app:
        await app.runner.resume()
        report = await wait_for(app, report.job_id)
        made = await links(app)
    assert report.status == "succeeded", report.error
    assert len(made) == 1
    assert "Chain stopped after link 1 of 3" in " ".join(report.warnings)
    assert paid(emulator) == 2


async def test_link_that_is_written_down_is_made_although_the_server_is_told_to_stop(
    make_settings: MakeSettings, emulator, monkeypatch: pytest.MonkeyPatch
):
    create, written = Ledger.create, anyio.Event()

    async def creating(self: Ledger, job: Job, **values: Any) -> Job:
        made = await create(self, job, **values)
        if job.chain and job.chain.link == 2:
            written.set()
        return made

    monkeypatch.setattr(Ledger, "create", creating)
    async with open_app(make_settings(**GEMINI)) as app:
        first = await clip(app)
        await chain(app, first.job_id, wait_seconds=0)
        with anyio.fail_after(60):
            await written.wait()
    async with open_app(make_settings(**GEMINI)) as app:
        made = await links(app)
        assert [job.status for job in made] in (["succeeded", "submitting"], ["succeeded", "running"])
        await app.runner.resume()
        with anyio.fail_after(60):
            while [job.status for job in made] != ["succeeded"] * 3:
                await anyio.sleep(0.02)
                made = await links(app)
    assert paid(emulator) == 4


async def test_waiting_for_another_job_pays_for_no_link(
    make_settings: MakeSettings, emulator, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
):
    for name, value in {**environment, **GEMINI}.items():
        monkeypatch.setenv(name, value)
    settings = make_settings(**GEMINI)
    await interrupted(settings, monkeypatch)
    async with open_app(settings) as app:
        other = await clip(app, prompt="clouds", wait_seconds=0)
        await until(app, other, "running")
    code = await anyio.to_thread.run_sync(run, ["jobs", "wait", str(other.job_id)])
    assert code == 0
    async with open_app(settings) as app:
        assert len(await links(app)) == 1
    assert paid(emulator) == 3


async def test_setting_that_was_changed_meanwhile_stops_the_chain(
    make_settings: MakeSettings, emulator, monkeypatch: pytest.MonkeyPatch, work: Path
):
    write_config(work, "[video]\ncount = 1\n")
    report = await interrupted(make_settings(**GEMINI), monkeypatch)
    write_config(work, "[video]\ncount = 1\nnegative_prompt = 'rain'\n")
    async with open_app(make_settings(**GEMINI)) as app:
        await app.runner.resume()
        report = await until(app, report, "succeeded", "Chain stopped after link 1 of 3")
    assert "negative_prompt (none) became rain" in " ".join(report.warnings)
    assert paid(emulator) == 2
