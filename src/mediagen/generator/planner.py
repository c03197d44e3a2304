"""Request → plan: choose the place, bring in the inputs, check everything, name the price."""

import dataclasses
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Protocol

from mediagen.catalog import Surface, check_image, check_video
from mediagen.defaults import (
    Chosen,
    VideoSource,
    image_parameters,
    refuse_what_is_not_built,
    video_parameters,
)
from mediagen.endpoints.base import BodyEncoder, VideoMedia
from mediagen.errors import InvalidRequestError
from mediagen.generator.conversation import Conversation, find_conversation
from mediagen.generator.destinations import Destinations, destinations_of
from mediagen.generator.inheritance import NOTHING_INHERITED, inherited_from
from mediagen.generator.inputs import ExtensionSource, Target, find_extension_source
from mediagen.generator.placement import Place, Placement
from mediagen.generator.plan import Plan, as_requested, without_nones
from mediagen.generator.policy import Project
from mediagen.generator.video_inputs import (
    Frames,
    FrameTaker,
    VideoFinder,
    known_of,
    remix_frames,
    source_media,
    take_frame,
    unknown_length,
    wire,
)
from mediagen.generator.ways import asked_mode, pictures_of, prompt_for, prompt_sent, way_in
from mediagen.jobs import Adjustment, Origin, public_address
from mediagen.ledger.ledger import Ledger
from mediagen.media.inputs import MAX_SOURCE_BYTES, InputLoader, InputMedia
from mediagen.modes import video_mode, ways_told
from mediagen.pricing import Prices
from mediagen.requests import (
    ExtendVideoRequest,
    GenerateImageRequest,
    GenerateVideoRequest,
    GenerationRequest,
    ImageParameters,
    VideoMode,
    VideoParameters,
)
from mediagen.routing import Route
from mediagen.storage.conversations import Conversations, Turns

# Larger ones go through a bucket. How much Vertex AI takes inside a request is not documented for clips.
INLINE_VIDEO_BYTES = 20 * 1024 * 1024

AddressOf = Callable[[Route], Awaitable[str | None]]
LoadImage = Callable[[str, str], Awaitable[InputMedia]]


class BucketReader(Protocol):
    """Reads what callers name by gs:// addresses, with the credentials of a project."""

    async def read_object(self, project: Project, backend: str, uri: str, *, max_bytes: int) -> bytes:
        """Bytes of an object."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Planner:
    """Makes plans; sends nothing that costs."""

    placement: Placement
    prices: Prices
    ledger: Ledger
    loader: InputLoader
    conversations: Conversations
    buckets: BucketReader
    encoders: Mapping[Surface, BodyEncoder]
    clock: Callable[[], datetime]
    take_frame: FrameTaker = take_frame

    async def plan_image(self, request: GenerateImageRequest) -> Plan:
        """Plan pictures.

        Raises:
            InvalidRequestError: Anything that can be known to be wrong.
        """
        refuse_what_is_not_built(request)
        conversation = await self._conversation(request)
        inherited = conversation.inherited if conversation else NOTHING_INHERITED
        place = self.placement.choose(request, "image", inherited)
        parameters, chosen = image_parameters(request, place.spec, place.layers)
        warnings = check_image(place.spec, parameters)
        destinations = destinations_of(request, place, parameters)
        pictures, history, given_up = _earlier(conversation, place.spec.id)
        pictures += request.input_images or []
        images = [await self._image(source, "input_images", request, place) for source in pictures]
        documents = [await self.loader.load_document(source, "documents") for source in request.documents or ()]
        prompt, adjustments = _prompt(request, place, native=False)
        texts = [(document.data or b"").decode() for document in documents]
        body = self._encoder(place).build_image(
            parameters, prompt, images=[wire(image) for image in images], documents=texts, history=history
        )
        draft = _Draft(request=request, place=place, parameters=parameters, chosen=chosen, destinations=destinations)
        plan = self._finish(
            draft,
            bodies=[body] * parameters.count,
            adjustments=(*given_up, *adjustments),
            warnings=warnings,
            inputs=[*images, *documents],
        )
        return dataclasses.replace(plan, parent_job_id=conversation.job.job_id if conversation else None)

    async def _conversation(self, request: GenerateImageRequest) -> Conversation | None:
        if request.continue_from is None:
            return None
        return await find_conversation(request.continue_from, ledger=self.ledger, conversations=self.conversations)

    async def plan_video(self, request: GenerateVideoRequest, address_of: AddressOf | None = None) -> Plan:
        """Plan a clip.

        Args:
            request: What the caller asks for.
            address_of: Address that a job would be sent to; a clip made there is edited without being uploaded again.

        Raises:
            InvalidRequestError: Anything that can be known to be wrong.
            JobNotFoundError: The video is of an unknown job or artifact.
        """
        refuse_what_is_not_built(request)
        mode = asked_mode(request)
        place = self.placement.choose(request, "video")
        way = way_in(self.placement.catalog, place, mode, request, self.clock().date())
        load = partial(self._image, request=request, place=place)
        frames = await self._frames(request, load)
        pictures = [await load(source, field) for source, field in pictures_of(request)]
        video = await self._video_to_edit(request, place, address_of)
        known = known_of(frames, video, references=len(pictures))
        parameters, chosen = video_parameters(request, place.spec, mode=way, source=known, layers=place.layers)
        warnings = check_video(place.spec, parameters)
        destinations = destinations_of(request, place, parameters)
        upload = self._upload(video, place, destinations) if video else None
        media = await source_media(video, upload, destinations.inputs_uri) if video else frames.media()
        draft = _Draft(request=request, place=place, parameters=parameters, chosen=chosen, destinations=destinations)
        draft = draft.asked(mode, prompt_for(request, mode, place.spec.api), ways_told(mode, way, request))
        plan = self._finish_video(
            draft,
            dataclasses.replace(media, references=tuple(wire(picture) for picture in pictures)),
            warnings=(*warnings, *unknown_length(video)),
            inputs=[*frames.inputs, *pictures, *([video.video] if video and video.video else [])],
        )
        job = video.job if video else frames.job
        return dataclasses.replace(plan, upload=upload, parent_job_id=job.job_id if job else None)

    async def _frames(self, request: GenerateVideoRequest, load: LoadImage) -> Frames:
        if request.remix_from is not None:
            return await self._remix_frames(request, request.remix_from)
        first = await load(request.image, "image") if request.image else None
        last = await load(request.last_frame, "last_frame") if request.last_frame else None
        return Frames.given(first, last)

    async def _remix_frames(self, request: GenerateVideoRequest, source: str) -> Frames:
        found = await VideoFinder(self.ledger, self.loader).to_remix(source)
        return await remix_frames(
            request, found, self.loader, take=self.take_frame, ffmpeg=self.placement.policy.ffmpeg
        )

    async def _video_to_edit(
        self, request: GenerateVideoRequest, place: Place, address_of: AddressOf | None
    ) -> ExtensionSource | None:
        if request.video is None:
            return None
        target = Target(
            address=await address_of(place.route) if address_of else None,
            reads_buckets=place.route.surface == "vertex",
            continues_interactions=place.spec.api == "interactions",
        )
        return await VideoFinder(self.ledger, self.loader).to_edit(request.video, target, self.clock())

    async def plan_extension(self, request: ExtendVideoRequest, address_of: AddressOf) -> Plan:
        """Plan the continuation of a clip.

        Args:
            request: What the caller asks for.
            address_of: Address that a job would be sent to; a clip made there need not be uploaded again.

        Raises:
            InvalidRequestError: Anything that can be known to be wrong.
            JobNotFoundError: The source names an unknown job or artifact.
        """
        refuse_what_is_not_built(request)
        mode = video_mode(request)
        inherited = await inherited_from(request.source, ledger=self.ledger, loader=self.loader)
        place = self.placement.choose(request, "video", inherited)
        target = Target(
            address=await address_of(place.route),
            reads_buckets=place.route.surface == "vertex",
            continues_interactions=place.spec.api == "interactions",
        )
        source = await find_extension_source(
            request.source, target, ledger=self.ledger, loader=self.loader, now=self.clock()
        )
        known = VideoSource(width=source.width, height=source.height, seconds=source.seconds)
        parameters, chosen = video_parameters(request, place.spec, mode=mode, source=known, layers=place.layers)
        warnings = check_video(place.spec, parameters)
        destinations = destinations_of(request, place, parameters)
        draft = _Draft(request=request, place=place, parameters=parameters, chosen=chosen, destinations=destinations)
        upload = self._upload(source, place, destinations)
        plan = self._finish_video(
            draft,
            await source_media(source, upload, destinations.inputs_uri),
            warnings=warnings,
            inputs=[source.video] if source.video else [],
        )
        return dataclasses.replace(plan, upload=upload, parent_job_id=source.job.job_id if source.job else None)

    def _upload(self, source: ExtensionSource, place: Place, destinations: Destinations) -> InputMedia | None:
        """The file that has to be at Google first, if any."""
        if source.video is None or place.route.surface == "gemini" or destinations.inputs_uri:
            return source.video
        size = source.video.size_bytes or 0
        if size > INLINE_VIDEO_BYTES:
            raise InvalidRequestError(
                f"source has {size / 1024**2:.0f} MB; without a bucket at most "
                f"{INLINE_VIDEO_BYTES // 1024**2} MB can be sent to Vertex AI.",
                field="source",
                hint="Set GCS_BUCKET (or storage_uri), or copy the video into a bucket and pass its gs:// address.",
            )
        return None

    async def _image(self, source: str, field: str, request: GenerationRequest, place: Place) -> InputMedia:
        if not source.startswith("gs://"):
            return await self._https_or_local(source, field, place)
        # A dry run reads no bucket: it shows the address.
        if place.route.surface == "vertex" or request.dry_run:
            return await self.loader.load_image(source, field)
        data = await self.buckets.read_object(place.project, place.route.backend, source, max_bytes=MAX_SOURCE_BYTES)
        return await self.loader.image_from(data, source, field)

    async def _https_or_local(self, source: str, field: str, place: Place) -> InputMedia:
        loaded = await self.loader.load_image(source, field)
        if loaded.uri and place.spec.api == "predict_long_running":
            raise InvalidRequestError(
                f"{field} is an https address, which Veo does not fetch.",
                field=field,
                hint="Download the picture and pass its local path, or pass a gs:// address.",
            )
        return loaded

    def _encoder(self, place: Place) -> BodyEncoder:
        return self.encoders[place.route.surface]

    def _finish_video(
        self, draft: "_Draft", media: VideoMedia, *, warnings: tuple[str, ...], inputs: Sequence[InputMedia]
    ) -> Plan:
        parameters, place = draft.parameters, draft.place
        assert isinstance(parameters, VideoParameters)
        prompt, adjustments = _prompt(
            draft.request, place, native=parameters.negative_prompt is not None, instead=draft.prompt
        )
        bodies = [
            self._encoder(place).build_video(
                dataclasses.replace(parameters, count=samples),
                prompt,
                media,
                api=place.spec.api,
                storage_uri=draft.destinations.storage_uri,
            )
            for samples in place.spec.samples_of_calls(parameters.count)
        ]
        return self._finish(draft, bodies=bodies, adjustments=adjustments, warnings=warnings, inputs=inputs)

    def _finish(
        self,
        draft: "_Draft",
        *,
        bodies: Sequence[dict[str, Any]],
        adjustments: tuple[Adjustment, ...],
        warnings: tuple[str, ...],
        inputs: Sequence[InputMedia],
    ) -> Plan:
        parameters, place = draft.parameters, draft.place
        is_image = isinstance(parameters, ImageParameters)
        scale = parameters.image_size if isinstance(parameters, ImageParameters) else parameters.resolution
        mode_origin: Origin = "explicit" if getattr(draft.request, "mode", None) else "default"
        return Plan(
            kind="image" if is_image else "video",
            mode=draft.mode or parameters.mode,
            model=place.spec.id,
            api=place.spec.api,
            project=place.project,
            route=place.route,
            samples=place.spec.samples_of_calls(parameters.count),
            requested=as_requested(draft.request),
            effective={**_effective(draft), **({} if is_image else prompt_sent(draft.request, bodies[0]))},
            origins={**place.origins, **draft.chosen.origins, **draft.destinations.origins, "mode": mode_origin},
            quote=self.prices.quote(parameters, surface=place.route.surface, location=place.route.location),
            bodies=tuple(bodies),
            inputs_uri=draft.destinations.inputs_uri,
            estimated_seconds=place.spec.typical_seconds_for(scale),
            adjustments=(
                *place.adjustments,
                *draft.chosen.unfit,
                *draft.adjustments,
                *adjustments,
                *_conversions(inputs),
            ),
            warnings=(*place.warnings, *draft.destinations.warnings, *warnings),
            input_files=_input_files(inputs),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Draft:
    """What is decided before bodies are made.

    Attributes:
        mode: Mode that was asked for, where the parameters name the one by which it is done.
        prompt: What is sent in place of the caller's words.
    """

    request: GenerationRequest
    place: Place
    parameters: ImageParameters | VideoParameters
    chosen: Chosen
    destinations: Destinations
    mode: VideoMode | None = None
    prompt: str | None = None
    adjustments: tuple[Adjustment, ...] = ()

    def asked(self, mode: VideoMode, prompt: str, told: tuple[Adjustment, ...]) -> "_Draft":
        return dataclasses.replace(self, mode=mode, prompt=prompt, adjustments=told)


def _earlier(conversation: Conversation | None, model: str) -> tuple[list[str], Turns, tuple[Adjustment, ...]]:
    """Pictures and turns of the conversation that is gone on with, and what is told about it."""
    if conversation is None:
        return [], [], ()
    if conversation.is_understood_by(model):
        return [], conversation.turns, ()
    return [conversation.picture], [], (conversation.given_up_for(model),)


def _effective(draft: _Draft) -> dict[str, Any]:
    parameters, place = draft.parameters, draft.place
    values = {
        **dataclasses.asdict(parameters),
        **({"mode": draft.mode, "way": parameters.mode} if draft.mode not in {None, parameters.mode} else {}),
        "backend": place.route.backend,
        "why_backend": place.route.reason,
        "profile": place.project.name,
        "preset": draft.request.preset,
        "project": place.route.project,
        "location": place.route.location,
        "storage_uri": draft.destinations.storage_uri,
        "upload_to": draft.destinations.upload_to,
    }
    if isinstance(parameters, ImageParameters) and parameters.aspect_ratio:
        size = place.spec.pixel_size(parameters.aspect_ratio, parameters.image_size)
        values["pixel_size"] = f"{size[0]}x{size[1]}" if size else None
    return without_nones(values)


def _prompt(
    request: GenerationRequest, place: Place, *, native: bool, instead: str | None = None
) -> tuple[str, tuple[Adjustment, ...]]:
    """The prompt, with what is to be avoided put into words where the model has no field for it."""
    prompt: str = instead or getattr(request, "prompt", None) or ""
    candidates = place.layers.candidates("negative_prompt", getattr(request, "negative_prompt", None))
    negative = next((value for _, value in candidates if value), None)
    if negative is None or native:
        return prompt, ()
    return f"{prompt}\n\nAvoid: {negative}", (
        Adjustment(
            field="negative_prompt",
            from_value=negative,
            to_value="added to the prompt in words",
            reason="the model has no field for it",
        ),
    )


def _conversions(inputs: Sequence[InputMedia]) -> tuple[Adjustment, ...]:
    return tuple(
        Adjustment(field=item.field, from_value=item.source, to_value=item.mime_type, reason=item.conversion)
        for item in inputs
        if item.conversion
    )


def _input_files(inputs: Sequence[InputMedia]) -> dict[str, Any]:
    files: dict[str, Any] = {}
    for item in inputs:
        record = {"source": public_address(item.source), "sha256": item.sha256, "mime_type": item.mime_type}
        files.setdefault(item.field, []).append(record)
    return files
