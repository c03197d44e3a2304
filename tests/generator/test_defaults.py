"""Which value holds when several places name one: explicit > source > profile > environment > built-in."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.generator.planning import (
    FAST_VEO,
    LITE_VEO,
    OMNI_11,
    OMNI_12,
    VEO,
    MakeSettings,
    both,
    change_of,
    make_clip,
    plan_clip,
    plan_extension,
    plan_image,
    vertex,
    write_config,
    write_record,
)

from mediagen.app.app import open_app
from mediagen.errors import InvalidRequestError
from mediagen.requests import EstimateCostRequest
from mediagen.settings import Settings

# By argument and layer, the strongest first; what is the same as the built-in default is so on purpose.
CLIP_TABLE: Mapping[str, Mapping[str, Any]] = {
    "model": {"explicit": VEO, "preset": FAST_VEO, "source": OMNI_11, "profile": OMNI_12, "default": VEO},
    "resolution": {
        "explicit": "720p",
        "preset": "1080p",
        "source": "4k",
        "profile": "1080p",
        "default": "720p",
    },
    "aspect_ratio": {
        "explicit": "16:9",
        "preset": "16:9",
        "source": "9:16",
        "profile": "16:9",
        "default": "16:9",
    },
    "storage_uri": {
        "explicit": "gs://of-call/a/",
        "source": "gs://of-source/b/",
        "profile": "gs://of-profile/clips/",
        "environment": "gs://of-env/",
        "default": None,
    },
    "location": {"source": "europe-west4", "profile": "us-east1", "environment": "asia-east1", "default": "global"},
    "output_dir": {"explicit": "call", "profile": "profile", "environment": "env", "default": "."},
    "generate_audio": {"explicit": True, "preset": False, "profile": False, "default": True},
    "count": {"explicit": 1, "preset": 2, "profile": 3, "default": 1},
    "duration_seconds": {"explicit": 8, "preset": 6, "profile": 5, "default": 8},
}
MODEL_FOR = {"location": OMNI_12, "duration_seconds": OMNI_11}
VARIABLES = {"storage_uri": "GCS_BUCKET", "location": "GOOGLE_CLOUD_LOCATION", "output_dir": "MEDIAGEN_OUTPUT_DIR"}
IN_PROFILE = {
    "storage_uri": 'bucket = "of-profile"\npath = "clips"',
    "location": 'location = "us-east1"',
    "output_dir": 'output_dir = "profile"',
}


def cases() -> Iterator[Any]:
    """Each layer of each argument, with all weaker ones below it."""
    for field, values in CLIP_TABLE.items():
        layers = list(values)
        for number, layer in enumerate(layers):
            yield pytest.param(field, layers[number:], id=f"{field}-{layer}")


def toml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool | int) else f'"{value}"'


def configure(work: Path, field: str, layers: list[str], url: str, make_settings: MakeSettings) -> Settings:
    values = CLIP_TABLE[field]
    top = IN_PROFILE.get(field, "") if "profile" in layers else ""
    video = f"{field} = {toml(values['profile'])}" if "profile" in layers and field not in IN_PROFILE else ""
    preset = f"{field} = {toml(values['preset'])}" if "preset" in layers else ""
    write_config(
        work,
        f"[profiles.film]\nproject = 'film-123'\n{top}\n[profiles.film.video]\n{video}\n"
        f"[profiles.film.presets.draft]\n{preset}\n",
    )
    variables = vertex(url, MEDIAGEN_OUTPUT_DIR="")
    if "environment" in layers:
        value = str(values["environment"])
        variables[VARIABLES[field]] = value.removeprefix("gs://").rstrip("/")
    return make_settings(**variables)


@pytest.mark.parametrize(("field", "layers"), list(cases()))
async def test_strongest_place_that_names_a_value_wins(
    field: str, layers: list[str], make_settings: MakeSettings, emulator, work: Path
):
    values = CLIP_TABLE[field]
    source: Path | str = "gs://films/clip.mp4"
    if "source" in layers:
        # The clip is upright, which says more than its record.
        source = make_clip(work / "clip.mp4", width=36, height=64)
        write_record(source, **{field: values["source"]})
    asked: dict[str, Any] = {} if field == "model" else {"model": MODEL_FOR.get(field, VEO)}
    if layers[0] == "explicit":
        asked[field] = values["explicit"]
    if "preset" in layers:
        asked["preset"] = "draft"
    async with open_app(configure(work, field, layers, emulator.url, make_settings)) as app:
        report = await plan_extension(app, source, **asked)
    expected = values[layers[0]]
    if field == "output_dir":
        expected = str((work / expected).resolve())
    if field == "storage_uri" and expected:
        change = change_of(report, field)
        assert change is not None
        assert change[0] == expected
        expected = f"{expected}(job id)/"
    else:
        assert change_of(report, field) is None
    assert report.effective.get(field) == expected
    origin = "profile" if layers[0] == "preset" else layers[0]
    assert report.origins.get(field) == (None if expected is None else origin)
    assert emulator.requests() == []


@pytest.mark.parametrize(
    ("field", "profile", "explicit"),
    [
        ("model", "gemini-3-pro-image", "gemini-nano-banana-2.1"),
        ("image_size", "4K", "1K"),
        ("aspect_ratio", "16:9", "1:1"),
        ("count", 3, 1),
        ("search_grounding", True, False),
        ("thinking_level", "high", "minimal"),
    ],
)
async def test_explicit_value_of_a_picture_that_equals_the_default_wins_over_the_profile(
    field: str, profile: Any, explicit: Any, make_settings: MakeSettings, emulator, work: Path
):
    write_config(work, f"[image]\n{field} = {toml(profile)}\n")
    async with open_app(make_settings()) as app:
        of_profile = await plan_image(app)
        of_call = await plan_image(app, **{field: explicit})
    assert (of_profile.effective[field], of_profile.origins[field]) == (profile, "profile")
    assert (of_call.effective[field], of_call.origins[field]) == (explicit, "explicit")
    assert of_call.adjustments == []


async def test_every_effective_value_names_its_origin(make_settings: MakeSettings, emulator, work: Path):
    derived = {"why_backend", "pixel_size", "input_images", "documents", "reference_images", "source_seconds"}
    write_config(work, "[profiles.film]\nproject = 'film-123'\nbucket = 'film'\n[presets.draft]\ncount = 1\n")
    clip = make_clip(work / "clip.mp4")
    async with open_app(make_settings(**vertex(emulator.url))) as app:
        reports = [
            await plan_clip(app, preset="draft", upload_to="gs://copies/", seed=4, person_generation="allow_adult"),
            await plan_image(app, input_images=["cat.png"], profile="film"),
            await plan_extension(app, clip, negative_prompt="rain"),
        ]
    for report in reports:
        assert set(report.effective) - derived == set(report.origins) & set(report.effective)
        assert set(report.origins) - set(report.effective) <= {"aspect_ratio"}
    assert reports[0].origins["project"] == "profile"
    assert reports[0].origins["preset"] == "explicit"
    assert reports[1].origins["profile"] == "explicit"


@pytest.mark.parametrize(
    ("profile", "asked", "field", "expected"),
    [
        ({"duration_seconds": 5}, {"model": VEO}, "duration_seconds", 8),
        ({"duration_seconds": 15}, {"model": OMNI_11}, "duration_seconds", 8),
        ({"resolution": "4k"}, {"model": LITE_VEO}, "resolution", "720p"),
        ({"resolution": "360p"}, {"model": VEO}, "resolution", "720p"),
        ({"aspect_ratio": "1:1"}, {"model": VEO}, "aspect_ratio", "16:9"),
        ({"generate_audio": False}, {"model": OMNI_11}, "generate_audio", True),
        ({"person_generation": "allow_all"}, {"model": OMNI_11}, "person_generation", None),
        ({"resize_mode": "pad"}, {"model": OMNI_11, "image": "cat.png"}, "resize_mode", None),
        ({"resize_mode": "pad"}, {"model": VEO}, "resize_mode", None),
        ({"compression_quality": "lossless"}, {"model": OMNI_11}, "compression_quality", None),
    ],
)
async def test_default_of_the_profile_that_the_model_cannot_do_is_replaced_and_said_so(
    profile: dict[str, Any],
    asked: dict[str, Any],
    field: str,
    expected: Any,
    make_settings: MakeSettings,
    emulator,
    work: Path,
):
    lines = "\n".join(f"{name} = {toml(value)}" for name, value in profile.items())
    write_config(work, f"[video]\n{lines}\n[presets.same]\nkind = 'video'\n{lines}\n")
    async with open_app(make_settings(**both(emulator.url))) as app:
        report = await plan_clip(app, backend="auto", **asked)
        for explicit in (profile, {"preset": "same"}):
            with pytest.raises(InvalidRequestError) as refused:
                await plan_clip(app, **asked, **explicit)
            assert refused.value.field == field
    assert report.effective.get(field) == expected
    assert report.origins.get(field) == (None if expected is None else "default")
    assert change_of(report, field) == (profile[field], expected)


@pytest.mark.parametrize(
    ("model", "profile", "field"),
    [
        ("gemini-3-pro-image", {"thinking_level": "high"}, "thinking_level"),
        ("gemini-3.1-flash-lite-image", {"image_size": "4K"}, "image_size"),
        ("gemini-3-pro-image", {"aspect_ratio": "1:8"}, "aspect_ratio"),
    ],
)
async def test_default_of_a_picture_that_the_model_cannot_do_is_replaced_and_said_so(
    model: str, profile: dict[str, Any], field: str, make_settings: MakeSettings, emulator, work: Path
):
    write_config(work, f"[image]\n{field} = {toml(profile[field])}\n")
    async with open_app(make_settings()) as app:
        report = await plan_image(app, model=model)
        with pytest.raises(InvalidRequestError) as refused:
            await plan_image(app, model=model, **profile)
    assert refused.value.field == field
    change = change_of(report, field)
    assert change is not None
    assert change[0] == profile[field]
    assert change[1] == report.effective.get(field)


async def test_unfit_default_that_an_explicit_value_covers_is_not_spoken_of(
    make_settings: MakeSettings, emulator, work: Path
):
    write_config(work, "[video]\nduration_seconds = 5\nresolution = '360p'\n")
    async with open_app(make_settings(**vertex(emulator.url))) as app:
        report = await plan_clip(app, model=VEO, duration_seconds=8, resolution="1080p")
    assert report.adjustments == []
    assert report.origins["duration_seconds"] == report.origins["resolution"] == "explicit"


async def test_profile_says_8_seconds_where_an_extension_has_7(make_settings: MakeSettings, emulator, work: Path):
    write_config(work, "[profiles.film]\nproject = 'film-123'\n[profiles.film.video]\nduration_seconds = 8\n")
    async with open_app(make_settings(**vertex(emulator.url))) as app:
        report = await plan_extension(app, "gs://films/clip.mp4", model=VEO)
        with pytest.raises(InvalidRequestError) as refused:
            await plan_extension(app, "gs://films/clip.mp4", model=VEO, duration_seconds=8)
    assert (report.effective["duration_seconds"], report.origins["duration_seconds"]) == (7, "default")
    assert change_of(report, "duration_seconds") == (8, 7)
    assert refused.value.field == "duration_seconds"
    assert "7" in refused.value.hint


@pytest.mark.parametrize(("seconds", "expected"), [(20, 8), (22, 8), (25, 5), (27, 3)])
async def test_extension_is_as_long_as_there_is_room(
    seconds: int, expected: int, make_settings: MakeSettings, emulator, work: Path
):
    clip = make_clip(work / "clip.mp4", seconds=seconds)
    async with open_app(make_settings()) as app:
        report = await plan_extension(app, clip, model=OMNI_12)
        assert report.effective["duration_seconds"] == expected
        with pytest.raises(InvalidRequestError, match="duration_seconds"):
            await plan_extension(app, clip, model=OMNI_12, duration_seconds=expected + 3)


async def test_model_of_the_profile_that_cannot_extend_is_replaced(make_settings: MakeSettings, emulator, work: Path):
    write_config(work, f"[profiles.film]\nproject = 'film-123'\n[profiles.film.video]\nmodel = '{LITE_VEO}'\n")
    async with open_app(make_settings(**vertex(emulator.url))) as app:
        clip = await plan_clip(app)
        longer = await plan_extension(app, "gs://films/clip.mp4")
        priced = await app.estimates.estimate_cost(EstimateCostRequest(kind="extension"))
        with pytest.raises(InvalidRequestError) as refused:
            await plan_extension(app, "gs://films/clip.mp4", model=LITE_VEO)
    assert (clip.model, clip.origins["model"], clip.adjustments) == (LITE_VEO, "profile", [])
    assert (longer.model, longer.origins["model"]) == (VEO, "default")
    assert change_of(longer, "model") == (LITE_VEO, VEO)
    assert any(LITE_VEO in warning and VEO in warning for warning in longer.warnings)
    assert priced.model == VEO
    assert (refused.value.field, refused.value.code) == ("model", "mode_not_supported")
    assert refused.value.hint == f"Use model={OMNI_12!r}."


@pytest.mark.parametrize(
    ("model", "backend", "successor"),
    [
        ("veo-3.0-fast-generate-001", "vertex", FAST_VEO),
        ("veo-3.0-fast-generate-001", "gemini", OMNI_12),
        ("gemini-3-pro-image", "vertex", VEO),
    ],
)
async def test_model_of_the_profile_that_is_gone_gives_way_to_its_successor(
    model: str, backend: str, successor: str, make_settings: MakeSettings, emulator, work: Path
):
    write_config(work, f"[video]\nmodel = '{model}'\n")
    async with open_app(make_settings(**both(emulator.url))) as app:
        report = await plan_clip(app, backend=backend)
    assert (report.model, report.origins["model"]) == (successor, "default")
    assert change_of(report, "model") == (model, successor)


async def test_preset_stands_between_what_is_said_and_the_source(make_settings: MakeSettings, emulator, work: Path):
    write_config(
        work,
        "[video]\nresolution = '360p'\n[presets.draft]\nkind = 'video'\nresolution = '1080p'\nduration_seconds = 4\n",
    )
    clip = make_clip(work / "clip.mp4")
    write_record(clip, backend="gemini", model=OMNI_11, resolution="4k")
    async with open_app(make_settings()) as app:
        report = await plan_extension(app, clip, preset="draft", duration_seconds=3)
    assert (report.effective["resolution"], report.origins["resolution"]) == ("1080p", "profile")
    assert (report.effective["duration_seconds"], report.origins["duration_seconds"]) == (3, "explicit")
    assert (report.model, report.origins["model"]) == (OMNI_11, "source")
    assert report.effective["preset"] == "draft"


@pytest.mark.parametrize(
    ("preset", "words"),
    [
        (
            "nonsense",
            "preset='nonsense' is not known for videos; allowed: budget, draft, either, extend, quality, quick.",
        ),
        ("poster", "preset='poster' is not known for videos; allowed: budget, draft, either, extend, quality, quick."),
    ],
)
async def test_unknown_preset_and_one_of_the_other_kind_are_refused(
    preset: str, words: str, make_settings: MakeSettings, emulator, work: Path
):
    write_config(
        work,
        "[presets.poster]\nkind = 'image'\nimage_size = '4K'\n[presets.draft]\nkind = 'video'\nresolution = '360p'\n"
        "[presets.either]\naspect_ratio = '9:16'\n",
    )
    async with open_app(make_settings()) as app:
        with pytest.raises(InvalidRequestError) as refused:
            await plan_clip(app, preset=preset)
        with pytest.raises(InvalidRequestError, match="allowed: budget, either, poster, quality, quick"):
            await plan_image(app, preset="draft")
        clip, image = await plan_clip(app, preset="either"), await plan_image(app, preset="either")
    assert (refused.value.message, refused.value.code, refused.value.field) == (words, "unknown_preset", "preset")
    assert clip.effective["aspect_ratio"] == image.effective["aspect_ratio"] == "9:16"


async def test_preset_of_the_other_kind_is_refused_naming_the_usual_ones(
    make_settings: MakeSettings, emulator, work: Path
):
    write_config(work, "[presets.poster]\nkind = 'image'\nimage_size = '4K'\n")
    async with open_app(make_settings()) as app:
        with pytest.raises(InvalidRequestError, match="allowed: budget, extend, quality, quick"):
            await plan_clip(app, preset="poster")


async def test_ratio_of_the_picture_that_goes_in_wins_over_the_profile(
    make_settings: MakeSettings, emulator, work: Path
):
    write_config(
        work, "[image]\naspect_ratio = '21:9'\n[video]\naspect_ratio = '9:16'\n[presets.wide]\naspect_ratio = '16:9'\n"
    )
    async with open_app(make_settings()) as app:
        edited = await plan_image(app, input_images=["cat.png"])
        drawn = await plan_image(app)
        wide = await plan_image(app, input_images=["cat.png"], preset="wide")
        moved = await plan_clip(app, image="cat.png")
    assert ("aspect_ratio" in edited.effective, edited.origins["aspect_ratio"]) == (False, "source")
    assert (drawn.effective["aspect_ratio"], drawn.origins["aspect_ratio"]) == ("21:9", "profile")
    assert (wide.effective["aspect_ratio"], wide.origins["aspect_ratio"]) == ("16:9", "profile")
    assert (moved.effective["aspect_ratio"], moved.origins["aspect_ratio"]) == ("16:9", "source")


async def test_location_that_the_model_does_not_have_is_moved_and_said_so(
    make_settings: MakeSettings, emulator, work: Path
):
    async with open_app(make_settings(**vertex(emulator.url, GOOGLE_CLOUD_LOCATION="europe-west4"))) as app:
        report = await plan_clip(app, model=VEO)
    assert (report.effective["location"], report.origins["location"]) == ("us-central1", "default")
    assert change_of(report, "location") == ("europe-west4", "us-central1")


@pytest.mark.parametrize(
    ("call", "profile", "variable", "backend", "origin"),
    [
        ("gemini", "vertex", "emulator", "gemini", "explicit"),
        (None, "vertex", "emulator", "vertex", "profile"),
        (None, None, "vertex", "vertex", "environment"),
        (None, None, "", "gemini", "default"),
        ("auto", "vertex", "emulator", "gemini", "explicit"),
    ],
)
async def test_surface_comes_from_the_strongest_place(
    call: str | None,
    profile: str | None,
    variable: str,
    backend: str,
    origin: str,
    make_settings: MakeSettings,
    emulator,
    work: Path,
):
    line = f"backend = '{profile}'" if profile else ""
    write_config(work, f"[profiles.film]\n{line}\n[profiles.film.video]\nmodel = '{OMNI_11}'\n")
    async with open_app(make_settings(**both(emulator.url, MEDIAGEN_BACKEND=variable))) as app:
        report = await plan_clip(app, **({"backend": call} if call else {}))
    assert (report.backend, report.origins["backend"]) == (backend, origin)


async def test_price_is_that_of_the_values_in_use(make_settings: MakeSettings, emulator, work: Path):
    """A profile that makes clips shorter or smaller makes them cheaper in the estimate and in the quote alike."""
    write_config(work, f"[video]\nmodel = '{VEO}'\nduration_seconds = 4\ngenerate_audio = false\ncount = 2\n")
    async with open_app(make_settings()) as app:
        planned = await plan_clip(app)
        priced = await app.estimates.estimate_cost(EstimateCostRequest(kind="video"))
    assert planned.quote.usd == priced.quote.usd
    assert planned.quote.usd is not None
    assert planned.quote.usd > Decimal(0)
    assert "4 s" in planned.quote.basis
