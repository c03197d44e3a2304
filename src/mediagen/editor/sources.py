"""Finds the files that a caller names for an edit, and the jobs that made them."""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import anyio

from mediagen.errors import InvalidRequestError
from mediagen.jobs import Artifact, Job
from mediagen.ledger.ids import JOB_ID
from mediagen.ledger.ledger import Ledger
from mediagen.ledger.only_file import only_file
from mediagen.media.ffmpeg import MAX_FILE_BYTES
from mediagen.media.inputs import InputLoader
from mediagen.media.local_files import read_digest
from mediagen.media.sources import ARTIFACT_PREFIX, BY_PATH, parse_source, shown

_ADDRESS: Final = re.compile(r"(https?|gs|data):", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundSource:
    """A file that goes into an edit.

    Attributes:
        source: As given.
        path: Real file of this machine.
        job: Job of the ledger that made it, if any.
        uri: Its address in the ledger.
    """

    field: str
    source: str
    path: Path
    sha256: str
    size_bytes: int
    job: Job | None = None
    uri: str | None = None

    def as_record(self) -> dict[str, Any]:
        """What the ledger and the record beside the result keep of it."""
        record: dict[str, Any] = {
            "source": self.source,
            "path": str(self.path),
            "sha256": self.sha256,
            "size_bytes": self.size_bytes,
        }
        return record | ({"job_id": self.job.job_id, "uri": self.uri} if self.job else {})


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceFinder:
    """Finds sources.

    Attributes:
        stored_file: Gives the path of a file that an earlier job made; its errors are passed on.
    """

    ledger: Ledger
    loader: InputLoader
    stored_file: Callable[[str], Awaitable[Path]]

    async def find(self, source: str, field: str) -> FoundSource:
        """Find one file: by its path, its address in the ledger, or the job that made nothing else.

        Raises:
            InvalidRequestError: It is of no use here, may not be read or does not exist.
            JobNotFoundError: No such job or artifact, or its file is gone.
        """
        if JOB_ID.fullmatch(source):
            job = await self.ledger.get(source)
            return await self._made(only_file(job, field), job, source, field)
        if source.startswith(ARTIFACT_PREFIX):
            parse_source(source, field, max_bytes=0)
            artifact, job = await self.ledger.artifact(source.removeprefix(ARTIFACT_PREFIX))
            return await self._made(artifact, job, source, field)
        is_address = _ADDRESS.match(source)
        path = None if is_address else await self.loader.find_local(source, field, takes_addresses=False)
        if path is None:
            raise InvalidRequestError(
                f"{field}={shown(source)} is no file of this machine.",
                field=field,
                hint=f"Download the file first and {BY_PATH}; a job id or mediagen://artifacts/<id> works too.",
            )
        found = await _with_digest(path, source, field)
        made = await self.ledger.files_of_content(found.sha256, limit=1)
        return replace(found, job=made[0][1], uri=made[0][0].uri) if made else found

    async def find_all(self, sources: Sequence[str], field: str) -> list[FoundSource]:
        """Find several, in order.

        Raises:
            InvalidRequestError, JobNotFoundError: As `find`.
        """
        return [await self.find(source, field) for source in sources]

    async def _made(self, artifact: Artifact, job: Job, source: str, field: str) -> FoundSource:
        # Ours to begin with: links in the way to it are the user's own.
        path = Path(await anyio.Path(await self.stored_file(artifact.artifact_id)).resolve())
        return replace(await _with_digest(path, source, field), job=job, uri=artifact.uri)


async def _with_digest(path: Path, source: str, field: str) -> FoundSource:
    read = partial(read_digest, path, field, max_bytes=MAX_FILE_BYTES)
    _, sha256, size_bytes = await anyio.to_thread.run_sync(read)
    return FoundSource(field=field, source=source, path=path, sha256=sha256, size_bytes=size_bytes)
