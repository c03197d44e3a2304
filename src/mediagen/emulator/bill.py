"""What the emulated calls would have cost."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from mediagen.emulator.catalogue import Kind


def now_text() -> str:
    """Give the present moment the way Google writes it."""
    return time_text(datetime.now(UTC))


def time_text(moment: datetime) -> str:
    """Give a moment the way Google writes it."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, kw_only=True, slots=True)
class BillItem:
    """One paid submission that was accepted."""

    model: str
    kind: Kind
    operation: str
    task: str
    usd: Decimal
    at: str


class Bill:
    """The list of paid submissions, oldest first."""

    def __init__(self) -> None:
        self._items: list[BillItem] = []

    def add(self, *, model: str, kind: Kind, operation: str, task: str, usd: Decimal) -> None:
        """Charge one accepted submission."""
        item = BillItem(model=model, kind=kind, operation=operation, task=task, usd=usd, at=now_text())
        self._items.append(item)

    def void(self, operation: str) -> None:
        """Take back the charge of an operation that Google would not bill."""
        self._items = [item for item in self._items if item.operation != operation]

    def clear(self) -> None:
        """Start a new bill."""
        self._items = []

    def as_json(self) -> dict[str, Any]:
        """Give the bill as the admin endpoint shows it; money is text."""
        total = sum((item.usd for item in self._items), Decimal(0))
        items = [asdict(item) | {"usd": str(item.usd)} for item in self._items]
        return {"paid_submissions": len(items), "usd": str(total), "items": items}
