"""New jobs whose requests leave at once: the right to send each call is written in the same transaction as its row."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mediagen.endpoints.base import PaidRequest
from mediagen.jobs import Job, PaidCall
from mediagen.runner.spool import Spool, open_for_sending
from mediagen.submitter.base import is_supported


@dataclass(frozen=True, kw_only=True, slots=True)
class Departure:
    """A job to be taken in, and one request for each of its calls.

    Attributes:
        job: With the token of the right to send it in each call that leaves at once.
        requests: Under the same tokens.
    """

    job: Job
    requests: Sequence[PaidRequest]

    def open(self) -> None:
        """Make the folders of the calls that leave at once, so that each tells later whether that happened. Blocking.

        To be called while the rows are written, before they are durable: a token without such a folder could never be
        taken back.

        Raises:
            StorageError: One cannot be written.
        """
        for request in self.requests:
            if request.folder:
                # A new folder, so that the first ticket is free: its number is that of the request as it is.
                open_for_sending(request.folder, request.token)


def at_once(job: Job, requests: Sequence[PaidRequest], spool: Spool) -> Departure:
    """Prepare a new job that its own process sends as soon as it is in the ledger; nothing is written yet."""
    if not is_supported():
        # A token that no folder tells of makes a call unconfirmed after a crash: it is given at the last moment.
        return Departure(job=job, requests=requests)
    calls = tuple(replace(call, attempt=secrets.token_hex(8)) for call in job.calls)
    under_tokens = [_under_token(job, call, request, spool) for call, request in zip(calls, requests, strict=True)]
    return Departure(job=replace(job, calls=calls), requests=under_tokens)


def _under_token(job: Job, call: PaidCall, request: PaidRequest, spool: Spool) -> PaidRequest:
    return replace(request, folder=spool.folder_of(job, call), token=call.attempt or "")
