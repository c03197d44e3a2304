"""Every cell of the catalogue: what is allowed passes, everything else is refused in words that help."""

import itertools
from dataclasses import replace
from datetime import date
from typing import Any, get_args

import pytest

from mediagen.catalog import Catalog, ModelSpec, Surface, check_image, check_video
from mediagen.errors import InvalidRequestError
from mediagen.jobs import Kind
from mediagen.requests import ImageMode, ImageParameters, VideoMode, VideoParameters

TODAY = date(2026, 11, 21)
TEN_RATIOS = ["1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9"]
RATIOS = [*TEN_RATIOS, "1:4", "4:1", "1:8", "8:1"]

# Written down again by hand, so that a slip in the data shows.
IMAGES: dict[str, tuple[list[str], list[str], list[str]]] = {
    "gemini-nano-banana-2.1": (RATIOS, ["512", "1K", "2K", "4K"], ["minimal", "medium", "high"]),
    "gemini-3.1-flash-image": (RATIOS, ["512", "1K", "2K", "4K"], ["minimal", "high"]),
    "gemini-3.1-flash-lite-image": (RATIOS, ["1K"], ["minimal", "high"]),
    "gemini-3-pro-image": (TEN_RATIOS, ["1K", "2K", "4K"], []),
}

OMNI_MODES = [
    "text_to_video",
    "image_to_video",
    "first_last_frames",
    "reference_asset",
    "video_extension",
    "remix",
    "video_edit",
]
OMNI_RESOLUTIONS = ["360p", "720p", "1080p", "4k"]
TO_10, TO_15 = list(range(3, 11)), list(range(3, 16))
VEO_DURATIONS: dict[str, list[int]] = {
    "text_to_video": [4, 6, 8],
    "image_to_video": [4, 6, 8],
    "first_last_frames": [4, 6, 8],
    "remix": [4, 6, 8],
    "reference_asset": [8],
    "video_extension": [7],
}
LITE_DURATIONS = {mode: [4, 6, 8] for mode in ("text_to_video", "image_to_video", "first_last_frames", "remix")}
OMNI_12_DURATIONS = dict.fromkeys(OMNI_MODES, TO_15) | {"first_last_frames": TO_10, "video_extension": TO_10}
VIDEOS: dict[str, tuple[Surface, list[str], dict[str, list[int]]]] = {
    "gemini-omni-1.2-flash": ("gemini", OMNI_RESOLUTIONS, OMNI_12_DURATIONS),
    "gemini-omni-1.1-flash": ("gemini", OMNI_RESOLUTIONS, dict.fromkeys(OMNI_MODES, TO_10)),
    "veo-3.1-generate-001": ("vertex", ["720p", "1080p", "4k"], VEO_DURATIONS),
    "veo-3.1-fast-generate-001": ("vertex", ["720p", "1080p", "4k"], VEO_DURATIONS),
    "veo-3.1-lite-generate-001": ("vertex", ["720p", "1080p"], LITE_DURATIONS),
}

ALL_RATIOS = [*RATIOS, "16:10", "2:1", "auto", "0:0"]
ALL_SIZES = ["512", "1K", "2K", "4K", "1k", "4k", "8K", "1024", "large"]
ALL_RESOLUTIONS = ["360p", "480p", "720p", "1080p", "4k", "4K", "8k", "1080", "best"]


def found(model: str, surface: Surface = "gemini") -> ModelSpec:
    kind: Kind = "image" if model in IMAGES else "video"
    return Catalog.load().find(model, kind, surface, TODAY).spec


def image(model: str, **values: Any) -> ImageParameters:
    return ImageParameters(**{"model": model, "mode": "text_to_image", "image_size": "1K", **values})


def video(model: str, mode: VideoMode = "text_to_video", **values: Any) -> VideoParameters:
    frames = {"image_to_video": 1, "first_last_frames": 2, "remix": 1}.get(mode, 0)
    references = 1 if mode.startswith("reference") else 0
    seconds = {"video_extension": 7}.get(mode, 8)
    usual = {"duration_seconds": seconds, "input_images": frames, "reference_images": references}
    return VideoParameters(**{"model": model, "mode": mode, "resolution": "720p", **usual, **values})


def check(spec: ModelSpec, parameters: ImageParameters | VideoParameters) -> tuple[str, ...]:
    if isinstance(parameters, ImageParameters):
        return check_image(spec, parameters)
    return check_video(spec, parameters)


def refusal(spec: ModelSpec, parameters: ImageParameters | VideoParameters) -> InvalidRequestError:
    with pytest.raises(InvalidRequestError) as caught:
        check(spec, parameters)
    return caught.value


def assert_helpful(error: InvalidRequestError, parameters: object, allowed: dict[str, list[Any]]) -> None:
    value = getattr(parameters, error.field)
    values = allowed[error.field]
    assert value not in values
    assert f"{error.field}={value!r} is not allowed for" in error.message
    said = error.message.split("allowed: ")[1].rstrip(".")
    if " to " in said:
        assert said == f"{values[0]} to {values[-1]}"
    else:
        assert said.split(", ") == [str(value) for value in values]
    if error.field != "mode":
        assert any(error.hint == f"Use {error.field}={value!r}." for value in values)


@pytest.mark.parametrize("model", IMAGES)
@pytest.mark.parametrize("mode", get_args(ImageMode))
def test_image_cell_is_accepted_or_refused_with_help(model: Any, mode: Any) -> None:
    ratios, sizes, _ = IMAGES[model]
    spec, accepted = found(model), 0
    inputs = 1 if mode == "image_edit" else 0
    for ratio, size in itertools.product([None, *ALL_RATIOS], ALL_SIZES):
        parameters = image(model, mode=mode, aspect_ratio=ratio, image_size=size, input_images=inputs)
        if (ratio is None or ratio in ratios) and size in sizes:
            check_image(spec, parameters)
            accepted += 1
        else:
            allowed = {"aspect_ratio": ratios, "image_size": sizes}
            assert_helpful(refusal(spec, parameters), parameters, allowed)
    assert accepted == (len(ratios) + 1) * len(sizes)


@pytest.mark.parametrize("model", VIDEOS)
@pytest.mark.parametrize("mode", get_args(VideoMode))
def test_video_cell_is_accepted_or_refused_with_help(model: Any, mode: Any) -> None:
    surface, resolutions, durations = VIDEOS[model]
    spec, accepted = found(model, surface), 0
    allowed: dict[str, list[Any]] = {
        "mode": list(spec.modes or ()),
        "aspect_ratio": ["16:9", "9:16"],
        "resolution": resolutions,
        "duration_seconds": durations.get(mode, []),
    }
    assert sorted(allowed["mode"]) == sorted(durations)
    for ratio, resolution, seconds in itertools.product(
        [None, "16:9", "9:16", "1:1", "21:9"], ALL_RESOLUTIONS, range(1, 21)
    ):
        parameters = video(model, mode, aspect_ratio=ratio, resolution=resolution, duration_seconds=seconds)
        fits = resolution in resolutions and seconds in allowed["duration_seconds"]
        if mode in durations and fits and ratio in {None, "16:9", "9:16"}:
            check_video(spec, parameters)
            accepted += 1
        else:
            assert_helpful(refusal(spec, parameters), parameters, allowed)
    assert accepted == 3 * len(resolutions) * len(durations.get(mode, []))
    assert list(spec.durations_for(mode)) == durations.get(mode, [])


@pytest.mark.parametrize("model", IMAGES)
@pytest.mark.parametrize("level", ["minimal", "low", "medium", "high", "HIGH"])
def test_thinking_level_is_accepted_where_the_model_has_it(model: Any, level: Any) -> None:
    levels = IMAGES[model][2]
    parameters = image(model, thinking_level=level)
    if level in levels:
        check_image(found(model), parameters)
        return
    error = refusal(found(model), parameters)
    assert error.field == "thinking_level"
    assert f"thinking_level={level!r}" in error.message
    assert (", ".join(levels) or "none (leave it out)") in error.message
    assert (error.hint == "Leave thinking_level out.") == (not levels)


@pytest.mark.parametrize(
    ("model", "mode", "field", "value", "suggestion"),
    [
        ("gemini-nano-banana-2.1", None, "image_size", "4k", "4K"),
        ("gemini-nano-banana-2.1", None, "image_size", "8K", "4K"),
        ("gemini-nano-banana-2.1", None, "image_size", "1024", "1K"),
        ("gemini-nano-banana-2.1", None, "aspect_ratio", "16:10", "3:2"),
        ("gemini-nano-banana-2.1", None, "aspect_ratio", "2:1", "16:9"),
        ("gemini-3-pro-image", None, "aspect_ratio", "1:8", "9:16"),
        ("gemini-nano-banana-2.1", None, "thinking_level", "HIGH", "high"),
        ("gemini-omni-1.2-flash", "text_to_video", "resolution", "4K", "4k"),
        ("gemini-omni-1.2-flash", "text_to_video", "resolution", "480p", "360p"),
        ("gemini-omni-1.2-flash", "text_to_video", "resolution", "1080", "1080p"),
        ("gemini-omni-1.2-flash", "text_to_video", "duration_seconds", 30, 15),
        ("gemini-omni-1.2-flash", "first_last_frames", "duration_seconds", 12, 10),
        ("veo-3.1-generate-001", "text_to_video", "duration_seconds", 5, 6),
        ("veo-3.1-generate-001", "video_extension", "duration_seconds", 8, 7),
        ("veo-3.1-generate-001", "text_to_video", "aspect_ratio", "1:1", "16:9"),
    ],
)
def test_refusal_suggests_the_nearest_allowed_value(
    model: Any, mode: Any, field: Any, value: Any, suggestion: Any
) -> None:
    if mode is None:
        error = refusal(found(model), image(model, **{field: value}))
    else:
        error = refusal(found(model, VIDEOS[model][0]), video(model, mode, **{field: value}))
    assert error.field == field
    assert error.hint == f"Use {field}={suggestion!r}."


@pytest.mark.parametrize(("mode", "given", "is_fine"), [
    ("image_edit", 0, False), ("image_edit", 1, True), ("image_edit", 14, True), ("image_edit", 15, False),
    ("text_to_image", 0, True), ("text_to_image", 1, False),
])  # fmt: skip
@pytest.mark.parametrize("model", IMAGES)
def test_number_of_input_images_is_bounded(model: Any, mode: Any, given: Any, is_fine: Any) -> None:
    parameters = image(model, mode=mode, input_images=given)
    if is_fine:
        check_image(found(model), parameters)
        return
    error = refusal(found(model), parameters)
    assert error.field == "input_images"
    assert f"input_images={given}" in error.message
    assert error.hint


@pytest.mark.parametrize(("mode", "given", "field"), [
    ("text_to_video", 1, "image"), ("text_to_video", 2, "image"),
    ("image_to_video", 0, "image"), ("image_to_video", 2, "last_frame"),
    ("first_last_frames", 0, "image"), ("first_last_frames", 1, "last_frame"), ("first_last_frames", 3, "image"),
    ("reference_asset", 1, "image"), ("video_extension", 2, "image"), ("remix", 3, "image"),
])  # fmt: skip
@pytest.mark.parametrize("model", ["gemini-omni-1.2-flash", "veo-3.1-generate-001"])
def test_wrong_number_of_frames_is_refused(model: Any, mode: Any, given: Any, field: Any) -> None:
    error = refusal(found(model, VIDEOS[model][0]), video(model, mode, input_images=given))
    assert error.field == field
    assert f"{given} picture" in error.message
    assert error.hint


@pytest.mark.parametrize(("model", "most"), [
    ("gemini-omni-1.2-flash", 6), ("gemini-omni-1.1-flash", 10),
    ("veo-3.1-generate-001", 3), ("veo-3.1-fast-generate-001", 3),
])  # fmt: skip
def test_number_of_reference_images_is_bounded(model: Any, most: Any) -> None:
    spec = found(model, VIDEOS[model][0])
    for given in range(1, most + 1):
        check_video(spec, video(model, "reference_asset", reference_images=given))
    error = refusal(spec, video(model, "reference_asset", reference_images=most + 1))
    assert error.field == "reference_images"
    assert f"reference_images={most + 1}" in error.message
    assert f"at most {most} pictures" in error.message
    assert refusal(spec, video(model, "reference_asset", reference_images=0)).field == "reference_images"


def test_reference_images_beside_frames_are_for_omni_only() -> None:
    with_frame: dict[str, Any] = {"mode": "image_to_video", "reference_images": 1}
    check_video(found("gemini-omni-1.2-flash"), video("gemini-omni-1.2-flash", **with_frame))
    for model in ("veo-3.1-generate-001", "veo-3.1-lite-generate-001"):
        error = refusal(found(model, "vertex"), video(model, **with_frame))
        assert error.field == "reference_images"
        assert "allowed: none" in error.message


def test_more_reference_images_than_advised_give_a_warning() -> None:
    spec = found("gemini-omni-1.1-flash")
    assert check_video(spec, video(spec.id, "reference_asset", reference_images=3)) == ()
    (warning,) = check_video(spec, video(spec.id, "reference_asset", reference_images=4))
    assert "at most 3 are advised" in warning


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("generate_audio", False),
        ("negative_prompt", "fog in the valley"),
        ("person_generation", "allow_all"),
        ("resize_mode", "crop"),
        ("compression_quality", "lossless"),
    ],
)
@pytest.mark.parametrize("model", ["gemini-omni-1.2-flash", "gemini-omni-1.1-flash"])
def test_switch_that_only_veo_has_is_refused_on_omni(model: Any, field: Any, value: Any) -> None:
    error = refusal(found(model), video(model, **{field: value}))
    assert error.field == field
    assert f"{field}=" in error.message
    assert error.hint
    for veo in ("veo-3.1-generate-001", "veo-3.1-fast-generate-001", "veo-3.1-lite-generate-001"):
        check_video(found(veo, "vertex"), video(veo, "image_to_video", **{field: value}))


def test_refused_negative_prompt_is_not_quoted() -> None:
    error = refusal(found("gemini-omni-1.2-flash"), video("gemini-omni-1.2-flash", negative_prompt="secret wish"))
    assert "secret wish" not in str(error)


@pytest.mark.parametrize("value", ["disallow", "ALLOW_ALL", "everyone"])
def test_person_generation_outside_the_list_is_refused_on_veo(value: Any) -> None:
    error = refusal(found("veo-3.1-generate-001", "vertex"), video("veo-3.1-generate-001", person_generation=value))
    assert f"person_generation={value!r}" in error.message
    assert "allow_all, allow_adult, dont_allow" in error.message


def test_person_generation_for_images_is_for_vertex_only() -> None:
    parameters = image("gemini-nano-banana-2.1", person_generation="allow_adult")
    check_image(found("gemini-nano-banana-2.1", "vertex"), parameters)
    surfaces: tuple[Surface, ...] = ("gemini", "cliproxy")
    for surface in surfaces:
        error = refusal(found("gemini-nano-banana-2.1", surface), parameters)
        assert error.field == "person_generation"
        assert error.hint == "Leave person_generation out."


def test_seed_is_refused_where_the_model_has_none() -> None:
    spec = replace(found("gemini-omni-1.2-flash"), seed=False)
    error = refusal(spec, video(spec.id, seed=7))
    assert (error.field, error.hint) == ("seed", "Leave seed out.")
    assert "seed=7" in error.message


def test_search_grounding_is_refused_where_the_model_has_none() -> None:
    spec = replace(found("gemini-3-pro-image"), search_grounding=False)
    assert refusal(spec, image(spec.id, search_grounding=True)).field == "search_grounding"
    check_image(spec, image(spec.id))


@pytest.mark.parametrize("count", [0, 5, -1])
def test_count_outside_one_to_four_is_refused(count: Any) -> None:
    for error in (
        refusal(found("gemini-3-pro-image"), image("gemini-3-pro-image", count=count)),
        refusal(found("gemini-omni-1.2-flash"), video("gemini-omni-1.2-flash", count=count)),
    ):
        assert error.field == "count"
        assert f"count={count} is not allowed" in error.message
        assert "1 to 4" in error.message


@pytest.mark.parametrize(("model", "most"), [("gemini-omni-1.2-flash", 30), ("gemini-omni-1.1-flash", 40)])
def test_extension_beyond_the_total_is_refused_with_what_still_fits(model: Any, most: Any) -> None:
    spec = found(model)
    check_video(spec, video(model, "video_extension", source_seconds=None, duration_seconds=10))
    check_video(spec, video(model, "video_extension", source_seconds=most - 10.0, duration_seconds=10))
    error = refusal(spec, video(model, "video_extension", source_seconds=most - 5.0, duration_seconds=10))
    assert error.field == "duration_seconds"
    assert "duration_seconds=10" in error.message
    assert "allowed: 3 to 5" in error.message
    assert error.hint == "Use duration_seconds=5."
    full = refusal(spec, video(model, "video_extension", source_seconds=most - 1.0, duration_seconds=3))
    assert "cannot be extended further" in full.hint


def test_veo_extension_ends_at_148_seconds() -> None:
    spec = found("veo-3.1-generate-001", "vertex")
    check_video(spec, video(spec.id, "video_extension", source_seconds=141.0))
    assert "148 s" in str(refusal(spec, video(spec.id, "video_extension", source_seconds=142.0)))


@pytest.mark.parametrize(("model", "longest"), [("gemini-omni-1.2-flash", 15), ("gemini-omni-1.1-flash", 10)])
def test_edit_source_outside_the_limits_is_refused(model: Any, longest: Any) -> None:
    spec = found(model)
    for seconds in (3.0, longest, longest + 0.1):
        check_video(spec, video(model, "video_edit", source_seconds=seconds))
    for seconds in (2.0, longest + 1.0):
        error = refusal(spec, video(model, "video_edit", source_seconds=seconds))
        assert error.field == "video"
        assert f"allowed: 3 to {longest} seconds" in error.message


@pytest.mark.parametrize(
    ("mode", "instead"),
    [("insert_objects", "video_edit"), ("remove_objects", "video_edit"), ("reference_style", "reference_asset")],
)
def test_refused_mode_names_one_that_comes_close(mode: Any, instead: Any) -> None:
    error = refusal(found("gemini-omni-1.2-flash"), video("gemini-omni-1.2-flash", mode))
    assert f"mode={mode!r}" in error.message
    assert f"mode={instead!r}" in error.hint


@pytest.mark.parametrize(
    ("model", "surface", "values", "word"),
    [
        ("gemini-nano-banana-2.1", "gemini", {"image_size": "512"}, "512"),
        ("gemini-3.1-flash-lite-image", "gemini", {"search_grounding": True}, "search"),
        ("gemini-omni-1.1-flash", "gemini", {"seed": 0}, "seed"),
        ("veo-3.1-generate-001", "vertex", {"resolution": "4k"}, "4k"),
        ("veo-3.1-lite-generate-001", "vertex", {"person_generation": "dont_allow"}, "disallow"),
    ],
)
def test_disputed_value_passes_with_a_warning(model: Any, surface: Any, values: Any, word: Any) -> None:
    spec = found(model, surface)
    plain: ImageParameters | VideoParameters = image(model) if model in IMAGES else video(model)
    assert check(spec, plain) == ()
    (warning,) = check(spec, replace(plain, **values))
    assert word in warning


def test_model_outside_the_catalogue_is_not_checked() -> None:
    catalog = Catalog.load()
    picture = catalog.find("gemini-9-image", "image", "gemini", TODAY).spec
    assert (
        check_image(
            picture, image(picture.id, mode="image_edit", aspect_ratio="7:3", image_size="16K", input_images=40)
        )
        == ()
    )
    clip = catalog.find("veo-9", "video", "gemini", TODAY).spec
    wild = video(clip.id, "insert_objects", duration_seconds=60, resolution="8k", generate_audio=False, seed=1)
    assert check_video(clip, wild) == ()


@pytest.mark.parametrize(
    ("model", "surface", "mode", "way"),
    [
        ("gemini-omni-1.2-flash", "gemini", "reference_style", "reference_asset"),
        ("gemini-omni-1.2-flash", "gemini", "insert_objects", "video_edit"),
        ("gemini-omni-1.1-flash", "vertex", "remove_objects", "video_edit"),
        ("gemini-omni-1.1-flash", "vertex", "video_edit", "video_edit"),
        ("veo-3.1-generate-001", "vertex", "reference_style", None),
        ("veo-3.1-generate-001", "vertex", "insert_objects", None),
        ("veo-3.1-lite-generate-001", "vertex", "reference_asset", None),
        ("gemini-omni-9", "gemini", "insert_objects", "video_edit"),
        ("veo-9", "vertex", "reference_style", "reference_style"),
    ],
)
def test_mode_without_fields_goes_another_way_or_none(model: Any, surface: Any, mode: Any, way: Any) -> None:
    assert found(model, surface).way_of(mode) == way


def test_remix_goes_by_the_number_of_its_frames() -> None:
    spec = found("gemini-omni-1.2-flash")
    assert (spec.way_of("remix"), spec.way_of("remix", frames=2)) == ("image_to_video", "first_last_frames")


def test_models_for_a_mode_are_those_that_do_it_there() -> None:
    catalog = Catalog.load()
    assert catalog.models_for("video_edit", "vertex", TODAY) == ("gemini-omni-1.2-flash", "gemini-omni-1.1-flash")
    assert catalog.models_for("video_edit", "cliproxy", TODAY) == ()
