"""Where the money of a span went, in one statement. Blocking, for worker threads."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from mediagen.ledger import queries
from mediagen.ledger.engines.base import Connection
from mediagen.ledger.rows import time_text

SpendKey = Literal["day", "model", "profile", "status", "month"]
END = datetime.max.replace(tzinfo=UTC)
BEGINNING = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """Jobs created in it, by what they are grouped, and whether those that are always free are counted, too.

    Attributes:
        since: First moment (aware); None is the beginning of the ledger.
        until: First moment after it (aware); None is the end.
    """

    by: SpendKey
    since: datetime | None = None
    until: datetime | None = None
    with_free: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Spending:
    """Money of one group, in micro-dollars; together it is what the caps count.

    Attributes:
        name: Day or month (UTC), model, profile or state of the job; None where a job has no profile.
        jobs: Those that could cost something.
        free_jobs: Of the emulator and of this machine.
        charged: What is known to be charged.
        billed_at_quote: Billed without an amount that is known: the share of the quote.
        reserved: Share of the quote of calls that have not ended.
        possibly_billed: Share of the quote of calls of which nobody knows whether they were billed.
        unpriced_calls: Calls that cost or may cost something, and nobody knows how much.
    """

    name: str | None
    jobs: int
    free_jobs: int
    charged: int
    billed_at_quote: int
    reserved: int
    possibly_billed: int
    unpriced_calls: int


def spending(connection: Connection, span: Span, principal: str | None = None) -> list[Spending]:
    """Sum up what was created in a span, by all or by one principal, ordered by name."""
    parameters = {
        "since": time_text(span.since or BEGINNING),
        "until": time_text(span.until or END),
        "with_free": span.with_free,
        "principal": principal,
    }
    return [Spending(**dict(row)) for row in connection.execute(queries.spending(span.by, principal), parameters)]
