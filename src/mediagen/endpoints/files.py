"""Google's file store: resumable uploads, and waiting until a file can be used. Costs nothing.

Source: https://ai.google.dev/gemini-api/docs/files and requests of google-genai 3.4.0 (checked 2026-11-21)
"""

import mimetypes
import re
from http import HTTPStatus
from pathlib import Path

import anyio
import httpx

from mediagen.endpoints.answer import Answer
from mediagen.endpoints.http import HttpChannel
from mediagen.endpoints.wire.google_errors import to_exception
from mediagen.endpoints.wire.json_values import Json, child, parse_object, word
from mediagen.endpoints.wire.scrub import excerpt
from mediagen.errors import EndpointError, InvalidRequestError, MediaError, UnavailableError

CHUNK_BYTES = 8 * 1024 * 1024
LARGEST_FILE_BYTES = 2 * 1024**3
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 10.0
READY_WITHIN_SECONDS = 300.0
GOOGLE_DOMAIN = ".googleapis.com"

_GONE = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
_FILE_NAME = re.compile(r"files/[A-Za-z0-9_-]+")


async def wait_until_active(channel: HttpChannel, file_url: httpx.URL | str, *, first: Answer | None = None) -> Json:
    """Ask for a file until it can be used, and return what Google says about it; `first` is an answer at hand.

    Raises:
        EndpointError: Google could not process it; code ``file_failed``.
        UnavailableError: It is still being processed after five minutes; code ``file_processing``.
    """
    waited, delay = 0.0, FIRST_WAIT_SECONDS
    while True:
        answer, first = first or await channel.read("GET", file_url), None
        found = parse_object(answer.body) or {}
        described = child(found, "file") or found
        match word(described, "state"):
            case "FAILED":
                said = excerpt(word(child(described, "error"), "message"), 300)
                raise EndpointError(
                    f"Google could not process the file. {said}".strip(), reason="FAILED", code="file_failed"
                )
            case "ACTIVE" | "":
                return described
        if waited >= READY_WITHIN_SECONDS:
            raise UnavailableError(
                "Google is still processing the file.", code="file_processing", hint="Try again in a few minutes."
            )
        await channel.settings.sleep(delay)
        waited += delay
        delay = min(LONGEST_WAIT_SECONDS, delay * 1.5)


async def file_is_there(channel: HttpChannel, file_url: str) -> bool:
    """Whether a file can be used; Google says 403 or 404 of one that is gone, or that belongs to another key.

    Raises:
        EndpointError, UnavailableError, AuthenticationError: As for `wait_until_active`.
    """
    answer = await channel.read("GET", file_url, accept=_GONE)
    if answer.is_success:
        await wait_until_active(channel, file_url, first=answer)
        return True
    failure = answer.failure()
    if failure.is_key_refused or not failure.is_structured:
        raise to_exception(failure, paid=False, key_source=channel.key_source, model="")
    return False


async def upload_file(channel: HttpChannel, path: Path, *, mime_type: str, api_version: str) -> str:
    """Send a file to Google's store (kept 48 hours) and return its address once it can be used.

    Raises:
        InvalidRequestError: It is empty or larger than 2 GiB.
        MediaError: It cannot be read.
        UnavailableError: Google could not take it completely.
    """
    size = await _size(path)
    session = await _start(channel, size, mime_type=mime_type, api_version=api_version)
    described = child(parse_object(await _send(channel, session, path, size)), "file")
    name = word(described, "name")
    if not _FILE_NAME.fullmatch(name):
        raise UnavailableError("Google took the file but did not name it.", code="unreadable_answer")
    if word(described, "state") != "ACTIVE":
        described = {**described, **await wait_until_active(channel, f"{channel.base_url}/{api_version}/{name}")}
    return word(described, "uri") or f"{channel.base_url}/{api_version}/{name}"


async def _size(path: Path) -> int:
    try:
        size = (await anyio.Path(path).stat()).st_size
    except OSError as error:
        raise _unreadable(path, error) from error
    if not 0 < size <= LARGEST_FILE_BYTES:
        raise InvalidRequestError(
            f"{path.name} has {size} bytes; Google takes files of 1 byte to 2 GiB.", field="source", hint="Shorten it."
        )
    return size


async def _start(channel: HttpChannel, size: int, *, mime_type: str, api_version: str) -> httpx.URL:
    """Open an upload session; the local file name stays here."""
    answer = await channel.read(
        "POST",
        f"{channel.base_url}/upload/{api_version}/files",
        headers={
            "X-Goog-Upload-Protocol": "resumable",
            "X-Goog-Upload-Command": "start",
            "X-Goog-Upload-Header-Content-Length": str(size),
            "X-Goog-Upload-Header-Content-Type": mime_type,
            "X-Goog-Upload-File-Name": f"input{mimetypes.guess_extension(mime_type) or ''}",
        },
        json={"file": {"mime_type": mime_type, "size_bytes": size}},
    )
    address = answer.headers.get("x-goog-upload-url", "")
    if not address:
        raise UnavailableError("Google did not say where to send the file.", code="unreadable_answer")
    url = channel.allowed(address)
    # Redirected downloads bring bytes here; this would send the caller's file to whoever is named.
    if not channel.is_own(url) and not url.host.endswith(GOOGLE_DOMAIN):
        raise EndpointError(
            f"Google named an upload address on host {url.host}, which is not its own.",
            code="unsafe_uri",
            hint="Check the base URL of the API.",
        )
    return url


async def _send(channel: HttpChannel, session: httpx.URL, path: Path, size: int) -> bytes:
    """Send chunk after chunk; after a failure Google is asked how much has arrived."""
    offset, failures = 0, 0
    while True:
        chunk = await _chunk(path, offset)
        if not chunk:
            raise MediaError(f"{path.name} became shorter while it was sent.")
        is_last = offset + len(chunk) >= size
        command = "upload, finalize" if is_last else "upload"
        try:
            answer = await _command(channel, session, command, offset=offset, chunk=chunk)
        except UnavailableError as error:
            failures += 1
            if failures >= channel.settings.attempts or not await channel.wait_before_retry(error, failures):
                raise
            state = await _command(channel, session, "query")
            if state.headers.get("x-goog-upload-status") == "final":
                return state.body
            offset = _received(state, size)
        else:
            if is_last:
                return answer.body
            offset += len(chunk)


async def _command(
    channel: HttpChannel, session: httpx.URL, command: str, *, offset: int | None = None, chunk: bytes = b""
) -> Answer:
    headers = {"X-Goog-Upload-Command": command}
    if offset is not None:
        headers["X-Goog-Upload-Offset"] = str(offset)
    # A chunk is not sent again blindly: what arrived of it is asked for first.
    attempts = 1 if chunk else None
    return await channel.read("POST", session, attempts=attempts, headers=headers, content=chunk)


def _received(state: Answer, size: int) -> int:
    received = state.headers.get("x-goog-upload-size-received", "")
    if not (received.isascii() and received.isdigit() and int(received) <= size):
        raise UnavailableError("Google does not say how much of the file has arrived.", code="unreadable_answer")
    return int(received)


async def _chunk(path: Path, offset: int) -> bytes:
    try:
        async with await anyio.open_file(path, "rb") as file:
            await file.seek(offset)
            return await file.read(CHUNK_BYTES)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> MediaError:
    return MediaError(f"{path.name} cannot be read ({error.strerror}).", hint="Check the path and its permissions.")
