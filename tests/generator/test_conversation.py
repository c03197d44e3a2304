"""Pictures over several turns: the whole conversation is sent again, across restarts, and told when it cannot be."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import paid

from mediagen.app.app import App, open_app
from mediagen.errors import InvalidRequestError, JobNotFoundError, StorageError
from mediagen.report.job import JobReport
from mediagen.requests import GenerateImageRequest, GenerateVideoRequest
from mediagen.settings import Settings

MakeSettings = Callable[..., Settings]


async def image(app: App, **values: Any) -> JobReport:
    return await app.generator.generate_image(GenerateImageRequest.model_validate({"prompt": "a red fox", **values}))


def sent(emulator: Any) -> list[dict[str, Any]]:
    bodies = [request["body"] for request in emulator.requests() if request["path"].endswith(":generateContent")]
    contents: list[dict[str, Any]] = bodies[-1]["contents"]
    return contents


async def test_second_turn_replays_the_first_with_its_picture_and_signature(make_settings: MakeSettings, emulator):
    async with open_app(make_settings()) as app:
        first = await image(app, aspect_ratio="3:2")
        second = await image(app, prompt="now in snow", continue_from=first.job_id)
        third = await image(app, prompt="and at night", continue_from=second.job_id)
    assert (first.status, second.status, third.status) == ("succeeded",) * 3
    assert second.mode == "image_edit"
    turns = sent(emulator)
    assert [turn["role"] for turn in turns] == ["user", "model", "user", "model", "user"]
    assert [turn["parts"][-1].get("text") for turn in turns if turn["role"] == "user"] == [
        "a red fox",
        "now in snow",
        "and at night",
    ]
    for turn in turns:
        if turn["role"] == "model":
            assert any("inlineData" in part for part in turn["parts"])
            assert any("thoughtSignature" in part for part in turn["parts"])
    assert paid(emulator) == 3


async def test_conversation_goes_on_after_a_restart(make_settings: MakeSettings, emulator, work: Path):
    async with open_app(make_settings()) as app:
        first = await image(app, input_images=[str(work / "cat.png")])
    async with open_app(make_settings()) as app:
        second = await image(app, prompt="bluer", continue_from=first.artifacts[0].uri)
    assert second.status == "succeeded"
    turns = sent(emulator)
    assert [turn["role"] for turn in turns] == ["user", "model", "user"]
    assert "inlineData" in turns[0]["parts"][0]


async def test_model_and_size_are_taken_over_unless_named(make_settings: MakeSettings):
    async with open_app(make_settings()) as app:
        first = await image(app, model="gemini-3-pro-image", image_size="2K", aspect_ratio="3:2")
        same = await image(app, prompt="x", continue_from=first.job_id, dry_run=True)
        other = await image(app, prompt="x", continue_from=first.job_id, image_size="1K", dry_run=True)
    assert (same.model, same.effective["image_size"]) == ("gemini-3-pro-image", "2K")
    assert (same.origins["model"], same.origins["image_size"]) == ("source", "source")
    assert (other.effective["image_size"], other.origins["image_size"]) == ("1K", "explicit")


async def test_another_model_gets_the_picture_alone_and_says_so(make_settings: MakeSettings, emulator):
    async with open_app(make_settings()) as app:
        first = await image(app)
        second = await image(app, prompt="x", continue_from=first.job_id, model="gemini-3-pro-image")
    assert second.status == "succeeded"
    assert any(change.field == "continue_from" for change in second.adjustments)
    (turn,) = sent(emulator)
    assert ["inlineData" in part for part in turn["parts"]] == [True, False]


async def test_dry_run_of_a_second_turn_shows_the_turns_shortened(make_settings: MakeSettings, emulator):
    async with open_app(make_settings()) as app:
        first = await image(app)
        before = len(emulator.requests())
        dry = await image(app, prompt="x", continue_from=first.job_id, dry_run=True)
    assert dry.request is not None
    assert len(dry.request["contents"]) == 3
    assert len(json.dumps(dry.request)) < 20_000
    assert len(emulator.requests()) == before


async def test_one_of_several_pictures_has_to_be_named(make_settings: MakeSettings, emulator):
    async with open_app(make_settings()) as app:
        first = await image(app, count=2)
        with pytest.raises(InvalidRequestError, match="made 2 pictures") as caught:
            await image(app, prompt="x", continue_from=first.job_id)
        assert first.artifacts[1].uri in str(caught.value)
        second = await image(app, prompt="x", continue_from=first.artifacts[1].uri)
    assert second.status == "succeeded"
    assert paid(emulator) == 3


async def test_what_cannot_be_gone_on_with_is_refused_unpaid(make_settings: MakeSettings, emulator, tmp_path: Path):
    settings = make_settings()
    async with open_app(settings) as app:
        clip = await app.generator.generate_video(
            GenerateVideoRequest.model_validate({"prompt": "x", "duration_seconds": 3, "resolution": "360p"})
        )
        failed = await image(app, prompt="x [[fault:IMAGE_SAFETY]]")
        first = await image(app)
        before = paid(emulator)
        with pytest.raises(JobNotFoundError):
            await image(app, continue_from="job_none")
        with pytest.raises(InvalidRequestError, match="made a clip"):
            await image(app, continue_from=clip.job_id)
        with pytest.raises(InvalidRequestError, match="filtered"):
            await image(app, continue_from=failed.job_id)
        (kept,) = settings.folder_for_state().joinpath("conversations").glob(f"{first.job_id}-*")
        kept.write_bytes(b"damaged")
        with pytest.raises(StorageError, match="cannot be read"):
            await image(app, continue_from=first.job_id)
        kept.unlink()
        with pytest.raises(InvalidRequestError, match="not kept") as caught:
            await image(app, continue_from=first.job_id)
        assert first.artifacts[0].uri in str(caught.value)
    assert paid(emulator) == before


async def test_picture_is_kept_when_its_conversation_cannot_be(make_settings: MakeSettings, emulator):
    settings = make_settings()
    settings.folder_for_state().mkdir(parents=True)
    settings.folder_for_state().joinpath("conversations").write_text("in the way")
    async with open_app(settings) as app:
        report = await image(app)
    assert report.status == "succeeded"
    assert any("continue_from" in warning for warning in report.warnings)


async def test_kept_conversation_is_for_this_user_alone(make_settings: MakeSettings):
    settings = make_settings()
    async with open_app(settings) as app:
        await image(app)
    folder = settings.folder_for_state() / "conversations"
    (kept,) = folder.iterdir()
    assert folder.stat().st_mode & 0o077 == 0
    assert json.loads(kept.read_bytes())[-1]["role"] == "model"
