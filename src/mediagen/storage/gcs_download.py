"""Brings an object here range by range, going on where an earlier attempt ended. Costs nothing."""

import base64
import io
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final, Protocol

import anyio
import anyio.from_thread
import google_crc32c
from google.api_core.exceptions import GoogleAPICallError

from mediagen.errors import EndpointError, InvalidRequestError, UnavailableError
from mediagen.storage.gcs_client import GcsClient, RemoteObject
from mediagen.storage.gcs_errors import (
    FOREIGN,
    KEPT_HINT,
    Attempt,
    cause_of,
    is_transient,
    read_answer,
    translate,
    unavailable,
)
from mediagen.storage.local import PartFile

RANGE_BYTES: Final = 4 * 1024**2
CHECKSUM_STEP_BYTES: Final = 1024**2

_PIN_LOST: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE})

OnProgress = Callable[[int, int | None], Awaitable[None]]
"""Called with the bytes that are here and the bytes of the whole file."""


class _Sink(Protocol):
    def size(self) -> int: ...
    async def append(self, chunk: bytes, /) -> None: ...
    async def truncate(self) -> None: ...


class _MemorySink:
    def __init__(self) -> None:
        self.data = bytearray()

    def size(self) -> int:
        return len(self.data)

    async def append(self, chunk: bytes) -> None:
        self.data += chunk

    async def truncate(self) -> None:
        self.data.clear()


class _TooMuchError(Exception):
    """More came than was asked for."""


class _Window(io.BytesIO):
    """Takes one range and not a byte more; notices between two pieces that the download was cancelled."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def write(self, data: bytes, /) -> int:  # type: ignore[override] # the library writes nothing but bytes
        anyio.from_thread.check_cancelled()
        if self.tell() + len(data) > self._limit:
            raise _TooMuchError
        return super().write(data)


async def find_object(client: GcsClient, attempt: Attempt) -> RemoteObject:
    """Ask for an object's metadata, patiently.

    Raises:
        EndpointError: There is none (``object_missing``, ``bucket_missing``) or no right to it (``bucket_forbidden``).
        UnavailableError: No answer could be had.
        AuthenticationError: The credentials were refused.
    """
    failures = 0
    while True:
        try:
            # Nothing is changed by a question whose answer nobody waits for any more.
            return await anyio.to_thread.run_sync(client.find, attempt.bucket, attempt.name, abandon_on_cancel=True)
        except FOREIGN as error:
            failures += 1
            await wait_or_give_up(client, error, failures, attempt)


async def wait_or_give_up(client: GcsClient, error: BaseException, failures: int, attempt: Attempt) -> None:
    """Wait before the next try.

    Raises:
        MediaGenError: It failed often enough, or trying again does not help.
    """
    ours = translate(error, attempt)
    if failures >= client.patience.attempts or not is_transient(error):
        raise ours from cause_of(error)
    asked = ours.retry_after if isinstance(ours, UnavailableError) else None
    await anyio.sleep(client.patience.wait_seconds(failures, asked))


async def download_object(
    client: GcsClient,
    attempt: Attempt,
    part: PartFile,
    on_progress: OnProgress | None = None,
    *,
    max_bytes: int | None = None,
) -> None:
    """Bring an object into `part` and compare its checksum.

    Raises:
        InvalidRequestError: It is larger than `max_bytes`; nothing was read.
        EndpointError: It is gone or may not be read.
        UnavailableError: It could not be had completely; code ``download_incomplete`` when what came was wrong.
    """
    remote = await find_object(client, attempt)
    if max_bytes is not None and remote.size > max_bytes:
        raise _too_large(attempt, f"has {remote.size} bytes", max_bytes)
    if remote.content_encoding == "gzip":
        raise EndpointError(
            f"{attempt.uri} is stored compressed (Content-Encoding gzip), which is not supported for files.",
            hint="Store it without that encoding.",
            code="object_encoded",
            billed=attempt.billed,
        )
    await _Fetch(client=client, attempt=attempt, remote=remote, sink=part, on_progress=on_progress).run()
    found = await anyio.to_thread.run_sync(checksum_of_file, part.path)
    if remote.crc32c and found != remote.crc32c:
        await part.truncate()
        raise _incomplete(attempt, "What arrived is not what the bucket holds (checksum); it is thrown away.")


async def read_object(client: GcsClient, attempt: Attempt, max_bytes: int) -> tuple[bytes, str | None]:
    """Read a small object into memory.

    Raises:
        InvalidRequestError: It is larger than `max_bytes`, also after unpacking; code ``input_too_large``.
        EndpointError: It is gone or may not be read.
        UnavailableError: It could not be had completely.
    """
    remote = await find_object(client, attempt)
    if remote.size > max_bytes:
        raise _too_large(attempt, f"has {remote.size} bytes", max_bytes)
    sink = _MemorySink()
    await _Fetch(client=client, attempt=attempt, remote=remote, sink=sink, on_progress=None).run()
    data = bytes(sink.data)
    if remote.crc32c and _encoded(_extended(0, data)) != remote.crc32c:
        raise _incomplete(attempt, "What arrived is not what the bucket holds (checksum).")
    if remote.content_encoding == "gzip":
        data = _unpacked(data, attempt, max_bytes)
    return data, remote.content_type


def checksum_of_file(path: Path) -> str:
    """CRC32C of a whole file as Cloud Storage writes it; that of nothing when there is none. Blocking."""
    crc32c = 0
    try:
        with path.open("rb") as file:
            while piece := file.read(CHECKSUM_STEP_BYTES):
                anyio.from_thread.check_cancelled()
                crc32c = _extended(crc32c, piece)
    except FileNotFoundError:
        pass
    return _encoded(crc32c)


@dataclass(kw_only=True, slots=True)
class _Fetch:
    client: GcsClient
    attempt: Attempt
    remote: RemoteObject
    sink: _Sink
    on_progress: OnProgress | None
    failures: int = 0

    async def run(self) -> None:
        if self.sink.size() > self.remote.size:
            await self.sink.truncate()
        while (start := self.sink.size()) < self.remote.size:
            window = _Window(min(RANGE_BYTES, self.remote.size - start))
            failure = await self._read(start, window)
            if kept := window.getvalue():
                await self.sink.append(kept)
                if self.on_progress:
                    await self.on_progress(self.sink.size(), self.remote.size)
            await self._consider(failure if kept else failure or ConnectionError("nothing came"))

    async def _read(self, start: int, window: _Window) -> BaseException | None:
        def read() -> None:
            self.client.read_range(
                self.attempt.bucket,
                self.attempt.name,
                generation=self.remote.generation,
                span=(start, start + min(RANGE_BYTES, self.remote.size - start) - 1),
                target=window,
            )

        try:
            await anyio.to_thread.run_sync(read)
        except _TooMuchError as error:
            await self.sink.truncate()
            raise _incomplete(self.attempt, "More arrived than was asked for; something in between meddles.") from error
        except FOREIGN as error:
            return error
        return None

    async def _consider(self, failure: BaseException | None) -> None:
        if failure is None:
            self.failures = 0
            return
        self.failures += 1
        if isinstance(failure, GoogleAPICallError):
            answer = read_answer(failure)
            if answer.status_code in _PIN_LOST and not answer.is_html:
                await self._ask_whether_replaced(failure)
        await wait_or_give_up(self.client, failure, self.failures, self.attempt)

    async def _ask_whether_replaced(self, failure: GoogleAPICallError) -> None:
        """The pinned content is not there: the object is gone, or another one has taken its name."""
        now = await find_object(self.client, self.attempt)
        if now.generation != self.remote.generation:
            await self.sink.truncate()
            raise _incomplete(self.attempt, "The object was replaced while it was read.") from failure


def _incomplete(attempt: Attempt, message: str) -> UnavailableError:
    error = unavailable(attempt, f"{attempt.uri} could not be fetched: {message}")
    error.code = "download_incomplete"
    if attempt.billed == "yes":
        error.hint = KEPT_HINT.replace(" and the part that arrived is kept", "")
    return error


def _unpacked(data: bytes, attempt: Attempt, max_bytes: int) -> bytes:
    try:
        unpacked = zlib.decompressobj(wbits=31).decompress(data, max_bytes + 1)
    except zlib.error as error:
        raise EndpointError(f"{attempt.uri} says that it is compressed, and is not.", code="object_encoded") from error
    if len(unpacked) > max_bytes:
        raise _too_large(attempt, "is larger once unpacked", max_bytes)
    return unpacked


def _too_large(attempt: Attempt, what: str, max_bytes: int) -> InvalidRequestError:
    return InvalidRequestError(
        f"{attempt.uri} {what}; at most {max_bytes} are read.", hint="Use a smaller file.", code="input_too_large"
    )


def _extended(crc32c: int, piece: bytes) -> int:
    return int(google_crc32c.extend(crc32c, piece))


def _encoded(crc32c: int) -> str:
    return base64.b64encode(crc32c.to_bytes(4, "big")).decode("ascii")
