"""The job ledger as the rest of the program sees it: async methods over one database."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar, Unpack

import anyio.to_thread

from mediagen.errors import JobNotFoundError
from mediagen.jobs import Artifact, Job, JobStatus, Kind
from mediagen.ledger import liveness, reading, repeats, writing
from mediagen.ledger.approvals import Approvals, not_begun
from mediagen.ledger.browsing import Browsing
from mediagen.ledger.caps import Cap, check_caps, usd
from mediagen.ledger.claims import Claims
from mediagen.ledger.engines import database_at
from mediagen.ledger.engines.base import Access, Address, Connection
from mediagen.ledger.engines.sqlite import SqliteDatabase
from mediagen.ledger.folders import Rebuild, no_records
from mediagen.ledger.leases import Leases
from mediagen.ledger.liveness import Liveness
from mediagen.ledger.owners import Owners
from mediagen.ledger.reading import Filter, Page
from mediagen.ledger.spending import Span, Spending, spending
from mediagen.ledger.traffic import Line, Traffic, traffic
from mediagen.ledger.writing import CallChanges, KeptRequest, Made, More, NewJob, Step

T = TypeVar("T")
P = ParamSpec("P")


class Ledger(Claims, Browsing, Approvals):
    """Every job and paid call that was ever begun, shared by all processes that use the same file or database.

    Opened at first use. Each method is one transaction, run in a worker thread, and durable when it returns; each
    raises LedgerError when the database is locked, read-only, full, damaged, of a newer version or out of reach.
    Whoever made the ledger calls `aclose`; a method called after that opens the database for itself alone.
    """

    def __init__(
        self,
        place: Path | Address,
        clock: Callable[[], datetime],
        *,
        lease_seconds: float | None = None,
        rebuild: Rebuild = no_records,
    ) -> None:
        """Name the database; nothing is read or written yet.

        Args:
            place: The file; its folder is made when missing, with the folder ``owners`` beside it. Or a database on
                a server.
            clock: Gives the present, aware.
            lease_seconds: How long a process that does not renew its lease keeps its jobs, instead of the usual.
            rebuild: Gives the jobs that the records in some folders tell of, should a file be lost.

        Raises:
            ConfigurationError: The address of the server cannot be used.
        """
        database = database_at(place, rebuild)
        self.lease_seconds = liveness.LEASE_SECONDS if lease_seconds is None else lease_seconds
        owners: Liveness = (
            Owners(place.parent / "owners", clock, lease_seconds=self.lease_seconds)
            if isinstance(place, Path)
            else Leases(database, lease_seconds=self.lease_seconds)
        )
        super().__init__(database, owners, clock)

    @property
    def place(self) -> str:
        """Where the ledger is, for people: path of the file or address without password."""
        return self._database.place

    async def recoveries(self) -> list[str]:
        """What is to be told of each time that the file was lost or damaged and made anew."""
        database = self._database
        return await anyio.to_thread.run_sync(database.recoveries) if isinstance(database, SqliteDatabase) else []

    async def open(self) -> None:
        """Open, check and migrate the file now instead of at first use."""
        await anyio.to_thread.run_sync(self._database.open)

    async def aclose(self) -> None:
        """Close the file and leave the jobs of this process to others."""
        await anyio.to_thread.run_sync(self._close)

    async def create(self, job: Job, **more: Unpack[More]) -> Job:
        """Take in a job before anything is sent; it then belongs to this process unless `is_own` is False.

        Args:
            job: With its calls, all of them submitting.
            more: ``caps``, limits that the job must not break, checked against all processes in the same transaction;
                ``replace_request_id``, whether to take the request_id from the job that has it, instead of returning
                that job or one of the same wish; and the others as `NewJob` has them.

        Returns:
            The job as it is kept, with the time that jobs like it took in place of the estimate that it came with, if
            any succeeded. One with another job_id when its request_id was used before, when its wish is
            being fulfilled already, or when another process has made this link of its chain.

        Raises:
            JobNotFoundError: The chain that it is to go on with was stopped; nothing was written.
            BudgetExceededError: A cap would be exceeded; nothing was written.
        """
        return await self._write(writing.create, NewJob(job=await self._listed(job), **more), self._owners)

    async def kept_request(self, job_id: str, ordinal: int) -> KeptRequest | None:
        """Read what is to be sent in a call; None once all calls of its job were sent."""
        found = await self._read(reading.kept_request, job_id, ordinal)
        return KeptRequest(api=found[0], body=found[1]) if found else None

    async def get(self, job_id: str) -> Job:
        """Read one job.

        Raises:
            JobNotFoundError: There is none of that id, or none yet (code ``not_begun``): its price is asked about.
        """
        try:
            return await self._read(reading.job, job_id)
        except JobNotFoundError:
            if asked := await self.approval(job_id):
                raise not_begun(asked) from None
            raise

    async def find_request(self, request_id: str) -> Job | None:
        """Read the job that was begun under a caller's own id, if any."""
        return await self._read(reading.request, request_id, self.principal)

    async def find_repeat(self, wish: repeats.Wish) -> Job | None:
        """Find the job that was begun for the same wish, when it is open or nobody was told how it ended.

        It takes on the caller's own id if it has none.

        Returns:
            Of a chain the first link; None when the wish is a new one.
        """
        return await self._write(repeats.find, wish)

    async def mark_delivered(self, job_id: str) -> None:
        """Keep that a caller was told how a job ended: from now on the same request asks for another."""
        await self._write(repeats.mark_delivered, job_id, self._clock())

    async def open_jobs(self, besides: Collection[str] = ()) -> list[Job]:
        """Read the jobs that have not ended, oldest first, whoever drives them; without those of some ids."""
        return await self._read(reading.open_jobs, besides)

    async def list_jobs(
        self,
        *,
        status: str | None = None,
        kind: Kind | None = None,
        query: str | None = None,
        limit: int = 20,
        cursor: str | None = None,
    ) -> Page:
        """Read some jobs, newest first.

        Args:
            status: A state, or ``open`` for all states in which something may still happen.
            kind: Only pictures or only videos.
            query: Only jobs whose prompt or id contains this; case does not matter, and no character is special.
            limit: How many, at least 1.
            cursor: `next_cursor` of the page before.

        Raises:
            InvalidRequestError: The cursor is none.
        """
        wanted = Filter(status=status, kind=kind, query=query, principal=self.principal)
        return await self._read(reading.page, wanted, limit, cursor)

    async def artifact(self, artifact_id: str) -> tuple[Artifact, Job]:
        """Read one file's record and the job that made it.

        Raises:
            JobNotFoundError: There is none of that id.
        """
        return await self._read(reading.artifact, artifact_id)

    async def files_of_content(self, sha256: str, *, limit: int = 20) -> list[tuple[Artifact, Job]]:
        """Read the records of all files that had this content when they were stored, newest job first.

        Args:
            sha256: Of the content, in lower-case hexadecimal.
            limit: How many at most.
        """
        return await self._read(reading.files_of_content, sha256, limit, self.principal)

    async def find_remote(self, file_id: str) -> tuple[Artifact, Job] | None:
        """Read the file's record and the job behind the id of a file at Google, among the latest 20,000 paid calls.

        A call that made fewer files than it was asked for may have lost the order of its addresses; it is not found
        then for those that are missing.
        """
        return await self._read(reading.remote, file_id, self.principal)

    async def record_finished(self, job: Job) -> None:
        """Take in a job that has ended already, with its calls and files: what was made on this machine.

        It belongs to no process, and no cap is asked: what costs nothing breaks none.
        """
        await self._write(writing.record_finished, await self._listed(job))

    async def update_call(
        self,
        job_id: str,
        ordinal: int,
        *,
        expected: JobStatus,
        fence: int | None = None,
        attempt: str | None = None,
        **changes: Unpack[CallChanges],
    ) -> bool:
        """Change a paid call if it is still in the expected state.

        Args:
            job_id: Of its job.
            ordinal: Its place in the job.
            expected: State that the change starts from.
            fence: Claim under which the step was begun; a later claim of the job then keeps it from changing anything.
            attempt: Token under which the call was sent; another one keeps it from changing anything.
            changes: New values.

        Returns:
            False, with nothing changed, when another has moved it on.

        Raises:
            JobNotFoundError: No such job or call.
        """
        step = Step(
            job_id=job_id,
            ordinal=ordinal,
            expected=expected,
            changes=changes,
            now=self._clock(),
            fence=fence,
            attempt=attempt,
        )
        return await self._write(writing.take, step) is not None

    async def store_artifacts(self, job_id: str, ordinal: int, **made: Unpack[Made]) -> Job | None:
        """Record the files of a paid call and end the call as succeeded, all or nothing.

        Args:
            job_id: Of its job.
            ordinal: Its place in the job.
            made: ``expected``, the state that the change starts from; ``artifacts``, the files; ``attempt``, the token
                under which the call was sent, another of which keeps it from changing anything; other new values.

        Returns:
            The job as it is then; None, with nothing changed, when another has moved the call on.

        Raises:
            JobNotFoundError: No such job or call.
        """
        return await self._write(writing.take, self._last_step(job_id, ordinal, **made))

    def store_artifacts_here(self, job_id: str, ordinal: int, **made: Unpack[Made]) -> Job | None:
        """Do as `store_artifacts` for who is in a thread, in a transaction of its own. Blocking."""
        step = self._last_step(job_id, ordinal, **made)
        return self._transact(lambda connection: writing.take(connection, step), Access.EXCLUSIVE)

    def _last_step(
        self,
        job_id: str,
        ordinal: int,
        *,
        expected: JobStatus,
        artifacts: Sequence[Artifact],
        attempt: str | None = None,
        **changes: Unpack[CallChanges],
    ) -> Step:
        return Step(
            job_id=job_id,
            ordinal=ordinal,
            expected=expected,
            changes={**changes, "status": JobStatus.SUCCEEDED},
            now=self._clock(),
            artifacts=tuple(artifacts),
            attempt=attempt,
        )

    async def reopen(self, job_id: str, ordinal: int, *, expected: JobStatus, **changes: Unpack[CallChanges]) -> bool:
        """Let a call of a job that has ended go on after all; whoever claims the job drives it.

        Returns:
            False, with nothing changed, when the job is open or the call is not in the expected state.

        Raises:
            JobNotFoundError: No such job or call.
        """
        step = Step(job_id=job_id, ordinal=ordinal, expected=expected, changes=changes, now=self._clock())
        return await self._write(writing.reopen, step)

    async def unsettled(self, since: datetime) -> list[Job]:
        """Read the jobs created since a moment of which a call is unconfirmed, or was given up as not made."""
        return await self._read(reading.unsettled, since)

    async def job_of_operation(self, operation: str) -> str | None:
        """Id of the job that follows an operation of Google's, if any does."""
        return await self._read(reading.job_of_operation, operation)

    async def chain(self, chain_id: str) -> list[Job]:
        """Read the links of a chain that are made so far, in their order."""
        return await self._read(reading.chain, chain_id)

    async def next_link(self, job: Job) -> Job | None:
        """Read the link that goes on from this one, if it is made already."""
        if job.chain is None:
            return None
        return await self._read(reading.link, job.chain.chain_id, job.chain.link + 1)

    async def interrupted_links(self, since: datetime) -> list[Job]:
        """Read the links that succeeded since a moment and after which the next one is still to be made."""
        return await self._read(reading.interrupted_links, since)

    async def stop_chain(self, job_id: str, reason: str) -> bool:
        """Let no link follow this one, for good.

        Returns:
            False, with nothing changed, when one follows already, when it is the last or when that is said already.
        """
        return await self._write(writing.stop_chain, job_id, reason)

    async def traffic(self, line: Line, since: datetime) -> Traffic:
        """Read when calls of a model left since a moment, whoever made them, and which of them were too many."""
        return await self._read(traffic, line, since)

    async def spent(self, since: datetime, profile: str | None = None) -> Decimal:
        """What jobs created since a moment cost or may cost, in US dollars, counted as the caps count it.

        Args:
            since: The moment (aware).
            profile: Whose jobs alone count; None is those of all.
        """
        return usd(await self._read(reading.counted_since, since, profile))

    async def check_caps(self, job: Job, caps: Sequence[Cap], *, whole_usd: Decimal | None = None) -> None:
        """Look whether a job would be taken in now; nothing is reserved, so `create` looks again.

        Args:
            job: As it would be given to `create`.
            caps: The same.
            whole_usd: The same.

        Raises:
            BudgetExceededError: A cap would be exceeded.
        """

        def check(connection: Connection) -> None:
            check_caps(job, caps, counted_since=partial(reading.counted_since, connection), whole_usd=whole_usd)

        if caps:
            await self._read(check)

    async def spending(self, span: Span) -> list[Spending]:
        """Read where the money of a span went; the parts of all groups add up to what the caps count."""
        return await self._read(spending, span, self.principal)

    async def _listed(self, job: Job) -> Job:
        """The same job, its folder being listed where a lost file is rebuilt from."""
        database = self._database
        if isinstance(database, SqliteDatabase) and not database.folders.is_known(job.output_dir):
            await self.open()  # a list without a ledger would say that there was one
            await anyio.to_thread.run_sync(database.folders.remember, [job.output_dir])
        return job

    def _close(self) -> None:
        self._owners.close()
        self._database.close()
