"""The calls that cost nothing, ever: is everything in place, and what would a job cost."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from mediagen.catalog import Catalog, ModelSpec, check_image, check_video
from mediagen.defaults import VideoSource, image_parameters, refuse_what_is_not_built, video_parameters
from mediagen.endpoints.base import EndpointCheck
from mediagen.errors import InvalidRequestError, MediaGenError
from mediagen.generator.generator import Endpoints
from mediagen.generator.plan import without_nones
from mediagen.generator.planner import Planner
from mediagen.generator.policy import Policy
from mediagen.jobs import Kind
from mediagen.media.ffmpeg import find_ffmpeg
from mediagen.pricing import Prices, cheapest_alternatives
from mediagen.report.checks import AlternativeReport, CheckReport, EstimateReport, ModelReport, SurfaceReport
from mediagen.report.job import QuoteReport
from mediagen.requests import CheckApiRequest, EstimateCostRequest, ImageParameters, VideoMode, VideoParameters
from mediagen.routing import Route


@dataclass(frozen=True, kw_only=True, slots=True)
class Checks:
    """Answers what costs nothing."""

    policy: Policy
    planner: Planner
    endpoints: Endpoints

    async def check_api(self, request: CheckApiRequest) -> CheckReport:
        """Test the key, the address, the models and this machine; nothing of it can cost money.

        Raises:
            InvalidRequestError: An argument that this version cannot honour.
        """
        if request.profile or request.deep:
            name = "profile" if request.profile else "deep"
            raise InvalidRequestError(f"{name} is not available in this version.", field=name, code="not_available")
        problems: list[str] = []
        surface: SurfaceReport | None = None
        listed: tuple[str, ...] | None = None
        try:
            route = self.planner.route(request.backend)
            base_url = await self.endpoints.base_url(route)
            endpoint = await self.endpoints.at(route.backend, base_url)
            found = await endpoint.check()
            surface = self._surface(route, base_url, found)
            listed = found.models if found.key_ok else None
            problems += [found.error] if found.error else []
        except MediaGenError as error:
            problems.append(str(error))
        spent_today, spent_this_month, ledger_problem = await self._spent()
        problems += ledger_problem
        ffmpeg, ffmpeg_problem = self._ffmpeg()
        problems += ffmpeg_problem
        return CheckReport(
            ok=bool(surface and surface.key_ok),
            surface=surface,
            models=self._models(listed, request.filter),
            new_models=_new_models(self.planner.catalog, listed or ()),
            model_asked=self._asked(request.model, listed),
            spent_today_usd=spent_today,
            spent_this_month_usd=spent_this_month,
            output_dir=str(self.policy.folder),
            ledger=str(self.policy.state_folder),
            ffmpeg=ffmpeg,
            problems=problems,
        )

    async def estimate_cost(self, request: EstimateCostRequest) -> EstimateReport:
        """Price of a job before it is made.

        Raises:
            InvalidRequestError: A combination that the model does not make.
        """
        refuse_what_is_not_built(request)
        _refuse_of_other_kind(request)
        kind: Kind = "image" if request.kind == "image" else "video"
        route = self._route_or_any(request)
        found = self.planner.find_model(request.model, kind, route)
        parameters = _parameters(request, found.spec)
        if isinstance(parameters, ImageParameters):
            warnings = check_image(found.spec, parameters)
        else:
            warnings = check_video(found.spec, parameters)
        quote = self.planner.prices.quote(parameters, surface=route.surface)
        others = cheapest_alternatives(
            self.planner.catalog, parameters, surface=route.surface, today=self.planner.clock().date()
        )
        return EstimateReport(
            kind=request.kind,
            model=found.spec.id,
            backend=route.backend,
            effective=without_nones(_visible(parameters)),
            quote=QuoteReport.model_validate(quote),
            unit="picture" if kind == "image" else "second",
            count=parameters.count,
            alternatives=[
                AlternativeReport(model=other.model, usd=other.quote.usd, basis=other.quote.basis) for other in others
            ],
            warnings=[*found.warnings, *warnings],
        )

    async def _spent(self) -> tuple[Decimal, Decimal, list[str]]:
        midnight = self.planner.clock().replace(hour=0, minute=0, second=0, microsecond=0)
        ledger = self.planner.ledger
        try:
            return await ledger.spent(midnight), await ledger.spent(midnight.replace(day=1)), []
        except MediaGenError as error:
            return Decimal(0), Decimal(0), [str(error)]

    def _route_or_any(self, request: EstimateCostRequest) -> Route:
        """A price needs no credentials: without them it is that of the Gemini API."""
        try:
            return self.planner.route(request.backend)
        except MediaGenError:
            if request.backend not in {None, "auto", "gemini"}:
                raise
            return Route(backend="gemini", surface="gemini", base_url=None, reason="no credentials are set")

    def _surface(self, route: Route, base_url: str, found: EndpointCheck) -> SurfaceReport:
        return SurfaceReport(
            backend=route.backend,
            base_url=base_url,
            reason=route.reason,
            reachable=found.reachable,
            key_ok=found.key_ok,
            key_source="none needed" if route.backend == "emulator" else self.policy.key_source,
            latency_ms=found.latency_ms,
            clock_skew_seconds=found.clock_skew_seconds,
            error=found.error,
        )

    def _models(self, listed: tuple[str, ...] | None, part: str | None) -> list[ModelReport]:
        catalog, today = self.planner.catalog, self.planner.clock().date()
        defaults = {catalog.default_model(kind, "gemini").id for kind in ("image", "video")}
        return [
            ModelReport(
                id=spec.id,
                kind=spec.kind,
                state="unlisted" if listed is None else "live" if spec.id in listed else "missing",
                default=spec.id in defaults,
                price=_price(usual_quote(spec, self.planner.prices)),
                note=spec.notes,
            )
            for spec in catalog.models(surface="gemini")
            if not spec.is_retired("gemini", today) and (part is None or part in spec.id)
        ]

    def _asked(self, model: str | None, listed: tuple[str, ...] | None) -> str | None:
        if model is None:
            return None
        if listed is not None and model in listed:
            return f"{model} is listed by Google for this key."
        today: date = self.planner.clock().date()
        for kind in ("image", "video"):
            try:
                found = self.planner.catalog.find(model, kind, "gemini", today)
            except InvalidRequestError as error:
                if error.code == "model_retired":
                    return str(error)
                continue
            if found.warnings:
                return f"{model}: {found.warnings[0]}"
        where = "Google does not list it for this key" if listed is not None else "Google's list could not be read"
        return f"{model}: {where}."

    def _ffmpeg(self) -> tuple[str, list[str]]:
        try:
            return str(Path(find_ffmpeg(self.policy.ffmpeg))), []
        except MediaGenError as error:
            return "not found", [f"Previews of videos are not made: {error}"]


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
    return QuoteReport.model_validate(prices.quote(_parameters(request, spec)))


def _price(quote: QuoteReport) -> str:
    return "unknown" if quote.usd is None else f"${quote.usd} ({quote.basis})"


def _parameters(request: EstimateCostRequest, spec: ModelSpec) -> ImageParameters | VideoParameters:
    if request.kind == "image":
        return image_parameters(request, spec)[0]
    mode: VideoMode = "video_extension" if request.kind == "extension" else "text_to_video"
    return video_parameters(request, spec, mode=mode, source=VideoSource())[0]


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


def _new_models(catalog: Catalog, listed: tuple[str, ...]) -> list[str]:
    known = {spec.id for spec in catalog.models()}
    words = ("image", "banana", "omni", "veo", "imagen")
    return sorted(model for model in listed if model not in known and any(word in model for word in words))
