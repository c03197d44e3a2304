"""The job ledger as the rest of the program sees it: async methods over one SQLite file."""

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from sqlite3 import Connection
from typing import Concatenate, ParamSpec, TypeVar, Unpack

import anyio.to_thread

from mediagen.jobs import Artifact, Job, JobStatus, Kind
from mediagen.ledger import reading, writing
from mediagen.ledger.caps import Cap, usd
from mediagen.ledger.database import Database
from mediagen.ledger.owners import Owners
from mediagen.ledger.reading import Filter, Page
from mediagen.ledger.recovery import Rebuild, no_records, told
from mediagen.ledger.spending import Span, Spending, spending
from mediagen.ledger.writing import CallChanges, Step

T = TypeVar("T")
P = ParamSpec("P")


class Ledger:
    """Every job and paid call that was ever begun, shared by all processes that use the same file.

    Opened at first use. Each method is one transaction, run in a worker thread, and durable when it returns; each
    raises LedgerError when the file is locked, read-only, full, damaged or of a newer version. Whoever made the
    ledger calls `aclose`; a method called after that opens the file again.
    """

    def __init__(self, path: Path, clock: Callable[[], datetime], rebuild: Rebuild = no_records) -> None:
        """Name the file; nothing is read or written yet.

        Args:
            path: The file; its folder is made when missing, with the folder ``owners`` beside it.
            clock: Gives the present, aware.
            rebuild: Gives the jobs that the records in some folders tell of, should the ledger be lost.
        """
        self._clock = clock
        self._database = Database(path, rebuild)
        self._owners = Owners(path.parent / "owners")

    @property
    def path(self) -> Path:
        """The file."""
        return self._database.path

    async def recoveries(self) -> list[str]:
        """What is to be told of each time that the file was lost or damaged and made anew."""
        return await anyio.to_thread.run_sync(told, self.path)

    async def open(self) -> None:
        """Open, check and migrate the file now instead of at first use."""
        await anyio.to_thread.run_sync(self._database.open)

    async def aclose(self) -> None:
        """Close the file and leave the jobs of this process to others."""
        await anyio.to_thread.run_sync(self._close)

    async def create(
        self,
        job: Job,
        *,
        caps: Sequence[Cap] = (),
        replace_request_id: bool = False,
        whole_usd: Decimal | None = None,
    ) -> Job:
        """Take in a job before anything is sent; it then belongs to this process.

        Args:
            job: With its calls, all of them submitting.
            caps: Limits that the job must not break, checked against all processes in the same transaction.
            replace_request_id: Take the request_id from the job that has it, instead of returning that job.
            whole_usd: What has to fit under the caps, where more jobs follow by themselves.

        Returns:
            The job as it is kept; one with another job_id when its request_id was used before, or when another
            process has made this link of its chain.

        Raises:
            JobNotFoundError: The chain that it is to go on with was stopped; nothing was written.
            BudgetExceededError: A cap would be exceeded; nothing was written.
        """
        return await self._write(
            partial(
                writing.create,
                caps=caps,
                replace_request_id=replace_request_id,
                owners=self._owners,
                whole_usd=whole_usd,
            ),
            await self._listed(job),
        )

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
        self, job_id: str, ordinal: int, *, expected: JobStatus, **changes: Unpack[CallChanges]
    ) -> bool:
        """Change a paid call if it is still in the expected state.

        Returns:
            False, with nothing changed, when another has moved it on.

        Raises:
            JobNotFoundError: No such job or call.
        """
        step = Step(job_id=job_id, ordinal=ordinal, expected=expected, changes=changes, now=self._clock())
        return await self._write(writing.take, step)

    async def store_artifacts(
        self,
        job_id: str,
        ordinal: int,
        *,
        expected: JobStatus,
        artifacts: Sequence[Artifact],
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
        )
        return await self._write(writing.take, step)

    async def claim(self, job_id: str) -> bool:
        """Take over an open job whose process is gone.

        Returns:
            True for exactly one of all that ask; False when the job has ended or belongs to a living process,
            this one included.

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

    async def _listed(self, job: Job) -> Job:
        """The same job, its folder being listed where a lost ledger is rebuilt from."""
        if not self._database.folders.is_known(job.output_dir):
            await self.open()  # a list without a ledger would say that there was one
            await anyio.to_thread.run_sync(self._database.folders.remember, [job.output_dir])
        return job

    async def _read(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await anyio.to_thread.run_sync(
            lambda: self._transact(lambda connection: work(connection, *args, **kwargs), write=False)
        )

    async def _write(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await anyio.to_thread.run_sync(
            lambda: self._transact(lambda connection: work(connection, *args, **kwargs), write=True)
        )

    def _transact(self, work: Callable[[Connection], T], *, write: bool) -> T:
        with self._database.transaction(write=write) as connection:
            return work(connection)

    def _close(self) -> None:
        self._owners.close()
        self._database.close()
