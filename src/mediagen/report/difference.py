"""How far the price after a job is from the price before it."""

from decimal import ROUND_HALF_UP, Decimal

from mediagen.jobs import Charge, Quote
from mediagen.report.money import dollars, rounded


def difference_in_words(quote: Quote, charge: Charge) -> str:
    """Say how far a charge is from its quote: "$0.0012 (3 %) below the quote".

    Args:
        quote: Price of the whole job before it.
        charge: What the same job cost, all its calls together.

    Returns:
        Nothing when either is unknown, when nothing was billed, or when they agree to a hundredth of a cent.
    """
    if quote.usd is None or charge.usd is None or "unknown" in {quote.certainty, charge.certainty}:
        return ""
    difference = rounded(charge.usd - quote.usd)
    if charge.billed == "no" or not difference:
        return ""
    share = f" ({_percent(abs(difference), quote.usd)})" if quote.usd else ""
    return f"{dollars(abs(difference))}{share} {'above' if difference > 0 else 'below'} the quote"


def _percent(difference: Decimal, whole: Decimal) -> str:
    percent = (difference / whole * 100).quantize(Decimal(1), rounding=ROUND_HALF_UP)
    return f"{percent} %" if percent else "less than 1 %"
