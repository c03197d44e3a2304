"""Every mode, model and surface: what is possible reaches the API with the right body, what is not sends nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import paid
from tests.generator.planning import (
    FAST_VEO,
    LITE_VEO,
    OMNI_11,
    OMNI_12,
    VEO,
    both,
    change_of,
    make_clip,
    plan_clip,
    plan_image,
    vertex,
    write_config,
)

from mediagen.app.app import App, open_app
from mediagen.catalog import Catalog
from mediagen.catalog.matrix import Cell, cells
from mediagen.errors import InvalidRequestError, MediaGenError
from mediagen.modes import MODES
from mediagen.report.job import JobReport
from mediagen.requests import ExtendVideoRequest, GenerateVideoRequest
from mediagen.settings import Settings

MakeSettings = Callable[..., Settings]
CATALOG = Catalog.load()
CELLS = tuple(cells(CATALOG, MODES, CATALOG.as_of))
POSSIBLE = [cell for cell in CELLS if cell.way]
REFUSED = [cell for cell in CELLS if not cell.way]
FIRST_OF_API = {(cell.spec.api, cell.mode): cell for cell in reversed(POSSIBLE)}

# The least that each mode needs.
INPUTS: dict[str, dict[str, Any]] = {
    "text_to_video": {},
    "image_to_video": {"image": "cat.png"},
    "first_last_frames": {"image": "cat.png", "last_frame": "cat.png"},
    "reference_asset": {"reference_images": ["cat.png", "cat.png:asset"]},
    "reference_style": {"reference_images": ["cat.png:style"]},
    "video_extension": {"source": "clip.mp4"},
    "insert_objects": {"video": "clip.mp4", "mask": "cat.png", "mask_mode": "insert"},
    "remove_objects": {"video": "clip.mp4", "mask": "cat.png", "mask_mode": "remove"},
    "video_edit": {"video": "clip.mp4"},
    "remix": {"remix_from": "clip.mp4", "remix_start": "0:01", "remix_last_frame": True},
}
KEEP = "Keep everything else the same."
# Task, kinds of content and prompt of each mode on Omni, written down by hand.
OMNI_BODIES: dict[str, tuple[str | None, list[str], str]] = {
    "text_to_video": ("text_to_video", [], "waves"),
    "image_to_video": ("image_to_video", ["image"], "<FIRST_FRAME> waves"),
    "first_last_frames": (
        None,
        ["image", "image"],
        "[# Sources <FIRST_FRAME>@Image1 <LAST_FRAME>@Image2] waves",
    ),
    "reference_asset": (
        "reference_to_video",
        ["image", "image"],
        "[# References <IMAGE_REF_0>@Image1 <IMAGE_REF_1>@Image2] waves",
    ),
    "reference_style": ("reference_to_video", ["image"], "waves\n\nIn the style of <IMAGE_REF_0>."),
    "video_extension": ("extend", ["video"], "waves"),
    "insert_objects": (
        "edit",
        ["video", "image"],
        f"Insert into the video, only inside the white area of the mask <IMAGE_REF_0>: waves\n\n{KEEP}",
    ),
    "remove_objects": (
        "edit",
        ["video", "image"],
        "Remove from the video, only inside the white area of the mask <IMAGE_REF_0>: waves\n\n"
        f"Show what would be behind it. {KEEP}",
    ),
    "video_edit": ("edit", ["video"], "waves"),
    "remix": (None, ["image", "image"], "[# Sources <FIRST_FRAME>@Image1 <LAST_FRAME>@Image2] waves"),
}
# Fields of an instance besides the prompt, and the length.
VEO_BODIES: dict[str, tuple[set[str], int]] = {
    "text_to_video": (set(), 8),
    "image_to_video": ({"image"}, 8),
    "first_last_frames": ({"image", "lastFrame"}, 8),
    "reference_asset": ({"referenceImages"}, 8),
    "video_extension": ({"video"}, 7),
    "remix": ({"image", "lastFrame"}, 8),
}


def name_of(cell: Cell) -> str:
    return f"{cell.mode}-{cell.spec.id}-{cell.surface}"


async def ask(app: App, cell: Cell, **values: Any) -> JobReport:
    given = {"prompt": "waves", "model": cell.spec.id, "backend": cell.surface, **INPUTS[cell.mode], **values}
    if cell.mode == "video_extension":
        return await app.generator.extend_video(ExtendVideoRequest.model_validate(given))
    return await app.generator.generate_video(GenerateVideoRequest.model_validate(given))


def check_body(cell: Cell, body: dict[str, Any]) -> None:
    if cell.spec.api == "predict_long_running":
        fields, seconds = VEO_BODIES[cell.mode]
        assert body["instances"][0].keys() == {"prompt", *fields}
        assert body["instances"][0]["prompt"] == "waves"
        assert body["parameters"]["durationSeconds"] == seconds
        kinds = [item["referenceType"] for item in body["instances"][0].get("referenceImages", ())]
        assert set(kinds) <= {"ASSET"}
        return
    task, kinds, prompt = OMNI_BODIES[cell.mode]
    assert body["generation_config"]["video_config"]["task"] == task if task else "generation_config" not in body
    content = (
        [{"type": "text", "text": body["input"]}] if isinstance(body["input"], str) else body["input"][0]["content"]
    )
    assert [item["type"] for item in content] == [*kinds, "text"]
    assert content[-1]["text"] == prompt
    # An edited clip keeps length and shape of its source.
    assert ("duration" in body["response_format"]) == (task != "edit")
    assert ("aspect_ratio" in body["response_format"]) == (task != "edit")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", width=1280, height=720, seconds=4)


@pytest.fixture
def everything(clip: Path, work: Path, emulator, make_settings: MakeSettings) -> Settings:
    """All surfaces, and a clip in the working directory."""
    (work / "clip.mp4").write_bytes(clip.read_bytes())
    return make_settings(**both(emulator.url), CLIPROXY_BASE_URL=f"{emulator.url}/cliproxy", CLIPROXY_API_KEY="local")


async def test_every_possible_cell_makes_the_body_of_its_mode(everything: Settings, emulator):
    async with open_app(everything) as app:
        for cell in POSSIBLE:
            report = await ask(app, cell, dry_run=True)
            assert report.request is not None, name_of(cell)
            check_body(cell, report.request)
            assert (report.mode, report.effective["mode"]) == (cell.mode, cell.mode)
            taken = "first_last_frames" if cell.mode == "remix" else cell.way
            assert report.effective.get("way", cell.mode) == taken
            assert change_of(report, "mode") == (None if taken == cell.mode else (cell.mode, taken))
    assert len(POSSIBLE) == 4 * 10 + 2 * 6 + 4
    assert emulator.requests() == []


async def test_every_refused_cell_sends_nothing(everything: Settings, emulator):
    async with open_app(everything) as app:
        for cell in REFUSED:
            with pytest.raises(MediaGenError) as refused:
                await ask(app, cell)
            assert refused.value.hint, name_of(cell)
            assert refused.value.billed == "no"
    assert len(REFUSED) == 5 * 3 * 10 - len(POSSIBLE)
    assert emulator.requests() == []


@pytest.mark.parametrize("cell", FIRST_OF_API.values(), ids=name_of)
async def test_mode_is_really_made_once(cell: Cell, everything: Settings, emulator):
    small = {"resolution": "360p"} if cell.spec.api == "interactions" else {}
    short = {} if cell.way == "video_edit" or cell.spec.api != "interactions" else {"duration_seconds": 3}
    async with open_app(everything) as app:
        report = await ask(app, cell, wait_seconds=60, **small, **short)
    assert report.status == "succeeded", report.error
    assert paid(emulator) == 1
    (sent,) = [
        found["body"]
        for found in emulator.requests()
        if found["method"] == "POST" and found["path"].endswith(("/interactions", ":predictLongRunning"))
    ]
    check_body(cell, sent)
    assert "taken when the job is sent" not in str(sent)


@pytest.mark.parametrize(
    ("mode", "backend", "model", "named"),
    [
        ("reference_style", "vertex", VEO, OMNI_12),
        ("insert_objects", "vertex", FAST_VEO, OMNI_12),
        ("reference_asset", "vertex", LITE_VEO, OMNI_12),
    ],
)
async def test_model_that_cannot_is_refused_with_one_that_can(everything, emulator, mode, backend, model, named):
    async with open_app(everything) as app:
        with pytest.raises(InvalidRequestError) as refused:
            await plan_clip(app, **INPUTS[mode], backend=backend, model=model)
    assert refused.value.hint == f"Use model={named!r}."
    assert refused.value.code == "mode_not_supported"


async def test_default_that_does_not_do_the_mode_gives_way_and_says_so(everything, emulator):
    async with open_app(everything) as app:
        plain = await plan_clip(app, video="clip.mp4", backend="vertex")
        preset = await plan_clip(app, video="clip.mp4", backend="vertex", preset="quality")
    assert (plain.model, plain.origins["model"], change_of(plain, "model")) == (OMNI_11, "default", (VEO, OMNI_11))
    assert any(f"{VEO} cannot be used here" in warning for warning in plain.warnings)
    assert (preset.model, change_of(preset, "model")) == (OMNI_11, (VEO, OMNI_11))


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"mode": "image_to_video"}, "mode", "needs: image."),
        ({"mode": "reference_style", "reference_images": ["cat.png"]}, "mode", "PATH:style"),
        ({"mode": "remix", "image": "cat.png"}, "mode", "needs: remix_from"),
        ({"mode": "video_edit", "video": "clip.mp4", "mask_mode": "insert"}, "mode", "outpaint"),
        ({"mode": "video_extension"}, "mode", "extend_video"),
        ({"reference_images": ["a:asset", "b:style"]}, "reference_images", "does not support this mix"),
        ({"reference_images": ["a:style", "b:style"]}, "reference_images", "allowed: 1"),
        ({"reference_images": ["cat.png"] * 7}, "reference_images", "at most 6"),
        ({"mask": "cat.png"}, "mask", "needs video"),
        ({"mask_mode": "insert"}, "mask_mode", "needs video"),
        ({"remix_start": "1"}, "remix_start", "needs remix_from"),
        ({"last_frame": "cat.png"}, "last_frame", "needs image"),
        ({"video": "clip.mp4", "image": "cat.png"}, "video", "cannot be combined with image"),
        ({"video": "clip.mp4", "last_frame": "cat.png"}, "video", "cannot be combined with last_frame"),
        ({"remix_from": "clip.mp4", "video": "clip.mp4"}, "remix_from", "cannot be combined with video"),
        ({"remix_from": "clip.mp4", "remix_start": "0:04"}, "remix_start", "lasts 4.00 s"),
        ({"remix_from": "clip.mp4", "remix_start": "2", "remix_end": "1.5"}, "remix_end", "not after"),
        ({"remix_from": "clip.mp4", "remix_end": "soon"}, "remix_end", "no time"),
        ({"remix_from": "clip.mp4", "remix_end": "1", "remix_last_frame": False}, "remix_end", "is false"),
        ({"remix_from": "clip.mp4", "remix_start": "last", "remix_end": "3"}, "remix_end", "nothing comes after"),
        ({"remix_from": "clip.mp4", "remix_start": "last", "remix_last_frame": True}, "remix_last_frame", "nothing"),
        ({"remix_from": "http://example.com/clip.mp4"}, "remix_from", "not encrypted"),
        ({"video": "http://example.com/clip.mp4"}, "video", "not encrypted"),
        ({"video": "data:video/mp4;base64,AAAA"}, "video", "data: URI"),
        ({"video": "clip.mp4", "prompt": None}, "prompt", "missing"),
        ({"video": "clip.mp4", "duration_seconds": 9}, "duration_seconds", "allowed: 4"),
        ({"video": "clip.mp4", "aspect_ratio": "9:16"}, "aspect_ratio", "keeps its shape"),
        ({"video": "cat.png"}, "video", "no video that can be used"),
    ],
)
async def test_inputs_that_do_not_go_together_are_refused(everything, emulator, values, field, words):
    async with open_app(everything) as app:
        with pytest.raises(InvalidRequestError) as refused:
            await plan_clip(app, **values)
    assert refused.value.field == field
    assert words in str(refused.value)
    assert emulator.requests() == []


@pytest.mark.parametrize(("seconds", "is_fine"), [(2, False), (3, True), (10, True), (11, False)])
async def test_length_of_the_video_to_edit_is_checked(everything, emulator, work: Path, seconds, is_fine):
    make_clip(work / "other.mp4", seconds=seconds)
    async with open_app(everything) as app:
        if is_fine:
            report = await plan_clip(app, video="other.mp4", model=OMNI_11)
            assert report.effective["duration_seconds"] == seconds
            assert "s of source video" in report.quote.basis
            return
        with pytest.raises(InvalidRequestError, match=r"takes 3 to 10 s.*trim_video"):
            await plan_clip(app, video="other.mp4", model=OMNI_11)


async def test_mode_can_say_what_an_edit_without_mask_is(everything, emulator):
    async with open_app(everything) as app:
        report = await plan_clip(app, video="clip.mp4", mode="remove_objects", prompt="the boat")
        masked = await plan_clip(app, video="clip.mp4", mask="cat.png", mask_mode="remove", prompt=None)
        wide = await plan_clip(app, video="clip.mp4", mask="cat.png", mask_mode="outpaint", prompt="more sea")
    assert report.effective["prompt_sent"].startswith("Remove from the video: the boat\n\n")
    assert masked.effective["prompt_sent"].startswith("Remove from the video, only inside the white area of the mask")
    assert wide.effective["prompt_sent"].startswith("Widen the picture of the video beyond its edges, only inside the")
    assert (wide.mode, change_of(wide, "mask_mode")) == ("video_edit", ("outpaint", "said in the prompt"))
    assert ("mask", "reference picture") in [(item.from_, item.to) for item in wide.adjustments if item.field == "mask"]


async def test_picture_in_an_edit_keeps_its_number_before_the_mask(everything, emulator):
    async with open_app(everything) as app:
        report = await plan_clip(
            app, video="clip.mp4", reference_images=["cat.png"], mask="cat.png", mask_mode="insert", prompt="the cat"
        )
    assert report.effective["reference_images"] == 2
    assert report.effective["prompt_sent"].startswith(
        "[# References <IMAGE_REF_0>@Image1 <IMAGE_REF_1>@Image2] Insert into the video, only inside the white area of "
        "the mask <IMAGE_REF_1>: the cat"
    )


async def test_prompt_that_needs_no_tags_is_not_shown_twice(everything, emulator):
    async with open_app(everything) as app:
        plain = await plan_clip(app)
        own = await plan_clip(app, reference_images=["cat.png:style"], prompt="as <IMAGE_REF_0> is painted")
    assert "prompt_sent" not in plain.effective
    assert "prompt_sent" not in own.effective


async def test_remix_of_a_dry_run_takes_no_frame_and_says_where_it_would(everything, emulator, monkeypatch):
    monkeypatch.setenv("PATH", "")
    async with open_app(everything) as app:
        report = await plan_clip(app, remix_from="clip.mp4", remix_start="1.5", remix_end="0:03", prompt=None)
    assert report.request is not None
    content = report.request["input"][0]["content"]
    assert [item.get("data") for item in content[:2]] == [
        "(the frame at 1.5 s, taken when the job is sent)",
        "(the frame at 3 s, taken when the job is sent)",
    ]
    assert report.effective["aspect_ratio"] == "16:9"


async def test_clip_of_an_earlier_job_is_edited_and_remixed_by_its_id(everything, emulator):
    async with open_app(everything) as app:
        first = await app.generator.generate_video(
            GenerateVideoRequest.model_validate({"prompt": "sea", "duration_seconds": 3, "resolution": "360p"})
        )
        edited = await app.generator.generate_video(
            GenerateVideoRequest.model_validate({"prompt": "at night", "video": first.job_id, "resolution": "360p"})
        )
        parent = (await app.generator.ledger.get(edited.job_id or "")).parent_job_id
        remixed = await plan_clip(app, remix_from=first.artifacts[0].uri)
    assert edited.effective["source_seconds"] == pytest.approx(3, abs=0.1)
    assert edited.origins["duration_seconds"] == "source"
    assert (edited.status, parent) == ("succeeded", first.job_id)
    assert remixed.mode == "remix"


async def test_bucket_video_is_edited_where_it_lies_on_vertex(everything, emulator):
    async with open_app(everything) as app:
        report = await plan_clip(app, video="gs://films/in.mp4", backend="vertex", model=OMNI_11)
        fetched = await plan_clip(app, video="gs://films/in.mp4", backend="gemini")
    assert "gs://films" not in str(fetched.request)
    assert report.request is not None
    assert report.request["input"][0]["content"][0]["uri"] == "gs://films/in.mp4"
    for shown in (report, fetched):
        assert any("length of the video is not known" in warning for warning in shown.warnings)
        assert any("checked when the job is sent" in warning for warning in shown.warnings)
    assert emulator.requests() == []


@pytest.mark.parametrize(
    ("given", "path", "role"),
    [
        ("a.png", "a.png", "asset"),
        ("a.png:style", "a.png", "style"),
        ("a.png:asset", "a.png", "asset"),
        (r"C:\p\i.png", r"C:\p\i.png", "asset"),
        (r"C:\p\i.png:style", r"C:\p\i.png", "style"),
        ("C:style", "C", "style"),
        ("gs://b/i.png", "gs://b/i.png", "asset"),
        ("gs://b/i.png:style", "gs://b/i.png", "style"),
        ("https://x.test:8443/i.png", "https://x.test:8443/i.png", "asset"),
        ("https://x.test:8443/i.png:style", "https://x.test:8443/i.png", "style"),
        ("https://x.test/i.png?t=1:2", "https://x.test/i.png?t=1:2", "asset"),
        ("data:image/png;base64,AAAA", "data:image/png;base64,AAAA", "asset"),
        ("data:image/png;base64,AAAA:style", "data:image/png;base64,AAAA", "style"),
        ("a:Style", "a:Style", "asset"),
        (":style", ":style", "asset"),
    ],
)
def test_role_is_what_stands_behind_the_last_colon(given: str, path: str, role: str):
    from mediagen.modes import split_role

    assert split_role(given) == (path, role)


@pytest.mark.parametrize(
    ("preset", "backend", "expected"),
    [
        ("quick", "gemini", (OMNI_12, "720p", 5)),
        ("quick", "vertex", (FAST_VEO, "720p", 6)),
        ("quality", "gemini", (OMNI_12, "1080p", 8)),
        ("quality", "vertex", (VEO, "1080p", 8)),
        ("budget", "gemini", (OMNI_12, "360p", 5)),
        ("budget", "vertex", (LITE_VEO, "720p", 4)),
        ("extend", "gemini", (OMNI_12, "720p", 7)),
        ("quick", "auto", (OMNI_12, "720p", 5)),
    ],
)
async def test_preset_that_comes_along_has_values_for_the_surface(everything, emulator, preset, backend, expected):
    async with open_app(everything) as app:
        report = await plan_clip(app, preset=preset, backend=backend)
    effective = report.effective
    assert (effective["model"], effective["resolution"], effective["duration_seconds"]) == expected
    assert report.adjustments == []


async def test_what_is_said_wins_over_a_preset_and_what_does_not_fit_the_mode_gives_way(everything, emulator):
    async with open_app(everything) as app:
        said = await plan_clip(app, preset="quick", duration_seconds=9, model=OMNI_11)
        references = await plan_clip(app, preset="quick", backend="vertex", reference_images=["cat.png"])
        lite = await plan_clip(app, preset="budget", backend="vertex", reference_images=["cat.png"])
        with pytest.raises(InvalidRequestError, match=r"duration_seconds=6 .* allowed: 8"):
            await plan_clip(app, model=VEO, reference_images=["cat.png"], duration_seconds=6)
        picture = await plan_image(app, preset="budget")
    assert (said.effective["model"], said.effective["duration_seconds"]) == (OMNI_11, 9)
    assert change_of(references, "duration_seconds") == (6, 8)
    assert change_of(lite, "model") == (LITE_VEO, VEO)
    assert picture.effective["model"] == "gemini-3.1-flash-lite-image"


async def test_preset_of_the_file_wins_over_the_one_that_comes_along(make_settings, emulator, work: Path):
    write_config(work, "[presets.quick]\nkind = 'video'\nduration_seconds = 3\n")
    async with open_app(make_settings()) as app:
        clip = await plan_clip(app, preset="quick")
        picture = await plan_image(app, preset="quick")
    assert (clip.effective["duration_seconds"], clip.origins["duration_seconds"]) == (3, "profile")
    assert picture.effective["thinking_level"] == "minimal"


async def test_duration_that_veo_does_not_make_is_refused_and_not_rounded(everything, emulator):
    async with open_app(everything) as app:
        with pytest.raises(InvalidRequestError, match="allowed: 4, 6, 8") as refused:
            await plan_clip(app, model=VEO, duration_seconds=5)
    assert "duration_seconds=6" in str(refused.value.hint)


async def test_preset_models_live_and_their_values_are_allowed(make_settings, emulator, work: Path):
    from mediagen.presets import built_in_presets

    found = 0
    async with open_app(make_settings(**vertex(emulator.url))) as app:
        for name, preset in built_in_presets("image").items():
            assert preset.on("image", "vertex"), name
            report = await plan_image(app, preset=name)
            assert report.adjustments == []
            found += 1
    assert found == 3
