"""Who waits in this process for news of a job."""

from collections.abc import Callable
from dataclasses import dataclass, field

import anyio

from mediagen.jobs import Job


@dataclass(kw_only=True, slots=True, eq=False)
class News:
    """The next change of a job.

    Attributes:
        event: Set with it.
        job: As it is from then on, where that is known.
    """

    event: anyio.Event = field(default_factory=anyio.Event)
    job: Job | None = None


class Changes:
    """Wakes those who wait in this process for a change of a job."""

    def __init__(self) -> None:
        self._news: dict[str, News] = {}
        self._listeners: dict[object, Callable[[str], None]] = {}

    def news(self, job_id: str) -> News:
        """What is told with the next change of the job."""
        return self._news.setdefault(job_id, News())

    def listen(self, listener: Callable[[str], None]) -> Callable[[], None]:
        """Have every change told at once to a listener that neither raises nor waits; returns what ends it."""
        token = object()
        self._listeners[token] = listener

        def stop() -> None:
            self._listeners.pop(token, None)

        return stop

    def tell(self, job_id: str, job: Job | None = None) -> None:
        """Wake who waits for the job; `job` is what it is now, for who knows."""
        news = self._news.pop(job_id, None)
        if news:
            news.job = job
            news.event.set()
        for listener in [*self._listeners.values()]:
            listener(job_id)
