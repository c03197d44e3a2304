"""Brings a finished file here piece by piece, going on where an earlier attempt ended. Costs nothing."""

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus

import anyio
import httpx

from mediagen.endpoints.base import OnProgress, ResumablePart
from mediagen.endpoints.files import wait_until_active
from mediagen.endpoints.http import TRANSIENT, HttpChannel, unreachable
from mediagen.endpoints.wire.google_errors import GoogleFailure, to_exception
from mediagen.endpoints.wire.remote_file import Remote
from mediagen.errors import EndpointError, MediaGenError, UnavailableError

CHUNK_BYTES = 128 * 1024
MAX_REDIRECTS = 5
# The longest clip in 4K has some hundred MB; an answer without an end must not fill the disk.
MAX_FILE_BYTES = 8 * 1024**3
# Slower than this for so long, a new connection is tried; what came is kept.
SLOW_SECONDS = 60.0
SLOW_BYTES = 64 * 1024
# The same wrong bytes so often are no accident of the way: they are taken, with a warning.
WRONG_TIMES = 3
_GONE = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
_OWN_FILE = re.compile(r"(?P<file>.*/files/[A-Za-z0-9_-]+)(?P<action>:download)?")
_CONTENT_RANGE = re.compile(r"bytes (?:(?P<start>\d+)-\d+|\*)/(?P<total>\d+|\*)")
_NOT_A_FILE = ("text/html", "application/json")

KEPT_HINT = "The file is still at Google and the part that arrived is kept; it is fetched again."


async def download_file(
    channel: HttpChannel, uri: str, part: ResumablePart, on_progress: OnProgress | None = None
) -> None:
    """Bring a file into `part`; the key goes only to the API itself, never along a redirect to elsewhere.

    Raises:
        EndpointError: The file is gone (code ``expired``) or could not be made (``file_failed``).
        UnavailableError: It could not be had completely.
        AuthenticationError: The key was refused.
    """
    url = channel.allowed(uri)
    if channel.is_own(url) and (own := _OWN_FILE.fullmatch(url.path)):
        await _wait_for(channel, url.copy_with(path=own["file"], query=None))
        url = url.copy_with(path=f"{own['file']}:download").copy_set_param("alt", "media")
    tried = 0
    while True:
        tried += 1
        try:
            await _Attempt(channel=channel, url=url, part=part, on_progress=on_progress).run()
        except httpx.RequestError as failed:
            error = unreachable(failed)
            error.__cause__ = failed
        except UnavailableError as failed:
            error = failed
        else:
            return
        error.billed = "yes"
        error.hint = KEPT_HINT
        if tried >= channel.settings.attempts or not await channel.wait_before_retry(error, tried):
            raise error


async def _wait_for(channel: HttpChannel, file_url: httpx.URL) -> None:
    answer = await channel.read("GET", file_url, accept=_GONE)
    if not answer.is_success:
        raise _gone(answer.failure(), channel.key_source)
    await wait_until_active(channel, file_url, first=answer)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Attempt:
    channel: HttpChannel
    url: httpx.URL
    part: ResumablePart
    on_progress: OnProgress | None

    async def run(self) -> None:
        """Follow redirects by hand, so that each hop is looked at before it is taken."""
        url = self.url
        for _hop in range(MAX_REDIRECTS + 1):
            offset = self.part.size()
            note = await self.part.note()
            known = Remote.noted(note)
            headers = {"range": f"bytes={offset}-", **known.if_unchanged} if offset else {}
            async with (
                self.channel.downloads.lend() as client,
                self.channel.stream(client, "GET", url, headers=headers) as response,
            ):
                if not response.has_redirect_location:
                    await self._take(response, offset, known, note)
                    return
                url = self._next(url, response)
        raise EndpointError("The file's address leads in circles (more than 5 redirects).", code="too_many_redirects")

    def _next(self, url: httpx.URL, response: httpx.Response) -> httpx.URL:
        try:
            return self.channel.allowed(url.join(response.headers["location"]))
        except httpx.InvalidURL as error:
            raise EndpointError("The file's address leads nowhere.", code="unsafe_uri") from error

    async def _take(self, response: httpx.Response, offset: int, known: Remote, note: Mapping[str, str]) -> None:
        match response.status_code:
            case HTTPStatus.OK:
                if offset:
                    await self.part.truncate()
                _check_is_file(response)
                remote = Remote.of(response.headers, length=_content_length(response))
                await self._note(remote, note)
                await self._write(response, remote)
            case HTTPStatus.PARTIAL_CONTENT:
                await self._resume(response, offset, known)
            case HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                await self._out_of_range(response, offset, known)
            case _:
                raise await self._refusal(response)

    async def _note(self, remote: Remote, note: Mapping[str, str]) -> None:
        """Let a later process know what the whole is, and what an earlier one found wrong with it."""
        earlier = {name: value for name, value in note.items() if name not in Remote.NAMES}
        if noted := {**earlier, **remote.as_note()}:
            await self.part.keep_note(noted)

    async def _resume(self, response: httpx.Response, offset: int, known: Remote) -> None:
        _check_is_file(response)
        found = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
        if not found or found["start"] is None or int(found["start"]) != offset:
            await self.part.truncate()
            raise _cut_off("Google sent another piece of the file than was asked for.")
        rest = _content_length(response)
        length = int(found["total"]) if found["total"] != "*" else None
        if length is None and rest is not None:
            length = offset + rest
        remote = Remote.of(response.headers, length=length)
        if not known.may_be(remote):
            await self.part.truncate()
            raise _cut_off("The file at Google was replaced while it was fetched.")
        await self._write(response, remote.completed(known))

    async def _out_of_range(self, response: httpx.Response, offset: int, known: Remote) -> None:
        found = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
        if offset and found and found["total"] == str(offset) and known.length in {None, offset}:
            await self._verify(known)
            return
        await self.part.truncate()
        raise _cut_off("What was kept of the file does not fit to it.")

    async def _write(self, response: httpx.Response, remote: Remote) -> None:
        total = remote.length
        if total is not None and total > MAX_FILE_BYTES:
            raise _too_long()
        async for chunk in _pieces(response):
            if self.part.size() + len(chunk) > (MAX_FILE_BYTES if total is None else total):
                await self.part.truncate()
                raise _too_long() if total is None else _cut_off("More arrived than the file is long.")
            await self.part.append(chunk)
            if self.on_progress:
                await self.on_progress(self.part.size(), total)
        size = self.part.size()
        if not size or (total is not None and size < total):
            raise _cut_off(f"The file was cut off after {size} bytes.")
        await self._verify(remote)

    async def _verify(self, remote: Remote) -> None:
        """Compare what is here with the checksum that came with it, if one did."""
        if remote.checksum is None:
            return
        kind, expected = remote.checksum
        arrived = await self.part.checksum(kind)
        if arrived == expected:
            return
        note = await self.part.note()
        earlier = note.get("wrong", "").split(" ")
        times = earlier.count(arrived) + 1
        if times >= WRONG_TIMES:
            doubt = f"It arrived {times} times with the same checksum, which is not the one that Google names."
            await self.part.keep_note({**note, "doubt": doubt})
            return
        await self.part.keep_note({**note, "wrong": " ".join([*earlier[-20:], arrived]).strip()})
        await self.part.truncate()
        raise _cut_off("What arrived is not what Google has (checksum).")

    async def _refusal(self, response: httpx.Response) -> MediaGenError:
        answer = await self.channel.read_to_end(response, 0)
        failure = answer.failure()
        is_own = self.channel.is_own(response.url)
        if not is_own and (response.url != self.url or failure.status_code in TRANSIENT):
            # A signed address may have run out on the way; the API itself says whether the file is gone.
            error = _cut_off(f"The place of the file answered {failure.status_code}.")
            error.retry_after = failure.retry_after
            return error
        if failure.status_code in _GONE:
            return _gone(failure, self.channel.key_source)
        return to_exception(failure, paid=False, key_source=self.channel.key_source, model="")


def _check_is_file(response: httpx.Response) -> None:
    mime_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if mime_type in _NOT_A_FILE:
        raise _cut_off(f"Something else than the file was sent ({mime_type}).")


async def _pieces(response: httpx.Response) -> AsyncIterator[bytes]:
    """The body in pieces of a useful size; when it breaks off, what came of the last one first.

    Raises:
        UnavailableError: It comes so slowly that another connection is better.
    """
    pending = bytearray()
    since, received = anyio.current_time(), 0
    try:
        async for chunk in response.aiter_bytes():
            pending += chunk
            received += len(chunk)
            if len(pending) >= CHUNK_BYTES:
                yield bytes(pending)
                pending.clear()
            if anyio.current_time() - since >= SLOW_SECONDS:
                if received < SLOW_BYTES:
                    raise _cut_off(f"Only {received} bytes of the file came in {SLOW_SECONDS:.0f} s.")
                since, received = anyio.current_time(), 0
    except (httpx.RequestError, UnavailableError):
        if pending:
            yield bytes(pending)
        raise
    if pending:
        yield bytes(pending)


def _content_length(response: httpx.Response) -> int | None:
    length = response.headers.get("content-length", "")
    is_plain = response.headers.get("content-encoding", "identity") == "identity"
    return int(length) if is_plain and length.isascii() and length.isdigit() else None


def _gone(failure: GoogleFailure, key_source: str) -> MediaGenError:
    if not failure.is_structured:
        # Not Google's own words: something in between answered, and that settles nothing.
        return _cut_off(f"Something in between answered {failure.status_code}.")
    if failure.is_key_refused:
        return to_exception(failure, paid=False, key_source=key_source, model="")
    return EndpointError(
        f"The file is no longer at Google ({failure.status_code}).",
        status_code=failure.status_code,
        reason=failure.reason or failure.status,
        code="expired",
        hint="Google keeps generated files for two days; it has to be made again.",
        billed="yes",
    )


def _too_long() -> UnavailableError:
    return _cut_off(f"The file has no end: more than {MAX_FILE_BYTES // 1024**3} GiB were sent.")


def _cut_off(message: str) -> UnavailableError:
    return UnavailableError(message, code="download_incomplete", hint=KEPT_HINT, billed="yes")
