"""Free tests of a surface: which models its credential can see, and whether it knows the fields of a body."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from mediagen.endpoints.answer import Answer
from mediagen.endpoints.base import EndpointCheck, ProbeResult
from mediagen.endpoints.http import HttpChannel
from mediagen.endpoints.wire.google_errors import GoogleFailure, to_exception
from mediagen.endpoints.wire.json_values import children, parse_object, word
from mediagen.errors import AuthenticationError, EndpointError, MediaGenError, UnavailableError

MODELS_PER_PAGE = 50
MAX_MODEL_PAGES = 40
SENTINEL = "mediagenProbe"

_KEYS_UNSUPPORTED = re.compile(r"API keys are not supported", re.IGNORECASE)
_UNKNOWN_NAME = re.compile(r"Unknown name \"(?P<name>[^\"]+)\"(?: at '(?P<at>[^']*)')?")
_INVALID_VALUE = re.compile(r"Invalid value at '(?P<field>[^']+)'")


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelList:
    """Where a surface lists its models.

    Attributes:
        field: Name of the list in the answer.
        api: Name of the surface, for messages.
        setting: Variable that holds its address.
    """

    url: str
    field: str
    api: str
    setting: str


async def check_surface(channel: HttpChannel, listing: ModelList) -> EndpointCheck:
    """Test address, credential and models. Costs nothing; failures are told, not raised."""
    started = time.monotonic()
    try:
        answer = await _page(channel, listing, "")
    except AuthenticationError as error:
        return EndpointCheck(reachable=True, key_ok=False, error=str(error))
    except MediaGenError as error:
        answered = isinstance(error, EndpointError) and error.status_code is not None
        return EndpointCheck(reachable=answered, key_ok=None, error=str(error), retryable=error.retryable)
    latency_ms = round((time.monotonic() - started) * 1000, 1)
    skew = _clock_skew(channel, answer)
    if not answer.is_success:
        return EndpointCheck(
            reachable=True,
            key_ok=None,
            latency_ms=latency_ms,
            clock_skew_seconds=skew,
            error=f"{listing.api} does not list models for API keys (401). The key may still be able to generate: "
            "whether it can shows only when it does.",
            lists_models=False,
        )
    models, problem = await _all_models(channel, listing, answer)
    return EndpointCheck(
        reachable=True,
        key_ok=None if problem and not models else True,
        latency_ms=latency_ms,
        models=models,
        clock_skew_seconds=skew,
        error=problem,
    )


async def _all_models(channel: HttpChannel, listing: ModelList, first: Answer) -> tuple[tuple[str, ...], str | None]:
    """Follow the pages; returns what was found, and why it is not all."""
    names: dict[str, None] = {}
    answer = first
    for _number in range(MAX_MODEL_PAGES):
        page = parse_object(answer.body)
        if page is None:
            return tuple(names), f"What answered is not {listing.api}. Check {listing.setting}."
        # models/M, or publishers/google/models/M
        names |= {word(model, "name").rpartition("/")[2]: None for model in children(page, listing.field)}
        names.pop("", None)
        token = word(page, "nextPageToken")
        if not token:
            return tuple(names), None
        try:
            answer = await _page(channel, listing, token)
        except MediaGenError as error:
            return tuple(names), f"The list of models is not complete. {error}"
    return tuple(names), f"The list of models is not complete: it has more than {MAX_MODEL_PAGES} pages."


async def _page(channel: HttpChannel, listing: ModelList, token: str) -> Answer:
    """One page; also the refusal of a key that may still be able to generate."""
    params = {"pageSize": str(MODELS_PER_PAGE), **({"pageToken": token} if token else {})}
    refused = frozenset({HTTPStatus.UNAUTHORIZED})
    answer = await _read_soon(channel, listing.url, params=params, accept=refused)
    if answer.is_success:
        return answer
    failure = answer.failure()
    if not token and _KEYS_UNSUPPORTED.search(failure.message):
        return answer
    raise to_exception(failure, paid=False, key_source=channel.key_source, model="")


async def _read_soon(channel: HttpChannel, url: str, **content: Any) -> Answer:
    """Try once more after a failure that may be over at once; whoever tests does not wait as long as Google asks to."""
    try:
        return await channel.read("GET", url, attempts=1, **content)
    except UnavailableError as error:
        if error.retry_after is not None or not await channel.wait_before_retry(error, 1):
            raise
    return await channel.read("GET", url, attempts=1, **content)


def _clock_skew(channel: HttpChannel, answer: Answer) -> float | None:
    try:
        theirs = parsedate_to_datetime(answer.headers.get("date", ""))
        return float(round((theirs - channel.settings.clock()).total_seconds()))
    except (TypeError, ValueError, IndexError):
        return None


async def probe_fields(channel: HttpChannel, url: str, body: dict[str, Any]) -> ProbeResult:
    """Let Google check the fields of a generateContent body without carrying it out. Costs nothing, ever.

    Google parses a body before it does anything, and refuses unknown fields. The body therefore gets one that nobody
    knows, and loses its contents, so that it could not be carried out even if that field were overlooked. Bodies of
    other methods are not sent: Interactions make a clip of an empty input, and Veo takes parameters of any name.
    """
    if "contents" not in body:
        return ProbeResult(
            accepted=None,
            message="Not tried: only bodies of generateContent can be checked without the risk of paying.",
        )
    config = {**body.get("generationConfig", {}), SENTINEL: True}
    empty = {**body, "contents": [], "generationConfig": config}
    refused = frozenset({HTTPStatus.BAD_REQUEST})
    try:
        answer = await channel.read("POST", url, attempts=1, json=empty, accept=refused)
    except MediaGenError as error:
        is_refused = isinstance(error, AuthenticationError)
        return ProbeResult(accepted=None, message=f"Stopped: {error}", key_refused=is_refused)
    if answer.is_success:
        return ProbeResult(
            accepted=None,
            message=f"Stopped: the request was answered with {answer.status_code} although it holds a field that does "
            "not exist. What answers does not check fields.",
        )
    return _judged(answer.failure())


def _judged(failure: GoogleFailure) -> ProbeResult:
    found = tuple(dict.fromkeys(_refused_fields(failure)))
    others = tuple(field for field in found if not field.endswith(SENTINEL))
    if others:
        return ProbeResult(accepted=False, refused_fields=others, message=f"Google does not know: {', '.join(others)}.")
    if found:
        return ProbeResult(
            accepted=True,
            message="Google knows every field of the request. That proves how it is read, not that the model, the "
            "quota or the content would be accepted.",
        )
    return ProbeResult(
        accepted=None, message=f"Stopped: Google refused the request for another reason: {failure.message}"
    )


def _refused_fields(failure: GoogleFailure) -> Iterator[str]:
    for text in (failure.message, *failure.field_violations):
        for unknown in _UNKNOWN_NAME.finditer(text):
            yield ".".join(part for part in (unknown["at"], unknown["name"]) if part)
        for invalid in _INVALID_VALUE.finditer(text):
            yield invalid["field"]
