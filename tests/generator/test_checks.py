"""check_api against the emulator: what it finds, what it tells to do, and that it never costs anything."""

import dataclasses
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.conftest import paid

from mediagen.app.app import App, open_app
from mediagen.emulator.faults import DOWNLOAD, KINDS, PRESETS, STORAGE
from mediagen.emulator.thread import EmulatorHandle
from mediagen.endpoints.check import SENTINEL
from mediagen.endpoints.http import HttpSettings
from mediagen.report.checks import CheckReport, SurfaceReport
from mediagen.report.checks_text import check_summary
from mediagen.requests import CheckApiRequest
from mediagen.settings import Settings
from mediagen.storage import local

PROJECT = "film-project"
USUAL_BUCKET = f"{PROJECT}-media-output"
NOWHERE = "http://127.0.0.1:9"
GEMINI = {"GEMINI_API_KEY": "AIza-good"}
EXPRESS = {"VERTEX_AI_API_KEY": "AQ.good"}
TOKEN = {"GOOGLE_ACCESS_TOKEN": "ya29.ready-test", "GOOGLE_CLOUD_PROJECT": PROJECT}
PAID_WORDS = ("generateContent", "predict", "interactions", "chat/completions", "images", "countTokens")

Open = Callable[..., AbstractAsyncContextManager[App]]


async def no_wait(_seconds: float) -> None:
    await anyio.lowlevel.checkpoint()


@pytest.fixture
def opened(make_settings: Callable[..., Settings], emulator: EmulatorHandle, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Opens the application on the real surfaces' protocols, all of which the emulator speaks."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator.url)

    @asynccontextmanager
    async def open_with(http: HttpSettings | None = None, **changes: str) -> AsyncIterator[App]:
        hosts = {
            "MEDIAGEN_BACKEND": "auto",
            "GOOGLE_VERTEX_BASE_URL": emulator.url,
            "STORAGE_EMULATOR_HOST": emulator.url,
        }
        async with open_app(make_settings(**{**hosts, **changes}), http=http or HttpSettings(sleep=no_wait)) as app:
            yield app

    return open_with


@pytest.fixture
def service_account(emulator: EmulatorHandle, tmp_path: Path) -> dict[str, str]:
    file = emulator.service_account_file(tmp_path / "service account 🎬.json", PROJECT)
    return {"GOOGLE_APPLICATION_CREDENTIALS": str(file)}


@pytest.fixture
def proxy(emulator: EmulatorHandle) -> dict[str, str]:
    return {"CLIPROXY_BASE_URL": f"{emulator.url}/cliproxy"}


async def checked(app: App, **arguments: Any) -> CheckReport:
    return await app.checks.check_api(CheckApiRequest.model_validate(arguments))


def only(report: CheckReport) -> SurfaceReport:
    assert len(report.surfaces) == 1
    return report.surfaces[0]


def states(surface: SurfaceReport) -> dict[str, str]:
    return {model.id: model.state for model in surface.models}


def assert_nothing_could_be_billed(emulator: EmulatorHandle) -> None:
    """The bill is empty, and whatever went to a paid path could not have been carried out."""
    assert paid(emulator) == 0
    for request in emulator.requests():
        if request["path"].startswith(("/token", "/storage", "/upload/storage", "/download/storage")):
            continue
        if request["method"] == "GET":
            continue
        assert request["path"].endswith(":generateContent"), request["path"]
        assert "cliproxy" not in request["path"]
        assert request["body"]["contents"] == []
        assert request["body"]["generationConfig"][SENTINEL] is True
    if not any(word in request["path"] for request in emulator.requests() for word in PAID_WORDS):
        return
    assert emulator.files() == []


# What some faults cannot do without.
PARAMETERS: dict[str, dict[str, Any]] = {"status": {"status": 500}, "old_shape": {"shape": "predictions"}}

CREDENTIALS: dict[str, dict[str, str]] = {
    "nothing": {},
    "gemini key": GEMINI,
    "wrong gemini key": {"GEMINI_API_KEY": "bad-key"},
    "gemini unreachable": {**GEMINI, "GOOGLE_GEMINI_BASE_URL": NOWHERE},
    "express key": EXPRESS,
    "wrong express key": {"VERTEX_AI_API_KEY": "bad-key"},
    "ready token": TOKEN,
    "expired token": {**TOKEN, "GOOGLE_ACCESS_TOKEN": "ya29.ready-expired"},
    "narrow token": {**TOKEN, "GOOGLE_ACCESS_TOKEN": "ya29.ready-scope"},
    "token without project": {"GOOGLE_ACCESS_TOKEN": "ya29.ready-test"},
    "vertex unreachable": {**TOKEN, "GOOGLE_VERTEX_BASE_URL": NOWHERE},
    "storage unreachable": {**TOKEN, "GCS_BUCKET": "named-bucket"},
    "proxy down": {"CLIPROXY_BASE_URL": NOWHERE},
    "proxy is Google": {"CLIPROXY_BASE_URL": "EMULATOR"},
    "proxy": {"CLIPROXY_BASE_URL": "EMULATOR/cliproxy"},
    "wrong proxy key": {"CLIPROXY_BASE_URL": "EMULATOR/cliproxy", "CLIPROXY_API_KEY": "nobody"},
    "everything": {**GEMINI, **TOKEN, **EXPRESS, "CLIPROXY_BASE_URL": "EMULATOR/cliproxy"},
    "emulator": {"MEDIAGEN_BACKEND": "emulator"},
}


@pytest.mark.parametrize("deep", [False, True], ids=["shallow", "deep"])
@pytest.mark.parametrize("credentials", CREDENTIALS.values(), ids=CREDENTIALS.keys())
async def test_no_check_costs_anything_whatever_the_credentials(opened: Open, emulator, credentials, deep):
    changes = {name: value.replace("EMULATOR", emulator.url) for name, value in credentials.items()}
    async with opened(**changes) as app:
        for backend in (None, "gemini", "vertex", "cliproxy", "emulator"):
            report = await checked(app, backend=backend, deep=deep, model="veo-3.1-fast")
            assert check_summary(report)
            probed = [surface.probe for surface in report.surfaces if surface.probe]
            assert deep or not probed
    assert_nothing_could_be_billed(emulator)
    secrets = ("AIza-good", "bad-key", "AQ.good", "ya29.ready", "nobody")
    assert not any(secret in report.model_dump_json() for secret in secrets)


async def test_no_check_costs_anything_under_any_fault(opened: Open, emulator, service_account, proxy):
    async with opened(**GEMINI, **service_account, **proxy, GCS_BUCKET="film-bucket") as app:
        for fault in sorted((KINDS | PRESETS) - {"delay"}):
            # Failures of arrival at Cloud Storage are tested with the storage.
            match: dict[str, str] = (
                {} if fault not in {"status", "drop_before"} | PRESETS else {"path_contains": "models"}
            )
            extra = PARAMETERS.get(fault, {})
            emulator.reset()
            emulator.make_bucket("film-bucket")
            # Cloud Storage is asked again, after a second each time.
            times = 1 if fault in DOWNLOAD | STORAGE else 100
            emulator.add_fault(fault=fault, times=times, match=match, **extra)
            report = await checked(app, deep=True)
            assert len(report.surfaces) == 3, fault
            assert check_summary(report)
            assert_nothing_could_be_billed(emulator)


async def test_probe_is_answered_with_400_on_each_surface_that_has_one(opened: Open, emulator, service_account, proxy):
    async with opened(**GEMINI, **service_account, **proxy) as app:
        report = await checked(app, deep=True)
    probes = {surface.backend: surface.probe for surface in report.surfaces}
    # Only a 400 that names the unknown field, and nothing else, counts as accepted.
    assert probes["gemini"] is not None
    assert probes["gemini"].accepted is True
    assert probes["vertex"] is not None
    assert probes["vertex"].accepted is True
    assert probes["cliproxy"] is not None
    assert probes["cliproxy"].accepted is None
    sent = [request["path"] for request in emulator.requests() if request["path"].endswith("generateContent")]
    assert len(sent) == 2
    assert "not that the model" in check_summary(report)


async def test_check_without_credentials_says_what_to_set(opened: Open):
    async with opened() as app:
        report = await checked(app)
    assert (report.ok, report.surfaces) == (False, [])
    said = check_summary(report).splitlines()[0]
    assert said.startswith("Not ready:")
    assert "GEMINI_API_KEY" in said
    assert "MEDIAGEN_BACKEND=emulator" in said
    assert "Spent: $0.00 today" in check_summary(report)


async def test_wrong_key_is_told_once_with_its_variable(opened: Open):
    async with opened(GEMINI_API_KEY="bad-key") as app:
        report = await checked(app, deep=True)
    surface = only(report)
    assert (report.ok, surface.works, surface.key_ok, surface.reachable) == (False, False, False, True)
    assert surface.probe is None
    assert check_summary(report).count("Put a working key into GEMINI_API_KEY") == 1
    assert "images:" not in check_summary(report)


async def test_express_key_that_cannot_list_is_not_called_broken(opened: Open, emulator):
    said = "API keys are not supported by this API. Expected OAuth2 access token."
    body = {"error": {"code": 401, "message": said, "status": "UNAUTHENTICATED"}}
    emulator.add_fault(fault="status", status=401, body=body, match={"path_contains": "publishers/google/models"})
    async with opened(**EXPRESS) as app:
        report = await checked(app)
    surface = only(report)
    assert (report.ok, surface.works, surface.key_ok, surface.error) == (True, True, None, None)
    assert "may still be able to generate" in str(surface.note)
    assert set(states(surface).values()) == {"unlisted"}
    assert "vertex answers: express key" in check_summary(report)
    assert "images (not confirmed):" in check_summary(report)


async def test_probe_that_is_refused_shows_that_the_project_may_not_be_used(opened: Open, emulator, service_account):
    body = {"error": {"code": 403, "message": "Permission denied on resource.", "status": "PERMISSION_DENIED"}}
    async with opened(**service_account) as app:
        shallow = await checked(app)
        emulator.add_fault(fault="status", status=403, body=body, match={"path_contains": "generateContent"})
        deep = await checked(app, deep=True)
    assert shallow.ok
    assert f"project {PROJECT} may be used" in str(only(shallow).note)
    assert (deep.ok, only(deep).works, only(deep).key_ok) == (False, False, False)
    assert "403" in str(only(deep).error)


@pytest.mark.parametrize(
    ("changes", "retryable", "said"),
    [
        ({**GEMINI, "GOOGLE_GEMINI_BASE_URL": NOWHERE}, True, "could not be reached"),
        ({"CLIPROXY_BASE_URL": f"{NOWHERE}/v1"}, False, "must not end with an API version"),
        ({"CLIPROXY_BASE_URL": NOWHERE}, True, "Start CLIProxyAPI"),
        ({"GOOGLE_APPLICATION_CREDENTIALS": "nowhere.json", "GOOGLE_CLOUD_PROJECT": PROJECT}, False, "nowhere.json"),
    ],
)
async def test_each_failure_says_what_to_do_and_whether_waiting_helps(opened: Open, changes, retryable, said):
    async with opened(**changes) as app:
        report = await checked(app)
    surface = only(report)
    assert (report.ok, surface.works, surface.retryable) == (False, False, retryable)
    assert said in str(surface.error)
    assert surface.error in report.problems


@pytest.mark.parametrize("status", [429, 503])
async def test_check_does_not_wait_as_long_as_google_asks_to(opened: Open, emulator, status):
    waits: list[float] = []

    async def note(seconds: float) -> None:
        waits.append(seconds)

    emulator.add_fault(
        fault="status", status=status, times=9, headers={"retry-after": "30"}, match={"path_contains": "models"}
    )
    async with opened(HttpSettings(sleep=note), **GEMINI) as app:
        report = await checked(app)
    assert (report.ok, only(report).retryable) == (False, True)
    assert str(status) in str(only(report).error)
    assert waits == []


async def test_failure_of_a_moment_is_tried_again(opened: Open, emulator):
    emulator.add_fault(fault="overloaded", match={"path_contains": "models"})
    async with opened(**GEMINI) as app:
        assert (await checked(app)).ok


async def test_surface_that_hangs_does_not_hold_the_others(opened: Open, emulator, proxy):
    emulator.add_fault(fault="delay", seconds=30, match={"path_contains": "/v1beta/models"})
    async with opened(**GEMINI, **proxy) as app:
        checks = dataclasses.replace(app.checks, patience_seconds=0.5)
        started = time.monotonic()
        report = await checks.check_api(CheckApiRequest())
    assert time.monotonic() - started < 5
    works = {surface.backend: surface.works for surface in report.surfaces}
    assert works == {"gemini": False, "cliproxy": True}
    assert "no answer within 0.5 s" in str(report.surfaces[0].error)
    assert not report.ok
    assert "What works: backend=cliproxy" in check_summary(report)


async def test_probe_that_hangs_leaves_the_rest_of_the_finding(opened: Open, emulator):
    emulator.add_fault(fault="delay", seconds=30, match={"path_contains": "generateContent"})
    async with opened(**GEMINI) as app:
        report = await dataclasses.replace(app.checks, patience_seconds=0.7).check_api(CheckApiRequest(deep=True))
    surface = only(report)
    assert (report.ok, surface.works, surface.error) == (True, True, None)
    assert surface.probe is not None
    assert (surface.probe.accepted, surface.probe.message) == (None, "No answer came in time.")


async def test_bucket_that_hangs_does_not_hold_the_surfaces(opened: Open, emulator):
    emulator.add_fault(fault="delay", seconds=1.5, match={"path_contains": "/storage/"})
    async with opened(**TOKEN, GCS_BUCKET="film-bucket") as app:
        report = await dataclasses.replace(app.checks, patience_seconds=0.6).check_api(CheckApiRequest())
    assert report.ok
    assert report.bucket is not None
    assert "Cloud Storage gave no answer" in str(report.bucket.problem)
    assert any("film-bucket" in problem for problem in report.problems)


@pytest.mark.parametrize("ahead", [95, -95])
@pytest.mark.parametrize("signs", [True, False])
async def test_clock_that_is_off_is_a_problem_for_service_accounts_only(opened: Open, service_account, signs, ahead):
    http = HttpSettings(clock=lambda: datetime.now(UTC) + timedelta(seconds=ahead))
    async with opened(http, **(service_account if signs else GEMINI)) as app:
        report = await checked(app)
    assert report.ok
    assert abs(only(report).clock_skew_seconds + ahead) <= 2
    assert any("NTP" in problem for problem in report.problems) is signs
    words = check_summary(report)
    assert ("ahead of" if ahead > 0 else "behind") in words
    assert words.startswith("Ready, but there are problems" if signs else "Ready:")


async def test_listed_models_are_compared_with_the_catalogue(opened: Open, emulator):
    names = ("gemini-nano-banana-2.1", "imagen-4.0-generate-001", "gemini-nano-banana-9", "gemini-9-text")
    body = {"models": [{"name": f"models/{name}"} for name in names]}
    emulator.add_fault(fault="status", status=200, body=body, match={"path_contains": "models"})
    async with opened(**GEMINI) as app:
        report = await checked(app)
    surface = only(report)
    assert states(surface)["gemini-nano-banana-2.1"] == "live"
    assert states(surface)["gemini-omni-1.2-flash"] == "missing"
    assert states(surface)["imagen-4.0-generate-001"] == "retired"
    assert "veo-2.0-generate-001" not in states(surface)
    assert surface.new_models == ["gemini-nano-banana-9"]
    words = check_summary(report)
    assert "listed, though the catalogue has them as shut down: imagen-4.0-generate-001" in words
    assert "Listed, but not in the catalogue: gemini-nano-banana-9" in words
    assert "not listed: gemini-3.1-flash-image" in words


async def test_list_that_is_cut_off_calls_no_model_missing(opened: Open, emulator):
    body = {"models": [{"name": "models/gemini-nano-banana-2.1"}], "nextPageToken": "more"}
    emulator.add_fault(fault="status", status=200, body=body, match={"path_contains": "models"})
    emulator.add_fault(fault="status", status=500, times=5, match={"path_contains": "models"})
    async with opened(**GEMINI) as app:
        report = await checked(app)
    surface = only(report)
    assert surface.works
    assert states(surface)["gemini-nano-banana-2.1"] == "live"
    assert set(states(surface).values()) == {"live", "unlisted"}
    assert "not complete" in str(surface.error)


@pytest.mark.parametrize(
    ("model", "chosen", "available", "said"),
    [
        ("veo-3.1-fast", "vertex", True, "veo-3.1-fast-generate-001, which is listed by vertex"),
        ("gemini-nano-banana-2.1", "gemini", True, "gemini-nano-banana-2.1 is listed by gemini"),
        ("imagen-4", "gemini", False, "was shut down"),
        ("gemini-nano-banana-22", "gemini", False, "is not listed by gemini"),
    ],
)
async def test_model_asked_about_decides_the_surface(opened: Open, model, chosen, available, said):
    async with opened(**GEMINI, **TOKEN) as app:
        report = await checked(app, model=model)
    first = report.surfaces[0]
    assert [surface.chosen for surface in report.surfaces] == [True, False]
    assert (first.backend, report.model_available, report.ok) == (chosen, available, available)
    assert said in str(report.model_asked)
    assert said in check_summary(report).splitlines()[0]
    assert (" - " in check_summary(report)) is available


async def test_notes_on_models_stand_only_where_they_were_asked_for(opened: Open):
    async with opened(**GEMINI) as app:
        plain = check_summary(await checked(app))
        filtered = await checked(app, filter="NANO")
    assert "general availability" not in plain
    assert len(plain.splitlines()) <= 8
    assert set(states(only(filtered))) == {"gemini-nano-banana-2.1"}
    assert "general availability" in check_summary(filtered, with_notes=True)


async def test_filter_does_not_hide_the_model_asked_about(opened: Open):
    async with opened(**GEMINI) as app:
        report = await checked(app, filter="omni", model="nano-banana")
    assert (report.ok, report.model_available) == (True, True)
    assert {model.id for model in only(report).models if model.asked} == {"gemini-nano-banana-2.1"}


async def test_emulator_has_the_models_of_both_surfaces(opened: Open):
    async with opened(MEDIAGEN_BACKEND="emulator") as app:
        plain = await checked(app)
        asked = await checked(app, model="veo-3.1-fast")
    assert [surface.surface for surface in plain.surfaces] == ["gemini", "vertex"]
    assert (asked.ok, asked.surfaces[0].surface) == (True, "vertex")
    assert "no key needed, nothing is billed" in check_summary(plain)
    assert plain.bucket is None


async def test_backend_asked_for_decides_whose_bucket_is_tested(opened: Open, emulator, monkeypatch):
    monkeypatch.delenv("STORAGE_EMULATOR_HOST")
    emulator.make_bucket("film-bucket")
    changes = {"GCS_BUCKET": "film-bucket", "MEDIAGEN_BACKEND": "emulator", "STORAGE_EMULATOR_HOST": ""}
    async with opened(**GEMINI, **changes) as app:
        emulated = await checked(app)
        real = await checked(app, backend="gemini")
    assert emulated.bucket is not None
    assert (emulated.bucket.exists, emulated.bucket.can_delete) == (True, True)
    assert real.bucket is not None
    assert "no API keys" in str(real.bucket.problem)


async def test_bucket_is_written_read_and_left_as_it_was(opened: Open, emulator, service_account):
    emulator.make_bucket(USUAL_BUCKET)
    async with opened(**service_account) as app:
        report = await checked(app)
    bucket = report.bucket
    assert bucket is not None
    assert (bucket.exists, bucket.can_write, bucket.can_read, bucket.can_delete) == (True, True, True, True)
    assert (bucket.location, bucket.origin) == ("US-CENTRAL1", "default")
    assert emulator.objects(USUAL_BUCKET) == []
    assert "write, read and delete work" in check_summary(report)


async def test_usual_bucket_that_does_not_exist_is_only_a_note(opened: Open, service_account):
    async with opened(**service_account) as app:
        report = await checked(app)
    assert report.bucket is not None
    assert (report.bucket.exists, report.bucket.problem) == (False, None)
    assert "gcloud storage buckets create" in report.bucket.hint
    assert (report.ok, report.problems) == (True, [])
    assert check_summary(report).startswith("Ready:")


async def test_named_bucket_that_cannot_be_used_is_a_problem(opened: Open, emulator, service_account):
    emulator.make_bucket("locked")
    emulator.deny_bucket("locked")
    said = []
    for name in ("nowhere-bucket", "locked"):
        async with opened(**service_account, GCS_BUCKET=name) as app:
            report = await checked(app)
        assert report.ok
        assert [problem for problem in report.problems if name in problem], report.problems
        said.append(check_summary(report))
        assert said[-1].count(f"gs://{name} does not exist") <= 1
    assert "gcloud storage buckets create" in said[0]
    assert "roles/storage.objectUser" in said[1]


async def test_named_bucket_without_credentials_for_it_is_a_problem(opened: Open, monkeypatch):
    monkeypatch.delenv("STORAGE_EMULATOR_HOST")
    async with opened(**GEMINI, GCS_BUCKET="film-bucket", STORAGE_EMULATOR_HOST="") as app:
        report = await checked(app)
    assert report.ok
    assert any("no API keys" in problem for problem in report.problems)


async def test_several_profiles_without_a_choice_are_listed(opened: Open, work: Path):
    (work / "mediagen.toml").write_text(
        '[profiles.film]\napi_key = "AIza-a"\n[profiles.print]\napi_key = "AIza-b"\n', encoding="utf-8"
    )
    async with opened() as app:
        unchosen = await checked(app)
        chosen = await checked(app, profile="print")
    assert not unchosen.ok
    assert all(name in check_summary(unchosen).splitlines()[0] for name in ("film", "print"))
    assert (chosen.ok, chosen.profile) == (True, "print")


async def test_folder_that_cannot_be_written_stops_everything(opened: Open, work: Path):
    (work / "file").write_text("x", encoding="utf-8")
    async with opened(**GEMINI, MEDIAGEN_OUTPUT_DIR=str(work / "file" / "films")) as app:
        report = await checked(app)
    assert only(report).works
    assert not report.ok
    assert "MEDIAGEN_OUTPUT_DIR" in report.blocking[0]
    assert check_summary(report).startswith("Not ready:")


async def test_folder_that_is_still_to_be_made_is_not_made(opened: Open, work: Path):
    async with opened(**GEMINI, MEDIAGEN_OUTPUT_DIR=str(work / "films" / "new")) as app:
        report = await checked(app)
    assert report.ok
    assert not (work / "films").exists()


async def test_spending_is_shown_beside_its_cap(opened: Open):
    async with opened(**GEMINI, MEDIAGEN_MAX_USD_PER_DAY="2.5") as app:
        assert "Spent: $0.00 of $2.50 today, $0.00 this month" in check_summary(await checked(app))


async def test_full_disk_of_the_ledger_is_a_problem_too(opened: Open, monkeypatch: pytest.MonkeyPatch):
    async with opened(**GEMINI) as app:
        monkeypatch.setattr(local, "MIN_FREE_BYTES", 2**62)
        report = await checked(app)
    assert not report.ok
    assert [name for name in ("MEDIAGEN_OUTPUT_DIR", "MEDIAGEN_STATE_DIR") if name in " ".join(report.blocking)] == [
        "MEDIAGEN_OUTPUT_DIR",
        "MEDIAGEN_STATE_DIR",
    ]


async def test_spending_of_a_ledger_that_cannot_be_read_is_not_called_zero(opened: Open):
    async with opened(**GEMINI) as app:
        file = app.settings.folder_for_state() / "ledger.sqlite3"
        file.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(file)) as newer:
            newer.execute("PRAGMA user_version = 999")
            newer.execute("CREATE TABLE jobs (job_id TEXT)")
            newer.commit()
        report = await checked(app)
    assert report.spent_today_usd is None
    assert "Spent: not known" in check_summary(report)
    assert "$0.00" not in check_summary(report)
