"""Quotes before a call and charges after it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

from mediagen.jobs import Charge, Quote, Usage
from mediagen.pricing.rows import Certainty, PriceRow, PriceTable, packaged_table
from mediagen.report.money import dollars, rounded

if TYPE_CHECKING:
    from mediagen.catalog import Surface
    from mediagen.requests import ImageParameters, VideoParameters

MILLION = Decimal(1_000_000)
NOTHING = Decimal(0)

_TOKEN_PRICES = (
    ("input_tokens", "input_per_million", "input"),
    ("output_text_tokens", "text_output_per_million", "text"),
    ("output_image_tokens", "image_output_per_million", "image"),
    ("output_video_tokens", "video_output_per_million", "video"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Line:
    """One part of a quote: for one call, in US dollars."""

    least: Decimal
    expected: Decimal
    most: Decimal
    words: str = ""
    certainty: Certainty = "published"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Place:
    """What the place of a call does to its list price.

    Attributes:
        is_listed: Whether the price list is that of whoever sends the bill.
    """

    factor: Decimal = Decimal(1)
    words: str = ""
    is_listed: bool = True

    def basis(self, basis: str) -> str:
        """The sum with what the place adds to it."""
        return f"({basis}){self.words}" if self.words else basis


@dataclass(frozen=True, kw_only=True, slots=True)
class Prices:
    """List prices of all known models."""

    table: PriceTable

    @classmethod
    def load(cls) -> Prices:
        """The packaged prices; read once per process."""
        return cls(table=packaged_table())

    def in_batches(self) -> Prices:
        """Prices of what Google's Batch API makes; other models than those it has are not known to them."""
        return Prices(table=self.table.in_batches())

    def quote(
        self,
        parameters: ImageParameters | VideoParameters,
        *,
        surface: Surface = "gemini",
        location: str | None = None,
    ) -> Quote:
        """Price of a job before it is sent; see `quote_image` and `quote_video`."""
        # Whoever has parameters has loaded this module already; importing it with the package would load pydantic.
        from mediagen.requests import ImageParameters

        if isinstance(parameters, ImageParameters):
            return self.quote_image(parameters, surface=surface, location=location)
        return self.quote_video(parameters, surface=surface, location=location)

    def quote_image(
        self, parameters: ImageParameters, *, surface: Surface = "gemini", location: str | None = None
    ) -> Quote:
        """Price of a picture job before it is sent, in US dollars.

        Args:
            parameters: What would be sent.
            surface: API surface that would be used.
            location: Location on Vertex AI; None is global.

        Returns:
            Price of all `count` pictures with their inputs; without a price when the model or size is not known.
            The upper bound allows for a long prompt, for thinking and for several searches.
        """
        row = self.table.rows.get(parameters.model)
        cell = row.per_image.get(parameters.image_size) if row else None
        if row is None or cell is None:
            return self._unknown(row, parameters.model, parameters.image_size)
        count, size = parameters.count, parameters.image_size
        noun = "image" if count == 1 else "images"
        lines = [
            _Line(
                least=cell,
                expected=cell,
                most=row.at_most.get(size, cell),
                words=f"{count} {noun} × {dollars(cell)} ({size})",
                certainty=row.certainty_of(f"per_image.{size}"),
            ),
            *_input_images(row, parameters.input_images, count),
            self._allowance(row, parameters.documents),
        ]
        if parameters.search_grounding:
            lines.append(self._search(count))
        return _quote(row, lines, count, _place(row, surface, location))

    def quote_video(
        self, parameters: VideoParameters, *, surface: Surface = "gemini", location: str | None = None
    ) -> Quote:
        """Price of a clip job before it is sent, in US dollars.

        Args:
            parameters: What would be sent.
            surface: API surface that would be used.
            location: Location on Vertex AI; None is global.

        Returns:
            Price of all `count` clips with their inputs; without a price when the model or resolution is not known.
        """
        row = self.table.rows.get(parameters.model)
        cells, column = _second_cells(row, silent=not parameters.generate_audio)
        cell = cells.get(parameters.resolution)
        if row is None or cell is None:
            return self._unknown(row, parameters.model, parameters.resolution)
        seconds, count = parameters.duration_seconds, parameters.count
        lines = [
            _Line(
                least=seconds * cell,
                expected=seconds * cell,
                most=seconds * row.at_most.get(parameters.resolution, cell),
                words=f"{_times(count)}{seconds} s × {dollars(cell)} ({_scale(parameters.resolution, column)})",
                certainty=row.certainty_of(f"{column}.{parameters.resolution}"),
            ),
            *_input_images(row, parameters.input_images + parameters.reference_images, count),
            *self._source_video(row, parameters),
            self._allowance(row, 0),
        ]
        return _quote(row, lines, count, _place(row, surface, location))

    def charge_for(
        self, model: str, usage: Usage, *, surface: Surface = "gemini", location: str | None = None
    ) -> Charge:
        """Price of one call after it, from the tokens that Google reports, in US dollars.

        Searches are billed apart and are not in the tokens.

        Args:
            model: Google's model id.
            usage: What Google counted; all zero when it reported nothing.
            surface: API surface that was used.
            location: Location on Vertex AI; None is global.

        Returns:
            Exact when every price is published, estimated when one is inferred, without a price when one is missing.
        """
        row = self.table.rows.get(model)
        used = [(getattr(usage, name), column, noun) for name, column, noun in _TOKEN_PRICES if getattr(usage, name)]
        if row is None:
            return _unknown_charge(f"no price is known for {model}")
        if not used:
            return _unknown_charge("Google reported no tokens")
        missing = [noun for _, column, noun in used if getattr(row, column) is None]
        if missing:
            return _unknown_charge(f"no price is known for {missing[0]} tokens of {model}")
        place = _place(row, surface, location)
        usd = sum((tokens * getattr(row, column) / MILLION for tokens, column, _ in used), NOTHING) * place.factor
        basis = " + ".join(
            f"{tokens} {noun} tokens × {dollars(getattr(row, column))}/M" for tokens, column, noun in used
        )
        is_exact = place.is_listed and all(row.certainty_of(column) == "published" for _, column, _ in used)
        return Charge(
            usd=rounded(usd, ROUND_HALF_UP, 6),
            basis=place.basis(basis),
            certainty="exact" if is_exact else "estimated",
            billed="yes",
        )

    def charge_for_clips(  # noqa: PLR0913 - each is a factor of the price
        self,
        model: str,
        *,
        samples: int,
        seconds: float,
        resolution: str,
        silent: bool,
        surface: Surface = "vertex",
        location: str | None = None,
    ) -> Charge:
        """Price of one call after it, for a model whose usage Google does not report, in US dollars.

        Args:
            model: Google's model id.
            samples: Clips that were delivered; those that a filter kept back are not billed.
                Source: https://cloud.google.com/vertex-ai/generative-ai/pricing (checked 2026-11-21)
            seconds: Length of each new clip.
            resolution: As it was asked for.
            silent: Whether they were made without sound.
            surface: API surface that was used.
            location: Location on Vertex AI; None is global.

        Returns:
            Estimated from the list price; without a price when the model or resolution is not known.
        """
        if samples < 1:
            return Charge(usd=NOTHING, basis="no clip was delivered", certainty="estimated", billed="no")
        row = self.table.rows.get(model)
        cells, column = _second_cells(row, silent=silent)
        if row is None or resolution not in cells:
            return _unknown_charge(self._unknown(row, model, resolution).basis)
        cell, place = cells[resolution], _place(row, surface, location)
        basis = f"{_times(samples)}{seconds:g} s × {dollars(cell)} ({_scale(resolution, column)})"
        return Charge(
            usd=rounded(samples * Decimal(str(seconds)) * cell * place.factor, ROUND_HALF_UP, 6),
            basis=f"{place.basis(basis)}, list price; Google reports no usage",
            certainty="estimated",
            billed="yes",
        )

    def _allowance(self, row: PriceRow, documents: int) -> _Line:
        allowance = self.table.allowance
        tokens = allowance.prompt_tokens + documents * allowance.document_tokens
        most = tokens * (row.input_per_million or NOTHING)
        most += allowance.text_output_tokens * (row.text_output_per_million or NOTHING)
        return _Line(least=NOTHING, expected=NOTHING, most=most / MILLION)

    def _search(self, count: int) -> _Line:
        search = self.table.search
        return _Line(
            least=NOTHING,
            expected=search.expected * search.usd,
            most=search.most * search.usd,
            words=f"{search.expected * count} web search × {dollars(search.usd)}",
        )

    def _source_video(self, row: PriceRow, parameters: VideoParameters) -> list[_Line]:
        rate = row.source_video_tokens_per_second
        if rate is None or row.input_per_million is None or parameters.mode not in {"video_extension", "video_edit"}:
            return []
        known = parameters.source_seconds
        given = self.table.allowance.source_seconds if known is None else (known, known, known)
        cap = row.context_seconds if parameters.mode == "video_extension" else None
        lengths = [Decimal(str(seconds if cap is None else min(seconds, cap))) for seconds in given]
        per_second = rate * row.input_per_million / MILLION
        assumed = ", length assumed" if known is None else ""
        words = f"{_times(parameters.count)}{lengths[1]:f} s of source video × {dollars(per_second)}{assumed}"
        return [
            _Line(
                least=lengths[0] * per_second,
                expected=lengths[1] * per_second,
                most=lengths[2] * per_second,
                words=words,
                certainty=row.certainty_of("source_video_tokens_per_second"),
            )
        ]

    def _unknown(self, row: PriceRow | None, model: str, scale: str) -> Quote:
        what = model if row is None else f"{scale} of {model}"
        return Quote(
            usd=None,
            min_usd=None,
            max_usd=None,
            basis=f"no price is known for {what}",
            as_of=(row.as_of if row else self.table.as_of).isoformat(),
            source=row.source if row else "",
            certainty="unknown",
        )


def _second_cells(row: PriceRow | None, *, silent: bool) -> tuple[dict[str, Decimal], str]:
    if row is None:
        return {}, "per_second"
    if silent and row.per_second_silent:
        return dict(row.per_second_silent), "per_second_silent"
    return dict(row.per_second), "per_second"


def _input_images(row: PriceRow, number: int, count: int) -> list[_Line]:
    if not number or row.input_image is None:
        return []
    usd = number * row.input_image
    noun = "input image" if number * count == 1 else "input images"
    words = f"{number * count} {noun} × {dollars(row.input_image)}"
    return [_Line(least=usd, expected=usd, most=usd, words=words, certainty=row.certainty_of("input_image"))]


def _scale(resolution: str, column: str) -> str:
    return f"{resolution}, silent" if column == "per_second_silent" else resolution


def _place(row: PriceRow, surface: Surface, location: str | None) -> _Place:
    if row.is_of_batches:
        return _Place(words=" in a batch (Batch API)")
    if surface == "cliproxy":
        return _Place(words=" at Google's list price; the proxy's account may pay otherwise", is_listed=False)
    if surface != "vertex" or location in {None, "", "global"} or row.regional_uplift == 1:
        return _Place()
    return _Place(factor=row.regional_uplift, words=f" × {row.regional_uplift} (location {location})")


def _quote(row: PriceRow, lines: list[_Line], count: int, place: _Place) -> Quote:
    factor = place.factor
    is_published = place.is_listed and all(line.certainty == "published" for line in lines)
    return Quote(
        usd=rounded(sum((line.expected for line in lines), NOTHING) * count * factor, ROUND_HALF_UP),
        min_usd=rounded(sum((line.least for line in lines), NOTHING) * count * factor, ROUND_FLOOR),
        max_usd=rounded(sum((line.most for line in lines), NOTHING) * count * factor, ROUND_CEILING),
        basis=place.basis(" + ".join(line.words for line in lines if line.words)),
        as_of=row.as_of.isoformat(),
        source=row.source,
        certainty="published" if is_published else "inferred",
    )


def _unknown_charge(basis: str) -> Charge:
    return Charge(usd=None, basis=basis, certainty="unknown", billed="yes")


def _times(count: int) -> str:
    return "" if count == 1 else f"{count} × "
