"""Progress notifications: strictly increasing, at most one per second."""

import anyio
from mcp.server.mcpserver import Context

from mediagen.app.app import App
from mediagen.jobs import Progress

SECONDS_BETWEEN = 1.0
SMALLEST_STEP = 0.0001


class ProgressReporter:
    """Passes the progress of one call on to the client."""

    def __init__(self, context: Context[App]) -> None:
        self._context = context
        self._last = 0.0
        self._sent_at = -SECONDS_BETWEEN

    async def __call__(self, progress: Progress) -> None:
        """Send it, unless the last one was sent less than a second ago; the result tells of the end in any case."""
        now = anyio.current_time()
        if self._last >= 1.0 or now - self._sent_at < SECONDS_BETWEEN:
            return
        value = 1.0 if progress.fraction >= 1.0 else max(progress.fraction, self._last + SMALLEST_STEP)
        self._last, self._sent_at = value, now
        await self._context.report_progress(value, 1.0, progress.message)
