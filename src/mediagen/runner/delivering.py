"""The short way of a picture from its answer to its place: the answer stays in the spool until it is there."""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain

import anyio

from mediagen.errors import MediaGenError
from mediagen.jobs import Job, PaidCall
from mediagen.runner.clearing import begin, claims_on
from mediagen.runner.collect import Collector
from mediagen.runner.examining import examine
from mediagen.runner.placing import Placed
from mediagen.runner.recording import Beside
from mediagen.storage.claims import give_back

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

    placed: Placed
    beside: Beside
    job: Job | None


class Delivery:
    """Brings the picture of one call into its place. Whoever has made it closes it.

    Attributes:
        folder: Of the call in the spool.
    """

    def __init__(self, collector: Collector, job: Job, call: PaidCall) -> None:
        """Nothing is done yet.

        Args:
            collector: Of paid files.
            job: Of the call.
            call: As it is sent.
        """
        self._collector = collector
        self._job = job
        self._claims = claims_on(job, call)
        self.folder = collector.spool.folder_of(job, call)
        self._claim: int | None = None
        self._is_begun = False
        self._preparing = anyio.Lock()

    async def prepare(self) -> None:
        """Do what needs no answer while that is awaited; what cannot be done is tried again when it is there."""
        # The request itself has the processor first.
        await anyio.sleep(HEAD_START_SECONDS)
        async with self._preparing:
            with suppress(MediaGenError, OSError), anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._begin)

    async def deliver(
        self, call: PaidCall, picture: Iterable[bytes], converse: Callable[[], tuple[str, ...]] = tuple
    ) -> bool:
        """Bring the picture, and end the call as succeeded.

        Args:
            call: With what its answer says; a submitter keeps that until the call has ended.
            picture: The file.
            converse: Keeps what the picture can be gone on with, and says why if it cannot be. Blocking.

        Returns:
            False when another has moved the call on, or other files are being brought; the answer is where it was.

        Raises:
            MediaGenError, OSError: It is not delivered now; the answer is where it was.
        """
        try:
            async with self._preparing:
                with _place(self._collector):
                    done = await anyio.to_thread.run_sync(self._brought, call, iter(picture), converse)
        except anyio.WouldBlock:
            return False
        if done.job is None:
            await self._collector.recorder.withdraw(self._job, call, [done.placed])
            return False
        try:
            self._collector.changes.tell(self._job.job_id, done.job)
            await anyio.sleep(HEAD_START_SECONDS)
        finally:
            with anyio.CancelScope(shield=True):
                await self._clear(done.job.calls[call.ordinal], done.beside)
        return True

    async def aclose(self) -> None:
        """Let others bring the files of the call."""
        with anyio.CancelScope(shield=True):
            async with self._preparing:
                if held := self._claims.held:
                    await anyio.to_thread.run_sync(give_back, self._claims, held, () if self._is_begun else held)

    def _begin(self) -> int:
        if self._claim is None:
            self._claim = begin(self.folder, self._claims)
        return self._claim

    def _brought(self, call: PaidCall, picture: Iterator[bytes], converse: Callable[[], tuple[str, ...]]) -> _Done:
        self._is_begun = True
        warnings = converse()
        placer = self._collector.placer(self._begin())
        part = placer.opened(self._job, call, 0)
        data, picture = _gathered(picture)
        facts = placer.filled(self._job, call, 0, part, data) if data and not part.is_whole else None
        if not part.is_whole:
            part.truncate()
            for piece in picture:
                part.append(piece)
            facts = examine(part, call.remote_uris[0])
        placed = placer.placed(self._job, call, 0, part, facts)
        recorder = self._collector.recorder
        beside = recorder.beside(self._job, call, [placed], warnings=warnings)
        # In this thread: told to stop in between, the process would leave a file without its record.
        return _Done(placed=placed, beside=beside, job=recorder.store_here(self._job, call, beside.call))

    async def _clear(self, call: PaidCall, beside: Beside) -> None:
        """Clear away what was kept; what cannot be is left to a later look at what dead processes left."""
        try:
            await self._collector.clear(self._job, call, self._claims, own=self._claim, ours=beside)
        except OSError as error:
            name = type(error).__name__
            logger.warning("job %s: what was kept of it is not cleared away yet: %s", self._job.job_id, name)


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
