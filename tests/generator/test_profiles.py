"""Which profile holds, and what it brings along: credentials, folder, bucket and caps."""

from decimal import Decimal
from pathlib import Path

import pytest
from tests.conftest import paid
from tests.generator.planning import VEO, MakeSettings, both, plan_clip, plan_image, vertex, write_config

from mediagen.app.app import open_app
from mediagen.errors import BudgetExceededError, ConfigurationError
from mediagen.requests import GenerateImageRequest

TWO = """
[profiles.film]
project = "film-123"
location = "us-central1"
bucket = "film-media"
path = "clips/raw"
output_dir = "films"

[profiles.sketch]
api_key_variable = "SKETCH_KEY"
output_dir = "sketches"
"""


async def test_several_profiles_without_a_choice_are_listed_and_nothing_is_sent(
    make_settings: MakeSettings, emulator, work: Path
):
    write_config(work, TWO)
    async with open_app(make_settings(**both(emulator.url))) as app:
        with pytest.raises(ConfigurationError) as refused:
            await plan_clip(app, dry_run=False)
    assert refused.value.code == "profile_needed"
    assert "'film', 'sketch'" in refused.value.message
    for way in ("--profile", "MEDIAGEN_PROFILE", "`profile` in the file"):
        assert way in refused.value.hint
    assert emulator.requests() == []


@pytest.mark.parametrize(
    ("argument", "variable", "top", "expected"),
    [
        ("film", "sketch", "sketch", ("film", "explicit")),
        (None, "film", "sketch", ("film", "environment")),
        (None, "", "film", ("film", "profile")),
        (None, "${MEDIAGEN_PROFILE}", "film", ("film", "profile")),
    ],
)
async def test_profile_is_named_by_the_call_the_variable_or_the_file(
    argument: str | None,
    variable: str,
    top: str,
    expected: tuple[str, str],
    make_settings: MakeSettings,
    emulator,
    work: Path,
):
    write_config(work, f"profile = '{top}'\n{TWO}")
    variables = vertex(emulator.url, MEDIAGEN_PROFILE=variable, MEDIAGEN_OUTPUT_DIR="elsewhere")
    async with open_app(make_settings(**variables)) as app:
        # The same parts serve every call: an earlier choice must not colour a later one.
        await plan_clip(app, profile="film", model=VEO)
        report = await plan_clip(app, model=VEO, **({"profile": argument} if argument else {}))
    assert (report.effective["profile"], report.origins["profile"]) == expected
    assert (report.effective["project"], report.origins["project"]) == ("film-123", "profile")
    assert (report.effective["location"], report.origins["location"]) == ("us-central1", "profile")
    assert (report.effective["storage_uri"], report.origins["storage_uri"]) == (
        "gs://film-media/clips/raw/(job id)/",
        "profile",
    )
    assert (report.effective["output_dir"], report.origins["output_dir"]) == (str(work / "films"), "profile")


async def test_only_profile_holds_unasked(make_settings: MakeSettings, emulator, work: Path):
    write_config(work, "[profiles.film]\nproject = 'film-123'\n")
    async with open_app(make_settings(**vertex(emulator.url))) as app:
        report = await plan_clip(app)
    assert (report.effective["profile"], report.origins["profile"]) == ("film", "profile")


@pytest.mark.parametrize("through", ["argument", "variable"])
async def test_unknown_profile_is_refused_with_the_known_ones(
    through: str, make_settings: MakeSettings, emulator, work: Path
):
    write_config(work, TWO)
    changes = {"MEDIAGEN_PROFILE": "flim"} if through == "variable" else {}
    with pytest.raises(ConfigurationError) as refused:
        async with open_app(make_settings(**both(emulator.url, **changes))) as app:
            await plan_clip(app, profile="flim")
    assert refused.value.code == "profile_unknown"
    assert "'film', 'sketch'. Did you mean 'film'?" in refused.value.message


async def test_profile_without_its_variable_is_refused_only_when_it_is_used(
    make_settings: MakeSettings, emulator, work: Path
):
    """A key of the environment does not stand in for the one that the profile names."""
    write_config(work, TWO)
    async with open_app(make_settings(**both(emulator.url))) as app:
        assert (await plan_clip(app, profile="film", model=VEO)).effective["profile"] == "film"
        with pytest.raises(ConfigurationError) as refused:
            await plan_image(app, profile="sketch", dry_run=False)
    assert refused.value.code == "profile_incomplete"
    assert "SKETCH_KEY" in refused.value.message
    assert emulator.requests() == []


async def test_key_of_the_profile_is_the_one_that_is_sent(
    make_settings: MakeSettings, emulator, work: Path, monkeypatch
):
    write_config(work, TWO)
    settings = make_settings(
        MEDIAGEN_BACKEND="", GEMINI_API_KEY="AIza-of-env", SKETCH_KEY="bad-key-of-sketch", MEDIAGEN_OUTPUT_DIR=""
    )
    async with open_app(settings) as app:
        report = await plan_image(app, profile="sketch", dry_run=False)
        other = await plan_image(app, profile="film", dry_run=False)
    assert report.error is not None
    assert "SKETCH_KEY" in report.error.message + report.error.hint
    assert other.status == "succeeded", other.error
    assert other.artifacts[0].file.parent == work / "films"
    assert "bad-key-of-sketch" not in report.model_dump_json() + other.model_dump_json()
    assert "AIza-of-env" not in report.model_dump_json() + other.model_dump_json()


@pytest.mark.parametrize(
    ("profile_cap", "variable", "is_refused"),
    [
        (None, "", False),
        ("0.01", "", True),
        (None, "0.01", True),
        ("0.01", "5", True),
        ("5", "0.01", True),
        ("5", "5", False),
    ],
)
@pytest.mark.parametrize("cap", ["max_usd_per_call", "max_usd_per_day", "max_usd_per_month"])
async def test_strictest_cap_of_profile_and_environment_holds(
    cap: str,
    profile_cap: str | None,
    variable: str,
    is_refused: bool,
    make_settings: MakeSettings,
    emulator,
    work: Path,
):
    write_config(work, f"[profiles.film]\n{f'{cap} = {profile_cap}' if profile_cap else ''}\n")
    async with open_app(make_settings(**both(emulator.url), **{f"MEDIAGEN_{cap.upper()}": variable})) as app:
        request = GenerateImageRequest(prompt="a boat")
        if is_refused:
            with pytest.raises(BudgetExceededError):
                await app.generator.generate_image(request)
        else:
            assert (await app.generator.generate_image(request)).status == "succeeded"
    assert paid(emulator) == (0 if is_refused else 1)


@pytest.mark.parametrize(
    ("profile_line", "variable", "is_refused"),
    [
        ("", "", False),
        ("confirm_above_usd = 0", "", True),
        ("confirm_above_usd = 0.01", "5", True),
        ("confirm_above_usd = 50", "0.01", True),
    ],
)
async def test_strictest_wish_for_approval_holds(
    profile_line: str, variable: str, is_refused: bool, make_settings: MakeSettings, emulator, work: Path
):
    write_config(work, f"[profiles.film]\n{profile_line}\n")
    async with open_app(make_settings(MEDIAGEN_CONFIRM_ABOVE_USD=variable)) as app:
        if is_refused:
            with pytest.raises(BudgetExceededError) as refused:
                await plan_image(app, dry_run=False)
            assert refused.value.code == "approval_needed"
        approved = await plan_image(app, dry_run=False, max_usd=Decimal(1))
    assert approved.status == "succeeded"
    assert paid(emulator) == 1


async def test_caps_of_one_profile_do_not_bind_the_other(make_settings: MakeSettings, emulator, work: Path):
    write_config(work, "[profiles.mean]\nmax_usd_per_call = 0.01\n[profiles.free]\n")
    async with open_app(make_settings()) as app:
        with pytest.raises(BudgetExceededError):
            await plan_image(app, profile="mean", dry_run=False)
        assert (await plan_image(app, profile="free", dry_run=False)).status == "succeeded"


async def test_projects_of_the_earlier_tool_are_profiles(make_settings: MakeSettings, emulator, work: Path):
    (work / "config.json").write_text(
        '{"main_projects": {"film-123": {"location": "us-central1", "gcs": {"bucket": "film-media", '
        '"output_path": "/veo/out/"}}, "other-9": {}}, "defaults": {"video": {"model": "veo-3.1-fast-generate-001", '
        '"duration": "6s", "resolution": "1080p"}}}',
        encoding="utf-8",
    )
    async with open_app(make_settings(**vertex(emulator.url))) as app:
        with pytest.raises(ConfigurationError, match="'film-123', 'other-9'"):
            await plan_clip(app)
        report = await plan_clip(app, profile="film-123")
    wanted = {
        "model": "veo-3.1-fast-generate-001",
        "duration_seconds": 6,
        "resolution": "1080p",
        "project": "film-123",
        "location": "us-central1",
        "storage_uri": "gs://film-media/veo/out/(job id)/",
    }
    assert {name: report.effective[name] for name in wanted} == wanted
    assert {report.origins[name] for name in wanted} == {"profile"}
