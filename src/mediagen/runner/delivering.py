"""The short way of a picture from its answer to its place: the answer stays in the spool until it is there."""

from collections.abc import Iterable

import anyio

from mediagen.jobs import Job, PaidCall
from mediagen.runner.changes import ANSWER_SECONDS
from mediagen.runner.clearing import begin, claims_on, clear
from mediagen.runner.collect import Collector
from mediagen.runner.examining import examine
from mediagen.runner.placing import Placed
from mediagen.storage.claims import Claims, give_back


async def deliver(collector: Collector, job: Job, call: PaidCall, picture: Iterable[bytes]) -> bool:
    """Bring the picture of a call into its place, and end the call as succeeded.

    Args:
        collector: Of paid files.
        job: Of the call.
        call: As it was sent, with what its answer says; a submitter keeps that until the call has ended.
        picture: The file.

    Returns:
        False, with nothing changed, when another has moved the call on.

    Raises:
        MediaGenError: It is not delivered now; the answer is where it was.
    """
    claims = claims_on(job, call)
    try:
        async with collector.places:
            placed = await anyio.to_thread.run_sync(_placed, collector, job, call, claims, picture)
            # Told to stop now, the process would leave a file without its record, or what was kept of the call.
            with anyio.CancelScope(shield=True):
                ended = await collector.record(job, call, [placed])
                if ended:
                    await anyio.sleep(ANSWER_SECONDS)
                    [claim] = claims.held
                    folder = collector.spool.folder_of(job, call)
                    await anyio.to_thread.run_sync(clear, job, ended, claims, claim, folder, collector.placer)
            return ended is not None
    finally:
        if claims.held:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(give_back, claims, claims.held)


def _placed(collector: Collector, job: Job, call: PaidCall, claims: Claims, picture: Iterable[bytes]) -> Placed:
    placer = collector.placer(begin(collector.spool.folder_of(job, call), claims))
    part = placer.opened(job, call, 0)
    facts = None
    if not part.is_whole:
        part.truncate()
        for chunk in picture:
            part.append(chunk)
        facts = examine(part, call.remote_uris[0])
    return placer.placed(job, call, 0, part, facts)
