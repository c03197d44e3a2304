"""What there is, for clients that browse: files newest first, ids that begin with something, and what changed."""

import json
import logging
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeVar

from mediagen.errors import InvalidRequestError
from mediagen.jobs import Artifact, JobStatus
from mediagen.ledger import queries
from mediagen.ledger.engines.base import Connection, Row
from mediagen.ledger.ids import ARTIFACT_ID
from mediagen.ledger.rows import artifact_from
from mediagen.ledger.transactions import Transactions

AFTER_ALL_IDS = "zz"
LONGEST_TEXT = 200
PART_OF_ID = re.compile(r"[0-9a-z_]{0,60}")

logger = logging.getLogger(__name__)

Media = Literal["image", "video", "audio"]
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedFile:
    """A file and what is worth knowing of the job that made it.

    Attributes:
        made_at: When its job last changed.
        prompt: Empty where there is none.
    """

    artifact: Artifact
    job_id: str
    model: str
    made_at: datetime
    prompt: str


@dataclass(frozen=True, kw_only=True, slots=True)
class FilePage:
    """Some files, newest first.

    Attributes:
        next_cursor: Where to go on, or None at the end.
    """

    files: tuple[ListedFile, ...]
    next_cursor: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class JobState:
    """What tells whether there is news of a job."""

    job_id: str
    chain_id: str | None
    status: JobStatus
    updated_at: datetime
    note: str | None
    chain_stopped: str | None
    files: int


class Browsing(Transactions):
    """What clients browse. Part of `Ledger`."""

    async def list_files(self, *, limit: int, cursor: str | None = None) -> FilePage:
        """Read the records of some files, newest first; a page costs the same however many there are.

        Args:
            limit: How many, at least 1.
            cursor: `next_cursor` of the page before.

        Raises:
            InvalidRequestError: The cursor is none.
        """
        if cursor is not None and not ARTIFACT_ID.fullmatch(cursor):
            raise InvalidRequestError(
                f"cursor is {cursor[:LONGEST_TEXT]!r}, which no page gave.",
                field="cursor",
                hint="Pass the cursor of the page before, or leave it out.",
            )
        return await self._read(_files, limit, cursor, self.principal)

    async def complete_job_ids(self, text: str, *, limit: int, kind: Media | None = None) -> list[str]:
        """Find ids of the newest 20,000 jobs that contain a text, newest first."""
        return await self._read(_ids, queries.COMPLETE_JOB_IDS, text, kind, limit, self.principal)

    async def complete_artifact_ids(self, text: str, *, limit: int, kind: Media | None = None) -> list[str]:
        """Find ids of the newest 20,000 files that contain a text, newest first."""
        return await self._read(
            _ids, queries.COMPLETE_ARTIFACT_IDS, text, f"{kind}/" if kind else None, limit, self.principal
        )

    async def states(self, job_ids: Collection[str], chain_ids: Collection[str] = ()) -> list[JobState]:
        """Read how far some jobs and all links of some chains are, by their ids; unknown ids are ignored."""
        return await self._read(_states, sorted(job_ids), sorted(chain_ids)) if job_ids or chain_ids else []


def _files(connection: Connection, limit: int, cursor: str | None, principal: str | None) -> FilePage:
    parameters = {"before": cursor or AFTER_ALL_IDS, "limit": limit + 1, **_whose(principal)}
    rows = connection.execute(queries.LIST_ARTIFACTS, parameters).fetchall()
    has_more, rows = len(rows) > limit, rows[:limit]
    return FilePage(
        files=tuple(_readable(rows, _file)), next_cursor=rows[-1]["artifact_id"] if has_more and rows else None
    )


def _file(row: Row) -> ListedFile:
    return ListedFile(
        artifact=artifact_from(row),
        job_id=row["job_id"],
        model=row["model"],
        made_at=datetime.fromisoformat(row["made_at"]),
        prompt=_prompt(row["requested"]),
    )


def _prompt(requested: str) -> str:
    """The prompt of a request; nothing where the column is damaged, which must not hide the file."""
    try:
        values: Any = json.loads(requested)
    except (ValueError, RecursionError):
        return ""
    prompt = values.get("prompt") if isinstance(values, dict) else None
    return prompt if isinstance(prompt, str) else ""


def _whose(principal: str | None) -> dict[str, Any]:
    return {"is_all": principal is None, "principal": principal}


def _ids(
    connection: Connection, statement: str, text: str, kind: str | None, limit: int, principal: str | None
) -> list[str]:
    text = text.strip().lower()
    if not PART_OF_ID.fullmatch(text):
        return []
    parameters = {"text": text, "kind": kind or "", "limit": limit, **_whose(principal)}
    return [row["id"] for row in connection.execute(statement, parameters)]


def _states(connection: Connection, job_ids: list[str], chain_ids: list[str]) -> list[JobState]:
    parameters = {"job_ids": json.dumps(job_ids), "chain_ids": json.dumps(chain_ids)}
    return list(_readable(connection.execute(queries.SELECT_STATES, parameters), _state))


def _state(row: Row) -> JobState:
    return JobState(
        job_id=row["job_id"],
        chain_id=row["chain_id"],
        status=JobStatus(row["status"]),
        updated_at=datetime.fromisoformat(row["updated_at"]),
        note=row["note"],
        chain_stopped=row["chain_stopped"],
        files=int(row["files"]),
    )


def _readable(rows: Iterable[Row], read: Callable[[Row], T]) -> Iterable[T]:
    """What can be read; a damaged row is left out, so that it does not hide the others."""
    for row in rows:
        try:
            yield read(row)
        except (ValueError, TypeError) as error:
            logger.error("job %s in the ledger cannot be read: %s", row["job_id"], type(error).__name__)  # noqa: TRY400 - the text may hold a prompt
