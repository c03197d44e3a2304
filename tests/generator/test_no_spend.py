"""No-spend mode: no paid call is sent, whatever is asked; what is free goes on."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import paid
from tests.generator.planning import MakeSettings, extend, make_clip, plan_clip, plan_image, write_config

from mediagen.app.app import App, open_app
from mediagen.errors import BudgetExceededError, ConfigurationError
from mediagen.report.checks_text import check_summary
from mediagen.requests import CheckApiRequest, EstimateCostRequest

GEMINI = {"MEDIAGEN_BACKEND": "gemini", "GEMINI_API_KEY": "some-key"}
BANNED = {**GEMINI, "MEDIAGEN_NO_SPEND": "1"}
CALLS: dict[str, Callable[[App], object]] = {
    "image": lambda app: plan_image(app, dry_run=False),
    "image on another surface": lambda app: plan_image(app, dry_run=False, backend="cliproxy"),
    "video": lambda app: plan_clip(app, dry_run=False, max_usd=100),
    "extension": lambda app: extend(app, "beach.mp4", resolution="720p"),
    "input that would be looked at first": lambda app: plan_image(app, dry_run=False, input_images=["nowhere.png"]),
    "clip of an input that would be looked at first": lambda app: plan_clip(app, dry_run=False, image="nowhere.png"),
    "chain": lambda app: extend(app, "beach.mp4", times=3),
}


@pytest.mark.parametrize("call", CALLS)
async def test_every_paid_call_is_refused_before_anything_is_sent(
    call: str, make_settings: MakeSettings, emulator, work: Path
):
    make_clip(work / "beach.mp4", width=1280, height=720, seconds=3)
    async with open_app(make_settings(**BANNED)) as app:
        with pytest.raises(BudgetExceededError) as refused:
            await CALLS[call](app)  # type: ignore[misc]  # each is a coroutine
    assert refused.value.code == "no_spend"
    assert "MEDIAGEN_NO_SPEND" in refused.value.message
    assert emulator.requests() == []


async def test_what_is_free_goes_on(make_settings: MakeSettings, emulator):
    async with open_app(make_settings(**BANNED)) as app:
        dry = await plan_image(app)
        assert "MEDIAGEN_NO_SPEND" in " ".join(dry.warnings)
        assert (await app.estimates.estimate_cost(EstimateCostRequest(kind="image"))).quote.usd
        assert emulator.requests() == []
        assert (await plan_image(app, dry_run=False, backend="emulator")).status == "succeeded"


async def test_earlier_job_of_a_request_id_is_still_handed_back(make_settings: MakeSettings, emulator):
    async with open_app(make_settings(**GEMINI)) as app:
        first = await plan_image(app, dry_run=False, request_id="mine")
    async with open_app(make_settings(**BANNED)) as app:
        again = await plan_image(app, dry_run=False, request_id="mine")
    assert again.job_id == first.job_id
    assert paid(emulator) == 1


@pytest.mark.parametrize(("variable", "of_profile"), [("", "true"), ("1", "false"), ("true", "true")])
async def test_profile_may_forbid_and_cannot_allow(
    variable: str, of_profile: str, make_settings: MakeSettings, emulator, work: Path
):
    write_config(work, f"[profiles.film]\nno_spend = {of_profile}\n")
    async with open_app(make_settings(**GEMINI, MEDIAGEN_NO_SPEND=variable)) as app:
        with pytest.raises(BudgetExceededError) as refused:
            await plan_image(app, dry_run=False)
        report = await app.checks.check_api(CheckApiRequest())
    named = "MEDIAGEN_NO_SPEND" if variable else "no_spend is set in the profile 'film'"
    assert named in refused.value.message
    assert not report.ok
    assert report.no_spend
    assert named in report.no_spend
    assert check_summary(report).startswith(f"Not ready: {named}")
    assert paid(emulator) == 0


async def test_check_of_the_emulator_is_ready_and_names_the_ban(make_settings: MakeSettings):
    async with open_app(make_settings(MEDIAGEN_NO_SPEND="yes")) as app:
        report = await app.checks.check_api(CheckApiRequest())
    assert report.ok
    assert "MEDIAGEN_NO_SPEND is set" in check_summary(report)


@pytest.mark.parametrize(("value", "banned"), [("0", False), ("false", False), ("${X}", False), ("ON", True)])
def test_variable_is_read_as_yes_or_no(value: str, banned: bool, make_settings: MakeSettings):
    assert make_settings(MEDIAGEN_NO_SPEND=value).no_spend is banned


def test_variable_that_says_neither_is_refused(make_settings: MakeSettings):
    with pytest.raises(ConfigurationError, match="MEDIAGEN_NO_SPEND"):
        make_settings(MEDIAGEN_NO_SPEND="maybe")
