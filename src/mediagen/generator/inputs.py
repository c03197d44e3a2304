"""Brings in the clip that is to be extended: finds out what the caller means and how the API can be told."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypedDict

import anyio

from mediagen.errors import InvalidRequestError, JobNotFoundError
from mediagen.generator.inheritance import JOB_ID
from mediagen.jobs import Artifact, Job, JobStatus
from mediagen.ledger.ledger import Ledger
from mediagen.media.inputs import InputLoader, InputMedia
from mediagen.media.sources import ARTIFACT_PREFIX
from mediagen.storage.gs_uri import parse_gs_uri

# Interactions are kept one day on the free tier and longer on paid ones, and we cannot see the tier.
# Source: https://ai.google.dev/gemini-api/docs/interactions (checked 2026-11-21)
INTERACTION_LIFETIME = timedelta(hours=23)
REQUIRED_FPS = 24.0
FPS_TOLERANCE = 0.01
FILE_URI = re.compile(r"https://generativelanguage\.googleapis\.com/.*files/[A-Za-z0-9_-]+(:download)?(\?.*)?")


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtensionSource:
    """The clip to extend: one of an earlier interaction, a file that Google reads, or a local video.

    Attributes:
        interaction: Interaction that made it, when it can be continued by its name alone.
        uri: Address that the surface reads: a file of the Gemini API, or gs:// on Vertex AI.
        video: File on this machine.
        job: Our job that made it.
    """

    interaction: str | None = None
    uri: str | None = None
    video: InputMedia | None = None
    job: Job | None = None
    width: int | None = None
    height: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """Who is to extend the clip.

    Attributes:
        address: Complete address that the job would be sent to; None when it is not known yet.
        reads_buckets: Whether the surface reads gs:// addresses.
        continues_interactions: Whether the model continues one of its clips by the name of its interaction.
    """

    address: str | None
    reads_buckets: bool
    continues_interactions: bool


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
    source: str, target: Target, *, ledger: Ledger, loader: InputLoader, now: datetime
) -> ExtensionSource:
    """Find out what `source` means and how the API can be told.

    Raises:
        InvalidRequestError: It cannot be extended; says which sources can.
        JobNotFoundError: No such job or artifact.
    """
    if JOB_ID.fullmatch(source):
        return await _from_job(await ledger.get(source), None, target, loader=loader, now=now)
    if source.startswith(ARTIFACT_PREFIX):
        artifact, job = await ledger.artifact(source.removeprefix(ARTIFACT_PREFIX))
        return await _from_job(job, artifact, target, loader=loader, now=now)
    if re.match(r"(gs|https?)://", source):
        return _from_address(source, target)
    video = await loader.load_video(source, "source")
    return _from_video(video, None)


def _from_address(source: str, target: Target) -> ExtensionSource:
    if target.reads_buckets:
        if source.startswith("gs://"):
            parse_gs_uri(source, "source")
            return ExtensionSource(uri=source)
        raise InvalidRequestError(
            "source is an https address, which Vertex AI does not fetch.",
            field="source",
            hint="Download the video and pass its local path, or copy it into a bucket and pass its gs:// address.",
        )
    own_files = re.compile(re.escape(target.address or "") + r"/v1(beta)?/files/[A-Za-z0-9_-]+(:download)?(\?.*)?")
    if FILE_URI.fullmatch(source) or (target.address and own_files.fullmatch(source)):
        return ExtensionSource(uri=re.sub(r"(:download)?(\?.*)?$", "", source))
    scheme = source.partition(":")[0]
    raise InvalidRequestError(
        f"source is a {scheme}:// address, which the Gemini API does not fetch.",
        field="source",
        hint="Download the video and pass its local path; or pass a job id, mediagen://artifacts/<id>, "
        "or a Gemini file URI.",
    )


async def _from_job(
    job: Job, artifact: Artifact | None, target: Target, *, loader: InputLoader, now: datetime
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
    call = next(c for c in job.calls if (artifact in c.artifacts if artifact else c.artifacts))
    clip = artifact or call.artifacts[0]
    facts: _Facts = {
        "job": job,
        "width": clip.width,
        "height": clip.height,
        "seconds": clip.duration_seconds,
    }
    is_there = now - job.created_at < INTERACTION_LIFETIME and job.base_url == target.address
    if call.operation and is_there and target.continues_interactions and _is_interaction(call.operation):
        return ExtensionSource(interaction=call.operation, **facts)
    if clip.gcs_uri and target.reads_buckets:
        return ExtensionSource(uri=clip.gcs_uri, **facts)
    return _from_video(await loader.load_video(clip.uri, "source"), job)


class _Facts(TypedDict):
    job: Job
    width: int | None
    height: int | None
    seconds: float | None


def _is_interaction(operation: str) -> bool:
    return "/operations/" not in operation


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
    )
