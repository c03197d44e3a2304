"""What is named where a clip cannot be extended: a new clip on its last frame, with a price that holds."""

from pathlib import Path

import pytest
from tests.conftest import paid
from tests.generator.planning import VEO, MakeSettings, both, extend, make_clip

from mediagen.app.app import open_app
from mediagen.emulator.thread import EmulatorHandle
from mediagen.errors import InvalidRequestError
from mediagen.requests import GenerateVideoRequest
from mediagen.settings import Settings


@pytest.fixture
def settings(emulator: EmulatorHandle, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator.url)
    return make_settings(**both(emulator.url))


async def test_refusal_of_the_region_names_a_new_clip_whose_price_holds(settings, emulator, work: Path):
    make_clip(work / "beach.mp4", width=1280, height=720, seconds=4)
    emulator.add_fault(fault="region")
    async with open_app(settings) as app:
        report = await extend(app, "beach.mp4", backend="gemini", resolution="720p")
        assert report.error is not None
        assert (report.status, report.error.code, report.error.billed) == ("failed", "region_refused", "no")
        assert report.next is not None
        assert report.next.tool == "generate_video"
        assert report.next.arguments["remix_start"] == "last"
        instead = await app.generator.generate_video(GenerateVideoRequest.model_validate(report.next.arguments))
    assert instead.status == "succeeded", instead.error
    assert instead.effective["source_frame"] == "last"
    assert f"${instead.quote.usd:.2f}" in report.next.reason
    assert paid(emulator) == 1  # the new clip; the refusal was not


async def test_expired_file_is_refused_with_the_priced_other_way_and_nothing_is_sent(settings, emulator):
    gone = f"{emulator.url}/v1beta/files/gone123"
    async with open_app(settings) as app:
        with pytest.raises(InvalidRequestError) as raised:
            await extend(app, gone, backend="gemini")
    assert raised.value.code == "source_expired"
    assert "48 hours" in raised.value.message
    assert "remix_start='last'" in raised.value.hint
    assert "for about $" in raised.value.hint
    assert paid(emulator) == 0


async def test_other_failures_of_an_extension_name_no_new_clip(settings, emulator, work: Path):
    make_clip(work / "beach.mp4", width=1280, height=720, seconds=4)
    emulator.add_fault(fault="rai_filtered")
    async with open_app(settings) as app:
        report = await extend(app, "beach.mp4", backend="vertex", model=VEO)
    assert report.status in {"failed", "filtered"}
    assert report.next is None or report.next.tool != "generate_video"
