"""No secret leaves by any door but the header it is meant for: every kind of credential, good days and bad ones."""

import base64
import json
import logging
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import anyio
import pytest
from mcp import Client, StdioServerParameters
from pydantic import SecretStr
from tests.conftest import of_child
from tests.runner.asking import clip, image

from mediagen.app.app import App, open_app
from mediagen.credentials import Credential, google_credentials
from mediagen.emulator.thread import EmulatorHandle
from mediagen.endpoints import http  # silences some loggers when it is loaded
from mediagen.errors import MediaGenError
from mediagen.report.job import JobReport
from mediagen.report.text import error_in_words, summary
from mediagen.requests import CheckApiRequest
from mediagen.settings import read_settings
from mediagen.storage.gcs import CloudStorage, Patience

TALKATIVE = ("mediagen", "httpx", "httpcore", "google", "google.auth", "google.cloud", "urllib3", "requests", "mcp")
KEY = 'AQ.s3cret-"quoted"/+key=='
PLAIN = "a-key-of-no-known-form-4711"
TOKEN = "ya29.ready-s3cret-token-0815"
PROXY_KEY = 'proxy-s3cret/"of"+mine'
VEO = {"model": "veo-3.1-fast-generate-001", "duration_seconds": 4, "resolution": "720p"}


@dataclass
class Secrets:
    """Everything that must not be seen, and everything that was seen."""

    hidden: list[str] = field(default_factory=list)
    seen: dict[str, str] = field(default_factory=dict)

    def hide(self, *secrets: str) -> None:
        self.hidden += secrets

    def hide_file(self, path: Path) -> None:
        content = json.loads(path.read_text())
        self.hide(*(content[name] for name in ("refresh_token", "client_secret") if name in content))
        self.hide(*(line for line in content.get("private_key", "").splitlines() if "-----" not in line))

    def see(self, what: str, text: str) -> None:
        self.seen[what] = self.seen.get(what, "") + text

    def see_failure(self, what: str, error: BaseException) -> None:
        self.see(what, repr(error) + repr(vars(error)) + "".join(traceback.format_exception(error)))

    def see_files(self, *folders: Path) -> None:
        for folder in folders:
            for file in folder.rglob("*"):
                if file.is_file():
                    self.see(f"file {file}", file.read_bytes().decode("latin-1"))

    def leaks(self) -> list[tuple[str, str]]:
        spellings = {spelling for secret in self.hidden for spelling in spelled(secret)}
        return [(what, spelling) for what, text in self.seen.items() for spelling in spellings if spelling in text]


def spelled(secret: str) -> Iterator[str]:
    raw = secret.encode()
    yield from (secret, json.dumps(secret)[1:-1], json.dumps(json.dumps(secret)[1:-1])[1:-1], repr(secret)[1:-1])
    yield from (quote(secret), quote(secret, safe=""), quote_plus(secret))
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        # Wherever it stands in what was encoded: only the characters that its neighbours touch differ.
        for shift in range(3):
            yield encode(b"x" * shift + raw).decode().rstrip("=")[shift + 1 : -1]


class Everything(logging.Handler):
    """Keeps records as no formatter would: whole, with what the libraries hang on to them."""

    def __init__(self, secrets: Secrets) -> None:
        super().__init__(logging.DEBUG)
        self.secrets = secrets

    def emit(self, record: logging.LogRecord) -> None:
        trace = "".join(traceback.format_exception(*record.exc_info)) if record.exc_info else ""
        self.secrets.see(f"log {record.name}", f"{record.getMessage()} {vars(record)!r} {trace}\n")


@pytest.fixture
def secrets() -> Iterator[Secrets]:
    """What is hidden and seen, with every logger at its most talkative."""
    found = Secrets()
    handler = Everything(found)
    assert http.logger.name.startswith("mediagen.")
    loggers = [logging.getLogger(), *(logging.getLogger(name) for name in TALKATIVE)]
    levels = [logger.level for logger in loggers]
    loggers[0].addHandler(handler)
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    yield found
    loggers[0].removeHandler(handler)
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A configured surface: its variables and the secrets in it."""

    variables: dict[str, str]
    makes_clips: bool = True

    @property
    def paths(self) -> tuple[str, ...]:
        """Parts of the addresses that paid requests go to."""
        clips = "predictLongRunning" if self.clip else "interactions"
        return ("enerateContent", clips) if self.makes_clips else ("enerateContent",)

    @property
    def clip(self) -> dict[str, Any]:
        return VEO if self.variables["MEDIAGEN_BACKEND"] == "vertex" else {}


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    """Where secrets may lie."""
    folder = tmp_path / "vault"
    folder.mkdir()
    return folder


def _toml(vault: Path, text: str) -> dict[str, str]:
    (vault / "mediagen.toml").write_text(f"[profiles.film]\n{text}\n")
    return {"MEDIAGEN_CONFIG": str(vault / "mediagen.toml")}


def _json(vault: Path, key: str) -> dict[str, str]:
    (vault / "config.json").write_text(json.dumps({"main_projects": {"film-1": {"api_key": key}}}))
    return {"MEDIAGEN_CONFIG": str(vault / "config.json")}


def _gemini_key(_emulator: EmulatorHandle, _vault: Path, secrets: Secrets) -> Setting:
    secrets.hide(KEY)
    return Setting(variables={"MEDIAGEN_BACKEND": "gemini", "GEMINI_API_KEY": KEY})


def _express_key(_emulator: EmulatorHandle, _vault: Path, secrets: Secrets) -> Setting:
    secrets.hide(PLAIN)
    return Setting(variables={"MEDIAGEN_BACKEND": "vertex", "VERTEX_AI_API_KEY": PLAIN}, makes_clips=False)


def _access_token(_emulator: EmulatorHandle, _vault: Path, secrets: Secrets) -> Setting:
    secrets.hide(TOKEN)
    variables = {"GOOGLE_ACCESS_TOKEN": TOKEN, "GOOGLE_CLOUD_PROJECT": "film-1", "GCS_BUCKET": "films"}
    return Setting(variables={"MEDIAGEN_BACKEND": "vertex", **variables})


def _service_account(emulator: EmulatorHandle, vault: Path, secrets: Secrets) -> Setting:
    path = emulator.service_account_file(vault / "account.json")
    secrets.hide_file(path)
    return Setting(variables={"MEDIAGEN_BACKEND": "vertex", "GOOGLE_APPLICATION_CREDENTIALS": str(path)})


def _user(emulator: EmulatorHandle, vault: Path, secrets: Secrets) -> Setting:
    path = emulator.user_credentials_file(vault / "user.json")
    secrets.hide_file(path)
    variables = {"GOOGLE_APPLICATION_CREDENTIALS": str(path), "GOOGLE_CLOUD_PROJECT": "film-1"}
    return Setting(variables={"MEDIAGEN_BACKEND": "vertex", **variables})


def _proxy_key(emulator: EmulatorHandle, _vault: Path, secrets: Secrets) -> Setting:
    secrets.hide(PROXY_KEY)
    variables = {"CLIPROXY_BASE_URL": f"{emulator.url}/cliproxy", "CLIPROXY_API_KEY": PROXY_KEY}
    return Setting(variables={"MEDIAGEN_BACKEND": "cliproxy", **variables}, makes_clips=False)


def _key_in_toml(_emulator: EmulatorHandle, vault: Path, secrets: Secrets) -> Setting:
    secrets.hide(KEY)
    return Setting(variables={"MEDIAGEN_BACKEND": "gemini", **_toml(vault, f"api_key = '{KEY}'")})


def _express_key_in_toml(_emulator: EmulatorHandle, vault: Path, secrets: Secrets) -> Setting:
    secrets.hide(KEY)
    variables = _toml(vault, f"vertex_api_key = '{KEY}'")
    return Setting(variables={"MEDIAGEN_BACKEND": "vertex", **variables}, makes_clips=False)


def _key_in_named_variable(_emulator: EmulatorHandle, vault: Path, secrets: Secrets) -> Setting:
    secrets.hide(PLAIN)
    variables = _toml(vault, 'api_key_variable = "FILM_KEY"')
    return Setting(variables={"MEDIAGEN_BACKEND": "gemini", "FILM_KEY": PLAIN, **variables})


def _token_in_named_variable(_emulator: EmulatorHandle, vault: Path, secrets: Secrets) -> Setting:
    secrets.hide(TOKEN)
    variables = _toml(vault, 'project = "film-1"\naccess_token_variable = "FILM_TOKEN"')
    return Setting(variables={"MEDIAGEN_BACKEND": "vertex", "FILM_TOKEN": TOKEN, **variables})


def _file_in_toml(emulator: EmulatorHandle, vault: Path, secrets: Secrets) -> Setting:
    secrets.hide_file(emulator.service_account_file(vault / "account.json"))
    return Setting(variables={"MEDIAGEN_BACKEND": "vertex", **_toml(vault, 'credentials_file = "account.json"')})


def _key_in_json(_emulator: EmulatorHandle, vault: Path, secrets: Secrets) -> Setting:
    secrets.hide(KEY)
    return Setting(variables={"MEDIAGEN_BACKEND": "gemini", **_json(vault, KEY)})


def _token_in_json(_emulator: EmulatorHandle, vault: Path, secrets: Secrets) -> Setting:
    secrets.hide(TOKEN)
    return Setting(variables={"MEDIAGEN_BACKEND": "vertex", **_json(vault, TOKEN)})


KINDS = (
    _gemini_key,
    _express_key,
    _access_token,
    _service_account,
    _user,
    _proxy_key,
    _key_in_toml,
    _express_key_in_toml,
    _key_in_named_variable,
    _token_in_named_variable,
    _file_in_toml,
    _key_in_json,
    _token_in_json,
)


def echoes(word: str) -> list[dict[str, Any]]:
    """Refusals that repeat what was sent wherever Google has a word to say."""
    said = f"Not valid: {word} Please pass another."
    details = [
        {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": word, "metadata": {"service": word}},
        {"@type": "BadRequest", "fieldViolations": [{"field": word, "description": said}]},
    ]
    bodies = [
        {"error": {"code": status, "message": said, "status": word, "details": details}}
        for status in (400, 401, 403, 429, 500)
    ]
    return [
        *({"status": body["error"]["code"], "body": body} for body in bodies),
        {"status": 404, "body": {"error": said}},
        {"status": 502, "body": f"<html><b>{said}</b></html>"},
        {"status": 307, "body": said, "headers": {"location": "https://elsewhere.invalid/"}},
    ]


async def _attempt(secrets: Secrets, what: str, asked: Awaitable[JobReport]) -> bool:
    try:
        report = await asked
    except MediaGenError as error:
        secrets.see_failure(f"error of {what}", error)
        secrets.see(f"words of {what}", error_in_words(error))
        return False
    secrets.see(f"result of {what}", report.model_dump_json(by_alias=True) + repr(report) + summary(report))
    return report.status == "succeeded"


def _sent(emulator: EmulatorHandle, secrets: Secrets) -> str:
    """The key, or the newest of the tokens that were issued for a file."""
    return [secrets.hidden[0], *emulator._world.identities._tokens][-1]


async def _good_days(app: App, setting: Setting, secrets: Secrets) -> None:
    assert await _attempt(secrets, "picture", image(app))
    if setting.makes_clips:
        assert await _attempt(secrets, "clip", clip(app, **setting.clip))
        secrets.see("dry run", (await clip(app, dry_run=True, **setting.clip)).model_dump_json())
    secrets.see("check", (await app.checks.check_api(CheckApiRequest(deep=True))).model_dump_json())


async def _bad_days(app: App, setting: Setting, emulator: EmulatorHandle, secrets: Secrets) -> None:
    for number in range(len(echoes(""))):
        refusal = echoes(_sent(emulator, secrets))[number]
        path = setting.paths[number % len(setting.paths)]
        # Twice, as one that is refused with 401 may be sent again with a new token.
        emulator.add_fault(fault="status", times=2, match={"method": "POST", "path_contains": path}, **refusal)
        is_picture = path == "enerateContent"
        asked = image(app, force_new=True) if is_picture else clip(app, force_new=True, **setting.clip)
        assert not await _attempt(secrets, f"refusal {number}", asked)
        emulator._world.faults.clear()
    refusal = echoes(_sent(emulator, secrets))[1]
    emulator.add_fault(fault="status", times=9, match={"method": "GET"}, **refusal)
    secrets.see("failed check", (await app.checks.check_api(CheckApiRequest())).model_dump_json())
    emulator._world.faults.clear()


def _look_around(secrets: Secrets, emulator: EmulatorHandle, *folders: Path) -> None:
    # Tokens that were issued on the way are secrets, too.
    issued = list(emulator._world.identities._tokens)
    secrets.hide(*issued)
    secrets.see_files(*folders)
    secrets.see("requests", json.dumps(emulator.requests()))
    assert all("key" not in request["query"] for request in emulator.requests())
    assert emulator._world.traffic.key_leaks == 0


@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__.strip("_"))
async def test_secret_is_seen_nowhere(
    make: Callable[[EmulatorHandle, Path, Secrets], Setting],
    emulator: EmulatorHandle,
    environment: dict[str, str],
    secrets: Secrets,
    vault: Path,
    work: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Google's library reads it for itself.
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator.url)
    emulator._world.identities._tokens.clear()
    setting = make(emulator, vault, secrets)
    emulator.make_bucket("films")
    hosts = {"GOOGLE_VERTEX_BASE_URL": emulator.url, "STORAGE_EMULATOR_HOST": emulator.url}
    settings = read_settings({**environment, **hosts, **setting.variables})
    secrets.see("settings", repr(settings) + str(settings.model_dump()) + settings.model_dump_json())
    state = Path(environment["MEDIAGEN_STATE_DIR"])
    with anyio.fail_after(60):
        async with open_app(settings) as app:
            await _good_days(app, setting, secrets)
            await _bad_days(app, setting, emulator, secrets)
            _look_around(secrets, emulator, state, work)
            assert any("ledger.sqlite3" in what and text for what, text in secrets.seen.items())
    secrets.see_files(state, work)
    assert any(what.startswith("log httpcore") for what in secrets.seen)
    assert secrets.leaks() == []


def test_search_for_secrets_finds_every_spelling() -> None:
    """The proof that the tests beside this one can fail."""
    for disguise in (
        lambda text: text,
        json.dumps,
        lambda text: json.dumps(json.dumps(text)),
        quote,
        lambda text: base64.b64encode(f"Bearer {text}".encode()).decode(),
        lambda text: base64.b64encode(f'{{"key": {json.dumps(text)}}}'.encode()).decode() if '"' not in text else text,
    ):
        for secret in (KEY, PLAIN, TOKEN, PROXY_KEY):
            found = Secrets()
            found.hide(secret)
            found.see("text", f"before {disguise(secret)} after")
            assert found.leaks()


@pytest.mark.parametrize("make", [_service_account, _user])
async def test_answer_of_the_token_endpoint_is_never_repeated(
    make: Callable[[EmulatorHandle, Path, Secrets], Setting],
    emulator: EmulatorHandle,
    environment: dict[str, str],
    secrets: Secrets,
    vault: Path,
    work: Path,
) -> None:
    setting = make(emulator, vault, secrets)
    settings = read_settings({**environment, "GOOGLE_VERTEX_BASE_URL": emulator.url, **setting.variables})
    echo = {"error": secrets.hidden[0], "error_description": f"Bad: {' '.join(secrets.hidden)}"}
    path = Path(setting.variables["GOOGLE_APPLICATION_CREDENTIALS"])
    credential = Credential(kind="adc", source="GOOGLE_APPLICATION_CREDENTIALS", file=path)
    for status, body in ((400, echo), (403, json.dumps(echo)), (401, f"<html>{echo}</html>"), (200, echo)):
        emulator.add_fault(fault="status", status=status, body=body, times=9, match={"path_contains": "/token"})
        async with open_app(settings) as app:
            assert not await _attempt(secrets, "picture", image(app))
        store = CloudStorage(credentials=google_credentials(credential), project=None, identity="me", **at(emulator))
        with pytest.raises(MediaGenError) as refused:
            await store.read("gs://films/a.png", max_bytes=10)
        await store.aclose()
        secrets.see_failure("bucket", refused.value)
        emulator._world.faults.clear()
    _look_around(secrets, emulator, Path(environment["MEDIAGEN_STATE_DIR"]), work)
    assert secrets.leaks() == []


@pytest.mark.parametrize("make", [_service_account, _user, _access_token])
async def test_cloud_storage_shows_its_token_to_nobody(
    make: Callable[[EmulatorHandle, Path, Secrets], Setting],
    emulator: EmulatorHandle,
    secrets: Secrets,
    vault: Path,
    work: Path,
) -> None:
    emulator._world.identities._tokens.clear()
    setting = make(emulator, vault, secrets)
    emulator.make_bucket("films")
    if path := setting.variables.get("GOOGLE_APPLICATION_CREDENTIALS"):
        credential = Credential(kind="adc", source="GOOGLE_APPLICATION_CREDENTIALS", file=Path(path))
    else:
        credential = Credential(kind="access_token", source="GOOGLE_ACCESS_TOKEN", secret=SecretStr(TOKEN))
    store = CloudStorage(credentials=google_credentials(credential), project=None, identity="me", **at(emulator))
    await store.upload(work / "cat.png", "gs://films/cat.png", mime_type="image/png")
    for refusal in echoes(_sent(emulator, secrets)):
        emulator.add_fault(fault="status", times=9, match={"path_contains": "/storage/"}, **refusal)
        with pytest.raises(MediaGenError) as refused:
            await store.read("gs://films/cat.png", max_bytes=10**7)
        secrets.see_failure("bucket", refused.value)
        secrets.see("check", repr(await store.check("films")))
        emulator._world.faults.clear()
    await store.aclose()
    _look_around(secrets, emulator, work)
    assert any(what.startswith("log urllib3") for what in secrets.seen)
    assert secrets.leaks() == []


def at(emulator: EmulatorHandle) -> dict[str, Any]:
    return {"endpoint": emulator.url, "patience": Patience(attempts=1, backoff_seconds=0.001)}


TALKATIVE_SERVER = """
import logging, os, sys
os.dup2(os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT), 2)
logging.basicConfig(level=logging.DEBUG)
print(open("/proc/self/cmdline").read() if os.path.exists("/proc/self/cmdline") else sys.orig_argv, file=sys.stderr)
from mediagen.server import main
sys.argv[1:] = []
main()
"""


@pytest.mark.parametrize("make", [_gemini_key, _service_account])
async def test_server_over_stdio_shows_its_secret_to_nobody(
    make: Callable[[EmulatorHandle, Path, Secrets], Setting],
    emulator: EmulatorHandle,
    environment: dict[str, str],
    vault: Path,
    work: Path,
    tmp_path: Path,
) -> None:
    secrets, log = Secrets(), tmp_path / "stderr.txt"
    emulator._world.identities._tokens.clear()
    setting = make(emulator, vault, secrets)
    env = of_child(environment | setting.variables)
    env |= {"GOOGLE_VERTEX_BASE_URL": emulator.url, "MEDIAGEN_LOG_LEVEL": "DEBUG"}
    server = StdioServerParameters(command=sys.executable, args=["-c", TALKATIVE_SERVER, str(log)], env=env)
    with anyio.fail_after(60):
        async with Client(server) as client:
            good = await client.call_tool("generate_image", {"prompt": "a boat"})
            refusal = echoes(_sent(emulator, secrets))[1]
            emulator.add_fault(fault="status", times=2, match={"method": "POST"}, **refusal)
            bad = await client.call_tool("generate_image", {"prompt": "a ship"})
            jobs = await client.call_tool("list_jobs", {})
    assert (good.is_error, bad.is_error) == (False, True)
    for result in (good, bad, jobs):
        secrets.see("result", result.model_dump_json())
    secrets.see("stderr", log.read_text())
    assert "mediagen.endpoints" in secrets.seen["stderr"]
    _look_around(secrets, emulator, Path(environment["MEDIAGEN_STATE_DIR"]), work)
    assert secrets.leaks() == []
