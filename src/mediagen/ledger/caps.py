"""Spending caps over time, in exact micro-dollars."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from mediagen.errors import Billed, BudgetExceededError
from mediagen.jobs import Job, PaidCall

MICROUSD_PER_USD = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Cap:
    """Most that all jobs since a moment may cost together.

    Attributes:
        name: Variable that sets it, for the message.
        limit_usd: The limit, in US dollars.
        since: Start of the span (aware); jobs created before it do not count.
        profile: Whose jobs alone count; None is those of all.
    """

    name: str
    limit_usd: Decimal
    since: datetime
    profile: str | None = None


def counted_microusd(job: Job, call: PaidCall) -> int:
    """What a call takes from the caps: its charge; until that is known, its share of the quote unless it was free."""
    if job.backend == "emulator":
        return 0
    if call.charge and call.charge.usd is not None:
        return _microusd(call.charge.usd)
    if call.status.is_terminal and _billed(call) == "no":
        return 0
    # Cut so that the shares add up to the quote to the last micro-dollar.
    quoted, calls = quoted_microusd(job), max(1, len(job.calls))
    return quoted * (call.ordinal + 1) // calls - quoted * call.ordinal // calls


def quoted_microusd(job: Job) -> int:
    """What a new job asks of the caps; 0 when it is free or its price is unknown."""
    return 0 if job.backend == "emulator" or job.quote.usd is None else _microusd(job.quote.usd)


def check_caps(
    job: Job,
    caps: Sequence[Cap],
    *,
    counted_since: Callable[[datetime, str | None], int],
    whole_usd: Decimal | None = None,
) -> None:
    """Refuse a job that would lift the sum above a cap.

    Args:
        job: The new job, not yet in the ledger.
        caps: Limits to hold.
        counted_since: Gives what all jobs, or those of one profile, spent or reserved since a moment, in micro-dollars.
        whole_usd: What has to fit, where more than this job is to come.

    Raises:
        BudgetExceededError: Names the cap, what is spent, left and asked.
    """
    if job.backend == "emulator":
        return
    asked = quoted_microusd(job) if whole_usd is None else _microusd(whole_usd)
    for cap in caps:
        if job.quote.usd is None:
            raise BudgetExceededError(
                f"The price of this job is not known, so {cap.name} cannot be kept. Nothing was sent.",
                hint=f"Use a model with a known price, or remove {cap.name}.",
                code="price_unknown",
            )
        spent, limit = counted_since(cap.since, cap.profile), _microusd(cap.limit_usd, ROUND_FLOOR)
        if asked and spent + asked > limit:
            raise _exceeded(cap, "job" if whole_usd is None else "chain of jobs", spent=spent, limit=limit, asked=asked)


def usd(microusd: int) -> Decimal:
    """Turn micro-dollars into US dollars, with two decimals or as many as are needed."""
    exact = Decimal(microusd).scaleb(-6).normalize()
    exponent = exact.as_tuple().exponent
    return exact if isinstance(exponent, int) and exponent < -2 else exact.quantize(Decimal("0.01"))


def _exceeded(cap: Cap, wish: str, *, spent: int, limit: int, asked: int) -> BudgetExceededError:
    left = max(0, limit - spent)
    return BudgetExceededError(
        f"{cap.name} is ${usd(limit)}: ${usd(spent)} is spent or reserved since {cap.since:%Y-%m-%d %H:%M} UTC"
        f"{'' if cap.profile is None else ' by its jobs'}, "
        f"${usd(left)} is left, and this {wish} asks ${usd(asked)}. Nothing was sent.",
        hint=f"Make it shorter, smaller or fewer, wait until the span is over, or raise {cap.name}.",
    )


def _microusd(amount: Decimal, rounding: str = ROUND_CEILING) -> int:
    return int((amount * MICROUSD_PER_USD).to_integral_value(rounding))


def _billed(call: PaidCall) -> Billed:
    if call.charge:
        return call.charge.billed
    return call.error.billed if call.error else "unknown"
