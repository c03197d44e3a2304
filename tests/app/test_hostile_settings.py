"""Files of strangers, answers of liars and a strange machine: keys stay home, money is kept, and errors are words."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import anyio
import httpx
import pytest
from pydantic import ValidationError
from tests.conftest import paid
from tests.runner.asking import clip, image, wait_for

from mediagen.app.app import open_app
from mediagen.credentials import Credential, google_credentials
from mediagen.emulator.thread import EmulatorHandle
from mediagen.endpoints.base import PaidRequest
from mediagen.endpoints.gemini_api import GeminiApi
from mediagen.errors import AuthenticationError, ConfigurationError, MediaGenError
from mediagen.requests import CheckApiRequest, ExtendVideoRequest
from mediagen.routing import Route
from mediagen.settings import Settings, read_settings
from mediagen.storage.gcs import CloudStorage, Patience

MakeSettings = Callable[..., Settings]
TOKEN = {"GOOGLE_ACCESS_TOKEN": "ya29.ready-mine", "MEDIAGEN_BACKEND": "vertex"}
AUDIENCE = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q"


@dataclass
class Stranger:
    """A server that takes down what it is sent, and answers as told."""

    url: str = ""
    received: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    answers: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def everything(self) -> str:
        return repr(self.received)


def _serve(stranger: Stranger, server_type: type[ThreadingHTTPServer], host: str) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            stranger.received.append((self.command, self.path, dict(self.headers.items()), body))
            data = json.dumps(stranger.answers.get(self.path.partition("?")[0], {})).encode()
            self.send_response_only(200)
            headers = {"content-type": "application/json", "content-length": str(len(data)), **stranger.headers}
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_CONNECT = do_POST  # noqa: N815 - the names are http.server's

        def log_message(self, *_args: Any) -> None:
            pass

    return server_type((host, 0), Handler)


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    yield from _running(Stranger(), ThreadingHTTPServer, "127.0.0.1", "127.0.0.1")


def _running(stranger: Stranger, server_type: type[ThreadingHTTPServer], host: str, shown: str) -> Iterator[Stranger]:
    server = _serve(stranger, server_type, host)
    stranger.url = f"http://{shown}:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield stranger
    server.shutdown()
    server.server_close()
    thread.join(5)


# --- a configuration file that came with somebody's project -------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        'base_url = "https://evil.example"',
        'gemini_base_url = "https://evil.example"',
        'vertex_base_url = "https://evil.example"',
        'cliproxy_base_url = "https://evil.example"',
        'storage_emulator_host = "https://evil.example"',
        'location = "evil.example/x"',
        'location = "evil.example#"',
        'project = "x/../../y"',
        'project = "x?key"',
        'bucket = "b/../c"',
        'path = "gs://other/x"',
        'ffmpeg = "/tmp/evil"',
        'state_dir = "/tmp"',
        'input_roots = "/"',
    ],
)
def test_found_file_cannot_choose_where_secrets_go_or_what_runs(work: Path, line: str) -> None:
    (work / "mediagen.toml").write_text(f"[profiles.film]\n{line}\n")
    with pytest.raises(ConfigurationError) as refused:
        read_settings({"GEMINI_API_KEY": "mine"})
    assert "evil.example" not in str(refused.value)


def test_environment_file_of_a_folder_is_not_read(work: Path) -> None:
    (work / ".env").write_text("GOOGLE_GEMINI_BASE_URL=https://evil.example\nMEDIAGEN_MAX_USD_PER_DAY=1000\n")
    settings = read_settings({"GEMINI_API_KEY": "mine"})
    assert (settings.gemini_base_url, settings.max_usd_per_day) == (None, None)


async def test_found_file_cannot_lift_a_cap(work: Path, make_settings: MakeSettings, emulator: EmulatorHandle) -> None:
    (work / "mediagen.toml").write_text(
        "[profiles.film]\nmax_usd_per_call = 1000\nmax_usd_per_day = 1000\nconfirm_above_usd = 1000\n"
    )
    for variable, code in (
        ("MEDIAGEN_MAX_USD_PER_CALL", "budget_exceeded"),
        ("MEDIAGEN_MAX_USD_PER_DAY", "budget_exceeded"),
        ("MEDIAGEN_CONFIRM_ABOVE_USD", "approval_needed"),
    ):
        caps = {"MEDIAGEN_BACKEND": "gemini", "GEMINI_API_KEY": "mine", variable: "0.001"}
        async with open_app(make_settings(**caps)) as app:
            with pytest.raises(MediaGenError) as refused:
                await image(app)
        assert refused.value.code in {code, "over_call_cap", "over_day_cap"}
    assert paid(emulator) == 0


@pytest.mark.parametrize(("asked", "found", "own"), [("1000", "5", "1000"), ("1", "1", "1"), ("0", "0", "0")])
async def test_found_file_can_only_ask_for_approval_earlier(
    work: Path, make_settings: MakeSettings, asked: str, found: str, own: str
) -> None:
    """Whoever names the file with MEDIAGEN_CONFIG means it."""
    file = work / "mediagen.toml"
    file.write_text(f"[profiles.film]\nconfirm_above_usd = {asked}\n")
    for variables, limit in (({}, found), ({"MEDIAGEN_CONFIG": str(file)}, own)):
        async with open_app(make_settings(**variables)) as app:
            assert str(app.generator.policy.projects.choose(None).limits.confirm_above_usd) == limit


async def test_bucket_of_a_found_file_is_told_with_its_origin(
    work: Path, make_settings: MakeSettings, emulator: EmulatorHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator.url)
    (work / "mediagen.toml").write_text('[profiles.film]\nproject = "film-1"\nbucket = "somebodys"\n')
    settings = make_settings(**TOKEN, GOOGLE_VERTEX_BASE_URL=emulator.url)
    async with open_app(settings) as app:
        report = await clip(app, model="veo-3.1-fast-generate-001", duration_seconds=4, resolution="720p", dry_run=True)
    assert report.effective["storage_uri"] == "gs://somebodys/(job id)/"
    assert report.origins["storage_uri"] == "profile"


# --- a credentials file of somebody else --------------------------------------------------------------------------


def _external(**changes: Any) -> dict[str, Any]:
    return {
        "type": "external_account",
        "audience": AUDIENCE,
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": {"file": "/etc/hostname"},
        **changes,
    }


def _profile_with(work: Path, content: dict[str, Any]) -> None:
    (work / "creds.json").write_text(json.dumps(content))
    (work / "mediagen.toml").write_text('[profiles.film]\nproject = "film-1"\ncredentials_file = "creds.json"\n')


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/token",
        "https://sts.googleapis.com.evil.example/token",
        "https://sts.googleapis.com@evil.example/token",
        "https://evil.example\\.googleapis.com/token",
        "https://evil.example#.googleapis.com/token",
        "https://evil.example?.googleapis.com/token",
        "https://sts.{universe_domain}/v1/token",
        "http://sts.googleapis.com/v1/token",
        "//evil.example/token",
    ],
)
@pytest.mark.parametrize("name", ["token_url", "service_account_impersonation_url"])
def test_credentials_file_cannot_send_a_file_or_token_to_a_stranger(tmp_path: Path, address: str, name: str) -> None:
    """Google's library would read `credential_source` and post it there: any file, or a machine's own token."""
    for content in (_external(**{name: address}), {"type": "impersonated_service_account"}):
        nested = {"source_credentials": _external(**{name: address}), "service_account_impersonation_url": address}
        path = tmp_path / "creds.json"
        path.write_text(json.dumps(content if content["type"] == "external_account" else {**content, **nested}))
        with pytest.raises(AuthenticationError) as refused:
            google_credentials(Credential(kind="adc", source="GOOGLE_APPLICATION_CREDENTIALS", file=path))
        assert refused.value.code == "credentials_file"
        assert "evil" not in str(refused.value)


async def test_project_cannot_have_a_program_started(
    work: Path, make_settings: MakeSettings, emulator: EmulatorHandle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Even where the user allows the programs of their own credentials file."""
    monkeypatch.setenv("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", "1")
    touched = tmp_path / "touched"
    program = {"executable": {"command": f"touch {touched}", "timeout_millis": 5000}}
    _profile_with(work, _external(credential_source=program, token_url=f"{emulator.url}/token"))
    async with open_app(make_settings(MEDIAGEN_BACKEND="vertex", GOOGLE_VERTEX_BASE_URL=emulator.url)) as app:
        report = await image(app)
    assert report.error
    assert "program" in report.error.message
    assert not touched.exists()
    assert paid(emulator) == 0


def test_program_needs_googles_own_permission(tmp_path: Path) -> None:
    touched, path = tmp_path / "touched", tmp_path / "creds.json"
    program = {"executable": {"command": f"touch {touched}", "timeout_millis": 5000}}
    path.write_text(json.dumps(_external(credential_source=program)))
    store: Any = google_credentials(Credential(kind="adc", source="GOOGLE_APPLICATION_CREDENTIALS", file=path))
    with pytest.raises(Exception, match="explicitly allowed"):
        store.retrieve_subject_token(None)
    assert not touched.exists()


# --- a record that lies beside somebody's clip --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("location", "{host}/x"),
        ("location", "{host}#"),
        ("location", "{host}?"),
        ("location", "x@{host}"),
        ("project", "x/../../../../evil"),
        ("project", "p?a=b"),
        ("project", "p/locations/global/publishers/google/models/m:predict#"),
    ],
)
async def test_record_beside_a_clip_cannot_choose_the_host_that_gets_the_token(
    make_settings: MakeSettings, emulator: EmulatorHandle, work: Path, name: str, value: str, stranger: Stranger
) -> None:
    async with open_app(make_settings()) as app:
        made = await wait_for(app, (await clip(app)).job_id)
    film = made.artifacts[0].file
    record = {"model": "gemini-omni-1.2-flash", "location": "global", "project": "film-1"}
    record[name] = value.format(host=stranger.url.removeprefix("http://"))
    film.with_suffix(".json").write_text(
        json.dumps({"version": "mediagen.sidecar.v1", "backend": "vertex", "generation": record})
    )
    environment = {"GOOGLE_ACCESS_TOKEN": "ya29.ready-mine", "MEDIAGEN_STATE_DIR": str(work / "other-state")}
    settings = read_settings({**environment, "MEDIAGEN_BACKEND": "vertex", "GOOGLE_CLOUD_LOCATION": "global"})
    async with open_app(settings) as app:
        try:
            report = await app.generator.extend_video(ExtendVideoRequest(source=str(film), prompt="on", dry_run=True))
        except AuthenticationError as error:
            # No other project is known: the surface cannot be used at all.
            assert "no project" in error.message  # noqa: PT017 - one of two ways to come out
        else:
            assert report.effective["location"] == "global"
            assert report.effective["project"] == "film-1"
            assert any(name in warning for warning in report.warnings), report.warnings
    assert not stranger.received


@pytest.mark.parametrize("location", ["evil.example/x", "evil.example#", "a@b", "", "..", "A"])
def test_route_takes_no_location_that_would_change_the_host(location: str) -> None:
    route = Route(backend="vertex", surface="vertex", host=None, source="", reason="", project="film-1")
    with pytest.raises(ConfigurationError):
        route.at(location)


@pytest.mark.parametrize("project", ["x/../y", "x?y", "x#y", "../x", ""])
def test_route_takes_no_project_that_would_change_the_path(project: str) -> None:
    route = Route(backend="vertex", surface="vertex", host=None, source="", reason="", project=project)
    with pytest.raises(ConfigurationError):
        route.address("https://aiplatform.googleapis.com")


# --- arguments and answers that would lead elsewhere --------------------------------------------------------------


@pytest.mark.parametrize("model", ["x:predictLongRunning?", "../../files", "m/../..", "m:generateContent#", "a b"])
async def test_model_that_is_no_id_is_refused_and_nothing_is_sent(
    make_settings: MakeSettings, stranger: Stranger, model: str
) -> None:
    settings = make_settings(MEDIAGEN_BACKEND="gemini", GEMINI_API_KEY="mine", GOOGLE_GEMINI_BASE_URL=stranger.url)
    async with open_app(settings) as app:
        with pytest.raises(ValidationError, match="model"):
            await image(app, model=model)
    assert stranger.received == []


@pytest.mark.parametrize("model", ["x:predictLongRunning?", "../../files", "m/../..", "m:generateContent#", "a b"])
async def test_model_of_any_spelling_stays_one_part_of_the_path(stranger: Stranger, model: str) -> None:
    """Also where no request was validated; it cannot become another method."""
    call = PaidRequest(kind="image", model=model, api="generate_content", body={"contents": []})
    async with GeminiApi(auth=httpx.Auth(), key_source="k", base_url=stranger.url) as api:
        with pytest.raises(MediaGenError):
            await api.submit(call)
    assert {path for _, path, *_ in stranger.received} == {f"/v1beta/models/{quote(model, safe='')}:generateContent"}


@pytest.mark.parametrize("name", ["../../../files", "..", "x?alt=media", "x#y", "//evil.example/x", "a:cancel"])
async def test_name_of_a_job_that_google_makes_up_stays_on_its_path(
    make_settings: MakeSettings, stranger: Stranger, name: str
) -> None:
    """Whatever name comes back is asked about with GET, at the same host, below the same version."""
    stranger.answers["/v1beta/interactions"] = {"id": name, "status": "in_progress"}
    settings = make_settings(MEDIAGEN_BACKEND="gemini", GEMINI_API_KEY="mine", GOOGLE_GEMINI_BASE_URL=stranger.url)
    async with open_app(settings) as app:
        report = await clip(app, wait_seconds=0)
        with anyio.fail_after(60):
            while report.status == "submitting":
                await anyio.sleep(0.02)
                report = await wait_for(app, report.job_id, 0)
    posts = [path for method, path, *_ in stranger.received if method == "POST"]
    assert posts == ["/v1beta/interactions"]
    assert all(path.startswith("/v1beta") for _, path, *_ in stranger.received)


# --- a strange machine --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"])
async def test_proxy_of_the_environment_is_not_used_for_this_machine(
    make_settings: MakeSettings,
    emulator: EmulatorHandle,
    stranger: Stranger,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv(variable, stranger.url)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator.url)
    account = emulator.service_account_file(tmp_path / "account.json")
    settings = make_settings(
        MEDIAGEN_BACKEND="vertex",
        GOOGLE_VERTEX_BASE_URL=emulator.url,
        GOOGLE_APPLICATION_CREDENTIALS=str(account),
        GCS_BUCKET="films",
    )
    emulator.make_bucket("films")
    async with open_app(settings) as app:
        assert (await image(app)).status == "succeeded"
        veo = {"model": "veo-3.1-fast-generate-001", "duration_seconds": 4, "resolution": "720p"}
        assert (await clip(app, **veo)).status == "succeeded"
    assert stranger.received == []


async def test_proxy_of_the_environment_is_used_for_the_way_out_and_sees_no_key(
    make_settings: MakeSettings, stranger: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", stranger.url)
    settings = make_settings(
        MEDIAGEN_BACKEND="gemini", GEMINI_API_KEY="mine-4711", GOOGLE_GEMINI_BASE_URL="https://gemini.invalid"
    )
    async with open_app(settings) as app:
        report = await app.checks.check_api(CheckApiRequest(backend="gemini"))
    assert not report.ok
    assert {(method, path) for method, path, *_ in stranger.received} == {("CONNECT", "gemini.invalid:443")}
    assert "mine-4711" not in stranger.everything


@pytest.mark.parametrize(
    ("variable", "value", "word"),
    [
        ("ALL_PROXY", "socks5://user:pw-s3cret@proxy.invalid:1", "SOCKS"),
        ("HTTPS_PROXY", "ftp://user:pw-s3cret@proxy.invalid:1", "proxy"),
        ("HTTPS_PROXY", "http://user:pw-s3cret@proxy.invalid:port", "proxy"),
        ("NO_PROXY", "[::1],fe80::/10", "proxy"),
        ("SSL_CERT_FILE", "/nowhere/pw-s3cret.pem", "SSL_CERT_FILE"),
    ],
)
async def test_network_settings_that_cannot_be_used_are_told_in_words(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, word: str
) -> None:
    settings = make_settings(
        MEDIAGEN_BACKEND="gemini", GEMINI_API_KEY="mine", GOOGLE_GEMINI_BASE_URL="https://gemini.invalid"
    )
    monkeypatch.setenv(variable, value)
    async with open_app(settings) as app:
        job = await image(app)
        report = await app.checks.check_api(CheckApiRequest(backend="gemini"))
    assert job.error
    assert word in f"{job.error.message} {job.error.hint}"
    assert job.error.billed == "no"
    assert word in report.model_dump_json()
    assert "pw-s3cret" not in f"{job!r} {report!r}"


async def test_token_cannot_be_had_through_a_proxy_that_cannot_be_used(
    make_settings: MakeSettings, emulator: EmulatorHandle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = emulator.service_account_file(tmp_path / "account.json")
    content = json.loads(path.read_text()) | {"token_uri": "https://oauth.invalid/token"}
    path.write_text(json.dumps(content))
    monkeypatch.setenv("ALL_PROXY", "socks5://user:pw-s3cret@proxy.invalid:1")
    settings = make_settings(
        MEDIAGEN_BACKEND="vertex", GOOGLE_VERTEX_BASE_URL=emulator.url, GOOGLE_APPLICATION_CREDENTIALS=str(path)
    )
    async with open_app(settings) as app:
        report = await image(app)
    assert report.error
    assert "proxy" in report.error.message
    assert "pw-s3cret" not in repr(report)


async def test_address_on_ipv6_loopback_works(make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    class OverIpv6(ThreadingHTTPServer):
        address_family = socket.AF_INET6

    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:1")
    try:
        serving = _running(Stranger(), OverIpv6, "::1", "[::1]")
        stranger = next(serving)
    except OSError:
        pytest.skip("no IPv6 here")
    stranger.answers["/v1beta/models"] = {"models": [{"name": "models/gemini-3-pro-image"}]}
    settings = make_settings(MEDIAGEN_BACKEND="gemini", GEMINI_API_KEY="mine", GOOGLE_GEMINI_BASE_URL=stranger.url)
    async with open_app(settings) as app:
        report = await app.checks.check_api(CheckApiRequest(backend="gemini"))
    next(serving, None)
    assert report.ok


@pytest.mark.parametrize("tail", ["", "/", "/gateway", "/gateway/", "/g%C3%A4te"])
async def test_address_may_have_a_path_and_a_slash_at_its_end(
    make_settings: MakeSettings, stranger: Stranger, tail: str
) -> None:
    settings = make_settings(
        MEDIAGEN_BACKEND="gemini", GEMINI_API_KEY="mine", GOOGLE_GEMINI_BASE_URL=f"{stranger.url}{tail}"
    )
    stranger.answers[f"{tail.rstrip('/')}/v1beta/models"] = {"models": [{"name": "models/gemini-3-pro-image"}]}
    async with open_app(settings) as app:
        report = await app.checks.check_api(CheckApiRequest(backend="gemini"))
    assert report.ok, report


@pytest.mark.parametrize("variable", ["GOOGLE_GEMINI_BASE_URL", "GOOGLE_VERTEX_BASE_URL", "CLIPROXY_BASE_URL"])
@pytest.mark.parametrize("value", ["https://user:pw-s3cret@host.example", "https://host.example/?key=pw-s3cret"])
def test_address_with_a_password_is_refused_and_not_repeated(variable: str, value: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_settings({variable: value})
    assert variable in str(refused.value)
    assert "pw-s3cret" not in repr(refused.value)


@pytest.mark.parametrize("variable", ["MEDIAGEN_OUTPUT_DIR", "MEDIAGEN_STATE_DIR", "MEDIAGEN_INPUT_ROOTS"])
def test_home_of_nobody_is_told_in_words(variable: str) -> None:
    with pytest.raises(ConfigurationError, match="home folder"):
        read_settings({variable: "~nobody-of-that-name/x"})


async def test_home_that_is_no_folder_is_told_in_words(
    make_settings: MakeSettings, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, emulator: EmulatorHandle
) -> None:
    monkeypatch.setenv("HOME", "/dev/null")
    del environment["MEDIAGEN_STATE_DIR"]
    with pytest.raises(MediaGenError):
        async with open_app(make_settings()) as app:
            await image(app)
    assert paid(emulator) == 0


async def test_without_home_and_variables_of_its_own_everything_works(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOME")
    async with open_app(make_settings()) as app:
        assert (await image(app)).status == "succeeded"


@pytest.mark.parametrize("hours", [-9, 9])
async def test_wrong_clock_is_told(make_settings: MakeSettings, stranger: Stranger, hours: int) -> None:
    stranger.headers["date"] = format_datetime(datetime.now(UTC) + timedelta(hours=hours), usegmt=True)
    stranger.answers["/v1beta/models"] = {"models": [{"name": "models/gemini-3-pro-image"}]}
    settings = make_settings(MEDIAGEN_BACKEND="gemini", GEMINI_API_KEY="mine", GOOGLE_GEMINI_BASE_URL=stranger.url)
    async with open_app(settings) as app:
        report = await app.checks.check_api(CheckApiRequest(backend="gemini"))
    skew = next(surface.clock_skew_seconds for surface in report.surfaces if surface.surface == "gemini")
    assert skew == pytest.approx(hours * 3600, abs=5)


async def test_key_and_prompt_in_other_scripts_do_not_break_anything(
    make_settings: MakeSettings, emulator: EmulatorHandle
) -> None:
    with pytest.raises(ConfigurationError, match="GEMINI_API_KEY") as refused:
        make_settings(GEMINI_API_KEY="schlüssel-🎬-s3cret")
    assert "s3cret" not in repr(refused.value)
    with pytest.raises(ConfigurationError, match="GOOGLE_CLOUD_PROJECT"):
        make_settings(GOOGLE_CLOUD_PROJECT="prøject")
    async with open_app(make_settings(MEDIAGEN_PROFILE="")) as app:
        assert (await image(app, prompt="ein Boot 🎬 на воде\u2028")).status == "succeeded"


async def test_variable_that_nobody_expanded_is_no_address_of_a_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some hosts hand `${VAR}` over as it stands; then the bucket is Google's, asked with the credentials."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "${STORAGE_EMULATOR_HOST}")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    patience = Patience(attempts=1, backoff_seconds=0.001)
    store = CloudStorage(credentials=None, project=None, identity="me", patience=patience)
    with anyio.fail_after(10), pytest.raises(MediaGenError) as refused:
        await store.read("gs://films/a.png", max_bytes=10)
    await store.aclose()
    assert refused.value.code == "storage_unavailable"
    assert "ProxyError" in str(refused.value)
