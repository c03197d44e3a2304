"""Is everything in place? Costs nothing, ever: nothing is sent that could be carried out."""

import dataclasses
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import anyio

from mediagen.catalog import Catalog, ModelSpec
from mediagen.defaults import image_parameters
from mediagen.endpoints.base import BodyEncoder, Endpoint, EndpointCheck
from mediagen.errors import ConfigurationError, InvalidRequestError, MediaGenError
from mediagen.generator.estimates import usual_quote
from mediagen.generator.generator import Endpoints
from mediagen.generator.planner import Planner
from mediagen.generator.policy import Policy, Project
from mediagen.jobs import Kind
from mediagen.media.ffmpeg import find_ffmpeg
from mediagen.report.checks import BucketReport, CheckReport, ModelReport, ProbeReport, SurfaceReport
from mediagen.requests import Backend, CheckApiRequest, GenerateImageRequest
from mediagen.routing import Route, choose_route
from mediagen.storage.gs_uri import parse_gs_uri

PROBE_PROMPT = "probe"
MEDIA_WORDS = ("image", "banana", "omni", "veo", "imagen")


@dataclass(frozen=True, kw_only=True, slots=True)
class Checks:
    """Looks over surfaces, credentials, models, bucket, ledger and this machine."""

    policy: Policy
    planner: Planner
    endpoints: Endpoints

    async def check_api(self, request: CheckApiRequest) -> CheckReport:
        """Test what is configured; failures are told, not raised.

        With `deep`, each surface also gets one request that cannot be carried out: it has a field that does not exist
        and no contents. The answer says which fields are known, not that a job would succeed.
        """
        problems: list[str] = []
        project, surfaces = None, []
        try:
            project = self.policy.projects.choose(request.profile)
            surfaces = await self._surfaces(project, request)
        except ConfigurationError as error:
            problems.append(str(error))
        problems += [surface.error for surface in surfaces if surface.error]
        bucket = await self._bucket(project, surfaces) if project else None
        spent_today, spent_this_month, ledger_problem = await self._spent()
        ffmpeg, ffmpeg_problem = self._ffmpeg()
        return CheckReport(
            ok=any(surface.chosen and surface.key_ok for surface in surfaces),
            profile=project.name if project else None,
            surfaces=surfaces,
            bucket=bucket,
            model_asked=self._asked(request.model, surfaces),
            spent_today_usd=spent_today,
            spent_this_month_usd=spent_this_month,
            output_dir=str(project.folder) if project else None,
            ledger=str(self.policy.state_folder),
            ffmpeg=ffmpeg,
            problems=[*(project.warnings if project else ()), *problems, *ledger_problem, *ffmpeg_problem],
        )

    async def _surfaces(self, project: Project, request: CheckApiRequest) -> list[SurfaceReport]:
        """Look at the surface that is asked for, or at all that are configured, side by side."""
        routes = self._routes(project, request.backend or project.backend)
        found: list[SurfaceReport | None] = [None] * len(routes)

        async def look(number: int, route: Route) -> None:
            found[number] = await self._surface(project, route, request, is_chosen=number == 0)

        async with anyio.create_task_group() as group:
            for number, route in enumerate(routes):
                group.start_soon(look, number, route)
        return [surface for surface in found if surface]

    def _routes(self, project: Project, backend: Backend) -> list[Route]:
        configured = project.configured
        wanted: list[Backend] = [backend]
        if backend == "auto":
            wanted = [access.surface for access in configured.offered] or ["auto"]
        routes = [choose_route(name, configured, serving=("gemini",), what="a model") for name in wanted]
        return [route.at(configured.location or "global") for route in routes]

    async def _surface(
        self, project: Project, route: Route, request: CheckApiRequest, *, is_chosen: bool
    ) -> SurfaceReport:
        base_url, who, found, probe = "", None, EndpointCheck(reachable=False, key_ok=None), None
        try:
            base_url = await self.endpoints.base_url(route)
            who = await self.endpoints.identity(route, project.name)
            endpoint = await self.endpoints.at(route, project.name)
            found = await endpoint.check()
            if request.deep and found.reachable:
                probe = await self._probe(endpoint, route)
        except MediaGenError as error:
            found = dataclasses.replace(found, key_ok=found.key_ok or False, error=str(error))
        listed = found.models if found.key_ok and found.models else None
        return SurfaceReport(
            backend=route.backend,
            chosen=is_chosen,
            base_url=base_url,
            reason=route.reason if is_chosen else "configured as well",
            reachable=found.reachable,
            key_ok=found.key_ok,
            key_kind=who.kind if who else "unknown",
            key_source=route.source,
            identity=who.email if who else None,
            project=route.project or (who.project if who else None),
            location=route.location,
            latency_ms=found.latency_ms,
            clock_skew_seconds=found.clock_skew_seconds,
            models=self._models(route, listed, request.filter),
            new_models=_new_models(self._catalog, listed or ()),
            probe=probe,
            error=found.error,
        )

    async def _probe(self, endpoint: Endpoint, route: Route) -> ProbeReport:
        spec = self._catalog.default_model("image", route.surface)
        parameters, _ = image_parameters(GenerateImageRequest(prompt=PROBE_PROMPT), spec)
        encoder: BodyEncoder = self.planner.encoders[route.surface]
        result = await endpoint.probe(spec.id, encoder.build_image(parameters, PROBE_PROMPT))
        return ProbeReport(
            model=spec.id,
            accepted=result.accepted,
            refused_fields=list(result.refused_fields),
            message=result.message,
        )

    async def _bucket(self, project: Project, surfaces: list[SurfaceReport]) -> BucketReport | None:
        """Look at the bucket that is configured, else at the usual one where Vertex AI is in use."""
        bucket = project.bucket
        uses_vertex = any(surface.backend == "vertex" for surface in surfaces)
        prefix = bucket.prefix or (bucket.usual_prefix if uses_vertex else None)
        if prefix is None or not bucket.has_credentials:
            return None
        name, _ = parse_gs_uri(prefix, "bucket")
        try:
            found = await (await self.endpoints.bucket(project.name, project.backend)).check(name)
        except MediaGenError as error:
            return _unchecked(name, bucket.origin, error)
        return BucketReport(
            name=name,
            origin=bucket.origin if bucket.prefix else "default",
            exists=found.exists,
            location=found.location,
            can_write=found.can_write,
            can_read=found.can_read,
            can_delete=found.can_delete,
            problem=found.problem,
            hint=found.hint,
        )

    async def _spent(self) -> tuple[Decimal, Decimal, list[str]]:
        midnight = self.planner.clock().replace(hour=0, minute=0, second=0, microsecond=0)
        ledger = self.planner.ledger
        try:
            return await ledger.spent(midnight), await ledger.spent(midnight.replace(day=1)), []
        except MediaGenError as error:
            return Decimal(0), Decimal(0), [str(error)]

    @property
    def _catalog(self) -> Catalog:
        return self.planner.placement.catalog

    def _models(self, route: Route, listed: tuple[str, ...] | None, part: str | None) -> list[ModelReport]:
        catalog = self._catalog
        defaults = {_default_id(catalog, kind, route) for kind in ("image", "video")}
        reports = [
            ModelReport(
                id=spec.id,
                kind=spec.kind,
                state=self._state(spec, route, listed),
                default=spec.id in defaults,
                price=_price(spec, self.planner),
                note=spec.notes,
            )
            for spec in catalog.models(surface=route.surface)
            if part is None or part in spec.id
        ]
        # Those that are gone only matter when they are asked for, or when they are listed after all.
        return [report for report in reports if report.state != "retired" or part or (listed and report.id in listed)]

    def _state(self, spec: ModelSpec, route: Route, listed: tuple[str, ...] | None) -> str:
        if spec.is_retired(route.surface, self.planner.clock().date()):
            return "retired"
        if listed is None:
            return "unlisted"
        return "live" if spec.id in listed else "missing"

    def _asked(self, model: str | None, surfaces: list[SurfaceReport]) -> str | None:
        if model is None:
            return None
        said = [self._asked_of(model, surface) for surface in surfaces]
        return " ".join(said) or f"{model}: no API could be asked."

    def _asked_of(self, model: str, surface: SurfaceReport) -> str:
        states = {report.id: report.state for report in surface.models}
        listed = [known for known, state in states.items() if state == "live"] + surface.new_models
        if model in listed:
            return f"{model} is listed by {surface.backend} for these credentials."
        today = self.planner.clock().date()
        name = "gemini" if surface.backend == "emulator" else surface.backend
        for kind in ("image", "video"):
            try:
                found = self._catalog.find(model, kind, name, today)  # type: ignore[arg-type] # backends are surfaces
            except InvalidRequestError as error:
                if error.code in {"model_retired", "model_not_on_surface"}:
                    return f"{surface.backend}: {error}"
                continue
            if found.spec.id != model and found.spec.id in listed:
                return f"{model} means {found.spec.id}, which is listed by {surface.backend} for these credentials."
            if found.warnings:
                return f"{surface.backend}: {found.warnings[0]}"
        where = "does not list it for these credentials" if listed else "gave no list of models"
        return f"{model}: {surface.backend} {where}."

    def _ffmpeg(self) -> tuple[str, list[str]]:
        try:
            return str(Path(find_ffmpeg(self.policy.ffmpeg))), []
        except MediaGenError as error:
            return "not found", [f"Previews of videos are not made: {error}"]


def _default_id(catalog: Catalog, kind: Kind, route: Route) -> str | None:
    try:
        return catalog.default_model(kind, route.surface).id
    except InvalidRequestError:
        return None


def _price(spec: ModelSpec, planner: Planner) -> str:
    quote = usual_quote(spec, planner.prices)
    return "unknown" if quote.usd is None else f"${quote.usd} ({quote.basis})"


def _new_models(catalog: Catalog, listed: tuple[str, ...]) -> list[str]:
    known = {spec.id for spec in catalog.models()}
    return sorted(model for model in listed if model not in known and any(word in model for word in MEDIA_WORDS))


def _unchecked(name: str, origin: str, error: MediaGenError) -> BucketReport:
    return BucketReport(
        name=name,
        origin=origin,
        exists=None,
        location=None,
        can_write=None,
        can_read=None,
        can_delete=None,
        problem=error.message,
        hint=error.hint,
    )
