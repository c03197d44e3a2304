"""Which models an API surface has: the catalogue compared with what the surface lists. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, get_args

from mediagen.catalog import Catalog, FoundModel, ModelSpec, check_express_key
from mediagen.endpoints.base import EndpointCheck
from mediagen.errors import InvalidRequestError
from mediagen.generator.estimates import usual_quote
from mediagen.jobs import Kind, Surface
from mediagen.pricing import Prices
from mediagen.report.checks import ModelReport
from mediagen.report.money import dollars
from mediagen.routing import Route

State = Literal["live", "missing", "retired", "unlisted"]
KINDS: tuple[Kind, ...] = get_args(Kind)
MEDIA_WORDS = ("image", "banana", "omni", "veo")


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """The models that a surface lists for some credentials.

    Attributes:
        is_complete: Whether a model that is not in it is not there; False when there is no list, or only a part of it.
    """

    ids: tuple[str, ...] = ()
    is_complete: bool = False


def listing_of(found: EndpointCheck) -> Listing:
    """What a test of a surface says about its models."""
    return Listing(ids=found.models, is_complete=bool(found.models) and found.error is None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """Whether one model can be used on one surface.

    Attributes:
        available: None when that cannot be found out without asking for a picture or clip.
        model: Its id, where a short name was given.
    """

    available: bool | None
    words: str
    model: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Availability:
    """Compares the catalogue with lists of models."""

    catalog: Catalog
    prices: Prices
    today: date

    def serving(self, model: str) -> set[Surface]:
        """Surfaces that have, or may have, a model."""
        return {surface for kind in KINDS for surface in self.catalog.surfaces_for(model, kind, self.today)}

    def models(
        self, route: Route, listing: Listing, part: str | None = None, asked: str | None = None
    ) -> list[ModelReport]:
        """Rows of the catalogue for a surface; those that are gone only when asked for, or listed after all.

        Args:
            route: The surface.
            listing: What it lists.
            part: Only models whose id contains this.
            asked: Id of the model asked about; it is never left out.
        """
        defaults = {self._default(kind, route.surface) for kind in KINDS}
        wanted = part.lower() if part else ""
        return [
            self._report(spec, route, listing, is_default=spec.id in defaults).model_copy(
                update={"asked": spec.id == asked}
            )
            for spec in self.catalog.models(surface=route.surface)
            if spec.id == asked
            or (
                wanted in spec.id and (part or spec.id in listing.ids or not spec.is_retired(route.surface, self.today))
            )
        ]

    def new_models(self, listing: Listing, part: str | None = None) -> list[str]:
        """Media models that are listed and not in the catalogue."""
        known = {spec.id for spec in self.catalog.models()}
        wanted = part.lower() if part else ""
        return sorted(
            model
            for model in listing.ids
            if model not in known and wanted in model and any(word in model.lower() for word in MEDIA_WORDS)
        )

    def answer(self, model: str, route: Route, listing: Listing) -> Answer:
        """Say whether a model can be used on a surface."""
        here = route.backend
        try:
            found = self._find(model, route)
        except InvalidRequestError as error:
            after_all = f" {here} lists it after all." if model in listing.ids else ""
            return Answer(available=False, words=f"{here}: {error}{after_all}", model=model)
        known = found.spec.id
        means = model if known == model else f"{model} means {known}, which"
        if known in listing.ids:
            words = f"{means} is listed by {here} for these credentials."
            return Answer(available=True, words=words, model=known)
        doubts = f" {' '.join(found.warnings)}" if found.warnings else ""
        if listing.is_complete:
            words = f"{means} is not listed by {here} for these credentials.{doubts}"
            return Answer(available=False, words=words, model=known)
        words = f"{means} may be on {here}, which gave no complete list of models.{doubts}"
        return Answer(available=None, words=words, model=known)

    def _find(self, model: str, route: Route) -> FoundModel:
        """The model of whichever kind it is.

        Raises:
            InvalidRequestError: It is gone, elsewhere, or not for express keys.
        """
        try:
            found = self.catalog.find(model, "image", route.surface, self.today)
        except InvalidRequestError as error:
            if error.code != "wrong_kind":
                raise
            found = self.catalog.find(model, "video", route.surface, self.today)
        if route.is_express:
            check_express_key(found.spec)
        return found

    def _report(self, spec: ModelSpec, route: Route, listing: Listing, *, is_default: bool) -> ModelReport:
        location = route.location and spec.location_for(route.surface, route.location)[0]
        quote = usual_quote(spec, self.prices, surface=route.surface, location=location)
        return ModelReport(
            id=spec.id,
            kind=spec.kind,
            state=self._state(spec, route.surface, listing),
            listed=spec.id in listing.ids if listing.ids else None,
            default=is_default,
            asked=False,
            usd=quote.usd,
            price="unknown" if quote.usd is None else f"{dollars(quote.usd)} ({quote.basis})",
            note=" ".join(note for note in (spec.notes, *_doubts(spec, route)) if note),
        )

    def _state(self, spec: ModelSpec, surface: Surface, listing: Listing) -> State:
        if spec.is_retired(surface, self.today):
            return "retired"
        if spec.id in listing.ids:
            return "live"
        return "missing" if listing.is_complete else "unlisted"

    def _default(self, kind: Kind, surface: Surface) -> str | None:
        return self.catalog.defaults[kind].get(surface)


def _doubts(spec: ModelSpec, route: Route) -> Sequence[str]:
    if not route.is_express:
        return ()
    try:
        return check_express_key(spec)
    except InvalidRequestError as error:
        return (str(error),)
