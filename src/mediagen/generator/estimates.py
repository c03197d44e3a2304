"""What a job would cost, before it is made. Costs nothing."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from mediagen.catalog import ModelSpec, check_image, check_video
from mediagen.defaults import (
    NO_LAYERS,
    Chosen,
    Layers,
    VideoSource,
    image_parameters,
    video_parameters,
)
from mediagen.errors import InvalidRequestError
from mediagen.generator.placement import ANY_ACCESS, Place, Placement
from mediagen.generator.plan import without_nones
from mediagen.jobs import Kind, Surface
from mediagen.pricing import Alternative, Prices, alternatives_to
from mediagen.report.checks import AlternativeReport, EstimateReport
from mediagen.report.job import AdjustmentReport, QuoteReport
from mediagen.report.money import dollars
from mediagen.requests import EstimateCostRequest, ImageParameters, VideoMode, VideoParameters
from mediagen.routing import Route

ALTERNATIVES = 2
MANY_IMAGES = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimates:
    """Answers what a job would cost."""

    placement: Placement
    prices: Prices

    async def estimate_cost(self, request: EstimateCostRequest) -> EstimateReport:
        """Price of a job before it is made.

        Raises:
            InvalidRequestError: A combination that the model does not make.
            ConfigurationError: No such profile.
        """
        _refuse_of_other_kind(request)
        kind: Kind = "image" if request.kind == "image" else "video"
        place = self.placement.choose_for_price(request, kind)
        parameters, chosen = _parameters(request, place.spec, place.layers)
        if isinstance(parameters, ImageParameters):
            warnings = check_image(place.spec, parameters)
        else:
            warnings = check_video(place.spec, parameters)
        route = place.route
        quote = self.prices.quote(parameters, surface=route.surface, location=route.location)
        adjustments = (*place.adjustments, *chosen.unfit)
        return EstimateReport(
            kind=request.kind,
            model=place.spec.id,
            backend=route.backend,
            effective=without_nones({**_visible(parameters), "location": route.location}),
            quote=QuoteReport.model_validate(quote),
            unit="picture" if kind == "image" else "second",
            count=parameters.count,
            units=_units(parameters),
            configured=_is_configured(place, route.surface),
            notes=self._notes(parameters, place),
            alternatives=self._alternatives(parameters, place),
            adjustments=[
                AdjustmentReport(field=a.field, from_=a.from_value, to=a.to_value, reason=a.reason) for a in adjustments
            ],
            warnings=[*place.warnings, *warnings],
        )

    def _alternatives(self, parameters: ImageParameters | VideoParameters, place: Place) -> list[AlternativeReport]:
        others = alternatives_to(
            self.placement.catalog,
            parameters,
            place.route.surface,
            surfaces=_surfaces(place),
            location=place.route.location,
            today=self.placement.clock().date(),
        )
        return [
            AlternativeReport(
                model=other.model,
                backend=_backend(other.surface, place.route),
                usd=other.usd,
                basis=other.basis,
                configured=_is_configured(place, other.surface),
                warnings=list(other.warnings),
            )
            for other in others
            if other.lowered or not _is_the_same(other, parameters, place.route)
        ][:ALTERNATIVES]

    def _notes(self, parameters: ImageParameters | VideoParameters, place: Place) -> list[str]:
        """What pictures that go in add, which the caller cannot say here."""
        # Many of them, as quotes are rounded.
        without, with_many = (
            self.prices.quote(
                dataclasses.replace(parameters, count=1, input_images=number),
                surface=place.route.surface,
                location=place.route.location,
            ).usd
            for number in (0, MANY_IMAGES)
        )
        if without is None or with_many is None or without == with_many:
            return []
        for_each = f" to each of the {parameters.count}" if parameters.count > 1 else ""
        return [f"Each picture that goes in adds {dollars((with_many - without) / MANY_IMAGES)}{for_each}."]


def _surfaces(place: Place) -> list[Surface]:
    if place.route.backend == "emulator":
        return ["gemini", "vertex"]
    return [access.surface for access in place.project.configured.offered]


def _is_configured(place: Place, surface: Surface) -> bool:
    """Whether there are credentials for a surface; for a price, places are made up when there are none."""
    if place.route.backend == "emulator":
        return True
    access = place.project.configured.access(surface)
    return access is not None and access not in ANY_ACCESS


def _units(parameters: ImageParameters | VideoParameters) -> int:
    return parameters.count * (1 if isinstance(parameters, ImageParameters) else parameters.duration_seconds)


def _is_the_same(other: Alternative, parameters: ImageParameters | VideoParameters, route: Route) -> bool:
    """Whether the caller would see no difference: the emulator may have the model itself under two surfaces."""
    return (other.model, _backend(other.surface, route)) == (parameters.model, route.backend)


def _backend(surface: str, route: Route) -> str:
    return "emulator" if route.backend == "emulator" else surface


def _refuse_of_other_kind(request: EstimateCostRequest) -> None:
    others = ("resolution", "duration_seconds", "generate_audio") if request.kind == "image" else ("image_size",)
    for name in others:
        if getattr(request, name) is not None:
            raise InvalidRequestError(
                f"{name} says nothing about kind={request.kind!r}.", field=name, hint="Leave it out."
            )


def usual_quote(
    spec: ModelSpec, prices: Prices, *, surface: Surface = "gemini", location: str | None = None
) -> QuoteReport:
    """Price of one picture, or of a clip of the usual length, at the model's default size."""
    request = EstimateCostRequest(kind="image" if spec.kind == "image" else "video", model=spec.id)
    parameters, _ = _parameters(request, spec, NO_LAYERS)
    return QuoteReport.model_validate(prices.quote(parameters, surface=surface, location=location))


def _parameters(
    request: EstimateCostRequest, spec: ModelSpec, layers: Layers
) -> tuple[ImageParameters | VideoParameters, Chosen]:
    if request.kind == "image":
        return image_parameters(request, spec, layers)
    mode: VideoMode = "video_extension" if request.kind == "extension" else "text_to_video"
    return video_parameters(request, spec, mode=mode, source=VideoSource(), layers=layers)


def _visible(parameters: ImageParameters | VideoParameters) -> dict[str, Any]:
    if isinstance(parameters, ImageParameters):
        return {"image_size": parameters.image_size, "count": parameters.count}
    return {
        "mode": parameters.mode,
        "duration_seconds": parameters.duration_seconds,
        "resolution": parameters.resolution,
        "generate_audio": parameters.generate_audio,
        "count": parameters.count,
    }
