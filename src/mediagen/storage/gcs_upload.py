"""Copies a file of this machine into a bucket, never over another one. Costs nothing but Google's storage."""

import io
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import IO, Final

import anyio
import anyio.from_thread
from google.api_core.exceptions import GoogleAPICallError

from mediagen.errors import EndpointError, StorageError
from mediagen.storage.gcs_client import GcsClient, Upload
from mediagen.storage.gcs_download import checksum_of_file, find_object
from mediagen.storage.gcs_errors import FOREIGN, Attempt, cause_of, is_transient, read_answer, translate

# Google forgets the session of a resumable upload after a week, or sooner when it has trouble of its own.
# Source: https://cloud.google.com/storage/docs/resumable-uploads (checked 2026-11-21)
_SESSION_LOST: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
_SESSIONS: Final = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class _Content:
    size: int
    crc32c: str


class _LocalFileError(Exception):
    """The file here cannot be read, which is no failure of the network."""


class _Source(io.RawIOBase):
    """The file being sent; notices between two chunks that the upload was cancelled, and counts failures in a row."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._failures = 0

    def fail(self) -> int:
        """Count one more failure."""
        self._failures += 1
        return self._failures

    def read(self, size: int = -1, /) -> bytes:
        anyio.from_thread.check_cancelled()
        # The next chunk is asked for once the last has arrived.
        self._failures = 0
        try:
            return self._file.read(size)
        except OSError as error:
            raise _LocalFileError from error

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._file.seek(offset, whence)


async def upload_object(client: GcsClient, attempt: Attempt, path: Path, mime_type: str) -> None:
    """Write a file into a bucket; done already when the same content is there.

    Raises:
        StorageError: Another object has that name (``object_exists``), the bucket is missing or closed to us, or the
            file cannot be read.
        UnavailableError: The bucket could not be reached.
        AuthenticationError: The credentials were refused.
    """
    content = await anyio.to_thread.run_sync(_look_at, path)
    # Asked first, so that a large file is not sent again after a crash.
    is_there = await _is_there(client, attempt, content)
    session = 0
    while not is_there:
        session += 1
        try:
            await anyio.to_thread.run_sync(_send, client, attempt, path, content, mime_type)
            is_there = True
        except _LocalFileError as error:
            raise _unreadable(path, error.__cause__) from error
        except FOREIGN as error:
            is_there = await _explains_itself(client, attempt, content, error)
            if not is_there and (session == _SESSIONS or not _is_session_lost(error)):
                raise _failed(error, attempt, path) from cause_of(error)


def _look_at(path: Path) -> _Content:
    try:
        return _Content(size=path.stat().st_size, crc32c=checksum_of_file(path))
    except OSError as error:
        raise _unreadable(path, error) from error


def _send(client: GcsClient, attempt: Attempt, path: Path, content: _Content, mime_type: str) -> None:
    try:
        file = path.open("rb")
    except OSError as error:
        raise _LocalFileError from error
    with file:
        source = _Source(file)
        upload = Upload(
            bucket=attempt.bucket,
            name=attempt.name,
            source=source,  # type: ignore[arg-type] # has all that is used of a binary file
            size=content.size,
            crc32c=content.crc32c,
            mime_type=mime_type,
        )
        client.write(upload, source.fail)


async def _explains_itself(client: GcsClient, attempt: Attempt, content: _Content, error: BaseException) -> bool:
    """Whether the failure only says that the object is there, and it is ours."""
    if not isinstance(error, GoogleAPICallError):
        return False
    answer = read_answer(error)
    # Without the right to overwrite, Google refuses with 403 rather than 412 when the name is taken.
    is_taken = answer.status_code == HTTPStatus.PRECONDITION_FAILED or answer.permission == "storage.objects.delete"
    if not is_taken:
        return False
    if await _is_there(client, attempt, content):
        return True
    if answer.status_code == HTTPStatus.PRECONDITION_FAILED:
        raise _taken(attempt, " and may not be read, so it cannot be compared") from error
    return False


async def _is_there(client: GcsClient, attempt: Attempt, content: _Content) -> bool:
    try:
        found = await find_object(client, attempt)
    except (StorageError, EndpointError) as error:
        # Writing may be allowed where reading is not; the upload itself tells the rest.
        if error.code in {"bucket_forbidden", "bucket_missing", "object_missing"}:
            return False
        raise
    if found.size == content.size and found.crc32c == content.crc32c:
        return True
    raise _taken(attempt, f" with other content ({found.size} bytes, the file here has {content.size})")


def _is_session_lost(error: BaseException) -> bool:
    if not isinstance(error, GoogleAPICallError):
        return False
    answer = read_answer(error)
    return answer.method == "PUT" and answer.status_code in _SESSION_LOST


def _failed(error: BaseException, attempt: Attempt, path: Path) -> Exception:
    if isinstance(error, ValueError) and not isinstance(error, OSError):
        return StorageError(
            f"{path.name!r} changed while it was sent.", hint="Send it again.", code="file_changed", billed="no"
        )
    ours = translate(error, attempt)
    if is_transient(error):
        ours.hint = f"The file here is unchanged ({path.name}); send it again in a few minutes."
    return ours


def _taken(attempt: Attempt, why: str) -> StorageError:
    return StorageError(
        f"{attempt.uri} exists already{why}; it is left as it is.",
        hint="Choose another name or folder for the upload, or delete that object first.",
        code="object_exists",
        retryable=False,
        billed=attempt.billed,
    )


def _unreadable(path: Path, error: BaseException | None) -> StorageError:
    why = error.strerror if isinstance(error, OSError) and error.strerror else "it cannot be read"
    return StorageError(
        f"{str(path)[:300]!r} cannot be sent: {why}.", hint="Check the file.", code="file_unreadable", billed="no"
    )
