"""Spending caps and approval: what may be sent."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal

from mediagen.errors import ApprovalNeededError, BudgetExceededError
from mediagen.generator.policy import Limits, ProfileLimits
from mediagen.jobs import Quote
from mediagen.ledger.caps import Cap
from mediagen.ledger.ledger import Ledger
from mediagen.report.job import QuoteReport
from mediagen.report.spending import CapReport
from mediagen.report.text import quote_in_words


def check_budget(quote: Quote, max_usd: Decimal | None, limits: Limits) -> tuple[str, ...]:
    """Refuse a job that is dearer than allowed or approved.

    Returns:
        Warnings for the caller.

    Raises:
        BudgetExceededError: Names the limit, the quote and what to do; nothing was sent.
    """
    of_call = {"max_usd": max_usd, **caps_of_call(limits)}
    if quote.usd is None:
        return _unknown_price(of_call, limits)
    for name, limit in of_call.items():
        if limit is not None and quote.usd > limit:
            raise BudgetExceededError(
                f"The job is quoted at ${quote.usd} ({quote.basis}), above {name} = ${limit}. Nothing was sent.",
                hint="Make it shorter, smaller or fewer, choose a cheaper model (estimate_cost prices such ways), "
                f"or raise {name}.",
            )
    if max_usd is None and quote.usd > limits.confirm_above_usd:
        raise ApprovalNeededError(
            f"The job is quoted at ${quote.usd} ({quote.basis}), above the approval threshold of "
            f"${limits.confirm_above_usd}. Nothing was sent.",
            hint=f"Ask whoever pays; then repeat the call with max_usd={quote.usd} or more.",
            usd=quote.usd,
            basis=quote_in_words(QuoteReport.model_validate(quote)),
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


def caps_of_call(limits: Limits) -> dict[str, Decimal]:
    """Caps of one job, by what sets them."""
    found = {"MEDIAGEN_MAX_USD_PER_CALL": limits.per_call_usd}
    if profile := limits.profile:
        found[_of_profile("max_usd_per_call", profile)] = profile.per_call_usd
    return {name: limit for name, limit in found.items() if limit is not None}


def caps(limits: Limits, now: datetime) -> tuple[Cap, ...]:
    """Caps over time, to be held by the ledger when it takes the job in; those of the profile count its jobs alone."""
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    first = midnight.replace(day=1)
    found: list[tuple[str, Decimal | None, datetime, str | None]] = [
        ("MEDIAGEN_MAX_USD_PER_DAY", limits.per_day_usd, midnight, None),
        ("MEDIAGEN_MAX_USD_PER_MONTH", limits.per_month_usd, first, None),
    ]
    if profile := limits.profile:
        found += [
            (_of_profile("max_usd_per_day", profile), profile.per_day_usd, midnight, profile.name),
            (_of_profile("max_usd_per_month", profile), profile.per_month_usd, first, profile.name),
        ]
    return tuple(
        Cap(name=name, limit_usd=limit, since=since, profile=whose)
        for name, limit, since, whose in found
        if limit is not None
    )


async def standing(limits: Iterable[Limits], ledger: Ledger, now: datetime) -> list[CapReport]:
    """How the caps over time stand now, each once.

    Raises:
        LedgerError: The ledger cannot be read.
    """
    found = []
    for cap in dict.fromkeys(cap for each in limits for cap in caps(each, now)):
        spent = await ledger.spent(cap.since, cap.profile)
        found.append(
            CapReport(
                name=cap.name,
                profile=cap.profile,
                since=cap.since.isoformat(timespec="minutes").replace("+00:00", "Z"),
                limit_usd=cap.limit_usd,
                spent_usd=spent,
                left_usd=max(Decimal(0), cap.limit_usd - spent),
            )
        )
    return found


def _of_profile(name: str, profile: ProfileLimits) -> str:
    return f"{name} of profile {profile.name!r}"


def _unknown_price(of_call: Mapping[str, Decimal | None], limits: Limits) -> tuple[str, ...]:
    over_time = {cap.name: cap.limit_usd for cap in caps(limits, datetime.now(UTC))}
    capped = [name for name, limit in {**of_call, **over_time}.items() if limit is not None]
    if capped:
        raise BudgetExceededError(
            f"The price of this job is not known, so the cap {capped[0]} cannot be kept. Nothing was sent.",
            hint="Use a model from the catalogue, or leave the limit out if you accept an unknown price.",
            code="price_unknown",
        )
    return ("The price of this model is not known; Google may charge any amount.",)
