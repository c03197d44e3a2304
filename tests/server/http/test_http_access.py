"""What a server refuses to be started as, and how it ends."""

import contextlib
import subprocess
import sys
import time

import anyio
import httpx
import pytest
from mcp import MCPError
from tests.conftest import of_child, paid
from tests.server.http.conftest import SECRET, StartServer, until
from tests.server.http.issuer import AUDIENCE

from mediagen.errors import ConfigurationError
from mediagen.server.http.access import SHORTEST_TOKEN, Access, access_of
from mediagen.settings import read_settings

SHUTDOWN_SECONDS = 5
TOKEN = {"MEDIAGEN_HTTP_TOKEN": SECRET}
HOSTS = {"MEDIAGEN_HTTP_ALLOWED_HOSTS": "media.example.com"}
OAUTH = {"MEDIAGEN_HTTP_ISSUER": "https://issuer.example.com", "MEDIAGEN_HTTP_PUBLIC_URL": AUDIENCE}


def access(host: str, **variables: str) -> Access:
    return access_of(read_settings(variables), host, 8000)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "media.example.com", "127.0.0.2", ""])
@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({}, "MEDIAGEN_HTTP_TOKEN"),
        (HOSTS, "MEDIAGEN_HTTP_TOKEN"),
        (TOKEN, "MEDIAGEN_HTTP_ALLOWED_HOSTS"),
        (OAUTH, "MEDIAGEN_HTTP_ALLOWED_HOSTS"),
    ],
)
def test_an_address_for_others_needs_a_token_and_host_names(host: str, variables: dict[str, str], named: str):
    with pytest.raises(ConfigurationError, match=named):
        access(host, **variables)


@pytest.mark.parametrize("who", [TOKEN, OAUTH])
def test_with_both_it_is_served_under_these_names_alone(who: dict[str, str]):
    found = access("0.0.0.0", **who, **HOSTS)
    assert found.is_shared
    assert set(found.security.allowed_hosts) <= {"media.example.com", "media.example.com:*", "media.example.com:8000"}
    assert all("media.example.com" in origin for origin in found.security.allowed_origins)
    assert found.security.enable_dns_rebinding_protection


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_this_machine_alone_is_served_without_a_token(host: str):
    found = access(host)
    assert not found.is_shared
    assert found.settings.http_public_url in {
        "http://127.0.0.1:8000",
        "http://localhost:8000",
        "http://[::1]:8000",
    }


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        (HOSTS, "MEDIAGEN_HTTP_ALLOWED_HOSTS"),
        ({"MEDIAGEN_HTTP_ALLOWED_ORIGINS": "https://app.example.com"}, "MEDIAGEN_HTTP_ALLOWED_ORIGINS"),
        ({"MEDIAGEN_HTTP_PUBLIC_URL": AUDIENCE}, "MEDIAGEN_HTTP_PUBLIC_URL"),
        ({"MEDIAGEN_HTTP_ISSUER": "https://issuer.example.com"}, "MEDIAGEN_HTTP_PUBLIC_URL"),
        ({"MEDIAGEN_HTTP_JWKS_URL": "https://issuer.example.com/keys"}, "MEDIAGEN_HTTP_ISSUER"),
        ({**TOKEN, "MEDIAGEN_HTTP_SCOPES": "media"}, "MEDIAGEN_HTTP_ISSUER"),
        ({**OAUTH, "MEDIAGEN_HTTP_ISSUER": "http://issuer.example.com"}, "not encrypted"),
        ({**OAUTH, "MEDIAGEN_HTTP_JWKS_URL": "http://issuer.example.com/keys"}, "not encrypted"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(variables: dict[str, str], named: str):
    with pytest.raises(ConfigurationError, match=named):
        access("127.0.0.1", **variables)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MEDIAGEN_HTTP_ALLOWED_HOSTS", "*"),
        ("MEDIAGEN_HTTP_ALLOWED_HOSTS", "media.example.com,*.example.com"),
        ("MEDIAGEN_HTTP_ALLOWED_HOSTS", "*:*"),
        ("MEDIAGEN_HTTP_ALLOWED_ORIGINS", "*"),
        ("MEDIAGEN_HTTP_ALLOWED_ORIGINS", "https://*.example.com"),
    ],
)
@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1"])
def test_a_star_that_would_let_nobody_in_is_refused(host: str, variable: str, value: str):
    with pytest.raises(ConfigurationError, match=variable) as refused:
        access(host, **{**TOKEN, **HOSTS, variable: value})
    assert "star" in refused.value.message
    assert "example.com" in refused.value.hint


def test_a_star_as_the_port_is_let_through():
    names = {"MEDIAGEN_HTTP_ALLOWED_HOSTS": "a.example.com:*", "MEDIAGEN_HTTP_ALLOWED_ORIGINS": "https://b.example:*"}
    found = access("0.0.0.0", **TOKEN, **names)
    assert "a.example.com:*" in found.security.allowed_hosts
    assert "https://b.example:*" in found.security.allowed_origins


@pytest.mark.parametrize(
    ("host", "variables"),
    [("0.0.0.0", HOSTS), ("0.0.0.0", {**HOSTS, **OAUTH}), ("127.0.0.1", HOSTS), ("127.0.0.1", OAUTH)],
)
def test_a_token_that_can_be_guessed_is_refused_where_others_come(host: str, variables: dict[str, str]):
    short = "s" * (SHORTEST_TOKEN - 1)
    with pytest.raises(ConfigurationError, match="MEDIAGEN_HTTP_TOKEN is shorter") as refused:
        access(host, **variables, MEDIAGEN_HTTP_TOKEN=short)
    assert "openssl rand -hex 32" in refused.value.hint
    assert short not in str(refused.value)
    assert access(host, **variables, MEDIAGEN_HTTP_TOKEN=f"{short}s").is_shared
    assert access("127.0.0.1", MEDIAGEN_HTTP_TOKEN="s").is_shared


@pytest.mark.parametrize(
    "variables", [{}, TOKEN, HOSTS, {**OAUTH, "MEDIAGEN_HTTP_PUBLIC_URL": ""}], ids=["none", "token", "hosts", "issuer"]
)
def test_the_command_ends_with_3_and_says_what_to_set(environment: dict[str, str], variables: dict[str, str]):
    command = [sys.executable, "-m", "mediagen.cli", "serve", "--http", "--host", "0.0.0.0"]
    env = of_child({**environment, **variables})
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3
    assert "MEDIAGEN_HTTP_" in done.stderr
    assert SECRET not in done.stderr


async def test_it_ends_in_time_with_open_streams_and_lets_nobody_new_in(start: StartServer):
    server = start(**TOKEN)
    took: list[float] = []
    async with server.client(SECRET, "legacy"), server.client(SECRET, "auto") as modern:
        async with modern.listen(tools_list_changed=True), anyio.create_task_group() as group:

            async def end() -> None:
                took.append(await anyio.to_thread.run_sync(server.end))

            group.start_soon(end)
            refused = await refused_while_ending(server.url)
        assert refused.status_code == 503
        assert refused.headers["retry-after"]
    assert took[0] < SHUTDOWN_SECONDS
    assert server.process.returncode == 0


async def refused_while_ending(url: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            answer = await client.get(f"{url}/files/art_1")
            if answer.status_code == 503:
                assert (await client.get(f"{url}/health")).status_code == 200
                assert (await client.get(f"{url}/ready")).status_code == 503
                return answer
    raise AssertionError("it went on")


async def test_it_ends_at_once_when_nobody_is_there(start: StartServer):
    assert start().end() < SHUTDOWN_SECONDS


@pytest.mark.parametrize("wait_seconds", [0, 60])
async def test_a_job_goes_on_after_the_server_has_ended(start: StartServer, emulator, wait_seconds: int):
    server = start(**TOKEN)
    clip = {"prompt": "waves", "duration_seconds": 3, "wait_seconds": wait_seconds}
    async with anyio.create_task_group() as group:

        async def ask() -> None:
            async with server.client(SECRET, "auto") as client:
                with contextlib.suppress(MCPError):
                    await client.call_tool("generate_video", clip)

        group.start_soon(ask)
        await until(lambda: paid(emulator) == 1)
        took = await anyio.to_thread.run_sync(server.end)
    assert took < SHUTDOWN_SECONDS
    second = start(**TOKEN)
    async with second.client(SECRET, "auto") as client:
        listed = (await client.call_tool("list_jobs", {})).structured_content or {}
        assert len(listed["jobs"]) == 1
        job = await client.call_tool("get_job", {"job_id": listed["jobs"][0]["job_id"], "wait_seconds": 60})
    assert (job.structured_content or {})["status"] == "succeeded"
    assert paid(emulator) == 1
