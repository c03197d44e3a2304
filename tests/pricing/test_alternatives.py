"""Cheaper ways to the same job: other models, other surfaces, and only those that can do it."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from mediagen.catalog import Catalog, Surface, check_image, check_video
from mediagen.jobs import Kind
from mediagen.pricing import Prices, cheapest_alternatives
from mediagen.requests import ImageParameters, VideoParameters

CATALOG = Catalog.load()
TODAY = date(2026, 11, 21)
EVERYWHERE: tuple[Surface, ...] = ("gemini", "vertex", "cliproxy")
NANO, OMNI, OMNI_11 = "gemini-nano-banana-2.1", "gemini-omni-1.2-flash", "gemini-omni-1.1-flash"
FLASH, LITE, PRO = "gemini-3.1-flash-image", "gemini-3.1-flash-lite-image", "gemini-3-pro-image"
VEO, FAST, VEO_LITE = "veo-3.1-generate-001", "veo-3.1-fast-generate-001", "veo-3.1-lite-generate-001"


def image(model: str = NANO, **values: Any) -> ImageParameters:
    return ImageParameters(**{"model": model, "mode": "text_to_image", "image_size": "1K", **values})


def video(model: str = VEO, **values: Any) -> VideoParameters:
    usual = {"mode": "text_to_video", "duration_seconds": 8, "resolution": "720p"}
    return VideoParameters(**{"model": model, **usual, **values})


def names(parameters: Any, surface: Surface, **values: Any) -> list[tuple[str, str]]:
    others = cheapest_alternatives(CATALOG, parameters, surface, 99, today=TODAY, **values)
    return [(other.model, other.surface) for other in others]


def test_alternatives_do_the_same_job_cheapest_first() -> None:
    others = cheapest_alternatives(CATALOG, video(OMNI_11), "gemini")
    assert [other.model for other in others] == [OMNI]
    assert others[0].quote.usd == Decimal("0.56")
    fast, *_ = cheapest_alternatives(CATALOG, video(VEO, resolution="1080p"), "vertex")
    assert fast.model == VEO_LITE
    assert fast.quote.usd == Decimal("0.64")


def test_alternatives_are_sorted_by_price_and_doubts_are_told() -> None:
    others = cheapest_alternatives(CATALOG, image(), "gemini", limit=9)
    assert [other.model for other in others] == [LITE, FLASH, PRO]
    assert [bool(other.warnings) for other in others] == [False, True, False]
    assert len(cheapest_alternatives(CATALOG, image(), "gemini", limit=1)) == 1


def test_model_that_cannot_do_the_job_is_no_alternative() -> None:
    assert [other.model for other in cheapest_alternatives(CATALOG, image(image_size="2K"), "gemini")] == [FLASH, PRO]
    assert cheapest_alternatives(CATALOG, video(OMNI, duration_seconds=15), "gemini") == ()
    silent = cheapest_alternatives(CATALOG, video(VEO, generate_audio=False), "vertex", limit=9)
    assert [other.model for other in silent] == [VEO_LITE, FAST]


def test_other_surfaces_are_looked_over_cheapest_first() -> None:
    # Veo 3.20; lite 8 × 0.05 = 0.40, Omni 1.2 8 × 0.07 = 0.56, Omni 1.1 8 × 0.1014 = 0.8112; fast 0.80.
    found = names(video(), "vertex", surfaces=EVERYWHERE)
    assert found == [(VEO_LITE, "vertex"), (OMNI, "gemini"), (FAST, "vertex"), (OMNI_11, "vertex")]
    two = cheapest_alternatives(CATALOG, video(), "vertex", surfaces=EVERYWHERE, today=TODAY)
    assert [other.quote.usd for other in two] == [Decimal("0.40"), Decimal("0.56")]


def test_same_model_on_another_surface_counts() -> None:
    assert (NANO, "vertex") in names(image(), "gemini", surfaces=("gemini", "vertex"))
    assert (NANO, "gemini") not in names(image(), "gemini", surfaces=("gemini", "vertex"))
    # In Europe the picture costs 0.0336 × 1.1 = 0.03696 on Vertex AI and 0.0336 on the Gemini API.
    found = cheapest_alternatives(
        CATALOG, image(), "vertex", 9, surfaces=("vertex", "gemini"), location="europe-west4", today=TODAY
    )
    (same,) = [other for other in found if other.model == NANO]
    assert (same.surface, same.quote.usd) == ("gemini", Decimal("0.0336"))


def test_each_model_is_named_once_where_it_is_cheapest() -> None:
    found = cheapest_alternatives(
        CATALOG, image(FLASH), "vertex", 9, surfaces=("gemini", "vertex"), location="eu", today=TODAY
    )
    assert len(found) == len({other.model for other in found})
    assert {other.surface for other in found if not other.warnings} == {"gemini"}
    level = names(image(FLASH), "vertex", surfaces=("gemini", "vertex"))
    assert (NANO, "vertex") in level


def test_location_raises_the_price_only_where_the_row_says_so() -> None:
    (nano,) = [
        other
        for other in cheapest_alternatives(CATALOG, image(PRO), "vertex", 9, location="europe-west4", today=TODAY)
        if other.model == NANO
    ]
    assert nano.quote.usd == Decimal("0.037")  # 0.0336 × 1.1 = 0.03696
    assert "location europe-west4" in nano.quote.basis


def test_model_that_must_run_elsewhere_says_so_and_comes_last() -> None:
    found = cheapest_alternatives(CATALOG, video(OMNI), "vertex", 9, location="europe-west4", today=TODAY)
    assert found
    assert all("only in" in other.warnings[-1] for other in found)
    assert all("× 1.1" not in other.quote.basis for other in found)


@pytest.mark.parametrize(
    ("parameters", "absent"),
    [
        (video(generate_audio=False), {OMNI, OMNI_11}),
        (video(resolution="4k"), {VEO_LITE}),
        (video(resolution="360p", model=OMNI), {VEO, FAST, VEO_LITE}),
        (video(duration_seconds=4, mode="video_extension", model=OMNI), {VEO, FAST, VEO_LITE}),
        (video(mode="video_extension", duration_seconds=7), {VEO_LITE}),
        (video(mode="reference_asset", reference_images=3), {VEO_LITE}),
        (video(negative_prompt="fog"), {OMNI, OMNI_11}),
        (video(mode="image_to_video", input_images=1, resize_mode="crop"), {OMNI, OMNI_11}),
        (image(image_size="4K"), {LITE}),
        (image(aspect_ratio="1:8"), {PRO}),
        (image(thinking_level="medium"), {FLASH, LITE, PRO}),
    ],
)
def test_only_what_does_exactly_the_same_job_is_offered(parameters: Any, absent: Any) -> None:
    found = cheapest_alternatives(CATALOG, parameters, "vertex", 99, surfaces=EVERYWHERE, today=TODAY)
    assert not absent & {other.model for other in found}
    for other in found:
        kind: Kind = "image" if isinstance(parameters, ImageParameters) else "video"
        spec = CATALOG.find(other.model, kind, other.surface, TODAY).spec
        if isinstance(parameters, ImageParameters):
            check_image(spec, parameters)
        else:
            check_video(spec, parameters)
        assert other.quote.usd is not None
        assert other.quote.usd > 0


def test_person_generation_keeps_pictures_on_vertex() -> None:
    found = names(image(person_generation="allow_adult"), "gemini", surfaces=EVERYWHERE)
    assert found
    assert {surface for _, surface in found} == {"vertex"}


def test_clips_are_never_offered_through_the_proxy() -> None:
    assert "cliproxy" not in {surface for _, surface in names(video(), "vertex", surfaces=EVERYWHERE)}


def test_count_is_part_of_the_price_of_an_alternative() -> None:
    lite, *_ = cheapest_alternatives(CATALOG, video(count=3), "vertex", surfaces=EVERYWHERE, today=TODAY)
    assert lite.quote.usd == Decimal("1.20")  # 3 × 8 × 0.05


def test_retired_model_is_no_alternative() -> None:
    assert (FLASH, "gemini") in names(image(), "gemini")
    offered = {model for model, _ in names(video(), "vertex", surfaces=EVERYWHERE)}
    assert "gemini-omni-flash-preview" not in offered
    assert offered <= set(Prices.load().table.rows)


def test_job_with_an_unknown_model_still_has_alternatives() -> None:
    assert names(image("gemini-next"), "gemini")[0] == (NANO, "gemini")
