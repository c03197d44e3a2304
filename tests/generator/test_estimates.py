"""estimate_cost: prices of jobs that are not made, with and without credentials."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest

from mediagen.app.app import App, open_app
from mediagen.errors import InvalidRequestError
from mediagen.report.checks import EstimateReport
from mediagen.report.text import estimate_summary
from mediagen.requests import EstimateCostRequest
from mediagen.settings import Settings

VERTEX = {"GOOGLE_ACCESS_TOKEN": "ya29.ready-test", "GOOGLE_CLOUD_PROJECT": "film-project"}
SETTINGS: dict[str, dict[str, str]] = {
    "no credentials": {},
    "gemini": {"GEMINI_API_KEY": "AIza-x"},
    "vertex": VERTEX,
    "express": {"VERTEX_AI_API_KEY": "AQ.x"},
    "proxy": {"CLIPROXY_API_KEY": "proxy-x"},
    "emulator": {"MEDIAGEN_BACKEND": "emulator"},
}


@pytest.fixture
def opened(make_settings: Callable[..., Settings]) -> Callable[..., AbstractAsyncContextManager[App]]:
    @asynccontextmanager
    async def open_with(**changes: str) -> AsyncIterator[App]:
        async with open_app(make_settings(**{"MEDIAGEN_BACKEND": "auto", **changes})) as app:
            yield app

    return open_with


async def estimated(app: App, **arguments: Any) -> EstimateReport:
    return await app.estimates.estimate_cost(EstimateCostRequest.model_validate(arguments))


def price(report: EstimateReport) -> Decimal:
    assert report.quote.usd is not None
    return report.quote.usd


@pytest.mark.parametrize("changes", SETTINGS.values(), ids=SETTINGS.keys())
async def test_price_needs_no_credentials_and_sends_nothing(opened, emulator, changes):
    async with opened(**changes) as app:
        for kind in ("image", "video", "extension"):
            report = await estimated(app, kind=kind)
            assert report.quote.min_usd is not None
            assert report.quote.max_usd is not None
            assert 0 < report.quote.min_usd <= price(report) <= report.quote.max_usd
            assert report.quote.source
            assert report.quote.as_of
            assert ("not configured" in estimate_summary(report).splitlines()[0]) is not report.configured
        is_proxy = "CLIPROXY_API_KEY" in changes
        assert report.configured is bool(changes and not is_proxy)
    assert emulator.requests() == []


async def test_unknown_model_has_no_price(opened):
    async with opened(GEMINI_API_KEY="x") as app:
        report = await estimated(app, kind="video", model="gemini-omni-9")
        elsewhere = await estimated(app, kind="image", model="somebody-elses-model", count=4)
    for found in (report, elsewhere):
        assert (found.quote.usd, found.quote.min_usd, found.quote.max_usd) == (None, None, None)
        assert found.quote.certainty == "unknown"
        assert found.notes == []
    words = estimate_summary(report)
    assert words.startswith("Price unknown")
    assert "$" not in words.splitlines()[0]
    assert any("not in the catalogue" in warning for warning in report.warnings)
    assert report.alternatives


async def test_silent_clips_of_veo_are_cheaper_and_4k_is_dearer(opened):
    async with opened(**VERTEX) as app:
        model = "veo-3.1-generate-001"
        loud = await estimated(app, kind="video", model=model)
        silent = await estimated(app, kind="video", model=model, generate_audio=False)
        large = await estimated(app, kind="video", model=model, resolution="4k")
    assert price(silent) < price(loud) < price(large)
    assert "silent" in estimate_summary(silent).splitlines()[0]
    assert silent.effective["generate_audio"] is False


async def test_several_clips_in_one_call_are_all_counted(opened):
    async with opened(**VERTEX) as app:
        one = await estimated(app, kind="video", model="veo-3.1-generate-001", duration_seconds=4)
        four = await estimated(app, kind="video", model="veo-3.1-generate-001", duration_seconds=4, count=4)
    assert price(four) == 4 * price(one)
    assert (four.unit, four.count, four.units) == ("second", 4, 16)
    assert estimate_summary(four).startswith(f"${four.quote.usd:.2f}: 4 clips of 4 s")


@pytest.mark.parametrize("location", ["europe-west4", "us-central1"])
async def test_regional_locations_cost_a_tenth_more(opened, location):
    async with opened(**VERTEX) as app:
        worldwide = await estimated(app, kind="image", image_size="4K")
    async with opened(**VERTEX, GOOGLE_CLOUD_LOCATION=location) as app:
        regional = await estimated(app, kind="image", image_size="4K")
    assert regional.effective["location"] == location
    assert regional.quote.usd == (price(worldwide) * Decimal("1.1")).quantize(Decimal("0.0001"))
    assert f"location {location}" in regional.quote.basis
    assert "location" in regional.alternatives[0].basis


async def test_what_an_input_picture_adds_is_said(opened):
    async with opened(**VERTEX, GOOGLE_CLOUD_LOCATION="europe-west4") as app:
        regional = await estimated(app, kind="image", model="gemini-nano-banana-2.1")
        several = await estimated(app, kind="image", model="gemini-nano-banana-2.1", count=3)
        free = await estimated(app, kind="video", model="veo-3.1-generate-001")
    row = app.estimates.prices.table.rows["gemini-nano-banana-2.1"]
    assert row.input_image is not None
    added = row.input_image * Decimal("1.1")
    assert regional.notes == [f"Each picture that goes in adds ${added.normalize():f}."]
    assert several.notes[0].endswith("to each of the 3.")
    assert free.notes == []


async def test_alternatives_name_their_backend_and_are_the_configured_ones(opened):
    async with opened(GEMINI_API_KEY="x") as app:
        gemini_only = await estimated(app, kind="video")
    async with opened(GEMINI_API_KEY="x", **VERTEX) as app:
        both = await estimated(app, kind="video")
    assert {other.backend for other in gemini_only.alternatives} == {"gemini"}
    assert both.alternatives[0].model == "veo-3.1-lite-generate-001"
    assert both.alternatives[0].backend == "vertex"
    assert all(other.configured for other in both.alternatives)
    assert len(both.alternatives) == 2
    assert "with veo-3.1-lite-generate-001 on vertex" in estimate_summary(both)


@pytest.mark.parametrize(
    "asked",
    [
        {"kind": "video"},
        {"kind": "video", "resolution": "4k"},
        {"kind": "extension"},
        {"kind": "image", "image_size": "4K"},
    ],
)
@pytest.mark.parametrize("changes", [{"GEMINI_API_KEY": "x"}, VERTEX, {"MEDIAGEN_BACKEND": "emulator"}])
async def test_both_alternatives_to_a_usual_job_are_really_cheaper(opened, changes, asked):
    async with opened(**changes) as app:
        report = await estimated(app, **asked)
    assert len(report.alternatives) == 2
    assert all(other.usd is not None and other.usd < price(report) for other in report.alternatives)


async def test_alternative_costs_what_the_estimate_of_it_says(opened):
    async with opened(GEMINI_API_KEY="x") as app:
        report = await estimated(app, kind="video")
        smaller = await estimated(app, kind="video", resolution="360p")
        shorter = await estimated(app, kind="video", duration_seconds=4)
    assert [(other.usd, other.basis) for other in report.alternatives] == [
        (price(smaller), f"resolution 360p instead of 720p: {smaller.quote.basis}"),
        (price(shorter), f"duration_seconds 4 instead of 8: {shorter.quote.basis}"),
    ]
    assert "resolution 360p instead of 720p" in estimate_summary(report)


async def test_dearer_way_is_named_only_where_two_cheaper_ones_are_missing(opened):
    async with opened(GEMINI_API_KEY="x") as app:
        report = await estimated(app, kind="video", preset="budget")
    shorter, dearer = report.alternatives
    assert [other.usd is not None and other.usd < price(report) for other in report.alternatives] == [True, False]
    assert (shorter.model, dearer.model == report.model) == (report.model, False)


async def test_emulator_offers_what_both_surfaces_have_but_not_the_same_again(opened):
    async with opened(MEDIAGEN_BACKEND="emulator") as app:
        for kind in ("image", "video"):
            report = await estimated(app, kind=kind)
            assert {other.backend for other in report.alternatives} == {"emulator"}
            assert all("instead of" in other.basis for other in report.alternatives if other.model == report.model)
            assert len(report.alternatives) == 2


async def test_doubts_about_an_alternative_are_said(opened):
    async with opened(GEMINI_API_KEY="x") as app:
        report = await estimated(app, kind="image")
    doubtful = [other for other in report.alternatives if other.warnings]
    assert doubtful
    assert f"Doubt: {doubtful[0].warnings[0]}" in estimate_summary(report)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"kind": "image", "resolution": "720p"}, "resolution"),
        ({"kind": "image", "duration_seconds": 5}, "duration_seconds"),
        ({"kind": "video", "image_size": "4K"}, "image_size"),
        ({"kind": "video", "model": "gemini-nano-banana-2.1"}, "model"),
        ({"kind": "video", "model": "veo-3.1-generate-001", "duration_seconds": 5}, "duration_seconds"),
        ({"kind": "image", "model": "imagen-4"}, "model"),
        ({"kind": "image", "preset": "none"}, "preset"),
    ],
)
async def test_impossible_job_has_no_price_but_a_reason(opened, arguments, field):
    async with opened(**VERTEX) as app:
        with pytest.raises(InvalidRequestError) as refused:
            await estimated(app, **arguments)
    assert refused.value.field == field
