"""The real server as a subprocess over stdio, with the official client, in both protocol eras."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters
from tests.conftest import of_child, paid
from tests.stored import sha256_as_made

from mediagen.emulator.settings import EmulatorSettings
from mediagen.emulator.thread import EmulatorHandle, running_emulator
from mediagen.server.toolsets import TOOLS

COMMAND = ("-c", "from mediagen.server import main; main()")
WITHOUT_SUBMITTER = """
from mediagen.submitter import base
base.is_supported = lambda: False
from mediagen.cli import main
main()
"""
NEVER_AT_START = (
    "PIL",
    "google",
    "mediagen.emulator",
    "mediagen.endpoints.gemini_api",
    "mediagen.cli",
    "urllib.request",
)
HANDSHAKE = (
    {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        },
    },
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
)
MINIMAL_SERVER = """
import sys
from mcp.server import MCPServer
server = MCPServer("minimal")
@server.tool()
def noop() -> int:
    return 1
server.run("stdio")
"""


def server(environment: dict[str, str], *, command: tuple[str, ...] = COMMAND):
    return StdioServerParameters(command=sys.executable, args=list(command), env=of_child(environment))


async def call(client: Client, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    text = "\n".join(block.text for block in result.content if block.type == "text")
    assert not result.is_error, text
    assert isinstance(result.structured_content, dict)
    return result.structured_content


async def test_whole_path_over_stdio(environment, emulator, era):
    seen: list[float] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        seen.append(progress)

    with anyio.fail_after(60):
        async with Client(server(environment), mode=era) as client:
            listed = {tool.name for tool in (await client.list_tools()).tools}
            assert listed == {tool.name for tool in TOOLS if tool.toolset in {"core", "jobs"}}
            image = await call(client, "generate_image", {"prompt": "a lighthouse"})
            result = await client.call_tool(
                "generate_video",
                {
                    "prompt": "the light turns",
                    "image": image["artifacts"][0]["uri"],
                    "duration_seconds": 3,
                    "resolution": "360p",
                },
                progress_callback=on_progress,
            )
    assert result.structured_content is not None
    clip = result.structured_content["artifacts"][0]
    served = {file["sha256"] for file in emulator.files()}
    assert sha256_as_made(clip["path"]) in served
    assert seen == sorted(set(seen))
    assert paid(emulator) == 2


async def test_killed_server_is_resumed_and_pays_once(environment, tmp_path):
    with running_emulator(EmulatorSettings(video_seconds=1.5)) as slow:
        environment = {**environment, "GOOGLE_GEMINI_BASE_URL": slow.url}
        with anyio.fail_after(60):
            job_id, _pid = await _start_and_kill(environment, tmp_path)
            async with Client(server(environment)) as client:
                report = await call(client, "get_job", {"job_id": job_id, "wait_seconds": 30})
        assert report["status"] == "succeeded"
        sha256 = sha256_as_made(report["artifacts"][0]["path"])
        assert sha256 in {file["sha256"] for file in slow.files()}
        assert slow.bill()["paid_submissions"] == 1


async def _start_and_kill(environment: dict[str, str], tmp_path: Path) -> tuple[str, int]:
    pid_file = tmp_path / "pid"
    code = f"import os, pathlib; pathlib.Path({str(pid_file)!r}).write_text(str(os.getpid())); " + COMMAND[1]
    report: dict[str, Any] = {}
    # The connection breaks with the server, as it is meant to.
    with contextlib.suppress(Exception):
        async with Client(server(environment, command=("-c", code))) as client:
            report = await call(
                client,
                "generate_video",
                {"prompt": "waves", "duration_seconds": 3, "resolution": "360p", "wait_seconds": 0},
            )
            while report["status"] == "submitting":
                report = await call(client, "get_job", {"job_id": report["job_id"], "wait_seconds": 0})
            os.kill(int(pid_file.read_text()), signal.SIGKILL)
    assert report["status"] == "running"
    return report["job_id"], int(pid_file.read_text())


def test_picture_whose_answer_was_never_seen_is_unconfirmed_and_not_sent_again(environment):
    """Killed between the paid request and its answer, where no submitter outlives the process: the worst instant."""
    with running_emulator(EmulatorSettings()) as emulator:
        _kill_and_resume({**environment, "GOOGLE_GEMINI_BASE_URL": emulator.url}, emulator)


def _kill_and_resume(environment: dict[str, str], emulator: EmulatorHandle) -> None:
    emulator.add_fault(fault="delay", seconds=5, match={"path_contains": "generateContent"})
    env = of_child(environment)
    command = [sys.executable, "-c", WITHOUT_SUBMITTER, "image", "a boat", "--json"]
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    _wait_for_request(emulator, process)
    process.kill()
    process.communicate()
    resume = [sys.executable, "-m", "mediagen.cli", "jobs", "resume", "--json"]
    resumed = subprocess.run(resume, env=env, capture_output=True, timeout=60)
    report = json.loads(resumed.stdout)["jobs"][0]
    assert resumed.returncode == 6
    assert report["status"] == "unconfirmed"
    assert report["error"]["billed"] == "unknown"
    posts = [request for request in emulator.requests() if "generateContent" in request["path"]]
    assert len(posts) == 1


def test_sigterm_waits_for_a_paid_answer_that_is_on_its_way(environment, tmp_path):
    """Clients close standard input and send SIGTERM soon after; the picture must not be lost by that."""
    with running_emulator(EmulatorSettings(image_seconds=1.0)) as emulator:
        env = of_child(environment)
        env["GOOGLE_GEMINI_BASE_URL"] = emulator.url
        process = subprocess.Popen(
            [sys.executable, *COMMAND],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert process.stdin
        arguments = {"name": "generate_image", "arguments": {"prompt": "a boat"}}
        for message in (*HANDSHAKE, {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": arguments}):
            process.stdin.write(json.dumps(message).encode() + b"\n")
        process.stdin.flush()
        _wait_for_request(emulator, process)
        process.stdin.close()
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
        assert process.stderr
        process.stderr.close()
        resumed = subprocess.run([sys.executable, "-m", "mediagen.cli", "jobs", "resume"], env=env, timeout=60)
        listed = subprocess.run(
            [sys.executable, "-m", "mediagen.cli", "jobs", "list", "--json"], env=env, capture_output=True, timeout=60
        )
        job = json.loads(listed.stdout)["jobs"][0]
        assert resumed.returncode == 0
        assert job["status"] == "succeeded"
        assert emulator.bill()["paid_submissions"] == 1


def _wait_for_request(emulator, process: subprocess.Popen[bytes]) -> None:
    import time

    deadline = time.monotonic() + 60
    while not any("generateContent" in request["path"] for request in emulator.requests()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _modules_at_start(code: str, environment: dict[str, str]) -> set[str]:
    """Modules in a server that has answered `initialize` and `tools/list` and nothing else."""
    report = "import atexit, sys; atexit.register(lambda: sys.stderr.write('MODULES ' + ' '.join(sys.modules)));"
    requests = [*HANDSHAKE, {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}]
    done = subprocess.Popen(
        [sys.executable, "-c", report + code],
        env=of_child(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert done.stdin
    assert done.stdout
    done.stdin.write("".join(json.dumps(request) + "\n" for request in requests))
    done.stdin.flush()
    assert "tools" in (done.stdout.readline() + done.stdout.readline())
    _, errors = done.communicate(timeout=60)
    return set(errors.partition("MODULES ")[2].split())


def test_server_start_imports_nothing_heavier_than_the_sdk(environment):
    ours = _modules_at_start(COMMAND[1], environment)
    least = _modules_at_start(MINIMAL_SERVER, environment)
    added = {name.partition(".")[0] for name in ours} - {name.partition(".")[0] for name in least}
    third_party = {name for name in added if name not in sys.stdlib_module_names and not name.startswith("_")}
    assert third_party == {"mediagen", "platformdirs"}
    heavy = {name for name in ours - least if name.startswith(NEVER_AT_START)}
    assert heavy == set()


@pytest.mark.parametrize("level", ["DEBUG", "INFO"])
def test_logs_hold_no_key_prompt_or_signed_url(environment, emulator, level):
    secret, prompt = "AIzaSy-secret-key-1234567890", "a very private wish about zebras"
    changes = {"MEDIAGEN_BACKEND": "gemini", "GEMINI_API_KEY": secret, "MEDIAGEN_LOG_LEVEL": level}
    env = of_child({**environment, **changes})
    emulator.add_fault(fault="status", preset="overloaded", match={"method": "GET", "path_contains": "interactions"})
    command = [sys.executable, "-m", "mediagen.cli.__main__"]
    video = ["video", prompt, "--duration-seconds", "3", "--resolution", "360p"]
    done = subprocess.run([*command, *video], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for forbidden in (secret, prompt, "zebras", "alt=media"):
        assert forbidden not in done.stderr
    assert secret not in done.stdout
    ledger = Path(environment["MEDIAGEN_STATE_DIR"])
    kept = b"".join(file.read_bytes() for file in ledger.rglob("*") if file.is_file())
    assert secret.encode() not in kept


PRINTS = """
import os, sys
from mediagen.server.stdio import _own_output
own = _own_output()
print("printed", flush=True)
os.system("echo of a child")
os.write(own, b"message")
"""


@pytest.mark.parametrize("missing", ["", "2>&-", "0<&-", "0<&- 2>&-"])
def test_only_messages_come_to_standard_output(environment, missing):
    command = ["sh", "-c", f'exec "$0" "$@" {missing}', sys.executable, "-c", PRINTS]
    run = subprocess.run(command, env=of_child(environment), capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout == "message"
    assert run.stderr == ("" if "2" in missing else "printed\nof a child\n")
