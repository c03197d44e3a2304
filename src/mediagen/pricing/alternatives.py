"""Other ways to a job, and what each would cost: the same elsewhere, or less of it with the same model."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from mediagen.catalog import Catalog, Surface, check_image, check_video
from mediagen.errors import InvalidRequestError
from mediagen.pricing.prices import Prices

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date
    from decimal import Decimal

    from typing_extensions import TypeIs

    from mediagen.catalog import FoundModel, ModelSpec
    from mediagen.jobs import Kind, Quote
    from mediagen.requests import ImageParameters, VideoParameters


@dataclass(frozen=True, kw_only=True, slots=True)
class Alternative:
    """Another model or another surface for the same job, or less of the job with its own model.

    Attributes:
        surface: API surface on which it is meant.
        quote: Price of the whole job with it.
        usd: Expected price.
        lowered: Which value is lower than asked, in words; empty when it is exactly the same job.
        warnings: Doubts about the model, about a value with it, or about where it runs.
    """

    model: str
    surface: Surface
    quote: Quote
    usd: Decimal
    lowered: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def basis(self) -> str:
        """What is lower than asked, if anything, and how the price comes about."""
        return f"{self.lowered}: {self.quote.basis}" if self.lowered else self.quote.basis


def alternatives_to(
    catalog: Catalog,
    parameters: ImageParameters | VideoParameters,
    surface: Surface,
    *,
    surfaces: Sequence[Surface] = (),
    location: str | None = None,
    today: date | None = None,
) -> tuple[Alternative, ...]:
    """Find the other ways to a job, the best first.

    Args:
        catalog: Models to choose from.
        parameters: The job; its own model on its own surface is left out.
        surface: API surface of the job itself.
        surfaces: Surfaces to look over, the preferred ones first; by default only that of the job, which always wins
            over its equals.
        location: Wanted location on Vertex AI; None is the default.
        today: Day for which retirements are judged; by default that of the catalogue.

    Returns:
        First what does exactly the same job for less, cheapest first; then less of it for less with the job's own
        model, by one value each; last what does the same job for as much or more, so that the price alone tells
        whether a way is cheaper. Of other models each once, on the surface where it is cheapest; the job's own only
        when another surface has it. Doubts about a way stand in its warnings.
    """
    market = _Market(catalog=catalog, prices=Prices.load(), location=location, today=today or catalog.as_of)
    return _ranked(market, parameters, surface, tuple(surfaces) or (surface,))


@lru_cache(maxsize=256)
def _ranked(
    market: _Market, parameters: ImageParameters | VideoParameters, surface: Surface, surfaces: tuple[Surface, ...]
) -> tuple[Alternative, ...]:
    # Callers ask for the price of the same job again and again, and dozens of quotes are in it.
    own = market.offer(parameters, surface)
    same = market.same_job(parameters, surface, surfaces)
    if own is None:
        return same
    cheaper = tuple(other for other in same if other.usd < own.usd)
    return (*cheaper, *market.less(parameters, own), *same[len(cheaper) :])


@dataclass(frozen=True, kw_only=True, slots=True)
class _Market:
    """What is offered on one day."""

    catalog: Catalog = dataclasses.field(hash=False)
    prices: Prices = dataclasses.field(hash=False)
    location: str | None
    today: date

    def same_job(
        self, parameters: ImageParameters | VideoParameters, surface: Surface, surfaces: Sequence[Surface]
    ) -> tuple[Alternative, ...]:
        """What else accepts exactly these parameters, cheapest first."""
        found = []
        for name in sorted(surfaces, key=lambda name: name != surface):
            for spec in self.catalog.models(surface=name):
                if spec.modes is None or (spec.id, name) == (parameters.model, surface):
                    continue
                alternative = self.offer(dataclasses.replace(parameters, model=spec.id), name)
                if alternative is not None:
                    found.append(alternative)
        # The sort is stable: of equals the preferred surface stays in front.
        found.sort(key=lambda other: (other.usd, bool(other.warnings)))
        once = {other.model: other for other in reversed(found)}
        return tuple(other for other in found if once[other.model] is other)

    def less(self, parameters: ImageParameters | VideoParameters, own: Alternative) -> tuple[Alternative, ...]:
        """Less of the job for less: the nearest step of each value, cheapest first, then the further steps."""
        nearest: list[Alternative] = []
        further: list[Alternative] = []
        spec = self._find(parameters, own.surface).spec
        for field, values in _other_values(spec, parameters).items():
            offers = [
                dataclasses.replace(offer, lowered=_in_words(field, value, parameters))
                for value in values
                if (offer := self.offer(dataclasses.replace(parameters, **{field: value}), own.surface))
            ]
            cheaper = sorted((offer for offer in offers if offer.usd < own.usd), key=lambda offer: -offer.usd)
            nearest += cheaper[:1]
            further += cheaper[1:]
        return (*sorted(nearest, key=lambda offer: offer.usd), *further)

    def offer(self, parameters: ImageParameters | VideoParameters, surface: Surface) -> Alternative | None:
        """The job with its price; None where it cannot be done, or nobody knows for how much."""
        try:
            found = self._find(parameters, surface)
            warnings = _check(found.spec, parameters)
        except InvalidRequestError:
            return None
        place, elsewhere = found.spec.location_for(surface, self.location)
        quote = self.prices.quote(parameters, surface=surface, location=place)
        if quote.usd is None:
            return None
        moved = (f"{elsewhere}.",) if elsewhere else ()
        return Alternative(
            model=parameters.model,
            surface=surface,
            quote=quote,
            usd=quote.usd,
            warnings=(*found.warnings, *warnings, *moved),
        )

    def _find(self, parameters: ImageParameters | VideoParameters, surface: Surface) -> FoundModel:
        kind: Kind = "image" if _is_image(parameters) else "video"
        return self.catalog.find(parameters.model, kind, surface, self.today)


def _is_image(parameters: ImageParameters | VideoParameters) -> TypeIs[ImageParameters]:
    # Whoever has parameters has loaded this module already; importing it with the package would load pydantic.
    from mediagen.requests import ImageParameters

    return isinstance(parameters, ImageParameters)


def _check(spec: ModelSpec, parameters: ImageParameters | VideoParameters) -> tuple[str, ...]:
    return check_image(spec, parameters) if _is_image(parameters) else check_video(spec, parameters)


def _other_values(spec: ModelSpec, parameters: ImageParameters | VideoParameters) -> Mapping[str, tuple[Any, ...]]:
    """Values that may be cheaper; of lengths only the one next to half of it, as any other would be as arbitrary."""
    if _is_image(parameters):
        return {"image_size": spec.image_sizes or ()}
    # The length of an edited video is that of its source.
    lengths = spec.durations_for(parameters.mode) if parameters.mode != "video_edit" else ()
    half = [seconds for seconds in lengths if 2 * seconds <= parameters.duration_seconds]
    return {
        "resolution": spec.resolutions or (),
        "duration_seconds": tuple(half[-1:] or lengths[:1]),
        "generate_audio": (False,) if parameters.generate_audio else (),
    }


def _in_words(field: str, value: object, parameters: ImageParameters | VideoParameters) -> str:
    if field == "generate_audio":
        return "without sound"
    return f"{field} {value} instead of {getattr(parameters, field)}"
