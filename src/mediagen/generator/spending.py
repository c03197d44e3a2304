"""Where the money went. Costs nothing."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from mediagen.errors import InvalidRequestError
from mediagen.generator.budget import standing
from mediagen.generator.policy import Limits
from mediagen.ledger.caps import usd
from mediagen.ledger.ledger import Ledger
from mediagen.ledger.spending import Span
from mediagen.ledger.spending import Spending as Group
from mediagen.report.spending import SpendAmounts, SpendReport, SpendRow
from mediagen.requests import GetSpendRequest

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MONTH = re.compile(r"[0-9]{4}-[0-9]{2}")
_PARTS = ("charged", "billed_at_quote", "reserved", "possibly_billed")
_NUMBERS = ("jobs", "free_jobs", "unpriced_calls")


@dataclass(frozen=True, kw_only=True, slots=True)
class Spending:
    """Answers what was spent.

    Attributes:
        limits: Those whose caps are shown with what is left of them.
    """

    ledger: Ledger
    clock: Callable[[], datetime]
    limits: tuple[Limits, ...] = ()

    async def get_spend(self, request: GetSpendRequest) -> SpendReport:
        """Sum up the money of a span.

        Raises:
            InvalidRequestError: A date that is none, or a span that ends before it begins.
        """
        since, until = self._since(request), _until(request.until)
        if since and until and since >= until:
            raise InvalidRequestError(
                f"since={request.since or since.date()} is not before until={request.until}.",
                field="since",
                hint="Give an earlier since, or a later until.",
            )
        span = Span(by=request.by, since=since, until=until, with_free=request.with_free)
        groups = await self.ledger.spending(span)
        counted = sum(getattr(group, part) for group in groups for part in _PARTS)
        return SpendReport(
            by=request.by,
            since=since and _moment(since),
            until=until and _moment(until),
            rows=[SpendRow(name=group.name, **_amounts([group])) for group in groups],
            total=SpendAmounts(**_amounts(groups)),
            counted_by_caps_usd=usd(counted),
            left_out_free_jobs=0 if groups or span.with_free else await self._free_jobs(span),
            caps=await standing(self.limits, self.ledger, self.clock()),
        )

    async def _free_jobs(self, span: Span) -> int:
        return sum(group.free_jobs for group in await self.ledger.spending(replace(span, with_free=True)))

    def _since(self, request: GetSpendRequest) -> datetime | None:
        if request.since is not None:
            return _moments(request.since, "since")[0]
        if request.by == "month":
            return None
        first = self.clock().astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        # What ended before this month is asked for from the beginning.
        until = _until(request.until)
        return None if until and until <= first else first


def _until(text: str | None) -> datetime | None:
    return None if text is None else _moments(text, "until")[1]


def _moments(text: str, field: str) -> tuple[datetime, datetime]:
    """First moment of what is named, and the first after it; of a time, that itself twice."""
    try:
        if _MONTH.fullmatch(text):
            first = datetime.fromisoformat(f"{text}-01").replace(tzinfo=UTC)
            return first, (first + timedelta(days=31)).replace(day=1)
        if _DAY.fullmatch(text):
            first = datetime.fromisoformat(text).replace(tzinfo=UTC)
            return first, first + timedelta(days=1)
        moment = datetime.fromisoformat(text)
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidRequestError(
            f"{field} is {text!r}, which is no date.",
            field=field,
            hint="Write a day (2026-11-21), a month (2026-11) or a time (2026-11-21T15:00Z); all are UTC.",
        ) from error
    return moment, moment


def _moment(moment: datetime) -> str:
    return moment.isoformat(timespec="minutes").replace("+00:00", "Z")


def _amounts(groups: list[Group]) -> dict[str, object]:
    sums = {f"{part}_usd": usd(sum(getattr(group, part) for group in groups)) for part in _PARTS}
    return {**sums, **{name: sum(getattr(group, name) for group in groups) for name in _NUMBERS}}
