"""What a call costs once it is made. Pure."""

from dataclasses import replace
from decimal import Decimal

from mediagen.jobs import Charge, Job, Usage
from mediagen.pricing import Prices

FREE = Charge(usd=Decimal(0), basis="made by the emulator, free", certainty="exact", billed="no")


def charge_of(prices: Prices, job: Job, usage: Usage | None, *, made: int) -> Charge:
    """What a call that made so many files costs."""
    if job.backend == "emulator":
        return FREE
    surface, location = job.surface, job.effective.get("location")
    if job.kind == "video" and usage is None:
        return prices.charge_for_clips(
            job.model,
            samples=made,
            seconds=job.effective["duration_seconds"],
            resolution=job.effective["resolution"],
            silent=not job.effective.get("generate_audio", True),
            surface=surface,
            location=location,
        )
    prices = prices.in_batches() if job.is_economy else prices
    charge = prices.charge_for(job.model, usage or Usage(), surface=surface, location=location)
    if job.effective.get("search_grounding"):
        return replace(charge, certainty="estimated", basis=f"{charge.basis}; web searches are billed on top")
    return charge
