"""Keeps which ends of jobs were told to a caller: only then does the same request ask for another."""

import logging
from types import TracebackType
from typing import Self

import anyio
from anyio.abc import TaskGroup

from mediagen.errors import MediaGenError
from mediagen.jobs import OPEN_STATUSES
from mediagen.ledger.ledger import Ledger
from mediagen.report.job import JobReport

logger = logging.getLogger(__name__)

# Whoever reads the answer has the processor first.
HEAD_START_SECONDS = 0.01


class Deliveries:
    """Writes deliveries down while it is entered; left, it finishes those that are begun."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._tasks: TaskGroup | None = None
        self._begun: set[anyio.Event] = set()
        self._wanted = anyio.Event()

    async def __aenter__(self) -> Self:
        self._tasks = await anyio.create_task_group().__aenter__()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._wanted.set()
        tasks, self._tasks = self._tasks, None
        if tasks:
            # The group gets no exception of its user, which it would wrap.
            await tasks.__aexit__(None, None, None)

    def hand_over(self, report: JobReport) -> None:
        """Take down that a report was handed over, if it tells the end; nobody waits until that is written."""
        if self._tasks:
            written = anyio.Event()
            self._begun.add(written)
            self._tasks.start_soon(self._write, report, written, self._wanted)

    async def settled(self) -> None:
        """Wait until all that was handed over is written down: who has the answer may ask again at once."""
        wanted, self._wanted = self._wanted, anyio.Event()
        wanted.set()
        for written in [*self._begun]:
            await written.wait()

    async def _write(self, report: JobReport, written: anyio.Event, wanted: anyio.Event) -> None:
        try:
            with anyio.move_on_after(HEAD_START_SECONDS, shield=True):
                await wanted.wait()
            await self.told(report)
        finally:
            self._begun.discard(written)
            written.set()

    async def told(self, report: JobReport) -> None:
        """Write down that a report was handed over. A ledger that cannot be written does not matter to the caller."""
        if report.job_id is None or not tells_the_end(report):
            return
        with anyio.CancelScope(shield=True):
            try:
                await self._ledger.mark_delivered(report.job_id)
            except MediaGenError as error:
                logger.warning("job %s: that it was delivered is not written down: %s", report.job_id, error.code)


def tells_the_end(report: JobReport) -> bool:
    """Whether nothing more is to come of what was asked for; a chain that goes on has not ended with its link."""
    if report.job_id is None or report.status in OPEN_STATUSES:
        return False
    return report.next is None or report.next.tool != "get_job"
