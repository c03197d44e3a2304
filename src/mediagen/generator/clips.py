"""What a caller means by a video: a clip of ours, a file of the Gemini API, an object, an address or a local file."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio

from mediagen.errors import InvalidRequestError, JobNotFoundError
from mediagen.jobs import Artifact, Job, PaidCall
from mediagen.ledger.ids import JOB_ID
from mediagen.ledger.ledger import Ledger
from mediagen.ledger.only_file import only_file
from mediagen.media.sources import (
    ARTIFACT_PREFIX,
    BY_PATH,
    DataSource,
    LocalSource,
    RemoteSource,
    UploadSource,
    parse_source,
)
from mediagen.routing import GEMINI_HOST
from mediagen.storage.gs_uri import parse_gs_object

_FILE = r"/(?:[\w.-]+/)*files/(?P<id>[A-Za-z0-9_-]+)(?::download)?(?:\?.*)?"


@dataclass(frozen=True, kw_only=True, slots=True)
class MadeClip:
    """A clip of one of our jobs."""

    job: Job
    call: PaidCall
    artifact: Artifact

    @property
    def remote_uri(self) -> str | None:
        """Where Google keeps it, or kept it."""
        number = self.call.artifacts.index(self.artifact)
        return self.call.remote_uris[number] if number < len(self.call.remote_uris) else None


@dataclass(frozen=True, kw_only=True, slots=True)
class GeminiFile:
    """A file in the store of the Gemini API.

    Attributes:
        uri: Its address, without what is for downloading.
    """

    id: str
    uri: str


@dataclass(frozen=True, kw_only=True, slots=True)
class BucketObject:
    """An object in Cloud Storage."""

    uri: str


@dataclass(frozen=True, kw_only=True, slots=True)
class WebAddress:
    """A public https address; its query may be a signature."""

    url: str


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalClip:
    """A file on this machine, as named."""

    source: str


Meant = MadeClip | GeminiFile | BucketObject | WebAddress | LocalClip


async def find_clip(source: str, field: str, *, ledger: Ledger, gemini_hosts: Sequence[str] = ()) -> Meant:
    """Find out what a caller means by a video.

    Args:
        source: What the caller gave.
        field: Argument it was given for; named in errors.
        ledger: Knows the clips of earlier jobs, also by the address that Google gave them.
        gemini_hosts: Addresses besides Google's own under which the Gemini API keeps files.

    Raises:
        InvalidRequestError: It is no video, or no usable address.
        JobNotFoundError: No such job or artifact.
    """
    if JOB_ID.fullmatch(source):
        job = await ledger.get(source)
        _check_kind(job, field)
        return made_clip(job, only_file(job, field, word="clip"), field)
    if file := gemini_file(source, gemini_hosts):
        found = await ledger.find_remote(file.id)
        return made_clip(found[1], found[0], field) if found else file
    parsed = parse_source(source, field, max_bytes=0) if source[:5].lower() != "data:" else None
    if isinstance(parsed, RemoteSource):
        if not source.startswith("gs://"):
            return WebAddress(url=source)
        parse_gs_object(source, field)
        return BucketObject(uri=source)
    if isinstance(parsed, LocalSource | UploadSource):
        return LocalClip(source=source)
    if parsed is None or isinstance(parsed, DataSource):
        raise InvalidRequestError(
            f"{field} cannot be a data: URI.", field=field, hint=f"Save the video as a file and {BY_PATH}."
        )
    artifact, job = await ledger.artifact(source.removeprefix(ARTIFACT_PREFIX))
    return made_clip(job, artifact, field)


def gemini_file(source: str, hosts: Sequence[str] = ()) -> GeminiFile | None:
    """Read the address of a file of the Gemini API; None when it is something else."""
    for host in (GEMINI_HOST, *hosts):
        found = re.fullmatch(re.escape(host.rstrip("/")) + _FILE, source)
        if found:
            return GeminiFile(id=found["id"], uri=re.sub(r"(:download)?(\?.*)?$", "", source))
    return None


def made_clip(job: Job, artifact: Artifact, field: str) -> MadeClip:
    """A clip by its record.

    Raises:
        InvalidRequestError: It is a picture.
    """
    _check_kind(job, field)
    call = next(call for call in job.calls if any(made.uri == artifact.uri for made in call.artifacts))
    return MadeClip(job=job, call=call, artifact=next(made for made in call.artifacts if made.uri == artifact.uri))


def _check_kind(job: Job, field: str) -> None:
    if job.kind != "video":
        raise InvalidRequestError(
            f"{field} is of {job.job_id}, which made a picture.",
            field=field,
            hint="Use generate_video with image set to that picture.",
        )


async def stored_file(ledger: Ledger, artifact_id: str) -> Path:
    """Path of a file that an earlier job made.

    Raises:
        JobNotFoundError: Unknown id, or the file is no longer there.
    """
    artifact, _ = await ledger.artifact(artifact_id)
    if not await anyio.Path(artifact.path).is_file():
        raise JobNotFoundError(
            f"The file of artifact {artifact_id} is no longer at {artifact.path}.",
            code="artifact_missing",
            hint="It was moved or deleted; pass its new path instead.",
        )
    return Path(artifact.path)
