"""Access tokens over real HTTP: fetched, renewed, refused."""

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx
import pytest
from tests.credentials.conftest import CLOUD_PLATFORM, EMAIL, FakeGoogle, Get, Saved

from mediagen.credentials import Credential
from mediagen.credentials.signing import GoogleAuth, sign_with
from mediagen.errors import AuthenticationError, MediaGenError, UnavailableError

Content = dict[str, Any]


async def test_service_account_signs_with_a_token_for_its_verified_assertion(
    google: FakeGoogle, service_account: Content, saved: Saved, get: Get
) -> None:
    answer = await get(saved(service_account))

    assert answer.status_code == 200
    assert google.api_requests[0].headers["authorization"] == f"Bearer {google.issued[0]}"
    assert "x-goog-user-project" not in google.api_requests[0].headers
    asked = google.token_requests[0]
    assert asked.form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert asked.headers["accept-encoding"] == "identity"
    assert asked.headers["user-agent"].startswith("mediagen-mcp/")


async def test_user_signs_with_the_quota_project_of_the_file(
    google: FakeGoogle, user: Content, saved: Saved, get: Get
) -> None:
    await get(saved(user))

    assert google.api_requests[0].headers["x-goog-user-project"] == "quota-1"
    assert google.token_requests[0].form == {
        "grant_type": "refresh_token",
        "client_id": user["client_id"],
        "client_secret": user["client_secret"],
        "refresh_token": user["refresh_token"],
        "scope": CLOUD_PLATFORM,
    }


@pytest.mark.parametrize("kind", ["service_account", "user"])
async def test_quota_project_of_the_environment_wins(
    kind: str, google: FakeGoogle, saved: Saved, get: Get, request: pytest.FixtureRequest
) -> None:
    await get(saved(request.getfixturevalue(kind), quota_project="mine"))
    assert google.api_requests[0].headers["x-goog-user-project"] == "mine"


async def test_stored_access_token_of_a_user_file_is_not_trusted(
    google: FakeGoogle, user: Content, saved: Saved, get: Get
) -> None:
    stored = {**user, "token": "ya29.old", "expiry": "2020-01-01T00:00:00Z"}
    assert (await get(saved(stored, quota_project="mine"))).status_code == 200
    assert len(google.token_requests) == 1


async def test_impersonated_service_account_signs_as_the_other(
    google: FakeGoogle, user: Content, saved: Saved, get: Get
) -> None:
    content = {
        "type": "impersonated_service_account",
        "source_credentials": user,
        "service_account_impersonation_url": f"{google.url}/v1/projects/-/serviceAccounts/{EMAIL}:generateAccessToken",
    }
    assert (await get(saved(content))).status_code == 200
    assert json.loads(google.api_requests[0].body)["scope"] == [CLOUD_PLATFORM]
    assert google.api_requests[1].headers["authorization"] == f"Bearer {google.issued[1]}"


async def test_external_account_exchanges_its_token(google: FakeGoogle, saved: Saved, get: Get, tmp_path: Any) -> None:
    subject = tmp_path / "subject.txt"
    subject.write_text("subject-SECRET")
    content = {
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"{google.url}/sts",
        "credential_source": {"file": str(subject)},
    }
    credential = saved(content)
    assert (await get(credential)).status_code == 200

    subject.unlink()
    with pytest.raises(AuthenticationError) as refused:
        await get(credential)
    assert refused.value.code == "credentials_refused"


async def test_token_is_kept_between_requests(google: FakeGoogle, user: Content, saved: Saved, get: Get) -> None:
    auth = GoogleAuth(saved(user), google.url)
    for _ in range(3):
        await get(auth)
    assert len(google.token_requests) == 1


async def test_token_that_expires_soon_is_renewed(google: FakeGoogle, user: Content, saved: Saved, get: Get) -> None:
    google.expires_in = 60
    auth = GoogleAuth(saved(user), google.url)
    await get(auth)
    google.expires_in = "3600"
    await get(auth)
    await get(auth)
    assert len(google.token_requests) == 2
    assert google.api_requests[2].headers["authorization"] == f"Bearer {google.issued[1]}"


async def test_concurrent_requests_share_one_refresh(
    google: FakeGoogle, service_account: Content, saved: Saved
) -> None:
    google.token_delay = 0.05
    auth = GoogleAuth(saved(service_account), google.url)
    async with httpx.AsyncClient(auth=auth, trust_env=False, verify=False, timeout=10) as client:
        for refreshes in (1, 2):
            async with anyio.create_task_group() as tasks:
                for _ in range(20):
                    tasks.start_soon(client.get, f"{google.url}/v1/models")
            assert len(google.token_requests) == refreshes
            google.expire_tokens()
    # Each of the second round was refused once.
    assert len(google.api_requests) == 60


async def test_401_is_followed_by_one_refresh_and_one_resend(
    google: FakeGoogle, user: Content, saved: Saved, get: Get
) -> None:
    auth = GoogleAuth(saved(user), google.url)
    await get(auth)
    google.expire_tokens()
    answer = await get(auth, method="POST", json={"instances": [1]})

    assert answer.status_code == 200
    assert len(google.token_requests) == 2
    assert [asked.body for asked in google.api_requests] == [b"", b'{"instances":[1]}', b'{"instances":[1]}']


async def test_second_401_is_handed_on(google: FakeGoogle, user: Content, saved: Saved, get: Get) -> None:
    google.valid = _Nothing()
    answer = await get(saved(user))
    assert answer.status_code == 401
    assert (len(google.token_requests), len(google.api_requests)) == (2, 2)


async def test_same_token_again_is_not_asked_for_with_each_request(
    google: FakeGoogle, user: Content, saved: Saved, get: Get
) -> None:
    google.scripted = [(200, b'{"access_token": "ya29.same", "expires_in": 3600}', {})] * 2
    auth = GoogleAuth(saved(user), google.url)
    assert (await get(auth)).status_code == 401
    google.valid.add("ya29.same")
    assert (await get(auth)).status_code == 200
    assert len(google.token_requests) == 2


class _Nothing(set[str]):
    def add(self, element: str) -> None:
        pass


async def test_streamed_request_is_not_resent_but_the_next_one_is_signed_anew(
    google: FakeGoogle, user: Content, saved: Saved, get: Get
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b""

    auth = GoogleAuth(saved(user), google.url)
    await get(auth)
    google.expire_tokens()
    assert (await get(auth, method="POST", content=pieces(), headers={"content-length": "0"})).status_code == 401
    assert (await get(auth)).status_code == 200
    assert (len(google.token_requests), len(google.api_requests)) == (2, 3)


async def test_revoked_user_is_told_to_log_in_and_the_new_login_takes_effect(
    google: FakeGoogle, user: Content, saved: Saved, get: Get
) -> None:
    credential = saved({**user, "refresh_token": "1//stale-SECRET"})
    auth = GoogleAuth(credential, google.url)
    with pytest.raises(AuthenticationError, match="gcloud auth application-default login") as refused:
        await get(auth)
    assert (refused.value.code, refused.value.billed, refused.value.retryable) == ("credentials_refused", "no", False)
    assert "GOOGLE_APPLICATION_CREDENTIALS" in refused.value.message
    assert str(credential.file) in refused.value.message
    assert google.api_requests == []

    saved(user)
    assert (await get(auth)).status_code == 200


async def test_replaced_file_takes_effect_with_the_next_refresh(
    google: FakeGoogle, user: Content, service_account: Content, saved: Saved, get: Get
) -> None:
    credential = saved(user)
    auth = GoogleAuth(credential, google.url)
    await get(auth)
    saved(service_account)
    google.expire_tokens()
    assert (await get(auth)).status_code == 200
    assert "assertion" in google.token_requests[-1].form


async def test_deleted_file_does_not_end_a_session(google: FakeGoogle, user: Content, saved: Saved, get: Get) -> None:
    credential = saved(user)
    auth = GoogleAuth(credential, google.url)
    await get(auth)
    assert credential.file is not None
    credential.file.unlink()
    google.expire_tokens()
    assert (await get(auth)).status_code == 200


@pytest.mark.parametrize(
    ("description", "hint"),
    [
        ("Invalid JWT Signature.", "create a new key"),
        ("Invalid grant: account not found", "was deleted or disabled"),
        ("Robot is disabled.", "enable it"),
        ("Invalid JWT: Token must be a short-lived token and in a reasonable timeframe. Check iat and exp.", "clock"),
        ("Something new", "clock"),
    ],
)
async def test_refused_service_account_is_told_what_to_do(
    description: str, hint: str, google: FakeGoogle, service_account: Content, saved: Saved, get: Get
) -> None:
    google.key_trouble = description
    with pytest.raises(AuthenticationError) as refused:
        await get(saved(service_account))
    assert hint in refused.value.hint
    assert "invalid_grant" in refused.value.message


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (502, b"<html>Bad gateway</html>"),
        (302, b""),
        (200, b"<html>Log in to the WiFi</html>"),
        (200, b"\xff\xfe\x00"),
        (200, b"[]"),
        (200, b"{}"),
        (200, b'{"access_token": 7, "expires_in": 3600}'),
        (200, b'{"access_token": "two\\nlines", "expires_in": 3600}'),
        (200, b'{"access_token": "x", "expires_in": "soon"}'),
        (200, b"x" * 1_100_000),
    ],
)
async def test_nonsense_of_the_token_endpoint_is_retryable_and_unbilled(
    status: int, body: bytes, google: FakeGoogle, service_account: Content, saved: Saved, get: Get
) -> None:
    google.scripted = [(status, body, {"location": f"{google.url}/v1/elsewhere"})]
    auth = GoogleAuth(saved(service_account), google.url)
    with pytest.raises(UnavailableError) as failed:
        await get(auth)
    assert (failed.value.retryable, failed.value.billed, failed.value.code) == (True, "no", "unavailable")
    assert "127.0.0.1" in failed.value.message
    assert google.api_requests == []

    assert (await get(auth)).status_code == 200


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (403, b"<html>blocked by policy</html>", "not like a token endpoint"),
        (400, b'{"error": "invalid_scope"}', "without --scopes"),
        (401, b'{"error": "invalid_client", "error_description": "gone"}', "invalid_client"),
        (400, b'{"error": {"code": 400}}', "HTTP 400"),
    ],
)
async def test_refusal_of_the_token_endpoint_is_told(
    status: int, body: bytes, words: str, google: FakeGoogle, user: Content, saved: Saved, get: Get
) -> None:
    google.scripted = [(status, body, {})]
    with pytest.raises(AuthenticationError) as refused:
        await get(saved(user))
    assert words in str(refused.value)


async def test_transient_failure_is_tried_again(
    google: FakeGoogle, user: Content, saved: Saved, get: Get, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    google.scripted = [(503, b"", {})]
    assert (await get(saved(user))).status_code == 200
    assert len(google.token_requests) == 2


async def test_unreachable_token_endpoint_is_retryable(saved: Saved, user: Content, get: Get) -> None:
    with pytest.raises(UnavailableError, match="ConnectError"):
        await get(saved({**user, "token_uri": "http://127.0.0.1:9/token"}))


@pytest.mark.parametrize("drip", [False, True])
async def test_hanging_token_endpoint_ends_at_the_deadline(
    drip: bool, google: FakeGoogle, user: Content, saved: Saved, get: Get
) -> None:
    google.token_delay, google.drip = (0.0 if drip else 30.0), drip
    auth = GoogleAuth(saved(user), google.url, deadline_seconds=0.2)
    failures: list[MediaGenError] = []

    async def ask() -> None:
        with pytest.raises(UnavailableError) as failed:
            await get(auth)
        failures.append(failed.value)

    with anyio.fail_after(2):
        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(ask)
    assert len(failures) == 10
    assert all(failure.billed == "no" and failure.retryable for failure in failures)
    assert google.api_requests == []
    google.released.set()


async def test_cancelled_request_does_not_cost_a_second_refresh(
    google: FakeGoogle, user: Content, saved: Saved, get: Get
) -> None:
    google.token_delay = 30.0
    auth = GoogleAuth(saved(user), google.url)
    started = time.monotonic()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(get, auth)
        with anyio.fail_after(2):
            while not google.token_requests:
                await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()
    assert time.monotonic() - started < 5
    google.released.set()
    with anyio.fail_after(2):
        assert (await get(auth)).status_code == 200
    assert len(google.token_requests) == 1


async def test_event_loop_runs_on_while_a_token_is_fetched(
    google: FakeGoogle, user: Content, saved: Saved, get: Get
) -> None:
    google.token_delay = 30.0
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(get, saved(user))
        with anyio.fail_after(2):
            while not google.token_requests:
                await anyio.sleep(0.01)
        google.released.set()
    assert len(google.api_requests) == 1


async def test_request_elsewhere_carries_nothing_and_asks_for_no_token(
    google: FakeGoogle, user: Content, saved: Saved, get: Get
) -> None:
    left_over = {"authorization": "Bearer old", "x-goog-api-key": "old", "x-goog-user-project": "old"}
    auth = GoogleAuth(saved(user), "https://aiplatform.googleapis.com")
    assert (await get(auth, headers=left_over)).status_code == 401
    assert not left_over.keys() & google.api_requests[0].headers.keys()
    assert google.token_requests == []


def test_blocking_client_is_refused(google: FakeGoogle, user: Content, saved: Saved) -> None:
    with httpx.Client(auth=GoogleAuth(saved(user), google.url)) as client, pytest.raises(NotImplementedError):
        client.get(google.url)
    assert google.asked == []


async def test_metadata_server_is_asked_only_when_told_to(
    google: FakeGoogle, get: Get, monkeypatch: pytest.MonkeyPatch
) -> None:
    from google.auth.compute_engine import _metadata

    # The library reads the variable only when it is imported.
    monkeypatch.setattr(_metadata, "_GCE_METADATA_HOST", google.url.removeprefix("http://"))
    credential = Credential(kind="adc", source="GCE_METADATA_HOST", use_metadata_server=True, quota_project="mine")
    assert (await get(sign_with(credential, google.url))).status_code == 200
    assert google.api_requests[0].headers["x-goog-user-project"] == "mine"
    assert {asked.headers["metadata-flavor"] for asked in google.asked if "computeMetadata" in asked.path} == {"Google"}

    with pytest.raises(AuthenticationError, match="names no file"):
        await get(Credential(kind="adc", source="somewhere"))


async def test_missing_metadata_server_ends_at_the_deadline(
    google: FakeGoogle, get: Get, monkeypatch: pytest.MonkeyPatch
) -> None:
    from google.auth.compute_engine import _metadata

    monkeypatch.setattr(_metadata, "_GCE_METADATA_HOST", "127.0.0.1:9")
    credential = Credential(kind="adc", source="the metadata server", use_metadata_server=True)
    with anyio.fail_after(2), pytest.raises(UnavailableError):
        await get(GoogleAuth(credential, google.url, deadline_seconds=0.1))
    assert google.asked == []
