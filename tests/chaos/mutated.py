"""The program without one of its guards, to see whether the judge notices; see `launch`.

The guards are taken away here, by replacing methods when the process starts; the program knows nothing of it. A guard
that is not where it was stops the process, so that a mutation that does nothing is not taken for one that is noticed.
"""

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial, wraps
from typing import Any

from mediagen.endpoints.base import PaidRequest
from mediagen.endpoints.gemini_api import GeminiApi
from mediagen.endpoints.vertex_ai import VertexAi
from mediagen.errors import SubmissionUnconfirmedError
from mediagen.jobs import Job
from mediagen.ledger import owners, writing
from mediagen.ledger.leases import Leases
from mediagen.ledger.ledger import Ledger
from mediagen.submitter.recovery import next_attempt
from mediagen.submitter.submitter import DetachedSubmitter

ENDPOINTS: tuple[Any, ...] = (GeminiApi, VertexAi)


def row_after_post() -> None:
    """Write down that a request is sent when it has been sent."""
    later: dict[str, Callable[[], Any]] = {}
    begin: Any = Ledger.begin_attempt
    create: Any = Ledger.create

    async def begin_later(self: Ledger, job: Job, ordinal: int, attempt: str) -> bool:
        later[attempt] = partial(begin, self, job, ordinal, attempt)
        return True

    async def create_without_tokens(self: Ledger, job: Job, **options: Any) -> Job:
        bare = replace(job, calls=tuple(replace(call, attempt=None) for call in job.calls))
        kept: Job = await create(self, bare, **options)
        if kept.job_id != job.job_id:
            return kept
        for call in job.calls:
            if call.attempt:
                await begin_later(self, kept, call.ordinal, call.attempt)
        return replace(kept, calls=job.calls)

    def writing_afterwards(submit: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(submit)
        async def submitted(self: Any, request: PaidRequest) -> Any:
            try:
                return await submit(self, request)
            finally:
                if write := later.pop(request.token, None):
                    await write()

        return submitted

    replace_method(Ledger, "begin_attempt", begin_later)
    replace_method(Ledger, "create", create_without_tokens)
    for endpoint in ENDPOINTS:
        replace_method(endpoint, "submit", writing_afterwards(endpoint.submit))


def retry_on_timeout() -> None:
    """Send a paid request again when its answer was not seen."""

    def trying_again(submit: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(submit)
        async def submitted(self: Any, request: Any) -> Any:
            try:
                return await submit(self, request)
            except SubmissionUnconfirmedError:
                # Under the same ticket it would not leave.
                return await submit(self, replace(request, ticket=request.ticket + 1))

        return submitted

    for endpoint in ENDPOINTS:
        replace_method(endpoint, "submit", trying_again(endpoint.submit))


def no_lease_check() -> None:
    """Take every process for dead, and refuse nothing that a process does with the job of another.

    By the first alone nothing would be noticed: claim, token and ticket hold, whatever a process believes.
    """
    for liveness in (owners.Owners, Leases):
        replace_method(liveness, "is_alive", lambda *_: False)
    modules: Any = writing
    take = modules.take
    modules.take = lambda connection, step: take(connection, replace(step, fence=None, attempt=None))
    modules.begin_attempt = _begin_anyhow
    no_ticket()


def _begin_anyhow(connection: Any, job: Any, ordinal: int, attempt: str) -> bool:
    told = {"attempt": attempt, "job_id": job.job_id, "ordinal": ordinal}
    connection.execute("UPDATE calls SET attempt = :attempt WHERE job_id = :job_id AND ordinal = :ordinal", told)
    return True


def no_ticket() -> None:
    """Let a request leave under any ticket that is free, instead of the one that it was bound to beforehand."""
    send = DetachedSubmitter.send

    async def send_anyhow(self: DetachedSubmitter, request: Any) -> Any:
        return await send(self, replace(request, ticket=next_attempt(request.folder)))

    replace_method(DetachedSubmitter, "send", send_anyhow)


MUTATIONS: dict[str, Callable[[], None]] = {
    "row-after-post": row_after_post,
    "retry-on-timeout": retry_on_timeout,
    "no-lease-check": no_lease_check,
    "no-ticket": no_ticket,
}


def replace_method(owner: Any, name: str, function: Any) -> None:
    """Replace a method that must be there, also where it is inherited."""
    for found in owner.__mro__:
        if name in vars(found):
            setattr(found, name, function)
            return
    sys.exit(f"{owner.__name__}.{name} is gone: the harness has to be fitted to the program")
