"""When a job has been waited for long enough: by the calendar, and by a clock that nobody can set."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mediagen.jobs import Job, PaidCall

# A calendar that was set forward, or right again after it was wrong, must not end what still goes on: Google is asked
# for so long after the time is over by the calendar.
ASKED_ON_SECONDS = 1800.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """Knows since when this process sees a call as overdue.

    Attributes:
        clock: Gives the present, aware; it may jump.
        monotonic: Seconds that only go forward.
    """

    clock: Callable[[], datetime]
    monotonic: Callable[[], float] = time.monotonic
    _overdue_since: dict[tuple[str, int], float] = field(default_factory=dict)

    def is_over(self, job: Job, call: PaidCall, span: timedelta) -> bool:
        """Whether a call has had its time, and was asked about for a while after that."""
        key = (job.job_id, call.ordinal)
        if self.clock() - job.created_at <= span:
            # Set right again: what was measured by the wrong time counts no more.
            self._overdue_since.pop(key, None)
            return False
        since = self._overdue_since.setdefault(key, self.monotonic())
        return self.monotonic() - since >= ASKED_ON_SECONDS

    def forget(self, job: Job, call: PaidCall) -> None:
        """Keep nothing of a call that has ended."""
        self._overdue_since.pop((job.job_id, call.ordinal), None)
