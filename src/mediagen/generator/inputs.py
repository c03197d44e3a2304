"""Brings in what a caller refers to: pictures, documents, and the clip that is to be extended."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import anyio

from mediagen.errors import InvalidRequestError, JobNotFoundError
from mediagen.jobs import Artifact, Job, JobStatus
from mediagen.ledger.ledger import Ledger
from mediagen.media.inputs import InputLoader, InputMedia

# Interactions are kept one day on the free tier and longer on paid ones, and we cannot see the tier.
# Source: https://ai.google.dev/gemini-api/docs/interactions (checked 2026-11-21)
INTERACTION_LIFETIME = timedelta(hours=23)
REQUIRED_FPS = 24.0
FPS_TOLERANCE = 0.01
FILE_URI = re.compile(r"https://generativelanguage\.googleapis\.com/.*files/[A-Za-z0-9_-]+(:download)?(\?.*)?")
JOB_ID = re.compile(r"job_[0-9a-z]+")
ARTIFACT_URI = "mediagen://artifacts/"


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtensionSource:
    """The clip to extend: one of an earlier interaction, a file at Google, or a local video to be uploaded."""

    interaction: str | None = None
    file_uri: str | None = None
    video: InputMedia | None = None
    job: Job | None = None
    width: int | None = None
    height: int | None = None
    seconds: float | None = None
    resolution: str | None = None


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


async def find_extension_source(
    source: str, *, ledger: Ledger, loader: InputLoader, base_url: str | None, now: datetime
) -> ExtensionSource:
    """Find out what `source` means and how the API can be told.

    Raises:
        InvalidRequestError: It cannot be extended; says which sources can.
        JobNotFoundError: No such job or artifact.
    """
    if JOB_ID.fullmatch(source):
        return await _from_job(await ledger.get(source), None, loader=loader, base_url=base_url, now=now)
    if source.startswith(ARTIFACT_URI):
        artifact, job = await ledger.artifact(source.removeprefix(ARTIFACT_URI))
        return await _from_job(job, artifact, loader=loader, base_url=base_url, now=now)
    own_files = re.compile(re.escape(base_url or "") + r"/v1(beta)?/files/[A-Za-z0-9_-]+(:download)?(\?.*)?")
    if FILE_URI.fullmatch(source) or (base_url and own_files.fullmatch(source)):
        return ExtensionSource(file_uri=re.sub(r"(:download)?(\?.*)?$", "", source))
    if re.match(r"(gs|https?)://", source):
        scheme = source.partition(":")[0]
        raise InvalidRequestError(
            f"source is a {scheme}:// address, which the Gemini API does not fetch.",
            field="source",
            hint="Download the video and pass its local path; or pass a job id, mediagen://artifacts/<id>, "
            "or a Gemini file URI.",
        )
    video = await loader.load_video(source, "source")
    return _from_video(video, None)


async def _from_job(
    job: Job, artifact: Artifact | None, *, loader: InputLoader, base_url: str | None, now: datetime
) -> ExtensionSource:
    if job.kind != "video":
        raise InvalidRequestError(
            f"source is {job.job_id}, which made a picture.",
            field="source",
            hint="Use generate_video with image set to that picture.",
        )
    if job.status is not JobStatus.SUCCEEDED:
        raise InvalidRequestError(
            f"source is {job.job_id}, which is {job.status}.",
            field="source",
            hint="Wait for it with get_job." if not job.status.is_terminal else "It has no clip to extend.",
        )
    if artifact is None and len(job.artifacts) > 1:
        raise InvalidRequestError(
            f"source is {job.job_id}, which made {len(job.artifacts)} clips.",
            field="source",
            hint=f"Name one of them: {', '.join(made.uri for made in job.artifacts)}.",
        )
    call = next(c for c in job.calls if c.artifact and (artifact is None or c.artifact == artifact))
    clip = call.artifact
    assert clip is not None
    is_fresh = now - job.created_at < INTERACTION_LIFETIME
    if call.operation and is_fresh and job.base_url == base_url:
        return ExtensionSource(
            interaction=call.operation,
            job=job,
            width=clip.width,
            height=clip.height,
            seconds=clip.duration_seconds,
            resolution=job.effective.get("resolution"),
        )
    return _from_video(await loader.load_video(clip.uri, "source"), job)


def _from_video(video: InputMedia, job: Job | None) -> ExtensionSource:
    if video.fps is not None and abs(video.fps - REQUIRED_FPS) > FPS_TOLERANCE:
        raise InvalidRequestError(
            f"source has {video.fps:g} frames per second; exactly 24 are needed.",
            field="source",
            hint="Convert it first, for example: ffmpeg -i IN.mp4 -r 24 -c:v libx264 -crf 18 -c:a aac OUT.mp4",
        )
    return ExtensionSource(
        video=video,
        job=job,
        width=video.width,
        height=video.height,
        seconds=video.duration_seconds,
        resolution=job.effective.get("resolution") if job else None,
    )
