"""The packaged rows of the catalogue, read into values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from mediagen.catalog.spec import SURFACE_NAMES, Dispute, ModelSpec, SurfaceSpec
from mediagen.jobs import Api, Kind, Surface

_LISTS = (
    "modes",
    "aspect_ratios",
    "image_sizes",
    "resolutions",
    "reference_modes",
    "extension_source_sizes",
    "extension_inputs",
    "thinking_levels",
    "person_generation",
    "resize_modes",
    "compression_qualities",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Guess:
    """What a model outside the catalogue is taken for, by its name and kind.

    Attributes:
        surfaces: Those on which such a model may be.
        kind: None is either.
    """

    api: Api
    surfaces: tuple[Surface, ...]
    prefix: str = ""
    kind: Kind | None = None


def read_document() -> dict[str, Any]:
    """Read ``models.toml``."""
    # Imported here so that importing the package stays cheap.
    import tomllib
    from importlib.resources import files

    return tomllib.loads(files("mediagen.catalog").joinpath("models.toml").read_text(encoding="utf-8"))


def read_guesses(document: Mapping[str, Any]) -> tuple[Guess, ...]:
    """The guesses in their order."""
    return tuple(Guess(**{**row, "surfaces": tuple(row["surfaces"])}) for row in document["guesses"])


def guess_for(guesses: Sequence[Guess], model_id: str, kind: Kind) -> Guess:
    """The first guess that fits; the last ones fit every name of their kind."""
    name = model_id.lower()
    return next(guess for guess in guesses if name.startswith(guess.prefix) and guess.kind in {None, kind})


def model_spec(row: Mapping[str, Any], document: Mapping[str, Any], guesses: Sequence[Guess]) -> ModelSpec:
    """Turn one row into a value; an unknown column is a TypeError."""
    values = {"api": guess_for(guesses, row["id"], row["kind"]).api, **row}
    values["ways"] = MappingProxyType(document["ways"].get(values["api"], {}))
    for name in _LISTS:
        if name in values:
            values[name] = tuple(values[name])
    given = values.pop("surfaces")
    surfaces = {name: _surface_spec(given[name]) for name in SURFACE_NAMES if name in given}
    durations = {mode: _seconds(given) for mode, given in values.pop("durations", {}).items()}
    if "edit_source_seconds" in values:
        values["edit_source_seconds"] = (values["edit_source_seconds"]["min"], values["edit_source_seconds"]["max"])
    sizes = {
        ratio: (size[0], size[1])
        for ratio, size in document["pixels"].items()
        if ratio in values.get("aspect_ratios", ())
    }
    return ModelSpec(
        **{
            **values,
            "surfaces": MappingProxyType(surfaces),
            "durations": MappingProxyType(durations),
            "typical_seconds": MappingProxyType(values.get("typical_seconds", {})),
            "pixels": MappingProxyType(sizes if values["kind"] == "image" else {}),
            "disputed": tuple(_dispute(table) for table in values.get("disputed", ())),
        }
    )


def _surface_spec(table: Mapping[str, Any]) -> SurfaceSpec:
    values = dict(table)
    for name in ("person_generation", "locations"):
        if name in values:
            values[name] = tuple(values[name])
    return SurfaceSpec(**values)


def _dispute(table: Mapping[str, Any]) -> Dispute:
    when = {name: tuple(given) for name, given in table.get("when", {}).items()}
    return Dispute(**{**table, "when": MappingProxyType(when)})


def _seconds(given: list[int] | dict[str, int]) -> tuple[int, ...]:
    if isinstance(given, dict):
        return tuple(range(given["min"], given["max"] + 1))
    return tuple(given)
