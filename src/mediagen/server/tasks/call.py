"""What a tool call knows of being followed as a task."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from mediagen.generator.new_job import USUAL, Terms


@dataclass(kw_only=True, slots=True)
class TaskCall:
    """A tool call that is answered with a task.

    Attributes:
        job_id: Of the job, where somebody agreed to its price; None leaves it to the generator.
        asked: Job about whose price somebody has to be asked first; set while the call is handled.
    """

    job_id: str | None = None
    asked: str | None = None


_current: ContextVar[TaskCall | None] = ContextVar("task_call", default=None)


def current_call() -> TaskCall | None:
    """The call that is handled here, when it is followed as a task."""
    return _current.get()


def terms_of_call() -> Terms:
    """How the generator serves the call that is handled here."""
    call = _current.get()
    return Terms(job_id=call.job_id, wait_seconds=0.0) if call else USUAL


@contextmanager
def as_task(call: TaskCall) -> Iterator[TaskCall]:
    """Let what is done inside be followed as a task."""
    token = _current.set(call)
    try:
        yield call
    finally:
        _current.reset(token)
