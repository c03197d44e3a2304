"""Sends requests that cost money: once, or again only when it is certain that nothing was accepted. Costs money."""

import json
from collections.abc import Iterator
from typing import Any

import anyio
import anyio.to_thread
import httpx

from mediagen.endpoints.base import PaidRequest
from mediagen.endpoints.http import Answer, HttpChannel, unreachable
from mediagen.endpoints.wire.google_errors import UNCONFIRMED_HINT, to_exception
from mediagen.errors import MediaGenError, RateLimitError, SubmissionUnconfirmedError

# Raised before the first byte of the request leaves.
_NOTHING_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
_TEXTS = frozenset({"text", "input", "prompt", "negativePrompt"})
_JSON = {"content-type": "application/json"}


async def send_paid(channel: HttpChannel, url: str, call: PaidRequest) -> Answer:
    """Send a paid request and return its successful answer. Costs money.

    Raises:
        SubmissionUnconfirmedError: It may have arrived, but its outcome is unknown.
        UnavailableError: Nothing was sent, or Google says that it failed.
        MediaGenError: Google refused it.
    """
    secrets = tuple(_words(call.body))
    content = await anyio.to_thread.run_sync(_serialized, call.body)
    tried = 0
    while True:
        tried += 1
        try:
            answer = await _send_once(channel, url, content)
        except _NOTHING_SENT as failed:
            error: MediaGenError = unreachable(failed)
            error.hint = f"Nothing was sent or billed. {error.hint}"
            error.__cause__ = failed
        else:
            if answer.is_success:
                return answer
            error = to_exception(answer.failure(*secrets), paid=True, key_source=channel.key_source, model=call.model)
        if not _certainly_rejected(error) or tried > channel.settings.paid_retries:
            raise error
        if not await channel.wait_before_retry(error, tried):
            raise error


async def _send_once(channel: HttpChannel, url: str, content: bytes) -> Answer:
    try:
        with anyio.fail_after(channel.settings.paid_total_seconds):
            async with channel.stream(channel.paid, "POST", url, content=content, headers=_JSON) as response:
                return await channel.read_to_end(response, channel.settings.answer_limit)
    except _NOTHING_SENT:
        raise
    except (httpx.RequestError, OSError) as error:
        raise SubmissionUnconfirmedError(
            f"The paid request was sent, but its answer was not seen ({type(error).__name__}).", hint=UNCONFIRMED_HINT
        ) from error


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
