"""The packaged price rows, read into values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cache
from types import MappingProxyType
from typing import Literal

Certainty = Literal["published", "inferred"]
Cells = Mapping[str, Decimal]


def _no_cells() -> Cells:
    return MappingProxyType({})


@dataclass(frozen=True, kw_only=True, slots=True)
class PriceRow:
    """List prices of one model in US dollars; a price that is None is not known or not charged.

    Attributes:
        certainty: Of all that is not named in `inferred`.
        inferred: Columns, or cells as "per_image.2K", that no price list shows.
        at_most: Upper bounds of inferred cells.
        context_seconds: How much of a source video an extension reads; None when it is all of it.
        regional_uplift: Factor on locations of Vertex AI other than global.
    """

    model: str
    certainty: Certainty
    as_of: date
    source: str
    inferred: tuple[str, ...] = ()
    per_image: Cells = field(default_factory=_no_cells)
    per_second: Cells = field(default_factory=_no_cells)
    per_second_silent: Cells = field(default_factory=_no_cells)
    at_most: Cells = field(default_factory=_no_cells)
    tokens_per_image: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    tokens_per_second: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    input_per_million: Decimal | None = None
    text_output_per_million: Decimal | None = None
    image_output_per_million: Decimal | None = None
    video_output_per_million: Decimal | None = None
    input_image: Decimal | None = None
    input_image_tokens: int | None = None
    source_video_tokens_per_second: int | None = None
    context_seconds: int | None = None
    regional_uplift: Decimal = Decimal(1)

    def certainty_of(self, name: str) -> Certainty:
        """Whether a column, or a cell as "per_image.2K", was published."""
        return "inferred" if name in self.inferred else self.certainty


@dataclass(frozen=True, kw_only=True, slots=True)
class Allowance:
    """What a quote assumes where the request does not say.

    Attributes:
        source_seconds: Shortest, expected and longest source video of unknown length.
    """

    prompt_tokens: int
    document_tokens: int
    text_output_tokens: int
    source_seconds: tuple[int, int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchPrice:
    """Price of one web search, and how many a call makes."""

    usd: Decimal
    expected: int
    most: int
    as_of: date
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PriceTable:
    """Everything in ``prices.toml``."""

    as_of: date
    rows: Mapping[str, PriceRow]
    search: SearchPrice
    allowance: Allowance


@cache
def packaged_table() -> PriceTable:
    """Read ``prices.toml``; once per process."""
    # Imported here so that importing the package stays cheap.
    import tomllib
    from importlib.resources import files

    text = files("mediagen.pricing").joinpath("prices.toml").read_text(encoding="utf-8")
    document = tomllib.loads(text, parse_float=Decimal)
    allowance = dict(document["allowance"])
    source = allowance.pop("source_seconds")
    rows = (_price_row(row) for row in document["prices"])
    return PriceTable(
        as_of=document["as_of"],
        rows=MappingProxyType({row.model: row for row in rows}),
        search=SearchPrice(**document["search"]),
        allowance=Allowance(source_seconds=(source["least"], source["expected"], source["most"]), **allowance),
    )


def _price_row(row: Mapping[str, object]) -> PriceRow:
    values = {name: _frozen(name, value) for name, value in row.items()}
    return PriceRow(**values)  # type: ignore[arg-type]  # packaged data; the tests check every row


def _frozen(name: str, value: object) -> object:
    if isinstance(value, dict):
        is_count = name.startswith("tokens_")
        return MappingProxyType({key: cell if is_count else Decimal(cell) for key, cell in value.items()})
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, int) and name.endswith("_per_million"):
        return Decimal(value)
    return value
