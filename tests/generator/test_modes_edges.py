"""What lies at the edges of the modes: tags of the caller, limits, lengths and prices, presets, explicit modes."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.generator.planning import (
    OMNI_11,
    OMNI_12,
    VEO,
    both,
    change_of,
    make_clip,
    plan_clip,
    plan_extension,
    write_config,
)

from mediagen.app.app import App, open_app
from mediagen.endpoints.wire.interactions import encode_video
from mediagen.endpoints.wire.media import VideoMedia, WireMedia
from mediagen.errors import InvalidRequestError, MediaGenError
from mediagen.modes import MODES, split_role
from mediagen.presets import built_in_presets
from mediagen.report.job import JobReport
from mediagen.requests import VideoParameters
from mediagen.settings import Settings

Open = Callable[[], Settings]
PICTURE = WireMedia(mime_type="image/png", data=b"x")
RTL = "קוף 🐒 בים"


@pytest.fixture
def everything(work: Path, emulator, make_settings: Callable[..., Settings]) -> Open:
    make_clip(work / "clip.mp4", width=128, height=72, seconds=4)
    return lambda: make_settings(**both(emulator.url))


async def plan(app: App, values: dict[str, Any]) -> JobReport:
    return await (plan_extension(app, **values) if "source" in values else plan_clip(app, **values))


def tagged(prompt: str, **media: Any) -> str:
    parameters = VideoParameters(model=OMNI_12, mode="text_to_video", duration_seconds=8, resolution="720p")
    body = encode_video(parameters, prompt, VideoMedia(**media))
    return str(body["input"][0]["content"][-1]["text"] if isinstance(body["input"], list) else body["input"])


@pytest.mark.parametrize(
    ("prompt", "media", "expected"),
    [
        (RTL, {"first_frame": PICTURE}, f"<FIRST_FRAME> {RTL}"),
        (f"{RTL} <FIRST_FRAME>", {"first_frame": PICTURE}, f"{RTL} <FIRST_FRAME>"),
        (
            "as <IMAGE_REF_0>",
            {"references": (PICTURE, PICTURE)},
            "[# References <IMAGE_REF_0>@Image1 <IMAGE_REF_1>@Image2] as <IMAGE_REF_0>",
        ),
        (
            "[# References <IMAGE_REF_0>@Image1] go",
            {"references": (PICTURE, PICTURE)},
            "[# References <IMAGE_REF_1>@Image2] [# References <IMAGE_REF_0>@Image1] go",
        ),
        (
            RTL,
            {"first_frame": PICTURE, "last_frame": PICTURE, "references": (PICTURE,)},
            f"[# Sources <FIRST_FRAME>@Image1 <LAST_FRAME>@Image2] [# References <IMAGE_REF_0>@Image3] {RTL}",
        ),
        (
            "go",
            {"references": (PICTURE,), "previous_interaction_id": "v1_x"},
            "<PREVIOUS_VIDEO> [# References <IMAGE_REF_0>@Image1] go",
        ),
        (
            "<PREVIOUS_VIDEO> with <IMAGE_REF_0>",
            {"references": (PICTURE,), "previous_interaction_id": "v1_x"},
            "<PREVIOUS_VIDEO> with <IMAGE_REF_0>",
        ),
        ("go", {"previous_interaction_id": "v1_x"}, "go"),
    ],
)
def test_tags_that_are_missing_are_added_once(prompt: str, media: dict[str, Any], expected: str) -> None:
    assert tagged(prompt, **media) == expected
    assert tagged(expected, **media) == expected


@pytest.mark.parametrize(
    ("given", "path", "role"),
    [
        ("a:style:asset", "a:style", "asset"),
        ("cat.png:asset:asset", "cat.png:asset", "asset"),
        ("cat.png:STYLE", "cat.png:STYLE", "asset"),
        ("cat.png: style", "cat.png: style", "asset"),
        ("a b.png:style", "a b.png", "style"),
        ("gs://b/i.png:asset", "gs://b/i.png", "asset"),
        ("gs://b/i.png:80", "gs://b/i.png:80", "asset"),
    ],
)
def test_only_the_role_itself_behind_the_last_colon_is_one(given: str, path: str, role: str) -> None:
    assert split_role(given) == (path, role)


async def test_file_that_is_named_like_a_role_is_reached_with_a_role_behind_it(everything, emulator, work: Path):
    (work / "a:style").write_bytes((work / "cat.png").read_bytes())
    async with open_app(everything()) as app:
        report = await plan_clip(app, reference_images=["a:style:asset"])
        with pytest.raises(InvalidRequestError, match="does not exist"):
            await plan_clip(app, reference_images=["a:style"])
    assert report.mode == "reference_asset"


@pytest.mark.parametrize(
    ("model", "number", "expected"),
    [(OMNI_12, 6, ""), (OMNI_12, 7, "at most 6"), (OMNI_11, 3, ""), (OMNI_11, 4, "advised"), (VEO, 4, "at most 3")],
)
async def test_number_of_references_is_that_of_the_model(everything, emulator, model, number, expected):
    async with open_app(everything()) as app:
        if expected.startswith("at most"):
            with pytest.raises(InvalidRequestError, match=expected):
                await plan_clip(app, model=model, backend="auto", reference_images=["cat.png"] * number)
        else:
            report = await plan_clip(app, model=model, backend="auto", reference_images=["cat.png"] * number)
            assert any("at most 3 are advised" in text for text in report.warnings) == bool(expected)
    assert emulator.requests() == []


@pytest.mark.parametrize(
    ("values", "seconds", "per_second"),
    [
        ({"model": VEO, "duration_seconds": 6}, 6, "0.40"),
        ({"model": VEO, "reference_images": ["cat.png"]}, 8, "0.40"),
        ({"model": VEO, "source": "clip.mp4"}, 7, "0.40"),
        ({"model": VEO, "generate_audio": False}, 8, "0.20"),
        ({"model": VEO, "resolution": "4k"}, 8, "0.60"),
        ({"model": OMNI_12, "duration_seconds": 15}, 15, "0.07"),
        ({"model": OMNI_12, "duration_seconds": 3, "resolution": "4k"}, 3, "0.21"),
    ],
)
async def test_quote_is_made_on_the_effective_length(everything, emulator, values, seconds, per_second):
    async with open_app(everything()) as app:
        report = await plan(app, {"backend": "auto", **values})
    assert report.effective["duration_seconds"] == seconds
    assert report.quote.usd == seconds * Decimal(per_second)


@pytest.mark.parametrize(
    ("values", "allowed"),
    [
        ({"model": VEO, "duration_seconds": 5}, "4, 6, 8"),
        ({"model": VEO, "duration_seconds": 6, "reference_images": ["cat.png"]}, "8"),
        ({"model": VEO, "duration_seconds": 8, "source": "clip.mp4"}, "7"),
        ({"model": OMNI_12, "duration_seconds": 16}, "3 to 15"),
        ({"model": OMNI_12, "duration_seconds": 11, "image": "cat.png", "last_frame": "cat.png"}, "3 to 10"),
        ({"model": OMNI_12, "duration_seconds": 2}, "3 to 15"),
        ({"model": OMNI_11, "duration_seconds": 11}, "3 to 10"),
        ({"model": OMNI_12, "generate_audio": False}, "True"),
        ({"model": VEO, "resolution": "360p"}, "720p, 1080p, 4k"),
        ({"model": VEO, "aspect_ratio": "1:1"}, "16:9, 9:16"),
    ],
)
async def test_value_that_was_asked_for_is_refused_and_not_changed(everything, emulator, values, allowed):
    async with open_app(everything()) as app:
        with pytest.raises(InvalidRequestError, match=f"allowed: {allowed}\\."):
            await plan(app, {"backend": "auto", **values})
    assert emulator.requests() == []


async def test_preset_of_the_file_does_not_give_an_edit_another_length_or_shape(everything, emulator, work: Path):
    write_config(work, "[presets.short]\nduration_seconds = 3\n[presets.tall]\naspect_ratio = '9:16'\n")
    async with open_app(everything()) as app:
        with pytest.raises(InvalidRequestError, match="keeps its length"):
            await plan_clip(app, video="clip.mp4", preset="short")
        with pytest.raises(InvalidRequestError, match="keeps its shape"):
            await plan_clip(app, video="clip.mp4", preset="tall")


@pytest.mark.parametrize("backend", ["gemini", "vertex"])
@pytest.mark.parametrize("preset", built_in_presets("video"))
@pytest.mark.parametrize("source", [None, "clip.mp4"])
async def test_preset_makes_a_request_that_is_valid(everything, emulator, preset, backend, source):
    asked = {"preset": preset, "backend": backend, **({"source": source} if source else {})}
    async with open_app(everything()) as app:
        report = await plan(app, asked)
        short = await plan(app, {**asked, "duration_seconds": report.effective["duration_seconds"], "count": 2})
    assert report.quote.usd
    assert all(item.reason for item in report.adjustments)
    assert change_of(short, "duration_seconds") is None
    assert short.quote.usd == pytest.approx(2 * report.quote.usd, abs=Decimal("0.0002"))
    if preset == "extend":
        assert report.effective["duration_seconds"] == (7 if source or backend == "gemini" else 8)


FITTING: dict[str, dict[str, Any]] = {
    "text_to_video": {},
    "image_to_video": {"image": "cat.png"},
    "first_last_frames": {"image": "cat.png", "last_frame": "cat.png"},
    "reference_asset": {"reference_images": ["cat.png"]},
    "reference_style": {"reference_images": ["cat.png:style"]},
    "insert_objects": {"video": "clip.mp4"},
    "remove_objects": {"video": "clip.mp4"},
    "video_edit": {"video": "clip.mp4"},
    "remix": {"remix_from": "clip.mp4"},
}
ALIKE = {"insert_objects", "remove_objects", "video_edit"}


@pytest.mark.parametrize("mode", MODES)
async def test_explicit_mode_holds_with_its_own_inputs_and_with_no_others(everything, emulator, mode):
    async with open_app(everything()) as app:
        for made_for, values in FITTING.items():
            if made_for == mode or {made_for, mode} <= ALIKE:
                report = await plan_clip(app, mode=mode, **values)
                assert (report.mode, report.origins["mode"]) == (mode, "explicit")
                continue
            with pytest.raises(InvalidRequestError, match=f"mode='{mode}' needs: ") as refused:
                await plan_clip(app, mode=mode, **values)
            assert refused.value.field == "mode"
    assert emulator.requests() == []


async def test_model_outside_of_the_catalogue_that_cannot_be_told_of_a_mask_is_refused(everything, emulator):
    async with open_app(everything()) as app:
        with pytest.raises(InvalidRequestError) as refused:
            await plan_clip(app, model="veo-9", backend="vertex", video="clip.mp4", mask="cat.png", mask_mode="insert")
    assert (refused.value.code, refused.value.hint) == ("mode_not_supported", f"Use model={OMNI_12!r}.")


async def test_frame_and_references_on_veo_are_refused_with_what_helps(everything, emulator):
    async with open_app(everything()) as app:
        with pytest.raises(InvalidRequestError) as refused:
            await plan_clip(app, model=VEO, backend="vertex", image="cat.png", reference_images=["cat.png"])
    assert refused.value.hint == "Leave them out, or leave image and last_frame out."


async def test_dry_run_of_a_remix_misses_the_ffmpeg_that_the_real_call_needs(
    work: Path, emulator, make_settings: Callable[..., Settings]
):
    make_clip(work / "beach.mp4")
    settings = make_settings(**both(emulator.url), MEDIAGEN_FFMPEG="/nonexistent/ffmpeg")
    async with open_app(settings) as app:
        with pytest.raises(MediaGenError) as raised:
            await plan_clip(app, remix_from="beach.mp4")
    assert raised.value.code == "ffmpeg_missing"
