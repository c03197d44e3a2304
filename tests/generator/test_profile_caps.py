"""Caps of a profile count its own jobs, those of the environment all; both hold, and each says how it stands."""

from decimal import Decimal
from pathlib import Path

import pytest
from tests.conftest import paid
from tests.generator.planning import MakeSettings, extend, make_clip, plan_image, write_config

from mediagen.app.app import App, open_app
from mediagen.errors import BudgetExceededError
from mediagen.report.spending import spend_summary
from mediagen.requests import CheckApiRequest, GetSpendRequest

GEMINI = {"MEDIAGEN_BACKEND": "gemini", "GEMINI_API_KEY": "some-key"}
TWO = """
[profiles.film]
max_usd_per_day = 0.10
[profiles.sketch]
max_usd_per_month = 1
"""
# A picture of 1K costs $0.0336 and a little for its prompt: two fit into 0.10, three do not.


async def picture(app: App, profile: str, **values):
    return await plan_image(app, dry_run=False, image_size="1K", profile=profile, force_new=True, **values)


async def test_cap_of_a_profile_counts_its_own_jobs_alone(make_settings: MakeSettings, emulator, work: Path):
    write_config(work, TWO)
    async with open_app(make_settings(**GEMINI)) as app:
        for _ in range(3):
            assert (await picture(app, "sketch")).status == "succeeded"
        assert (await picture(app, "film", count=2)).status == "succeeded"
        with pytest.raises(BudgetExceededError) as refused:
            await picture(app, "film", count=2)
        assert (await picture(app, "sketch")).status == "succeeded"
    assert "max_usd_per_day of profile 'film' is $0.10: $0.0672" in refused.value.message
    assert "by its jobs, $0.0327" in refused.value.message
    assert "Nothing of it fits" in refused.value.hint or "would fit" in refused.value.hint
    assert paid(emulator) == 6


async def test_cap_of_the_environment_counts_the_jobs_of_all_profiles(
    make_settings: MakeSettings, emulator, work: Path
):
    write_config(work, TWO)
    async with open_app(make_settings(**GEMINI, MEDIAGEN_MAX_USD_PER_DAY="0.12")) as app:
        assert (await picture(app, "sketch", count=2)).status == "succeeded"
        assert (await picture(app, "film")).status == "succeeded"
        for profile in ("film", "sketch"):
            with pytest.raises(BudgetExceededError, match=r"MEDIAGEN_MAX_USD_PER_DAY is \$0.12: \$0.1008.* is spent"):
                await picture(app, profile)
    assert paid(emulator) == 3


async def test_dry_run_tells_that_a_cap_over_time_would_refuse(make_settings: MakeSettings, emulator, work: Path):
    write_config(work, TWO)
    async with open_app(make_settings(**GEMINI)) as app:
        before = await plan_image(app, profile="film", image_size="1K", count=2)
        assert (await picture(app, "film", count=2)).status == "succeeded"
        after = await plan_image(app, profile="film", image_size="1K", count=2)
        elsewhere = await plan_image(app, profile="sketch", image_size="1K", count=2)
    assert "refused" not in " ".join((*before.warnings, *elsewhere.warnings))
    told = next(warning for warning in after.warnings if "would be refused" in warning)
    assert "max_usd_per_day of profile 'film'" in told
    assert "would fit" in told
    assert paid(emulator) == 2


async def test_video_is_not_uploaded_for_a_job_above_a_cap(make_settings: MakeSettings, emulator, work: Path):
    write_config(work, "[profiles.film]\nmax_usd_per_day = 0.01\n")
    make_clip(work / "beach.mp4", width=1280, height=720, seconds=3)
    async with open_app(make_settings(**GEMINI)) as app:
        with pytest.raises(BudgetExceededError, match="max_usd_per_day of profile 'film'"):
            await extend(app, "beach.mp4", duration_seconds=3)
    assert [request for request in emulator.requests() if "upload" in request["path"]] == []


async def test_each_cap_is_shown_with_what_is_left(make_settings: MakeSettings, emulator, work: Path):
    write_config(work, TWO)
    async with open_app(make_settings(**GEMINI, MEDIAGEN_MAX_USD_PER_MONTH="2")) as app:
        await picture(app, "film")
        await picture(app, "sketch")
        report = await app.spending.get_spend(GetSpendRequest())
        checked = await app.checks.check_api(CheckApiRequest(profile="film"))
    assert [(cap.name, cap.profile) for cap in report.caps] == [
        ("MEDIAGEN_MAX_USD_PER_MONTH", None),
        ("max_usd_per_day of profile 'film'", "film"),
        ("max_usd_per_month of profile 'sketch'", "sketch"),
    ]
    assert all(cap.left_usd == cap.limit_usd - cap.spent_usd for cap in report.caps)
    all_spent, of_film, of_sketch = (cap.spent_usd for cap in report.caps)
    assert all_spent == of_film + of_sketch == report.counted_by_caps_usd
    assert of_film == of_sketch == pytest.approx(Decimal("0.0336"), abs=Decimal("0.0001"))
    assert f"Cap max_usd_per_day of profile 'film': ${Decimal('0.10') - of_film} left of $0.10" in spend_summary(report)
    assert [cap.profile for cap in checked.caps] == [None, "film"]
    assert checked.max_usd_per_month == Decimal(2)
