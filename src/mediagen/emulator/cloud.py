"""What models read from and write to Cloud Storage, in the name of the project's service agent.

Source: https://docs.cloud.google.com/vertex-ai/generative-ai/docs/video/generate-videos-from-text (checked 2026-11-21)
"""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import anyio

from mediagen.emulator.answers import SERVICE, ApiError, google_error
from mediagen.emulator.buckets import BucketShelf
from mediagen.emulator.files import FileShelf, StoredFile

SERVICE_AGENT = "service-123456789012@gcp-sa-aiplatform.iam.gserviceaccount.com"
AGENTS_PENDING = (
    "Service agents are being provisioned "
    "(https://cloud.google.com/vertex-ai/docs/general/access-control#service-agents). Service agents are needed to "
    "read the Cloud Storage file provided. So please try again in a few minutes."
)
NOT_FOUND, PERMISSION_DENIED = 5, 7
_GS_URI = re.compile(r"gs://([a-z0-9][a-z0-9._-]{0,221})(?:/(.*))?", re.DOTALL)


class DeliveryError(Exception):
    """A film could not be written into its bucket; never leaves the emulator.

    Attributes:
        code: The number of google.rpc.Code.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A file that a request names."""

    path: Path
    mime_type: str


class Sources(Protocol):
    """Finds the files that a request names by address."""

    def is_elsewhere(self, uri: str) -> bool:
        """Whether an address is one of the web that this surface keeps no files at."""

    def find(self, uri: str) -> Found | None:
        """Find a file; None when it lies elsewhere on the web.

        Raises:
            ApiError: There is none, or the address is of no use here.
        """


@dataclass(frozen=True, kw_only=True, slots=True)
class UploadedSources:
    """The Gemini API reads from its own Files API."""

    files: FileShelf
    host: str

    def is_elsewhere(self, uri: str) -> bool:
        """Whether an address is one of the web, but none of the Files API."""
        return is_web(uri) and urlsplit(uri).netloc not in {self.host, SERVICE}

    def find(self, uri: str) -> Found | None:
        """Find an uploaded or produced file."""
        stored = self.files.resolve(uri, self.host)
        return Found(path=stored.path, mime_type=stored.mime_type) if stored else None


@dataclass(frozen=True, kw_only=True, slots=True)
class BucketSources:
    """Vertex AI reads from Cloud Storage."""

    buckets: BucketShelf

    def is_elsewhere(self, uri: str) -> bool:
        """Whether an address is one of the web; that of a file of the Gemini API is, too."""
        return is_web(uri)

    def find(self, uri: str) -> Found | None:
        """Find an object."""
        if uri.startswith("https://"):
            return None
        bucket, name = split_gs_uri(uri)
        if not name:
            raise google_error(400, f"Invalid Cloud Storage URI: {uri}")
        try:
            self.buckets.check(bucket, "read", SERVICE_AGENT)
            self.buckets.bucket(bucket)
        except ApiError as refusal:
            raise google_error(refusal.status_code, str(refusal.body["error"]["message"])) from refusal
        stored = self.buckets.get(bucket, name)
        if stored is None:
            raise google_error(404, f"No such object: {bucket}/{name}")
        return Found(path=stored.path, mime_type=stored.content_type)


def is_web(uri: str) -> bool:
    """Whether an address is one of the web."""
    return uri.lower().startswith(("http://", "https://"))


def split_gs_uri(uri: str) -> tuple[str, str]:
    """Give bucket and object of a ``gs://`` address; the object may be empty.

    Raises:
        ApiError: It is none.
    """
    match = _GS_URI.fullmatch(uri)
    if match is None:
        raise google_error(400, f"Invalid Cloud Storage URI: {uri}. Expected gs://BUCKET/OBJECT.")
    return match.group(1), match.group(2) or ""


async def deliver(buckets: BucketShelf, folder_uri: str, films: Sequence[StoredFile]) -> list[str]:
    """Write films into a folder of a bucket and give their addresses.

    Raises:
        DeliveryError: There is no such bucket, or the service agent may not write there.
    """
    bucket, prefix = split_gs_uri(folder_uri)
    try:
        buckets.bucket(bucket)
        buckets.check(bucket, "write", SERVICE_AGENT)
    except ApiError as refusal:
        code = NOT_FOUND if refusal.status_code == 404 else PERMISSION_DENIED
        raise DeliveryError(code, str(refusal.body["error"]["message"])) from refusal
    folder = "/".join(part for part in (prefix.rstrip("/"), str(secrets.randbelow(10**18) + 10**18)) if part)
    return [await _put(buckets, bucket, f"{folder}/sample_{index}.mp4", film) for index, film in enumerate(films)]


async def _put(buckets: BucketShelf, bucket: str, name: str, film: StoredFile) -> str:
    try:
        await anyio.to_thread.run_sync(lambda: buckets.put(bucket, name, film.path, "video/mp4"))
    except ApiError as refusal:
        # the bucket went away meanwhile
        raise DeliveryError(NOT_FOUND, str(refusal.body["error"]["message"])) from refusal
    return f"gs://{bucket}/{name}"
