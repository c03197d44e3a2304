"""What is special to PostgreSQL: its version of the tables, its locks, its clock, and connections that get lost."""

import re
import sqlite3
from contextlib import closing
from importlib.resources import files
from pathlib import Path
from typing import Any

import anyio
import psycopg
import pytest
from tests.ledger.ledger_processes import StartWorker
from tests.ledger.ledger_values import NOON, a_job, noon, postgresql_only
from tests.postgresql import Server

from mediagen.errors import ConfigurationError, LedgerError
from mediagen.jobs import JobStatus
from mediagen.ledger import queries
from mediagen.ledger.engines.address import target
from mediagen.ledger.engines.base import Access, Address
from mediagen.ledger.engines.dialect import translated
from mediagen.ledger.engines.postgresql_schema import migrations
from mediagen.ledger.leases import Leases
from mediagen.ledger.ledger import Ledger

pytestmark = [pytest.mark.usefixtures("engine"), postgresql_only]

ONLY_HERE = {"meta", "writers", "schema_version"}


def _sqlite_columns() -> dict[str, set[tuple[str, bool]]]:
    scripts = sorted(files("mediagen.ledger").joinpath("migrations").iterdir(), key=lambda script: script.name)
    with closing(sqlite3.connect(":memory:")) as connection:
        for script in scripts:
            if script.name.endswith(".sql"):
                connection.executescript(script.read_text(encoding="utf-8"))
        tables = [
            row[0]
            for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if not row[0].startswith("sqlite_")
        ]
        return {
            table: {(row[1], bool(row[3] or row[5])) for row in connection.execute(f"PRAGMA table_info({table})")}
            for table in tables
        }


async def test_tables_have_the_same_columns_as_those_of_sqlite(ledger: Ledger, raw: psycopg.Connection[Any]) -> None:
    await ledger.open()
    found: dict[str, set[tuple[str, bool]]] = {}
    for table, column, nullable in raw.execute(
        "SELECT table_name, column_name, is_nullable FROM information_schema.columns"
        " WHERE table_schema = current_schema()"
    ):
        found.setdefault(table, set()).add((column, nullable == "NO"))
    assert {table: columns for table, columns in found.items() if table not in ONLY_HERE} == _sqlite_columns()


async def test_every_statement_of_the_ledger_is_understood(ledger: Ledger) -> None:
    statements = [
        statement
        for statement in vars(queries).values()
        if isinstance(statement, str)
        and statement.lstrip().startswith(("SELECT", "INSERT", "UPDATE", "DELETE"))
        and statement != queries.COUNT_TABLES
    ]
    statements += [queries.spending(key) for key in queries.SPENDING_KEYS]
    statements += [
        queries.list_jobs(status=status, kind=kind, query=query)
        for status in (None, "open", "running")
        for kind in (None, "video")
        for query in (None, "x")
    ]
    assert len(statements) >= 40

    class Nothing(dict[str, Any]):
        def __missing__(self, key: str) -> Any:
            return False if key == "with_free" else None

    def explain() -> None:
        with ledger._database.transaction(Access.EXCLUSIVE) as connection:
            for statement in statements:
                names = {name: Nothing()[name] for name in _names(statement)}
                assert connection.execute(f"EXPLAIN {statement}", names).fetchone(), statement

    await anyio.to_thread.run_sync(explain)


def _names(statement: str) -> list[str]:
    return re.findall(r"%\((\w+)\)s", translated(statement))


async def test_many_threads_open_one_empty_schema_at_once(address: Address, worker: StartWorker) -> None:
    openers = [worker("first_open") for _ in range(3)]
    assert [one.read() for one in openers] == ["ready"] * 3
    for one in openers:
        one.go()
    assert [one.read() for one in openers] == ["open"] * 3


async def test_schema_of_version_4_keeps_its_jobs(
    address: Address, raw: psycopg.Connection[Any], ledger: Ledger
) -> None:
    raw.execute(migrations()[4].encode())
    raw.execute("UPDATE schema_version SET version = 4")
    row = {
        "job_id": "job_1", "kind": "video", "mode": "text_to_video", "backend": "gemini", "endpoint": "gemini",
        "base_url": "https://example.com", "model": "veo", "status": "submitting", "created_at": NOON.isoformat(),
        "updated_at": NOON.isoformat(), "output_dir": "/out", "estimated_seconds": 1.5, "folded_prompt": "",
        "requested": "{}", "effective": "{}", "origins": "{}", "adjustments": "[]", "warnings": "[]",
        "input_files": "{}",
        "quote": '{"usd": "1", "min_usd": "1", "max_usd": "1", "basis": "", "as_of": "", "source": "", '
        '"certainty": "published"}',
    }  # fmt: skip
    raw.execute(
        f"INSERT INTO jobs ({', '.join(row)}) VALUES ({', '.join(['%s'] * len(row))})".encode(), [*row.values()]
    )
    raw.execute(
        "INSERT INTO calls (job_id, ordinal, status, remote_uris, created_at, counted_microusd, warnings)"
        " VALUES ('job_1', 0, 'submitting', '[]', %s, 1000000, '[]')",
        [NOON.isoformat()],
    )
    job = await ledger.get("job_1")
    assert (job.model, job.estimated_seconds, job.calls[0].status) == ("veo", 1.5, JobStatus.SUBMITTING)
    assert raw.execute("SELECT attempt FROM calls").fetchone() == ("unknown",)
    assert raw.execute("SELECT version FROM schema_version").fetchone() == (max(migrations()),)


async def test_newer_tables_are_refused_by_name(ledger: Ledger, raw: psycopg.Connection[Any]) -> None:
    await ledger.open()
    raw.execute("UPDATE schema_version SET version = 99")
    await ledger.aclose()
    with pytest.raises(LedgerError, match="version 99, newer than") as refused:
        await ledger.open_jobs()
    assert refused.value.code == "ledger_newer"


async def test_tables_of_something_else_are_left_alone(ledger: Ledger, raw: psycopg.Connection[Any]) -> None:
    raw.execute("CREATE TABLE jobs (id INTEGER)")
    with pytest.raises(LedgerError) as refused:
        await ledger.open()
    assert refused.value.code == "ledger_foreign"
    assert raw.execute("SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()").fetchone() == (1,)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:geheim word@host/db",
        "postgresql://user:geheim@[::1/db",
        "postgresql://user:geheim%zz@host/db",
        "postgresql://user:geheim@host/db?nonsense=geheim",
    ],
)
def test_address_that_is_none_is_refused_without_its_password(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="MEDIAGEN_DATABASE_URL cannot be read") as refused:
        Ledger(Address(url=url, state_folder=tmp_path), noon)
    assert "geheim" not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(
    "url", ["postgresql://u:geheim@127.0.0.1:1/db", "postgresql://u@127.0.0.1:1/db?password=geheim"]
)
async def test_server_that_is_not_there_is_named_without_the_password(url: str, tmp_path: Path) -> None:
    ledger = Ledger(Address(url=url, state_folder=tmp_path), noon)
    with pytest.raises(LedgerError, match=r"postgresql://127\.0\.0\.1:1/db, cannot be reached") as refused:
        await ledger.open()
    assert (refused.value.code, refused.value.retryable) == ("ledger_unreachable", True)
    for text in (str(refused.value), str(refused.value.__cause__), ledger.place, repr(target(url))):
        assert "geheim" not in text
    assert "geheim" not in repr(Address(url=url, state_folder=tmp_path))


async def test_process_with_another_state_folder_is_refused(address: Address, ledger: Ledger, tmp_path: Path) -> None:
    await ledger.create(a_job())
    beside = Ledger(address, noon)
    assert len(await beside.open_jobs()) == 1
    await beside.aclose()
    strange = Ledger(Address(url=address.url, state_folder=tmp_path / "elsewhere"), noon)
    with pytest.raises(ConfigurationError, match="MEDIAGEN_STATE_DIR") as refused:
        await strange.open_jobs()
    assert refused.value.code == "state_folder_differs"
    assert not (tmp_path / "elsewhere").exists()
    (tmp_path / "elsewhere" / "spool").mkdir(parents=True)
    (tmp_path / "elsewhere" / "spool" / "id").write_text("another", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="holds 'another' there"):
        await strange.open_jobs()
    (tmp_path / "elsewhere" / "spool" / "id").write_text(
        (address.state_folder / "spool" / "id").read_text(encoding="utf-8"), encoding="utf-8"
    )
    assert len(await strange.open_jobs()) == 1
    await strange.aclose()


async def test_state_folder_serves_a_new_database_too(ledger: Ledger, address: Address, postgresql: Server) -> None:
    await ledger.open()
    moved = Ledger(Address(url=postgresql.new_schema(), state_folder=address.state_folder), noon)
    await moved.open()
    await moved.aclose()


async def test_lease_that_is_not_renewed_lets_others_claim(address: Address) -> None:
    short, other = Ledger(address, noon, lease_seconds=0.2), Ledger(address, noon)
    job = await short.create(a_job())
    assert not await other.claim(job.job_id)
    with anyio.fail_after(60):
        while not await other.claim(job.job_id):
            await anyio.sleep(0.02)
    await short.renew()
    assert not await short.claim(job.job_id)
    await short.aclose()
    await other.aclose()


async def test_lease_that_is_renewed_keeps_the_job(address: Address) -> None:
    short, other = Ledger(address, noon, lease_seconds=3), Ledger(address, noon)
    job = await short.create(a_job())
    for _ in range(5):
        await anyio.sleep(0.02)
        await short.renew()
        assert not await other.claim(job.job_id)
    await short.aclose()
    assert await other.claim(job.job_id)
    await other.aclose()


async def test_lease_is_measured_when_it_is_written_and_not_when_its_transaction_began(
    ledger: Ledger, raw: psycopg.Connection[Any]
) -> None:
    await ledger.open()
    leases = Leases(ledger._database, lease_seconds=30)

    def renew_late() -> None:
        with ledger._database.transaction(Access.EXCLUSIVE) as connection:
            connection.execute("SELECT pg_sleep(0.3)")
            leases.register(connection)

    await anyio.to_thread.run_sync(renew_late)
    left = raw.execute("SELECT extract(epoch FROM expires_at - clock_timestamp()) FROM owners").fetchone()
    assert left
    assert left[0] > 29.85


async def test_killed_process_leaves_its_jobs_once_its_lease_is_over(
    ledger: Ledger, worker: StartWorker, raw: psycopg.Connection[Any]
) -> None:
    owner = worker("own")
    job_id = owner.read()
    owner.kill()
    assert not await ledger.claim(job_id)
    raw.execute("UPDATE owners SET expires_at = clock_timestamp()")
    assert await ledger.claim(job_id)


async def test_nul_in_a_prompt_is_kept_and_in_a_name_refused(ledger: Ledger) -> None:
    job = await ledger.create(a_job(prompt="a\0fox"))
    assert (await ledger.get(job.job_id)).requested == {"prompt": "a\0fox"}
    assert (await ledger.list_jobs(query="afox")).jobs == (job,)
    with pytest.raises(LedgerError, match="cannot be written"):
        await ledger.create(a_job(output_name="a\0b"))
