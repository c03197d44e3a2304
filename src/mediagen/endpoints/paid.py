"""Sends requests that cost money: once, or again only when it is certain that nothing was accepted. Costs money."""

import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from itertools import count
from pathlib import Path
from typing import Any, Literal, TypedDict

import anyio
import anyio.to_thread
import httpx

from mediagen.endpoints.answer import Answer, sent_key
from mediagen.endpoints.base import PaidRequest, StoredAnswer
from mediagen.endpoints.http import (
    CHUNK_BYTES,
    ERROR_LIMIT,
    TRANSIENT,
    HttpChannel,
    too_large,
    unreachable,
)
from mediagen.endpoints.inline_files import Separator
from mediagen.endpoints.wire.google_errors import to_exception
from mediagen.endpoints.wire.sizes import is_small
from mediagen.errors import MediaGenError, RateLimitError, StorageError, UnavailableError
from mediagen.submitter.base import Patience, SignedRequest, Submitter, is_supported, unconfirmed

logger = logging.getLogger("mediagen.endpoints")

# Raised before the first byte of the request leaves.
_NOTHING_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
_TEXTS = frozenset({"text", "input", "prompt", "negativePrompt"})
_JSON = {"content-type": "application/json"}

Came = Answer | UnavailableError
"""An answer, or why nothing was sent."""


async def send_paid(channel: HttpChannel, url: str, call: PaidRequest) -> Answer:
    """Send a paid request and return its successful answer. Costs money.

    Raises:
        SubmissionUnconfirmedError: It may have arrived, but its outcome is unknown.
        UnavailableError: Nothing was sent, or Google says that it failed.
        StorageError: Nothing was sent, because its answer could not have been kept.
        MediaGenError: Google refused it.
    """
    is_quick = is_small(call.body)
    content = _serialized(call.body) if is_quick else await anyio.to_thread.run_sync(_serialized, call.body)
    send = await _way(channel, url, call)
    tried = 0
    while True:
        tried += 1
        came = await send(content)
        error = came if isinstance(came, MediaGenError) else _failure(channel, call, came)
        if error is None:
            assert isinstance(came, Answer)
            return came
        if not _certainly_rejected(error) or tried > channel.settings.paid_retries:
            raise error
        if not await channel.wait_before_retry(error, tried):
            raise error


async def judge_stored(channel: HttpChannel, call: PaidRequest, stored: StoredAnswer) -> Answer:
    """The successful answer that a submitter stored for a process that has died since. Sends nothing.

    Raises:
        MediaGenError: As `send_paid` would have.
        StorageError: It cannot be read.
    """
    answer = await _taken(channel, call.folder, stored)
    error = _failure(channel, call, answer)
    if error:
        raise error
    return answer


def _failure(channel: HttpChannel, call: PaidRequest, answer: Answer) -> MediaGenError | None:
    """What is wrong with an answer, however it came; see decision 0003."""
    if answer.end == "too_large":
        return too_large(channel.settings.answer_limit)
    if answer.end == "cut" and not _is_refusal(answer.status_code):
        return unconfirmed("it was cut off")
    if answer.is_success:
        return None
    secrets = tuple(_words(call.body))
    return to_exception(answer.failure(*secrets), paid=True, key_source=channel.key_source, model=call.model)


def _is_refusal(status_code: int) -> bool:
    """Whether a part of such an answer says enough: nothing was made."""
    is_client_error = status_code in range(HTTPStatus.BAD_REQUEST, HTTPStatus.INTERNAL_SERVER_ERROR)
    return is_client_error and status_code not in TRANSIENT - {HTTPStatus.TOO_MANY_REQUESTS}


async def _way(channel: HttpChannel, url: str, call: PaidRequest) -> Callable[[bytes], Awaitable[Came]]:
    """By whom a request is sent."""
    submitter, folder = channel.submitter, call.folder
    if submitter and folder and await submitter.takes(url, folder):
        return partial(
            _send_detached,
            channel,
            submitter,
            url,
            _Tickets(folder=folder, token=call.token, numbers=count(call.ticket)),
        )
    if folder and is_supported():
        await anyio.to_thread.run_sync(_leave_unwatched, folder, call.ticket, call.token)
    return partial(_send_here, channel, url, folder)


async def _send_here(channel: HttpChannel, url: str, folder: Path | None, content: bytes) -> Came:
    try:
        with anyio.fail_after(channel.settings.paid_total_seconds):
            async with channel.stream(channel.paid, "POST", url, content=content, headers=_JSON) as response:
                return await _read(channel, folder, response, sent_key(response.request))
    except _NOTHING_SENT as failed:
        error = unreachable(failed)
        error.hint = f"Nothing was sent or billed. {error.hint}"
        error.__cause__ = failed
        return error
    except (httpx.RequestError, OSError) as error:
        raise unconfirmed(type(error).__name__) from error


async def _read(channel: HttpChannel, folder: Path | None, response: httpx.Response, key: str) -> Answer:
    """Take an answer apart while it arrives; of a failure, keep whatever part of it does."""
    answer = Answer(
        status_code=response.status_code,
        headers=dict(response.headers),
        body=b"",
        sent_key=key,
    )
    if not answer.is_success:
        return replace(answer, **await _refusal(response))
    separator = Separator(folder)
    received = 0
    try:
        async for chunk in response.aiter_bytes(CHUNK_BYTES):
            received += len(chunk)
            if received > channel.settings.answer_limit:
                return replace(answer, end="too_large")
            await anyio.to_thread.run_sync(separator.feed, chunk)
    except httpx.RequestError:
        return replace(answer, end="cut")
    return replace(answer, body=separator.skeleton, files=separator.files)


class _Refusal(TypedDict):
    body: bytes
    end: Literal["whole", "cut"]


async def _refusal(response: httpx.Response) -> _Refusal:
    body = bytearray()
    try:
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > ERROR_LIMIT:
                break
    except httpx.RequestError:
        return {"body": bytes(body), "end": "cut"}
    return {"body": bytes(body), "end": "whole"}


async def _send_detached(
    channel: HttpChannel, submitter: Submitter, url: str, tickets: "_Tickets", content: bytes
) -> Came:
    """Sign as the HTTP client would, which may mean to send again after a 401, and let the submitter send it."""
    request = channel.paid.build_request("POST", url, content=content, headers=_JSON)
    flow = (channel.paid.auth or httpx.Auth()).async_auth_flow(request)
    try:
        request = await anext(flow)
        while True:
            try:
                stored = await _log_sent(submitter.send(_signed(channel, request, tickets)), request)
            except UnavailableError as error:
                return error
            try:
                request = await flow.asend(httpx.Response(stored.status_code, request=request))
            except StopAsyncIteration:
                return await _taken_at_once(channel, tickets.folder, stored, sent_key(request))
    finally:
        await flow.aclose()


async def _log_sent(sending: Awaitable[StoredAnswer], request: httpx.Request) -> StoredAnswer:
    started = time.monotonic()
    stored = await sending
    seconds = time.monotonic() - started
    logger.debug("%s %s -> %d in %.1f s", request.method, request.url.path, stored.status_code, seconds)
    return stored


def _signed(channel: HttpChannel, request: httpx.Request, tickets: "_Tickets") -> SignedRequest:
    settings = channel.settings
    return SignedRequest(
        url=str(request.url),
        headers=tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw),
        body=request.content,
        folder=tickets.folder,
        ticket=next(tickets.numbers),
        token=tickets.token,
        patience=Patience(
            connect_seconds=settings.connect_seconds,
            write_seconds=settings.write_seconds,
            read_seconds=settings.paid_read_seconds,
            total_seconds=settings.paid_total_seconds,
        ),
        answer_limit=settings.answer_limit,
    )


async def _taken_at_once(channel: HttpChannel, folder: Path, stored: StoredAnswer, key: str) -> Answer:
    try:
        return await _taken(channel, folder, stored, key)
    except StorageError as error:
        # It stays where it is, and is looked at again as a late answer.
        raise unconfirmed("it is on the disk but cannot be read") from error


async def _taken(channel: HttpChannel, folder: Path | None, stored: StoredAnswer, key: str = "") -> Answer:
    """Take an answer apart that is on the disk, where it stays as it came."""
    answer = Answer(status_code=stored.status_code, headers=stored.headers, body=b"", sent_key=key, end=stored.end)
    if stored.is_success and stored.end != "whole":
        return answer
    try:
        if "content-encoding" in stored.headers:
            # Not asked for, but some proxies compress all the same.
            response = httpx.Response(stored.status_code, headers=stored.headers, content=_pieces(stored))
            answer = await _read(channel, folder, response, key)
            return answer if stored.end == "whole" else replace(answer, end=stored.end)
        if not stored.is_success:
            return replace(answer, body=await anyio.to_thread.run_sync(stored.body))
        separator = (
            _separated(stored, folder) if stored.told else await anyio.to_thread.run_sync(_separated, stored, folder)
        )
    except OSError as error:
        raise StorageError(
            f"Google's answer, which is kept in {stored.path}, cannot be read ({type(error).__name__}).",
            hint="Make it readable; `mediagen jobs resume` then goes on.",
            billed="unknown",
        ) from error
    return replace(answer, body=separator.skeleton, files=separator.files, is_stored=True)


def _separated(stored: StoredAnswer, folder: Path | None) -> Separator:
    separator = Separator(folder)
    for chunk in stored.chunks():
        separator.feed(chunk)
    return separator


async def _pieces(stored: StoredAnswer) -> AsyncIterator[bytes]:
    chunks = stored.chunks()
    while chunk := await anyio.to_thread.run_sync(next, chunks, b""):
        yield chunk


def _leave_unwatched(folder: Path, ticket: int, token: str) -> None:
    from mediagen.submitter.recovery import leave_unwatched

    try:
        leave_unwatched(folder, ticket, token)
    except FileExistsError as error:
        raise unconfirmed("another process has taken the job over") from error
    except OSError as error:
        raise StorageError(
            f"The spool beside the ledger cannot be written to ({type(error).__name__}).",
            hint="Nothing was sent or billed. Make room, or the folder writable, and ask again.",
        ) from error


@dataclass(frozen=True, kw_only=True, slots=True)
class _Tickets:
    """Where a call leaves its tickets, and the numbers that it may use, one after the other."""

    folder: Path
    token: str
    numbers: Iterator[int]


def _serialized(body: dict[str, Any]) -> bytes:
    return json.dumps(body).encode()


def _certainly_rejected(error: MediaGenError) -> bool:
    """Whether the same request may be sent again: nothing was accepted, and Google or nobody has seen it."""
    if isinstance(error, RateLimitError):
        return error.retryable and error.retry_after is not None
    return error.code == "unavailable" and error.billed == "no"


def _words(value: Any) -> Iterator[str]:
    """What the caller wrote, so that it can be kept out of messages; not the pictures."""
    if isinstance(value, dict):
        for name, item in value.items():
            if name in _TEXTS and isinstance(item, str):
                yield item
            else:
                yield from _words(item)
    elif isinstance(value, list):
        for item in value:
            yield from _words(item)
