"""A new ledger in place of a damaged one, which is kept aside: nothing is deleted, and each step may be cut short.

Blocking; only whoever has passed the turnstile may call it.
"""

import contextlib
import json
import logging
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from mediagen.errors import LedgerError
from mediagen.jobs import Job, JobError, JobStatus, PaidCall
from mediagen.ledger.caps import usd
from mediagen.ledger.folders import KnownFolders, Rebuild
from mediagen.ledger.rows import artifact_rows, call_row, job_row
from mediagen.ledger.salvage import Row, SalvagedJob, salvage

logger = logging.getLogger(__name__)

SATELLITES = ("-journal", "-wal", "-shm")
# What is still to be sent is left behind: nobody can be sure any more that it was not.
TABLES = ("jobs", "calls", "artifacts")
CHUNK_BYTES = 1 << 20
LISTED = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Recovery:
    """Makes a ledger anew.

    Attributes:
        path: The ledger.
        new: Makes an empty ledger of the present version in a file and opens it.
        rebuild: Gives the jobs that the records in some folders tell of, by id.
        spool: Folder of paid answers; those of jobs that stay unknown are told of.
    """

    path: Path
    new: Callable[[Path], sqlite3.Connection]
    rebuild: Rebuild
    folders: KnownFolders
    spool: Path

    @property
    def is_interrupted(self) -> bool:
        """Whether one was begun and not brought to its end."""
        return self._marker.exists()

    @property
    def is_lost(self) -> bool:
        """Whether there is no ledger, or an empty file in its place, although there were jobs."""
        try:
            is_empty = self.path.stat().st_size == 0
        except FileNotFoundError:
            is_empty = True
        return is_empty and bool(self.folders.read())

    def run(self) -> None:
        """Put the damaged file aside, and a new one with all that is known in its place.

        Raises:
            OSError: The file cannot be read or put aside; that is no damage, and nothing was changed for good.
            sqlite3.Error: The new one cannot be written; the next attempt begins anew.
        """
        aside = self._aside()
        building = self.path.with_name(f"{self.path.stem}.rebuilding{self.path.suffix}")
        for suffix in ("", *SATELLITES):
            building.with_name(building.name + suffix).unlink(missing_ok=True)
        with closing(self.new(building)) as connection:
            outcome = self._fill(connection, aside)
        # What others began in the damaged file must never be read into the new one.
        self._move_satellites(aside)
        building.replace(self.path)
        self._tell(aside, outcome)
        self._marker.unlink(missing_ok=True)
        _sync(self.path.parent)

    @property
    def _marker(self) -> Path:
        return self.path.with_name(f"{self.path.stem}.recovering")

    def _aside(self) -> Path | None:
        """Give the damaged file a second name that it keeps; None when there is nothing to keep."""
        if self.is_interrupted:
            with contextlib.suppress(ValueError):
                name = json.loads(self._marker.read_text(encoding="utf-8"))
                if isinstance(name, str) and (earlier := self.path.with_name(name)).exists():
                    return earlier
        if not self.path.exists() or self.path.stat().st_size == 0:
            return None
        _read_through(self.path)
        aside = self._free_name()
        _write_durably(self._marker, json.dumps(aside.name))
        try:
            aside.hardlink_to(self.path)
        except OSError:
            # No second names on this disk. Nobody can have taken the name meanwhile: the turnstile is ours.
            self.path.rename(aside)
        self._move_satellites(aside)
        return aside

    def _free_name(self) -> Path:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        names = (f"{stamp}-{number}" if number > 1 else stamp for number in range(1, 10_000))
        free = (self.path.with_name(f"{self.path.stem}.damaged-{name}{self.path.suffix}") for name in names)
        return next(path for path in free if not os.path.lexists(path))

    def _move_satellites(self, aside: Path | None) -> None:
        for suffix in SATELLITES:
            satellite = self.path.with_name(self.path.name + suffix)
            if aside is None or not satellite.exists():
                continue
            kept = aside.with_name(aside.name + suffix)
            number = 2
            while kept.exists():
                kept, number = aside.with_name(f"{aside.name}{suffix}.{number}"), number + 1
            satellite.rename(kept)

    def _fill(self, connection: sqlite3.Connection, aside: Path | None) -> "_Outcome":
        tables = {table: _defaults(connection, table) for table in TABLES}
        found = salvage(aside, tables) if aside else []
        known = dict.fromkeys(str(one.rows["jobs"][0].get("output_dir")) for one in found if one.rows.get("jobs"))
        told = dict(self.rebuild([*dict.fromkeys((*self.folders.read(), *known))]))
        outcome = _Outcome()
        connection.execute("BEGIN IMMEDIATE")
        for salvaged in found:
            _put_salvaged(connection, salvaged, told.pop(salvaged.job_id, None), outcome)
        for job in sorted(told.values(), key=lambda job: job.created_at):
            _put_told(connection, job, outcome)
        outcome.spooled = self._unknown_answers(connection)
        connection.execute("COMMIT")
        return outcome

    def _unknown_answers(self, connection: sqlite3.Connection) -> list[str]:
        """Folders of paid answers whose job nobody knows any more."""
        known = {row[0] for row in connection.execute("SELECT job_id FROM jobs")}
        return [
            str(folder)
            for folder in sorted(self.spool.glob("job_*-*"))
            if folder.name.rpartition("-")[0] not in known and any(folder.iterdir())
        ]

    def _tell(self, aside: Path | None, outcome: "_Outcome") -> None:
        name = aside.stem if aside else f"{self.path.stem}.lost-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        words = outcome.words(self.path, aside)
        _write_durably(self.path.with_name(f"{name}.txt"), words + "\n")
        logger.error("%s", words)


def told(path: Path) -> list[str]:
    """What was said of each time that this ledger was made anew, for as long as the files that say it are kept."""
    found = []
    for file in sorted([*path.parent.glob(f"{path.stem}.damaged-*.txt"), *path.parent.glob(f"{path.stem}.lost-*.txt")]):
        with contextlib.suppress(OSError):
            words = file.read_text(encoding="utf-8", errors="replace").strip()
            found.append(f"{words} Delete {file} once you have read this.")
    return found


@dataclass(kw_only=True, slots=True)
class _Outcome:
    salvaged: int = 0
    still_open: int = 0
    from_records: int = 0
    guessed_calls: int = 0
    lost: list[str] = field(default_factory=list)
    lost_microusd: int = 0
    spooled: list[str] = field(default_factory=list)

    def words(self, path: Path, aside: Path | None) -> str:
        what = f"was damaged and is kept as {aside}" if aside else "was gone or empty, although there were jobs"
        parts = [
            f"The job ledger {path} {what}. A new one was made: {self.salvaged} jobs were read from the old one, "
            f"{self.still_open} of them still open, and {self.from_records} were rebuilt from the records beside "
            f"their files."
        ]
        if self.guessed_calls:
            parts.append(
                f"Of {self.guessed_calls} paid requests the end is not known any more: they count as possibly billed."
            )
        if self.lost:
            parts.append(
                f"Not rebuilt: {len(self.lost)} jobs, worth ${usd(self.lost_microusd)} as far as is known, which "
                f"count for no spending cap any more: {_some(self.lost)}."
            )
        if self.spooled:
            parts.append(f"Paid files of unknown jobs are kept in {_some(self.spooled)}.")
        if not aside:
            parts.append("Jobs that were open are forgotten unless a record tells of them; look at Google's console.")
        return " ".join(parts)


def _some(words: Sequence[str]) -> str:
    return ", ".join([*words[:LISTED], *(["…"] if len(words) > LISTED else [])])


def _put_salvaged(connection: sqlite3.Connection, one: SalvagedJob, told: Job | None, outcome: _Outcome) -> None:
    if one.job is None:
        if told:
            _put_told(connection, told, outcome)
        else:
            _give_up(one, outcome)
        return
    job = _completed(one.job, told)
    known = {row["ordinal"] for row in one.rows["calls"]}
    guessed = [call for call in job.calls if call.ordinal not in known]
    rows = {
        "jobs": [{**one.rows["jobs"][0], "status": str(job.status)}],
        "calls": [*one.rows["calls"], *(call_row(job, call) for call in guessed)],
        "artifacts": [*one.rows["artifacts"], *(row for call in guessed for row in _artifacts(call))],
    }
    if not _put(connection, rows):
        _give_up(one, outcome)
        return
    outcome.salvaged += 1
    outcome.still_open += not job.status.is_terminal
    outcome.guessed_calls += sum(call.status is JobStatus.UNCONFIRMED for call in guessed)


def _put_told(connection: sqlite3.Connection, job: Job, outcome: _Outcome) -> None:
    rows = {
        "jobs": [job_row(job, owner=None)],
        "calls": [call_row(job, call) for call in job.calls],
        "artifacts": [row for call in job.calls for row in _artifacts(call)],
    }
    if _put(connection, rows):
        outcome.from_records += 1
    else:
        outcome.lost.append(job.job_id)


def _artifacts(call: PaidCall) -> list[Row]:
    return artifact_rows(call.job_id, call.ordinal, call.artifacts)


def _give_up(one: SalvagedJob, outcome: _Outcome) -> None:
    counted = [row.get("counted_microusd") for row in one.rows.get("calls", ())]
    operations = [str(row["operation"]) for row in one.rows.get("calls", ()) if row.get("operation")]
    outcome.lost_microusd += sum(amount for amount in counted if isinstance(amount, int))
    outcome.lost.append(" ".join([one.job_id, *(f"({operation})" for operation in operations)]))


def _completed(job: Job, told: Job | None) -> Job:
    """A job with a call in each place: what its record tells, or one of which nobody knows how it ended."""
    known = {call.ordinal: call for call in job.calls}
    records = {call.ordinal: call for call in told.calls} if told else {}
    # Records tell of files, not of calls; they are the same where each call makes one.
    usable = records if all(call.samples == 1 for call in (*known.values(), *records.values())) else {}
    count = 1 + max((*known, *usable), default=0)
    calls = (known.get(number) or usable.get(number) or _unknown(job, number) for number in range(count))
    return replace(job, calls=tuple(calls))


def _unknown(job: Job, ordinal: int) -> PaidCall:
    error = JobError(
        code="ledger_corrupt",
        message="The ledger was damaged, and how this paid request ended is not known any more.",
        retryable=False,
        billed="unknown",
        hint="It may be billed; look at your usage at Google before you ask again.",
    )
    return PaidCall(job_id=job.job_id, ordinal=ordinal, status=JobStatus.UNCONFIRMED, error=error)


def _put(connection: sqlite3.Connection, rows: Mapping[str, Sequence[Row]]) -> bool:
    """Insert the rows of a job, all or none."""
    connection.execute("SAVEPOINT job")
    try:
        for table, of_table in rows.items():
            columns = _columns(connection, table)
            for row in of_table:
                _insert(connection, table, {name: row[name] for name in columns if name in row})
    except (sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError, OverflowError, LedgerError):
        connection.execute("ROLLBACK TO job")
        is_put = False
    else:
        is_put = True
    connection.execute("RELEASE job")
    return is_put


def _insert(connection: sqlite3.Connection, table: str, row: Row) -> None:
    # The names are those of our own tables.
    names, places = ", ".join(row), ", ".join(f":{name}" for name in row)
    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", row)  # noqa: S608


def _defaults(connection: sqlite3.Connection, table: str) -> dict[str, int | None]:
    """The columns in their order, each with its default, all of which are numbers."""
    info = connection.execute(f"PRAGMA table_info({table})").fetchall()
    return {row[1]: None if row[4] is None else int(row[4]) for row in info}


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]


def _read_through(path: Path) -> None:
    """Make sure that the disk can be read: a file that cannot be read is not damaged.

    Raises:
        OSError: It cannot.
    """
    with path.open("rb") as file:
        while file.read(CHUNK_BYTES):
            pass


def _write_durably(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, text.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
