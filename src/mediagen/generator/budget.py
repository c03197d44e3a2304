"""Spending caps and approval: what may be sent."""

from datetime import datetime
from decimal import Decimal

from mediagen.errors import BudgetExceededError
from mediagen.jobs import Quote
from mediagen.ledger.caps import Cap
from mediagen.settings import Settings


def check_budget(quote: Quote, max_usd: Decimal | None, settings: Settings) -> tuple[str, ...]:
    """Refuse a job that is dearer than allowed or approved.

    Returns:
        Warnings for the caller.

    Raises:
        BudgetExceededError: Names the limit, the quote and what to do; nothing was sent.
    """
    limits = {"max_usd": max_usd, "MEDIAGEN_MAX_USD_PER_CALL": settings.max_usd_per_call}
    if quote.usd is None:
        return _unknown_price(limits, settings)
    for name, limit in limits.items():
        if limit is not None and quote.usd > limit:
            raise BudgetExceededError(
                f"The job is quoted at ${quote.usd} ({quote.basis}), above {name} = ${limit}. Nothing was sent.",
                hint="Make it shorter, smaller or fewer, choose a cheaper model (estimate_cost shows some), "
                f"or raise {name}.",
            )
    if max_usd is None and quote.usd > settings.confirm_above_usd:
        raise BudgetExceededError(
            f"The job is quoted at ${quote.usd} ({quote.basis}), above the approval threshold of "
            f"${settings.confirm_above_usd}. Nothing was sent.",
            hint=f"Ask whoever pays; then repeat the call with max_usd={quote.usd} or more.",
            code="approval_needed",
        )
    return ()


def caps(settings: Settings, now: datetime) -> tuple[Cap, ...]:
    """Caps over time, to be held by the ledger when it takes the job in."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    found = (
        ("MEDIAGEN_MAX_USD_PER_DAY", settings.max_usd_per_day, midnight),
        ("MEDIAGEN_MAX_USD_PER_MONTH", settings.max_usd_per_month, midnight.replace(day=1)),
    )
    return tuple(Cap(name=name, limit_usd=limit, since=since) for name, limit, since in found if limit is not None)


def _unknown_price(limits: dict[str, Decimal | None], settings: Settings) -> tuple[str, ...]:
    over_time = {
        "MEDIAGEN_MAX_USD_PER_DAY": settings.max_usd_per_day,
        "MEDIAGEN_MAX_USD_PER_MONTH": settings.max_usd_per_month,
    }
    capped = [name for name, limit in {**limits, **over_time}.items() if limit is not None]
    if capped:
        raise BudgetExceededError(
            f"The price of this job is not known, so {capped[0]} cannot be kept. Nothing was sent.",
            hint="Use a model from the catalogue, or leave the limit out if you accept an unknown price.",
            code="price_unknown",
        )
    return ("The price of this model is not known; Google may charge any amount.",)
