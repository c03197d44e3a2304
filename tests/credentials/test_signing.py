"""Which header each kind of credential sends, and that secrets stay secret."""

import logging
import traceback
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from tests.credentials.conftest import CLIENT_SECRET, REFRESH_TOKEN, FakeGoogle, Get, Saved

from mediagen.credentials import Credential, google_credentials, key_hint, sign_with
from mediagen.credentials.credential import CredentialKind
from mediagen.credentials.google_auth import load
from mediagen.credentials.signing import GoogleAuth
from mediagen.errors import AuthenticationError, MediaGenError

ORIGIN = "https://aiplatform.googleapis.com/v1beta1/projects/p"
LEFT_OVER = {"authorization": "Bearer old", "x-goog-api-key": "old", "x-goog-user-project": "old"}


def signed(credential: Credential, url: str = ORIGIN) -> dict[str, str]:
    request = httpx.Request("GET", url, headers=LEFT_OVER)
    next(sign_with(credential, ORIGIN).sync_auth_flow(request))
    return {name: value for name, value in request.headers.items() if name in LEFT_OVER}


@pytest.mark.parametrize(
    ("kind", "headers"),
    [
        ("api_key", {"x-goog-api-key": "s3cret"}),
        ("express_key", {"x-goog-api-key": "s3cret"}),
        ("access_token", {"authorization": "Bearer s3cret", "x-goog-user-project": "quota"}),
        ("proxy_key", {"authorization": "Bearer s3cret"}),
    ],
)
def test_kind_decides_the_header_and_left_over_ones_go(kind: CredentialKind, headers: dict[str, str]) -> None:
    quota_project = "quota" if kind == "access_token" else None
    credential = Credential(kind=kind, source="X", secret=SecretStr(" s3cret\n"), quota_project=quota_project)
    assert signed(credential) == headers
    for elsewhere in (
        "https://evil.test/",
        "http://aiplatform.googleapis.com/",
        "https://aiplatform.googleapis.com:1/",
    ):
        assert signed(credential, elsewhere) == {}


@pytest.mark.parametrize("kind", ["service_account", "user", "adc"])
def test_files_are_signed_for_by_tokens(kind: CredentialKind) -> None:
    assert isinstance(sign_with(Credential(kind=kind, source="X"), ORIGIN), GoogleAuth)


@pytest.mark.parametrize("kind", ["api_key", "express_key", "access_token", "proxy_key"])
@pytest.mark.parametrize("secret", [None, "", "two words", "line\nbreak", "ключ"])
def test_impossible_secret_names_its_source_only(kind: CredentialKind, secret: str | None) -> None:
    wrapped = None if secret is None else SecretStr(secret)
    with pytest.raises(AuthenticationError, match="FILM_KEY") as refused:
        sign_with(Credential(kind=kind, source="FILM_KEY", secret=wrapped), ORIGIN)
    assert refused.value.code == "malformed_key"
    assert not secret or secret not in str(refused.value)


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        ("ya29.a0AfH6-SECRET", "looks like an OAuth access token (ya29.…)"),
        ("AIzaSySECRET", "looks like a Gemini API key (AIza…)"),
        (" 'AQ.Ab8SECRET'", "looks like a Gemini or Vertex AI API key (AQ.…)"),
        ('{"type": "SECRET"}', "looks like the content of a credentials file"),
        ("/home/SECRET/key.JSON", "looks like the path of a file"),
        ("SECRET", ""),
        ("", ""),
    ],
)
def test_key_hint_tells_the_kind_and_nothing_of_the_key(secret: str, words: str) -> None:
    assert key_hint(secret) == key_hint(SecretStr(secret)) == words


async def test_redirect_elsewhere_is_not_signed(google: FakeGoogle, user: dict[str, Any], saved: Saved) -> None:
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(302 if len(sent) == 1 else 200, headers={"location": "https://evil.test/next"})

    auth = GoogleAuth(saved(user), "https://api.test")
    async with httpx.AsyncClient(auth=auth, transport=httpx.MockTransport(answer)) as client:
        first = await client.get("https://api.test/start")
        assert first.next_request is not None
        await client.send(first.next_request)
    assert sent[0].headers["x-goog-user-project"] == "quota-1"
    assert [LEFT_OVER.keys() & request.headers.keys() for request in sent[1:]] == [set()]


async def test_no_secret_is_shown_anywhere(
    google: FakeGoogle,
    user: dict[str, Any],
    service_account: dict[str, Any],
    saved: Saved,
    get: Get,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    shown: list[Any] = []
    secret_answer = f'{{"error": "{REFRESH_TOKEN}", "error_description": "{REFRESH_TOKEN}"}}'.encode()
    page = f"<html>{REFRESH_TOKEN} {CLIENT_SECRET}</html>".encode()
    answers = [(400, secret_answer), (403, page), (502, page), (200, page), (200, secret_answer), None]
    for content in (user, service_account):
        for answer in answers:
            google.scripted = [(*answer, {})] if answer is not None else []
            credential = saved(content)
            auth = GoogleAuth(credential, google.url)
            try:
                await get(auth)
            except MediaGenError as error:
                shown += [repr(error), str(error), error.hint, *traceback.format_exception(error)]
            shown += [repr(auth), repr(vars(auth)), repr(load(credential)), repr(credential)]
    google.user_is_revoked = True
    with pytest.raises(AuthenticationError) as refused:
        await get(saved(user))
    shown += traceback.format_exception(refused.value)
    ready = Credential(kind="access_token", source="X", secret=SecretStr("ya29.ready-SECRET"))
    shown += [repr(ready), repr(sign_with(ready, ORIGIN)), repr(vars(sign_with(ready, ORIGIN)))]
    shown += [repr(google_credentials(ready)), caplog.text, *capfd.readouterr()]

    pem_line = service_account["private_key"].splitlines()[3]
    text = "\n".join(shown)
    assert google.issued
    for secret in (REFRESH_TOKEN, CLIENT_SECRET, "SECRET", pem_line, *google.issued):
        assert secret not in text
