"""Other ways to a job: elsewhere the same, or less of it, and only what can be done."""

import dataclasses
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from mediagen.catalog import Catalog, Surface, check_image, check_video
from mediagen.jobs import Kind
from mediagen.pricing import Alternative, Prices, alternatives_to
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


def same_job(parameters: Any, surface: Surface, **values: Any) -> list[Alternative]:
    others = alternatives_to(CATALOG, parameters, surface, **{"today": TODAY, **values})
    return [other for other in others if not other.lowered]


def less(parameters: Any, surface: Surface, **values: Any) -> dict[str, Decimal]:
    others = alternatives_to(CATALOG, parameters, surface, today=TODAY, **values)
    return {other.lowered: other.usd for other in others if other.lowered}


def names(parameters: Any, surface: Surface, **values: Any) -> list[tuple[str, str]]:
    others = same_job(parameters, surface, **values)
    return [(other.model, other.surface) for other in others]


def test_alternatives_do_the_same_job_cheapest_first() -> None:
    others = same_job(video(OMNI_11), "gemini")
    assert [other.model for other in others] == [OMNI]
    assert others[0].quote.usd == Decimal("0.56")
    fast, *_ = same_job(video(VEO, resolution="1080p"), "vertex")
    assert fast.model == VEO_LITE
    assert fast.quote.usd == Decimal("0.64")


def test_alternatives_are_sorted_by_price_and_doubts_are_told() -> None:
    others = same_job(image(), "gemini")
    assert [other.model for other in others] == [LITE, FLASH, PRO]
    assert [bool(other.warnings) for other in others] == [False, True, False]


def test_model_that_cannot_do_the_job_is_no_alternative() -> None:
    assert [other.model for other in same_job(image(image_size="2K"), "gemini")] == [FLASH, PRO]
    assert same_job(video(OMNI, duration_seconds=15), "gemini") == []
    silent = same_job(video(VEO, generate_audio=False), "vertex")
    assert [other.model for other in silent] == [VEO_LITE, FAST]


def test_other_surfaces_are_looked_over_cheapest_first() -> None:
    # Veo 3.20; lite 8 × 0.05 = 0.40, Omni 1.2 8 × 0.07 = 0.56, Omni 1.1 8 × 0.1014 = 0.8112; fast 0.80.
    found = names(video(), "vertex", surfaces=EVERYWHERE)
    assert found == [(VEO_LITE, "vertex"), (OMNI, "gemini"), (FAST, "vertex"), (OMNI_11, "vertex")]
    first, second, *_ = same_job(video(), "vertex", surfaces=EVERYWHERE)
    assert [first.quote.usd, second.quote.usd] == [Decimal("0.40"), Decimal("0.56")]


def test_same_model_on_another_surface_counts() -> None:
    assert (NANO, "vertex") in names(image(), "gemini", surfaces=("gemini", "vertex"))
    assert (NANO, "gemini") not in names(image(), "gemini", surfaces=("gemini", "vertex"))
    # In Europe the picture costs 0.0336 × 1.1 = 0.03696 on Vertex AI and 0.0336 on the Gemini API.
    found = same_job(image(), "vertex", surfaces=("vertex", "gemini"), location="europe-west4")
    (same,) = [other for other in found if other.model == NANO]
    assert (same.surface, same.quote.usd) == ("gemini", Decimal("0.0336"))


def test_each_model_is_named_once_where_it_is_cheapest() -> None:
    found = same_job(image(FLASH), "vertex", surfaces=("gemini", "vertex"), location="eu")
    assert len(found) == len({other.model for other in found})
    assert {other.surface for other in found if not other.warnings} == {"gemini"}
    level = names(image(FLASH), "vertex", surfaces=("gemini", "vertex"))
    assert (NANO, "vertex") in level


def test_location_raises_the_price_only_where_the_row_says_so() -> None:
    (nano,) = [other for other in same_job(image(PRO), "vertex", location="europe-west4") if other.model == NANO]
    assert nano.quote.usd == Decimal("0.037")  # 0.0336 × 1.1 = 0.03696
    assert "location europe-west4" in nano.quote.basis


def test_model_that_must_run_elsewhere_says_so_and_comes_last() -> None:
    found = same_job(video(OMNI), "vertex", location="europe-west4")
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
    found = same_job(parameters, "vertex", surfaces=EVERYWHERE)
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
    lite, *_ = same_job(video(count=3), "vertex", surfaces=EVERYWHERE)
    assert lite.quote.usd == Decimal("1.20")  # 3 × 8 × 0.05


def test_retired_model_is_no_alternative() -> None:
    assert (FLASH, "gemini") in names(image(), "gemini")
    offered = {model for model, _ in names(video(), "vertex", surfaces=EVERYWHERE)}
    assert "gemini-omni-flash-preview" not in offered
    assert offered <= set(Prices.load().table.rows)


def test_job_with_an_unknown_model_still_has_alternatives() -> None:
    assert names(image("gemini-next"), "gemini")[0] == (NANO, "gemini")


# Omni 1.2 by the second: 360p 0.023, 720p 0.07, 1080p 0.105, 4k 0.21. Veo 3.1 lite: 720p 0.05, silent 0.03.
@pytest.mark.parametrize(
    ("parameters", "surface", "ways"),
    [
        (
            video(OMNI),
            "gemini",
            {"resolution 360p instead of 720p": "0.184", "duration_seconds 4 instead of 8": "0.28"},
        ),
        (video(OMNI, resolution="360p", duration_seconds=5), "gemini", {"duration_seconds 3 instead of 5": "0.069"}),
        (video(OMNI, resolution="360p", duration_seconds=3), "gemini", {}),
        (
            video(OMNI, resolution="4k", duration_seconds=15),
            "gemini",
            {
                "duration_seconds 7 instead of 15": "1.47",
                "resolution 1080p instead of 4k": "1.575",
                "resolution 720p instead of 4k": "1.05",
                "resolution 360p instead of 4k": "0.345",
            },
        ),
        (video(VEO_LITE), "vertex", {"duration_seconds 4 instead of 8": "0.20", "without sound": "0.24"}),
        (video(VEO_LITE, generate_audio=False, duration_seconds=4), "vertex", {}),
        # 1080p of Veo costs what 720p costs.
        (video(resolution="1080p", mode="reference_asset", reference_images=1), "vertex", {"without sound": "1.60"}),
        (video(OMNI, mode="video_edit", source_seconds=8.0), "gemini", {"resolution 360p instead of 720p": "0.2535"}),
        (
            image(image_size="4K", count=2),
            "gemini",
            {
                "image_size 2K instead of 4K": "0.1008",
                "image_size 1K instead of 4K": "0.0672",
                "image_size 512 instead of 4K": "0.0448",
            },
        ),
        (image("gemini-next"), "gemini", {}),
    ],
)
def test_less_of_a_job_costs_less_and_the_nearest_steps_come_first(
    parameters: Any, surface: Surface, ways: Any
) -> None:
    found = less(parameters, surface)
    assert list(found.items()) == [(lowered, Decimal(usd)) for lowered, usd in ways.items()]


def test_basis_says_what_is_lower_and_how_the_price_comes_about() -> None:
    silent = next(other for other in alternatives_to(CATALOG, video(VEO_LITE), "vertex") if "sound" in other.lowered)
    assert silent.basis == "without sound: 8 s × $0.03 (720p, silent)"
    assert same_job(video(VEO), "vertex")[0].basis == "8 s × $0.05 (720p)"


@pytest.mark.parametrize("parameters", [video(OMNI), video(OMNI_11), video(), video(FAST), image(), image(PRO)])
def test_dearer_ways_come_after_all_cheaper_ones(parameters: Any) -> None:
    surface: Surface = "vertex"
    own = Prices.load().quote(parameters, surface=surface).usd
    assert own is not None
    found = alternatives_to(CATALOG, parameters, surface, surfaces=EVERYWHERE, today=TODAY)
    is_cheaper = [other.usd < own for other in found]
    assert is_cheaper == sorted(is_cheaper, reverse=True)
    assert all(other.usd < own for other in found if other.lowered)


def test_same_job_for_less_comes_before_less_of_the_job() -> None:
    found = alternatives_to(CATALOG, video(), "vertex", surfaces=EVERYWHERE, today=TODAY)
    assert [bool(other.lowered) for other in found] == [False] * 4 + [True] * 2
    found = alternatives_to(CATALOG, image(), "gemini", today=TODAY)
    assert [(other.model, bool(other.lowered)) for other in found[:2]] == [(NANO, True), (LITE, False)]


def test_ways_that_were_found_before_are_told_again_only_for_the_same_catalogue_day_and_place() -> None:
    def found(**changes: Any) -> tuple[Alternative, ...]:
        asked = {"catalog": CATALOG, "surface": "vertex", "surfaces": [*EVERYWHERE], "today": TODAY, **changes}
        return alternatives_to(parameters=video(), **asked)

    assert found() is found()
    fewer = tuple(spec for spec in CATALOG.specs if spec.id != VEO_LITE)
    assert VEO_LITE in {other.model for other in found()}
    assert VEO_LITE not in {other.model for other in found(catalog=dataclasses.replace(CATALOG, specs=fewer))}
    for changes in ({"today": date(2040, 1, 1)}, {"surfaces": ["vertex"]}, {"location": "europe-west4"}):
        assert found(**changes) is not found()


def test_doubt_about_a_lower_value_is_told() -> None:
    smaller = next(other for other in alternatives_to(CATALOG, image(), "gemini", today=TODAY) if other.lowered)
    assert "512" in smaller.warnings[0]
