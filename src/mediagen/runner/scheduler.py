"""What the two schedulers have in common: each sees to it that every open job is advanced when a step of it is due."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import anyio

from mediagen.endpoints.base import PaidRequest
from mediagen.errors import MediaGenError
from mediagen.jobs import Job
from mediagen.runner.advancing import Advancer
from mediagen.runner.departure import Departure
from mediagen.runner.late import Late

RENEWALS_PER_LEASE = 3

logger = logging.getLogger(__name__)

Duty = Callable[[], Awaitable[None]]
OnEnded = Callable[[Job], Awaitable[None]]


class Scheduler(AbstractAsyncContextManager[Any], Protocol):
    """Sees to it that open jobs are advanced, for as long as it is entered.

    A caller that stops waiting never stops a job.

    Attributes:
        advancer: Takes the steps that this process takes.
        late: Looks for what turns up of calls that were given up.
        drives_here: Whether this process takes the steps of the jobs that it creates.
        on_link_ended: Goes on with the chain of a job that has ended; set by whoever builds the parts.
    """

    advancer: Advancer
    late: Late
    drives_here: bool
    on_link_ended: OnEnded | None

    def departure(self, draft: Job, requests: Sequence[PaidRequest]) -> Departure:
        """Prepare a job that is to be written to the ledger; one request for each of its calls."""
        ...

    def start(self, job: Job, requests: Sequence[PaidRequest]) -> None:
        """Begin with a job that was just written to the ledger; one request for each of its calls."""
        ...

    def start_sweeping(self) -> None:
        """Look for jobs that nobody advances, now and from time to time."""
        ...

    async def resume(self, only: str | None = None) -> list[Job]:
        """Take over open jobs whose process is gone, and chains that it did not go on with; returns those taken.

        Args:
            only: Job that alone is taken over, so that no other chain goes on and costs.
        """
        ...

    def is_driven(self, job_id: str) -> bool:
        """Whether this process is not done with a job yet."""
        ...

    def notes(self, job: Job) -> tuple[str, ...]:
        """What keeps a job from going on, as far as the ledger does not say it."""
        ...


def kind_of(error: BaseException) -> str:
    """Kind of an exception, of the first one when several came together."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return type(error).__name__


async def keep_doing(what: str, duty: Duty, seconds: float) -> None:
    """Do a duty again and again: an outage is told once, and a defect met by it does not end the process."""
    told = ""
    while True:
        trouble = ""
        try:
            await duty()
        except MediaGenError as error:
            trouble = str(error)
        except Exception as error:  # noqa: BLE001 - the process has jobs to do all the same
            # Only the kind of the exception: its text may hold a prompt.
            trouble = f"a defect in mediagen ({kind_of(error)})"
        if trouble and trouble != told:
            logger.warning("%s does not work at the moment: %s", what, trouble)
        told = trouble
        await anyio.sleep(seconds)
