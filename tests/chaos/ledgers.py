"""What the ledger says, read past the program: by plain statements that hold for SQLite and PostgreSQL alike."""

import contextlib
import json
import shlex
import sqlite3
import subprocess
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tests.chaos.judge import CallFacts, JobFacts, StoredFile
from tests.chaos.options import Options
from tests.chaos.wishes import TAG
from tests.postgresql import Server

OPEN = ("submitting", "running", "downloading")
STATES = "SELECT output_name, status, job_id FROM jobs"
WORK = (
    "SELECT jobs.output_name, jobs.owner, jobs.job_id, calls.ordinal, calls.status, calls.attempt "
    "FROM calls JOIN jobs ON jobs.job_id = calls.job_id WHERE calls.status IN ('submitting', 'running', 'downloading')"
)
JOBS = "SELECT job_id, output_name, status FROM jobs ORDER BY job_id"
CALLS = "SELECT job_id, ordinal, status, samples, operation, charge, error FROM calls ORDER BY job_id, ordinal"
FILES = "SELECT job_id, ordinal, path, sha256, size_bytes FROM artifacts ORDER BY job_id, ordinal, sample"


class Unreadable(Exception):  # noqa: N818 - says what it is; the ledger is busy, or not there yet
    """The ledger cannot be read at the moment."""


class Database(Protocol):
    """A database that holds a ledger."""

    def rows(self, statement: str) -> Sequence[Sequence[Any]]:
        """Read; raises Unreadable."""
        ...

    def environment(self) -> dict[str, str]:
        """Variables by which a process finds it."""
        ...

    def interrupt(self, *, stop: bool) -> bool:
        """Stop or start the database; whether that can be done at all."""
        ...

    def close(self) -> None:
        """End what was started for the run."""
        ...


class Sqlite:
    """The file beside the spool."""

    def __init__(self, options: Options) -> None:
        self._path: Path = options.state_dir / "ledger.sqlite3"

    def rows(self, statement: str) -> Sequence[Sequence[Any]]:
        """Read; raises Unreadable."""
        try:
            with closing(sqlite3.connect(f"{self._path.as_uri()}?mode=ro", uri=True, timeout=0.2)) as connection:
                return connection.execute(statement).fetchall()
        except sqlite3.Error as error:
            raise Unreadable(str(error)) from error

    def environment(self) -> dict[str, str]:
        """Variables by which a process finds it."""
        return {}

    def interrupt(self, *, stop: bool) -> bool:
        """Nothing can be stopped."""
        return False

    def close(self) -> None:
        """Nothing runs."""


class Postgres:
    """A server of the run's own, or one that somebody else brought up."""

    def __init__(self, options: Options) -> None:
        self._own = None if options.database_url else Server()
        self._url = self._own.url if self._own else options.database_url
        self._control = shlex.split(options.database_control)

    def rows(self, statement: str) -> Sequence[Sequence[Any]]:
        """Read; raises Unreadable."""
        import psycopg

        try:
            with psycopg.connect(self._url, connect_timeout=5) as connection:
                found: Sequence[Sequence[Any]] = connection.execute(statement.encode()).fetchall()
                return found
        except psycopg.Error as error:
            raise Unreadable(str(error)) from error

    def environment(self) -> dict[str, str]:
        """Variables by which a process finds it."""
        return {"MEDIAGEN_DATABASE_URL": self._url}

    def interrupt(self, *, stop: bool) -> bool:
        """Stop the server as if its machine had failed, or start it, if we can."""
        if self._own:
            if stop:
                self._own.stop("immediate")
            else:
                self._own.start()
            return True
        if not self._control:
            return False
        subprocess.run([*self._control, "stop" if stop else "start"], check=True, timeout=120, capture_output=True)
        return True

    def close(self) -> None:
        """End the server, if it is our own."""
        if self._own:
            self._own.close()


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """A call that has not ended.

    Attributes:
        process_id: Of the process that drives it, 0 when there is none.
        attempt: Whether the right to send it was given.
    """

    tag: str
    process_id: int
    job_id: str
    ordinal: int
    status: str
    attempt: bool


class Book:
    """The ledger as the watchers and the judge need it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._states: tuple[float, dict[str, list[str]]] = (0.0, {})
        self._work: tuple[float, list[Work]] = (0.0, [])

    def states(self, *, not_older_than: float = 0.0) -> dict[str, list[str]]:
        """States of the jobs of each wish; nothing while the ledger cannot be read."""
        read_at, found = self._states
        now = time.monotonic()
        if now - read_at > not_older_than:
            found = self._read_states()
            self._states = (now, found)
        return found

    def _read_states(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        try:
            for tag, status, _ in self.database.rows(STATES):
                found.setdefault(_tag(tag), []).append(status)
        except Unreadable:
            return {}
        return found

    def work(self, *, not_older_than: float = 0.0) -> list[Work]:
        """All calls that have not ended; nothing while the ledger cannot be read."""
        read_at, found = self._work
        now = time.monotonic()
        if now - read_at > not_older_than:
            with contextlib.suppress(Unreadable):
                found = [_work(row) for row in self.database.rows(WORK)]
            self._work = (now, found)
        return found

    def open_jobs(self) -> list[str]:
        """Jobs that have not ended; raises Unreadable."""
        return [job_id for _, status, job_id in self.database.rows(STATES) if status in OPEN]

    def jobs(self) -> tuple[JobFacts, ...]:
        """Everything; raises Unreadable."""
        files: dict[tuple[str, int], list[StoredFile]] = {}
        for job_id, ordinal, path, sha256, size in self.database.rows(FILES):
            files.setdefault((job_id, ordinal), []).append(StoredFile(path=path, sha256=sha256, size_bytes=size))
        calls: dict[str, list[CallFacts]] = {}
        for job_id, ordinal, status, samples, operation, charge, error in self.database.rows(CALLS):
            facts = CallFacts(
                ordinal=ordinal,
                status=status,
                samples=samples,
                operation=operation or "",
                billed=_billed(charge, error),
                error=_value(error).get("code", ""),
                files=tuple(files.get((job_id, ordinal), ())),
            )
            calls.setdefault(job_id, []).append(facts)
        return tuple(_jobs(self.database.rows(JOBS), calls))


def _jobs(rows: Iterable[Sequence[Any]], calls: dict[str, list[CallFacts]]) -> Iterable[JobFacts]:
    for job_id, tag, status in rows:
        yield JobFacts(job_id=job_id, tag=_tag(tag), status=status, calls=tuple(calls.get(job_id, ())))


def _work(row: Sequence[Any]) -> Work:
    tag, owner, job_id, ordinal, status, attempt = row
    # Both engines put the id of the process before the last hyphen.
    process_id = int(owner.split("-")[-2]) if owner else 0
    return Work(
        tag=_tag(tag), process_id=process_id, job_id=job_id, ordinal=ordinal, status=status, attempt=attempt is not None
    )


def _tag(name: str | None) -> str:
    found = TAG.search(name or "")
    return found[0] if found else ""


def _value(text: Any) -> dict[str, Any]:
    found = json.loads(text) if isinstance(text, str) else text
    return found if isinstance(found, dict) else {}


def _billed(charge: Any, error: Any) -> str:
    return str(_value(charge).get("billed") or _value(error).get("billed") or "")
