"""What would fit where a job is dearer than it may be: the same wish, made smaller until its quote fits."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from mediagen.catalog import ModelSpec, check_image, check_video
from mediagen.errors import BudgetExceededError, InvalidRequestError
from mediagen.generator.budget import caps, caps_of_call
from mediagen.generator.chains import whole_quote
from mediagen.generator.plan import Plan
from mediagen.ledger.ledger import Ledger
from mediagen.pricing import Prices
from mediagen.report.money import dollars
from mediagen.requests import ImageParameters, VideoParameters

# Codes of the refusals that a smaller job may escape.
LIMITED = frozenset({"budget_exceeded", "approval_needed"})
SUGGESTIONS = 3
# Their length, their resolution or both follow from the video that goes in.
BOUND_TO_SOURCE = frozenset({"video_extension", "video_edit", "insert_objects", "remove_objects"})
Parameters = ImageParameters | VideoParameters


@dataclass(frozen=True, kw_only=True, slots=True)
class Fit:
    """A smaller wish.

    Attributes:
        changes: Arguments to give instead.
        usd: Its quote.
        words: What it makes.
    """

    changes: dict[str, Any]
    usd: Decimal
    words: str


async def left_usd(plan: Plan, max_usd: Decimal | None, *, ledger: Ledger, now: datetime) -> Decimal:
    """Most that a job in the place of the planned one may cost now, all limits together."""
    limits = plan.project.limits
    # Without max_usd, what is dearer than the threshold would be held up for approval.
    found = [limits.confirm_above_usd if max_usd is None else max_usd]
    found += caps_of_call(limits).values()
    if plan.route.backend != "emulator":
        found += [cap.limit_usd - await ledger.spent(cap.since, cap.profile) for cap in caps(limits, now)]
    return max(Decimal(0), min(found))


def fitting(plan: Plan, left: Decimal, prices: Prices) -> tuple[Fit, ...]:
    """The largest that fits at each size, that of the plan first; for a chain, the longest one."""
    if plan.link is not None:
        return _shorter_chain(plan, left, prices) if plan.link.number == 1 else ()
    found = []
    for scale in _scales(plan.spec, plan.parameters):
        fits = [fit for size in _sizes(plan.spec, plan.parameters, scale) if (fit := _fit(plan, size, left, prices))]
        found += sorted(fits, key=_amount, reverse=True)[:1]
    return tuple(found[:SUGGESTIONS])


def fits_in_words(fits: tuple[Fit, ...], left: Decimal) -> str:
    """What would fit, as a sentence."""
    if not fits:
        return f"Nothing of it fits in {dollars(left)}."
    return f"In {dollars(left)} would fit: {', or '.join(f'{fit.words} ({dollars(fit.usd)})' for fit in fits)}."


def refusal_in_words(error: BudgetExceededError) -> str:
    """What a dry run warns of; that it sends nothing is said of it anyway."""
    return f"It would be refused: {str(error).replace(' Nothing was sent.', '')}"


def _shorter_chain(plan: Plan, left: Decimal, prices: Prices) -> tuple[Fit, ...]:
    assert plan.link is not None
    for times in range(plan.link.times - 1, 0, -1):
        usd = whole_quote(plan, times, prices).usd
        if usd is not None and usd <= left:
            return (Fit(changes={"times": times}, usd=usd, words=f"times={times}"),)
    return ()


def _scales(spec: ModelSpec, parameters: Parameters) -> tuple[str, ...]:
    """Sizes to try: that of the job, then the smaller ones, from large to small."""
    if isinstance(parameters, ImageParameters):
        asked, known = parameters.image_size, spec.image_sizes or ()
    else:
        asked, known = parameters.resolution, spec.resolutions or ()
        if parameters.mode in BOUND_TO_SOURCE:
            known = ()
    return (asked, *reversed(known[: known.index(asked)])) if asked in known else (asked,)


def _sizes(spec: ModelSpec, parameters: Parameters, scale: str) -> Iterator[Parameters]:
    """The job at one size, with every length and number up to its own."""
    for count in range(1, parameters.count + 1):
        if isinstance(parameters, ImageParameters):
            yield dataclasses.replace(parameters, image_size=scale, count=count)
        else:
            for seconds in _lengths(spec, parameters):
                yield dataclasses.replace(parameters, resolution=scale, count=count, duration_seconds=seconds)


def _lengths(spec: ModelSpec, parameters: VideoParameters) -> tuple[int, ...]:
    if parameters.mode in BOUND_TO_SOURCE - {"video_extension"}:
        return (parameters.duration_seconds,)
    shorter = (seconds for seconds in spec.durations_for(parameters.mode) if seconds < parameters.duration_seconds)
    return (*shorter, parameters.duration_seconds)


def _fit(plan: Plan, parameters: Parameters, left: Decimal, prices: Prices) -> Fit | None:
    prices = prices.in_batches() if plan.is_economy else prices
    usd = prices.quote(parameters, surface=plan.route.surface, location=plan.route.location).usd
    if usd is None or usd > left:
        return None
    try:
        if isinstance(parameters, ImageParameters):
            check_image(plan.spec, parameters)
        else:
            check_video(plan.spec, parameters)
    except InvalidRequestError:
        return None
    names = ("image_size", "resolution", "duration_seconds", "count")
    values = {name: getattr(parameters, name, None) for name in names}
    changes = {
        name: value for name, value in values.items() if value is not None and value != getattr(plan.parameters, name)
    }
    return Fit(changes=changes, usd=usd, words=_words(parameters)) if changes else None


def _words(parameters: Parameters) -> str:
    if isinstance(parameters, ImageParameters):
        noun = "picture" if parameters.count == 1 else "pictures"
        return f"{parameters.count} {noun} of {parameters.image_size}"
    times = "" if parameters.count == 1 else f"{parameters.count} × "
    return f"{times}{parameters.duration_seconds} s at {parameters.resolution}"


def _amount(fit: Fit) -> Decimal:
    # Of one size, what costs most makes most.
    return fit.usd
