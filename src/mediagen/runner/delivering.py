"""The short way of a picture from its answer to its place: the answer stays in the spool until it is there."""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain

import anyio

from mediagen.jobs import Job, PaidCall
from mediagen.runner.clearing import begin, claims_on
from mediagen.runner.collect import Collector
from mediagen.runner.examining import examine
from mediagen.runner.placing import Placed
from mediagen.runner.recording import Beside
from mediagen.storage.claims import Claims, give_back

logger = logging.getLogger(__name__)

# Whoever waits for the picture is answered before the processor is taken for what can wait.
HEAD_START_SECONDS = 0.01
# Larger pictures are not taken into memory.
SMALL_BYTES = 2_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class _Done:
    """A picture in its place.

    Attributes:
        job: As it is from then on; None when another has moved the call on.
    """

    claim: int
    placed: Placed
    beside: Beside
    job: Job | None


async def deliver(
    collector: Collector,
    job: Job,
    call: PaidCall,
    picture: Iterable[bytes],
    converse: Callable[[], tuple[str, ...]] = tuple,
) -> bool:
    """Bring the picture of a call into its place, and end the call as succeeded.

    Args:
        collector: Of paid files.
        job: Of the call.
        call: As it was sent, with what its answer says; a submitter keeps that until the call has ended.
        picture: The file.
        converse: Keeps what the picture can be gone on with, and says why if it cannot be. Blocking.

    Returns:
        False when another has moved the call on, or other files are being brought; the answer is where it was.

    Raises:
        MediaGenError, OSError: It is not delivered now; the answer is where it was.
    """
    claims, done = claims_on(job, call), None
    try:
        with _place(collector):
            done = await anyio.to_thread.run_sync(_brought, collector, job, call, iter(picture), converse, claims)
        if done.job:
            collector.changes.tell(job.job_id, done.job)
            await anyio.sleep(HEAD_START_SECONDS)
    except anyio.WouldBlock:
        return False
    finally:
        with anyio.CancelScope(shield=True):
            await _end(collector, job, call, done, claims)
    return done.job is not None


def _brought(
    collector: Collector,
    job: Job,
    call: PaidCall,
    picture: Iterator[bytes],
    converse: Callable[[], tuple[str, ...]],
    claims: Claims,
) -> _Done:
    warnings = converse()
    claim = begin(collector.spool.folder_of(job, call), claims)
    placer = collector.placer(claim)
    part = placer.opened(job, call, 0)
    data, picture = _gathered(picture)
    facts = placer.filled(job, call, 0, part, data) if data and not part.is_whole else None
    if not part.is_whole:
        part.truncate()
        for piece in picture:
            part.append(piece)
        facts = examine(part, call.remote_uris[0])
    placed = placer.placed(job, call, 0, part, facts)
    beside = collector.recorder.beside(job, call, [placed], warnings=warnings)
    # In this thread: told to stop in between, the process would leave a file without its record.
    stored = collector.recorder.store_here(job, call, beside.call)
    return _Done(claim=claim, placed=placed, beside=beside, job=stored)


async def _end(collector: Collector, job: Job, call: PaidCall, done: _Done | None, claims: Claims) -> None:
    """Clear away what was kept; what cannot be is left to a later look at what dead processes left."""
    try:
        if done and done.job:
            ended = done.job.calls[call.ordinal]
            await collector.clear(job, ended, claims, own=done.claim, ours=done.beside)
        elif done:
            await collector.recorder.withdraw(job, call, [done.placed])
    except OSError as error:
        logger.warning("job %s: what was kept of it is not cleared away yet: %s", job.job_id, type(error).__name__)
    finally:
        if claims.held:
            await anyio.to_thread.run_sync(give_back, claims, claims.held)


@contextmanager
def _place(collector: Collector) -> Iterator[None]:
    """One of those who bring files, not to be waited for by a call of which nobody knows yet that it is answered.

    Raises:
        anyio.WouldBlock: None is free.
    """
    collector.places.acquire_nowait()
    try:
        yield
    finally:
        collector.places.release()


def _gathered(picture: Iterator[bytes]) -> tuple[bytes | None, Iterator[bytes]]:
    """A picture in memory, if it is small, and all of it in pieces."""
    pieces, size = list[bytes](), 0
    for piece in picture:
        pieces.append(piece)
        size += len(piece)
        if size > SMALL_BYTES:
            return None, chain(pieces, picture)
    return b"".join(pieces), iter(pieces)
