"""The OAuth endpoint and what each path takes as credential."""

import base64
import json
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.auth import exceptions
from google.auth.transport.requests import Request
from google.oauth2 import credentials as user_credentials
from google.oauth2 import service_account

from mediagen.emulator.identities import CLOUD_PLATFORM
from mediagen.emulator.oauth import JWT_BEARER
from mediagen.emulator.settings import EmulatorSettings
from mediagen.emulator.thread import EmulatorHandle, running_emulator

PROJECT = "/v1beta1/projects/test-project/locations/us-central1"
COUNT = "publishers/google/models/gemini-3.8-flash:countTokens"
BODY = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}


@pytest.fixture
def account(emulator: EmulatorHandle, tmp_path: Path) -> Path:
    return emulator.service_account_file(tmp_path / "account 🎬.json")


@pytest.fixture
def http(emulator: EmulatorHandle) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=emulator.url, timeout=30) as client:
        yield client


def signed(account: Path, scopes: tuple[str, ...] = (CLOUD_PLATFORM,)) -> Any:
    credentials: Any = service_account.Credentials
    return credentials.from_service_account_file(str(account), scopes=list(scopes))


def from_info(info: dict[str, Any]) -> Any:
    credentials: Any = service_account.Credentials
    return credentials.from_service_account_info(info, scopes=[CLOUD_PLATFORM])


def count(http: httpx.Client, token: str = "", **headers: str) -> httpx.Response:
    if token:
        headers["authorization"] = f"Bearer {token}"
    return http.post(f"{PROJECT}/{COUNT}", json=BODY, headers=headers)


def reason(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["details"][0]["reason"])


def test_service_account_gets_a_token_that_opens_the_project_path(http: httpx.Client, account: Path) -> None:
    credentials = signed(account)
    credentials.refresh(Request())
    assert count(http, credentials.token).json()["totalTokens"] == 1
    assert stat.S_IMODE(account.stat().st_mode) == 0o600
    assert 3500 < (credentials.expiry.timestamp() - time.time()) + time.timezone < 3600


def test_user_gets_a_token_with_the_quota_project(http: httpx.Client, emulator: EmulatorHandle, tmp_path: Path) -> None:
    path = emulator.user_credentials_file(tmp_path / "user.json", quota_project="paying-project")
    user: Any = user_credentials.Credentials
    credentials = user.from_authorized_user_file(str(path)).with_token_uri(emulator.token_uri)
    credentials.refresh(Request())
    headers: dict[str, str] = {}
    credentials.apply(headers)
    assert http.post(f"{PROJECT}/{COUNT}", json=BODY, headers=headers).status_code == 200
    shown = emulator.requests()[-1]["headers"]
    assert (shown["x-goog-user-project"], shown["authorization"]) == ("paying-project", "…")


def test_accounts_and_users_are_made_over_http_too(http: httpx.Client, emulator: EmulatorHandle) -> None:
    wanted = {"project_id": "film-project", "client_email": "maker@film-project.iam.gserviceaccount.com"}
    info = http.post("/emulator/service_accounts", json=wanted).json()
    assert (info["project_id"], info["client_email"]) == tuple(wanted.values())
    assert info["token_uri"] == emulator.token_uri
    credentials = from_info(info)
    credentials.refresh(Request())
    assert count(http, credentials.token).status_code == 200
    user = http.post("/emulator/users", json={"quota_project": "q"}).json()
    assert (user["type"], user["quota_project_id"]) == ("authorized_user", "q")
    assert user["client_secret"]


def assertion(account: Path, **changes: Any) -> str:
    """Sign an assertion with changed claims; a header is changed as ``header``, a signature as ``signer``."""
    from google.auth import crypt, jwt

    info = json.loads(account.read_text())
    signers: Any = crypt.RSASigner
    signer = signers.from_service_account_info(changes.pop("signer", info))
    now = int(time.time())
    claims = {
        "iss": info["client_email"],
        "aud": info["token_uri"],
        "scope": CLOUD_PLATFORM,
        "iat": now,
        "exp": now + 3600,
    }
    header = changes.pop("header", {})
    encode: Any = jwt.encode
    return str(encode(signer, claims | changes, header=header, key_id=header.get("kid")).decode())


def ask(http: httpx.Client, **form: str) -> httpx.Response:
    return http.post("/token", data=form)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"aud": "https://example.org/token"}, "invalid_grant", "Failed audience check"),
        ({"iss": "nobody@test-project.iam.gserviceaccount.com"}, "invalid_grant", "account not found"),
        ({"iat": int(time.time()) + 4000, "exp": int(time.time()) + 7600}, "invalid_grant", "short-lived token"),
        ({"iat": int(time.time()) - 9000, "exp": int(time.time()) - 5400}, "invalid_grant", "short-lived token"),
        ({"exp": int(time.time()) + 90_000}, "invalid_grant", "short-lived token"),
        ({"iat": "now"}, "invalid_grant", "short-lived token"),
        ({"scope": ""}, "invalid_scope", "Invalid OAuth scope"),
        ({"header": {"kid": "another"}}, "invalid_grant", "Invalid JWT Signature"),
        ({"header": {"alg": "none"}}, "invalid_grant", "Invalid JWT Signature"),
    ],
)
def test_wrong_assertion_is_refused_in_googles_words(
    http: httpx.Client, account: Path, changes: dict[str, Any], error: Any, words: Any
) -> None:
    assert ask(http, grant_type=JWT_BEARER, assertion=assertion(account)).status_code == 200
    answer = ask(http, grant_type=JWT_BEARER, assertion=assertion(account, **changes))
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert words in answer.json()["error_description"]


def test_assertion_signed_with_another_key_or_changed_is_refused(
    http: httpx.Client, emulator: EmulatorHandle, account: Path, tmp_path: Path
) -> None:
    other = json.loads(emulator.service_account_file(tmp_path / "other.json").read_text())
    kid = json.loads(account.read_text())["private_key_id"]
    forged = assertion(account, signer=other, header={"kid": kid})
    header, _, signature = assertion(account).split(".")
    claims = base64.urlsafe_b64encode(json.dumps({"iss": json.loads(account.read_text())["client_email"]}).encode())
    for bad in (forged, f"{header}.{claims.decode()}.{signature}"):
        answer = ask(http, grant_type=JWT_BEARER, assertion=bad)
        assert answer.json() == {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}


@pytest.mark.parametrize("bad", ["", "a.b", "é.é.é", "e30.e30.@@", "W10.W10.W10"])
def test_garbage_for_an_assertion_is_a_400(http: httpx.Client, bad: str) -> None:
    answer = ask(http, grant_type=JWT_BEARER, assertion=bad)
    assert (answer.status_code, set(answer.json())) == (400, {"error", "error_description"})


def test_wrong_refresh_grants_are_refused(http: httpx.Client) -> None:
    user = http.post("/emulator/users").json()
    good = {name: user[name] for name in ("client_id", "client_secret", "refresh_token")}
    assert ask(http, grant_type="refresh_token", **good).json()["scope"] == CLOUD_PLATFORM
    wrong = [
        ({"client_id": "x"}, 401, "invalid_client"),
        ({"client_secret": "x"}, 401, "invalid_client"),
        ({"refresh_token": "1//gone"}, 400, "invalid_grant"),
        ({"refresh_token": ""}, 400, "invalid_request"),
    ]
    for change, status_code, error in wrong:
        answer = ask(http, grant_type="refresh_token", **(good | change))
        assert (answer.status_code, answer.json()["error"]) == (status_code, error)
    assert ask(http).json()["error"] == "invalid_request"
    assert ask(http, grant_type="password").json()["error"] == "unsupported_grant_type"


def test_google_auth_raises_its_own_error_for_an_unknown_account(
    http: httpx.Client, emulator: EmulatorHandle, account: Path
) -> None:
    info = json.loads(account.read_text()) | {"client_email": "nobody@x.iam.gserviceaccount.com"}
    credentials = from_info(info)
    with pytest.raises(exceptions.RefreshError, match="account not found"):
        credentials.refresh(Request())


def test_tokens_end_after_the_set_time(tmp_path: Path) -> None:
    with running_emulator(EmulatorSettings(token_seconds=0.0)) as emulator, httpx.Client(base_url=emulator.url) as http:
        path = emulator.service_account_file(tmp_path / "account.json")
        token = ask(http, grant_type=JWT_BEARER, assertion=assertion(path)).json()["access_token"]
        answer = count(http, token)
    assert (answer.status_code, reason(answer)) == (401, "ACCESS_TOKEN_EXPIRED")


def test_token_for_storage_opens_buckets_and_no_models(
    http: httpx.Client, emulator: EmulatorHandle, account: Path
) -> None:
    credentials = signed(account, ("https://www.googleapis.com/auth/devstorage.read_write",))
    credentials.refresh(Request())
    emulator.make_bucket("films")
    bearer = {"authorization": f"Bearer {credentials.token}"}
    assert http.get("/storage/v1/b/films/o", headers=bearer).status_code == 200
    answer = count(http, credentials.token)
    assert (answer.status_code, reason(answer)) == (403, "ACCESS_TOKEN_SCOPE_INSUFFICIENT")


@pytest.mark.parametrize(
    ("headers", "status_code", "words"),
    [
        ({"authorization": "Bearer ya29.ready"}, 200, "totalTokens"),
        ({"authorization": "Bearer ya29.made-up"}, 401, "invalid authentication credentials"),
        ({"authorization": "Bearer ya29.ready-expired"}, 401, "ACCESS_TOKEN_EXPIRED"),
        ({"authorization": "Bearer ya29.ready-scope"}, 403, "ACCESS_TOKEN_SCOPE_INSUFFICIENT"),
        ({"authorization": "Bearer"}, 401, "missing required authentication credential"),
        ({"authorization": "Basic eDp5"}, 401, "missing required authentication credential"),
        ({"x-goog-api-key": "AQ.key"}, 401, "API keys are not supported by this API. Expected OAuth2 access token"),
        ({}, 401, "missing required authentication credential"),
    ],
)
def test_project_path_takes_tokens_only(
    http: httpx.Client, headers: dict[str, str], status_code: int, words: str
) -> None:
    answer = count(http, **headers)
    assert answer.status_code == status_code
    assert words in answer.text


@pytest.mark.parametrize(
    ("headers", "status_code"),
    [
        ({"x-goog-api-key": "AQ.key"}, 200),
        ({"x-goog-api-key": "bad-key"}, 400),
        ({"authorization": "Bearer ya29.ready"}, 200),
        ({"authorization": "Bearer AQ.key"}, 401),
        ({}, 403),
    ],
)
def test_express_path_takes_keys(http: httpx.Client, headers: dict[str, str], status_code: int) -> None:
    assert http.post(f"/v1beta1/{COUNT}", json=BODY, headers=headers).status_code == status_code
    assert http.get("/v1beta1/publishers/google/models", headers=headers).status_code == status_code


def test_revoked_token_is_refused_once_and_a_fresh_one_works(
    http: httpx.Client, emulator: EmulatorHandle, account: Path
) -> None:
    credentials = signed(account)
    credentials.refresh(Request())
    emulator.add_fault(fault="token_revoked")
    assert [count(http, credentials.token).status_code for _ in range(2)] == [401, 401]
    credentials.refresh(Request())
    assert count(http, credentials.token).status_code == 200


def test_fault_for_the_call_does_not_hit_the_token_endpoint(
    http: httpx.Client, emulator: EmulatorHandle, account: Path
) -> None:
    emulator.add_fault(fault="status", preset="overloaded")
    emulator.add_fault(fault="status", status=500, match={"path_contains": "/token"})
    form = {"grant_type": JWT_BEARER, "assertion": assertion(account)}
    assert [ask(http, **form).status_code for _ in range(2)] == [500, 200]
    assert count(http, "ya29.ready").status_code == 503


def test_neither_tokens_nor_keys_are_shown(http: httpx.Client, emulator: EmulatorHandle, account: Path) -> None:
    token = ask(http, grant_type=JWT_BEARER, assertion=assertion(account)).json()["access_token"]
    count(http, token)
    shown = json.dumps(emulator.requests())
    assert "/token" in shown
    assert token not in shown
    assert "eyJ" not in shown


def test_identities_outlive_a_reset(http: httpx.Client, emulator: EmulatorHandle, account: Path) -> None:
    emulator.reset()
    assert ask(http, grant_type=JWT_BEARER, assertion=assertion(account)).status_code == 200
