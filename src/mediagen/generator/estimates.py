"""What a job would cost, before it is made. Costs nothing."""

from dataclasses import dataclass
from typing import Any

from mediagen.catalog import ModelSpec, check_image, check_video
from mediagen.defaults import (
    NO_LAYERS,
    Chosen,
    Layers,
    VideoSource,
    image_parameters,
    refuse_what_is_not_built,
    video_parameters,
)
from mediagen.errors import InvalidRequestError
from mediagen.generator.placement import Place, Placement
from mediagen.generator.plan import without_nones
from mediagen.jobs import Kind
from mediagen.pricing import Prices, cheapest_alternatives
from mediagen.report.checks import AlternativeReport, EstimateReport
from mediagen.report.job import AdjustmentReport, QuoteReport
from mediagen.requests import EstimateCostRequest, ImageParameters, VideoMode, VideoParameters
from mediagen.routing import Route


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
        refuse_what_is_not_built(request)
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
            alternatives=self._alternatives(parameters, place),
            adjustments=[
                AdjustmentReport(field=a.field, from_=a.from_value, to=a.to_value, reason=a.reason) for a in adjustments
            ],
            warnings=[*place.warnings, *warnings],
        )

    def _alternatives(self, parameters: ImageParameters | VideoParameters, place: Place) -> list[AlternativeReport]:
        surfaces = [access.surface for access in place.project.configured.offered]
        others = cheapest_alternatives(
            self.placement.catalog,
            parameters,
            place.route.surface,
            surfaces=surfaces if place.route.backend != "emulator" else (),
            location=place.route.location,
            today=self.placement.clock().date(),
        )
        return [
            AlternativeReport(
                model=other.model,
                backend=_backend(other.surface, place.route),
                usd=other.quote.usd,
                basis=other.quote.basis,
                warnings=list(other.warnings),
            )
            for other in others
        ]


def _backend(surface: str, route: Route) -> str:
    return "emulator" if route.backend == "emulator" else surface


def _refuse_of_other_kind(request: EstimateCostRequest) -> None:
    others = ("resolution", "duration_seconds", "generate_audio") if request.kind == "image" else ("image_size",)
    for name in others:
        if getattr(request, name) is not None:
            raise InvalidRequestError(
                f"{name} says nothing about kind={request.kind!r}.", field=name, hint="Leave it out."
            )


def usual_quote(spec: ModelSpec, prices: Prices) -> QuoteReport:
    """Price of one picture, or of a clip of the usual length, at the model's default size."""
    request = EstimateCostRequest(kind="image" if spec.kind == "image" else "video", model=spec.id)
    return QuoteReport.model_validate(prices.quote(_parameters(request, spec, NO_LAYERS)[0]))


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
