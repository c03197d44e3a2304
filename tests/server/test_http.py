"""The server over Streamable HTTP on this machine, as a subprocess, in both eras."""

import signal
import socket
import subprocess
import sys
import time

import anyio
import httpx
from mcp import Client
from tests.conftest import of_child


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def wait_until_listening(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    async with httpx.AsyncClient(trust_env=False) as client:
        while time.monotonic() < deadline:
            assert process.poll() is None
            try:
                await client.get(f"http://127.0.0.1:{port}/mcp")
            except httpx.TransportError:
                await anyio.sleep(0.05)
            else:
                return
    raise AssertionError("the server did not start")


async def test_picture_over_http_and_quick_end(environment, work, era):
    port = free_port()
    env = of_child(environment)
    command = [sys.executable, "-m", "mediagen.cli", "serve", "--http", "--port", str(port)]
    process = subprocess.Popen(command, env=env, cwd=work)
    try:
        await wait_until_listening(port, process)
        async with Client(f"http://127.0.0.1:{port}/mcp", mode=era) as client:
            result = await client.call_tool("generate_image", {"prompt": "a boat"})
        assert not result.is_error
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) in {0, -signal.SIGTERM}
    finally:
        process.kill()
        process.wait()
