"""What is said to fit in the money that is left really fits, and is the most that does."""

import random
from decimal import Decimal
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
    MakeSettings,
    both,
    extend,
    make_clip,
    plan_clip,
    plan_image,
)

from mediagen.app.app import App, open_app
from mediagen.catalog import Catalog
from mediagen.errors import ApprovalNeededError, BudgetExceededError, InvalidRequestError
from mediagen.generator.affordable import fits_in_words, fitting, left_usd
from mediagen.generator.budget import check_budget
from mediagen.generator.plan import Plan
from mediagen.report.text import summary
from mediagen.requests import ExtendVideoRequest, GenerateImageRequest, GenerateVideoRequest
from mediagen.routing import Route

GEMINI = {"MEDIAGEN_BACKEND": "gemini", "GEMINI_API_KEY": "some-key"}
WISHES = 120


async def plan_of(app: App, values: dict[str, Any]) -> Plan:
    async def address_of(route: Route) -> str | None:
        return None

    planner = app.generator.planner
    if "image_size" in values:
        return await planner.plan_image(GenerateImageRequest.model_validate(values))
    if "source" in values:
        return await planner.plan_extension(ExtendVideoRequest.model_validate(values), address_of)
    return await planner.plan_video(GenerateVideoRequest.model_validate(values), address_of)


def a_wish(chance: random.Random) -> dict[str, Any]:
    """Any wish, possible or not."""
    values: dict[str, Any] = {"prompt": "x", "dry_run": True, "count": chance.randint(1, 4)}
    if chance.random() < 0.4:
        model = chance.choice([spec for spec in Catalog.load().models("image") if spec.status != "retired"])
        size = chance.choice(model.image_sizes or ("1K",))
        return {**values, "model": model.id, "image_size": size}
    values |= {"model": chance.choice([VEO, FAST_VEO, LITE_VEO, OMNI_11, OMNI_12])}
    values |= {"resolution": chance.choice(["360p", "720p", "1080p", "4k"])}
    if chance.random() < 0.3:
        return {**values, "source": "beach.mp4"}
    return {**values, "duration_seconds": chance.randint(3, 15)}


@pytest.mark.parametrize("seed", range(3))
async def test_what_is_said_to_fit_fits_when_it_is_asked_for(
    seed: int, make_settings: MakeSettings, emulator, work: Path
):
    chance = random.Random(seed)
    make_clip(work / "beach.mp4", width=1280, height=720, seconds=3)
    found = 0
    async with open_app(make_settings(**both(emulator.url))) as app:
        for _ in range(WISHES):
            wish = a_wish(chance)
            try:
                plan = await plan_of(app, wish)
            except InvalidRequestError:
                continue
            if plan.quote.usd is None:
                continue
            left = (plan.quote.usd * Decimal(chance.random())).quantize(Decimal("0.000001"))
            fits = fitting(plan, left, app.generator.planner.prices)
            for fit in fits:
                smaller = await plan_of(app, {**wish, **fit.changes})
                assert smaller.quote.usd == fit.usd, (wish, fit)
                assert smaller.model == plan.model
                check_budget(smaller.quote, left, plan.project.limits)
                found += 1
    assert found > WISHES // 4
    assert paid(emulator) == 0


async def test_fit_is_the_most_at_each_size(make_settings: MakeSettings, emulator):
    async with open_app(make_settings(**GEMINI)) as app:
        plan = await plan_of(app, {"prompt": "x", "image_size": "2K", "count": 4, "dry_run": True})
        prices = app.generator.planner.prices
        assert plan.quote.usd
        one = plan.quote.usd / 4
        fits = fitting(plan, one * 3, prices)
        just_below = fitting(plan, one * 3 - Decimal("0.000001"), prices)
    assert fits[0].changes == {"count": 3}
    assert fits[0].words == "3 pictures of 2K"
    assert just_below[0].changes == {"count": 2}
    assert fits[1].changes["image_size"] == "1K"
    assert fits_in_words((), Decimal("0.01")) == "Nothing of it fits in $0.01."


async def test_refusal_by_the_daily_cap_says_what_fits_and_that_is_then_made(make_settings: MakeSettings, emulator):
    changes = {**GEMINI, "MEDIAGEN_MAX_USD_PER_DAY": "0.12"}
    async with open_app(make_settings(**changes)) as app:
        assert (await plan_image(app, dry_run=False, image_size="1K")).status == "succeeded"
        with pytest.raises(BudgetExceededError) as refused:
            await plan_image(app, dry_run=False, image_size="1K", count=4)
        assert "would fit: 2 pictures of 1K" in refused.value.hint
        assert "is left" in refused.value.message
        assert paid(emulator) == 1
        assert (await plan_image(app, dry_run=False, image_size="1K", count=2)).status == "succeeded"
    assert paid(emulator) == 3


async def test_every_limit_counts_for_what_fits(make_settings: MakeSettings, emulator):
    changes = {**GEMINI, "MEDIAGEN_MAX_USD_PER_CALL": "0.5", "MEDIAGEN_MAX_USD_PER_MONTH": "0.2"}
    async with open_app(make_settings(**changes)) as app:
        plan = await plan_of(app, {"prompt": "x", "image_size": "1K", "dry_run": True})
        now = app.generator.clock()
        for max_usd, left in ((None, "0.2"), (Decimal("0.1"), "0.1"), (Decimal(9), "0.2")):
            assert await left_usd(plan, max_usd, ledger=app.generator.ledger, now=now) == Decimal(left)


async def test_dry_run_and_refused_chain_name_what_fits(make_settings: MakeSettings, emulator, work: Path):
    make_clip(work / "beach.mp4", width=1280, height=720, seconds=3)
    async with open_app(make_settings(**GEMINI)) as app:
        dry = await plan_clip(app, model=OMNI_12, duration_seconds=10, max_usd="0.5")
        assert "would fit: " in " ".join(dry.warnings)
        with pytest.raises(BudgetExceededError) as refused:
            await extend(app, "beach.mp4", times=5, duration_seconds=3, max_usd="0.9")
        words = refused.value.hint.partition("times=")[2]
        times = int(words.split()[0])
        whole = await extend(app, "beach.mp4", times=times, duration_seconds=3, max_usd="0.9", dry_run=True)
        more = await extend(app, "beach.mp4", times=times + 1, duration_seconds=3, max_usd="0.9", dry_run=True)
    assert "refused" not in " ".join(whole.warnings)
    assert "refused" in " ".join(more.warnings)
    assert paid(emulator) == 0


async def test_question_for_approval_names_what_to_do_alone(make_settings: MakeSettings, emulator):
    changes = {**GEMINI, "MEDIAGEN_CONFIRM_ABOVE_USD": "0.01"}
    async with open_app(make_settings(**changes)) as app:
        with pytest.raises(ApprovalNeededError) as asked:
            await plan_image(app, dry_run=False, image_size="1K")
        dry = await plan_image(app, image_size="1K")
    assert asked.value.hint.startswith("Ask whoever pays; ")
    assert "would be refused: " in " ".join(dry.warnings)
    assert summary(dry).count("Nothing was sent") == 1
    async with open_app(make_settings(**changes, MEDIAGEN_MAX_USD_PER_DAY="0.001")) as app:
        with pytest.raises(ApprovalNeededError) as asked:
            await plan_image(app, dry_run=False, image_size="1K")
    # This is a cap: to agree would be of no use.
    assert asked.value.hint.startswith("Nothing of it fits in $0.00")
    assert paid(emulator) == 0
