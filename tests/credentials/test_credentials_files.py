"""Files that cannot be used, whose they are, and what Google's own libraries get of them."""

import json
import logging
import os
import warnings
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from tests.credentials.conftest import EMAIL, FakeGoogle, Get, Saved

from mediagen.credentials import Credential, google_credentials, identity
from mediagen.credentials.credential import CredentialKind
from mediagen.credentials.files import read_credentials_file
from mediagen.errors import AuthenticationError

Content = dict[str, Any]
SECRET = "SECRET-of-the-file"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not valid JSON"),
        (b'{"type": "service_account", "private_key": "SECRET-of-the-file', "not valid JSON"),
        (b"\xff\xd8\xff\xe0SECRET-of-the-file", "not valid JSON"),
        (b"[" * 200_000, "not valid JSON"),
        (b'["SECRET-of-the-file"]', "no JSON object"),
        (b"x" * 1_100_000, "too large"),
        ({"private_key": SECRET}, "does not say what type"),
        ({"type": SECRET}, "does not say what type"),
        ({"type": ["service_account"]}, "does not say what type"),
        ({"type": "gemini", "token": SECRET}, "type 'gemini', which is not supported"),
        ({"installed": {"client_secret": SECRET}}, "OAuth client"),
        ({"type": "service_account", "client_email": EMAIL, "private_key": [SECRET]}, "private_key, token_uri"),
        ({"type": "authorized_user", "client_id": "x", "client_secret": SECRET}, "no usable refresh_token"),
        ({"type": "impersonated_service_account", "source_credentials": SECRET}, "source_credentials"),
    ],
)
async def test_unusable_file_is_named_but_never_quoted(content: Any, words: str, saved: Saved, get: Get) -> None:
    credential = saved(content)
    for use in (get, identity):
        with pytest.raises(AuthenticationError) as refused:
            await use(credential)
        assert refused.value.code == "credentials_file"
        assert words in refused.value.message
        assert "GOOGLE_APPLICATION_CREDENTIALS" in refused.value.message
        assert str(credential.file) in refused.value.message
        assert SECRET not in f"{refused.value}{refused.value.__cause__}"


@pytest.mark.parametrize(
    "changes",
    [
        {"private_key": SECRET},
        {"private_key": f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----\n"},
        {"universe_domain": 7},
    ],
)
async def test_damaged_key_is_refused_without_being_shown(
    changes: Content, service_account: Content, saved: Saved, get: Get
) -> None:
    if changes == {"universe_domain": 7}:
        changes["private_key"] = SECRET
    with pytest.raises(AuthenticationError, match="refused by Google's library") as refused:
        await get(saved({**service_account, **changes}))
    assert SECRET not in str(refused.value)
    assert refused.value.__suppress_context__


@pytest.mark.parametrize(
    "address", ["http://evil.test/token", "ftp://x/", "https://", "", "http://[", 7, "https://x/\ny", "file:///etc"]
)
@pytest.mark.parametrize("kind", ["user", "service_account"])
async def test_secrets_go_to_safe_addresses_only(
    address: Any, kind: str, saved: Saved, get: Get, request: pytest.FixtureRequest
) -> None:
    with pytest.raises(AuthenticationError, match="token_uri"):
        await get(saved({**request.getfixturevalue(kind), "token_uri": address}))


async def test_missing_file_names_the_variable(tmp_path: Path, get: Get) -> None:
    credential = Credential(kind="adc", source="GOOGLE_APPLICATION_CREDENTIALS", file=tmp_path / "nope 🎬.json")
    with pytest.raises(
        AuthenticationError, match=r"nope 🎬.json \(from GOOGLE_APPLICATION_CREDENTIALS\) does not exist"
    ):
        await get(credential)


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000])
async def test_impossible_path_is_refused(name: str) -> None:
    with pytest.raises(AuthenticationError, match="cannot be read"):
        await identity(Credential(kind="adc", source="X", file=Path(name)))


async def test_folder_and_pipe_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(AuthenticationError, match="not a regular file"):
            await identity(Credential(kind="adc", source="X", file=path))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
async def test_unreadable_file_is_named(user: Content, saved: Saved) -> None:
    credential = saved(user)
    assert credential.file is not None
    credential.file.chmod(0)
    with pytest.raises(AuthenticationError, match="may not be read"):
        await identity(credential)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
async def test_byte_order_mark_is_read_over(encoding: str, user: Content, saved: Saved, get: Get) -> None:
    assert (await get(saved(json.dumps(user).encode(encoding)))).status_code == 200


async def test_world_readable_file_works_with_one_warning(
    user: Content, saved: Saved, get: Get, caplog: pytest.LogCaptureFixture
) -> None:
    credential = saved(user)
    assert credential.file is not None
    credential.file.chmod(0o644)
    with caplog.at_level(logging.WARNING, logger="mediagen.credentials"):
        await identity(credential)
        assert (await get(credential)).status_code == 200
    assert len(caplog.records) == 1


async def test_identity_tells_whose_file_it_is(service_account: Content, user: Content, saved: Saved) -> None:
    found = await identity(saved(service_account))
    assert (found.kind, found.email, found.project) == ("service_account", EMAIL, "film-1")

    found = await identity(saved({**user, "account": "me@example.com"}))
    assert (found.kind, found.email, found.project) == ("user", "me@example.com", None)

    url = f"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{EMAIL}:generateAccessToken"
    impersonated = {
        "type": "impersonated_service_account",
        "source_credentials": user,
        "service_account_impersonation_url": url,
    }
    found = await identity(saved(impersonated))
    assert (found.kind, found.email, found.project) == ("impersonated_service_account", EMAIL, None)


async def test_identity_of_a_key_is_only_its_kind() -> None:
    found = await identity(Credential(kind="api_key", source="GEMINI_API_KEY", secret=SecretStr("AQ.x")))
    assert (found.kind, found.email, found.project) == ("api_key", None, None)
    found = await identity(Credential(kind="adc", source="x", use_metadata_server=True))
    assert found.kind == "metadata_server"


async def test_identity_asks_nobody(google: FakeGoogle, user: Content, saved: Saved) -> None:
    await identity(saved(user))
    assert google.asked == []


def test_google_library_gets_credentials_of_a_file(user: Content, service_account: Content, saved: Saved) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found: Any = google_credentials(saved(service_account, quota_project="mine"))
        assert (found.service_account_email, found.quota_project_id, found.requires_scopes) == (EMAIL, "mine", False)
        # gcloud's own client makes google-auth warn elsewhere.
        gcloud = "764086051850-6qr4p6gpi6hn506pt8ejuq83di341hur.apps.googleusercontent.com"
        found = google_credentials(saved({**user, "client_id": gcloud}))
    assert (found.refresh_token, found.quota_project_id) == (user["refresh_token"], "quota-1")


def test_google_library_gets_a_ready_token() -> None:
    token = Credential(kind="access_token", source="X", secret=SecretStr(" ya29.x\n"), quota_project="mine")
    found: Any = google_credentials(token)
    assert (found.token, found.valid, found.quota_project_id) == ("ya29.x", True, "mine")


@pytest.mark.parametrize("kind", ["api_key", "express_key", "proxy_key"])
def test_google_library_gets_no_api_key(kind: CredentialKind) -> None:
    with pytest.raises(AuthenticationError, match="Cloud Storage takes no API keys") as refused:
        google_credentials(Credential(kind=kind, source="GEMINI_API_KEY", secret=SecretStr("AQ.SECRET")))
    assert refused.value.code == "credential_kind"
    assert "SECRET" not in str(refused.value)


@pytest.mark.parametrize("project", ["two words", "line\nbreak", "проект"])
def test_impossible_quota_project_is_refused(project: str, user: Content, saved: Saved) -> None:
    with pytest.raises(AuthenticationError, match="GOOGLE_CLOUD_QUOTA_PROJECT"):
        google_credentials(saved(user, quota_project=project))


def test_file_does_not_show_its_content(user: Content, saved: Saved) -> None:
    assert "SECRET" not in repr(read_credentials_file(saved(user)))
