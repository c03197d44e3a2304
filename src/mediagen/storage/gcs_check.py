"""Tests what may be done in a bucket, with a marker object that is removed again. Costs nothing worth naming."""

import io
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import anyio

from mediagen.errors import InvalidRequestError, MediaGenError, UnavailableError
from mediagen.storage.gcs_client import GcsClient, Upload
from mediagen.storage.gcs_download import wait_or_give_up
from mediagen.storage.gcs_errors import FOREIGN, Attempt
from mediagen.storage.gs_uri import parse_gs_uri, region_hint

MARKER: Final = b"mediagen"
MARKER_CRC32C: Final = "MKpFIg=="
CLEANUP_SECONDS: Final = 30.0

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class BucketCheck:
    """What a test of a bucket found.

    Attributes:
        exists: None when that could not be found out.
        location: Google's word, such as ``US-CENTRAL1``; None when it may not be asked for.
        can_write: Like the two after it, None when that could not be tried.
        problem: What failed first, or None.
        hint: What to do; may be a warning when nothing failed.
    """

    name: str
    exists: bool | None = None
    location: str | None = None
    can_write: bool | None = None
    can_read: bool | None = None
    can_delete: bool | None = None
    problem: str | None = None
    hint: str = ""


async def check_bucket(client: GcsClient, attempt: Attempt) -> BucketCheck:
    """Look a bucket over; failures are told, not raised."""
    check = _Check(client, replace(attempt, verb="write", name=f"mediagen-check-{uuid.uuid4().hex}"))
    try:
        _, name = parse_gs_uri(f"gs://{attempt.bucket}", "bucket")
        if name:
            raise InvalidRequestError(f"bucket={attempt.bucket!r} is more than the name of a bucket.", field="bucket")
        await check.run()
    except MediaGenError as error:
        check.note(error)
    return check.result()


class _Check:
    def __init__(self, client: GcsClient, attempt: Attempt) -> None:
        self.client = client
        self.attempt = attempt
        self.found = BucketCheck(name=attempt.bucket)

    def note(self, error: MediaGenError, *, more: str = "") -> None:
        """Keep the first trouble; what comes after it is mostly its consequence."""
        if self.found.problem is None:
            self.found = replace(self.found, problem=f"{error.message}{more}", hint=error.hint)

    def result(self) -> BucketCheck:
        warning = region_hint(self.found.name, self.found.location, self.attempt.location)
        return self.found if self.found.hint else replace(self.found, hint=warning)

    async def run(self) -> None:
        await self._look()
        if self.found.exists is False:
            return
        may_be_there = True
        try:
            may_be_there = await self._write()
            if self.found.can_write is not None:
                await self._read()
        finally:
            if may_be_there:
                # Also when the caller has given up waiting: nothing of ours stays behind.
                with anyio.move_on_after(CLEANUP_SECONDS, shield=True):
                    await self._delete()

    async def _look(self) -> None:
        try:
            location = await self._patiently(
                lambda: self.client.bucket_location(self.attempt.bucket), abandon_on_cancel=True
            )
        except MediaGenError as error:
            if error.code == "bucket_missing":
                self.found = replace(self.found, exists=False)
                self.note(error)
            elif error.code != "bucket_forbidden":
                raise
            # The roles for objects do not include a look at the bucket itself, and do not need it.
            return
        self.found = replace(self.found, exists=True, location=location)

    async def _write(self) -> bool:
        """Write the marker; whether it may be there now."""
        try:
            await self._patiently(self._send)
        except MediaGenError as error:
            self.note(error)
            if error.code == "bucket_missing":
                self.found = replace(self.found, exists=False)
            elif error.code == "bucket_forbidden":
                self.found = replace(self.found, can_write=False)
            return isinstance(error, UnavailableError)
        self.found = replace(self.found, exists=True, can_write=True)
        return True

    def _send(self) -> None:
        upload = Upload(
            bucket=self.attempt.bucket,
            name=self.attempt.name,
            source=io.BytesIO(MARKER),
            size=len(MARKER),
            crc32c=MARKER_CRC32C,
            mime_type="text/plain",
        )
        failures = iter(range(1, 1000))
        self.client.write(upload, lambda: next(failures))

    async def _read(self) -> None:
        """Read the marker, or when it could not be written, ask for it: "not found" is said to readers only."""
        attempt = replace(self.attempt, verb="read")
        try:
            content = await self._patiently(self._fetch, attempt)
        except MediaGenError as error:
            is_told = error.code == "object_missing" and not self.found.can_write
            if error.code == "bucket_forbidden" and self.found.can_write:
                self.found = replace(self.found, can_read=False)
            elif is_told:
                self.found = replace(self.found, can_read=True)
            if not is_told:
                self.note(error)
            return
        self.found = replace(self.found, can_read=content == MARKER)

    def _fetch(self) -> bytes:
        target = io.BytesIO()
        span = (0, len(MARKER) - 1)
        self.client.read_range(self.attempt.bucket, self.attempt.name, generation=None, span=span, target=target)
        return target.getvalue()

    async def _delete(self) -> None:
        try:
            await self._patiently(lambda: self.client.delete(self.attempt.bucket, self.attempt.name))
        except MediaGenError as error:
            # Gone already: an earlier try got through, or the write never did.
            if error.code == "bucket_missing":
                can_delete = True if self.found.can_write else None
                self.found = replace(self.found, can_delete=can_delete)
                return
            if error.code == "bucket_forbidden":
                self.found = replace(self.found, can_delete=False)
            if self.found.can_write:
                self.note(error, more=f" The marker {self.attempt.uri} is left there; delete it by hand.")
            return
        self.found = replace(self.found, can_delete=True)

    async def _patiently(
        self, work: Callable[[], T], attempt: Attempt | None = None, *, abandon_on_cancel: bool = False
    ) -> T:
        failures = 0
        while True:
            try:
                return await anyio.to_thread.run_sync(work, abandon_on_cancel=abandon_on_cancel)
            except FOREIGN as error:
                failures += 1
                await wait_or_give_up(self.client, error, failures, attempt or self.attempt)
