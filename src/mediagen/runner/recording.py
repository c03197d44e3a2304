"""Writes down what was made: records beside the files, then the ledger, in which the call ends."""

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import anyio

from mediagen.errors import MediaGenError
from mediagen.jobs import Artifact, Charge, Job, JobStatus, PaidCall, Usage
from mediagen.ledger.ids import new_artifact_id
from mediagen.ledger.ledger import Ledger
from mediagen.ledger.writing import Made
from mediagen.pricing import Prices
from mediagen.report.sidecar import sidecar
from mediagen.runner.charging import charge_of
from mediagen.runner.placing import Placed, artifact_of, file_stem, position
from mediagen.storage.local import LocalStorage
from mediagen.storage.placing import sync_directory
from mediagen.storage.records import remove_record, write_sidecar

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Beside:
    """What was written beside the files of a call.

    Attributes:
        call: As it ends with them.
        records: Until they are durable, what is kept of the call is not to be cleared away.
    """

    call: PaidCall
    records: tuple[Path, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Recorder:
    """Writes down what came of paid calls."""

    ledger: Ledger
    storage: LocalStorage
    prices: Prices
    clock: Callable[[], datetime]

    def beside(
        self,
        job: Job,
        call: PaidCall,
        placed: Sequence[Placed],
        copies: Mapping[Path, str] | None = None,
        warnings: Sequence[str] = (),
    ) -> Beside:
        """Write the records beside files, and make the names of both durable. Blocking.

        Args:
            job: Of the call.
            call: Of which the files are.
            placed: The files.
            copies: Addresses of their copies in a bucket.
            warnings: What else is to be said.
        """
        artifacts = tuple(self._artifact_of(file, (copies or {}).get(file.stored.path, "")) for file in placed)
        found = [*warnings, *(warning for file in placed for warning in file.warnings)]
        # In the order of the artifacts, and nothing that is only here for a while.
        uris = [call.remote_uris[file.sample] for file in placed]
        done = replace(
            call,
            status=JobStatus.SUCCEEDED,
            charge=self.charge(job, call.usage, made=len(call.remote_uris)),
            artifacts=artifacts,
            remote_uris=tuple(uri for uri in uris if not uri.startswith("file:")),
        )
        ended = replace(job, updated_at=self.clock())
        records = []
        for file, artifact in zip(placed, artifacts, strict=True):
            try:
                records.append(self._write(ended, done, file.sample, artifact, is_synced=False))
            except MediaGenError as error:
                found.append(_unwritten(Path(artifact.path), error))
        sync_directory(Path(job.output_dir))
        done = replace(done, warnings=(*call.warnings, *dict.fromkeys(found)))
        return Beside(call=done, records=tuple(records))

    async def store(self, job: Job, call: PaidCall, done: PaidCall) -> Job | None:
        """End a call in the ledger.

        Args:
            job: Of the call.
            call: As the ledger has it.
            done: As it ends.

        Returns:
            The job as it is then; None when another has moved the call on: `withdraw` is to be called.

        Raises:
            LedgerError: It is not written down.
        """
        # Whoever has the files first stores them, also under an older claim: another may never get them.
        return await self.ledger.store_artifacts(job.job_id, call.ordinal, **_made(call, done))

    def store_here(self, job: Job, call: PaidCall, done: PaidCall) -> Job | None:
        """Do as `store` for who is in a thread. Blocking."""
        return self.ledger.store_artifacts_here(job.job_id, call.ordinal, **_made(call, done))

    async def withdraw(self, job: Job, call: PaidCall, placed: Sequence[Placed]) -> None:
        """Take files and records back, because another has moved their call on.

        Raises:
            LedgerError, StorageError: They are still there.
        """
        logger.info("job %s: another process has stored its files; those of this one are removed", job.job_id)
        known = {artifact.path for artifact in (await self.ledger.get(job.job_id)).artifacts}
        for file in placed:
            if str(file.stored.path) not in known:
                await self.storage.remove_file(file.stored)
                await anyio.to_thread.run_sync(
                    remove_record, file.stored.path, job.job_id, position(job, call, file.sample)
                )

    def charge(self, job: Job, usage: Usage | None, *, made: int) -> Charge:
        """What a call that made so many files costs."""
        return charge_of(self.prices, job, usage, made=made)

    def write_failure(self, job: Job, call: PaidCall) -> None:
        """Write the record of a call without a file; that it cannot be written changes no end. Blocking."""
        with contextlib.suppress(MediaGenError):
            self._write(job, call)

    def _write(
        self,
        job: Job,
        call: PaidCall,
        sample: int = 0,
        artifact: Artifact | None = None,
        *,
        is_synced: bool = True,
    ) -> Path:
        beside = Path(artifact.path) if artifact else Path(job.output_dir) / file_stem(job, call, sample)
        record = sidecar(job, call, position=position(job, call, sample), artifact=artifact)
        try:
            return write_sidecar(beside, record, is_synced=is_synced)
        except MediaGenError as error:
            logger.warning("job %s: the sidecar could not be written: %s", job.job_id, error.code)
            raise

    def _artifact_of(self, file: Placed, copy: str) -> Artifact:
        gcs_uri = copy if copy.startswith("gs://") else file.gcs_uri
        return artifact_of(new_artifact_id(self.clock), file.stored, file.facts, gcs_uri)


def _made(call: PaidCall, done: PaidCall) -> Made:
    return {
        "expected": call.status,
        "attempt": call.attempt,
        "artifacts": done.artifacts,
        "usage": done.usage,
        "charge": done.charge,
        "warnings": done.warnings,
        "remote_uris": done.remote_uris,
    }


def _unwritten(beside: Path, error: MediaGenError) -> str:
    return f"The record beside {beside.name} could not be written: {error.message}"
