"""The job ledger as the rest of the program sees it: async methods over one database."""

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar, Unpack

import anyio.to_thread

from mediagen.errors import LedgerError
from mediagen.jobs import Artifact, Job, JobError, JobStatus, Kind
from mediagen.ledger import liveness, reading, writing
from mediagen.ledger.caps import usd
from mediagen.ledger.engines import database_at
from mediagen.ledger.engines.base import INTERRUPTED, Access, Address, Connection
from mediagen.ledger.engines.sqlite import SqliteDatabase
from mediagen.ledger.folders import Rebuild, no_records
from mediagen.ledger.leases import Leases
from mediagen.ledger.liveness import Liveness
from mediagen.ledger.owners import Owners
from mediagen.ledger.reading import Filter, Page
from mediagen.ledger.spending import Span, Spending, spending
from mediagen.ledger.writing import CallChanges, KeptRequest, More, NewJob, Step

REPEATS = 2  # a server that is going down may cut a second connection

T = TypeVar("T")
P = ParamSpec("P")


class Ledger:
    """Every job and paid call that was ever begun, shared by all processes that use the same file or database.

    Opened at first use. Each method is one transaction, run in a worker thread, and durable when it returns; each
    raises LedgerError when the database is locked, read-only, full, damaged, of a newer version or out of reach.
    Whoever made the ledger calls `aclose`; a method called after that opens the database again.
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
        self._clock = clock
        self._database = database_at(place, rebuild)
        self.lease_seconds = liveness.LEASE_SECONDS if lease_seconds is None else lease_seconds
        self._owners: Liveness = (
            Owners(place.parent / "owners", clock, lease_seconds=self.lease_seconds)
            if isinstance(place, Path)
            else Leases(self._database, lease_seconds=self.lease_seconds)
        )

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
                that job; and the others as `NewJob` has them.

        Returns:
            The job as it is kept; one with another job_id when its request_id was used before, or when another
            process has made this link of its chain.

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
            JobNotFoundError: There is none of that id.
        """
        return await self._read(reading.job, job_id)

    async def find_request(self, request_id: str) -> Job | None:
        """Read the job that was begun under a caller's own id, if any."""
        return await self._read(reading.request, request_id)

    async def open_jobs(self) -> list[Job]:
        """Read all jobs that have not ended, oldest first, whoever drives them."""
        return await self._read(reading.open_jobs)

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
        return await self._read(reading.page, Filter(status=status, kind=kind, query=query), limit, cursor)

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
        return await self._read(reading.files_of_content, sha256, limit)

    async def find_remote(self, file_id: str) -> tuple[Artifact, Job] | None:
        """Read the file's record and the job behind the id of a file at Google, among the latest 20,000 paid calls.

        A call that made fewer files than it was asked for may have lost the order of its addresses; it is not found
        then for those that are missing.
        """
        return await self._read(reading.remote, file_id)

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
        return await self._write(writing.take, step)

    async def store_artifacts(
        self,
        job_id: str,
        ordinal: int,
        *,
        expected: JobStatus,
        artifacts: Sequence[Artifact],
        fence: int | None = None,
        **changes: Unpack[CallChanges],
    ) -> bool:
        """Record the files of a paid call and end the call as succeeded, all or nothing.

        Returns:
            False, with nothing changed, when another has moved the call on.

        Raises:
            JobNotFoundError: No such job or call.
        """
        step = Step(
            job_id=job_id,
            ordinal=ordinal,
            expected=expected,
            changes={**changes, "status": JobStatus.SUCCEEDED},
            now=self._clock(),
            artifacts=tuple(artifacts),
            fence=fence,
        )
        return await self._write(writing.take, step)

    async def end_unsent(self, job: Job, ordinal: int, *, status: JobStatus, error: JobError) -> bool:
        """End a call of which certainly nothing was sent.

        Returns:
            False, with nothing changed, when it may have been sent by now or somebody else drives the job.
        """
        step = Step(
            job_id=job.job_id,
            ordinal=ordinal,
            expected=JobStatus.SUBMITTING,
            changes={"status": status, "error": error},
            now=self._clock(),
            fence=job.fence,
            is_unsent=True,
        )
        return await self._write(writing.take, step)

    async def begin_attempt(self, job: Job, ordinal: int, attempt: str) -> bool:
        """Take the right to send a call, under the claim that `job` was read with.

        Returns:
            False when somebody has sent it, may have sent it, or drives the job by now.
        """
        return await self._write(writing.begin_attempt, job, ordinal, attempt)

    async def take_back_attempt(self, job: Job, ordinal: int, attempt: str) -> bool:
        """Free a call to be sent; only for who knows that nothing was accepted under the token.

        Returns:
            False when it was another's, or somebody else drives the job by now.
        """
        return await self._write(writing.take_back_attempt, job, ordinal, attempt)

    async def overdue(self, before: datetime) -> list[str]:
        """Find the open jobs whose next step was due before a moment and that nobody alive drives, oldest first."""
        return await self._write(writing.overdue, before, self._owners)

    async def hand_back(self, job: Job) -> bool:
        """Leave a job to whoever claims it next, with its `due_at`, `note` and `failures`.

        Returns:
            False when somebody else has claimed it by now.
        """
        return await self._write(writing.hand_back, job)

    async def note(self, job: Job) -> bool:
        """Write down the `note` and `failures` of a job that this process drives.

        Returns:
            False when somebody else has claimed it by now.
        """
        return await self._write(writing.note, job)

    async def claim(self, job_id: str) -> Job | None:
        """Take over an open job whose process is gone, or does not go on with it.

        Returns:
            The job for exactly one of all that ask; None when it has ended or belongs to a living process, this one
            included.

        Raises:
            JobNotFoundError: There is none of that id.
        """
        return await self._write(writing.claim, job_id, self._owners)

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

    async def claim_chain(self, job_id: str) -> bool:
        """Take over the going on after a link whose process is gone.

        Returns:
            True when this process is the one to make the next link.

        Raises:
            JobNotFoundError: There is none of that id.
        """
        return await self._write(writing.claim_chain, job_id, self._owners)

    async def stop_chain(self, job_id: str, reason: str) -> bool:
        """Let no link follow this one, for good.

        Returns:
            False, with nothing changed, when one follows already, when it is the last or when that is said already.
        """
        return await self._write(writing.stop_chain, job_id, reason)

    async def typical_seconds(self, model: str, resolution: str | None) -> float | None:
        """Median time of the last 20 videos of a model that succeeded, in seconds; None when there are none.

        Those of the emulator do not count.
        """
        return await self._read(reading.typical_seconds, model, resolution)

    async def spent(self, since: datetime) -> Decimal:
        """What jobs created since a moment cost or may cost, in US dollars, counted as the caps count it."""
        return usd(await self._read(reading.counted_since, since))

    async def spending(self, span: Span) -> list[Spending]:
        """Read where the money of a span went; the parts of all groups add up to what the caps count."""
        return await self._read(spending, span)

    async def renew(self) -> None:
        """Begin the lease of this process anew; to be called more often than a lease lasts while it drives jobs."""
        await anyio.to_thread.run_sync(lambda: self._transact(self._owners.renew, Access.WRITE))

    async def _listed(self, job: Job) -> Job:
        """The same job, its folder being listed where a lost file is rebuilt from."""
        database = self._database
        if isinstance(database, SqliteDatabase) and not database.folders.is_known(job.output_dir):
            await self.open()  # a list without a ledger would say that there was one
            await anyio.to_thread.run_sync(database.folders.remember, [job.output_dir])
        return job

    async def _read(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await anyio.to_thread.run_sync(
            lambda: self._transact(lambda connection: work(connection, *args, **kwargs), Access.READ)
        )

    async def _write(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await anyio.to_thread.run_sync(
            lambda: self._transact(lambda connection: work(connection, *args, **kwargs), Access.EXCLUSIVE)
        )

    def _transact(self, work: Callable[[Connection], T], access: Access) -> T:
        for _ in range(REPEATS):
            try:
                return self._transact_once(work, access)
            except LedgerError as error:
                if error.code != INTERRUPTED:
                    raise
        return self._transact_once(work, access)

    def _transact_once(self, work: Callable[[Connection], T], access: Access) -> T:
        with self._database.transaction(access) as connection:
            return work(connection)

    def _close(self) -> None:
        self._owners.close()
        self._database.close()
