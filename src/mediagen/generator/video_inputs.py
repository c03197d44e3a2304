"""Brings in the video that is edited or remixed, and the frames that are taken from it."""

import dataclasses
import re
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mediagen.defaults import VideoSource
from mediagen.endpoints.base import VideoMedia, WireMedia
from mediagen.errors import InvalidRequestError
from mediagen.generator.inheritance import JOB_ID
from mediagen.generator.inputs import FILE_URI, INTERACTION_LIFETIME, ExtensionSource, Target
from mediagen.generator.plan import TO_BE_UPLOADED, uploaded_uri
from mediagen.jobs import Artifact, Job, JobStatus
from mediagen.ledger.ledger import Ledger
from mediagen.media.editing.times import parse_time
from mediagen.media.inputs import InputLoader, InputMedia
from mediagen.media.sources import ARTIFACT_PREFIX
from mediagen.requests import GenerateVideoRequest
from mediagen.storage.gs_uri import parse_gs_uri

FrameTaker = Callable[[Path, float | None, str | None], Awaitable[bytes]]
"""Gives a frame of a video as PNG: path, seconds from the start (None is the last frame), ffmpeg executable."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameTimes:
    """Which frames of a video a remix starts and ends on.

    Attributes:
        start: Seconds from the start.
        end: Seconds from the start, or None for its last frame.
        has_end: Whether the clip ends on a frame of the video at all.
    """

    start: float
    end: float | None
    has_end: bool


class VideoFinder:
    """Finds out what a caller means by a video.

    Args:
        ledger: Knows the clips of earlier jobs.
        loader: Reads local files.
    """

    def __init__(self, ledger: Ledger, loader: InputLoader) -> None:
        self._ledger = ledger
        self._loader = loader

    async def to_edit(self, source: str, target: Target, now: datetime) -> ExtensionSource:
        """The video to edit, in the form that the surface takes.

        Args:
            source: What the caller gave as `video`.
            target: Who is to edit it.
            now: Decides whether Google still keeps an interaction.

        Raises:
            InvalidRequestError: It cannot be used; says what can.
            JobNotFoundError: No such job or artifact.
        """
        if re.match(r"(gs|https?)://", source):
            return _at_address(source, target)
        made = await self._made(source, "video")
        if made is None:
            return _local(await self._loader.load_video(source, "video"), None)
        job, clip, operation = made
        found = ExtensionSource(job=job, width=clip.width, height=clip.height, seconds=clip.duration_seconds)
        is_there = now - job.created_at < INTERACTION_LIFETIME and job.base_url == target.address
        if operation and is_there and "/operations/" not in operation and target.continues_interactions:
            return dataclasses.replace(found, interaction=operation)
        if clip.gcs_uri and target.reads_buckets:
            return dataclasses.replace(found, uri=clip.gcs_uri)
        return _local(await self._loader.load_video(clip.uri, "video"), job)

    async def to_remix(self, source: str) -> ExtensionSource:
        """The video to take frames from; it has to be on this machine.

        Raises:
            InvalidRequestError: It is elsewhere, or cannot be used.
            JobNotFoundError: No such job or artifact.
        """
        made = await self._made(source, "remix_from")
        name, job = (made[1].uri, made[0]) if made else (source, None)
        return _local(await self._loader.load_video(name, "remix_from"), job)

    async def _made(self, source: str, field: str) -> tuple[Job, Artifact, str | None] | None:
        """Job, clip and operation behind a job id or an artifact; None when it is something else."""
        if source.startswith(ARTIFACT_PREFIX):
            artifact, job = await self._ledger.artifact(source.removeprefix(ARTIFACT_PREFIX))
        elif JOB_ID.fullmatch(source):
            job = await self._ledger.get(source)
            artifact = _only_clip(job, field)
        else:
            return None
        if job.kind != "video":
            raise InvalidRequestError(
                f"{field} is of {job.job_id}, which made a picture.", field=field, hint="Give it as image instead."
            )
        call = next(call for call in job.calls if any(made.uri == artifact.uri for made in call.artifacts))
        return job, artifact, call.operation


def _only_clip(job: Job, field: str) -> Artifact:
    if job.status is not JobStatus.SUCCEEDED or not job.artifacts:
        raise InvalidRequestError(
            f"{field} is {job.job_id}, which is {job.status}.",
            field=field,
            hint="Wait for it with get_job." if not job.status.is_terminal else "It has no clip.",
        )
    if len(job.artifacts) > 1:
        raise InvalidRequestError(
            f"{field} is {job.job_id}, which made {len(job.artifacts)} clips.",
            field=field,
            hint=f"Name one of them: {', '.join(made.uri for made in job.artifacts)}.",
        )
    return job.artifacts[0]


def _at_address(source: str, target: Target) -> ExtensionSource:
    if target.reads_buckets and source.startswith("gs://"):
        parse_gs_uri(source, "video")
        return ExtensionSource(uri=source)
    if not target.reads_buckets and FILE_URI.fullmatch(source):
        return ExtensionSource(uri=re.sub(r"(:download)?(\?.*)?$", "", source))
    readable = "gs:// addresses" if target.reads_buckets else "addresses of its own files"
    raise InvalidRequestError(
        f"video is a {source.partition(':')[0]}:// address, which this surface does not fetch; it reads {readable}.",
        field="video",
        hint="Download the video and pass its local path.",
    )


def _local(video: InputMedia, job: Job | None) -> ExtensionSource:
    return ExtensionSource(video=video, job=job, width=video.width, height=video.height, seconds=video.duration_seconds)


def frame_times(request: GenerateVideoRequest, seconds: float | None) -> FrameTimes:
    """Where the frames of a remix are taken.

    Args:
        request: A remix.
        seconds: Length of the video, if known.

    Raises:
        InvalidRequestError: A time that cannot be read, lies outside of the video, or an end before the start.
    """
    start = _time(request.remix_start, "remix_start", seconds) or 0.0
    end = _time(request.remix_end, "remix_end", seconds)
    if end is not None and end <= start:
        raise InvalidRequestError(
            f"remix_end={end:g} s is not after remix_start={start:g} s.",
            field="remix_end",
            hint="Give a later time, or leave it out.",
        )
    return FrameTimes(start=start, end=end, has_end=end is not None or bool(request.remix_last_frame))


def _time(text: str | None, field: str, seconds: float | None) -> float | None:
    if text is None:
        return None
    at = parse_time(text, field)
    if seconds is not None and at >= seconds:
        raise InvalidRequestError(
            f"{field}={text!r} lies outside of remix_from, which lasts {seconds:.2f} s.",
            field=field,
            hint="Give an earlier time; for the last frame set remix_last_frame.",
        )
    return at


def frame_to_come(at: float | None) -> WireMedia:
    """What a dry run shows in place of a frame."""
    when = "the last frame" if at is None else f"the frame at {at:g} s"
    return WireMedia(mime_type="image/png", data=b"", placeholder=f"({when}, taken when the job is sent)")


async def take_frame(video: Path, at: float | None, ffmpeg: str | None) -> bytes:
    """Take a frame with ffmpeg; see `FrameTaker`.

    Raises:
        InvalidRequestError: There is no picture at that time.
        MediaError: The video cannot be read.
        ConfigurationError: There is no ffmpeg.
    """
    # Loaded when it is needed: most clips take no frames.
    from mediagen.media.editing.frames import FrameRequest, extract_frame

    with tempfile.TemporaryDirectory(prefix="mediagen-") as folder:
        target = Path(folder) / "frame.png"
        await extract_frame(video, target, request=FrameRequest(at="last" if at is None else at), ffmpeg=ffmpeg)
        return target.read_bytes()


@dataclass(frozen=True, kw_only=True, slots=True)
class Frames:
    """The pictures that a clip starts and ends on.

    Attributes:
        job: Our job that made the video they are taken from.
        inputs: The pictures as files; not there yet in the dry run of a remix.
    """

    first: WireMedia | None = None
    last: WireMedia | None = None
    inputs: tuple[InputMedia, ...] = ()
    width: int | None = None
    height: int | None = None
    job: Job | None = None

    @classmethod
    def given(cls, first: InputMedia | None, last: InputMedia | None) -> "Frames":
        """Frames that the caller gave."""
        return cls(
            first=wire(first) if first else None,
            last=wire(last) if last else None,
            inputs=tuple(item for item in (first, last) if item),
            width=first.width if first else None,
            height=first.height if first else None,
        )

    def media(self) -> VideoMedia:
        """As they go into a body."""
        return VideoMedia(first_frame=self.first, last_frame=self.last)


async def remix_frames(
    request: GenerateVideoRequest, found: ExtensionSource, loader: InputLoader, *, take: FrameTaker, ffmpeg: str | None
) -> Frames:
    """Take the frames of a remix out of its video; a dry run only checks where they lie.

    Raises:
        InvalidRequestError: A time that cannot be read or lies outside of the video.
    """
    video = found.video
    assert video is not None
    assert video.path is not None
    times = frame_times(request, found.seconds)
    moments = [times.start, *([times.end] if times.has_end else [])]
    if request.dry_run:
        shown = [frame_to_come(at) for at in moments]
        inputs: list[InputMedia] = []
    else:
        pictures = [await take(video.path, at, ffmpeg) for at in moments]
        inputs = [await loader.image_from(data, video.source, "remix_from") for data in pictures]
        shown = [wire(item) for item in inputs]
    return Frames(
        first=shown[0],
        last=shown[1] if times.has_end else None,
        inputs=tuple(inputs),
        width=found.width,
        height=found.height,
        job=found.job,
    )


def known_of(frames: Frames, video: ExtensionSource | None, *, references: int) -> VideoSource:
    """What is known of the media that goes in."""
    if video is not None:
        return VideoSource(width=video.width, height=video.height, seconds=video.seconds, references=references)
    number = sum(frame is not None for frame in (frames.first, frames.last))
    return VideoSource(width=frames.width, height=frames.height, frames=number, references=references)


def unknown_length(video: ExtensionSource | None) -> tuple[str, ...]:
    """Warning for a video whose length is not known here."""
    if video is None or video.seconds is not None:
        return ()
    return (
        "The length of the video is not known here; the price is that of duration_seconds, the clip as long as it.",
    )


async def source_media(source: ExtensionSource, upload: InputMedia | None, inputs_uri: str | None) -> VideoMedia:
    """The video to extend or edit as it goes into a body; `upload` is it when it has to be at Google first."""
    if source.interaction:
        return VideoMedia(previous_interaction_id=source.interaction)
    if source.video and upload is None:
        return VideoMedia(source_video=WireMedia(mime_type="video/mp4", data=await source.video.read()))
    uri = source.uri or TO_BE_UPLOADED
    if upload and inputs_uri:
        uri = uploaded_uri(inputs_uri, upload)
    return VideoMedia(source_video=WireMedia(mime_type="video/mp4", uri=uri))


def wire(media: InputMedia) -> WireMedia:
    """An input as it goes into a body."""
    return WireMedia(mime_type=media.mime_type, data=media.data, uri=media.uri)
