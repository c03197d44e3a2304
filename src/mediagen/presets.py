"""Presets that come along with the package: dated data, no I/O but reading it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from types import MappingProxyType
from typing import Any

from mediagen.jobs import Kind, Surface


@dataclass(frozen=True, kw_only=True, slots=True)
class BuiltInPreset:
    """Named values for the arguments of a paid call.

    Attributes:
        about: What it is for.
        values: By kind and surface.
    """

    name: str
    about: str
    as_of: date
    source: str
    values: Mapping[Kind, Mapping[Surface, Mapping[str, Any]]]

    def on(self, kind: Kind, surface: Surface) -> Mapping[str, Any]:
        """Values for one kind on one surface; nothing where it has none."""
        return self.values.get(kind, {}).get(surface, {})


def built_in_presets(kind: Kind | None = None) -> Mapping[str, BuiltInPreset]:
    """The presets by name; only those for a kind, if one is given."""
    return {name: preset for name, preset in _packaged().items() if kind is None or kind in preset.values}


@cache
def _packaged() -> Mapping[str, BuiltInPreset]:
    # Imported here so that importing the package stays cheap.
    import tomllib
    from importlib.resources import files

    document = tomllib.loads(files("mediagen").joinpath("presets.toml").read_text(encoding="utf-8"))
    kinds: tuple[Kind, ...] = ("image", "video")
    return MappingProxyType(
        {
            name: BuiltInPreset(
                name=name,
                about=table["about"],
                as_of=document["as_of"],
                source=document["source"],
                values={kind: table[kind] for kind in kinds if kind in table},
            )
            for name, table in document["presets"].items()
        }
    )
