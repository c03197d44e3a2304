"""Which surface a job goes to, with whose credentials and to which address; and that it never goes anywhere else."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.app.conftest import PROJECT
from tests.conftest import paid
from tests.runner.asking import clip, image, until, wait_for

from mediagen.app.app import App, open_app
from mediagen.emulator.thread import EmulatorHandle
from mediagen.errors import AuthenticationError, ConfigurationError
from mediagen.report.job import JobReport
from mediagen.requests import ExtendVideoRequest, GenerateVideoRequest
from mediagen.routing import Access, Configured, choose_route, vertex_host
from mediagen.settings import Settings

Read = Callable[..., Settings]

GEMINI = {"GEMINI_API_KEY": "AIzaKeyOfGemini"}
EXPRESS = {"VERTEX_AI_API_KEY": "AQ.KeyOfVertex"}
TOKEN = {"GOOGLE_ACCESS_TOKEN": "ya29.ready-token", "GOOGLE_CLOUD_PROJECT": PROJECT}
PROXY = {"CLIPROXY_API_KEY": "proxy-key"}
# A proxy that nobody set up is not tried unasked; its address alone says that somebody did.
NO_PROXY = {"CLIPROXY_BASE_URL": ""}
PICTURE, OMNI, VEO = "gemini-nano-banana-2.1", "gemini-omni-1.2-flash", "veo-3.1-fast-generate-001"
SHORT_VEO: dict[str, Any] = {"model": VEO, "resolution": "720p", "duration_seconds": 4}
PATHS = {"gemini": "/v1beta/", "vertex": "/v1beta1/", "cliproxy": "/cliproxy/"}


async def ask(app: App, model: str, **changes: Any) -> JobReport:
    if model == PICTURE:
        return await image(app, model=model, **changes)
    return await clip(app, **{**(SHORT_VEO if model == VEO else {"model": model}), **changes})


def paths(emulator: EmulatorHandle) -> list[str]:
    return [request["path"] for request in emulator.requests()]


# ---------------------------------------------------------------- auto

NEEDS_VERTEX = "Not configured: Vertex AI, which veo-3.1-fast-generate-001 needs"
NO_CLIPS = "Not configured: the Gemini API or Vertex AI, which gemini-omni-1.2-flash needs"
NOTHING = "No credentials were found"

# What is configured → where a picture, an Omni clip and a Veo clip go, or the words of the refusal.
AUTO: tuple[tuple[tuple[dict[str, str], ...], tuple[str, str, str]], ...] = (
    ((), (NOTHING, NOTHING, NOTHING)),
    ((GEMINI,), ("gemini", "gemini", NEEDS_VERTEX)),
    ((TOKEN,), ("vertex", "vertex", "vertex")),
    ((EXPRESS,), ("vertex", "vertex", "vertex")),
    ((PROXY,), ("cliproxy", NO_CLIPS, NEEDS_VERTEX)),
    ((GEMINI, TOKEN), ("gemini", "gemini", "vertex")),
    ((GEMINI, EXPRESS), ("gemini", "gemini", "vertex")),
    ((GEMINI, PROXY), ("gemini", "gemini", NEEDS_VERTEX)),
    ((TOKEN, PROXY), ("vertex", "vertex", "vertex")),
    ((EXPRESS, PROXY), ("vertex", "vertex", "vertex")),
    ((TOKEN, EXPRESS), ("vertex", "vertex", "vertex")),
    ((GEMINI, TOKEN, PROXY), ("gemini", "gemini", "vertex")),
    ((GEMINI, EXPRESS, PROXY), ("gemini", "gemini", "vertex")),
    ((GEMINI, TOKEN, EXPRESS, PROXY), ("gemini", "gemini", "vertex")),
)


def _named(held: tuple[dict[str, str], ...]) -> str:
    return "+".join(next(iter(variables)) for variables in held) or "nothing"


@pytest.mark.parametrize(("held", "outcomes"), AUTO, ids=[_named(held) for held, _ in AUTO])
async def test_auto_takes_the_first_surface_that_has_the_model_and_says_why(
    held: tuple[dict[str, str], ...], outcomes: tuple[str, str, str], read: Read, emulator: EmulatorHandle
):
    variables = {name: value for part in ({} if PROXY in held else NO_PROXY, *held) for name, value in part.items()}
    async with open_app(read(**variables)) as app:
        for model, outcome in zip((PICTURE, OMNI, VEO), outcomes, strict=True):
            if outcome not in PATHS:
                with pytest.raises(ConfigurationError, match=outcome):
                    await ask(app, model)
                continue
            report = await ask(app, model, dry_run=True)
            assert (report.backend, report.origins["backend"]) == (outcome, "default")
            why = report.effective["why_backend"]
            assert why.startswith(f"first configured surface that has {model}: ")
            source = {"gemini": "GEMINI_API_KEY", "cliproxy": "CLIPROXY_API_KEY"}.get(outcome) or (
                "GOOGLE_ACCESS_TOKEN" if TOKEN in held else "VERTEX_AI_API_KEY"
            )
            assert f"({source})" in why
            passed_over = model == VEO and GEMINI in held
            assert ("the Gemini API (GEMINI_API_KEY) does not have it" in why) == passed_over
    assert emulator.requests() == []


async def test_refusal_of_auto_says_what_to_set(read: Read):
    async with open_app(read(**NO_PROXY)) as app:
        with pytest.raises(AuthenticationError) as refused:
            await ask(app, PICTURE)
    for words in ("GEMINI_API_KEY", "VERTEX_AI_API_KEY", "GOOGLE_APPLICATION_CREDENTIALS", "MEDIAGEN_BACKEND=emulator"):
        assert words in str(refused.value)
    async with open_app(read(**GEMINI, **NO_PROXY)) as app:
        with pytest.raises(ConfigurationError) as refused_veo:
            await ask(app, VEO)
    assert "Configured: the Gemini API (GEMINI_API_KEY)." in str(refused_veo.value)
    assert "gcloud auth application-default login" in str(refused_veo.value)


async def test_clip_without_a_model_gets_the_default_of_the_chosen_surface(read: Read):
    chosen = {}
    for held in (GEMINI, TOKEN, {**GEMINI, **TOKEN}):
        async with open_app(read(**held)) as app:
            report = await clip(app, resolution="720p", duration_seconds=8, dry_run=True)
            chosen[tuple(held)] = (report.backend, report.model)
    assert chosen == {
        tuple(GEMINI): ("gemini", OMNI),
        tuple(TOKEN): ("vertex", "veo-3.1-generate-001"),
        tuple({**GEMINI, **TOKEN}): ("gemini", OMNI),
    }


async def test_origin_of_the_surface_is_who_chose_it(read: Read, work: Path):
    everything = {**GEMINI, **TOKEN}
    async with open_app(read(**everything)) as app:
        assert (await ask(app, PICTURE, dry_run=True)).origins["backend"] == "default"
        explicit = await ask(app, PICTURE, backend="vertex", dry_run=True)
        assert (explicit.backend, explicit.origins["backend"]) == ("vertex", "explicit")
        assert explicit.effective["why_backend"] == "asked for"
    async with open_app(read(**everything, MEDIAGEN_BACKEND="vertex")) as app:
        report = await ask(app, PICTURE, dry_run=True)
        assert (report.backend, report.origins["backend"]) == ("vertex", "environment")
        made = await ask(app, OMNI)
    (work / "mediagen.toml").write_text('[profiles.film]\nbackend = "vertex"\n')
    async with open_app(read(**everything, MEDIAGEN_BACKEND="gemini")) as app:
        report = await ask(app, PICTURE, dry_run=True)
        assert (report.backend, report.origins["backend"]) == ("vertex", "profile")
    (work / "mediagen.toml").unlink()
    async with open_app(read(**everything)) as app:
        request = ExtendVideoRequest(source=made.job_id or "", prompt="more", dry_run=True)
        report = await app.generator.extend_video(request)
        assert (report.backend, report.origins["backend"]) == ("vertex", "source")


async def test_surface_of_the_profile_comes_before_that_of_the_environment(read: Read, work: Path):
    (work / "mediagen.toml").write_text('[profiles.film]\nvertex_api_key_variable = "FILM_KEY"\n')
    async with open_app(read(**GEMINI, FILM_KEY="AQ.film")) as app:
        report = await ask(app, PICTURE, dry_run=True)
    assert report.backend == "vertex"
    assert "FILM_KEY" in report.effective["why_backend"]


# ---------------------------------------------------------------- no fall back


@pytest.mark.parametrize("status", [401, 403, 429, 503])
@pytest.mark.parametrize("backend", ["gemini", "vertex", "cliproxy"])
async def test_failure_of_a_surface_names_its_credential_and_the_others_and_asks_none_of_them(
    backend: str, status: int, read: Read, emulator: EmulatorHandle
):
    sources = {"gemini": "GEMINI_API_KEY", "vertex": "GOOGLE_ACCESS_TOKEN", "cliproxy": "CLIPROXY_API_KEY"}
    word = {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}[status]
    body = {"error": {"code": status, "message": "not today", "status": word}}
    emulator.add_fault(fault="status", status=status, body=body, times=100, match={"method": "POST"})
    async with open_app(read(**GEMINI, **TOKEN, **PROXY)) as app:
        report = await image(app, backend=backend)
    assert report.error, report.status
    assert report.status == "failed"
    said = f"{report.error.message} {report.error.hint}"
    for surface, source in sources.items():
        assert source in said, (surface, said)
    for secret in ("AIzaKeyOfGemini", "ya29.ready-token", "proxy-key"):
        assert secret not in report.model_dump_json()
    assert all(path.startswith(PATHS[backend]) for path in paths(emulator))
    assert paths(emulator)
    assert paid(emulator) == 0


async def test_failure_of_the_only_surface_names_no_other(read: Read, emulator: EmulatorHandle):
    body = {"error": {"code": 429, "message": "not today", "status": "RESOURCE_EXHAUSTED"}}
    emulator.add_fault(fault="status", status=429, body=body, times=100)
    async with open_app(read(**GEMINI, **NO_PROXY)) as app:
        report = await image(app)
    assert report.error
    assert "the API key from GEMINI_API_KEY" in report.error.hint
    assert "No other surface is configured" in report.error.hint


# ---------------------------------------------------------------- what counts as unset

CREDENTIAL_VARIABLES = (
    "GEMINI_API_KEY",
    "GOOGLE_API_KEY",
    "VERTEX_AI_API_KEY",
    "GOOGLE_ACCESS_TOKEN",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "CLIPROXY_API_KEY",
    "CLIPROXY_BASE_URL",
)


@pytest.mark.parametrize("value", ["", "  ", "${%s}"], ids=["empty", "blank", "literal"])
async def test_literal_or_empty_variable_counts_as_unset(value: str, read: Read, monkeypatch: pytest.MonkeyPatch):
    variables = {name: value.replace("%s", name) for name in CREDENTIAL_VARIABLES}
    # Application Default Credentials are looked for in the environment of the process itself.
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    async with open_app(read(**variables, GOOGLE_CLOUD_PROJECT=PROJECT)) as app:
        with pytest.raises(AuthenticationError) as refused:
            await image(app)
        report = await image(app, backend="cliproxy", dry_run=True)
    assert refused.value.code == "no_credentials"
    assert report.backend == "cliproxy"


async def test_key_behind_an_unset_one_of_the_same_meaning_is_used(read: Read):
    async with open_app(read(GOOGLE_API_KEY="${GOOGLE_API_KEY}", **GEMINI)) as app:
        report = await image(app, dry_run=True)
    assert "GEMINI_API_KEY" in report.effective["why_backend"]


# ---------------------------------------------------------------- projects and locations


async def test_express_key_needs_no_project_and_names_none(read: Read, emulator: EmulatorHandle):
    async with open_app(read(**EXPRESS, GOOGLE_CLOUD_PROJECT=PROJECT, GOOGLE_CLOUD_LOCATION="europe-west4")) as app:
        report = await image(app)
    assert report.status == "succeeded"
    assert "project" not in report.effective
    assert "location" not in report.effective
    assert paths(emulator) == [f"/v1beta1/publishers/google/models/{PICTURE}:generateContent"]


async def test_token_without_a_project_says_what_to_set(read: Read, emulator: EmulatorHandle):
    async with open_app(read(GOOGLE_ACCESS_TOKEN="ya29.ready-token")) as app:
        with pytest.raises(AuthenticationError) as refused:
            await image(app, backend="vertex")
    assert "credentials (GOOGLE_ACCESS_TOKEN) but no project" in str(refused.value)
    assert "GOOGLE_CLOUD_PROJECT" in refused.value.hint
    assert emulator.requests() == []


async def test_express_key_stands_in_for_a_login_without_a_project(read: Read):
    async with open_app(read(**EXPRESS, GOOGLE_ACCESS_TOKEN="ya29.ready-token")) as app:
        report = await image(app, dry_run=True)
    assert "VERTEX_AI_API_KEY" in report.effective["why_backend"]


# The location that is asked for, the model, and the one that it goes to.
LOCATIONS = (
    (None, PICTURE, "global"),
    ("europe-west4", PICTURE, "europe-west4"),
    ("us", PICTURE, "us"),
    (None, VEO, "us-central1"),
    ("us-central1", VEO, "us-central1"),
    ("europe-west4", VEO, "us-central1"),
    ("global", VEO, "us-central1"),
    (None, "gemini-omni-1.1-flash", "global"),
    ("europe-west4", "gemini-omni-1.1-flash", "global"),
)


@pytest.mark.parametrize(("wanted", "model", "location"), LOCATIONS)
async def test_model_goes_to_a_location_that_has_it(wanted: str | None, model: str, location: str, read: Read):
    async with open_app(read(**TOKEN, GOOGLE_CLOUD_LOCATION=wanted or "")) as app:
        report = await ask(app, model, backend="vertex", dry_run=True)
    moved = [(change.from_, change.to) for change in report.adjustments if change.field == "location"]
    assert report.effective["location"] == location
    assert moved == ([(wanted, location)] if wanted not in {None, location} else [])
    assert report.origins["location"] == ("environment" if wanted == location else "default")


async def test_veo_is_really_asked_where_it_was_moved_to(read: Read, emulator: EmulatorHandle):
    async with open_app(read(**TOKEN, GOOGLE_CLOUD_LOCATION="europe-west4")) as app:
        report = await ask(app, VEO)
    assert report.status == "succeeded"
    start = f"/v1beta1/projects/{PROJECT}/locations/us-central1/publishers/google/models/{VEO}:"
    assert {path.removeprefix(start) for path in paths(emulator)} == {"predictLongRunning", "fetchPredictOperation"}


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("global", "https://aiplatform.googleapis.com"),
        ("us", "https://aiplatform.us.rep.googleapis.com"),
        ("eu", "https://aiplatform.eu.rep.googleapis.com"),
        ("us-central1", "https://us-central1-aiplatform.googleapis.com"),
        ("europe-west4", "https://europe-west4-aiplatform.googleapis.com"),
    ],
)
def test_host_of_vertex_follows_the_location(location: str, host: str):
    login = Access(surface="vertex", source="x", project="film")
    route = choose_route("vertex", Configured(accesses=(login,)), serving=("vertex",), what="x").at(location)
    assert vertex_host(location) == route.host == host
    assert route.address(host) == f"{host}/v1beta1/projects/film/locations/{location}"


def test_address_that_is_set_stands_for_every_location():
    login = Access(surface="vertex", source="x", project="film", host="http://127.0.0.1:1/")
    route = choose_route("vertex", Configured(accesses=(login,)), serving=("vertex",), what="x").at("us")
    assert route.host
    assert route.address(route.host) == "http://127.0.0.1:1/v1beta1/projects/film/locations/us"


def test_express_key_is_at_the_global_host_wherever_the_location_is():
    key = Access(surface="vertex", source="x", is_express=True)
    route = choose_route("vertex", Configured(accesses=(key,)), serving=("vertex",), what="x").at("europe-west4")
    assert route.host == "https://aiplatform.googleapis.com"
    assert route.address(route.host) == "https://aiplatform.googleapis.com/v1beta1"


# ---------------------------------------------------------------- quota project


def quota_projects(emulator: EmulatorHandle) -> set[str | None]:
    return {request["headers"].get("x-goog-user-project") for request in vertex_requests(emulator)}


def vertex_requests(emulator: EmulatorHandle) -> list[dict[str, Any]]:
    return [request for request in emulator.requests() if request["path"].startswith("/v1beta1/projects/")]


@pytest.mark.parametrize("login", ["token", "account", "user", "user's own", "none"])
async def test_quota_project_reaches_google_with_every_request(
    login: str, read: Read, emulator: EmulatorHandle, tmp_path: Path
):
    own = "own-quota" if login == "user's own" else None
    files = {
        "account": emulator.service_account_file(tmp_path / "account.json", PROJECT),
        "user": emulator.user_credentials_file(tmp_path / "user.json"),
        "user's own": emulator.user_credentials_file(tmp_path / "own.json", own),
    }
    variables = {"GOOGLE_APPLICATION_CREDENTIALS": str(files[login])} if login in files else TOKEN
    if login not in {"user's own", "none"}:
        variables = {**variables, "GOOGLE_CLOUD_QUOTA_PROJECT": "quota-project"}
    async with open_app(read(**{**variables, "GOOGLE_CLOUD_PROJECT": PROJECT})) as app:
        report = await ask(app, VEO)
    assert report.status == "succeeded"
    assert quota_projects(emulator) == {{"none": None, "user's own": own}.get(login, "quota-project")}


async def test_quota_project_of_the_profile_comes_before_the_environment(
    read: Read, emulator: EmulatorHandle, work: Path
):
    (work / "mediagen.toml").write_text('[profiles.film]\nquota_project = "film-quota"\n')
    async with open_app(read(**TOKEN, GOOGLE_CLOUD_QUOTA_PROJECT="quota-project")) as app:
        await image(app)
    assert quota_projects(emulator) == {"film-quota"}


# ---------------------------------------------------------------- a token that ends midway


@pytest.mark.parametrize("method", ["predictLongRunning", "fetchPredictOperation"])
@pytest.mark.parametrize("login", ["account", "user"])
async def test_token_that_ends_midway_is_renewed_once(
    login: str, method: str, read: Read, emulator: EmulatorHandle, tmp_path: Path
):
    make = {"account": emulator.service_account_file, "user": emulator.user_credentials_file}[login]
    emulator.add_fault(fault="token_revoked", match={"path_contains": method})
    variables = {"GOOGLE_APPLICATION_CREDENTIALS": str(make(tmp_path / "login.json")), "GOOGLE_CLOUD_PROJECT": PROJECT}
    async with open_app(read(**variables)) as app:
        report = await ask(app, VEO)
    assert report.status == "succeeded"
    assert paths(emulator).count("/token") == 2
    assert paid(emulator) == 1


async def test_token_that_stays_refused_is_renewed_once_and_then_told(
    read: Read, emulator: EmulatorHandle, tmp_path: Path
):
    account = emulator.service_account_file(tmp_path / "account.json", PROJECT)
    emulator.add_fault(fault="token_revoked", times=50)
    async with open_app(read(GOOGLE_APPLICATION_CREDENTIALS=str(account))) as app:
        report = await image(app)
    assert report.error
    assert report.error.code == "authentication"
    assert "GOOGLE_APPLICATION_CREDENTIALS" in report.error.message
    assert len(vertex_requests(emulator)) == 2
    assert paths(emulator).count("/token") == 2
    assert paid(emulator) == 0


async def test_ready_token_that_has_ended_is_told_after_one_request(read: Read, emulator: EmulatorHandle):
    async with open_app(read(GOOGLE_ACCESS_TOKEN="ya29.expired", GOOGLE_CLOUD_PROJECT=PROJECT)) as app:
        report = await image(app)
    assert report.error
    assert "the access token from GOOGLE_ACCESS_TOKEN" in report.error.message
    assert len(emulator.requests()) == 1
    assert paid(emulator) == 0


# ---------------------------------------------------------------- after a restart

PROFILES = """\
profile = "{default}"
[profiles.film]
project = "film-project"
credentials_file = "account.json"
[profiles.advert]
project = "advert-project"
credentials_file = "account.json"
"""


async def _leave_running(read: Read, emulator: EmulatorHandle, work: Path) -> JobReport:
    emulator.service_account_file(work / "account.json")
    (work / "mediagen.toml").write_text(PROFILES.format(default="advert"))
    async with open_app(read(MEDIAGEN_POLL_SECONDS="20")) as app:
        report = await until(app, await ask(app, VEO, profile="film", wait_seconds=0), "running")
    assert report.effective["profile"] == "film"
    return report


async def test_job_is_resumed_with_the_profile_that_sent_it(read: Read, emulator: EmulatorHandle, work: Path):
    report = await _leave_running(read, emulator, work)
    async with open_app(read()) as app:
        await app.runner.resume()
        done = await wait_for(app, report.job_id)
        other = await image(app, dry_run=True)
    assert done.status == "succeeded"
    assert other.effective["profile"] == "advert"
    assert all("/projects/film-project/" in request["path"] for request in vertex_requests(emulator))
    assert paid(emulator) == 1


async def test_job_whose_profile_is_gone_waits_with_a_note_and_goes_on_when_it_is_back(
    read: Read, emulator: EmulatorHandle, work: Path
):
    report = await _leave_running(read, emulator, work)
    (work / "mediagen.toml").write_text('[profiles.advert]\nproject = "advert-project"\n')
    before = len(emulator.requests())
    async with open_app(read()) as app:
        await app.runner.resume()
        waiting = await until(app, report, "running", "'film'")
    assert any("'film'" in warning for warning in waiting.warnings), waiting.warnings
    assert len(emulator.requests()) == before
    (work / "mediagen.toml").write_text(PROFILES.format(default="advert"))
    async with open_app(read()) as app:
        await app.runner.resume()
        done = await wait_for(app, report.job_id)
    assert done.status == "succeeded"
    assert paid(emulator) == 1


async def test_job_whose_login_is_gone_waits_with_a_note(read: Read, emulator: EmulatorHandle, work: Path):
    report = await _leave_running(read, emulator, work)
    (work / "account.json").unlink()
    async with open_app(read()) as app:
        await app.runner.resume()
        waiting = await until(app, report, "running", "does not exist")
    assert any("account.json" in warning and "does not exist" in warning for warning in waiting.warnings)


async def test_record_beside_the_file_holds_no_credential(read: Read, work: Path):
    async with open_app(read(**TOKEN)) as app:
        report = await image(app)
    record = report.artifacts[0].file.with_suffix(".json").read_text()
    assert json.loads(record)["backend"] == "vertex"
    assert "ya29" not in record


def _polls(emulator: EmulatorHandle, after: int) -> list[dict[str, Any]]:
    return [request for request in emulator.requests()[after:] if ":fetchPredictOperation" in request["path"]]


async def test_express_job_goes_on_with_its_key_after_a_project_was_set_up(emulator, make_settings, tmp_path):
    variables = {"MEDIAGEN_BACKEND": "vertex", "GOOGLE_VERTEX_BASE_URL": emulator.url, "VERTEX_AI_API_KEY": "AQ.one"}
    emulator.add_fault(fault="stuck")
    request = GenerateVideoRequest(prompt="a fox", model="veo-3.1-fast", duration_seconds=4, wait_seconds=0)
    async with open_app(make_settings(**variables)) as app:
        await until(app, await app.generator.generate_video(request), "running")
    account = str(emulator.service_account_file(tmp_path / "account.json"))
    later = {**variables, "GOOGLE_CLOUD_PROJECT": "film-project", "GOOGLE_APPLICATION_CREDENTIALS": account}
    before = len(emulator.requests())
    async with open_app(make_settings(**later)) as app:
        await app.runner.resume()
        with anyio.fail_after(60):
            while not (polls := _polls(emulator, before)):
                await anyio.sleep(0.02)
    assert all("x-goog-api-key" in poll["headers"] and "authorization" not in poll["headers"] for poll in polls)


async def test_key_that_looks_like_something_else_is_hinted_at(emulator, make_settings):
    variables = {"MEDIAGEN_BACKEND": "gemini", "GEMINI_API_KEY": "ya29.pasted-token"}
    emulator.add_fault(fault="status", status=403, match={"path_contains": ":generateContent"})
    async with open_app(make_settings(**variables)) as app:
        report = await ask(app, PICTURE)
    assert report.error is not None
    assert "looks like an OAuth access token" in report.error.hint
    assert "pasted-token" not in report.model_dump_json()
