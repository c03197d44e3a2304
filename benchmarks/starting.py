"""How soon a server is there, and how much memory it takes while it waits."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

from benchmarks.measuring import Figure, interleaved, median, resident_bytes

ROUNDS = 25
WARM_UP = 2
IDLE_SECONDS = 3.0
FLOOR = (sys.executable, "-m", "benchmarks.floor_server")
OURS = (sys.executable, "-m", "mediagen.server")
HELLO = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "benchmark", "version": "1"},
}


def environment(folder: Path) -> dict[str, str]:
    """Variables of a server that has only what it is given."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    own = {"MEDIAGEN_BACKEND": "emulator", "MEDIAGEN_STATE_DIR": str(folder), "MEDIAGEN_OUTPUT_DIR": str(folder)}
    return {**kept, **own}


class Stdio:
    """A client that does nothing but send lines and wait for the answer; it costs the same whoever answers."""

    def __init__(self, command: tuple[str, ...], variables: Mapping[str, str]) -> None:
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            command, env=dict(variables), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self.process.stdin
        assert self.process.stdout
        self._to: IO[bytes] = self.process.stdin
        self._from: IO[bytes] = self.process.stdout
        self._number = 0

    def ask(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request and wait for its answer."""
        self._number += 1
        self._send({"jsonrpc": "2.0", "id": self._number, "method": method, "params": params})
        while line := self._from.readline():
            answer: dict[str, Any] = json.loads(line)
            if answer.get("id") == self._number:
                assert "result" in answer, answer
                return answer
        raise EOFError("the server has ended")

    def call(self, tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Call a tool and wait for what it gives."""
        result: dict[str, Any] = self.ask("tools/call", {"name": tool, "arguments": arguments})["result"]
        assert not result.get("isError"), result
        return result

    def ask_all(self, method: str, all_params: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Send many requests at once and wait for all answers, which may come in any order."""
        first = self._number + 1
        self._number += len(all_params)
        requests = [
            {"jsonrpc": "2.0", "id": first + index, "method": method, "params": params}
            for index, params in enumerate(all_params)
        ]
        # The server may answer before it has read everything, and both pipes have an end.
        sending = threading.Thread(target=self._send_all, args=(requests,))
        sending.start()
        answers: dict[int, dict[str, Any]] = {}
        while len(answers) < len(requests) and (line := self._from.readline()):
            answer = json.loads(line)
            if answer.get("id", 0) >= first:
                answers[answer["id"]] = answer
        sending.join()
        return [answers[first + index] for index in range(len(requests))]

    def tell(self, method: str) -> None:
        """Send a notice."""
        self._send({"jsonrpc": "2.0", "method": method})

    def hello(self) -> None:
        """Shake hands."""
        self.ask("initialize", HELLO)
        self.tell("notifications/initialized")

    def close(self) -> None:
        """End the server."""
        self._to.close()
        self.process.kill()
        self.process.wait()
        self._from.close()

    def _send_all(self, messages: Sequence[Mapping[str, Any]]) -> None:
        for message in messages:
            self._send(message)

    def _send(self, message: Mapping[str, Any]) -> None:
        self._to.write(json.dumps(message).encode() + b"\n")
        self._to.flush()


@contextmanager
def server(command: tuple[str, ...], variables: Mapping[str, str]) -> Iterator[Stdio]:
    """A server that runs for as long as it is entered."""
    client = Stdio(command, variables)
    try:
        yield client
    finally:
        client.close()


def measure(rounds: int = ROUNDS, idle_seconds: float = IDLE_SECONDS, warm_up: int = WARM_UP) -> list[Figure]:
    """Spawn each server again and again."""
    with tempfile.TemporaryDirectory() as folder:
        variables = environment(Path(folder))
        figures = []
        for name, moment, bar in (
            ("spawn to answer of initialize", _to_hello, 1.10),
            ("spawn to first tools/list", _to_list, 1.15),
            ("idle memory", partial(_idle_memory, idle_seconds), 1.15),
        ):
            ours, floor = partial(moment, OURS, variables), partial(moment, FLOOR, variables)
            is_memory = isinstance(moment, partial)
            count = max(min(3, rounds), rounds // 5) if is_memory else rounds
            interleaved(ours, floor, rounds=warm_up)
            mine, least = interleaved(ours, floor, rounds=count)
            unit = "MB" if is_memory else "s"
            figures.append(
                Figure(
                    name=name,
                    unit=unit,
                    value=median(mine),
                    floor=median(least),
                    bar=bar,
                    kind="ratio",
                    samples=count,
                )
            )
        return figures


def _to_hello(command: tuple[str, ...], variables: Mapping[str, str]) -> float:
    with server(command, variables) as client:
        client.ask("initialize", HELLO)
        return time.perf_counter() - client.began


def _to_list(command: tuple[str, ...], variables: Mapping[str, str]) -> float:
    with server(command, variables) as client:
        client.hello()
        client.ask("tools/list", {})
        return time.perf_counter() - client.began


def _idle_memory(seconds: float, command: tuple[str, ...], variables: Mapping[str, str]) -> float:
    with server(command, variables) as client:
        client.hello()
        client.ask("tools/list", {})
        time.sleep(seconds)
        return resident_bytes(client.process.pid) / 1e6
