"""Other models that can do the same job, and what it would cost with them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mediagen.catalog import Catalog, Surface, check_image, check_video
from mediagen.errors import InvalidRequestError
from mediagen.pricing.prices import Prices

if TYPE_CHECKING:
    from datetime import date

    from mediagen.jobs import Quote
    from mediagen.requests import ImageParameters, VideoParameters


@dataclass(frozen=True, kw_only=True, slots=True)
class Alternative:
    """Another model for the same job.

    Attributes:
        quote: Price of the whole job with it.
        warnings: Doubts about the model or about a value with it.
    """

    model: str
    quote: Quote
    warnings: tuple[str, ...] = ()


def cheapest_alternatives(
    catalog: Catalog,
    parameters: ImageParameters | VideoParameters,
    surface: Surface,
    limit: int = 2,
    *,
    today: date | None = None,
) -> tuple[Alternative, ...]:
    """Find other models on the same surface that accept exactly these parameters.

    Args:
        catalog: Models to choose from.
        parameters: The job; its own model is left out.
        surface: API surface that would be used.
        limit: How many to return.
        today: Day for which retirements are judged; by default that of the catalogue.

    Returns:
        Cheapest first, dearer ones included; those about which there are doubts come last.
    """
    day = today or catalog.as_of
    found = []
    for spec in catalog.models(surface=surface):
        if spec.id == parameters.model or not spec.serves(surface) or spec.modes is None:
            continue
        alternative = _alternative(catalog, dataclasses.replace(parameters, model=spec.id), surface, day)
        if alternative is not None:
            found.append(alternative)
    found.sort(key=lambda other: (bool(other.warnings), other.quote.usd or 0))
    return tuple(found[:limit])


def _alternative(
    catalog: Catalog, parameters: ImageParameters | VideoParameters, surface: Surface, today: date
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
    quote = Prices.load().quote(parameters, surface=surface)
    if quote.usd is None:
        return None
    return Alternative(model=parameters.model, quote=quote, warnings=(*found.warnings, *warnings))
