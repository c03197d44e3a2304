"""Other processes that work on the same ledger, spoken to by lines."""

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
WORKER_SECONDS = 60


class Worker:
    """One other process."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "tests.ledger.ledger_worker", *arguments]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        # A worker that hangs makes the test fail instead of wait: its next line is then empty.
        self._watchdog = threading.Timer(WORKER_SECONDS, self.process.kill)
        self._watchdog.daemon = True
        self._watchdog.start()

    def read(self) -> Any:
        """Next line that it prints."""
        assert self.process.stdout
        return json.loads(self.process.stdout.readline())

    def go(self) -> None:
        """Let it do the next step."""
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def rest(self) -> list[Any]:
        """All other lines, once it has ended."""
        output, _ = self.process.communicate()
        self._watchdog.cancel()
        assert self.process.returncode == 0
        return [json.loads(line) for line in output.splitlines()]

    def close(self) -> None:
        """Close what is left of one that has ended, however it did."""
        self.process.wait(WORKER_SECONDS)
        self._watchdog.cancel()
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                with contextlib.suppress(OSError):
                    stream.close()

    def kill(self) -> None:
        """End it the hard way."""
        self.process.kill()
        self.process.communicate()
        self._watchdog.cancel()


StartWorker = Callable[..., Worker]
