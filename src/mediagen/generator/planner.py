"""Request → plan: choose the place, bring in the inputs, check everything, name the price."""

import dataclasses
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from mediagen.catalog import Surface, check_image, check_video
from mediagen.defaults import (
    Chosen,
    VideoSource,
    image_parameters,
    reference_source,
    refuse_what_is_not_built,
    video_mode,
    video_parameters,
)
from mediagen.endpoints.base import BodyEncoder, VideoMedia, WireMedia
from mediagen.errors import InvalidRequestError
from mediagen.generator.conversation import Conversation, find_conversation
from mediagen.generator.destinations import Destinations, destinations_of
from mediagen.generator.inheritance import NOTHING_INHERITED, inherited_from
from mediagen.generator.inputs import ExtensionSource, Target, find_extension_source
from mediagen.generator.placement import Place, Placement
from mediagen.generator.plan import TO_BE_UPLOADED, Plan, as_requested, uploaded_uri, without_nones
from mediagen.generator.policy import Project
from mediagen.jobs import Adjustment, Origin, public_address
from mediagen.ledger.ledger import Ledger
from mediagen.media.inputs import MAX_SOURCE_BYTES, InputLoader, InputMedia
from mediagen.pricing import Prices
from mediagen.requests import (
    ExtendVideoRequest,
    GenerateImageRequest,
    GenerateVideoRequest,
    GenerationRequest,
    ImageParameters,
    VideoParameters,
)
from mediagen.routing import Route
from mediagen.storage.conversations import Conversations, Turns

# Larger ones go through a bucket. How much Vertex AI takes inside a request is not documented for clips.
INLINE_VIDEO_BYTES = 20 * 1024 * 1024

AddressOf = Callable[[Route], Awaitable[str | None]]


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
            parameters, prompt, images=[_wire(image) for image in images], documents=texts, history=history
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

    async def plan_video(self, request: GenerateVideoRequest) -> Plan:
        """Plan a clip.

        Raises:
            InvalidRequestError: Anything that can be known to be wrong.
        """
        refuse_what_is_not_built(request)
        mode = video_mode(request)
        if request.prompt is None:
            raise InvalidRequestError("prompt is missing.", field="prompt", hint="Say what happens in the clip.")
        references = _asset_references(request.reference_images or ())
        place = self.placement.choose(request, "video")
        first = await self._image(request.image, "image", request, place) if request.image else None
        last = await self._image(request.last_frame, "last_frame", request, place) if request.last_frame else None
        loaded = [await self._image(source, "reference_images", request, place) for source in references]
        source = VideoSource(width=first.width, height=first.height) if first else VideoSource()
        parameters, chosen = video_parameters(request, place.spec, mode=mode, source=source, layers=place.layers)
        warnings = check_video(place.spec, parameters)
        media = VideoMedia(
            first_frame=_wire(first) if first else None,
            last_frame=_wire(last) if last else None,
            references=tuple(_wire(image) for image in loaded),
        )
        destinations = destinations_of(request, place, parameters)
        draft = _Draft(request=request, place=place, parameters=parameters, chosen=chosen, destinations=destinations)
        inputs = [item for item in (first, last, *loaded) if item]
        return self._finish_video(draft, media, warnings=warnings, inputs=inputs)

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
            await _extension_media(source, upload, destinations.inputs_uri),
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
        prompt, adjustments = _prompt(draft.request, place, native=parameters.negative_prompt is not None)
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
            mode=parameters.mode,
            model=place.spec.id,
            api=place.spec.api,
            project=place.project,
            route=place.route,
            samples=place.spec.samples_of_calls(parameters.count),
            requested=as_requested(draft.request),
            effective=_effective(draft),
            origins={**place.origins, **draft.chosen.origins, **draft.destinations.origins, "mode": mode_origin},
            quote=self.prices.quote(parameters, surface=place.route.surface, location=place.route.location),
            bodies=tuple(bodies),
            inputs_uri=draft.destinations.inputs_uri,
            estimated_seconds=place.spec.typical_seconds_for(scale),
            adjustments=(*place.adjustments, *draft.chosen.unfit, *adjustments, *_conversions(inputs)),
            warnings=(*place.warnings, *draft.destinations.warnings, *warnings),
            input_files=_input_files(inputs),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Draft:
    request: GenerationRequest
    place: Place
    parameters: ImageParameters | VideoParameters
    chosen: Chosen
    destinations: Destinations


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


def _prompt(request: GenerationRequest, place: Place, *, native: bool) -> tuple[str, tuple[Adjustment, ...]]:
    """The prompt, with what is to be avoided put into words where the model has no field for it."""
    prompt: str = getattr(request, "prompt", None) or ""
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


def _asset_references(references: Sequence[str]) -> list[str]:
    split = [reference_source(reference) for reference in references]
    if any(kind == "style" for _, kind in split):
        raise InvalidRequestError(
            "reference_images has a ':style' reference, which no living model takes; allowed: ':asset'.",
            field="reference_images",
            hint="Describe the style in the prompt, or draw the first frame in that style and pass it as image.",
        )
    return [path for path, _ in split]


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


def _wire(media: InputMedia) -> WireMedia:
    return WireMedia(mime_type=media.mime_type, data=media.data, uri=media.uri)


async def _extension_media(source: ExtensionSource, upload: InputMedia | None, inputs_uri: str | None) -> VideoMedia:
    if source.interaction:
        return VideoMedia(previous_interaction_id=source.interaction)
    if source.video and upload is None:
        return VideoMedia(source_video=WireMedia(mime_type="video/mp4", data=await source.video.read()))
    uri = source.uri or TO_BE_UPLOADED
    if upload and inputs_uri:
        uri = uploaded_uri(inputs_uri, upload)
    return VideoMedia(source_video=WireMedia(mime_type="video/mp4", uri=uri))
