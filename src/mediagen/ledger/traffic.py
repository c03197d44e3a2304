"""What was sent lately of one model, and what of it Google refused as too much. Blocking, on an open connection."""

from dataclasses import dataclass
from datetime import datetime

from mediagen.ledger import queries
from mediagen.ledger.engines.base import Connection
from mediagen.ledger.rows import time_text


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """What Google counts together: the calls of one model with one project's credentials, at once or in batches."""

    backend: str
    model: str
    profile: str | None
    is_economy: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """A call that was one too many.

    Attributes:
        sent: When it left.
        at: When it was refused.
        retry_after: Seconds that Google asked to wait, or None.
    """

    sent: datetime
    at: datetime
    retry_after: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Traffic:
    """The calls of a line, in the order in which they were sent: when each left that Google took, and the refusals."""

    taken: tuple[datetime, ...]
    refused: tuple[Refusal, ...]


def traffic(connection: Connection, line: Line, since: datetime) -> Traffic:
    """Read the calls of a line since a moment."""
    asked = {"backend": line.backend, "model": line.model, "profile": line.profile, "since": time_text(since)}
    taken: list[datetime] = []
    refused: list[Refusal] = []
    for row in connection.execute(queries.SELECT_TRAFFIC, asked):
        if bool(row["economy"]) is not line.is_economy:
            continue
        if row["code"] == "rate_limited":
            wait = row["retry_after"]
            refused.append(
                Refusal(
                    sent=datetime.fromisoformat(row["created_at"]),
                    at=datetime.fromisoformat(row["updated_at"]),
                    retry_after=None if wait is None else float(wait),
                )
            )
        else:
            taken.append(datetime.fromisoformat(row["created_at"]))
    return Traffic(taken=tuple(taken), refused=tuple(sorted(refused, key=lambda refusal: refusal.at)))
