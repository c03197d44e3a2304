"""The file: its modes, its settings, and what is said when it cannot be used."""

import os
import sqlite3
import stat
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from tests.ledger.ledger_processes import StartWorker
from tests.ledger.ledger_values import a_job, an_artifact, noon, sqlite_only

from mediagen.errors import LedgerError
from mediagen.ledger.engines import sqlite as database
from mediagen.ledger.engines.sqlite import journal_mode
from mediagen.ledger.ledger import Ledger
from mediagen.ledger.rows import artifact_rows, call_row, job_row

pytestmark = [pytest.mark.usefixtures("engine"), sqlite_only]
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")


def connections(ledger: Ledger) -> list[sqlite3.Connection | None]:
    opened = ledger._database
    assert isinstance(opened, database.SqliteDatabase)
    return [opened._connection, opened._reading]


def _connection(ledger: Ledger) -> sqlite3.Connection:
    assert isinstance(ledger._database, database.SqliteDatabase)
    connection = ledger._database._connection
    assert connection is not None
    return connection


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@posix
async def test_new_file_and_folder_are_for_this_user_alone(ledger: Ledger, path: Path) -> None:
    await ledger.create(a_job())
    assert _mode(path) == 0o600
    assert _mode(path.parent) == 0o700


@posix
async def test_existing_file_is_closed_to_others_and_its_folder_left_alone(ledger: Ledger, path: Path) -> None:
    path.parent.mkdir(mode=0o755)
    path.touch(mode=0o644)
    await ledger.open()
    assert _mode(path) == 0o600
    assert _mode(path.parent) == 0o755


@pytest.mark.parametrize(
    ("version", "mode"), [((3, 40, 1), "delete"), ((3, 51, 2), "delete"), ((3, 51, 3), "wal"), ((4, 0, 0), "wal")]
)
def test_journal_mode_is_wal_only_where_it_is_safe(version: Any, mode: str) -> None:
    assert journal_mode(version) == mode


async def test_opened_file_has_the_settings(ledger: Ledger) -> None:
    await ledger.open()
    asked = {
        name: _connection(ledger).execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "user_version")
    }
    assert asked == {
        "journal_mode": journal_mode(sqlite3.sqlite_version_info),
        "synchronous": 3,
        "foreign_keys": 1,
        "busy_timeout": 10_000,
        "user_version": 7,
    }


@pytest.mark.parametrize(("version", "before", "after"), [((3, 40, 1), "WAL", "delete"), ((3, 51, 3), "DELETE", "wal")])
async def test_journal_mode_of_an_existing_file_is_changed(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, version: Any, before: str, after: str
) -> None:
    await ledger.open()
    _connection(ledger).execute(f"PRAGMA journal_mode = {before}").fetchone()
    await ledger.aclose()
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
    job = await ledger.create(a_job())
    await ledger.open()
    assert _connection(ledger).execute("PRAGMA journal_mode").fetchone()[0] == after
    assert await ledger.get(job.job_id) == job


async def test_first_open_by_several_processes_at_once_works(worker: StartWorker, path: Path) -> None:
    path.parent.mkdir()
    workers = [worker("first_open") for _ in range(4)]
    assert [one.read() for one in workers] == ["ready"] * 4
    for one in workers:
        one.go()
    assert [one.rest() for one in workers] == [["open"]] * 4


async def test_work_that_comes_after_the_closing_leaves_the_file_closed(ledger: Ledger) -> None:
    await ledger.open()
    await ledger.aclose()
    job = await ledger.create(a_job())
    assert await ledger.get(job.job_id) == job
    assert connections(ledger) == [None, None]


async def test_open_of_text_keeps_it_aside(ledger: Ledger, path: Path) -> None:
    path.parent.mkdir()
    path.write_text("this is no database\n" * 100)
    await ledger.create(a_job())
    [aside] = path.parent.glob("ledger.damaged-*.sqlite3")
    assert aside.read_text() == "this is no database\n" * 100


async def test_open_of_a_large_file_is_not_checked(ledger: Ledger, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(50):
        await ledger.create(a_job())
    await ledger.aclose()
    content = bytearray(path.read_bytes())
    content[-4096:] = b"\xa5" * 4096
    path.write_bytes(content)
    monkeypatch.setattr(database, "CHECKED_BYTES", 1000)
    await ledger.open()


async def test_open_of_a_newer_file_names_both_versions(ledger: Ledger, path: Path) -> None:
    await ledger.open()
    _connection(ledger).execute("PRAGMA user_version = 8")
    await ledger.aclose()
    with pytest.raises(LedgerError, match="version 8, newer than the 7") as raised:
        await ledger.open()
    assert "Update mediagen" in raised.value.hint


async def test_open_of_a_database_of_something_else_leaves_it_alone(ledger: Ledger, path: Path) -> None:
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE cookies (name TEXT)")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    with pytest.raises(LedgerError, match="not a job ledger"):
        await ledger.open()
    assert path.read_bytes() == before


async def test_write_while_another_holds_the_lock_says_locked(
    ledger: Ledger, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.02)
    await ledger.open()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(LedgerError, match="locked") as raised:
        await ledger.create(a_job())
    assert raised.value.retryable
    other.execute("ROLLBACK")
    other.close()
    await ledger.create(a_job())


async def test_commit_that_fails_is_undone(ledger: Ledger, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if journal_mode(sqlite3.sqlite_version_info) == "wal":
        pytest.skip("readers do not hold up a commit in WAL mode")
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.02)
    await ledger.open()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN")
    other.execute("SELECT * FROM jobs").fetchall()
    with pytest.raises(LedgerError, match="locked"):
        await ledger.create(a_job())
    other.close()
    assert (await ledger.list_jobs()).jobs == ()
    await ledger.create(a_job())


async def test_write_to_a_read_only_file_says_so(ledger: Ledger) -> None:
    await ledger.open()
    _connection(ledger).execute("PRAGMA query_only = ON")
    with pytest.raises(LedgerError, match="cannot be opened for writing") as raised:
        await ledger.create(a_job())
    assert "MEDIAGEN_STATE_DIR" in raised.value.hint


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="modes do not hold this user back")
async def test_open_of_a_file_without_write_permission_says_so(ledger: Ledger, path: Path) -> None:
    await ledger.open()
    await ledger.aclose()
    path.chmod(0o400)
    with pytest.raises(LedgerError, match="cannot be opened for writing"):
        await ledger.create(a_job())


async def test_write_to_a_full_disk_says_so_and_keeps_what_was_there(ledger: Ledger) -> None:
    job = await ledger.create(a_job())
    _connection(ledger).execute("PRAGMA max_page_count = 1")
    with pytest.raises(LedgerError, match="full"):
        await ledger.create(a_job(prompt="long " * 50_000))
    assert (await ledger.list_jobs()).jobs == (job,)


async def test_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ledger = Ledger(tmp_path / "file" / "state" / "ledger.sqlite3", noon)
    with pytest.raises(LedgerError, match="Not a directory"):
        await ledger.open()


async def test_row_that_no_version_wrote_is_named(ledger: Ledger) -> None:
    job = await ledger.create(a_job())
    _connection(ledger).execute("UPDATE jobs SET requested = 'no json'")
    with pytest.raises(LedgerError, match=f"Job {job.job_id} in the ledger cannot be read"):
        await ledger.get(job.job_id)


def test_import_of_the_package_loads_no_database() -> None:
    code = "import sys, mediagen.ledger, mediagen.ledger.ids; print({'sqlite3', 'filelock'} & set(sys.modules))"
    # Coverage, when it is on, imports modules of its own.
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60, env=plain
    )
    assert found.stdout.strip() == "set()"


async def test_ledger_of_version_1_keeps_its_jobs_and_files(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    script = files("mediagen.ledger").joinpath("migrations", "0001_initial.sql").read_text(encoding="utf-8")
    connection = sqlite3.connect(path)
    connection.executescript(script)
    job, artifact = a_job(), an_artifact()
    for table, row in (
        ("jobs", {**job_row(job, owner="gone"), "profile": None}),
        ("calls", {**call_row(job, job.calls[0]), "remote_uri": "https://example.com/clip", "status": "downloading"}),
        ("artifacts", artifact_rows(job.job_id, 0, [artifact])[0]),
    ):
        columns = [line[1] for line in connection.execute(f"PRAGMA table_info({table})") if line[1] in row]
        names = ", ".join(columns)
        connection.execute(f"INSERT INTO {table} ({names}) VALUES ({', '.join(':' + name for name in columns)})", row)
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()
    ledger = Ledger(path, noon)
    found = await ledger.get(job.job_id)
    await ledger.aclose()
    assert found.calls[0].remote_uris == ("https://example.com/clip",)
    assert found.calls[0].samples == 1
    assert found.artifacts == (artifact,)
    assert found.profile is None


async def test_ledger_of_version_2_keeps_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    connection = sqlite3.connect(path)
    for name in ("0001_initial.sql", "0002_samples.sql"):
        connection.executescript(files("mediagen.ledger").joinpath("migrations", name).read_text(encoding="utf-8"))
    job, artifact = a_job(parent_job_id="job_before", request_id="mine"), an_artifact()
    for table, row in (
        ("jobs", job_row(job, owner="gone")),
        ("calls", {**call_row(job, job.calls[0]), "status": "succeeded"}),
        ("artifacts", artifact_rows(job.job_id, 0, [artifact])[0]),
    ):
        columns = [line[1] for line in connection.execute(f"PRAGMA table_info({table})") if line[1] in row]
        names = ", ".join(columns)
        connection.execute(f"INSERT INTO {table} ({names}) VALUES ({', '.join(':' + name for name in columns)})", row)
    connection.execute("PRAGMA user_version = 2")
    connection.commit()
    connection.close()
    ledger = Ledger(path, noon)
    found = await ledger.get(job.job_id)
    await ledger.aclose()
    assert found.chain is None
    assert (found.parent_job_id, found.request_id, found.requested) == ("job_before", "mine", job.requested)
    assert found.artifacts == (artifact,)
