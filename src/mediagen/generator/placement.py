"""Where a job is made: project, surface, model and location, and the values that they bring along."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from mediagen.catalog import Catalog, FoundModel, ModelSpec, check_express_key
from mediagen.catalog.spec import SURFACE_NAMES
from mediagen.defaults import Layers
from mediagen.errors import ConfigurationError, InvalidRequestError
from mediagen.generator.inheritance import NOTHING_INHERITED, Inherited
from mediagen.generator.policy import Policy, Project
from mediagen.jobs import Adjustment, Kind, Origin, Surface
from mediagen.requests import Backend, EstimateCostRequest, GenerationRequest
from mediagen.routing import Access, Route, choose_route

ANY_ACCESS = tuple(Access(surface=surface, source="not configured", project="PROJECT") for surface in SURFACE_NAMES)


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a job is made.

    Attributes:
        found: The model as it holds on the surface.
        layers: Values for arguments that the caller left out.
        origins: Where each of these choices comes from.
    """

    project: Project
    route: Route
    found: FoundModel
    layers: Layers
    origins: dict[str, Origin]
    adjustments: tuple[Adjustment, ...]
    warnings: tuple[str, ...]

    @property
    def spec(self) -> ModelSpec:
        """The model."""
        return self.found.spec


@dataclass(frozen=True, kw_only=True, slots=True)
class _Model:
    """A model id, or None for the default of the surface."""

    id: str | None
    origin: Origin
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """Chooses where a job is made; sends nothing."""

    policy: Policy
    catalog: Catalog
    clock: Callable[[], datetime]

    def choose(
        self, request: GenerationRequest | EstimateCostRequest, kind: Kind, inherited: Inherited = NOTHING_INHERITED
    ) -> Place:
        """Choose project, surface, model and location.

        Raises:
            ConfigurationError: No such profile, no credentials, or no configured surface that has the model.
            InvalidRequestError: The model does not exist there.
        """
        project = self.policy.projects.choose(request.profile or inherited.profile, inherited.project)
        return self._in_project(project, request, kind, inherited)

    def choose_for_price(self, request: EstimateCostRequest, kind: Kind) -> Place:
        """Choose as for a job; where credentials are missing, as if they were there, because a price needs none.

        Raises:
            ConfigurationError: No such profile.
            InvalidRequestError: The model does not exist there.
        """
        project = self.policy.projects.choose(request.profile)
        try:
            return self._in_project(project, request, kind, NOTHING_INHERITED)
        except ConfigurationError:
            configured = dataclasses.replace(project.configured, accesses=ANY_ACCESS)
            project = dataclasses.replace(project, configured=configured)
            return self._in_project(project, request, kind, NOTHING_INHERITED)

    def _in_project(
        self, project: Project, request: GenerationRequest | EstimateCostRequest, kind: Kind, inherited: Inherited
    ) -> Place:
        preset = project.preset(request.preset, kind)
        layers = Layers(preset=preset, source=inherited.values, profile=project.defaults(kind))
        backend, backend_origin = _backend(request, inherited, project)
        model = self._model(request, layers, backend, project, kind)
        route = self._route(model.id, kind, backend, project)
        found = self.catalog.find(
            model.id or self.catalog.default_model(kind, route.surface).id,
            kind,
            route.surface,
            self.clock().date(),
        )
        express = check_express_key(found.spec) if route.is_express else ()
        route, location_origin, moved = _located(route, found.spec, inherited, project)
        return Place(
            project=project,
            route=route,
            found=found,
            layers=layers,
            origins={
                "backend": backend_origin,
                "model": model.origin,
                **({"location": location_origin} if route.location else {}),
                **({"profile": _profile_origin(request, project)} if project.name else {}),
            },
            adjustments=(*found.adjustments, *moved),
            warnings=(*project.warnings, *inherited.warnings, *model.warnings, *found.warnings, *express),
        )

    def _route(self, model: str | None, kind: Kind, backend: Backend, project: Project) -> Route:
        serving = self.catalog.surfaces_for(model, kind, self.clock().date())
        what = model or f"a {kind} model"
        # A model that is gone everywhere is refused by the catalogue, in words that name its replacement.
        return choose_route(backend, project.configured, serving=serving or tuple(SURFACE_NAMES), what=what)

    def _model(
        self,
        request: GenerationRequest | EstimateCostRequest,
        layers: Layers,
        backend: Backend,
        project: Project,
        kind: Kind,
    ) -> _Model:
        """The model that is asked for; one that only a source or a profile names must be there to be used."""
        if request.model is not None:
            return _Model(id=request.model, origin="explicit")
        if preset := layers.preset.get("model"):
            return _Model(id=preset, origin="profile")
        warnings: list[str] = []
        candidates: tuple[tuple[Origin, str | None], ...] = (
            ("source", layers.source.get("model")),
            ("profile", layers.profile.get("model")),
        )
        for origin, model in candidates:
            if model is None:
                continue
            if self._is_usable(model, kind, backend, project):
                return _Model(id=model, origin=origin, warnings=tuple(warnings))
            warnings.append(f"The {origin}'s model {model} cannot be used here; another one was taken.")
        return _Model(id=None, origin="default", warnings=tuple(warnings))

    def _is_usable(self, model: str, kind: Kind, backend: Backend, project: Project) -> bool:
        today = self.clock().date()
        serving = self.catalog.surfaces_for(model, kind, today)
        surfaces: list[Surface]
        match backend:
            case "emulator":
                surfaces = [surface for surface in serving if surface != "cliproxy"]
            case "auto":
                surfaces = [access.surface for access in project.configured.offered if access.surface in serving]
            case wanted:
                surfaces = [surface for surface in serving if surface == wanted]
        if not surfaces:
            return False
        try:
            self.catalog.find(model, kind, surfaces[0], today)
        except InvalidRequestError:
            return False
        return True


def _backend(
    request: GenerationRequest | EstimateCostRequest, inherited: Inherited, project: Project
) -> tuple[Backend, Origin]:
    if request.backend is not None:
        return request.backend, "explicit"
    if project.backend == "auto":
        for access in project.configured.offered:
            if access.surface == inherited.backend:
                return access.surface, "source"
    return project.backend, project.backend_origin


def _profile_origin(request: GenerationRequest | EstimateCostRequest, project: Project) -> Origin:
    return "explicit" if request.profile else project.origin


def _located(
    route: Route, spec: ModelSpec, inherited: Inherited, project: Project
) -> tuple[Route, Origin, tuple[Adjustment, ...]]:
    if route.surface != "vertex" or route.is_express:
        return route, "default", ()
    origin: Origin = "source" if "location" in inherited.values else project.configured.location_origin
    wanted = inherited.values.get("location") or project.configured.location
    location, why_not = spec.location_for(route.surface, wanted)
    if why_not is None:
        return route.at(location), origin if wanted else "default", ()
    moved = Adjustment(field="location", from_value=wanted, to_value=location, reason=why_not)
    return route.at(location), "default", (moved,)
