"""The packaged rows of the catalogue, read into values."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from mediagen.catalog.spec import Dispute, ModelSpec, SurfaceSpec

_LISTS = (
    "modes",
    "aspect_ratios",
    "image_sizes",
    "resolutions",
    "reference_modes",
    "thinking_levels",
    "person_generation",
    "resize_modes",
    "compression_qualities",
)


def read_document() -> dict[str, Any]:
    """Read ``models.toml``."""
    # Imported here so that importing the package stays cheap.
    import tomllib
    from importlib.resources import files

    return tomllib.loads(files("mediagen.catalog").joinpath("models.toml").read_text(encoding="utf-8"))


def model_spec(row: Mapping[str, Any], pixels: Mapping[str, list[int]]) -> ModelSpec:
    """Turn one row into a value; an unknown column is a TypeError."""
    values = dict(row)
    for name in _LISTS:
        if name in values:
            values[name] = tuple(values[name])
    surfaces = {name: _surface_spec(table) for name, table in values.pop("surfaces").items()}
    durations = {mode: _seconds(given) for mode, given in values.pop("durations", {}).items()}
    if "edit_source_seconds" in values:
        values["edit_source_seconds"] = (values["edit_source_seconds"]["min"], values["edit_source_seconds"]["max"])
    sizes = {ratio: (size[0], size[1]) for ratio, size in pixels.items() if ratio in values.get("aspect_ratios", ())}
    return ModelSpec(
        **{
            **values,
            "surfaces": MappingProxyType(surfaces),
            "durations": MappingProxyType(durations),
            "typical_seconds": MappingProxyType(values.get("typical_seconds", {})),
            "pixels": MappingProxyType(sizes if values["kind"] == "image" else {}),
            "disputed": tuple(Dispute(**dispute) for dispute in values.get("disputed", ())),
        }
    )


def _surface_spec(table: Mapping[str, Any]) -> SurfaceSpec:
    values = dict(table)
    if "person_generation" in values:
        values["person_generation"] = tuple(values["person_generation"])
    return SurfaceSpec(**values)


def _seconds(given: list[int] | dict[str, int]) -> tuple[int, ...]:
    if isinstance(given, dict):
        return tuple(range(given["min"], given["max"] + 1))
    return tuple(given)
