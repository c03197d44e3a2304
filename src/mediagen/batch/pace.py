"""How fast may be sent what Google limits by the minute: learned from the ledger, so that all processes share it.

Google does not say how many calls of a model a project may make in a minute; it refuses the one too many (429). What it
took in the minute before a refusal is taken for the limit, and every call of this machine counts, whoever made it.

Of batches (`--economy`) it limits how many are open, whenever they were made: after a refusal it is only waited.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import anyio

from mediagen.ledger.ledger import Ledger
from mediagen.ledger.traffic import Line, Traffic

WINDOW = timedelta(minutes=1)
# When Google names no time.
USUAL_WAIT = timedelta(seconds=10)
WAIT_FOR_ROOM = timedelta(minutes=1)
# So seldom is one more tried that at most one call in forty is refused for it.
WINDOWS_BETWEEN_TRIES = 2
CALLS_BETWEEN_TRIES = 40
SHARE_TRIED = 20
# One call may be faster on its way than the one whose place it takes.
MARGIN_SECONDS = 0.1


@dataclass(kw_only=True, slots=True)
class Limit:
    """What is known of the limit of one line.

    Attributes:
        window: Time in which Google counts.
        calls: Taken in a window; None when nothing was refused yet.
        since: When that was learned.
        held_until: No call is to leave before.
        usual_wait: After a refusal that names no time.
        is_of_calls: Whether it is one of calls in a window; else it is one of what may be open.
    """

    window: timedelta = WINDOW
    calls: int | None = None
    since: datetime | None = None
    held_until: datetime | None = None
    usual_wait: timedelta = USUAL_WAIT
    is_of_calls: bool = True


class Pace:
    """Lets calls leave one after the other, none before Google will take it.

    Args:
        ledger: Of all processes that share the limit.
        clock: The present.
        window: Time in which Google counts.
    """

    def __init__(self, ledger: Ledger, clock: Callable[[], datetime], window: timedelta = WINDOW) -> None:
        self._ledger = ledger
        self._clock = clock
        self._window = window
        self._limits: dict[Line, Limit] = {}
        self._turns: dict[Line, anyio.Lock] = {}

    def turn(self, line: Line) -> anyio.Lock:
        """To be held from `wait` until the job of the call is in the ledger, where the next one sees it."""
        return self._turns.setdefault(line, anyio.Lock())

    async def wait(self, line: Line) -> None:
        """Wait until a call may leave.

        Raises:
            LedgerError: What was sent cannot be read.
        """
        while True:
            now = self._clock()
            traffic = await self._ledger.traffic(line, now - 2 * self._window)
            due = due_at(self._limits.setdefault(line, self._unknown(line)), traffic, now)
            if due <= now:
                return
            await anyio.sleep((due - now).total_seconds() + MARGIN_SECONDS)

    def _unknown(self, line: Line) -> Limit:
        if line.is_economy:
            return Limit(window=self._window, usual_wait=WAIT_FOR_ROOM, is_of_calls=False)
        return Limit(window=self._window)


def due_at(limit: Limit, traffic: Traffic, now: datetime) -> datetime:
    """When the next call may leave; learns from what was refused."""
    _learn(limit, traffic)
    if limit.held_until and limit.held_until > now:
        return limit.held_until
    if limit.calls is None or limit.since is None:
        return now
    pause = max(limit.window * WINDOWS_BETWEEN_TRIES, limit.window * CALLS_BETWEEN_TRIES / limit.calls)
    if now - limit.since >= pause:
        limit.calls, limit.since = limit.calls + max(1, limit.calls // SHARE_TRIED), now
    recent = [sent for sent in traffic.taken if sent > now - limit.window]
    return now if len(recent) < limit.calls else recent[-limit.calls] + limit.window


def _learn(limit: Limit, traffic: Traffic) -> None:
    for refusal in traffic.refused:
        if limit.is_of_calls and (limit.since is None or refusal.at > limit.since):
            # By when they left, not by when the refusal came: those before it were on their way as long.
            before = sum(refusal.sent - limit.window < sent <= refusal.sent for sent in traffic.taken)
            limit.calls, limit.since = max(1, before), refusal.at
        wait = limit.usual_wait if refusal.retry_after is None else timedelta(seconds=refusal.retry_after)
        limit.held_until = max(limit.held_until or refusal.at, refusal.at + wait)
