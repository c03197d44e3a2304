"""The packaged price rows, read into values."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
        batch_factor: Factor on the tokens of a call in a batch of the Gemini API; None when the model has no batches.
        is_of_batches: Whether the prices are those of a call in a batch.
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
    batch_factor: Decimal | None = None
    is_of_batches: bool = False

    def in_batches(self, terms: "BatchTerms") -> "PriceRow | None":
        """The prices of a call in a batch; None when the model has none."""
        factor = self.batch_factor
        if factor is None:
            return None
        return replace(
            self,
            per_image=_times(self.per_image, factor),
            at_most=_times(self.at_most, factor),
            input_per_million=_product(self.input_per_million, factor),
            text_output_per_million=_product(self.text_output_per_million, factor),
            image_output_per_million=_product(self.image_output_per_million, factor),
            input_image=_product(self.input_image, factor),
            as_of=terms.as_of,
            source=f"{self.source}; {terms.source}",
            is_of_batches=True,
        )

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
class BatchTerms:
    """What Google says of batches on the Gemini API.

    Attributes:
        hours: Within which it means to answer.
        expires_hours: After which it gives up.
        open: How many of a project may be open at once.
        inline_bytes: Size of one whose requests are inside.
    """

    hours: int
    expires_hours: int
    open: int
    inline_bytes: int
    as_of: date
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PriceTable:
    """Everything in ``prices.toml``."""

    as_of: date
    rows: Mapping[str, PriceRow]
    search: SearchPrice
    batch: BatchTerms

    def in_batches(self) -> "PriceTable":
        """The table of calls in batches: without the models that have none."""
        rows = {model: cheaper for model, row in self.rows.items() if (cheaper := row.in_batches(self.batch))}
        return replace(self, rows=MappingProxyType(rows))

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
        batch=BatchTerms(**document["batch"]),
        allowance=Allowance(source_seconds=(source["least"], source["expected"], source["most"]), **allowance),
    )


def _price_row(row: Mapping[str, object]) -> PriceRow:
    values = {name: _frozen(name, value) for name, value in row.items()}
    return PriceRow(**values)  # type: ignore[arg-type]  # packaged data; the tests check every row


def _times(cells: Cells, factor: Decimal) -> Cells:
    return MappingProxyType({name: cell * factor for name, cell in cells.items()})


def _product(price: Decimal | None, factor: Decimal) -> Decimal | None:
    return None if price is None else price * factor


def _frozen(name: str, value: object) -> object:
    if isinstance(value, dict):
        is_count = name.startswith("tokens_")
        return MappingProxyType({key: cell if is_count else Decimal(cell) for key, cell in value.items()})
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, int) and name.endswith("_per_million"):
        return Decimal(value)
    return value
