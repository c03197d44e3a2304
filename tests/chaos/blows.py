"""The plan of a run: seeded blows, each struck at its instant."""

import contextlib
import os
import queue
import random
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Literal

from tests.chaos.instants import WATCHERS, Sighting
from tests.chaos.processes import Process, submitters
from tests.chaos.stage import Stage

Force = Literal["kill", "stop", "term"]
FORCES: tuple[Force, ...] = ("kill", "stop", "term")
SUBMITTER, DATABASE = "the submitter", "the database"
USUAL = (6, 4, 2)
# By a kill alone a ticket that is taken twice would never be seen: its holder has to come back.
WEIGHTS = {"may leave, not handed over": (2, 6, 1), SUBMITTER: (2, 3, 1)}
# A process that comes back after its lease, and finds its job in other hands.
STANDSTILLS = (
    "may leave, not handed over",
    "sent, not answered",
    "polling",
    "in the middle of a download",
    "file placed, not in the ledger",
)
TAKEN_OVER = "jobs taken over from a process that stood still"
SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP, "term": signal.SIGTERM}
LOOK_SECONDS = 0.002
PATIENCE_SECONDS = 8.0
# For what comes with every clip, however busy the machine is.
LONG_PATIENCE_SECONDS = 25.0
READY = 5
# For others to notice, on a busy machine, that a process stands still.
NOTICED_SECONDS = 15.0
OTHER = "some other instant"
OUTAGE_SECONDS = 3.0
CUTS = ("before", "after", "download", "poll")
CUT_NAMES = {
    "before": "connection cut, request not taken",
    "after": "connection cut, request taken",
    "download": "connection cut, download",
    "poll": "connection cut, poll",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Blow:
    """One thing that shall happen.

    Attributes:
        instant: Which watcher waits for it, or what is cut, stopped or killed.
        number: Its place in the plan.
        pause_seconds: After it is struck.
    """

    number: int
    instant: str
    force: Force
    pause_seconds: float


def plan_blows(seed: int, number: int, gap_seconds: tuple[float, float]) -> list[Blow]:
    """Plan so many blows: first processes stand still, then every instant in turn, in another order each round."""
    dice = random.Random(f"blows {seed}")
    blows: list[Blow] = []
    for instant in dice.sample(STANDSTILLS, len(STANDSTILLS)):
        pause = dice.uniform(*gap_seconds)
        blows.append(Blow(number=len(blows), instant=instant, force="stop", pause_seconds=pause))
    while len(blows) < number:
        # Losing an answer is no fault of the program, so it happens once a round; the others are what it must stand.
        instants = [*WATCHERS, *WATCHERS, SUBMITTER, DATABASE, *CUTS]
        dice.shuffle(instants)
        for instant in instants:
            force = dice.choices(FORCES, WEIGHTS.get(instant, USUAL))[0]
            pause = dice.uniform(*gap_seconds)
            blows.append(Blow(number=len(blows), instant=instant, force=force, pause_seconds=pause))
    return blows[:number]


class Striker:
    """Strikes blow after blow until it is told to stop.

    A hand holds several blows ready and strikes with the one whose instant comes first, so that a rare instant does not
    hold up the others.

    Attributes:
        hits: How often each instant was hit, by instant and force.
        misses: How often it did not come, or was over when the process stood still.
        done: Blows that are struck or given up.
    """

    def __init__(self, stage: Stage, blows: list[Blow]) -> None:
        self._stage = stage
        self._stop = threading.Event()
        self._later: list[threading.Thread] = []
        self.hits: Counter[tuple[str, str]] = Counter()
        self.misses: Counter[str] = Counter()
        self.done = 0
        self._left: queue.SimpleQueue[Blow] = queue.SimpleQueue()
        for blow in blows:
            self._left.put(blow)
        self._grasp = threading.Lock()
        hands = max(1, stage.options.servers // 2)
        self._threads = [threading.Thread(target=self._strike_all, daemon=True) for _ in range(hands)]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Strike no more, and let everything that is stopped go on."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._stage.google.cuts.clear()
        for thread in self._later:
            thread.join()

    def _strike_all(self) -> None:
        ready: dict[Blow, float] = {}
        while not self._stop.is_set():
            while len(ready) < READY and self._draw(ready):
                pass
            if not ready:
                return
            found = self._look(ready)
            for blow in [each for each, deadline in ready.items() if time.monotonic() > deadline]:
                del ready[blow]
                self._done(blow.instant, is_hit=False)
            if found:
                blow, sighting = found
                ready.pop(blow, None)
                self._strike(blow, sighting)
                self._stop.wait(blow.pause_seconds)
            else:
                time.sleep(LOOK_SECONDS)

    def _draw(self, ready: dict[Blow, float]) -> bool:
        """Take the next blow; what needs no instant of a process is done at once."""
        with contextlib.suppress(queue.Empty):
            blow = self._left.get_nowait()
            if blow.instant in CUTS:
                self._stage.google.cuts[blow.instant] += 1
                self.done += 1
            elif blow.instant == DATABASE:
                self._interrupt_database()
            elif blow.instant == SUBMITTER and not self._stage.saw_submitter:
                self._done(SUBMITTER, is_hit=False)
            else:
                patience = LONG_PATIENCE_SECONDS if blow.instant in STANDSTILLS else PATIENCE_SECONDS
                ready[blow] = time.monotonic() + patience
            return True
        return False

    def _look(self, ready: dict[Blow, float]) -> tuple[Blow, Sighting] | None:
        for blow in ready:
            watcher = WATCHERS["sent, not answered" if blow.instant == SUBMITTER else blow.instant]
            # Two hands never take the same process.
            with self._grasp:
                sighting = watcher(self._stage)
                if sighting and not sighting.process.is_frozen and self._may_strike(sighting.process, blow):
                    sighting.process.freeze()
                    return blow, sighting
        return None

    def _may_strike(self, process: Process, blow: Blow) -> bool:
        # What stands still while nobody else runs, nobody can take over from.
        return blow.force != "stop" or blow.instant == SUBMITTER or self._stage.runs_besides(process)

    def _strike(self, blow: Blow, sighting: Sighting) -> None:
        if blow.instant == SUBMITTER:
            self._strike_submitter(sighting, blow)
            return
        is_hit = sighting.holds()
        self._done(blow.instant, is_hit=is_hit)
        # A blow that came too late counts for nothing in particular, but is a blow like any other.
        self.hits[blow.instant if is_hit else OTHER, blow.force] += 1
        self._hurt(sighting.process, blow.force)

    def _done(self, instant: str, *, is_hit: bool) -> None:
        self.done += 1
        if not is_hit:
            self.misses[instant] += 1

    def _hurt(self, process: Process, force: Force) -> None:
        match force:
            case "kill":
                process.signal(signal.SIGKILL)
                process.popen.wait()
                self._replace(process)
            case "term":
                process.thaw()
                process.signal(signal.SIGTERM)
                self._do_later(lambda: self._await_end(process))
            case "stop":
                # Somebody else finds its jobs while it stands still.
                self._stage.resume()
                driven = self._driven_by(process)
                self._do_later(lambda: self._thaw_later(process, driven))

    def _await_end(self, process: Process) -> None:
        self._stage.ended(process)
        self._replace(process)

    def _driven_by(self, process: Process) -> set[str]:
        return {call.job_id for call in self._stage.book.work() if call.process_id == process.popen.pid}

    def _thaw_later(self, process: Process, driven: set[str]) -> None:
        # Also when nothing else happens any more: its lease has to run out under it.
        time.sleep(self._stage.options.standstill_seconds)
        deadline = time.monotonic() + NOTICED_SECONDS
        while driven & self._driven_by(process) and time.monotonic() < deadline:
            time.sleep(0.1)
        self._stage.counts[TAKEN_OVER] += len(driven - self._driven_by(process))
        process.thaw()

    def _replace(self, process: Process) -> None:
        if not process.name.startswith("r."):
            self._stage.replace(process.name.partition(".")[0])

    def _strike_submitter(self, sighting: Sighting, blow: Blow) -> None:
        children = set(sighting.process.children()) & set(submitters(self._stage.options))
        self._done(SUBMITTER, is_hit=bool(children))
        if children:
            self.hits[SUBMITTER, blow.force] += 1
            self._hurt_children(sighting, children, blow.force)
        if children and blow.force == "stop" and blow.number % 2:
            # The answer comes to a process that stands still and whose server is dead.
            self._hurt(sighting.process, "kill")
        sighting.process.thaw()

    def _hurt_children(self, sighting: Sighting, children: set[int], force: Force) -> None:
        if force == "kill":
            # Nobody can know what became of the requests that were in its hands.
            for exchange in list(self._stage.google.open.values()):
                if exchange.kind == "paid" and exchange.process == sighting.process.name:
                    self._stage.excuses[exchange.tag] = "its submitter was killed"
        for pid in children:
            _signal(pid, SIGNALS[force])
        if force == "stop":
            self._do_later(lambda: self._thaw_children(children))

    def _thaw_children(self, children: set[int]) -> None:
        time.sleep(self._stage.options.standstill_seconds)
        for pid in children:
            _signal(pid, signal.SIGCONT)

    def _interrupt_database(self) -> None:
        database = self._stage.book.database
        if not database.interrupt(stop=True):
            self._done(DATABASE, is_hit=False)
            return
        self._stop.wait(OUTAGE_SECONDS)
        database.interrupt(stop=False)
        self._done(DATABASE, is_hit=True)
        self.hits[DATABASE, "stop"] += 1

    def _do_later(self, work: object) -> None:
        assert callable(work)
        thread = threading.Thread(target=work, daemon=True)
        self._later.append(thread)
        thread.start()


def _signal(process_id: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process_id, number)
