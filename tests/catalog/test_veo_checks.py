"""What Veo on Vertex AI takes: counts, lengths, pictures, seeds, fits, and the values in doubt."""

from datetime import date
from typing import Any

import pytest

from mediagen.catalog import Catalog, ModelSpec, check_video
from mediagen.errors import InvalidRequestError
from mediagen.requests import VideoParameters

CATALOG = Catalog.load()
VEO, FAST, LITE = "veo-3.1-generate-001", "veo-3.1-fast-generate-001", "veo-3.1-lite-generate-001"
ALL = [VEO, FAST, LITE]


def found(model: str) -> ModelSpec:
    return CATALOG.find(model, "video", "vertex", date(2026, 11, 21)).spec


def check(model: str, **values: Any) -> tuple[str, ...]:
    usual = {"mode": "text_to_video", "duration_seconds": 8, "resolution": "720p"}
    return check_video(found(model), VideoParameters(**{"model": model, **usual, **values}))


def refusal(model: str, **values: Any) -> InvalidRequestError:
    with pytest.raises(InvalidRequestError) as caught:
        check(model, **values)
    return caught.value


@pytest.mark.parametrize("model", ALL)
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_up_to_four_clips_come_from_one_call(model: Any, count: Any) -> None:
    assert check(model, count=count) == ()
    assert found(model).samples_of_calls(count) == (count,)


@pytest.mark.parametrize("model", ALL)
def test_five_clips_are_refused(model: Any) -> None:
    assert refusal(model, count=5).field == "count"


@pytest.mark.parametrize("model", ALL)
@pytest.mark.parametrize("seed", [0, 1, 2**31, 2**32 - 1])
def test_seed_of_thirty_two_bits_is_accepted(model: Any, seed: Any) -> None:
    assert check(model, seed=seed) == ()


@pytest.mark.parametrize(("seed", "nearest"), [(-1, 0), (2**32, 2**32 - 1)])
def test_seed_outside_thirty_two_bits_is_refused_with_the_nearest(seed: Any, nearest: Any) -> None:
    error = refusal(VEO, seed=seed)
    assert (error.field, error.hint) == ("seed", f"Use seed={nearest}.")
    assert "0 to 4294967295" in error.message


@pytest.mark.parametrize("model", ALL)
@pytest.mark.parametrize("mode", ["crop", "pad"])
def test_resize_mode_is_for_frames(model: Any, mode: Any) -> None:
    assert check(model, mode="image_to_video", input_images=1, resize_mode=mode) == ()
    assert check(model, mode="first_last_frames", input_images=2, resize_mode=mode) == ()
    error = refusal(model, resize_mode=mode)
    assert error.field == "resize_mode"
    assert "without a first or last frame" in error.message
    assert "give image" in error.hint


@pytest.mark.parametrize("model", [VEO, FAST])
def test_resize_mode_beside_references_or_a_source_video_is_refused(model: Any) -> None:
    assert refusal(model, mode="reference_asset", reference_images=1, resize_mode="pad").field == "resize_mode"
    extension = {"mode": "video_extension", "duration_seconds": 7}
    assert refusal(model, **extension, resize_mode="pad").field == "resize_mode"


@pytest.mark.parametrize("model", [VEO, FAST])
@pytest.mark.parametrize(("seconds", "is_fine"), [(4, False), (6, False), (8, True)])
def test_references_need_eight_seconds(model: Any, seconds: Any, is_fine: Any) -> None:
    values = {"mode": "reference_asset", "reference_images": 3, "duration_seconds": seconds}
    if is_fine:
        assert check(model, **values) == ()
    else:
        assert refusal(model, **values).hint == "Use duration_seconds=8."


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"mode": "reference_asset", "reference_images": 1}, "mode"),
        ({"mode": "video_extension", "duration_seconds": 7}, "mode"),
        ({"resolution": "4k"}, "resolution"),
        ({"mode": "image_to_video", "input_images": 1, "reference_images": 1}, "reference_images"),
    ],
)
def test_lite_takes_no_references_no_extension_and_no_4k(values: Any, field: Any) -> None:
    assert refusal(LITE, **values).field == field


@pytest.mark.parametrize("model", ALL)
def test_sound_negative_prompt_people_and_compression_are_choices(model: Any) -> None:
    chosen = {"generate_audio": False, "negative_prompt": "fog", "person_generation": "allow_all"}
    assert check(model, **chosen, compression_quality="lossless") == ()
    assert refusal(model, compression_quality="best").field == "compression_quality"


@pytest.mark.parametrize("model", ALL)
@pytest.mark.parametrize(("resolution", "seconds", "warned"), [
    ("720p", 4, False), ("720p", 6, False), ("720p", 8, False), ("1080p", 4, True), ("1080p", 6, True),
    ("1080p", 8, False),
])  # fmt: skip
def test_short_clip_in_1080p_passes_with_a_warning(model: Any, resolution: Any, seconds: Any, warned: Any) -> None:
    warnings = check(model, resolution=resolution, duration_seconds=seconds)
    assert [("always 8 s" in warning and "duration_seconds=" in warning) for warning in warnings] == [True] * warned


@pytest.mark.parametrize("model", [VEO, FAST])
def test_4k_is_in_doubt_and_more_so_when_short_or_an_extension(model: Any) -> None:
    assert len(check(model, resolution="4k")) == 1
    assert len(check(model, resolution="4k", duration_seconds=4)) == 2
    assert len(check(model, resolution="4k", mode="video_extension", duration_seconds=7)) == 2


@pytest.mark.parametrize(
    ("seconds", "warned"), [(None, False), (8.0, False), (30.0, False), (31.0, True), (140.0, True)]
)
def test_extension_of_a_long_source_passes_with_a_warning(seconds: Any, warned: Any) -> None:
    warnings = check(VEO, mode="video_extension", duration_seconds=7, source_seconds=seconds)
    assert ["1 to 30 s" in warning for warning in warnings] == [True] * warned
