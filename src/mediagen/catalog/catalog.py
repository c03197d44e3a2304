"""The catalogue: finding a model by its name, for a kind, a surface and a day."""

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from functools import cache
from types import MappingProxyType

from mediagen.catalog.packaged import Guess, guess_for, model_spec, read_document, read_guesses
from mediagen.catalog.spec import SURFACE_NAMES, ModelSpec, SurfaceSpec
from mediagen.errors import InvalidRequestError
from mediagen.jobs import Adjustment, Api, Kind, Surface

_PREFIXES = ("publishers/google/models/", "models/", "google/")
_WHY_NOT: Mapping[tuple[Surface, Kind], str] = MappingProxyType(
    {("cliproxy", "video"): ": it has no Veo, and no way to fetch a clip of Omni later"}
)


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundModel:
    """A model for a request.

    Attributes:
        spec: What the model accepts on the surface that was asked for.
        warnings: What the caller should know about its availability.
        adjustments: Set when the caller gave a short name.
    """

    spec: ModelSpec
    warnings: tuple[str, ...] = ()
    adjustments: tuple[Adjustment, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Catalog:
    """All models that are known, living and retired.

    Attributes:
        as_of: Day on which the catalogue was last checked.
        aliases: Model id by short name.
        defaults: Model id by kind and surface.
        guesses: What ids outside the catalogue are taken for.
        retired_names: Row by which a name of a model that is gone is judged, by pattern.
        ways: By API, modes that its models reach by another one.
    """

    as_of: date
    specs: tuple[ModelSpec, ...]
    aliases: Mapping[str, str]
    defaults: Mapping[Kind, Mapping[Surface, str]]
    guesses: tuple[Guess, ...]
    retired_names: Mapping[str, str]
    ways: Mapping[str, Mapping[str, str]]

    @classmethod
    def load(cls) -> "Catalog":
        """The packaged catalogue; read once per process."""
        return _packaged()

    def models(self, kind: Kind | None = None, surface: Surface | None = None) -> tuple[ModelSpec, ...]:
        """Rows in the order of the catalogue, retired ones included.

        Args:
            kind: Only this kind.
            surface: Only models that the surface has or had, each as it holds there.
        """
        rows = (spec for spec in self.specs if kind is None or spec.kind == kind)
        if surface is None:
            return tuple(rows)
        return tuple(spec.on_surface(surface) for spec in rows if surface in spec.surfaces)

    def default_model(self, kind: Kind, surface: Surface) -> ModelSpec:
        """Model that is used when the caller names none.

        Raises:
            InvalidRequestError: No model makes this kind there.
        """
        model_id = self.defaults[kind].get(surface)
        spec = self._get(model_id) if model_id else None
        if spec is None:
            others = _listing([name for name in SURFACE_NAMES if name in self.defaults[kind]])
            raise InvalidRequestError(
                f"No model makes {kind}s on {SURFACE_NAMES[surface]}{_WHY_NOT.get((surface, kind), '')}.",
                field="backend",
                hint=f"Surfaces that do: {others}.",
                code="model_not_on_surface",
            )
        return spec.on_surface(surface)

    def surfaces_for(self, model_id: str | None, kind: Kind, today: date) -> tuple[Surface, ...]:
        """Surfaces that have, or may have, a model; in the order in which they are tried.

        Args:
            model_id: Google's id or a short name; None is the default model of each surface.
            kind: What the caller wants to make.
            today: Day for which retirements are judged.

        Returns:
            None of them when the model is retired everywhere; those plausible by its name when it is not in the
            catalogue.
        """
        if model_id is None:
            return tuple(name for name in SURFACE_NAMES if name in self.defaults[kind])
        spec = self._row(self._known_id(model_id))
        if spec is None:
            plausible = guess_for(self.guesses, _without_prefix(model_id), kind).surfaces
            return tuple(name for name in SURFACE_NAMES if name in plausible)
        return tuple(name for name in SURFACE_NAMES if name in spec.surfaces and not spec.is_retired(name, today))

    def find(self, model_id: str, kind: Kind, surface: Surface, today: date, *, mode: str | None = None) -> FoundModel:
        """Find the model that a caller names.

        Args:
            model_id: Google's id or a short name.
            kind: What the caller wants to make.
            surface: API surface that will be used.
            today: Day for which retirements are judged.
            mode: Mode that what a refusal proposes has to do.

        Returns:
            The model; an id that is not in the catalogue comes back unchecked, with a warning.

        Raises:
            InvalidRequestError: Retired, of another kind or not on this surface; says what to use instead.
        """
        known = self._known_id(model_id)
        spec = self._row(known)
        if spec is None:
            return self._unknown(_without_prefix(model_id), kind, surface)
        self._refuse_wrong_kind(spec, kind, surface)
        if spec.is_retired(surface, today):
            raise self._retired(spec, surface, today, mode)
        on_it = spec.surfaces.get(surface)
        if on_it is None:
            raise self._elsewhere(spec, surface, today, mode)
        adjustments: tuple[Adjustment, ...] = ()
        if known != model_id:
            is_alias = _without_prefix(model_id).lower() in self.aliases
            reason = "short name of the model" if is_alias else "Google writes it this way"
            adjustments = (Adjustment(field="model", from_value=model_id, to_value=known, reason=reason),)
        return FoundModel(
            spec=spec.on_surface(surface),
            warnings=self._availability(spec, surface, on_it, today),
            adjustments=adjustments,
        )

    def successor(self, model_id: str, surface: Surface) -> str | None:
        """Model to use on a surface instead of one that it no longer has; None when nothing is known of it."""
        spec = self._row(self._known_id(model_id))
        return self._instead(spec, surface) if spec else None

    def models_for(self, mode: str, surface: Surface, today: date) -> tuple[str, ...]:
        """Living models of a surface that do a mode, in the order of the catalogue."""
        return tuple(
            spec.id
            for spec in self.models("video", surface)
            if spec.modes and not spec.is_retired(surface, today) and spec.way_of(mode)
        )

    def who_does(self, mode: str, surface: Surface, today: date) -> str:
        """Say in words which model does a mode: on that surface if there is one, else elsewhere."""
        for name in (surface, *(other for other in SURFACE_NAMES if other != surface)):
            if models := self.models_for(mode, name, today):
                return f"Use model={models[0]!r}{'' if name == surface else f' on {_listing([name])}'}."
        return "No living model does it."

    def api_of(self, model_id: str, kind: Kind) -> Api:
        """API that a model is asked by, also one that is retired or not in the catalogue."""
        spec = self._get(model_id)
        return spec.api if spec else guess_for(self.guesses, model_id, kind).api

    def _get(self, model_id: str) -> ModelSpec | None:
        return next((spec for spec in self.specs if spec.id == model_id), None)

    def _row(self, known_id: str) -> ModelSpec | None:
        """The row of a model, or of the one by which a name that is gone is judged."""
        spec = self._get(known_id)
        if spec is not None:
            return spec
        like = next((row for pattern, row in self.retired_names.items() if fnmatchcase(known_id, pattern)), None)
        judged_by = self._get(like) if like else None
        return dataclasses.replace(judged_by, id=known_id) if judged_by else None

    def _known_id(self, model_id: str) -> str:
        bare = _without_prefix(model_id).lower()
        return self.aliases.get(bare, bare)

    def _unknown(self, model_id: str, kind: Kind, surface: Surface) -> FoundModel:
        living = [spec.id for spec in self.specs if spec.kind == kind and spec.status != "retired"]
        near = difflib.get_close_matches(model_id.lower(), living, n=1, cutoff=0.8)
        meant = f" Did you mean {near[0]!r}?" if near else ""
        warning = f"model={model_id!r} is not in the catalogue (as of {self.as_of}); passed through unchecked.{meant}"
        guess = guess_for(self.guesses, model_id, kind)
        if surface not in guess.surfaces:
            warning += f" By its name it is on {_listing(list(guess.surfaces))} only."
        spec = ModelSpec(id=model_id, kind=kind, status="uncertain", api=guess.api, ways=self.ways.get(guess.api, {}))
        return FoundModel(spec=spec, warnings=(warning,))

    def _refuse_wrong_kind(self, spec: ModelSpec, kind: Kind, surface: Surface) -> None:
        if spec.kind == kind:
            return
        default = self.defaults[kind].get(surface)
        raise InvalidRequestError(
            f"model={spec.id!r} makes {spec.kind}s, not {kind}s.",
            field="model",
            hint=f"Use model={default!r}."
            if default
            else f"Choose another backend: {SURFACE_NAMES[surface]} has none.",
            code="wrong_kind",
        )

    def _retired(self, spec: ModelSpec, surface: Surface, today: date, mode: str | None) -> InvalidRequestError:
        on_it = spec.surfaces.get(surface)
        instead = self._instead_for(spec, surface, today, mode)
        if on_it is not None:
            where = f"was shut down on {SURFACE_NAMES[surface]} on {on_it.shutdown}"
        else:
            dates = [f"{SURFACE_NAMES[name]} on {there.shutdown}" for name, there in spec.surfaces.items()]
            where = f"was shut down ({', '.join(dates)}) and was never on {SURFACE_NAMES[surface]}"
        return InvalidRequestError(
            f"model={spec.id!r} {where}.",
            field="model",
            hint=f"Use model={instead!r}." if instead else self._elsewhere_hint(spec),
            code="model_retired",
        )

    def _elsewhere(self, spec: ModelSpec, surface: Surface, today: date, mode: str | None) -> InvalidRequestError:
        names: list[Surface] = [name for name in spec.surfaces if not spec.is_retired(name, today)]
        instead = self._instead_for(spec, surface, today, mode)
        hint = f"Use model={instead!r} here, or" if instead else f"No model makes {spec.kind}s here;"
        hint += " choose one of those surfaces."
        if mode and not spec.way_of(mode):  # where it is, it does not do it either
            hint = f"{'' if instead else f'No model makes {spec.kind}s here. '}{self.who_does(mode, surface, today)}"
        return InvalidRequestError(
            f"model={spec.id!r} is not on {SURFACE_NAMES[surface]}; surfaces that have it: {_listing(names)}.",
            field="model",
            hint=hint,
            code="model_not_on_surface",
        )

    def _elsewhere_hint(self, spec: ModelSpec) -> str:
        """What replaces a model, for a surface where nothing does."""
        successor = self._get(spec.replacement or "")
        if successor is None:
            return f"No model makes {spec.kind}s here."
        places: list[Surface] = [name for name in successor.surfaces if successor.serves(name)]
        return f"No model makes {spec.kind}s here; use model={successor.id!r} on {_listing(places)}."

    def _instead(self, spec: ModelSpec, surface: Surface) -> str | None:
        """Replacement that works on the surface, or the default one there."""
        named = self._get(spec.replacement_on(surface) or "")
        if named is not None and named.serves(surface):
            return named.id
        return self.defaults[spec.kind].get(surface)

    def _instead_for(self, spec: ModelSpec, surface: Surface, today: date, mode: str | None) -> str | None:
        """The same, if it does the mode; else a model of the surface that does."""
        instead = self._instead(spec, surface)
        able = self.models_for(mode, surface, today) if mode else ()
        return able[0] if able and instead not in able else instead

    def _availability(self, spec: ModelSpec, surface: Surface, on_it: SurfaceSpec, today: date) -> tuple[str, ...]:
        where = SURFACE_NAMES[surface]
        warnings = []
        if on_it.note:
            warnings.append(f"{spec.id} on {where}: {on_it.note}.")
        elif on_it.status == "uncertain":
            when = f" (a shutdown on {on_it.shutdown} was announced)" if on_it.shutdown else ""
            instead = self._instead(spec, surface)
            hint = f"; if it fails, use {instead}" if instead and instead != spec.id else ""
            warnings.append(f"Sources disagree whether {spec.id} still works on {where}{when}{hint}.")
        if on_it.guaranteed_until and on_it.guaranteed_until <= today:
            warnings.append(f"Google promised {spec.id} on {where} only until {on_it.guaranteed_until}.")
        return tuple(warnings)


def _without_prefix(model_id: str) -> str:
    bare = model_id.strip()
    for prefix in _PREFIXES:
        bare = bare.removeprefix(prefix)
    return bare


def _listing(surfaces: list[Surface]) -> str:
    return ", ".join(f"{SURFACE_NAMES[name]} (backend={name!r})" for name in surfaces)


@cache
def _packaged() -> Catalog:
    document = read_document()
    guesses = read_guesses(document)
    return Catalog(
        as_of=document["as_of"],
        specs=tuple(model_spec(row, document, guesses) for row in document["models"]),
        aliases=MappingProxyType(document["aliases"]),
        defaults=MappingProxyType({kind: MappingProxyType(table) for kind, table in document["defaults"].items()}),
        guesses=guesses,
        retired_names=MappingProxyType(document["retired_names"]),
        ways=MappingProxyType(document["ways"]),
    )
