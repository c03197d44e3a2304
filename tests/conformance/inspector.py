"""The inspector's command line as a client: lists and calls the tools over both transports in both eras."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.conformance.install import Programs
from tests.conformance.servers import product_environment
from tests.conformance.suites import Outcome

CALL_SECONDS = 120
ERAS = ("legacy", "modern")
IS_ERROR = 5


def inspect(programs: Programs, url: str, folder: Path) -> Iterator[tuple[str, Outcome]]:
    """Name and outcome of each combination of transport and era."""
    for transport in ("stdio", "http"):
        for era in ERAS:
            yield f"inspector {transport} {era}", _inspect(programs, _target(transport, url, folder), era, folder)


def _target(transport: str, url: str, folder: Path) -> list[str]:
    if transport == "http":
        return [url, "--transport", "http"]
    environment = product_environment(folder)
    pairs = [part for name, value in environment.items() for part in ("-e", f"{name}={value}")]
    return [sys.executable, "-m", "mediagen.cli", "serve", *pairs]


def _inspect(programs: Programs, target: list[str], era: str, folder: Path) -> Outcome:
    failures: list[str] = []

    def asked(*arguments: str, exit_code: int = 0) -> dict[str, Any]:
        code, answer, said = _ask(programs, [*target, "--protocol-era", era, *arguments], folder)
        if code != exit_code:
            failures.append(f"{' '.join(arguments)}: exit code {code} instead of {exit_code}: {said[-500:]}")
        return answer

    tools = asked("--method", "tools/list", "--strict").get("tools", [])
    made = asked(*_call("generate_image", {"prompt": "a boat", "preview": False}))
    listed = asked(*_call("list_jobs", {"limit": 1}))
    asked(*_call("generate_image", {"prompt": "a boat", "count": 9}), exit_code=IS_ERROR)
    if made.get("structuredContent", {}).get("status") != "succeeded":
        failures.append(f"generate_image answered {made}")
    elif listed.get("structuredContent", {}).get("jobs", [{}])[0].get("kind") != "image":
        failures.append(f"list_jobs answered {listed}")
    words = f"{len(tools)} tools with portable schemas, called 2, one refused as it should be"
    return Outcome(is_ok=not failures, words=words, details=tuple(failures))


def _call(tool: str, arguments: dict[str, Any]) -> tuple[str, ...]:
    return ("--method", "tools/call", "--tool-name", tool, "--tool-args-json", json.dumps(arguments))


def _ask(programs: Programs, arguments: list[str], folder: Path) -> tuple[int, dict[str, Any], str]:
    done = subprocess.run(
        [*programs.command("inspector"), "--cli", *arguments, "--format", "json"],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=CALL_SECONDS,
        cwd=folder,
        env=product_environment(folder),
    )
    try:
        answer = json.loads(done.stdout).get("result", {})
    except json.JSONDecodeError:
        answer = {}
    return done.returncode, answer, done.stderr
