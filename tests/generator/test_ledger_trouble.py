"""A ledger that cannot be used: a clear message, nothing is sent, and the server works again once that is mended."""

import contextlib
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from tests.conftest import paid
from tests.generator.planning import MakeSettings
from tests.ledger.ledger_values import a_job
from tests.runner.asking import clip, image, until, wait_for

from mediagen.app.app import open_app
from mediagen.emulator.thread import EmulatorHandle
from mediagen.errors import ConfigurationError, LedgerError
from mediagen.ledger import turnstile
from mediagen.ledger.engines import sqlite as database
from mediagen.requests import CheckApiRequest, ListJobsRequest
from mediagen.storage import local

Mend = Callable[[], None]


@pytest.fixture
def ledger_file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.sqlite3"


def newer(file: Path) -> Mend:
    with closing(sqlite3.connect(file)) as connection:
        found = int(connection.execute("PRAGMA user_version").fetchone()[0])

    def set_version(version: int) -> None:
        with closing(sqlite3.connect(file)) as connection:
            connection.execute(f"PRAGMA user_version = {version}")

    set_version(99)
    return lambda: set_version(found)


def foreign(file: Path) -> Mend:
    aside = file.rename(file.with_name("own"))
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE cookies (name TEXT)")

    def mend() -> None:
        aside.replace(file)

    return mend


def locked(file: Path) -> Mend:
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    return other.close


def folder_in_place(file: Path) -> Mend:
    aside = file.rename(file.with_name("own"))
    file.mkdir()

    def mend() -> None:
        file.rmdir()
        aside.rename(file)

    return mend


CODES: dict[Callable[[Path], Mend], str] = {
    newer: "ledger_newer",
    foreign: "ledger_foreign",
    locked: "ledger_locked",
    folder_in_place: "ledger_read_only",
}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.2)
    monkeypatch.setattr(turnstile, "WAIT_SECONDS", 0.5)


@pytest.mark.parametrize("trouble", CODES)
@pytest.mark.parametrize("is_open", [True, False])
async def test_trouble_sends_nothing_and_passes_without_a_restart(
    make_settings: MakeSettings,
    emulator: EmulatorHandle,
    ledger_file: Path,
    trouble: Callable[[Path], Mend],
    is_open: bool,
):
    async with open_app(make_settings()) as app:
        first = await image(app)
    submitted = paid(emulator)
    async with open_app(make_settings()) as app:
        if is_open:
            await app.generator.list_jobs(ListJobsRequest())
        mend = trouble(ledger_file)
        if trouble is newer and is_open:
            mend()  # what is open already goes on; no version of this program does that
            return
        with pytest.raises(LedgerError) as raised:
            await image(app, force_new=True)
        assert raised.value.code == CODES[trouble]
        assert raised.value.hint
        assert paid(emulator) == submitted
        if trouble is locked:
            assert (await wait_for(app, first.job_id, 0)).status == "succeeded"
        else:
            report = await app.checks.check_api(CheckApiRequest())
            assert any(str(raised.value.message) in problem for problem in report.blocking)
        mend()
        assert (await image(app, force_new=True)).status == "succeeded"
        assert len((await app.generator.list_jobs(ListJobsRequest())).jobs) == 2
    assert not list(ledger_file.parent.glob("*damaged*"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, for the state."""
    folder, mount = tmp_path / "disk", shutil.which("mount")
    folder.mkdir()
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=56m", "tmpfs", str(folder)]
    if sys.platform != "linux" or not mount or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False)


def fill(disk: Path) -> Path:
    file = disk / "filler"
    with file.open("wb", buffering=0) as filler:
        for size in (1_000_000, 4096, 1):
            with contextlib.suppress(OSError):
                while filler.write(b"x" * size) == size:
                    pass
    assert shutil.disk_usage(disk).free == 0
    return file


async def test_full_disk_sends_nothing_and_passes_without_a_restart(
    make_settings: MakeSettings, emulator: EmulatorHandle, small_disk: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(local, "CHECK_HOLDS_SECONDS", 0.0)
    async with open_app(make_settings(MEDIAGEN_STATE_DIR=str(small_disk))) as app:
        first = await image(app)
        submitted = paid(emulator)
        with anyio.fail_after(60):
            while list((small_disk / "spool").iterdir()):
                await anyio.sleep(0.01)
        filler = fill(small_disk)
        with pytest.raises(ConfigurationError, match="No space left on device"):
            await image(app, force_new=True)
        with pytest.raises(LedgerError) as raised:
            await app.generator.ledger.create(a_job(prompt="long " * 4000))
        assert (raised.value.code, raised.value.retryable) == ("ledger_full", True)
        assert paid(emulator) == submitted
        assert (await wait_for(app, first.job_id, 0)).status == "succeeded"
        filler.unlink()
        assert (await image(app, force_new=True)).status == "succeeded"
    assert not list(small_disk.glob("*damaged*"))


async def test_paid_clip_is_collected_after_the_disk_of_the_state_was_full_meanwhile(
    make_settings: MakeSettings, emulator: EmulatorHandle, small_disk: Path
):
    async with open_app(make_settings(MEDIAGEN_STATE_DIR=str(small_disk))) as app:
        report = await until(app, await clip(app, wait_seconds=0), "running")
        filler = fill(small_disk)
        await wait_for(app, report.job_id, 1.0)
        filler.unlink()
        done = await wait_for(app, report.job_id)
    assert done.status == "succeeded"
    assert paid(emulator) == 1


async def test_paid_clip_is_collected_after_the_disk_of_the_files_was_full_meanwhile(
    make_settings: MakeSettings, emulator: EmulatorHandle, small_disk: Path
):
    async with open_app(make_settings()) as app:
        report = await until(app, await clip(app, wait_seconds=0, output_dir=str(small_disk)), "running")
        filler = fill(small_disk)
        await wait_for(app, report.job_id, 1.0)
        filler.unlink()
        done = await wait_for(app, report.job_id, 60)
    assert done.status == "succeeded"
    assert paid(emulator) == 1
