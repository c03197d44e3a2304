"""Quotes against the list prices, and charges against the tokens."""

from decimal import Decimal
from typing import Any

import pytest

from mediagen.catalog import Catalog
from mediagen.jobs import Usage
from mediagen.pricing import Prices
from mediagen.requests import ImageParameters, VideoParameters

CATALOG = Catalog.load()
PRICES = Prices.load()
NANO, OMNI, OMNI_11 = "gemini-nano-banana-2.1", "gemini-omni-1.2-flash", "gemini-omni-1.1-flash"
FLASH, LITE, PRO = "gemini-3.1-flash-image", "gemini-3.1-flash-lite-image", "gemini-3-pro-image"
VEO, FAST, VEO_LITE = "veo-3.1-generate-001", "veo-3.1-fast-generate-001", "veo-3.1-lite-generate-001"

# USD per picture, and whether a price list shows it.
IMAGE_PRICES = [
    (NANO, "1K", "0.0336", "published"), (NANO, "2K", "0.0504", "inferred"), (NANO, "4K", "0.0756", "inferred"),
    (FLASH, "512", "0.045", "published"), (FLASH, "1K", "0.067", "published"), (FLASH, "2K", "0.101", "published"),
    (FLASH, "4K", "0.151", "published"), (LITE, "1K", "0.0336", "published"),
    (PRO, "1K", "0.134", "published"), (PRO, "2K", "0.134", "published"), (PRO, "4K", "0.24", "published"),
]  # fmt: skip
# USD per second with sound, silent ("" = no silent price), certainty.
SECOND_PRICES = [
    (OMNI, "360p", "0.023", "", "inferred"), (OMNI, "720p", "0.07", "", "inferred"),
    (OMNI, "1080p", "0.105", "", "inferred"), (OMNI, "4k", "0.21", "", "inferred"),
    (OMNI_11, "360p", "0.0338", "", "published"), (OMNI_11, "720p", "0.1014", "", "published"),
    (OMNI_11, "1080p", "0.152", "", "published"), (OMNI_11, "4k", "0.304", "", "published"),
    (VEO, "720p", "0.40", "0.20", "published"), (VEO, "1080p", "0.40", "0.20", "published"),
    (VEO, "4k", "0.60", "0.40", "published"),
    (FAST, "720p", "0.10", "0.08", "published"), (FAST, "1080p", "0.12", "0.10", "published"),
    (FAST, "4k", "0.30", "0.25", "published"),
    (VEO_LITE, "720p", "0.05", "0.03", "published"), (VEO_LITE, "1080p", "0.08", "0.05", "published"),
]  # fmt: skip


def image(model: str = NANO, **values: Any) -> ImageParameters:
    return ImageParameters(**{"model": model, "mode": "text_to_image", "image_size": "1K", **values})


def video(model: str = OMNI, **values: Any) -> VideoParameters:
    usual = {"mode": "text_to_video", "duration_seconds": 8, "resolution": "720p"}
    return VideoParameters(**{"model": model, **usual, **values})


@pytest.mark.parametrize("spec", [row for row in CATALOG.models() if row.status != "retired"], ids=lambda row: row.id)
def test_living_model_has_a_price_for_each_size_with_date_and_source(spec: Any) -> None:
    row = PRICES.table.rows[spec.id]
    assert row.as_of <= PRICES.table.as_of
    assert row.source
    if spec.kind == "image":
        assert set(row.per_image) == set(spec.image_sizes)
    else:
        assert set(row.per_second) == set(spec.resolutions)
        assert bool(row.per_second_silent) == (spec.audio == "optional")
        assert set(row.per_second_silent) <= set(spec.resolutions)


@pytest.mark.parametrize("row", PRICES.table.rows.values(), ids=lambda row: row.model)
def test_price_row_is_consistent(row: Any) -> None:
    living = {spec.id for spec in CATALOG.models() if spec.status != "retired"}
    assert row.model in living
    assert set(row.at_most) <= set(row.per_image) | set(row.per_second)
    assert all(row.at_most[name] >= {**row.per_image, **row.per_second}[name] for name in row.at_most)
    for name in row.inferred:
        column, _, cell = name.partition(".")
        assert cell in getattr(row, column) if cell else getattr(row, column) is not None
    for cells, tokens, rate in (
        (row.per_image, row.tokens_per_image, row.image_output_per_million),
        (row.per_second, row.tokens_per_second, row.video_output_per_million),
    ):
        for name, count in tokens.items():
            assert cells[name] == pytest.approx(count * rate / 1_000_000, rel=Decimal("0.02"))


@pytest.mark.parametrize(("model", "size", "usd", "certainty"), IMAGE_PRICES)
@pytest.mark.parametrize("count", [1, 3])
def test_image_quote_is_the_list_price(model: Any, size: Any, usd: Any, certainty: Any, count: Any) -> None:
    quote = PRICES.quote_image(image(model, image_size=size, count=count))
    assert quote.usd is not None
    assert quote.max_usd is not None
    assert quote.usd == quote.min_usd == Decimal(usd) * count
    assert quote.max_usd > quote.usd
    assert quote.certainty == certainty
    assert f"× ${usd} ({size})" in quote.basis
    assert quote.as_of.startswith("2026-")
    assert quote.source


@pytest.mark.parametrize(("model", "resolution", "usd", "silent", "certainty"), SECOND_PRICES)
@pytest.mark.parametrize("seconds", [4, 8])
def test_video_quote_is_the_list_price_per_second(
    model: Any, resolution: Any, usd: Any, silent: Any, certainty: Any, seconds: Any
) -> None:
    parameters = video(model, resolution=resolution, duration_seconds=seconds, count=2)
    quote = PRICES.quote_video(parameters, surface="vertex")
    assert quote.usd is not None
    assert quote.max_usd is not None
    assert quote.usd == quote.min_usd == Decimal(usd) * seconds * 2
    assert quote.max_usd >= quote.usd
    assert quote.certainty == certainty
    if silent:
        quiet = video(model, resolution=resolution, duration_seconds=seconds, generate_audio=False)
        assert PRICES.quote_video(quiet, surface="vertex").usd == Decimal(silent) * seconds


def test_basis_reads_as_a_sum() -> None:
    assert PRICES.quote_video(video()).basis == "8 s × $0.07 (720p)"
    assert PRICES.quote_video(video(count=2)).basis == "2 × 8 s × $0.07 (720p)"
    assert PRICES.quote_video(video(VEO, generate_audio=False)).basis == "8 s × $0.20 (720p, silent)"
    assert PRICES.quote_image(image()).basis == "1 image × $0.0336 (1K)"
    both = PRICES.quote_image(image(mode="image_edit", input_images=2, count=2, search_grounding=True))
    assert both.basis == "2 images × $0.0336 (1K) + 4 input images × $0.00168 + 2 web search × $0.014"


def test_input_images_are_part_of_the_price() -> None:
    quote = PRICES.quote_image(image(mode="image_edit", input_images=5, count=2))
    assert quote.usd == Decimal("0.084")  # 2 × (0.0336 + 5 × 0.00168)
    clip = PRICES.quote_video(video(mode="first_last_frames", input_images=2))
    assert clip.usd == Decimal("0.5661")  # 0.56 + 2 × 0.00306
    assert PRICES.quote_video(video(VEO, mode="reference_asset", reference_images=3)).usd == Decimal("3.20")


def test_expected_price_is_rounded_to_four_places_between_floor_and_ceiling() -> None:
    quote = PRICES.quote_image(image(mode="image_edit", input_images=1))
    assert (quote.min_usd, quote.usd) == (Decimal("0.0352"), Decimal("0.0353"))


def test_search_is_expected_once_and_bounded() -> None:
    quote = PRICES.quote_image(image(search_grounding=True))
    plain = PRICES.quote_image(image())
    assert quote.usd is not None
    assert plain.usd is not None
    assert quote.max_usd is not None
    assert plain.max_usd is not None
    assert quote.usd - plain.usd == Decimal("0.014")
    assert quote.min_usd == plain.min_usd
    assert quote.max_usd - plain.max_usd == Decimal("0.042")


def test_source_video_is_part_of_the_price_of_an_extension() -> None:
    quote = PRICES.quote_video(video(mode="video_extension", source_seconds=20.0))
    assert quote.usd == Decimal("0.7338")  # 0.56 + 20 × 5792 × 1.50 / 1e6
    edit = PRICES.quote_video(video(OMNI_11, mode="video_edit", source_seconds=5.0))
    assert edit.usd == Decimal("0.8546")  # 0.8112 + 5 × 0.008688
    assert edit.certainty == "inferred"


def test_extension_of_the_older_model_pays_for_the_last_ten_seconds_only() -> None:
    long = PRICES.quote_video(video(OMNI_11, mode="video_extension", source_seconds=30.0))
    short = PRICES.quote_video(video(OMNI_11, mode="video_extension", source_seconds=10.0))
    assert long.usd == short.usd


def test_source_of_unknown_length_widens_the_quote() -> None:
    unknown = PRICES.quote_video(video(mode="video_extension"))
    known = PRICES.quote_video(video(mode="video_extension", source_seconds=10.0))
    assert unknown.usd == known.usd
    assert unknown.min_usd is not None
    assert known.min_usd is not None
    assert unknown.max_usd is not None
    assert known.max_usd is not None
    assert unknown.min_usd < known.min_usd
    assert unknown.max_usd > known.max_usd
    assert "length assumed" in unknown.basis


@pytest.mark.parametrize(
    ("surface", "location", "usd"),
    [
        ("vertex", "europe-west4", "0.616"),
        ("vertex", "eu", "0.616"),
        ("vertex", "global", "0.56"),
        ("vertex", None, "0.56"),
        ("gemini", "europe-west4", "0.56"),
    ],
)
def test_location_of_vertex_other_than_global_costs_a_tenth_more(surface: Any, location: Any, usd: Any) -> None:
    quote = PRICES.quote_video(video(), surface=surface, location=location)
    assert quote.usd == Decimal(usd)
    assert ("× 1.1" in quote.basis) == (usd == "0.616")


def test_veo_costs_the_same_where_it_lives() -> None:
    assert PRICES.quote_video(video(VEO), surface="vertex", location="us-central1").usd == Decimal("3.20")


@pytest.mark.parametrize(
    "quote",
    [
        PRICES.quote_image(image("gemini-next")),
        PRICES.quote_image(image(PRO, image_size="512")),
        PRICES.quote_video(video("omni-next")),
        PRICES.quote_video(video(VEO_LITE, resolution="4k")),
        PRICES.quote_video(video("gemini-omni-flash-preview")),
        PRICES.quote_image(image(OMNI)),
        PRICES.quote_video(video(NANO)),
    ],
)
def test_price_that_is_not_known_is_not_invented(quote: Any) -> None:
    assert (quote.usd, quote.min_usd, quote.max_usd, quote.certainty) == (None, None, None, "unknown")
    assert "no price is known for" in quote.basis
    assert quote.as_of


@pytest.mark.parametrize(
    ("model", "usage", "usd", "certainty"),
    [
        (NANO, Usage(output_image_tokens=1120), "0.0336", "exact"),
        (NANO, Usage(input_tokens=1000, output_text_tokens=200, output_image_tokens=1120), "0.0366", "exact"),
        (LITE, Usage(input_tokens=1120, output_image_tokens=1120), "0.03388", "exact"),
        (FLASH, Usage(output_image_tokens=1120), "0.0672", "exact"),
        (FLASH, Usage(output_text_tokens=100, output_image_tokens=1120), "0.0675", "estimated"),
        (PRO, Usage(output_image_tokens=2000), "0.24", "estimated"),
        (OMNI_11, Usage(input_tokens=30, output_video_tokens=57920), "1.013645", "exact"),
        (OMNI, Usage(input_tokens=30, output_video_tokens=57920), "0.695085", "estimated"),
    ],
)
def test_charge_is_worked_out_from_the_tokens(model: Any, usage: Any, usd: Any, certainty: Any) -> None:
    charge = PRICES.charge_for(model, usage)
    assert charge.usd == Decimal(usd)
    assert (charge.certainty, charge.billed) == (certainty, "yes")
    assert "tokens × $" in charge.basis


def test_charge_on_a_regional_endpoint_is_a_tenth_more() -> None:
    charge = PRICES.charge_for(NANO, Usage(output_image_tokens=1120), surface="vertex", location="us-central1")
    assert charge.usd == Decimal("0.03696")
    assert charge.basis == "(1120 image tokens × $30.00/M) × 1.1 (location us-central1)"


@pytest.mark.parametrize(
    ("model", "usage"),
    [
        ("gemini-next", Usage(output_image_tokens=1120)),
        (NANO, Usage()),
        (VEO, Usage()),
        (VEO, Usage(output_video_tokens=1)),
        (NANO, Usage(output_video_tokens=5)),
    ],
)
def test_charge_without_price_or_usage_is_unknown_but_billed(model: Any, usage: Any) -> None:
    charge = PRICES.charge_for(model, usage)
    assert (charge.usd, charge.certainty, charge.billed) == (None, "unknown", "yes")
    assert charge.basis


def test_packaged_prices_are_read_once() -> None:
    assert Prices.load().table is Prices.load().table


@pytest.mark.parametrize("model", [NANO, FLASH, LITE, PRO])
def test_call_in_a_batch_costs_half_of_what_it_costs_alone(model: str) -> None:
    wanted = image(model, input_images=2, count=2)
    alone, batched = PRICES.quote_image(wanted), PRICES.in_batches().quote_image(wanted)
    assert alone.usd is not None
    assert batched.usd is not None
    assert abs(batched.usd - alone.usd / 2) < Decimal("0.0002")
    assert "Batch API" in batched.basis
    assert "batch-api" in batched.source
    assert batched.as_of == PRICES.table.batch.as_of.isoformat()
    usage = Usage(input_tokens=1000, output_text_tokens=100, output_image_tokens=1120)
    charged, charged_batched = PRICES.charge_for(model, usage), PRICES.in_batches().charge_for(model, usage)
    assert charged.usd is not None
    assert charged_batched.usd is not None
    assert abs(charged_batched.usd - charged.usd / 2) < Decimal("0.000002")


def test_search_in_a_batch_costs_what_it_always_costs() -> None:
    plain, searching = image(), image(search_grounding=True)
    alone = PRICES.quote_image(searching).usd, PRICES.quote_image(plain).usd
    batched = PRICES.in_batches().quote_image(searching).usd, PRICES.in_batches().quote_image(plain).usd
    assert alone[0] is not None
    assert alone[1] is not None
    assert batched[0] is not None
    assert batched[1] is not None
    assert batched[0] - batched[1] == alone[0] - alone[1]


def test_models_without_batches_have_no_price_in_them() -> None:
    assert PRICES.in_batches().quote_video(video()).usd is None
    assert set(PRICES.in_batches().table.rows) == {NANO, FLASH, LITE, PRO}
