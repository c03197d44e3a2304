"""What happens to the ledger when PostgreSQL is busy, goes away or is asked in the wrong way."""

from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import psycopg
import pytest
from tests.ledger.ledger_proxy import Proxy
from tests.ledger.ledger_values import MIDNIGHT, a_job, an_artifact, noon, postgresql_only
from tests.postgresql import Server

from mediagen.errors import BudgetExceededError, LedgerError
from mediagen.jobs import JobStatus
from mediagen.ledger import queries
from mediagen.ledger.caps import Cap
from mediagen.ledger.engines import postgresql as engine_module
from mediagen.ledger.engines.base import Access, Address
from mediagen.ledger.engines.postgresql import PostgresDatabase
from mediagen.ledger.ledger import Ledger

pytestmark = [pytest.mark.usefixtures("engine"), postgresql_only]

COMMIT = b"COMMIT\0"  # not COMMITTED


async def test_statement_that_failed_unseen_does_not_pass_for_written(ledger: Ledger) -> None:
    await ledger.open()

    def write() -> None:
        with ledger._database.transaction(Access.EXCLUSIVE) as connection:
            connection.execute("INSERT INTO meta (name, value) VALUES ('x', 'y')")
            with pytest.raises(psycopg.Error):
                connection.execute("SELECT nothing")

    with pytest.raises(LedgerError):
        await anyio.to_thread.run_sync(write)


async def test_lock_that_is_held_too_long_is_told(
    ledger: Ledger, raw: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    await ledger.open()
    monkeypatch.setattr(engine_module, "LIMITS", "; SET LOCAL lock_timeout = '50ms'")
    with raw.transaction():
        raw.execute("SELECT pg_advisory_xact_lock(%s)", [engine_module.LOCK])
        with pytest.raises(LedgerError) as refused:
            await ledger.create(a_job())
        assert (refused.value.code, refused.value.retryable) == ("ledger_locked", True)
        assert await ledger.open_jobs() == []
    await ledger.create(a_job())


async def test_stopped_process_loses_the_lock_and_nothing_is_written(
    ledger: Ledger, raw: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    await ledger.open()
    limits = "; SET LOCAL idle_in_transaction_session_timeout = '50ms'"

    def stop_within() -> None:
        with ledger._database.transaction(Access.EXCLUSIVE) as connection:
            connection.execute("INSERT INTO meta (name, value) VALUES ('x', 'y')")
            raw.execute("SELECT pg_advisory_xact_lock(%s)", [engine_module.LOCK])

    with monkeypatch.context() as patched:
        patched.setattr(engine_module, "LIMITS", limits)
        with pytest.raises(LedgerError) as lost:
            await anyio.to_thread.run_sync(stop_within)
    assert lost.value.code == "ledger_interrupted"
    assert raw.execute("SELECT count(*) FROM meta WHERE name = 'x'").fetchone() == (0,)
    await ledger.create(a_job())


async def test_write_without_the_right_to_write_says_so(ledger: Ledger, raw: psycopg.Connection[Any]) -> None:
    await ledger.open()
    raw.execute("CREATE ROLE reader_only")
    raw.execute("GRANT SELECT ON ALL TABLES IN SCHEMA pg_catalog TO reader_only")

    def write() -> None:
        with ledger._database.transaction(Access.EXCLUSIVE) as connection:
            connection.execute("SET LOCAL ROLE reader_only")
            connection.execute("UPDATE jobs SET note = NULL")

    with pytest.raises(LedgerError) as refused:
        await anyio.to_thread.run_sync(write)
    raw.execute("REVOKE ALL ON ALL TABLES IN SCHEMA pg_catalog FROM reader_only; DROP ROLE reader_only")
    assert refused.value.code in {"ledger_read_only", "ledger_foreign"}


@pytest.fixture
def proxied(address: Address, postgresql: Server) -> Iterator[tuple[Ledger, Proxy]]:
    with Proxy(postgresql.folder / ".s.PGSQL.5432") as proxy:
        url = address.url.replace(str(postgresql.folder).replace("/", "%2F"), str(proxy.folder).replace("/", "%2F"))
        assert url != address.url
        yield Ledger(Address(url=url, state_folder=address.state_folder), noon), proxy


@pytest.mark.parametrize("reaches_the_server", [True, False])
async def test_connection_lost_at_commit_writes_once(
    reaches_the_server: bool, proxied: tuple[Ledger, Proxy], raw: psycopg.Connection[Any]
) -> None:
    ledger, proxy = proxied
    await ledger.open()
    proxy.cut_at(COMMIT, forward=reaches_the_server)
    job = await ledger.create(a_job())
    assert proxy.cuts == 1
    assert raw.execute("SELECT job_id FROM jobs").fetchall() == [(job.job_id,)]
    proxy.cut_at(COMMIT, forward=reaches_the_server)
    # Of one that was told "False" the caller would think that somebody else had moved the call on.
    assert await ledger.update_call(job.job_id, 0, expected=JobStatus.SUBMITTING, status=JobStatus.RUNNING)
    assert proxy.cuts == 2
    await ledger.aclose()


async def test_connection_lost_at_commit_with_nobody_to_ask_is_told(proxied: tuple[Ledger, Proxy]) -> None:
    ledger, proxy = proxied
    await ledger.open()
    assert isinstance(ledger._database, PostgresDatabase)
    ledger._database._pool._reconnect_seconds = 0.1
    proxy.cut_at(COMMIT, forward=True, refuse_afterwards=True)
    with pytest.raises(LedgerError, match="not known whether") as undecided:
        await ledger.create(a_job())
    assert (undecided.value.code, undecided.value.retryable) == ("ledger_undecided", False)


async def test_connection_lost_within_a_write_is_repeated(proxied: tuple[Ledger, Proxy]) -> None:
    ledger, proxy = proxied
    await ledger.open()
    proxy.cut_at(b"INSERT INTO calls", forward=False)
    job = await ledger.create(a_job())
    assert proxy.cuts == 1
    assert await ledger.open_jobs() == [job]
    await ledger.aclose()


async def test_restart_of_the_server_during_work_loses_nothing(tmp_path: Path) -> None:
    server = Server()
    try:
        ledger = Ledger(Address(url=server.new_schema(), state_folder=tmp_path / "state"), noon)
        made: list[str] = []
        stopped = anyio.Event()

        async def work() -> None:
            while not stopped.is_set():
                job = await ledger.create(a_job())
                assert await ledger.store_artifacts(
                    job.job_id, 0, expected=JobStatus.SUBMITTING, artifacts=[an_artifact()]
                )
                made.append(job.job_id)

        with anyio.fail_after(120):
            async with anyio.create_task_group() as group:
                for _ in range(4):
                    group.start_soon(work)
                for _ in range(2):
                    before = len(made)
                    while len(made) < before + 8:
                        await anyio.sleep(0.01)
                    await anyio.to_thread.run_sync(server.stop)
                    await anyio.to_thread.run_sync(server.start)
                before = len(made)
                while len(made) < before + 8:
                    await anyio.sleep(0.01)
                stopped.set()
        page = await ledger.list_jobs(limit=len(made) + 10)
        assert sorted(job.job_id for job in page.jobs) == sorted(made)
        assert {job.status for job in page.jobs} == {JobStatus.SUCCEEDED}
        await ledger.aclose()
    finally:
        server.close()


HOLD_LOCK = f"SELECT pg_advisory_xact_lock({engine_module.LOCK})"
HOLD_INSERTS = "LOCK TABLE jobs IN SHARE ROW EXCLUSIVE MODE"
REPEATABLE = {**engine_module.BEGIN, Access.EXCLUSIVE: "BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE"}


@pytest.fixture
async def six(address: Address) -> AsyncIterator[list[Ledger]]:
    # Whatever isolation the database prefers.
    url = address.url + "%20-cdefault_transaction_isolation%3Dserializable"
    ledgers = [Ledger(Address(url=url, state_folder=address.state_folder), noon) for _ in range(6)]
    for ledger in ledgers:
        await ledger.open()
    yield ledgers
    for ledger in ledgers:
        await ledger.aclose()


async def _admitted(ledgers: list[Ledger], raw: psycopg.Connection[Any], hold: str) -> int:
    """How many of several at once are let through where one fits; they meet at something that is held."""
    cap = Cap(name="MEDIAGEN_MAX_USD_PER_DAY", limit_usd=Decimal("0.50"), since=MIDNIGHT)
    admitted = 0

    async def one(ledger: Ledger) -> None:
        nonlocal admitted
        try:
            await ledger.create(a_job(usd="0.37"), caps=[cap])
            admitted += 1
        except BudgetExceededError:
            pass

    async with anyio.create_task_group() as group:
        with raw.transaction(), anyio.fail_after(60):
            raw.execute(hold.encode())
            for ledger in ledgers:
                group.start_soon(one, ledger)
            while raw.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() != (len(ledgers),):
                await anyio.sleep(0.01)
    return admitted


@pytest.mark.parametrize("hold", [HOLD_LOCK, HOLD_INSERTS])
async def test_one_of_six_that_ask_at_once_gets_the_last_of_a_cap(
    hold: str, six: list[Ledger], raw: psycopg.Connection[Any]
) -> None:
    assert await _admitted(six, raw, hold) == 1


async def test_cap_without_the_lock_is_broken(
    six: list[Ledger], raw: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """This and the next two show that the one before can fail."""
    monkeypatch.setattr(engine_module, "TAKE_LOCK", "")
    assert await _admitted(six, raw, HOLD_INSERTS) == len(six)


async def test_cap_with_a_snapshot_older_than_the_lock_is_broken(
    six: list[Ledger], raw: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "BEGIN", REPEATABLE)
    assert await _admitted(six, raw, HOLD_LOCK) == len(six)


async def test_cap_with_the_lock_in_the_statement_of_the_sum_is_broken(
    six: list[Ledger], raw: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "TAKE_LOCK", "")
    locking = f"SELECT (SELECT coalesce(sum(counted_microusd), 0) FROM calls WHERE created_at >= :since), ({HOLD_LOCK})"
    monkeypatch.setattr(queries, "SUM_COUNTED", locking)
    assert await _admitted(six, raw, HOLD_LOCK) == len(six)
