"""Finding models: living, retired, elsewhere, unknown, by short name; and what holds for every row."""

import os
import re
import subprocess
import sys
from datetime import date, timedelta
from typing import Any, get_args

import pytest

from mediagen.catalog import Catalog, Surface
from mediagen.errors import InvalidRequestError
from mediagen.jobs import Kind
from mediagen.requests import ImageMode, VideoMode

TODAY = date(2026, 11, 21)
CATALOG = Catalog.load()
SURFACES: tuple[Surface, ...] = get_args(Surface)
RETIRED = [spec for spec in CATALOG.models() if spec.status == "retired"]
LIVING = [spec for spec in CATALOG.models() if spec.status != "retired"]
RETIRED_CELLS = [
    (spec.id, spec.kind, name, on_it.shutdown)
    for spec in CATALOG.models()
    for name, on_it in spec.surfaces.items()
    if on_it.status == "retired"
]


def refusal(model: str, kind: Kind, surface: Surface, today: date = TODAY) -> InvalidRequestError:
    with pytest.raises(InvalidRequestError) as caught:
        CATALOG.find(model, kind, surface, today)
    assert caught.value.message
    return caught.value


@pytest.mark.parametrize("spec", CATALOG.models(), ids=lambda spec: spec.id)
def test_row_is_dated_sourced_and_in_the_words_of_requests(spec: Any) -> None:
    assert spec.as_of == date(2026, 11, 21)
    assert spec.source
    assert spec.surfaces
    assert set(spec.surfaces) <= set(SURFACES)
    modes = set(get_args(ImageMode if spec.kind == "image" else VideoMode))
    assert set(spec.modes or ()) <= modes
    assert set(spec.durations) <= modes | {"default"}
    assert set(spec.reference_modes or ()) <= modes
    assert {on_it.status for on_it in spec.surfaces.values()} <= {"ga", "preview", "uncertain", "retired"}


@pytest.mark.parametrize("spec", LIVING, ids=lambda spec: spec.id)
def test_living_model_is_served_and_complete(spec: Any) -> None:
    surfaces = [surface for surface in SURFACES if spec.serves(surface)]
    assert surfaces
    for surface in surfaces:
        assert not spec.is_retired(surface, TODAY)
        assert CATALOG.find(spec.id, spec.kind, surface, TODAY).spec.id == spec.id
    scales = spec.image_sizes if spec.kind == "image" else spec.resolutions
    default = spec.default_image_size if spec.kind == "image" else spec.default_resolution
    assert default in scales
    assert set(spec.typical_seconds) == set(scales)
    if spec.kind == "image":
        assert all(15 <= seconds <= 40 for seconds in spec.typical_seconds.values())
        assert all(spec.pixel_size(ratio, size) for ratio in spec.aspect_ratios for size in spec.image_sizes)
    else:
        assert all(spec.durations_for(mode) for mode in spec.modes)


@pytest.mark.parametrize(("model", "kind", "surface", "shutdown"), RETIRED_CELLS)
def test_retired_model_is_refused_with_its_date_and_a_living_replacement(
    model: Any, kind: Any, surface: Any, shutdown: Any
) -> None:
    error = refusal(model, kind, surface)
    assert error.code == "model_retired"
    assert error.field == "model"
    assert repr(model) in error.message
    assert shutdown.isoformat() in error.message
    match = re.search(r"Use model='([^']+)'", error.hint)
    assert match
    assert CATALOG.find(match[1], kind, surface, TODAY).spec.serves(surface)


@pytest.mark.parametrize(("model", "kind", "surface", "shutdown"), RETIRED_CELLS)
def test_retired_model_was_fine_until_the_day_before(model: Any, kind: Any, surface: Any, shutdown: Any) -> None:
    assert CATALOG.find(model, kind, surface, shutdown - timedelta(days=1)).spec.id == model
    assert refusal(model, kind, surface, shutdown).code == "model_retired"


@pytest.mark.parametrize("spec", RETIRED, ids=lambda spec: spec.id)
def test_retired_row_names_a_living_replacement(spec: Any) -> None:
    assert spec.replacement in {living.id for living in LIVING}


@pytest.mark.parametrize(
    ("model", "surface", "date_said", "instead"),
    [
        ("gemini-2.5-flash-image", "gemini", "2026-10-02", "gemini-nano-banana-2.1"),
        ("gemini-3-pro-image-preview", "gemini", "2026-06-25", "gemini-3-pro-image"),
        ("imagen-4.0-generate-001", "gemini", "2026-08-17", "gemini-nano-banana-2.1"),
        ("imagen-4.0-generate-001", "vertex", "2026-06-30", "gemini-nano-banana-2.1"),
        ("gemini-omni-flash-preview", "gemini", "2026-09-30", "gemini-omni-1.2-flash"),
        ("veo-3.0-generate-001", "gemini", "2026-06-30", "gemini-omni-1.2-flash"),
        ("veo-3.0-fast-generate-001", "vertex", "2026-06-30", "veo-3.1-fast-generate-001"),
        ("veo-3.1-generate-preview", "gemini", "2026-10-22", "gemini-omni-1.2-flash"),
        ("veo-3.1-generate-preview", "vertex", "2026-04-02", "veo-3.1-generate-001"),
    ],
)
def test_known_retirement_says_what_google_said(model: Any, surface: Any, date_said: Any, instead: Any) -> None:
    kind: Kind = "video" if "veo" in model or "omni" in model else "image"
    error = refusal(model, kind, surface)
    assert date_said in error.message
    assert error.hint == f"Use model={instead!r}."


def test_retired_model_on_a_surface_that_never_had_it_is_refused_as_retired() -> None:
    error = refusal("imagen-4.0-generate-001", "image", "cliproxy")
    assert error.code == "model_retired"
    assert "2026-08-17" in error.message


@pytest.mark.parametrize("model", ["veo-3.1-generate-001", "veo-3.1-fast-generate-001", "veo-3.1-lite-generate-001"])
def test_veo_on_the_gemini_api_is_refused_naming_vertex_and_omni(model: Any) -> None:
    error = refusal(model, "video", "gemini")
    assert error.code == "model_not_on_surface"
    assert "Vertex AI (backend='vertex')" in error.message
    assert "gemini-omni-1.2-flash" in error.hint


def test_video_through_cliproxy_is_refused_naming_the_surfaces() -> None:
    error = refusal("gemini-omni-1.2-flash", "video", "cliproxy")
    assert "backend='gemini'" in error.message
    assert "No model makes videos here" in error.hint
    with pytest.raises(InvalidRequestError, match="backend='gemini'"):
        CATALOG.default_model("video", "cliproxy")


def test_model_of_the_other_kind_is_refused() -> None:
    error = refusal("gemini-omni-1.2-flash", "image", "gemini")
    assert (error.code, error.hint) == ("wrong_kind", "Use model='gemini-nano-banana-2.1'.")
    assert refusal("nano-banana-pro", "video", "vertex").code == "wrong_kind"


@pytest.mark.parametrize("kind", ["image", "video"])
@pytest.mark.parametrize("surface", SURFACES)
def test_unknown_model_passes_with_a_warning(kind: Any, surface: Any) -> None:
    found = CATALOG.find("gemini-next-7", kind, surface, TODAY)
    assert (found.spec.id, found.spec.kind) == ("gemini-next-7", kind)
    assert found.spec.durations_for("text_to_video") == ()
    assert found.spec.typical_seconds_for("1K") > 0
    (warning,) = found.warnings
    assert "not in the catalogue (as of 2026-11-21); passed through unchecked" in warning


def test_mistyped_model_is_told_the_likely_one() -> None:
    (warning,) = CATALOG.find("gemini-omni-1.2-flahs", "video", "gemini", TODAY).warnings
    assert "Did you mean 'gemini-omni-1.2-flash'?" in warning


@pytest.mark.parametrize(("alias", "model"), CATALOG.aliases.items())
def test_alias_resolves_to_a_living_model_as_an_adjustment(alias: Any, model: Any) -> None:
    (spec,) = [living for living in LIVING if living.id == model]
    surface = next(surface for surface in SURFACES if spec.serves(surface))
    found = CATALOG.find(alias, spec.kind, surface, TODAY)
    assert found.spec.id == model
    (adjustment,) = found.adjustments
    assert (adjustment.field, adjustment.from_value, adjustment.to_value) == ("model", alias, model)
    assert adjustment.reason == "short name of the model"
    assert alias not in {row.id for row in CATALOG.models()}


@pytest.mark.parametrize("written", ["models/gemini-3-pro-image", "Gemini-3-Pro-Image", " gemini-3-pro-image"])
def test_other_spelling_of_an_id_is_an_adjustment(written: Any) -> None:
    found = CATALOG.find(written, "image", "gemini", TODAY)
    assert found.spec.id == "gemini-3-pro-image"
    assert found.adjustments[0].from_value == written
    assert found.adjustments[0].reason == "Google writes it this way"


def test_exact_id_needs_no_adjustment() -> None:
    found = CATALOG.find("gemini-nano-banana-2.1", "image", "gemini", TODAY)
    assert (found.adjustments, found.warnings) == ((), ())


@pytest.mark.parametrize(
    ("model", "kind", "surface", "instead"),
    [
        ("gemini-3.1-flash-image", "image", "gemini", "gemini-nano-banana-2.1"),
        ("veo-3.1-generate-001", "video", "vertex", "gemini-omni-1.1-flash"),
        ("gemini-omni-flash-preview", "video", "vertex", "gemini-omni-1.1-flash"),
    ],
)
@pytest.mark.parametrize("today", [TODAY, date(2030, 1, 1)])
def test_disputed_model_passes_with_a_warning(model: Any, kind: Any, surface: Any, instead: Any, today: Any) -> None:
    (warning,) = CATALOG.find(model, kind, surface, today).warnings
    assert "Sources disagree" in warning
    assert instead in warning


def test_model_past_its_guarantee_passes_with_a_warning() -> None:
    assert CATALOG.find("gemini-3-pro-image", "image", "vertex", date(2027, 5, 27)).warnings == ()
    (warning,) = CATALOG.find("gemini-3-pro-image", "image", "vertex", date(2027, 5, 28)).warnings
    assert "only until 2027-05-28" in warning


@pytest.mark.parametrize(
    ("kind", "surface", "model"),
    [
        ("image", "gemini", "gemini-nano-banana-2.1"),
        ("image", "vertex", "gemini-nano-banana-2.1"),
        ("image", "cliproxy", "gemini-3.1-flash-image"),
        ("video", "gemini", "gemini-omni-1.2-flash"),
        ("video", "vertex", "veo-3.1-generate-001"),
    ],
)
def test_default_model_is_the_newest_that_fits(kind: Any, surface: Any, model: Any) -> None:
    assert CATALOG.default_model(kind, surface).id == model
    assert CATALOG.find(model, kind, surface, TODAY).spec == CATALOG.default_model(kind, surface)


def test_models_can_be_narrowed_by_kind_and_surface() -> None:
    assert {spec.kind for spec in CATALOG.models("image")} == {"image"}
    assert all("cliproxy" in spec.surfaces for spec in CATALOG.models(surface="cliproxy"))
    assert len(CATALOG.models()) == len({spec.id for spec in CATALOG.models()})
    assert len(CATALOG.models("image")) + len(CATALOG.models("video")) == len(CATALOG.models())


@pytest.mark.parametrize(
    ("ratio", "size", "pixels"),
    [
        ("1:1", "1K", (1024, 1024)), ("1:1", "2K", (2048, 2048)), ("1:1", "4K", (4096, 4096)),
        ("1:1", "512", (512, 512)), ("16:9", "1K", (1376, 768)), ("16:9", "2K", (2752, 1536)),
        ("9:16", "1K", (768, 1376)), ("2:3", "1K", (848, 1264)), ("3:4", "1K", (896, 1200)),
        ("4:5", "1K", (928, 1152)), ("21:9", "4K", (6336, 2688)), ("1:8", "512", (192, 1536)),
        ("8:1", "1K", (3072, 384)), ("7:5", "1K", None), ("1:1", "3K", None),
    ],
)  # fmt: skip
def test_pixel_size_follows_googles_table(ratio: Any, size: Any, pixels: Any) -> None:
    assert CATALOG.default_model("image", "gemini").pixel_size(ratio, size) == pixels


def test_pixel_size_is_unknown_where_the_model_has_not_the_size() -> None:
    lite = CATALOG.find("gemini-3.1-flash-lite-image", "image", "gemini", TODAY).spec
    assert lite.pixel_size("1:1", "1K") == (1024, 1024)
    assert lite.pixel_size("1:1", "2K") is None
    assert CATALOG.default_model("video", "gemini").pixel_size("16:9", "1K") is None


def test_packaged_catalogue_is_read_once() -> None:
    assert Catalog.load() is Catalog.load()


def test_importing_reads_no_file_and_loads_no_pydantic() -> None:
    code = "import sys, mediagen.catalog, mediagen.pricing; print({'pydantic', 'tomllib'} & set(sys.modules))"
    # Coverage, when it is on, imports modules of its own.
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60, env=plain
    )
    assert result.stdout.strip() == "set()"
