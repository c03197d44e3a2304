"""What the surfaces of Google have in common: pictures, interactions and Veo operations over one channel."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import assert_never

import anyio.to_thread

from mediagen.endpoints.answer import Answer
from mediagen.endpoints.answered import finished
from mediagen.endpoints.base import (
    Accepted,
    Finished,
    OpenSink,
    Operation,
    PaidRequest,
    StoredAnswer,
    Submission,
    nowhere,
)
from mediagen.endpoints.http import HttpChannel
from mediagen.endpoints.paid import judge_stored, send_paid
from mediagen.endpoints.wire.batches import batch_name, batches_listed, decode_batch
from mediagen.endpoints.wire.generate_content import decode_image
from mediagen.endpoints.wire.google_errors import GoogleFailure, to_exception
from mediagen.endpoints.wire.interactions import decode_interaction, interaction_id
from mediagen.endpoints.wire.veo import decode_operation, operation_name
from mediagen.errors import EndpointError, MediaGenError, SubmissionUnconfirmedError

SMALL_BYTES = 64 * 1024
_MAYBE_UNKNOWN = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND})
_NOT_CANCELLED = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT})
KEPT_INTERACTION = "Google keeps jobs for 55 days (1 day without billing), and only for the project that made them."
KEPT_BATCH = "Google does not say how long it keeps batches, and shows them only to the project that made them."
BATCHES_PER_PAGE = 50
# No project has so many open; older ones are not looked for.
MOST_PAGES = 20
KEPT_OPERATION = "Google does not say how long it keeps jobs, and shows them only to the project that made them."


async def submit_image(channel: HttpChannel, url: str, call: PaidRequest) -> Finished:
    """Ask for a picture and wait for it. Costs money.

    Raises:
        MediaGenError: As `Endpoint.submit` says.
    """
    return await finished(await send_paid(channel, url, call), decode_image)


async def submit_interaction(channel: HttpChannel, url: str, call: PaidRequest) -> Accepted:
    """Start an interaction. Costs money.

    Raises:
        MediaGenError: As `Endpoint.submit` says.
    """
    return _accepted(interaction_id((await _started(send_paid(channel, url, call))).body))


async def submit_operation(channel: HttpChannel, url: str, call: PaidRequest) -> Accepted:
    """Start a Veo operation. Costs money.

    Raises:
        MediaGenError: As `Endpoint.submit` says.
    """
    return _accepted(operation_name((await _started(send_paid(channel, url, call))).body))


async def submit_batch(channel: HttpChannel, url: str, call: PaidRequest) -> Accepted:
    """Have a batch made. Costs money.

    Raises:
        MediaGenError: As `Endpoint.submit` says.
    """
    return _accepted(batch_name((await _started(send_paid(channel, url, call))).body))


async def read_submission(channel: HttpChannel, call: PaidRequest, answer: StoredAnswer) -> Submission:
    """Read what was answered to a request that a process sent which has died since. Sends nothing.

    Raises:
        MediaGenError: As `Endpoint.read_answer` says.
    """
    judging = judge_stored(channel, call, answer)
    match call.api:
        case "generate_content":
            return await finished(await judging, decode_image)
        case "batch_generate_content":
            return _accepted(batch_name((await _started(judging)).body))
        case "interactions":
            return _accepted(interaction_id((await _started(judging)).body))
        case "predict_long_running":
            return _accepted(operation_name((await _started(judging)).body))
        case _:
            assert_never(call.api)


async def _started(answering: Awaitable[Answer]) -> Answer:
    try:
        return await answering
    except EndpointError as error:
        if error.code == "answer_too_large":
            raise _no_name("was too large to be read") from error
        raise


def _accepted(name: str) -> Accepted:
    if not name:
        raise _no_name("does not name the job")
    return Accepted(operation=name)


def _no_name(what: str) -> SubmissionUnconfirmedError:
    return SubmissionUnconfirmedError(f"Google took the paid request, but its answer {what}, so it cannot be followed.")


async def poll_interaction(channel: HttpChannel, url: str, open_sink: OpenSink) -> Operation:
    """Ask for the state of an interaction. Costs nothing.

    Raises:
        MediaGenError: As `Endpoint.poll` says.
    """
    answer = await channel.read("GET", f"{url}?stream=false", accept=_MAYBE_UNKNOWN, open_sink=open_sink)
    if not answer.is_success:
        raise _poll_failure(channel, answer.failure(), KEPT_INTERACTION)
    return await _decoded(decode_interaction, answer.body)


async def poll_operation(channel: HttpChannel, url: str, open_sink: OpenSink, *, name: str | None = None) -> Operation:
    """Ask for the state of a Veo operation. Costs nothing.

    Args:
        channel: Connections to the surface.
        url: The operation's own address, or that of ``fetchPredictOperation``.
        open_sink: Takes clips inside the answer.
        name: Name of the operation, for ``fetchPredictOperation``.

    Raises:
        MediaGenError: As `Endpoint.poll` says.
    """
    accept = frozenset({HTTPStatus.NOT_FOUND})
    if name is None:
        answer = await channel.read("GET", url, accept=accept, open_sink=open_sink)
    else:
        answer = await channel.read("POST", url, json={"operationName": name}, accept=accept, open_sink=open_sink)
    if not answer.is_success:
        raise _poll_failure(channel, answer.failure(), KEPT_OPERATION)
    return await _decoded(decode_operation, answer.body)


async def _decoded(decode: Callable[[bytes], Operation], body: bytes) -> Operation:
    """Read an answer; in a thread when that takes longer than to go there."""
    return decode(body) if len(body) <= SMALL_BYTES else await anyio.to_thread.run_sync(decode, body)


async def poll_batch(channel: HttpChannel, url: str, open_sink: OpenSink) -> Operation:
    """Ask for the state of a batch, and for its picture when it is done. Costs nothing.

    Raises:
        MediaGenError: As `Endpoint.poll` says.
    """
    answer = await channel.read("GET", url, accept=frozenset({HTTPStatus.NOT_FOUND}), open_sink=open_sink)
    if not answer.is_success:
        raise _poll_failure(channel, answer.failure(), KEPT_BATCH)
    return await anyio.to_thread.run_sync(decode_batch, answer.body)


async def list_all_batches(channel: HttpChannel, url: str) -> dict[str, str]:
    """Names of all batches of the project, by those that they were given. Costs nothing.

    Raises:
        MediaGenError: The list cannot be had.
    """
    names: dict[str, str] = {}
    token = ""
    for _ in range(MOST_PAGES):
        params = {"pageSize": str(BATCHES_PER_PAGE), **({"pageToken": token} if token else {})}
        # The pictures of batches that are done may be in the list, too.
        answer = await channel.read("GET", url, params=params, open_sink=nowhere)
        found, token = await anyio.to_thread.run_sync(batches_listed, answer.body)
        names |= found
        if not token:
            break
    return names


def unknown_operation(status_code: int | None, hint: str, reason: str = "") -> EndpointError:
    """Make our error of a job that Google does not know."""
    return EndpointError(
        f"Google does not know this job (any more) ({status_code})."
        if status_code
        else "This is no name of a job at Google.",
        status_code=status_code,
        reason=reason,
        code="operation_unknown",
        hint=hint,
        billed="unknown",
    )


def _poll_failure(channel: HttpChannel, failure: GoogleFailure, kept: str) -> MediaGenError:
    # A 404 that is not Google's own comes from something in between and settles nothing.
    if failure.is_unknown_interaction or (failure.status_code == HTTPStatus.NOT_FOUND and failure.is_structured):
        return unknown_operation(failure.status_code, kept, failure.reason or failure.status)
    return to_exception(failure, paid=False, key_source=channel.key_source, model="")


async def cancel_interaction(channel: HttpChannel, url: str) -> bool:
    """Ask Google to stop; False when it is over already or not known. What is made by then is billed."""
    return await _cancelled(channel, f"{url}/cancel")


async def cancel_batch(channel: HttpChannel, url: str) -> bool:
    """Ask Google to stop; False when it is over already or not known. What is made by then is billed."""
    return await _cancelled(channel, f"{url}:cancel")


async def _cancelled(channel: HttpChannel, url: str) -> bool:
    answer = await channel.read("POST", url, accept=_NOT_CANCELLED)
    if answer.status_code in _NOT_CANCELLED and answer.failure().is_key_refused:
        raise to_exception(answer.failure(), paid=False, key_source=channel.key_source, model="")
    return answer.is_success
