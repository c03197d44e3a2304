"""How a charge is compared with its quote, and how amounts are written."""

from decimal import Decimal
from typing import Literal

import pytest

from mediagen.errors import Billed
from mediagen.jobs import Charge, Quote
from mediagen.report.difference import difference_in_words
from mediagen.report.money import dollars, rounded


def quote(usd: str | None, certainty: Literal["published", "unknown"] = "published") -> Quote:
    amount = None if usd is None else Decimal(usd)
    return Quote(usd=amount, min_usd=amount, max_usd=amount, basis="", as_of="", source="", certainty=certainty)


def charge(usd: str | None, billed: Billed = "yes", certainty: Literal["exact", "unknown"] = "exact") -> Charge:
    return Charge(usd=None if usd is None else Decimal(usd), basis="", certainty=certainty, billed=billed)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (quote("0.0336"), charge("0.0348"), "$0.0012 (4 %) above the quote"),
        (quote("0.56"), charge("0.28"), "$0.28 (50 %) below the quote"),
        (quote("1"), charge("1.0002"), "$0.0002 (less than 1 %) above the quote"),
        (quote("1"), charge("1.00004"), ""),
        (quote("1"), charge("1"), ""),
        (quote("0"), charge("0.5"), "$0.50 above the quote"),
        (quote(None), charge("1"), ""),
        (quote("1"), charge(None, certainty="unknown"), ""),
        (quote("1"), charge("2", certainty="unknown"), ""),
        (quote("1", "unknown"), charge("2"), ""),
        (quote("1"), charge("0", billed="no"), ""),
    ],
)
def test_distance_of_a_charge_from_its_quote(before, after, words):
    assert difference_in_words(before, after) == words


@pytest.mark.parametrize(
    ("usd", "written"),
    [
        ("0", "$0.00"),
        ("0.5", "$0.50"),
        ("3.2", "$3.20"),
        ("0.0336", "$0.0336"),
        ("0.08040", "$0.0804"),
        ("0.0000015", "$0.000002"),
        ("1234", "$1234.00"),
        ("1E+3", "$1000.00"),
    ],
)
def test_amounts_are_written_as_people_read_them(usd, written):
    assert dollars(Decimal(usd)) == written


def test_rounding_keeps_the_cents():
    assert str(rounded(Decimal("1.23456"))) == "1.2346"
    assert str(rounded(Decimal("1.20004"))) == "1.20"
