"""Takes a job one step from whatever the ledger says about it: the only place from which anything paid is sent.

`Advancer.advance` may be called by anyone, twice, at any time and after any crash. Two guards make that safe, whatever
a scheduler believes: a job is claimed first, and each step changes the ledger only while that claim is the newest; and
a paid request leaves only under a token that the ledger gives once.
"""

import logging
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import anyio

from mediagen.endpoints.base import PaidRequest
from mediagen.errors import LedgerError, MediaGenError
from mediagen.jobs import Job, JobStatus, PaidCall
from mediagen.ledger.seen import Seen
from mediagen.runner.settling import Settling
from mediagen.runner.steps import CallSteps, Outcome, not_sent, nothing_was_made, waits_for_operator

logger = logging.getLogger(__name__)

OPERATOR_SECONDS = 60.0
KEEP_SECONDS = 2.0
BUSY_SECONDS = 1.0
# Whoever asked has gone by then, and does not expect to pay any more.
SENT_WITHIN = timedelta(minutes=10)


@dataclass(kw_only=True, slots=True)
class _Held:
    """A job that this process has claimed.

    Attributes:
        requests: What is to be sent, by call; the ledger has it, too. One with a token leaves under that.
        new: The job as it was taken in by this process, for the first step of each call.
        seen: The job as it was read last.
        failures: Steps that failed one after another, by call.
        notes: What keeps a call from going on, by call.
        busy: Calls of which a step is being taken.
    """

    fence: int
    requests: dict[int, PaidRequest] = field(default_factory=dict)
    new: dict[int, Job] = field(default_factory=dict)
    seen: Seen | None = None
    failures: dict[int, int] = field(default_factory=dict)
    notes: dict[int, str] = field(default_factory=dict)
    busy: set[int] = field(default_factory=set)


class Advancer:
    """Advances jobs, each under a claim of its own that this process keeps until it gives it back."""

    def __init__(self, steps: CallSteps) -> None:
        self._steps = steps
        self._settling = Settling(steps=steps)
        self._ledger = steps.ledger
        self._held: dict[str, _Held] = {}
        self._sending: set[tuple[str, int]] = set()

    @property
    def is_sending(self) -> bool:
        """Whether a paid request is on its way or its answer is not kept yet."""
        return bool(self._sending)

    def hold(self, job: Job, requests: Sequence[PaidRequest] = ()) -> None:
        """Know a job that belongs to this process; one that it has just taken in with what is to be sent."""
        self._held[job.job_id] = _Held(
            fence=job.fence,
            requests=dict(enumerate(requests)),
            new=dict.fromkeys(range(len(requests)), job),
            failures=dict.fromkeys(range(len(job.calls)), job.failures),
        )

    def holds(self, job_id: str) -> bool:
        """Whether the job belongs to this process, as far as it knows."""
        return job_id in self._held

    async def claim(self, job_id: str, *, is_left: bool = False) -> Job | None:
        """Take over a job that nobody drives; None when somebody does or it has ended.

        Args:
            job_id: Of the job.
            is_left: Whether this process certainly does nothing about it, even if it belongs to it: it may be that
                it was never told so, as a connection was lost.

        Raises:
            LedgerError, JobNotFoundError: The ledger cannot be asked, or has no such job.
        """
        job = await self._ledger.claim(job_id, is_left=is_left)
        if job:
            self.hold(job)
        return job

    async def hand_back(self, job_id: str, due_at: datetime | None) -> None:
        """Let any other process take the next step of a job, not before `due_at`.

        Raises:
            LedgerError: It stays with this process.
        """
        held = self._held.get(job_id)
        if held is None:
            return
        job = await self._ledger.get(job_id)
        note = next(iter(held.notes.values()), None)
        failures = max(held.failures.values(), default=0)
        await self._ledger.hand_back(replace(job, fence=held.fence, due_at=due_at, note=note, failures=failures))
        self.forget(job_id)

    def forget(self, job_id: str) -> None:
        """Know nothing of a job any more; the ledger is not changed."""
        self._held.pop(job_id, None)

    def notes(self, job_id: str) -> tuple[str, ...]:
        """What keeps a job of this process from going on."""
        held = self._held.get(job_id)
        return tuple(held.notes.values()) if held else ()

    async def advance(self, job_id: str, ordinal: int | None = None) -> datetime | None:
        """Take each open call of a job one step: submit, poll, or download and store. May cost money.

        Args:
            job_id: Of the job; claimed when nobody drives it.
            ordinal: The only call to be taken a step.

        Returns:
            When the next step is due, or None when there is none any more. Of a job that another process drives,
            when to look again.

        Raises:
            LedgerError, JobNotFoundError: The ledger cannot be asked, or has no such job.
        """
        held = self._held.get(job_id)
        if held is None:
            job = await self.claim(job_id) or await self._ledger.get(job_id)
            held = self._held.get(job_id)
            if held is None:
                return None if job.status.is_terminal else self._after(self._ledger.lease_seconds)
            ordinals = range(len(job.calls))
        else:
            ordinals = range(len(held.failures))
        if ordinal is not None:
            delay = await self._step(job_id, ordinal, held)
            return None if delay is None else self._after(delay)
        if delays := await self._step_each(job_id, ordinals, held):
            return self._after(min(delays))
        if await self.open_calls(job_id):
            return self._after(BUSY_SECONDS)
        self.forget(job_id)
        return None

    async def _step_each(self, job_id: str, ordinals: Sequence[int], held: _Held) -> list[float]:
        delays: list[float] = []

        async def step(number: int) -> None:
            delay = await self._step(job_id, number, held)
            if delay is not None:
                delays.append(delay)

        async with anyio.create_task_group() as group:
            for number in ordinals:
                group.start_soon(step, number)
        return delays

    async def open_calls(self, job_id: str) -> tuple[int, ...]:
        """Calls of a job of this process of which a step is still to be taken, be it that a late answer opened one.

        Raises:
            LedgerError: The ledger cannot be asked.
        """
        held = self._held.get(job_id)
        return await self._ledger.open_calls(job_id, held.fence) if held else ()

    def _after(self, seconds: float) -> datetime:
        return self._steps.clock() + timedelta(seconds=seconds)

    async def _step(self, job_id: str, ordinal: int, held: _Held) -> float | None:
        """Take one call one step; nothing paid for is given up because a step fails."""
        if ordinal in held.busy:
            return BUSY_SECONDS
        held.busy.add(ordinal)
        job = None
        try:
            job = held.new.pop(ordinal, None) or await self._look(job_id, held)
            if job.fence != held.fence:
                logger.info("job %s is driven by another process", job_id)
                self.forget(job_id)
                return None if job.status.is_terminal else self._ledger.lease_seconds
            delay = await self._take(job, job.calls[ordinal], held)
        except MediaGenError as error:
            logger.warning("job %s: %s; tried again later", job_id, error.code)
            failures = held.failures[ordinal] = held.failures.get(ordinal, 0) + 1
            await self._note(job, ordinal, held, f"Not finished yet: {error}")
            if waits_for_operator(error):
                return OPERATOR_SECONDS
            return min(300.0, self._steps.poll_seconds * 2.0 ** min(failures, 6))
        finally:
            held.busy.discard(ordinal)
        if job.calls[ordinal].status is not JobStatus.SUBMITTING:
            held.failures[ordinal] = 0
            await self._note(job, ordinal, held, None)
        return delay

    async def _look(self, job_id: str, held: _Held) -> Job:
        held.seen = await self._ledger.look(job_id, held.seen)
        return held.seen.job

    async def _note(self, job: Job | None, ordinal: int, held: _Held, note: str | None) -> None:
        """Keep what holds a call up, for this process and, when the ledger can be written, for all others."""
        if note is None:
            held.notes.pop(ordinal, None)
        else:
            held.notes[ordinal] = note
        told = next(iter(held.notes.values()), None)
        if job is None or told == job.note:
            return
        try:
            await self._ledger.note(replace(job, note=told, failures=max(held.failures.values(), default=0)))
        except LedgerError as error:
            logger.warning("job %s: its note cannot be written: %s", job.job_id, error.code)

    async def _take(self, job: Job, call: PaidCall, held: _Held) -> float | None:
        if call.status is not JobStatus.SUBMITTING:
            return await self._steps.advance(job, call)
        is_late = self._steps.clock() - job.created_at > SENT_WITHIN
        request = await self._unsent(job, call, held)
        if request is None or (call.attempt and is_late):
            return await self._settling.settle(job, call)
        if is_late:
            await self._steps.end_unsent(job, call, JobStatus.FAILED, not_sent("it was not sent within 10 minutes"))
            return None
        # A paid answer is taken in and kept even when the process is told to stop meanwhile.
        with self._sent(call), anyio.CancelScope(shield=True):
            delay = await self._send(job, call, request, held)
        return delay  # noqa: RET504 - a scope may swallow what is raised in it, and nothing would be returned

    async def _unsent(self, job: Job, call: PaidCall, held: _Held) -> PaidRequest | None:
        """What is to be sent in a call, when certainly nothing has left: this process alone knows its unused token."""
        request = held.requests.get(call.ordinal)
        if call.attempt:
            return request if request and request.token == call.attempt else None
        return request or await self._settling.kept_request(job, call)

    @contextmanager
    def _sent(self, call: PaidCall) -> Iterator[None]:
        key = (call.job_id, call.ordinal)
        self._sending.add(key)
        try:
            yield
        finally:
            self._sending.discard(key)

    async def _send(self, job: Job, call: PaidCall, request: PaidRequest, held: _Held) -> float | None:
        if not call.attempt:
            attempt = secrets.token_hex(8)
            request = await self._steps.with_ticket(job, call, request, attempt)
            if not await self._ledger.begin_attempt(job, call.ordinal, attempt):
                return BUSY_SECONDS
            call = replace(call, attempt=attempt)
        # It may leave from here on: nothing is sent a second time under this token.
        held.requests.pop(call.ordinal, None)
        outcome = await self._steps.send(job, request)
        wait = await self._wait_for_setup(job, call, outcome, held)
        if wait is not None:
            held.requests[call.ordinal] = request
            return wait
        return await self._keep(job, call, outcome, request)

    async def _wait_for_setup(self, job: Job, call: PaidCall, outcome: Outcome, held: _Held) -> float | None:
        """Seconds until the same call is sent anew, when Google certainly made nothing and that will pass."""
        tried, waits = held.failures.get(call.ordinal, 0), self._steps.setup_waits
        if not nothing_was_made(outcome) or tried >= len(waits):
            return None
        try:
            if not await self._ledger.take_back_attempt(job, call.ordinal, call.attempt or ""):
                return None
        except LedgerError:
            return None
        held.failures[call.ordinal] = tried + 1
        await self._note(job, call.ordinal, held, f"Not sent yet, tried again in {waits[tried]:.0f} s: {outcome}")
        return waits[tried]

    async def _keep(self, job: Job, call: PaidCall, outcome: Outcome, request: PaidRequest) -> float | None:
        while True:
            try:
                delay = await self._steps.keep(job, call, outcome, request)
            except MediaGenError as error:
                logger.error("job %s: its answer cannot be written down yet: %s", job.job_id, error.code)  # noqa: TRY400 - tried again
                self._tell(
                    call,
                    f"Google has answered, and the answer is only in memory: {error.message} Keep the server running.",
                )
                await anyio.sleep(KEEP_SECONDS)
            else:
                self._tell(call, None)
                return delay

    def _tell(self, call: PaidCall, note: str | None) -> None:
        held = self._held.get(call.job_id)
        if held and note:
            held.notes[call.ordinal] = note
        elif held:
            held.notes.pop(call.ordinal, None)
