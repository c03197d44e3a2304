"""Who brings the files of a paid call, and what is cleared away when nobody does any more. Blocking."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mediagen.errors import StorageError
from mediagen.jobs import Job, PaidCall
from mediagen.runner.placing import Placer
from mediagen.runner.recording import Beside
from mediagen.runner.spool import STORING_SECONDS, drop, empty, mark
from mediagen.storage.claims import Claims, claimed, give_back
from mediagen.storage.records import make_durable


def claims_on(job: Job, call: PaidCall) -> Claims:
    """Who fetches the files of a call."""
    return Claims(directory=Path(job.output_dir), key=f"{job.job_id}-{call.ordinal}")


def begin(folder: Path, claims: Claims) -> int:
    """Mark a call until its end, so that a later process knows where something may be left, and claim its files.

    Args:
        folder: Of the call in the spool.
        claims: On the call.

    Raises:
        StorageError: The folder of the files cannot be written to.
        UnavailableError: Too many processes fetch them.
    """
    mark(folder)
    claim = claimed(claims)
    # Another may have forgotten the call in between; what is begun from here on would be left for ever.
    mark(folder)
    return claim


@dataclass(frozen=True, kw_only=True, slots=True)
class Clearing:
    """Clears away what was kept of a call that needs it no more.

    Attributes:
        folder: Of the call in the spool.
        placer: Gives who placed the files that were fetched under a claim.
    """

    folder: Path
    placer: Callable[[int], Placer]

    def clear(
        self, job: Job, call: PaidCall, claims: Claims, *, own: int | None = None, ours: Beside | None = None
    ) -> None:
        """Remove it; what another still works at stays, and its mark.

        Args:
            job: Of the call.
            call: As the ledger has it.
            claims: On the call; given back, whatever happens.
            own: The claim that this process has already.
            ours: What was written beside the files under that claim, if they are those that the ledger knows.
        """
        make_durable(ours.records if ours else ())
        taken, cleared, is_all = list[int](), list[int](), True
        try:
            # A folder that is gone or closed holds nothing that could be removed.
            with contextlib.suppress(StorageError):
                for number in {0, *claims.left(), *([] if own is None else [own])}:
                    if number != own and not claims.try_take(number):
                        is_all = False
                        continue
                    taken.append(number)
                    self.placer(number).clear(job, call, is_known=ours is not None and number == own)
                    cleared.append(number)
            if is_all:
                # While all claims are held, so that what whoever begins anew keeps stays.
                with contextlib.suppress(StorageError):
                    self.placer(0).clear_records(job, call)
                empty(self.folder, STORING_SECONDS if ours else 0.0)
        finally:
            give_back(claims, taken, cleared)
        # Not before the locks are gone, which nobody would find again.
        if is_all:
            drop(self.folder)
