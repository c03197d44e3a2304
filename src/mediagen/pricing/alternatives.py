"""Other models and surfaces that can do the same job, and what it would cost there."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mediagen.catalog import Catalog, Surface, check_image, check_video
from mediagen.errors import InvalidRequestError
from mediagen.pricing.prices import Prices

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from mediagen.jobs import Quote
    from mediagen.requests import ImageParameters, VideoParameters


@dataclass(frozen=True, kw_only=True, slots=True)
class Alternative:
    """Another model, or another surface, for the same job.

    Attributes:
        surface: API surface on which it is meant.
        quote: Price of the whole job with it.
        warnings: Doubts about the model, about a value with it, or about where it runs.
    """

    model: str
    surface: Surface
    quote: Quote
    warnings: tuple[str, ...] = ()


def cheapest_alternatives(  # noqa: PLR0913 - the job, where it may run, and how the answer is bounded
    catalog: Catalog,
    parameters: ImageParameters | VideoParameters,
    surface: Surface,
    limit: int = 2,
    *,
    surfaces: Sequence[Surface] = (),
    location: str | None = None,
    today: date | None = None,
) -> tuple[Alternative, ...]:
    """Find what else accepts exactly these parameters.

    Args:
        catalog: Models to choose from.
        parameters: The job; its own model on its own surface is left out.
        surface: API surface of the job itself.
        limit: How many to return.
        surfaces: Surfaces to look over, the preferred ones first; by default only that of the job, which always wins
            over its equals.
        location: Wanted location on Vertex AI; None is the default.
        today: Day for which retirements are judged; by default that of the catalogue.

    Returns:
        Each model once, on the surface where it is cheapest; the job's own model only when another surface has it.
        Cheapest first, dearer ones included; doubts about one stand in its warnings.
    """
    day = today or catalog.as_of
    found = []
    for name in sorted(surfaces or (surface,), key=lambda name: name != surface):
        for spec in catalog.models(surface=name):
            if spec.modes is None or (spec.id, name) == (parameters.model, surface):
                continue
            job = dataclasses.replace(parameters, model=spec.id)
            alternative = _alternative(catalog, job, name, location=location, today=day)
            if alternative is not None:
                found.append(alternative)
    # The sort is stable: of equals the preferred surface stays in front.
    found.sort(key=lambda other: (other.quote.usd or 0, bool(other.warnings)))
    once = {other.model: other for other in reversed(found)}
    return tuple(other for other in found if once[other.model] is other)[:limit]


def _alternative(
    catalog: Catalog,
    parameters: ImageParameters | VideoParameters,
    surface: Surface,
    *,
    location: str | None,
    today: date,
) -> Alternative | None:
    # Whoever has parameters has loaded this module already; importing it with the package would load pydantic.
    from mediagen.requests import ImageParameters

    try:
        if isinstance(parameters, ImageParameters):
            found = catalog.find(parameters.model, "image", surface, today)
            warnings = check_image(found.spec, parameters)
        else:
            found = catalog.find(parameters.model, "video", surface, today)
            warnings = check_video(found.spec, parameters)
    except InvalidRequestError:
        return None
    place, elsewhere = found.spec.location_for(surface, location)
    quote = Prices.load().quote(parameters, surface=surface, location=place)
    if quote.usd is None:
        return None
    moved = (f"{elsewhere}.",) if elsewhere else ()
    return Alternative(
        model=parameters.model, surface=surface, quote=quote, warnings=(*found.warnings, *warnings, *moved)
    )
