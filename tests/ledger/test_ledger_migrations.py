"""A ledger of every earlier version is taken over whole, whatever happens meanwhile.

The files in ``schemas`` are frozen: dumps of ledgers as those versions wrote them. When a migration is added, the
version before it needs one, too.
"""

import sqlite3
from contextlib import closing
from decimal import Decimal
from importlib.resources import files
from pathlib import Path

import pytest
from tests.ledger.ledger_processes import StartWorker
from tests.ledger.ledger_values import MIDNIGHT, NOON, a_job, noon

from mediagen.errors import LedgerError
from mediagen.jobs import Job, JobStatus
from mediagen.ledger.ledger import Ledger


@pytest.fixture
def engine() -> str:
    return "sqlite"


SCHEMAS = Path(__file__).parent / "schemas"
OLD = sorted(int(file.stem.removeprefix("version_")) for file in SCHEMAS.glob("version_*.sql"))
CURRENT = max(
    int(script.name[:4])
    for script in files("mediagen.ledger").joinpath("migrations").iterdir()
    if script.name.endswith(".sql")
)


def old_ledger(path: Path, version: int) -> None:
    path.parent.mkdir(exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((SCHEMAS / f"version_{version}.sql").read_text(encoding="utf-8"))


def version_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def tables(path: Path) -> set[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as connection:
        return {(row[0], row[1]) for row in connection.execute("SELECT name, sql FROM sqlite_master")}


async def jobs_of(path: Path) -> dict[str, Job]:
    ledger = Ledger(path, noon)
    page = await ledger.list_jobs(limit=100)
    assert await ledger.spent(MIDNIGHT) == Decimal("1.35")
    await ledger.create(a_job())
    await ledger.aclose()
    return {job.job_id: job for job in page.jobs}


def check(jobs: dict[str, Job]) -> None:
    running, done = jobs["job_running"], jobs["job_done"]
    assert list(jobs) == ["job_unconfirmed", "job_submitting", "job_done", "job_running"]
    assert (running.status, running.calls[0].operation) == (JobStatus.RUNNING, "models/veo/operations/1")
    assert running.requested == {"prompt": "a fox 🦊"}
    assert running.created_at == NOON
    assert (done.parent_job_id, done.request_id, done.warnings) == ("job_running", "mine", ("a warning",))
    assert done.calls[0].remote_uris == ("https://example.com/clip",)
    assert done.calls[0].charge
    assert done.calls[0].charge.usd == Decimal("0.35")
    assert [made.artifact_id for made in done.artifacts] == ["art_done"]
    assert [call.status for call in jobs["job_submitting"].calls] == [JobStatus.SUBMITTING] * 2
    assert jobs["job_unconfirmed"].error
    assert jobs["job_unconfirmed"].error.billed == "unknown"


def test_every_earlier_version_is_kept_as_a_dump() -> None:
    assert set(OLD) >= set(range(1, CURRENT))


@pytest.mark.parametrize("version", OLD)
async def test_ledger_of_an_old_version_keeps_all_its_rows(path: Path, version: int) -> None:
    old_ledger(path, version)
    check(await jobs_of(path))
    assert version_of(path) == CURRENT
    fresh = Ledger(path.with_name("fresh.sqlite3"), noon)
    await fresh.open()
    await fresh.aclose()
    assert {name for name, _ in tables(path)} == {name for name, _ in tables(path.with_name("fresh.sqlite3"))}


@pytest.mark.parametrize("version", [v for v in OLD if v < CURRENT])
@pytest.mark.parametrize("statement", [1, 2, 4])
async def test_migration_that_is_killed_is_undone_and_done_by_the_next(
    path: Path, worker: StartWorker, version: int, statement: int
) -> None:
    old_ledger(path, version)
    dying = worker("migrate_and_die", str(statement))
    code = dying.process.wait(60)
    dying.kill()
    assert code == -9 or statement > 1
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        assert connection.execute("SELECT count(*) FROM jobs").fetchone()[0] == 4
    check(await jobs_of(path))
    assert not list(path.parent.glob("*damaged*"))


async def test_several_processes_that_migrate_at_once_do_it_once(path: Path, worker: StartWorker) -> None:
    old_ledger(path, 1)
    workers = [worker("first_open") for _ in range(4)]
    assert [one.read() for one in workers] == ["ready"] * 4
    for one in workers:
        one.go()
    assert [one.rest() for one in workers] == [["open"]] * 4
    check(await jobs_of(path))


@pytest.mark.parametrize("version", OLD)
async def test_damaged_ledger_of_an_old_version_is_read_as_well(path: Path, version: int) -> None:
    old_ledger(path, version)
    content = path.read_bytes()
    path.write_bytes(b"\xa5" * 4096 + content[4096:])
    check(await jobs_of(path))


async def test_ledger_of_a_later_version_is_refused_and_left_as_it_is(path: Path) -> None:
    old_ledger(path, OLD[-1])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {CURRENT + 1}")
    before = path.read_bytes()
    ledger = Ledger(path, noon)
    for work in (ledger.open, ledger.list_jobs, ledger.open_jobs):
        with pytest.raises(LedgerError) as raised:
            await work()
        assert raised.value.code == "ledger_newer"
    await ledger.aclose()
    assert path.read_bytes() == before
