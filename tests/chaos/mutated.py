"""The program without one of its guards, to see whether the judge notices: python -m tests.chaos.mutated NAME ….

The guards are taken away here, by replacing methods when the process starts; the program knows nothing of it. A guard
that is not where it was stops the process, so that a mutation that does nothing is not taken for one that is noticed.
"""

import sys
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial, wraps
from typing import Any

from mediagen.cli import main
from mediagen.endpoints.gemini_api import GeminiApi
from mediagen.endpoints.vertex_ai import VertexAi
from mediagen.errors import JobNotFoundError, SubmissionUnconfirmedError
from mediagen.ledger import owners
from mediagen.ledger.ledger import Ledger
from mediagen.runner.steps import CallSteps

ENDPOINTS: tuple[Any, ...] = (GeminiApi, VertexAi)


def row_after_post() -> None:
    """Write down that a request is sent when it has been sent: the row, or the token of the attempt."""
    if hasattr(Ledger, "begin_attempt"):
        _attempt_after_post()
    else:
        _create_after_post()


def _create_after_post() -> None:
    held: dict[str, tuple[Ledger, Any, dict[str, Any]]] = {}
    create, get, send = Ledger.create, Ledger.get, CallSteps.send

    async def create_later(self: Ledger, job: Any, **options: Any) -> Any:
        held[job.job_id] = (self, job, options)
        return job

    async def get_held(self: Ledger, job_id: str) -> Any:
        try:
            return await get(self, job_id)
        except JobNotFoundError:
            if job_id not in held:
                raise
            return held[job_id][1]

    async def send_first(self: CallSteps, job: Any, request: Any) -> Any:
        outcome = await send(self, job, request)
        if found := held.pop(job.job_id, None):
            await create(found[0], found[1], **found[2])
        return outcome

    _replace(Ledger, "create", create_later)
    _replace(Ledger, "get", get_held)
    _replace(CallSteps, "send", send_first)


def _attempt_after_post() -> None:
    begun: ContextVar[Callable[[], Any] | None] = ContextVar("begun", default=None)
    begin: Any = vars(Ledger)["begin_attempt"]

    async def begin_later(self: Ledger, *arguments: Any, **options: Any) -> bool:
        begun.set(partial(begin, self, *arguments, **options))
        return True

    def writing_afterwards(submit: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(submit)
        async def submitted(self: Any, *arguments: Any, **options: Any) -> Any:
            try:
                return await submit(self, *arguments, **options)
            finally:
                if write := begun.get():
                    await write()

        return submitted

    _replace(Ledger, "begin_attempt", begin_later)
    for endpoint in ENDPOINTS:
        _replace(endpoint, "submit", writing_afterwards(endpoint.submit))


def retry_on_timeout() -> None:
    """Send a paid request again when its answer was not seen."""

    def trying_again(submit: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(submit)
        async def submitted(self: Any, *arguments: Any, **options: Any) -> Any:
            try:
                return await submit(self, *arguments, **options)
            except SubmissionUnconfirmedError:
                return await submit(self, *arguments, **options)

        return submitted

    for endpoint in ENDPOINTS:
        _replace(endpoint, "submit", trying_again(endpoint.submit))


def no_lease_check() -> None:
    """Take every process for dead, so that jobs are driven by several at once."""
    _replace(owners.Owners, "is_alive", lambda *_: False)


MUTATIONS: dict[str, Callable[[], None]] = {
    "row-after-post": row_after_post,
    "retry-on-timeout": retry_on_timeout,
    "no-lease-check": no_lease_check,
}


def _replace(owner: Any, name: str, function: Any) -> None:
    if name not in vars(owner):
        sys.exit(f"{owner.__name__}.{name} is gone: the mutation has to be fitted to the program")
    setattr(owner, name, function)


if __name__ == "__main__":
    MUTATIONS[sys.argv[1]]()
    del sys.argv[1]
    main()
