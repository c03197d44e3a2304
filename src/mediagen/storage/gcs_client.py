"""The connection to Cloud Storage: Google's client, opened when first used, and the few calls made on it. Blocking."""

import contextlib
import ipaddress
import logging
import os
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from typing import IO, Any, Final
from urllib.parse import urlsplit

from google.api_core.retry import Retry
from google.auth.credentials import AnonymousCredentials, with_scopes_if_required
from google.auth.transport.requests import AuthorizedSession
from google.cloud import storage
from google.cloud.storage.exceptions import DataCorruption

from mediagen.errors import ConfigurationError
from mediagen.storage.gcs_errors import FOREIGN, is_transient

EMULATOR_VARIABLE: Final = "STORAGE_EMULATOR_HOST"
GOOGLE: Final = "https://storage.googleapis.com"
# It hangs requests on to its records with their tokens, for whoever writes them down in full, as
# GOOGLE_SDK_PYTHON_LOGGING_SCOPE makes Google's own library do.
logging.getLogger("google.auth.transport.requests").addFilter(lambda record: record.levelno > logging.DEBUG)
_UNEXPANDED: Final = re.compile(r"\$\{[^}]*\}")
# A multiple of 256 KiB, as resumable uploads want it.
# Source: https://cloud.google.com/storage/docs/performing-resumable-uploads (checked 2026-11-21)
UPLOAD_CHUNK_BYTES: Final = 4 * 1024**2


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How long to wait for Cloud Storage; the defaults end a call within about a minute when nothing answers.

    Attributes:
        attempts: Tries in a row before giving up, at least 1.
        backoff_seconds: Wait after the first failure; doubles with each further one.
        connect_seconds: Longest wait for a connection.
        read_seconds: Longest silence of a connection.
    """

    attempts: int = 3
    backoff_seconds: float = 1.0
    connect_seconds: float = 5.0
    read_seconds: float = 18.0

    @property
    def timeout(self) -> tuple[float, float]:
        """As Google's library takes it."""
        return self.connect_seconds, self.read_seconds

    def wait_seconds(self, failures: int, asked: float | None) -> float:
        """How long to wait after so many failures in a row; what the server asked for counts up to ten seconds."""
        return max(self.backoff_seconds * 2.0 ** (failures - 1), min(asked or 0.0, 10.0))


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteObject:
    """What Cloud Storage knows of an object.

    Attributes:
        crc32c: Of the stored bytes, base64 of the big-endian checksum; None when Google does not tell.
        generation: Changes with every new content under the same name.
        content_encoding: ``gzip`` when the stored bytes are compressed.
    """

    size: int
    crc32c: str | None
    generation: int | None
    content_type: str | None
    content_encoding: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedObject:
    """An object as a list of a bucket names it."""

    name: str
    size: int
    content_type: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Upload:
    """One object to be written: `size` bytes of `source`, never over another object of the same name."""

    bucket: str
    name: str
    source: IO[bytes]
    size: int
    crc32c: str
    mime_type: str


class GcsClient:
    """Google's client behind the calls that are made here; each may be used from any thread."""

    def __init__(
        self, *, credentials: Any | None, project: str | None, endpoint: str | None, patience: Patience
    ) -> None:
        self.patience = patience
        self._credentials = credentials
        self._project = project
        self._endpoint = endpoint
        self._lock = threading.Lock()
        self._opened: Any = None

    def find(self, bucket: str, name: str) -> RemoteObject:
        """Ask for an object's metadata."""
        blob = self._bucket(bucket).blob(name)
        try:
            blob.reload(timeout=self.patience.timeout, retry=None)
            size = int(blob.size)
        except (AttributeError, TypeError, KeyError) as error:
            raise HTTPException("the answer is no object") from error
        return RemoteObject(
            size=size,
            crc32c=blob.crc32c,
            generation=blob.generation,
            content_type=blob.content_type,
            content_encoding=blob.content_encoding,
        )

    def read_range(
        self, bucket: str, name: str, *, generation: int | None, span: tuple[int, int], target: IO[bytes]
    ) -> None:
        """Write the stored bytes from the first to the last of `span` into `target`."""
        # A fresh blob: its address is made of the name, whereas one from an answer would go wherever that answer says.
        blob = self._bucket(bucket).blob(name, generation=generation)
        start, end = span
        blob.download_to_file(
            target,
            start=start,
            end=end,
            raw_download=True,
            checksum=None,
            timeout=self.patience.timeout,
            retry=None,
        )

    def write(self, upload: Upload, failures: Callable[[], int]) -> None:
        """Write an object that is not there yet; in chunks when it is large.

        Args:
            upload: What to write.
            failures: Counts one more failure and tells how many there were in a row.
        """
        blob = self._bucket(upload.bucket).blob(upload.name, chunk_size=UPLOAD_CHUNK_BYTES)
        wait = self.patience.backoff_seconds
        retry = Retry(
            predicate=lambda error: is_transient(error) and failures() < self.patience.attempts,
            initial=wait,
            maximum=wait * 4,
            timeout=45.0,
        )
        try:
            blob.upload_from_file(
                upload.source,
                size=upload.size,
                content_type=upload.mime_type,
                if_generation_match=0,
                checksum="crc32c",
                crc32c_checksum_value=upload.crc32c,
                timeout=self.patience.timeout,
                retry=retry,
            )
            stored, generation = blob.crc32c, blob.generation
        except (AttributeError, TypeError, KeyError) as error:
            raise HTTPException("the answer is no object") from error
        self._compare(upload, stored, generation)

    def _compare(self, upload: Upload, stored: str | None, generation: int | None) -> None:
        """Take back what landed wrong; the library compares for itself only what it sent in chunks."""
        if not stored or generation is None:
            raise HTTPException("the answer is no object")
        if stored != upload.crc32c:
            blob = self._bucket(upload.bucket).blob(upload.name)
            with contextlib.suppress(*FOREIGN):
                blob.delete(if_generation_match=generation, timeout=self.patience.timeout, retry=None)
            raise DataCorruption(None, "the stored checksum is another")

    def list(self, bucket: str, prefix: str, *, most: int) -> tuple[ListedObject, ...]:
        """Name the objects under a prefix, page by page, at most so many."""
        blobs = self._bucket(bucket).list_blobs(
            prefix=prefix, max_results=most, timeout=self.patience.timeout, retry=None
        )
        try:
            return tuple(
                ListedObject(name=str(blob.name), size=int(blob.size), content_type=blob.content_type) for blob in blobs
            )
        except (AttributeError, TypeError, KeyError) as error:
            raise HTTPException("the answer is no list") from error

    def delete(self, bucket: str, name: str) -> None:
        """Remove an object."""
        self._bucket(bucket).blob(name).delete(timeout=self.patience.timeout, retry=None)

    def bucket_location(self, bucket: str) -> str | None:
        """Ask where a bucket is; proves that it exists."""
        found = self._bucket(bucket)
        try:
            found.reload(timeout=self.patience.timeout, retry=None)
            location = found.location
        except (AttributeError, TypeError, KeyError) as error:
            raise HTTPException("the answer is no bucket") from error
        return str(location) if location else None

    def close(self) -> None:
        """Close connections; the client may be used again, it then opens anew."""
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    def _bucket(self, name: str) -> Any:
        with self._lock:
            if self._opened is None:
                self._opened = _open(self._credentials, self._project, self._endpoint)
            return self._opened.bucket(name)


def _open(credentials: Any | None, project: str | None, endpoint: str | None) -> Any:
    given = os.environ.get(EMULATOR_VARIABLE, "").strip()
    # Some hosts hand "${VAR}" over as it stands when the variable is not set.
    emulator = "" if _UNEXPANDED.fullmatch(given) else given
    if credentials is None or (emulator and not endpoint):
        credentials = AnonymousCredentials()  # type: ignore[no-untyped-call] # not annotated there
    address = _with_scheme(endpoint or emulator)
    scoped = with_scopes_if_required(credentials, storage.Client.SCOPE)  # type: ignore[no-untyped-call] # as above
    session = AuthorizedSession(scoped)  # type: ignore[no-untyped-call] # as above
    client = storage.Client(
        project=project,
        credentials=scoped,
        _http=session,
        # Without one, the library would take even an unset ${VAR} for an address.
        client_options={"api_endpoint": address or (GOOGLE if given else None)},
    )
    # Else the library asks for each bucket in a thread of its own, for traces that nobody collects.
    client._bucket_metadata_cache = None  # noqa: SLF001 - its switch is an environment variable of the whole process
    # A proxy of the environment is for the way out; it cannot reach this machine.
    session.trust_env = not _is_loopback(client.api_endpoint)
    return client


def _with_scheme(address: str) -> str | None:
    if not address:
        return None
    address = address if "://" in address else f"http://{address}"
    if urlsplit(address).scheme not in {"http", "https"} or not urlsplit(address).hostname:
        raise ConfigurationError(
            f"{EMULATOR_VARIABLE} is no address of a web server.", hint="It looks like http://127.0.0.1:9023."
        )
    return address.rstrip("/")


def _is_loopback(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
