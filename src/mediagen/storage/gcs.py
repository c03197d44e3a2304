"""Files in Cloud Storage. Imports Google's library: import this module where it is first used, not at the start."""

from pathlib import Path
from typing import Any

import anyio

from mediagen.errors import Billed
from mediagen.storage.gcs_check import BucketCheck, check_bucket
from mediagen.storage.gcs_client import GcsClient, Patience
from mediagen.storage.gcs_download import OnProgress, download_object, read_object
from mediagen.storage.gcs_errors import Attempt, Verb
from mediagen.storage.gcs_list import list_folder
from mediagen.storage.gcs_upload import upload_object
from mediagen.storage.gs_uri import FolderObject, default_bucket, object_uri, parse_gs_object, parse_gs_uri
from mediagen.storage.local import PartFile

__all__ = ["BucketCheck", "CloudStorage", "Patience", "default_bucket", "object_uri", "parse_gs_uri"]


class CloudStorage:
    """Buckets, as one identity sees them. Opens no connection before the first call; whoever made it closes it.

    May be used by several tasks at once.
    """

    def __init__(
        self,
        *,
        credentials: Any | None,
        project: str | None,
        identity: str,
        location: str | None = None,
        endpoint: str | None = None,
        patience: Patience | None = None,
    ) -> None:
        """Prepare.

        Args:
            credentials: A google-auth object, or None for none. With ``STORAGE_EMULATOR_HOST`` in the environment and
                no `endpoint` they are not used, so that a real token never goes to a stand-in.
            project: Google Cloud project, for hints; may be None.
            identity: Whose credentials they are (an e-mail address when known), for messages.
            location: Where jobs run, for hints.
            endpoint: Address of the API instead of Google's or ``STORAGE_EMULATOR_HOST``; gets the credentials.
            patience: How long to wait.
        """
        self._identity = identity
        self._project = project
        self._location = location
        self._client = GcsClient(
            credentials=credentials, project=project, endpoint=endpoint, patience=patience or Patience()
        )

    async def download(self, uri: str, part: PartFile, on_progress: OnProgress | None = None) -> None:
        """Bring an object here, going on after what `part` already holds, and compare the checksum of the whole.

        Raises:
            InvalidRequestError: `uri` is no address of an object.
            EndpointError: It does not exist (``object_missing``, ``bucket_missing``) or may not be read
                (``bucket_forbidden``).
            UnavailableError: It could not be had completely; what came is kept in `part`, unless it was wrong
                (``download_incomplete``), then `part` is empty.
            AuthenticationError: The credentials were refused.
            StorageError: `part` could not be written.
        """
        await download_object(self._client, self._attempt("read", uri, billed="yes"), part, on_progress)

    async def fetch(self, uri: str, part: PartFile, *, max_bytes: int) -> None:
        """Bring an object here that somebody wants to be used; as `download`, but nothing was paid for it.

        Raises:
            InvalidRequestError: `uri` is no address of an object, or it is too large (``input_too_large``).
            EndpointError, UnavailableError, AuthenticationError, StorageError: As for `download`.
        """
        await download_object(self._client, self._attempt("read", uri), part, max_bytes=max_bytes)

    async def upload(self, path: Path, uri: str, *, mime_type: str) -> str:
        """Copy a file into a bucket, never over another one; done already when the same content is there.

        Args:
            path: The file.
            uri: Address of the object to make, not of its folder.
            mime_type: Its content type.

        Returns:
            The address of the object.

        Raises:
            InvalidRequestError: `uri` is no address of an object.
            StorageError: Another object has that name (``object_exists``); the bucket does not exist
                (``bucket_missing``) or may not be written to (``bucket_forbidden``); the file cannot be read.
            UnavailableError: The bucket could not be reached; the file here is unchanged.
            AuthenticationError: The credentials were refused.
        """
        await upload_object(self._client, self._attempt("write", uri), path, mime_type)
        return uri

    async def read(self, uri: str, *, max_bytes: int) -> tuple[bytes, str | None]:
        """Read a small object into memory.

        Args:
            uri: Its address.
            max_bytes: Refused when it is larger, before anything is read.

        Returns:
            Its contents, unpacked, and its content type as stored.

        Raises:
            InvalidRequestError: `uri` is no address of an object, or it is too large (``input_too_large``).
            EndpointError: It does not exist or may not be read; codes as for `download`.
            UnavailableError: It could not be had.
            AuthenticationError: The credentials were refused.
        """
        return await read_object(self._client, self._attempt("read", uri), max_bytes)

    async def list_folder(self, uri: str) -> tuple[FolderObject, ...]:
        """Name what lies in a folder, in the order of the names.

        Args:
            uri: Its address, with a slash at the end.

        Raises:
            InvalidRequestError: `uri` is no such address.
            EndpointError: The bucket does not exist (``bucket_missing``) or may not be listed (``bucket_forbidden``).
            UnavailableError: It could not be had.
            AuthenticationError: The credentials were refused.
        """
        attempt = self._about("read", *parse_gs_uri(uri, "uri"))
        return await list_folder(self._client, attempt)

    async def check(self, bucket: str) -> BucketCheck:
        """Test whether a bucket exists, where it is and what may be done in it, with an object that is removed again.

        Args:
            bucket: Its name, without ``gs://``.

        Returns:
            What was found; failures are told in it and not raised.
        """
        return await check_bucket(self._client, self._about("write", bucket))

    async def aclose(self) -> None:
        """Close connections."""
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._client.close)

    def _attempt(self, verb: Verb, uri: str, *, billed: Billed = "no") -> Attempt:
        return self._about(verb, *parse_gs_object(uri, "uri"), billed=billed)

    def _about(self, verb: Verb, bucket: str, name: str = "", *, billed: Billed = "no") -> Attempt:
        return Attempt(
            verb=verb,
            bucket=bucket,
            name=name,
            identity=self._identity,
            project=self._project,
            location=self._location,
            billed=billed,
        )
