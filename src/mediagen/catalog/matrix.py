"""Which model does which mode on which surface: the columns that requests are checked by, as one table. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from mediagen.catalog.catalog import Catalog
from mediagen.catalog.spec import SURFACE_NAMES, ModelSpec
from mediagen.jobs import Surface


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One mode of one model on one surface.

    Attributes:
        way: Mode by which it is done; None when it is refused.
    """

    mode: str
    spec: ModelSpec
    surface: Surface
    way: str | None


def cells(catalog: Catalog, modes: Sequence[str], day: date) -> Iterator[Cell]:
    """Every cell, by model, surface and mode; of models that are gone everywhere none.

    Args:
        catalog: Its video models are the rows.
        modes: The columns.
        day: For which retirements are judged.
    """
    for spec in catalog.models("video"):
        if spec.modes is None:
            continue
        for surface in SURFACE_NAMES:
            lives = spec.serves(surface) and not spec.is_retired(surface, day)
            for mode in modes:
                way = spec.way_of(mode) if lives else None
                yield Cell(mode=mode, spec=spec, surface=surface, way=way)
