"""The real processes: servers over stdio with a raw JSON-RPC client, workers, `mediagen jobs resume`."""

import contextlib
import itertools
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.chaos.options import Options

import mediagen

ROOT = Path(__file__).resolve().parents[2]
PROTOCOL = "2025-11-25"
START_SECONDS = 90.0
Late = Callable[[dict[str, Any]], None]
PASSED_ON = ("PATH", "LANG", "LC_ALL", "TMPDIR", "TZ")


class Gone(Exception):  # noqa: N818 - says what happened
    """The server ended before it answered."""


class Process:
    """A process of the program.

    Attributes:
        name: Unique in the run; its keys carry it, so that the emulator knows who asks.
        is_frozen: Whether it is stopped by us.
    """

    def __init__(self, options: Options, name: str, arguments: tuple[str, ...], *, variables: dict[str, str]) -> None:
        self.name = name
        self.is_frozen = False
        log = options.folder / "logs" / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as errors:
            self.popen = subprocess.Popen(
                [*_program(options), *arguments],
                env=_environment(options, name, variables),
                cwd=options.output_dir,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )

    @property
    def is_alive(self) -> bool:
        """Whether it runs, stopped or not."""
        return self.popen.poll() is None

    @property
    def takes_calls(self) -> bool:
        """Whether a client can use it."""
        return False

    @property
    def takes_over(self) -> bool:
        """Whether it looks for jobs that nobody drives as long as it runs."""
        return False

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens when it has ended."""
        if self.is_alive:
            self.popen.send_signal(number)
        self.is_frozen = (self.is_frozen or number == signal.SIGSTOP) and number != signal.SIGCONT

    def freeze(self) -> None:
        """Stop it, and wait until it stands still."""
        self.signal(signal.SIGSTOP)
        deadline = time.monotonic() + 1
        status = Path(f"/proc/{self.popen.pid}/stat")
        while status.exists() and time.monotonic() < deadline:
            with contextlib.suppress(OSError, IndexError):
                if status.read_text().rpartition(")")[2].split()[0] in "TtZX":
                    return
            time.sleep(0.001)

    def thaw(self) -> None:
        """Let it go on."""
        self.signal(signal.SIGCONT)

    def close(self) -> None:
        """Tell it to end, as a client does: by closing its standard input."""
        if self.popen.stdin:
            with contextlib.suppress(OSError):
                self.popen.stdin.close()

    def end(self, seconds: float) -> bool:
        """Wait for its end; kill it when that takes too long, and say whether it ended by itself."""
        try:
            self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            return False
        return True

    def children(self) -> list[int]:
        """The processes that it started to send paid requests."""
        return [pid for pid, parent, command in _all_processes() if parent == self.popen.pid and _is_submitter(command)]


class Command(Process):
    """`mediagen jobs resume` or `mediagen worker`."""

    def __init__(self, options: Options, name: str, arguments: tuple[str, ...], variables: dict[str, str]) -> None:
        super().__init__(options, name, arguments, variables=variables)
        threading.Thread(target=self._drain, daemon=True).start()

    @property
    def takes_over(self) -> bool:
        """A worker does; `jobs resume` looks once."""
        return self.name.startswith("w")

    def _drain(self) -> None:
        assert self.popen.stdout
        with self.popen.stdout:
            for _ in self.popen.stdout:
                pass


class Server(Process):
    """`mediagen serve`, and the client at the other end."""

    def __init__(self, options: Options, name: str, variables: dict[str, str]) -> None:
        super().__init__(options, name, ("serve",), variables=variables)
        self._numbers = itertools.count(1)
        self._waiting: dict[int, queue.Queue[dict[str, Any] | None]] = {}
        self._late: dict[int, Late] = {}
        self._lock = threading.Lock()
        self._is_ready = False
        self._is_over = False
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def takes_calls(self) -> bool:
        """Whether a client can use it."""
        return self._is_ready and self.is_alive and not self._is_over

    @property
    def takes_over(self) -> bool:
        """As soon as it serves."""
        return self.takes_calls

    def greet(self) -> None:
        """Shake hands; raises Gone."""
        client = {"name": "chaos", "version": "1"}
        asked = {"protocolVersion": PROTOCOL, "capabilities": {}, "clientInfo": client}
        self.ask("initialize", asked, START_SECONDS)
        self._write({"jsonrpc": "2.0", "method": "notifications/initialized"})
        self._is_ready = True

    def call(
        self, tool: str, arguments: dict[str, Any], seconds: float, *, too_late: Late | None = None
    ) -> dict[str, Any]:
        """Call a tool; raises Gone, or TimeoutError when the answer takes longer and may come too late then."""
        return self.ask("tools/call", {"name": tool, "arguments": arguments}, seconds, too_late=too_late)

    def ask(
        self, method: str, parameters: dict[str, Any], seconds: float, *, too_late: Late | None = None
    ) -> dict[str, Any]:
        """Send a request and wait for what comes; raises Gone or TimeoutError."""
        answers: queue.Queue[dict[str, Any] | None] = queue.Queue()
        number = next(self._numbers)
        with self._lock:
            if self._is_over:
                raise Gone
            self._waiting[number] = answers
        self._write({"jsonrpc": "2.0", "id": number, "method": method, "params": parameters})
        try:
            answer = answers.get(timeout=seconds)
        except queue.Empty:
            self._give_up(number, answers, too_late)
            raise TimeoutError from None
        finally:
            self._waiting.pop(number, None)
        if answer is None:
            raise Gone
        return answer

    def _give_up(self, number: int, answers: queue.Queue[dict[str, Any] | None], too_late: Late | None) -> None:
        """Say that nobody waits any more, as the hosts do."""
        if too_late:
            self._late[number] = too_late
        self._waiting.pop(number, None)
        with contextlib.suppress(queue.Empty):
            # It came in just this moment.
            if (answer := answers.get_nowait()) and too_late:
                too_late(answer)
        with contextlib.suppress(Gone):
            asked = {"requestId": number, "reason": "the client has no patience"}
            self._write({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": asked})

    def _write(self, message: dict[str, Any]) -> None:
        assert self.popen.stdin
        try:
            with self._lock:
                self.popen.stdin.write(json.dumps(message).encode() + b"\n")
                self.popen.stdin.flush()
        except (OSError, ValueError):
            raise Gone from None

    def _listen(self) -> None:
        assert self.popen.stdout
        with self.popen.stdout:
            for line in self.popen.stdout:
                self._hear(line)
        with self._lock:
            self._is_over = True
            for waiting in self._waiting.values():
                waiting.put(None)

    def _hear(self, line: bytes) -> None:
        with contextlib.suppress(ValueError):
            message = json.loads(line)
            number = message.get("id", 0)
            if waiting := self._waiting.get(number):
                waiting.put(message)
            elif (too_late := self._late.pop(number, None)) and "result" in message:
                too_late(message)


def ours(options: Options) -> list[tuple[int, str]]:
    """Every process of this run, submitters whose server is dead included; none where the system does not tell."""
    mark = f"HOME={options.home}".encode()
    found = []
    for pid, _, command in _all_processes():
        with contextlib.suppress(OSError):
            if mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                found.append((pid, command))
    return found


def submitters(options: Options) -> list[int]:
    """Those among them that send paid requests."""
    return [pid for pid, command in ours(options) if _is_submitter(command)]


def _is_submitter(command: str) -> bool:
    return "mediagen.submitter" in command or "mediagen/submitter" in command


def _all_processes() -> list[tuple[int, int, str]]:
    """Id, parent and command of every process that can be seen."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            if state not in "ZX":
                found.append((int(entry.name), int(parent), command))
    return found


def _program(options: Options) -> list[str]:
    pace = (options.lease_seconds, options.sweep_seconds, options.linger_seconds)
    return [sys.executable, "-m", "tests.chaos.launch", *(f"{each:g}" for each in pace), options.mutate or "-"]


def _environment(options: Options, name: str, variables: dict[str, str]) -> dict[str, str]:
    # The program that this process would run, from wherever the other one is started.
    paths = [str(Path(mediagen.__file__).parents[1]), str(ROOT)]
    return {
        **{variable: os.environ[variable] for variable in PASSED_ON if variable in os.environ},
        "PYTHONPATH": os.pathsep.join(paths),
        "HOME": str(options.home),
        "NO_GCE_CHECK": "true",
        "GEMINI_API_KEY": f"AIza-{name}",
        "GOOGLE_ACCESS_TOKEN": f"ya29.ready-{name}",
        "GOOGLE_CLOUD_PROJECT": "test-project",
        "MEDIAGEN_STATE_DIR": str(options.state_dir),
        "MEDIAGEN_OUTPUT_DIR": str(options.output_dir),
        "MEDIAGEN_POLL_SECONDS": "0.2",
        "MEDIAGEN_LOG_LEVEL": "INFO",
        **variables,
        **dict(options.environment),
    }
