"""What a job will cost and what it did cost, in US dollars: dated price rows, and pure functions over them."""

from mediagen.pricing.alternatives import Alternative, alternatives_to
from mediagen.pricing.prices import Prices

__all__ = ["Alternative", "Prices", "alternatives_to"]
