"""Where a job is made: project, surface, model and location, and the values that they bring along."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from mediagen.catalog import Catalog, FoundModel, ModelSpec, check_express_key
from mediagen.catalog.spec import SURFACE_NAMES
from mediagen.defaults import Layers
from mediagen.errors import ConfigurationError, InvalidRequestError
from mediagen.generator.inheritance import NOTHING_INHERITED, Inherited
from mediagen.generator.policy import Policy, Project
from mediagen.jobs import Adjustment, Kind, Origin, Surface
from mediagen.modes import video_mode
from mediagen.requests import Backend, EstimateCostRequest, GenerationRequest, VideoMode, VideoRequest
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
    """A model id, or None for the default of the surface.

    Attributes:
        unusable: Models of a preset, the source and the profile, with their layer, in whose place it stands.
    """

    id: str | None
    origin: Origin
    unusable: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Wish:
    """What is to be made.

    Attributes:
        mode: Mode of a clip; None when every model of the kind does it.
        model: Model that the caller or the preset names.
    """

    kind: Kind
    mode: VideoMode | None
    model: str | None
    model_origin: Origin


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
        project = self.policy.projects.choose(
            request.profile, source_profile=inherited.profile, source_project=inherited.project
        )
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
        wish = _wish(request, kind, preset)
        backend, backend_origin = self._backend(request, wish, inherited, project)
        if ours := project.built_in_preset(request.preset, kind):
            # The surface does not hang on its model: it has one for each.
            layers = layers.with_built_in(ours.on(kind, self._route(wish.model, kind, backend, project).surface))
        model = self._model(wish, layers, backend, project)
        route = self._route(model.id, kind, backend, project)
        if backend_origin == "source":
            route = dataclasses.replace(route, reason="where the source was made")
        if inherited.is_emulated and route.backend != "emulator":
            # Its bucket would be somebody else's in the real world.
            layers = dataclasses.replace(layers, source=_without(layers.source, "storage_uri", "location"))
        name = model.id or self.catalog.default_model(kind, route.surface).id
        found = self.catalog.find(name, kind, route.surface, self.clock().date(), mode=wish.mode)
        express = check_express_key(found.spec) if route.is_express else ()
        route, location_origin, moved = _located(route, found.spec, layers, project)
        adjustments, warnings = _replaced(model, found.spec)
        return Place(
            project=project,
            route=route,
            found=found,
            layers=layers,
            origins={
                "backend": backend_origin,
                "model": model.origin,
                **({"location": location_origin} if route.location else {}),
                **dict(_origins(request, project, route)),
            },
            adjustments=(*adjustments, *found.adjustments, *moved),
            warnings=(*project.warnings, *inherited.warnings, *warnings, *found.warnings, *express),
        )

    def _route(self, model: str | None, kind: Kind, backend: Backend, project: Project) -> Route:
        serving = self.catalog.surfaces_for(model, kind, self.clock().date())
        what = model or {"image": "an image model", "video": "a video model"}[kind]
        # A model that is gone everywhere is refused by the catalogue, in words that name its replacement.
        return choose_route(backend, project.configured, serving=serving or tuple(SURFACE_NAMES), what=what)

    def _backend(
        self,
        request: GenerationRequest | EstimateCostRequest,
        wish: _Wish,
        inherited: Inherited,
        project: Project,
    ) -> tuple[Backend, Origin]:
        """The surface that is asked for; where nobody names one, that of the source, if it has the model."""
        if request.backend is not None:
            return request.backend, "explicit"
        if project.backend == "auto":
            serving = self.catalog.surfaces_for(wish.model, wish.kind, self.clock().date())
            for access in project.configured.offered:
                if access.surface == inherited.backend and access.surface in serving:
                    return access.surface, "source"
        return project.backend, project.backend_origin

    def _model(self, wish: _Wish, layers: Layers, backend: Backend, project: Project) -> _Model:
        """The model that is asked for; one that only a source or a profile names must be there to be used."""
        if wish.model is not None:
            return _Model(id=wish.model, origin=wish.model_origin)
        unusable: list[tuple[str, str]] = []
        candidates: tuple[tuple[str, Origin, str | None], ...] = (
            ("preset", "default", layers.built_in.get("model")),
            ("source", "source", layers.source.get("model")),
            ("profile", "profile", layers.profile.get("model")),
            ("default", "default", self._default_that_cannot(wish, backend, project)),
        )
        for layer, origin, model in candidates:
            if model is None:
                continue
            if self._surfaces_of(model, wish, backend, project):
                return _Model(id=model, origin=origin, unusable=tuple(unusable))
            unusable.append((layer, model))
            for surface in _surfaces(backend, project):
                successor = self.catalog.successor(model, surface)
                if successor and self._surfaces_of(successor, wish, backend, project):
                    return _Model(id=successor, origin="default", unusable=tuple(unusable))
        return _Model(id=None, origin="default", unusable=tuple(unusable))

    def _default_that_cannot(self, wish: _Wish, backend: Backend, project: Project) -> str | None:
        """The default model of the surface that would be used, if it does not do the mode."""
        if wish.mode is None:
            return None
        surface = self._route(None, wish.kind, backend, project).surface
        default = self.catalog.defaults[wish.kind].get(surface)
        return default if default and not self._does(default, wish, surface, self.clock().date()) else None

    def _surfaces_of(self, model: str, wish: _Wish, backend: Backend, project: Project) -> list[Surface]:
        """Surfaces on which a model can be used for what is to be made."""
        today = self.clock().date()
        serving = self.catalog.surfaces_for(model, wish.kind, today)
        return [
            surface
            for surface in _surfaces(backend, project)
            if surface in serving and self._does(model, wish, surface, today)
        ]

    def _does(self, model: str, wish: _Wish, surface: Surface, today: date) -> bool:
        try:
            spec = self.catalog.find(model, wish.kind, surface, today).spec
        except InvalidRequestError:
            return False
        return wish.mode is None or spec.way_of(wish.mode) is not None


def _surfaces(backend: Backend, project: Project) -> tuple[Surface, ...]:
    """Surfaces that may be used, in the order in which they are tried."""
    match backend:
        case "emulator":
            return ("gemini", "vertex")
        case "auto":
            return tuple(access.surface for access in project.configured.offered)
        case wanted:
            return (wanted,)


def _wish(request: GenerationRequest | EstimateCostRequest, kind: Kind, preset: Mapping[str, Any]) -> _Wish:
    mode: VideoMode | None = None
    if isinstance(request, VideoRequest):
        mode = video_mode(request)
    elif isinstance(request, EstimateCostRequest) and request.kind == "extension":
        mode = "video_extension"
    if request.model is not None:
        return _Wish(kind=kind, mode=mode, model=request.model, model_origin="explicit")
    return _Wish(kind=kind, mode=mode, model=preset.get("model"), model_origin="profile")


def _replaced(model: _Model, spec: ModelSpec) -> tuple[tuple[Adjustment, ...], tuple[str, ...]]:
    """How it is told that another model is used than that of the source or the profile."""
    told = [
        (
            name,
            "the default model does not do this mode"
            if layer == "default"
            else f"the {layer}'s model cannot be used here",
        )
        for layer, name in model.unusable
    ]
    adjustments = tuple(
        Adjustment(field="model", from_value=name, to_value=spec.id, reason=reason) for name, reason in told
    )
    warnings = tuple(
        f"The {layer}'s model {name} cannot be used here; {spec.id} is used instead, at its own price."
        for layer, name in model.unusable
    )
    return adjustments, warnings


def _origins(
    request: GenerationRequest | EstimateCostRequest, project: Project, route: Route
) -> Iterator[tuple[str, Origin]]:
    if project.name:
        yield "profile", "explicit" if request.profile else project.origin
    if request.preset:
        yield "preset", "explicit"
    if route.project:
        yield "project", "default" if route.backend == "emulator" else project.google_project_origin


def _located(
    route: Route, spec: ModelSpec, layers: Layers, project: Project
) -> tuple[Route, Origin, tuple[Adjustment, ...]]:
    if route.surface != "vertex" or route.is_express:
        return route, "default", ()
    of_source = layers.source.get("location")
    origin: Origin = "source" if of_source else project.configured.location_origin
    wanted = of_source or project.configured.location
    location, why_not = spec.location_for(route.surface, wanted)
    if why_not is None:
        return route.at(location), origin if wanted else "default", ()
    moved = Adjustment(field="location", from_value=wanted, to_value=location, reason=why_not)
    return route.at(location), "default", (moved,)


def _without(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}
