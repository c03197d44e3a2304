"""US dollars as people read them."""

from decimal import ROUND_HALF_UP, Decimal


def rounded(usd: Decimal, rounding: str = ROUND_HALF_UP, places: int = 4) -> Decimal:
    """Round, and drop the zeros after the cents."""
    short = usd.quantize(Decimal(1).scaleb(-places), rounding=rounding).normalize()
    exponent = short.as_tuple().exponent
    return short if isinstance(exponent, int) and exponent < -2 else short.quantize(Decimal("0.01"))


def dollars(usd: Decimal) -> str:
    """Write an amount, to a millionth where it is so small."""
    return f"${rounded(usd, places=6):f}"
