"""Keeps the processes of a run: starts them, replaces those that die, ends them."""

import contextlib
import itertools
import os
import random
import threading
import time
from collections import Counter

from tests.chaos.google import Google
from tests.chaos.ledgers import Book
from tests.chaos.options import Options
from tests.chaos.processes import Command, Gone, Process, Server

END_SECONDS = 90.0


class Stage:
    """All processes of a run, and what was asked of whom.

    Attributes:
        asked: Name of the server that was last asked for each wish.
        excuses: Wishes whose answer nobody could see.
        counts: What happened, in figures.
    """

    def __init__(self, options: Options, google: Google, book: Book) -> None:
        self.options = options
        self.google = google
        self.book = book
        self.asked: dict[str, str] = {}
        self.excuses: dict[str, str] = {}
        self.counts: Counter[str] = Counter()
        self.unended: list[str] = []
        self.saw_submitter = False
        self._processes: dict[str, Process] = {}
        self._names: tuple[float, frozenset[str]] = (0.0, frozenset())
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._starting: list[threading.Thread] = []
        self._is_over = False

    def open(self) -> None:
        """Start all servers and workers."""
        for folder in (self.options.state_dir, self.options.output_dir, self.options.home):
            folder.mkdir(parents=True, exist_ok=True)
        for slot in range(self.options.servers):
            self.replace(f"s{slot}")
        for slot in range(self.options.workers):
            self.replace(f"w{slot}")
        for thread in list(self._starting):
            thread.join()
        if not self.servers():
            raise RuntimeError(f"no server starts; see {self.options.folder / 'logs'}")

    def processes(self) -> list[Process]:
        """Those that run and are not stopped."""
        return [process for process in self._all() if process.is_alive and not process.is_frozen]

    def servers(self) -> list[Server]:
        """Those that clients can use; a stopped one is among them, as nobody can see that."""
        return [process for process in self._all() if isinstance(process, Server) and process.takes_calls]

    def runs_besides(self, process: Process) -> bool:
        """Whether another process runs that looks for jobs nobody drives."""
        return any(other is not process and other.takes_over for other in self.processes())

    def find(self, name: str) -> Process | None:
        """A process that runs and is not stopped."""
        process = self._processes.get(name)
        return process if process and process.is_alive and not process.is_frozen else None

    def find_by_id(self, process_id: int) -> Process | None:
        """The same, by the id that the system gave it."""
        for process in self._all():
            if process.popen.pid == process_id:
                return self.find(process.name)
        return None

    def names(self, *, not_older_than: float = 0.0) -> frozenset[str]:
        """What lies in the output folder."""
        read_at, found = self._names
        now = time.monotonic()
        if now - read_at > not_older_than:
            found = frozenset(os.listdir(self.options.output_dir))  # noqa: PTH208 - every few milliseconds
            self._names = (now, found)
        return found

    def pick(self, dice: random.Random) -> Server | None:
        """Some server that clients can use."""
        servers = self.servers()
        return dice.choice(servers) if servers else None

    def replace(self, slot: str) -> None:
        """Start a process in the place of one that has ended, in the background."""
        with self._lock:
            if self._is_over:
                return
            thread = threading.Thread(target=self._start, args=(slot,), daemon=True)
            self._starting.append(thread)
        thread.start()

    def resume(self) -> Process:
        """Start `mediagen jobs resume`."""
        name = f"r.{next(self._numbers)}"
        process = Command(self.options, name, ("jobs", "resume"), self._variables())
        process.close()
        self._processes[name] = process
        return process

    def server(self, slot: str) -> Server:
        """Start a server and wait until it answers; raises Gone."""
        name = f"{slot}.{next(self._numbers)}"
        server = Server(self.options, name, self._variables())
        self._processes[name] = server
        server.greet()
        self.saw_submitter = self.saw_submitter or bool(server.children())
        return server

    def close(self) -> None:
        """End all processes as their clients would."""
        with self._lock:
            self._is_over = True
        for thread in self._starting:
            thread.join(END_SECONDS)
        for process in self._all():
            process.thaw()
            process.close()
            if not isinstance(process, Server):
                # It reads nothing; a worker ends when it is told to.
                self._tell(process)
        deadline = time.monotonic() + END_SECONDS
        for process in self._all():
            self.ended(process, max(1.0, deadline - time.monotonic()))

    def ended(self, process: Process, seconds: float = END_SECONDS) -> None:
        """Wait until a process that was told to end has ended."""
        if not process.end(seconds):
            self.unended.append(process.name)

    def _tell(self, process: Process) -> None:
        if process.takes_over:
            process.popen.terminate()

    def _start(self, slot: str) -> None:
        try:
            if slot.startswith("w"):
                name = f"{slot}.{next(self._numbers)}"
                self._processes[name] = Command(self.options, name, ("worker",), self._variables())
            else:
                self.server(slot)
        except (Gone, TimeoutError):
            self.counts["starts cut short"] += 1
            with contextlib.suppress(RuntimeError):
                if not self._is_over and self.counts["starts cut short"] < 50:
                    self._start(slot)

    def _all(self) -> list[Process]:
        return list(self._processes.values())

    def _variables(self) -> dict[str, str]:
        return {
            "GOOGLE_GEMINI_BASE_URL": self.google.url,
            "GOOGLE_VERTEX_BASE_URL": self.google.url,
            **self.book.database.environment(),
        }
