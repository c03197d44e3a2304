"""Spending caps and approval: what may be sent."""

from datetime import datetime
from decimal import Decimal

from mediagen.errors import BudgetExceededError
from mediagen.generator.policy import Limits
from mediagen.jobs import Quote
from mediagen.ledger.caps import Cap


def check_budget(quote: Quote, max_usd: Decimal | None, limits: Limits) -> tuple[str, ...]:
    """Refuse a job that is dearer than allowed or approved.

    Returns:
        Warnings for the caller.

    Raises:
        BudgetExceededError: Names the limit, the quote and what to do; nothing was sent.
    """
    of_call = {"max_usd": max_usd, "MEDIAGEN_MAX_USD_PER_CALL": limits.per_call_usd}
    if quote.usd is None:
        return _unknown_price(of_call, limits)
    for name, limit in of_call.items():
        if limit is not None and quote.usd > limit:
            raise BudgetExceededError(
                f"The job is quoted at ${quote.usd} ({quote.basis}), above {name} = ${limit}. Nothing was sent.",
                hint="Make it shorter, smaller or fewer, choose a cheaper model (estimate_cost shows some), "
                f"or raise {name}.",
            )
    if max_usd is None and quote.usd > limits.confirm_above_usd:
        raise BudgetExceededError(
            f"The job is quoted at ${quote.usd} ({quote.basis}), above the approval threshold of "
            f"${limits.confirm_above_usd}. Nothing was sent.",
            hint=f"Ask whoever pays; then repeat the call with max_usd={quote.usd} or more.",
            code="approval_needed",
        )
    return ()


def check_may_spend(limits: Limits, backend: str) -> None:
    """Refuse every call that would cost money where whoever runs this forbids it.

    Raises:
        BudgetExceededError: Names the variable or the profile (code ``no_spend``); nothing was sent.
    """
    if limits.no_spend and backend != "emulator":
        raise BudgetExceededError(
            f"{limits.no_spend}: every call that would cost money is refused. Nothing was sent.",
            hint="backend='emulator' is a free trial, dry_run names the price; whoever pays can lift the ban.",
            code="no_spend",
        )


def caps(limits: Limits, now: datetime) -> tuple[Cap, ...]:
    """Caps over time, to be held by the ledger when it takes the job in."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    found = (
        ("MEDIAGEN_MAX_USD_PER_DAY", limits.per_day_usd, midnight),
        ("MEDIAGEN_MAX_USD_PER_MONTH", limits.per_month_usd, midnight.replace(day=1)),
    )
    return tuple(Cap(name=name, limit_usd=limit, since=since) for name, limit, since in found if limit is not None)


def _unknown_price(of_call: dict[str, Decimal | None], limits: Limits) -> tuple[str, ...]:
    over_time = {
        "MEDIAGEN_MAX_USD_PER_DAY": limits.per_day_usd,
        "MEDIAGEN_MAX_USD_PER_MONTH": limits.per_month_usd,
    }
    capped = [name for name, limit in {**of_call, **over_time}.items() if limit is not None]
    if capped:
        raise BudgetExceededError(
            f"The price of this job is not known, so the cap {capped[0]} (variable, or profile) cannot be kept. "
            "Nothing was sent.",
            hint="Use a model from the catalogue, or leave the limit out if you accept an unknown price.",
            code="price_unknown",
        )
    return ("The price of this model is not known; Google may charge any amount.",)
