"""What is known of the tool call that is being served, besides its arguments: is it a task, was its price agreed to."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from mediagen.generator.new_job import USUAL, Terms
from mediagen.ledger.approvals import Approval


@dataclass(kw_only=True, slots=True)
class ServedCall:
    """A tool call.

    Attributes:
        is_task: Whether it is answered with a task, so that nobody waits.
        agreed: What somebody agreed to, when this call makes it.
        asked: Question about the price that has to be answered first; set while the call is served.
    """

    is_task: bool = False
    agreed: Approval | None = None
    asked: str | None = None


_current: ContextVar[ServedCall | None] = ContextVar("served_call", default=None)


def is_task() -> bool:
    """Whether the call that is served here is answered with a task."""
    call = _current.get()
    return call is not None and call.is_task


def ask_first(job_id: str) -> None:
    """Note that a question has to be answered before the task that is served here goes on."""
    call = _current.get()
    assert call is not None
    call.asked = job_id


def terms_of_call() -> Terms:
    """How the generator serves the call that is served here."""
    call = _current.get()
    if call is None:
        return USUAL
    wait_seconds = 0.0 if call.is_task else None
    if call.agreed is None:
        return Terms(wait_seconds=wait_seconds)
    return Terms(job_id=call.agreed.job_id, fingerprint=call.agreed.fingerprint, wait_seconds=wait_seconds)


@contextmanager
def serving(call: ServedCall) -> Iterator[ServedCall]:
    """Serve a call: what is done inside knows of it."""
    token = _current.set(call)
    try:
        yield call
    finally:
        _current.reset(token)
