"""Pictures by `models/M:batchGenerateContent`, each in a batch of its own: request body and state. Pure.

Source: https://ai.google.dev/api/batch-api, https://ai.google.dev/gemini-api/docs/batch-api and google-genai 3.4.0,
`batches.py` (checked 2026-11-22). Google writes states as BATCH_STATE_… and, in older answers, as JOB_STATE_….
"""

import json
from http import HTTPStatus
from typing import Any

from mediagen.endpoints.wire.generate_content import Answered, bad_base64, read_answer
from mediagen.endpoints.wire.google_errors import parse_error, to_exception
from mediagen.endpoints.wire.inline_media import inline_number
from mediagen.endpoints.wire.json_values import Json, child, children, count, parse_object, word
from mediagen.endpoints.wire.operation import ASK_AGAIN, Operation, Output, State
from mediagen.errors import ContentFilteredError, MediaGenError, UnavailableError
from mediagen.jobs import JobError, job_error

PREFIX = "batches/"
_STATE = "_STATE_"
_OVER: dict[str, State] = {
    "SUCCEEDED": "completed",
    "FAILED": "failed",
    "EXPIRED": "failed",
    "CANCELLED": "cancelled",
}
# Source: https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto (checked 2026-11-22)
_HTTP_STATUSES = {
    3: (HTTPStatus.BAD_REQUEST, "INVALID_ARGUMENT"),
    5: (HTTPStatus.NOT_FOUND, "NOT_FOUND"),
    7: (HTTPStatus.FORBIDDEN, "PERMISSION_DENIED"),
    8: (HTTPStatus.TOO_MANY_REQUESTS, "RESOURCE_EXHAUSTED"),
    9: (HTTPStatus.BAD_REQUEST, "FAILED_PRECONDITION"),
    16: (HTTPStatus.UNAUTHORIZED, "UNAUTHENTICATED"),
}
_FAILED = (HTTPStatus.INTERNAL_SERVER_ERROR, "INTERNAL")
_RPC_CANCELLED = 1


def encode_batch(body: Json, display_name: str) -> dict[str, Any]:
    """Make the request body of a batch that holds one request.

    Args:
        body: As `encode_image` makes it.
        display_name: By which the batch is found again in the list of all.
    """
    requests = [{"request": body}]
    return {"batch": {"displayName": display_name, "inputConfig": {"requests": {"requests": requests}}}}


def renamed(body: Json, display_name: str) -> dict[str, Any]:
    """The same request body with another name for its batch."""
    return {**body, "batch": {**child(body, "batch"), "displayName": display_name}}


def batch_name(body: bytes) -> str:
    """Name of a batch that was just made; empty when the answer has none."""
    name = word(parse_object(body), "name")
    return name if name.startswith(PREFIX) else ""


def batches_listed(body: bytes) -> tuple[dict[str, str], str]:
    """Read one page of the list of batches.

    Returns:
        Google's name of each batch by the one that it was given, and the token of the next page, or the empty string.

    Raises:
        UnavailableError: The body is no list.
    """
    payload = parse_object(body)
    if payload is None:
        raise _unreadable()
    found = (
        (word(child(batch, "metadata"), "displayName"), word(batch, "name"))
        for batch in children(payload, "operations")
    )
    return {given: name for given, name in found if given and name.startswith(PREFIX)}, word(payload, "nextPageToken")


def decode_batch(skeleton: bytes) -> Operation:
    """Read a batch of one request as polled; its picture was taken out.

    Raises:
        UnavailableError: The body is no batch; polling again may help.
    """
    payload = parse_object(skeleton)
    if payload is None or not payload.keys() & {"name", "metadata", "done"}:
        raise _unreadable()
    name, metadata = word(payload, "name"), child(payload, "metadata")
    raw = word(metadata, "state")
    state = _OVER.get(raw.partition(_STATE)[2], "running")
    responses = _responses(payload)
    if responses:
        return _answered(name, raw, responses[0])
    error = child(payload, "error") or child(metadata, "error")
    if state == "cancelled" or count(error, "code") == _RPC_CANCELLED:
        return Operation(name=name, state="cancelled", error=_CANCELLED, raw_status=raw)
    if error:
        return _failed(name, raw, _error_of(error))
    if state == "running" and not payload.get("done"):
        return Operation(name=name, state="running", raw_status=raw)
    ended = _EXPIRED if raw.endswith("EXPIRED") else _NOTHING_SAID
    return Operation(name=name, state="failed", error=ended, raw_status=raw)


def _responses(payload: Json) -> list[Json]:
    """What became of each request: Google gives it as the response of the operation, in its metadata, or as both."""
    for output in (child(payload, "response"), child(child(payload, "metadata"), "output")):
        found = output.get("inlinedResponses")
        # The list is in an object of the same name.
        if responses := children(found if isinstance(found, dict) else output, "inlinedResponses"):
            return responses
    return []


def _answered(name: str, raw: str, item: Json) -> Operation:
    if error := child(item, "error"):
        return _failed(name, raw, _error_of(error))
    response = child(item, "response")
    answered = read_answer(response, json.dumps(response).encode())
    if answered.error is not None:
        return _failed(name, raw, answered.error, answered)
    inline = answered.inline or {}
    number = inline_number(inline.get("data"))
    if number is None:
        return _failed(name, raw, bad_base64(response), answered)
    mime_type = word(inline, "mimeType") or word(inline, "mime_type") or None
    return Operation(
        name=name,
        state="completed",
        outputs=(Output(inline=number, mime_type=mime_type),),
        text=answered.text,
        usage=answered.usage,
        raw_status=raw,
    )


def _failed(name: str, raw: str, error: MediaGenError, answered: Answered | None = None) -> Operation:
    state: State = "filtered" if isinstance(error, ContentFilteredError) else "failed"
    usage = answered.usage if answered else None
    return Operation(name=name, state=state, usage=usage, error=job_error(error), raw_status=raw)


def _error_of(error: Json) -> MediaGenError:
    """What Google would have answered to the request itself."""
    status_code, status = _HTTP_STATUSES.get(count(error, "code"), _FAILED)
    body = json.dumps({"error": {**error, "status": status}}).encode()
    return to_exception(parse_error(status_code, {}, body), paid=True, key_source="", model="")


def _unreadable() -> UnavailableError:
    return UnavailableError("Google's answer about the batch cannot be read.", code="unreadable_answer")


_CANCELLED = JobError(
    code="cancelled", message="The batch was cancelled at Google.", retryable=False, billed="unknown", hint=""
)
_EXPIRED = JobError(
    code="batch_expired",
    message="Google did not come to this batch in time, and gave it up.",
    retryable=True,
    billed="unknown",
    hint=f"Google does not say that this costs nothing. {ASK_AGAIN}",
)
_NOTHING_SAID = JobError(
    code="batch_failed",
    message="Google says that the batch is over, but neither gave a picture nor said why.",
    retryable=False,
    billed="unknown",
    hint=ASK_AGAIN,
)
