"""Who waits in this process for news of a job."""

from collections.abc import Callable

import anyio


class Changes:
    """Wakes those who wait in this process for a change of a job."""

    def __init__(self) -> None:
        self._events: dict[str, anyio.Event] = {}
        self._listeners: dict[object, Callable[[str], None]] = {}

    def event(self, job_id: str) -> anyio.Event:
        """Set with the next change of the job."""
        return self._events.setdefault(job_id, anyio.Event())

    def listen(self, listener: Callable[[str], None]) -> Callable[[], None]:
        """Have every change told at once to a listener that neither raises nor waits; returns what ends it."""
        token = object()
        self._listeners[token] = listener

        def stop() -> None:
            self._listeners.pop(token, None)

        return stop

    def tell(self, job_id: str) -> None:
        """Wake who waits for the job."""
        event = self._events.pop(job_id, None)
        if event:
            event.set()
        for listener in [*self._listeners.values()]:
            listener(job_id)
