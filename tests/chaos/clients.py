"""The clients: they ask servers for what they want, wait, lose patience, ask again elsewhere."""

import contextlib
import queue
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.chaos.processes import Gone
from tests.chaos.stage import Stage
from tests.chaos.wishes import Wish

PATIENCE_SECONDS = 15.0
NO_SERVER_SECONDS = 60.0
FORGETS = 0.5
JOB = " job job_"
OPEN = ("submitting", "running", "downloading")


class Clients:
    """Takes all wishes to servers, several at once.

    Attributes:
        begun: Wishes that were asked for at least once.
        told: Job that a client was told of, by wish.
        told_in_vain: How often the end of a job reached a client that had given up already, by wish.
    """

    def __init__(self, stage: Stage, wishes: list[Wish], may_begin: Callable[[int], bool]) -> None:
        """Begin nothing yet.

        Args:
            stage: Where the servers are.
            wishes: What is wanted.
            may_begin: Whether, after so many wishes, another one may be begun.
        """
        self._may_begin = may_begin
        self._stage = stage
        self._left: queue.SimpleQueue[Wish] = queue.SimpleQueue()
        for wish in wishes:
            self._left.put(wish)
        self._stop_at = time.monotonic() + stage.options.seconds
        self.told: dict[str, str] = {}
        self.told_in_vain: Counter[str] = Counter()
        self.begun: list[Wish] = []
        self.refusals: list[str] = []
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(stage.options.clients)]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    @property
    def are_done(self) -> bool:
        """Whether nobody wants anything any more."""
        return not any(thread.is_alive() for thread in self._threads)

    def join(self) -> None:
        """Wait until that is so."""
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while time.monotonic() < self._stop_at:
            if not self._may_begin(len(self.begun)):
                time.sleep(0.02)
                continue
            try:
                wish = self._left.get_nowait()
            except queue.Empty:
                return
            self._fulfil(wish)

    def _fulfil(self, wish: Wish) -> None:
        arguments = dict(wish.arguments)
        if wish.after:
            if wish.after not in self.told:
                return
            arguments["source"] = self.told[wish.after]
        self.begun.append(wish)
        dice = random.Random(f"{self._stage.options.seed} {wish.tag}")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            try:
                report = self._ask(wish, arguments, dice)
            except (Gone, TimeoutError):
                self._stage.counts["answers that clients did not get"] += 1
                if wish.manner == "abandon" and dice.random() < FORGETS:
                    return
                self._stage.counts["wishes asked for again"] += 1
                continue
            if report.get("job_id"):
                self.told[wish.tag] = report["job_id"]
            if wish.manner == "poll" and report.get("status") in OPEN:
                self._follow(report["job_id"], dice, deadline)
            return

    def _ask(self, wish: Wish, arguments: dict[str, Any], dice: random.Random) -> dict[str, Any]:
        deadline = time.monotonic() + NO_SERVER_SECONDS
        while (server := self._stage.pick(dice)) is None:
            if time.monotonic() > deadline:
                raise Gone
            time.sleep(0.05)
        self._stage.asked[wish.tag] = server.name
        waits = {"wait": 10.0, "poll": 0.0, "abandon": 10.0}[wish.manner]
        patience = dice.uniform(0.1, 0.6) if wish.manner == "abandon" else PATIENCE_SECONDS
        arguments = {**arguments, "wait_seconds": waits}
        answer = server.call(wish.tool, arguments, patience, too_late=lambda answer: self._is_too_late(wish, answer))
        return self._taken(wish, answer)

    def _is_too_late(self, wish: Wish, answer: dict[str, Any]) -> None:
        """An answer that crossed the word that nobody waits for it counts as handed over: it was."""
        report = answer.get("result", {}).get("structuredContent") or {}
        if report.get("status") not in OPEN:
            self.told_in_vain[wish.tag] += "request_id" not in wish.arguments

    def _taken(self, wish: Wish, answer: dict[str, Any]) -> dict[str, Any]:
        result = answer.get("result", {})
        if "error" in answer or result.get("isError"):
            words = " ".join(block.get("text", "") for block in result.get("content", ())) or str(answer.get("error"))
            # The end of a job is told as an error too.
            if JOB not in words:
                self._stage.counts["calls refused"] += 1
                self.refusals.append(f"{wish.tag}: {words[:300]}")
        report: dict[str, Any] = result.get("structuredContent") or {}
        return report

    def _follow(self, job_id: str, dice: random.Random, deadline: float) -> None:
        while time.monotonic() < deadline:
            server = self._stage.pick(dice)
            if server is None:
                time.sleep(0.05)
                continue
            with contextlib.suppress(Gone, TimeoutError):
                answer = server.call("get_job", {"job_id": job_id, "wait_seconds": dice.choice((0, 1, 2))}, 5.0)
                report = answer.get("result", {}).get("structuredContent") or {}
                if report.get("status") not in OPEN:
                    return
            time.sleep(0.1)
