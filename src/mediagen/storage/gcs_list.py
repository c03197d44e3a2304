"""Names what lies in a folder of a bucket. Costs nothing but the request itself."""

from functools import partial
from typing import Final

import anyio.to_thread

from mediagen.errors import EndpointError
from mediagen.storage.gcs_client import GcsClient
from mediagen.storage.gcs_download import wait_or_give_up
from mediagen.storage.gcs_errors import FOREIGN, Attempt
from mediagen.storage.gs_uri import FolderObject, missing_bucket_hint

MOST: Final = 1000


async def list_folder(client: GcsClient, attempt: Attempt) -> tuple[FolderObject, ...]:
    """Name the objects under the name of `attempt`, patiently; at most `MOST`.

    Raises:
        EndpointError: The bucket is missing (``bucket_missing``) or may not be listed (``bucket_forbidden``).
        UnavailableError: No answer could be had.
        AuthenticationError: The credentials were refused.
    """
    failures = 0
    ask = partial(client.list, attempt.bucket, attempt.name, most=MOST)
    while True:
        try:
            found = await anyio.to_thread.run_sync(ask, abandon_on_cancel=True)
        except FOREIGN as error:
            failures += 1
            await _wait_or_give_up(client, error, failures, attempt)
        else:
            return tuple(
                FolderObject(
                    uri=f"gs://{attempt.bucket}/{each.name}", size_bytes=each.size, content_type=each.content_type
                )
                for each in found
            )


async def _wait_or_give_up(client: GcsClient, error: BaseException, failures: int, attempt: Attempt) -> None:
    try:
        await wait_or_give_up(client, error, failures, attempt)
    except EndpointError as ours:
        # An empty folder is an empty list: only the bucket itself can be missing.
        if ours.code == "object_missing":
            ours.code, ours.message = "bucket_missing", f"The bucket gs://{attempt.bucket} does not exist."
            ours.hint = missing_bucket_hint(attempt.bucket, project=attempt.project, location=attempt.location)
        raise
