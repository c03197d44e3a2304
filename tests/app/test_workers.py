"""Servers and workers that share one PostgreSQL database: real processes, killed and stopped."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import psycopg
import pytest
from tests.conftest import paid
from tests.postgresql import Server
from tests.runner.asking import clip, image, wait_for
from tests.stored import sha256_as_made

from mediagen.app.app import App, Manner, open_app
from mediagen.emulator.thread import EmulatorHandle
from mediagen.errors import LedgerError
from mediagen.settings import Settings

MakeSettings = Callable[..., Settings]
StartWorker = Callable[[], subprocess.Popen[bytes]]
DEADLINE = 120.0
ROOT = Path(__file__).parents[2]


@pytest.fixture
def url(postgresql: Server) -> str:
    return postgresql.new_schema()


@pytest.fixture
def settings(make_settings: MakeSettings, url: str) -> Settings:
    return make_settings(MEDIAGEN_DATABASE_URL=url, MEDIAGEN_POLL_SECONDS="0.2")


@pytest.fixture
def start_worker(environment: dict[str, str], url: str, work: Path) -> Iterator[StartWorker]:
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        variables = {
            **os.environ,
            **environment,
            "MEDIAGEN_DATABASE_URL": url,
            "MEDIAGEN_POLL_SECONDS": "0.2",
            "PYTHONPATH": str(ROOT / "src"),
        }
        process = subprocess.Popen([sys.executable, "-m", "mediagen.cli", "worker"], cwd=work, env=variables)
        started.append(process)
        return process

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
            process.kill()
        process.wait(DEADLINE)


@contextlib.asynccontextmanager
async def replica(settings: Settings) -> Any:
    """A server that takes jobs in and advances none."""
    async with open_app(settings, role="server", manner=Manner(lease_seconds=2.0)) as app:
        yield app


async def ended(app: App, job_id: str | None) -> Any:
    report = await wait_for(app, job_id, 0)
    with anyio.move_on_after(DEADLINE):
        while (report := await wait_for(app, job_id, 1.0)).status in {"submitting", "running", "downloading"}:
            pass
    return report


def change(url: str, statement: str, *values: object) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode(), values)


def rows(url: str, statement: str) -> list[Any]:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(statement.encode()).fetchall()


async def test_worker_does_the_jobs_that_servers_take_in(
    settings: Settings, start_worker: StartWorker, emulator: EmulatorHandle, url: str
) -> None:
    worker = start_worker()
    async with replica(settings) as one, replica(settings) as two:
        jobs = [await image(one, wait_seconds=0), await clip(two, wait_seconds=0)]
        done = [await ended(two, jobs[0].job_id), await ended(one, jobs[1].job_id)]
    assert [report.status for report in done] == ["succeeded", "succeeded"], [report.error for report in done]
    assert paid(emulator) == 2
    assert rows(url, "SELECT owner, fence > 0 FROM jobs") == [(None, True)] * 2
    assert rows(url, "SELECT count(*) FROM requests") == [(0,)]
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(DEADLINE) == 0


async def test_job_waits_for_a_worker_and_says_so(
    settings: Settings, start_worker: StartWorker, emulator: EmulatorHandle, url: str
) -> None:
    async with replica(settings) as app:
        report = await image(app, wait_seconds=0)
        asked = rows(url, "SELECT created_at FROM jobs")[0][0]
        earlier = (datetime.fromisoformat(asked) - timedelta(minutes=1)).isoformat(timespec="microseconds")
        change(url, "UPDATE jobs SET created_at = %s", earlier)
        waiting = await wait_for(app, report.job_id, 0)
        assert "worker" in " ".join(waiting.warnings)
        start_worker()
        assert (await ended(app, report.job_id)).status == "succeeded"
    assert paid(emulator) == 1


async def test_killed_worker_is_replaced_and_nothing_is_paid_twice(
    settings: Settings, start_worker: StartWorker, emulator: EmulatorHandle, url: str, work: Path
) -> None:
    emulator.add_fault(fault="delay", seconds=1.0, times=50, match={"method": "POST"})
    first = start_worker()
    async with replica(settings) as app:
        jobs = [await image(app, prompt=f"boat {number}", wait_seconds=0) for number in range(2)]
        jobs += [await clip(app, prompt=f"waves {number}", wait_seconds=0) for number in range(2)]
        with anyio.fail_after(DEADLINE):
            while not rows(url, "SELECT 1 FROM calls WHERE attempt IS NOT NULL"):
                await anyio.sleep(0.02)
        first.kill()
        # The lease of a worker lasts 30 s.
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("UPDATE owners SET expires_at = clock_timestamp()")
        start_worker()
        done = [await ended(app, job.job_id) for job in jobs]
    assert [report.status for report in done] == ["succeeded"] * 4, [report.error for report in done]
    assert paid(emulator) == 4
    assert all(sha256_as_made(Path(report.artifacts[0].path)) for report in done)


async def test_stopped_worker_loses_its_job_and_changes_nothing_when_it_goes_on(
    settings: Settings, start_worker: StartWorker, emulator: EmulatorHandle, url: str
) -> None:
    emulator.add_fault(fault="delay", seconds=1.0, times=50, match={"method": "POST"})
    stopped = start_worker()
    async with replica(settings) as app:
        job = await clip(app, wait_seconds=0)
        with anyio.fail_after(DEADLINE):
            while not rows(url, "SELECT 1 FROM calls WHERE attempt IS NOT NULL"):
                await anyio.sleep(0.02)
        stopped.send_signal(signal.SIGSTOP)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("UPDATE owners SET expires_at = clock_timestamp()")
        start_worker()
        done = await ended(app, job.job_id)
        stopped.send_signal(signal.SIGCONT)
        await anyio.sleep(0.05)
        stopped.send_signal(signal.SIGTERM)
        assert stopped.wait(DEADLINE) == 0
        assert (await wait_for(app, job.job_id, 0)).artifacts == done.artifacts
    assert done.status == "succeeded", done.error
    assert paid(emulator) == 1


async def test_restart_of_the_database_loses_nothing(
    settings: Settings, start_worker: StartWorker, emulator: EmulatorHandle, postgresql: Server
) -> None:
    emulator.add_fault(fault="delay", seconds=0.5, times=50, match={"method": "POST"})
    start_worker()
    async with replica(settings) as app:
        jobs = [await clip(app, prompt=f"waves {number}", wait_seconds=0) for number in range(3)]
        postgresql.stop("immediate")
        postgresql.start()
        done = [await ended(app, job.job_id) for job in jobs]
    assert [report.status for report in done] == ["succeeded"] * 3, [report.error for report in done]
    assert paid(emulator) == 3


async def test_server_advances_jobs_without_a_worker(settings: Settings, emulator: EmulatorHandle) -> None:
    async with open_app(settings, role="server") as app:
        app.runner.scheduler.start_sweeping()
        job = await clip(app, wait_seconds=0)
        assert (await ended(app, job.job_id)).status == "succeeded"
    assert paid(emulator) == 1


def test_worker_without_a_database_is_refused(environment: dict[str, str], work: Path) -> None:
    variables = {**os.environ, **environment, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-m", "mediagen.cli", "worker"],
        cwd=work, env=variables, capture_output=True, text=True, timeout=DEADLINE,
    )  # fmt: skip
    assert done.returncode == 3
    assert "MEDIAGEN_DATABASE_URL" in done.stderr


async def test_server_starts_without_its_database_and_works_once_it_is_there(
    settings: Settings, postgresql: Server, emulator: EmulatorHandle
) -> None:
    postgresql.stop("immediate")
    try:
        async with open_app(settings, role="server") as app:
            app.runner.scheduler.start_sweeping()
            with pytest.raises(LedgerError) as refused:
                await clip(app, wait_seconds=0)
            assert refused.value.code == "ledger_unreachable"
            postgresql.start()
            job = await clip(app, wait_seconds=0)
            assert (await ended(app, job.job_id)).status == "succeeded"
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            postgresql.start()
    assert paid(emulator) == 1
