"""The short way of a picture from its answer to its place: the answer stays in the spool until it is there."""

import logging
from collections.abc import Iterable

import anyio

from mediagen.jobs import Job, PaidCall
from mediagen.runner.clearing import begin, claims_on
from mediagen.runner.collect import Collector
from mediagen.runner.examining import examine
from mediagen.runner.placing import Placed
from mediagen.storage.claims import Claims, give_back

logger = logging.getLogger(__name__)


async def deliver(collector: Collector, job: Job, call: PaidCall, picture: Iterable[bytes]) -> bool:
    """Bring the picture of a call into its place, and end the call as succeeded.

    Args:
        collector: Of paid files.
        job: Of the call.
        call: As it was sent, with what its answer says; a submitter keeps that until the call has ended.
        picture: The file.

    Returns:
        False when it is not delivered: another has moved the call on, or other files are being brought at the moment.
        The answer is where it was.

    Raises:
        MediaGenError, OSError: It is not delivered now; the answer is where it was.
    """
    try:
        # Not to be waited for by a call of which nobody knows yet that it is answered.
        collector.places.acquire_nowait()
    except anyio.WouldBlock:
        return False
    claims = claims_on(job, call)
    try:
        claim, placed = await anyio.to_thread.run_sync(_placed, collector, job, call, claims, picture)
        # Told to stop now, the process would leave a file without its record, or what was kept of the call.
        with anyio.CancelScope(shield=True):
            ended = await collector.record(job, call, [placed])
            if ended:
                await _cleared(collector, job, ended, claims, claim)
        return ended is not None
    finally:
        collector.places.release()
        if claims.held:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(give_back, claims, claims.held)


def _placed(
    collector: Collector, job: Job, call: PaidCall, claims: Claims, picture: Iterable[bytes]
) -> tuple[int, Placed]:
    claim = begin(collector.spool.folder_of(job, call), claims)
    placer = collector.placer(claim)
    part = placer.opened(job, call, 0)
    facts = None
    if not part.is_whole:
        part.truncate()
        for chunk in picture:
            part.append(chunk)
        facts = examine(part, call.remote_uris[0])
    return claim, placer.placed(job, call, 0, part, facts)


async def _cleared(collector: Collector, job: Job, call: PaidCall, claims: Claims, claim: int) -> None:
    """Clear away what was kept; what cannot be is left to a later look at what dead processes left."""
    try:
        await collector.clear(job, call, claims, own=claim, is_ours=True)
    except OSError as error:
        logger.warning("job %s: what was kept of it is not cleared away yet: %s", job.job_id, type(error).__name__)
