"""What a video is wanted for, and what came of it once it is where its target can have it."""

from dataclasses import dataclass
from pathlib import Path

from mediagen.endpoints.base import VideoMedia, WireMedia
from mediagen.errors import InvalidRequestError
from mediagen.generator.destinations import Destinations
from mediagen.generator.placement import Place
from mediagen.generator.plan import TO_BE_UPLOADED, uploaded_uri
from mediagen.jobs import Adjustment, Job
from mediagen.media.fitting_rules import Requirements, requirements_for
from mediagen.media.inputs import InputMedia
from mediagen.requests import VideoMode
from mediagen.routing import Route, choose_route

# Larger ones go through a bucket. How much Vertex AI takes inside a request is not documented for clips.
INLINE_VIDEO_BYTES = 20 * 1024 * 1024
LATER = "(fetched, checked and sent when the job is sent)"


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """What a video is wanted for.

    Attributes:
        field: Argument it was given for.
        mode: What the model does with it; None when only its frames are taken here.
        address: Complete address that the job would be sent to; None when it is not known yet.
        gemini: How the Gemini API of the project is reached; None when it is not set up.
        gemini_address: Its address, if known.
        dry_run: Nothing is fetched and nothing converted.
    """

    field: str
    place: Place
    mode: VideoMode | None
    address: str | None = None
    gemini: Route | None = None
    gemini_address: str | None = None
    dry_run: bool = False

    @property
    def reads_buckets(self) -> bool:
        """Whether it is told gs:// addresses."""
        return self.mode is not None and self.place.route.surface == "vertex"

    @property
    def reads_files(self) -> bool:
        """Whether it is told addresses of the Gemini API's own store."""
        return self.mode is not None and self.place.route.surface == "gemini"

    @property
    def requirements(self) -> Requirements | None:
        """What the video must be; None when it may be anything."""
        return requirements_for(self.place.spec, self.mode) if self.mode else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Brought:
    """A video where its target can have it: exactly one of an interaction, an address and a file; or none in a dry run.

    Attributes:
        interaction: Interaction that made it, when it can be continued by its name alone.
        uri: Address that the surface reads.
        video: File on this machine that is sent, or whose frames are taken.
        unfit: Whether `video` would be converted first; only in a dry run.
        job: Our job that made it.
        path: The file on this machine, however the surface is told.
    """

    field: str
    source: str
    interaction: str | None = None
    uri: str | None = None
    video: InputMedia | None = None
    unfit: bool = False
    job: Job | None = None
    path: Path | None = None
    width: int | None = None
    height: int | None = None
    seconds: float | None = None
    sha256: str | None = None
    adjustments: tuple[Adjustment, ...] = ()
    warnings: tuple[str, ...] = ()

    @classmethod
    def of_file(cls, video: InputMedia, *, unfit: bool, adjustments: tuple[Adjustment, ...]) -> "Brought":
        """A file that is sent, or whose frames are taken."""
        return cls(
            field=video.field,
            source=video.source,
            video=video,
            unfit=unfit,
            path=video.path,
            width=video.width,
            height=video.height,
            seconds=video.duration_seconds,
            sha256=video.sha256,
            adjustments=adjustments,
        )

    @property
    def input(self) -> InputMedia:
        """As it is written down."""
        return self.video or InputMedia(
            field=self.field,
            source=self.source,
            mime_type="video/mp4",
            uri=self.uri,
            path=self.path,
            sha256=self.sha256,
            duration_seconds=self.seconds,
        )

    def upload(self, place: Place, destinations: Destinations) -> InputMedia | None:
        """The file that has to be at Google first, if any.

        Raises:
            InvalidRequestError: It is too large to be sent inside the request, and there is no bucket.
        """
        if self.video is None or self.unfit:
            return None
        if place.route.surface == "gemini" or destinations.inputs_uri:
            return self.video
        size = self.video.size_bytes or 0
        if size > INLINE_VIDEO_BYTES:
            raise InvalidRequestError(
                f"{self.field} has {size / 1024**2:.0f} MB; without a bucket at most "
                f"{INLINE_VIDEO_BYTES // 1024**2} MB can be sent to Vertex AI.",
                field=self.field,
                hint="Set GCS_BUCKET (or storage_uri), or copy the video into a bucket and pass its gs:// address.",
            )
        return None

    async def media(self, upload: InputMedia | None, place: Place, inputs_uri: str | None) -> VideoMedia:
        """As it goes into a body; `upload` is its file when that has to be at Google first."""
        if self.interaction:
            return VideoMedia(previous_interaction_id=self.interaction)
        if self.uri is None and upload is None and (self.video is None or self.unfit):
            # Veo takes no address that is not in a bucket, not even in a body that is only shown.
            later = WireMedia(mime_type="video/mp4", data=b"", placeholder=LATER)
            stored = WireMedia(mime_type="video/mp4", uri=TO_BE_UPLOADED)
            return VideoMedia(source_video=later if place.route.surface == "vertex" else stored)
        if self.video and upload is None:
            return VideoMedia(source_video=WireMedia(mime_type="video/mp4", data=await self.video.read()))
        uri = self.uri or TO_BE_UPLOADED
        if upload and inputs_uri:
            uri = uploaded_uri(inputs_uri, upload)
        return VideoMedia(source_video=WireMedia(mime_type="video/mp4", uri=uri))


def unknown_length(video: Brought | None) -> tuple[str, ...]:
    """Warning for a video to edit whose length is not known here."""
    if video is None or video.seconds is not None:
        return ()
    return (
        "The length of the video is not known here; the price is that of duration_seconds, the clip as long as it.",
    )


def gemini_route(place: Place) -> Route | None:
    """How the Gemini API is reached with the project of a place; None when it is not set up."""
    if place.route.surface == "gemini":
        return place.route
    configured = place.project.configured
    if place.route.backend == "emulator":
        return choose_route("emulator", configured, serving=("gemini",), what="files")
    return (
        choose_route("gemini", configured, serving=("gemini",), what="files") if configured.access("gemini") else None
    )
