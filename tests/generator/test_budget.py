"""Spending limits as tables: what is sent and what is refused."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from mediagen.errors import BudgetExceededError
from mediagen.generator.budget import caps, check_budget
from mediagen.generator.policy import Limits
from mediagen.jobs import Quote

NOW = datetime(2026, 11, 21, 15, 30, tzinfo=UTC)


def quote(usd: str | None) -> Quote:
    amount = None if usd is None else Decimal(usd)
    return Quote(
        usd=amount, min_usd=amount, max_usd=amount, basis="1 x", as_of="2026-11-21", source="", certainty="published"
    )


@pytest.mark.parametrize(
    ("usd", "max_usd", "limits", "code"),
    [
        ("0.10", None, Limits(), None),
        ("0.10", "0.10", Limits(), None),
        ("0.10", "0.09", Limits(), "budget_exceeded"),
        ("0.10", "0", Limits(), "budget_exceeded"),
        ("0.10", "1", Limits(per_call_usd=Decimal("0.09")), "budget_exceeded"),
        ("5.00", None, Limits(), None),
        ("5.01", None, Limits(), "approval_needed"),
        ("5.01", "6", Limits(), None),
        ("0.02", None, Limits(confirm_above_usd=Decimal("0.01")), "approval_needed"),
        (None, None, Limits(), None),
        (None, "1", Limits(), "price_unknown"),
        (None, None, Limits(per_call_usd=Decimal(1)), "price_unknown"),
        (None, None, Limits(per_day_usd=Decimal(1)), "price_unknown"),
        (None, None, Limits(per_month_usd=Decimal(1)), "price_unknown"),
    ],
)
def test_budget_of_a_call(usd, max_usd, limits, code):
    allowed = None if max_usd is None else Decimal(max_usd)
    if code is None:
        warnings = check_budget(quote(usd), allowed, limits)
        assert bool(warnings) == (usd is None)
        return
    with pytest.raises(BudgetExceededError) as refused:
        check_budget(quote(usd), allowed, limits)
    assert refused.value.code == code
    assert refused.value.hint


def test_caps_over_time_start_at_midnight_and_at_the_first_of_the_month():
    found = caps(Limits(per_day_usd=Decimal(1), per_month_usd=Decimal(2)), NOW)
    assert [(cap.name, cap.limit_usd, cap.since.day, cap.since.hour) for cap in found] == [
        ("MEDIAGEN_MAX_USD_PER_DAY", Decimal(1), 21, 0),
        ("MEDIAGEN_MAX_USD_PER_MONTH", Decimal(2), 1, 0),
    ]
    assert caps(Limits(), NOW) == ()
