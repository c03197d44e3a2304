"""Charges for clips whose usage Google does not report, and how far a charge is from its quote."""

from decimal import Decimal
from typing import Any

import pytest

from mediagen.jobs import Charge, Quote, Usage
from mediagen.pricing import Prices
from mediagen.report.difference import difference_in_words
from mediagen.requests import ImageParameters, VideoParameters

PRICES = Prices.load()
NANO, FLASH = "gemini-nano-banana-2.1", "gemini-3.1-flash-image"
VEO, FAST, LITE = "veo-3.1-generate-001", "veo-3.1-fast-generate-001", "veo-3.1-lite-generate-001"
EDIT = ImageParameters(model=NANO, mode="image_edit", image_size="2K", input_images=3, count=2)


def charge_for_clips(model: str, **values: Any) -> Charge:
    usual = {"samples": 1, "seconds": 8, "resolution": "720p", "silent": False}
    return PRICES.charge_for_clips(model, **{**usual, **values})


@pytest.mark.parametrize(
    ("model", "values", "usd"),
    [
        (VEO, {}, "3.20"),  # 1 × 8 × 0.40
        (VEO, {"samples": 4, "resolution": "1080p"}, "12.80"),  # 4 × 8 × 0.40
        (VEO, {"samples": 3, "seconds": 4, "resolution": "4k"}, "7.20"),  # 3 × 4 × 0.60
        (VEO, {"samples": 2, "silent": True}, "3.20"),  # 2 × 8 × 0.20
        (VEO, {"samples": 2, "seconds": 6, "resolution": "4k", "silent": True}, "4.80"),  # 2 × 6 × 0.40
        (VEO, {"seconds": 7.0}, "2.80"),  # 1 × 7 × 0.40
        (FAST, {"samples": 4, "resolution": "1080p"}, "3.84"),  # 4 × 8 × 0.12
        (FAST, {"resolution": "4k", "silent": True}, "2.00"),  # 1 × 8 × 0.25
        (LITE, {"seconds": 4}, "0.20"),  # 1 × 4 × 0.05
        (LITE, {"samples": 3, "resolution": "1080p", "silent": True}, "1.20"),  # 3 × 8 × 0.05
        (VEO, {"location": "us-central1"}, "3.20"),  # no uplift is documented for Veo
        (VEO, {"location": "europe-west4"}, "3.20"),
    ],
)
def test_clips_cost_delivered_samples_times_seconds_times_list_price(model: Any, values: Any, usd: Any) -> None:
    charge = charge_for_clips(model, **values)
    assert charge.usd == Decimal(usd)
    assert isinstance(charge.usd, Decimal)
    assert (charge.certainty, charge.billed) == ("estimated", "yes")


def test_basis_of_clips_says_what_was_counted() -> None:
    basis = charge_for_clips(VEO, samples=3, resolution="1080p", silent=True).basis
    assert basis == "3 × 8 s × $0.20 (1080p, silent), list price; Google reports no usage"


def test_charge_of_all_delivered_clips_is_the_quote() -> None:
    for model, resolution in ((VEO, "4k"), (FAST, "1080p"), (LITE, "720p")):
        for silent in (False, True):
            parameters = VideoParameters(
                model=model, mode="text_to_video", duration_seconds=6, resolution=resolution, count=4,
                generate_audio=not silent,
            )  # fmt: skip
            quote = PRICES.quote_video(parameters, surface="vertex", location="us-central1")
            charge = charge_for_clips(model, samples=4, seconds=6, resolution=resolution, silent=silent)
            assert quote.usd == charge.usd
            assert difference_in_words(quote, charge) == ""


def test_filtered_clips_are_not_charged() -> None:
    parameters = VideoParameters(model=VEO, mode="text_to_video", duration_seconds=8, resolution="720p", count=4)
    quote = PRICES.quote_video(parameters, surface="vertex")
    assert quote.usd == Decimal("12.80")  # 4 × 8 × 0.40
    # One of four was filtered: 3 × 8 × 0.40 = 9.60, which is 3.20 of 12.80 less.
    charge = charge_for_clips(VEO, samples=3)
    assert charge.usd == Decimal("9.60")
    assert difference_in_words(quote, charge) == "$3.20 (25 %) below the quote"


def test_nothing_delivered_costs_nothing() -> None:
    charge = charge_for_clips(VEO, samples=0)
    assert (charge.usd, charge.billed) == (Decimal(0), "no")
    assert charge.basis


@pytest.mark.parametrize(("model", "values"), [("veo-9", {}), (LITE, {"resolution": "4k"}), (NANO, {})])
def test_clips_without_a_price_are_unknown_but_billed(model: Any, values: Any) -> None:
    charge = charge_for_clips(model, **values)
    assert (charge.usd, charge.certainty, charge.billed) == (None, "unknown", "yes")
    assert "no price is known for" in charge.basis


def test_clips_on_a_regional_location_cost_more_where_the_row_says_so() -> None:
    # 8 × 0.1014 × 1.1 = 0.89232; global 8 × 0.1014 = 0.8112
    omni = "gemini-omni-1.1-flash"
    assert charge_for_clips(omni, location="europe-west4").usd == Decimal("0.89232")
    assert charge_for_clips(omni, location="global").usd == Decimal("0.8112")


def quote(usd: str | None, certainty: Any = "published") -> Quote:
    price = None if usd is None else Decimal(usd)
    return Quote(usd=price, min_usd=price, max_usd=price, basis="", as_of="", source="", certainty=certainty)


def charge(usd: str | None, certainty: Any = "exact", billed: Any = "yes") -> Charge:
    return Charge(usd=None if usd is None else Decimal(usd), basis="", certainty=certainty, billed=billed)


@pytest.mark.parametrize(
    ("quoted", "charged", "words"),
    [
        ("0.04", "0.0388", "$0.0012 (3 %) below the quote"),  # 0.0012 / 0.04 = 3 %
        ("0.0336", "0.0366", "$0.003 (9 %) above the quote"),  # 0.003 / 0.0336 = 8.9 %
        ("10", "10.01", "$0.01 (less than 1 %) above the quote"),
        ("1", "3", "$2.00 (200 %) above the quote"),
        ("1.00", "0.5", "$0.50 (50 %) below the quote"),
        ("0", "0.25", "$0.25 above the quote"),
        ("0.04", "0.04", ""),
        ("0.04", "0.04004", ""),
        ("0.56", "0.560000", ""),
    ],
)
def test_difference_reads_as_money_and_share(quoted: Any, charged: Any, words: Any) -> None:
    assert difference_in_words(quote(quoted), charge(charged)) == words


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (quote(None, "unknown"), charge("1")),
        (quote("1"), charge(None, "unknown", "unknown")),
        (quote("4"), charge("1", "unknown", "unknown")),
        (quote("1"), charge("0", "exact", "no")),
    ],
)
def test_difference_to_what_is_unknown_or_not_billed_is_not_said(before: Quote, after: Charge) -> None:
    assert difference_in_words(before, after) == ""


def test_price_through_a_proxy_is_not_called_published() -> None:
    picture = ImageParameters(model=FLASH, mode="text_to_image", image_size="1K")
    direct, proxied = (PRICES.quote(picture, surface=surface) for surface in ("gemini", "cliproxy"))
    assert direct.usd == proxied.usd == Decimal("0.067")
    assert (direct.certainty, proxied.certainty) == ("published", "inferred")
    assert "the proxy's account may pay otherwise" in proxied.basis
    made = Usage(output_image_tokens=1120)
    assert PRICES.charge_for(FLASH, made).certainty == "exact"
    assert PRICES.charge_for(FLASH, made, surface="cliproxy").certainty == "estimated"


@pytest.mark.parametrize(
    ("parameters", "location", "usd"),
    [
        # 2 × (0.0504 + 3 × 0.00168) × 1.1 = 2 × 0.05544 × 1.1 = 0.121968
        (EDIT, "us-central1", "0.122"),
        # the same on the global endpoint: 0.11088
        (EDIT, "global", "0.1109"),
        # 3 clips × 8 s × 0.60, no uplift
        (VideoParameters(model=VEO, mode="text_to_video", duration_seconds=8, resolution="4k",
                         count=3), "us-central1", "14.40"),
        # 4 clips × 4 s × 0.03, silent
        (VideoParameters(model=LITE, mode="text_to_video", duration_seconds=4, resolution="720p", count=4,
                         generate_audio=False), "us-central1", "0.48"),
        # an extension: 2 × 7 s × 0.12; Veo does not charge for its source
        (VideoParameters(model=FAST, mode="video_extension", duration_seconds=7, resolution="1080p", count=2,
                         source_seconds=20.0), "us-central1", "1.68"),
        # 8 s × 0.1014 + 2 × 0.00306 = 0.81732
        (VideoParameters(model="gemini-omni-1.1-flash", mode="first_last_frames", duration_seconds=8,
                         resolution="720p", input_images=2), "global", "0.8173"),
    ],
)  # fmt: skip
def test_quote_on_vertex_counts_everything(parameters: Any, location: Any, usd: Any) -> None:
    quote = PRICES.quote(parameters, surface="vertex", location=location)
    assert quote.usd == Decimal(usd)
    assert quote.min_usd is not None
    assert quote.max_usd is not None
    assert quote.min_usd <= quote.usd <= quote.max_usd
