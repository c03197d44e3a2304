"""Where a model can be had: surface, API, location and kind of key; and what old names are told."""

from dataclasses import replace
from datetime import date
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any, get_args

import pytest

from mediagen.catalog import Api, Catalog, Surface, check_express_key
from mediagen.errors import InvalidRequestError
from mediagen.jobs import Kind

TODAY = date(2026, 11, 21)
CATALOG = Catalog.load()
SURFACES: tuple[Surface, ...] = get_args(Surface)
LIVING = [spec for spec in CATALOG.models() if spec.status != "retired"]
OMNI, OMNI_11, VEO = "gemini-omni-1.2-flash", "gemini-omni-1.1-flash", "veo-3.1-generate-001"
NANO, FLASH = "gemini-nano-banana-2.1", "gemini-3.1-flash-image"


@pytest.mark.parametrize("spec", CATALOG.models(), ids=lambda spec: spec.id)
def test_row_has_an_api_that_fits_its_kind(spec: Any) -> None:
    assert spec.api in get_args(Api)
    assert (spec.api == "generate_content") == (spec.kind == "image")
    assert (spec.api == "predict_long_running") == spec.id.startswith("veo-")


@pytest.mark.parametrize("spec", LIVING, ids=lambda spec: spec.id)
def test_living_row_says_where_on_vertex_and_whether_an_express_key_is_enough(spec: Any) -> None:
    assert spec.serves("vertex")
    on_vertex = spec.surfaces["vertex"]
    assert on_vertex.express in {"yes", "uncertain", "no"}
    assert (on_vertex.express == "yes") == (spec.kind == "image")
    assert bool(on_vertex.express_note) == (on_vertex.express != "yes")
    assert on_vertex.locations is None or on_vertex.locations
    for surface in ("gemini", "cliproxy"):
        elsewhere = spec.surfaces.get(surface)
        assert elsewhere is None or (elsewhere.locations, elsewhere.express) == (None, None)
    if spec.api == "predict_long_running":
        assert set(spec.surfaces) == {"vertex"}
        assert (on_vertex.locations, spec.samples_per_call, spec.max_seed) == (("us-central1",), 4, 2**32 - 1)
    else:
        assert spec.samples_per_call == 1


@pytest.mark.parametrize("kind", get_args(Kind))
@pytest.mark.parametrize("surface", SURFACES)
def test_default_model_is_served_where_it_is_the_default(kind: Any, surface: Any) -> None:
    if surface not in CATALOG.defaults[kind]:
        assert (kind, surface) == ("video", "cliproxy")
        return
    found = CATALOG.find(CATALOG.default_model(kind, surface).id, kind, surface, TODAY)
    assert found.spec.serves(surface)


@pytest.mark.parametrize(
    ("model", "kind", "surfaces"),
    [
        (None, "image", ("gemini", "vertex", "cliproxy")),
        (None, "video", ("gemini", "vertex")),
        (NANO, "image", ("gemini", "vertex", "cliproxy")),
        ("nano-banana-2", "image", ("gemini", "vertex", "cliproxy")),
        (OMNI, "video", ("gemini", "vertex")),
        (VEO, "video", ("vertex",)),
        ("models/veo-3.1", "video", ("vertex",)),
        ("gemini-omni-flash-preview", "video", ("vertex",)),
        ("veo-3.0-generate-001", "video", ()),
        ("imagen-4.0-generate-001", "image", ()),
        ("imagen-4", "image", ()),
        ("veo-4.0-generate-001", "video", ("vertex",)),
        ("publishers/google/models/Veo-4", "video", ("vertex",)),
        ("gemini-omni-2-flash", "video", ("gemini", "vertex")),
        ("gemini-next-image", "image", ("gemini", "vertex", "cliproxy")),
        ("gemini-next-video", "video", ("gemini", "vertex")),
    ],
)
def test_surfaces_of_a_model_are_those_that_may_have_it_in_order(model: Any, kind: Any, surfaces: Any) -> None:
    assert CATALOG.surfaces_for(model, kind, TODAY) == surfaces


def test_surface_leaves_the_list_on_the_day_of_the_shutdown() -> None:
    model: str = "gemini-2.5-flash-image"
    assert CATALOG.surfaces_for(model, "image", date(2026, 10, 1)) == ("gemini", "vertex")
    assert CATALOG.surfaces_for(model, "image", date(2026, 10, 2)) == ()


@pytest.mark.parametrize("spec", LIVING, ids=lambda spec: spec.id)
def test_every_surface_that_is_named_finds_the_model_and_no_other_does(spec: Any) -> None:
    named = CATALOG.surfaces_for(spec.id, spec.kind, TODAY)
    for surface in SURFACES:
        if surface in named:
            assert CATALOG.find(spec.id, spec.kind, surface, TODAY).spec.id == spec.id
        else:
            with pytest.raises(InvalidRequestError):
                CATALOG.find(spec.id, spec.kind, surface, TODAY)


@pytest.mark.parametrize(
    ("model", "kind", "api"),
    [
        ("veo-4.0-generate-001", "video", "predict_long_running"),
        ("gemini-omni-2-flash", "video", "interactions"),
        ("gemini-next-image", "image", "generate_content"),
        ("kling-9", "video", "interactions"),
        ("publishers/google/models/veo-4", "video", "predict_long_running"),
    ],
)
def test_api_of_an_unknown_model_is_guessed_from_its_name_and_kind(model: Any, kind: Any, api: Any) -> None:
    assert CATALOG.find(model, kind, "vertex", TODAY).spec.api == api


def test_unknown_model_on_an_unlikely_surface_is_told_the_likely_one() -> None:
    (warning,) = CATALOG.find("veo-4", "video", "gemini", TODAY).warnings
    assert "By its name it is on Vertex AI (backend='vertex') only." in warning
    (plain,) = CATALOG.find("veo-4", "video", "vertex", TODAY).warnings
    assert "By its name" not in plain


@pytest.mark.parametrize(
    ("model", "wanted", "location", "says"),
    [
        (VEO, None, "us-central1", None),
        (VEO, "", "us-central1", None),
        (VEO, "us-central1", "us-central1", None),
        (VEO, " US-Central1 ", "us-central1", None),
        (VEO, "global", "us-central1", "only in us-central1"),
        (VEO, "us", "us-central1", "only in us-central1"),
        (VEO, "europe-west4", "us-central1", "only in us-central1"),
        (OMNI_11, None, "global", None),
        (OMNI_11, "us-central1", "global", "only in global"),
        (OMNI, "europe-west4", "europe-west4", None),
        (OMNI, None, "global", None),
        (NANO, None, "global", None),
        (NANO, "eu", "eu", None),
    ],
)
def test_location_is_the_wanted_one_or_the_nearest_with_a_reason(
    model: Any, wanted: Any, location: Any, says: Any
) -> None:
    (spec,) = [row for row in LIVING if row.id == model]
    found, reason = spec.location_for("vertex", wanted)
    assert found == location
    if says is None:
        assert reason is None
    else:
        assert reason is not None
        assert reason.startswith(f"{model} is on Vertex AI {says}")


def test_location_of_a_model_outside_the_catalogue_is_taken_as_it_is() -> None:
    spec = CATALOG.find("veo-9", "video", "vertex", TODAY).spec
    assert spec.location_for("vertex", "europe-west4") == ("europe-west4", None)
    assert spec.location_for("vertex", None) == ("global", None)


def test_locations_of_vertex_say_nothing_about_other_surfaces() -> None:
    (spec,) = [row for row in LIVING if row.id == OMNI_11]
    assert spec.location_for("gemini", "europe-west4") == ("europe-west4", None)


@pytest.mark.parametrize("spec", LIVING, ids=lambda spec: spec.id)
def test_express_key_is_fine_for_pictures_and_in_doubt_for_clips(spec: Any) -> None:
    warnings = check_express_key(spec)
    if spec.kind == "image":
        assert warnings == ()
        return
    (warning,) = warnings
    assert spec.id in warning
    assert "not certain" in warning
    assert "service account" in warning


def test_model_that_refuses_express_keys_is_refused_with_the_way_out() -> None:
    (spec,) = [row for row in LIVING if row.id == VEO]
    never = replace(spec.surfaces["vertex"], express="no", express_note="Google says so")
    with pytest.raises(InvalidRequestError) as caught:
        check_express_key(replace(spec, surfaces=MappingProxyType({"vertex": never})))
    assert (caught.value.code, caught.value.field) == ("credential_not_accepted", "model")
    assert "Google says so" in caught.value.message
    assert "service account" in caught.value.hint


def test_express_key_with_a_model_outside_the_catalogue_is_not_judged() -> None:
    assert check_express_key(CATALOG.find("veo-9", "video", "vertex", TODAY).spec) == ()


@pytest.mark.parametrize(
    ("model", "count", "samples"),
    [(VEO, 1, (1,)), (VEO, 4, (4,)), (VEO, 6, (4, 2)), (OMNI, 1, (1,)), (OMNI, 3, (1, 1, 1)), (NANO, 4, (1, 1, 1, 1))],
)
def test_count_is_split_over_the_fewest_paid_calls(model: Any, count: Any, samples: Any) -> None:
    (spec,) = [row for row in LIVING if row.id == model]
    assert spec.samples_of_calls(count) == samples


def test_default_of_vertex_in_doubt_names_what_works_there() -> None:
    default = CATALOG.default_model("video", "vertex")
    (warning,) = CATALOG.find(default.id, "video", "vertex", TODAY).warnings
    assert "2026-11-17" in warning
    assert warning.endswith(f"if it fails, use {OMNI_11}.")
    assert CATALOG.find(OMNI_11, "video", "vertex", TODAY).warnings == ()


# Every id that older configurations, presets and manuals of this product's ancestors use.
OLD_IDS = [
    "veo-2.0-generate-001", "veo-2.0-generate-exp", "veo-2.0-generate-preview", "veo-2.0", "veo-2.0-exp",
    "veo-2.0-preview", "veo-2", "veo-3.0-generate-001", "veo-3.0-generate-preview", "veo-3.0-fast-generate-001",
    "veo-3.0-fast-generate-preview", "veo-3.0", "veo-3.0-fast", "veo-3", "veo-3.1-generate-preview",
    "veo-3.1-fast-generate-preview", "veo-3.1-lite-generate-preview", "veo-3.1-preview", "veo-3.1-fast-preview",
    "gemini-3-pro-image-preview", "gemini-3.1-flash-image-preview", "gemini-2.5-flash-image",
    "gemini-2.5-flash-image-preview", "imagen-3", "imagen-4", "imagen-3.0-generate-001", "imagen-3.0-generate-002",
    "imagen-3.0-fast-generate-001", "imagen-3.0-capability-001", "imagen-4.0-generate-001",
    "imagen-4.0-fast-generate-001", "imagen-4.0-ultra-generate-001", "imagen-4.0-generate-preview-06-06",
    "imagen-4.0-upscale-preview",
]  # fmt: skip


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("model", OLD_IDS)
def test_old_id_is_refused_on_each_surface_with_date_and_replacement(model: str, surface: Any) -> None:
    kind: Kind = "video" if model.startswith("veo") else "image"
    with pytest.raises(InvalidRequestError) as caught:
        CATALOG.find(model, kind, surface, TODAY)
    assert caught.value.code == "model_retired"
    assert f"model={model!r} was shut down" in caught.value.message
    assert " on 2026-" in caught.value.message
    living = [spec.id for spec in LIVING if f"model={spec.id!r}" in caught.value.hint]
    assert len(living) == 1
    assert CATALOG.surfaces_for(living[0], kind, TODAY)
    if surface == "cliproxy" and kind == "video":
        assert "backend='" in caught.value.hint
    else:
        assert surface in CATALOG.surfaces_for(living[0], kind, TODAY)


@pytest.mark.parametrize(("pattern", "row"), CATALOG.retired_names.items())
def test_name_that_is_gone_is_judged_by_a_retired_row(pattern: Any, row: Any) -> None:
    (judge,) = [spec for spec in CATALOG.models() if spec.id == row]
    assert judge.status == "retired"
    assert judge.surfaces
    assert not [name for name in (*CATALOG.aliases, *(spec.id for spec in LIVING)) if fnmatchcase(name, pattern)]
