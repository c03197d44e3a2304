"""What the operator decided, as values; the generator knows no environment."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from mediagen.jobs import Origin
from mediagen.requests import Backend
from mediagen.routing import Configured


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Spending limits in US dollars; None is no limit.

    Attributes:
        confirm_above_usd: A dearer job needs `max_usd` as approval.
    """

    per_call_usd: Decimal | None = None
    per_day_usd: Decimal | None = None
    per_month_usd: Decimal | None = None
    confirm_above_usd: Decimal = Decimal(5)


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """Choices that hold for all calls.

    Attributes:
        backend: Surface to use when the caller names none.
        key_source: Variable that the key came from, for messages.
        folder: Where files go when the caller does not say.
        state_folder: Where the ledger is.
        wait_seconds: How long a call waits before it hands back a running job.
        ffmpeg: Executable, or None to look for one.
    """

    backend: Backend
    configured: Configured
    key_source: str
    folder: Path
    folder_origin: Origin
    state_folder: Path
    limits: Limits
    wait_seconds: float
    ffmpeg: str | None
