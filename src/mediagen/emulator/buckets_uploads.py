"""Uploads to Cloud Storage: in one piece, as multipart, and resumable; nothing is held in memory.

Source: https://docs.cloud.google.com/storage/docs/performing-resumable-uploads (checked 2026-11-21)
"""

import base64
import binascii
import json
import re
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import Any, NamedTuple

import anyio

from mediagen.emulator.answers import ApiError
from mediagen.emulator.buckets import BucketShelf, StoredObject, checksums, storage_error

GRANULARITY_BYTES = 262_144
DEFAULT_TYPE = "application/octet-stream"
_HEAD_BYTES = 262_144
_TAIL_BYTES = 1024
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")


@dataclass(kw_only=True, slots=True)
class Session:
    """One resumable upload under way, or finished."""

    bucket: str
    name: str
    described: Mapping[str, Any]
    content_type: str
    path: Path
    received_bytes: int = 0
    stored: StoredObject | None = None
    lock: anyio.Lock = field(default_factory=anyio.Lock)


class ContentRange(NamedTuple):
    """What a request brings: bytes from first to last; None = it only asks; total None = not known yet."""

    first: int | None
    last: int | None
    total: int | None


def read_content_range(text: str | None) -> ContentRange | None:
    """Read a Content-Range header; None when there is none.

    Raises:
        ApiError: It is malformed.
    """
    if text is None:
        return None
    match = _CONTENT_RANGE.fullmatch(text.strip())
    if match is None:
        raise storage_error(400, "Failed to parse Content-Range header.", "badRequest")
    first, last, total = match.groups()
    return ContentRange(
        int(first) if first else None, int(last) if last else None, int(total) if total.isdecimal() else None
    )


class SessionDesk:
    """The resumable uploads of one emulator."""

    def __init__(self, shelf: BucketShelf) -> None:
        self._shelf = shelf
        self._sessions: dict[str, Session] = {}

    def open(self, bucket: str, name: str, described: Mapping[str, Any], *, content_type: str) -> str:
        """Open an upload and give its id."""
        upload_id = secrets.token_urlsafe(24)
        path = self._shelf.new_path()
        path.touch()
        self._sessions[upload_id] = Session(
            bucket=bucket,
            name=name,
            described=described,
            content_type=content_type,
            path=path,
        )
        return upload_id

    def get(self, upload_id: str) -> Session:
        """Find an upload.

        Raises:
            ApiError: There is none of that id, or its bucket was forgotten.
        """
        session = self._sessions.get(upload_id)
        if session is None or not (session.stored or session.path.exists()):
            raise storage_error(404, "The upload session was not found.", "notFound")
        return session

    def cancel(self, upload_id: str) -> None:
        """Throw an upload away.

        Raises:
            ApiError: There is none of that id.
        """
        self.get(upload_id).path.unlink(missing_ok=True)
        del self._sessions[upload_id]


async def append(session: Session, start: int, chunks: AsyncIterator[bytes]) -> None:
    """Write what comes; bytes that are there already are ignored.

    Raises:
        ApiError: Bytes between what is there and what comes are missing.
    """
    if start > session.received_bytes:
        raise storage_error(400, f"Invalid request. The next byte expected is {session.received_bytes}.", "badRequest")
    known = session.received_bytes - start
    async with await anyio.open_file(session.path, "ab") as stream:
        async for chunk in chunks:
            fresh = chunk[known:]
            known = max(0, known - len(chunk))
            await stream.write(fresh)
            session.received_bytes += len(fresh)


async def keep_whole_blocks(session: Session) -> None:
    """Forget the bytes after the last full block, as Cloud Storage does before the end is known."""
    session.received_bytes -= session.received_bytes % GRANULARITY_BYTES

    def cut() -> None:
        with session.path.open("r+b") as stream:
            stream.truncate(session.received_bytes)

    await anyio.to_thread.run_sync(cut)


async def save(path: Path, chunks: AsyncIterator[bytes]) -> None:
    """Write a body to disk as it comes."""
    async with await anyio.open_file(path, "wb") as stream:
        async for chunk in chunks:
            await stream.write(chunk)


def split_multipart(body: Path, media: Path, content_type: str) -> tuple[dict[str, Any], str]:
    """Copy the second part of a saved multipart/related body out; give the first part and the second's type.

    Raises:
        ApiError: The body is not made of JSON and one file.
    """
    header = Message()
    header["content-type"] = content_type
    boundary = str(header.get_param("boundary", "")).encode()
    with body.open("rb") as source:
        head = source.read(_HEAD_BYTES)
        pieces = head.split(b"--" + boundary, 2)
        if not boundary or len(pieces) < 3:
            raise _malformed()
        described = _read_part_json(pieces[1])
        headers, blank, _ = pieces[2].partition(b"\r\n\r\n")
        if not blank:
            raise _malformed()
        start = len(head) - len(pieces[2]) + len(headers) + len(blank)
        stop = _end_of_media(source, b"\r\n--" + boundary + b"--")
        source.seek(start)
        _copy(source, media, stop - start)
    return described, _part_type(headers)


def _end_of_media(source: Any, ending: bytes) -> int:
    size = source.seek(0, 2)
    tail_start = max(0, size - _TAIL_BYTES)
    source.seek(tail_start)
    position = source.read().rfind(ending)
    if position < 0:
        raise _malformed()
    return int(tail_start + position)


def _copy(source: Any, target: Path, left: int) -> None:
    if left < 0:
        raise _malformed()
    with target.open("wb") as stream:
        while left > 0 and (chunk := source.read(min(left, 1_048_576))):
            stream.write(chunk)
            left -= len(chunk)


def _read_part_json(piece: bytes) -> dict[str, Any]:
    _, _, text = piece.partition(b"\r\n\r\n")
    try:
        described = json.loads(text)
    except ValueError as error:
        raise storage_error(400, "Metadata part is not JSON.", "parseError") from error
    if not isinstance(described, dict):
        raise _malformed()
    return described


def _part_type(headers: bytes) -> str:
    for line in headers.decode("latin-1").splitlines():
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-type":
            return value.strip()
    return ""


def _malformed() -> ApiError:
    return storage_error(400, "Malformed multipart body.", "badRequest")


def check_promises(path: Path, described: Mapping[str, Any], x_goog_hash: str) -> None:
    """Compare the bytes with the checksums that the client gave.

    Raises:
        ApiError: They differ.
    """
    crc32c, md5 = checksums(path)
    promised = dict(word.strip().partition("=")[::2] for word in x_goog_hash.split(",") if word.strip())
    pairs = [
        ("CRC32C", promised.get("crc32c") or described.get("crc32c"), crc32c),
        ("MD5 hash", promised.get("md5") or described.get("md5Hash"), md5),
    ]
    for word, given, actual in pairs:
        if given and _decoded(given) != _decoded(actual):
            message = f'Provided {word} "{given}" doesn\'t match calculated {word} "{actual}".'
            raise storage_error(400, message, "invalid")


def _decoded(text: object) -> bytes:
    try:
        return base64.b64decode(str(text), validate=True)
    except (binascii.Error, ValueError):
        return b"not base64"
