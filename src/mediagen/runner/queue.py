"""A queue of hints in PostgreSQL: which job should be looked at, and when. Procrastinate keeps it.

It never decides whether something is paid: a hint that is lost, doubled, or run by a worker that was given up does no
harm, because `Advancer` claims the job and the ledger gives each paid attempt once. So it needs neither retries nor
locks, and what it forgets is found again in the ledger.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import anyio

from mediagen.errors import LedgerError

if TYPE_CHECKING:
    from procrastinate import App

logger = logging.getLogger(__name__)
# They tell each attempt to connect, and failures with traceback; what fails is told by us, once and in words.
for _name in ("psycopg.pool", "procrastinate"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)

NAME = "mediagen"
TASK = "mediagen.advance"
# As for the ledger: who waits longer than this for the database is told so.
CONNECT_SECONDS = 15.0
POLLING_SECONDS = 1.0
STALLED_SECONDS = 300.0
# Two processes that make the tables at once would fail: CREATE … IF NOT EXISTS does not wait for the other.
SCHEMA_LOCK = 0x6D65646971  # "mediaq"

Look = Callable[[str], Awaitable[None]]


class HintQueue:
    """The queue of one database, while it is entered; connected to when it is first needed."""

    def __init__(self, conninfo: str) -> None:
        """Name the database; nothing is connected yet.

        Args:
            conninfo: Address of the ledger's database; may hold a password.
        """
        self._conninfo = conninfo
        self._app: App | None = None
        self._look: Look | None = None
        self._opening = anyio.Lock()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._app = None
        await self._stack.aclose()

    async def look_at(self, job_id: str, at: datetime | None = None) -> None:
        """Have some worker advance a job, not before `at`.

        Raises:
            LedgerError: It is not noted; the ledger brings it up again.
        """
        with _translated():
            app = await self._opened()
            await app.configure_task(TASK, queue=NAME, schedule_at=at).defer_async(job_id=job_id)

    async def work(self, look: Look, stop: anyio.Event, *, concurrency: int) -> None:
        """Call `look` for each hint whose time has come, until `stop` is set or this is cancelled.

        Args:
            look: Takes a job id; must not raise. Cancelled at the end wherever it is.
            stop: Takes no further hint once it is set.
            concurrency: How many jobs are looked at side by side.

        Raises:
            LedgerError: The database is gone.
        """
        self._look = look
        with _translated():
            app = await self._opened()
        worker = asyncio.ensure_future(
            app.run_worker_async(
                queues=[NAME],
                name=NAME,
                concurrency=concurrency,
                fetch_job_polling_interval=POLLING_SECONDS,
                shutdown_graceful_timeout=0,
                delete_jobs="always",
                install_signal_handlers=False,
            )
        )
        stopped = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({worker, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            worker.cancel()
            with anyio.CancelScope(shield=True), _translated(), contextlib.suppress(asyncio.CancelledError):
                await worker

    async def forget_stalled(self) -> None:
        """Remove hints whose worker is gone; the jobs themselves are found in the ledger.

        Raises:
            LedgerError: The database cannot be asked.
        """
        from procrastinate.jobs import Status

        with _translated():
            manager = (await self._opened()).job_manager
            for hint in await manager.get_stalled_jobs(queue=NAME, seconds_since_heartbeat=STALLED_SECONDS):
                if hint.id is not None:
                    await manager.finish_job_by_id_async(hint.id, status=Status.FAILED, delete_job=True)

    async def _looked_at(self, job_id: str) -> None:
        assert self._look is not None
        await self._look(job_id)

    async def _opened(self) -> "App":
        async with self._opening:
            if self._app is None:
                self._app = await self._open()
            return self._app

    async def _open(self) -> "App":
        from procrastinate import App, PsycopgConnector

        connector = PsycopgConnector(
            conninfo=self._conninfo, min_size=1, timeout=CONNECT_SECONDS, kwargs={"application_name": NAME}
        )
        app = App(connector=connector)
        app.task(name=TASK, queue=NAME, retry=False)(self._looked_at)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(app.open_async())
            await _make_tables(app)
            # It stays open only when all of it worked.
            self._stack.push_async_exit(stack.pop_all())
        return app


async def _make_tables(app: "App") -> None:
    from procrastinate import PsycopgConnector
    from procrastinate.schema import SchemaManager

    assert isinstance(app.connector, PsycopgConnector)
    async with app.connector.pool.connection() as connection, connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", [SCHEMA_LOCK])
        found: Any = await (await connection.execute("SELECT to_regclass('procrastinate_jobs') AS name")).fetchone()
        if found["name"] is None if isinstance(found, dict) else found[0] is None:
            await connection.execute(SchemaManager.get_schema())


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Turn failures of the queue into ours; their text may hold the address of the database.

    Raises:
        LedgerError: Says what kind of failure it was.
    """
    import psycopg
    import psycopg_pool
    from procrastinate.exceptions import ProcrastinateException

    try:
        yield
    except (ProcrastinateException, psycopg.Error, psycopg_pool.PoolTimeout, OSError) as error:
        raise LedgerError(
            f"The queue in the ledger's database cannot be used ({type(error).__name__}).",
            hint="Look whether the database runs and can be reached; what was begun goes on by itself then.",
            code="ledger_unreachable",
            retryable=True,
        ) from error
