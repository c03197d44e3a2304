"""Request → plan: choose the place, bring in the inputs, check everything, name the price."""

import dataclasses
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Protocol

from mediagen.catalog import Surface, check_image, check_video
from mediagen.defaults import Chosen, VideoSource, image_parameters, video_parameters
from mediagen.endpoints.base import BodyEncoder
from mediagen.errors import InvalidRequestError
from mediagen.generator.bringing import Bringer, Stores
from mediagen.generator.budget import check_may_spend
from mediagen.generator.conversation import Conversation, find_conversation
from mediagen.generator.destinations import destinations_of
from mediagen.generator.drafts import Draft, prompt_of
from mediagen.generator.economy import economy_prices, in_batches
from mediagen.generator.frames import Frames, FrameTaker, frame_times, known_of, remix_frames, take_frame, wire
from mediagen.generator.inheritance import NOTHING_INHERITED, Inherited, inherited_from
from mediagen.generator.input_folder import InputFolder
from mediagen.generator.placement import Place, Placement
from mediagen.generator.plan import Plan
from mediagen.generator.policy import Project
from mediagen.generator.targets import Brought, Target, gemini_route, unknown_length
from mediagen.generator.ways import asked_mode, pictures_of, prompt_for, way_in
from mediagen.jobs import Adjustment, Kind
from mediagen.ledger.ledger import Ledger
from mediagen.media.inputs import MAX_SOURCE_BYTES, InputLoader, InputMedia
from mediagen.modes import references_of, video_mode, ways_told
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
from mediagen.runner.runner import OnProgress
from mediagen.storage.conversations import Conversations, Turns
from mediagen.storage.gs_uri import parse_gs_object

if TYPE_CHECKING:
    from mediagen.media.fetch import FetchSettings

INPUTS = "inputs"  # folder beside the ledger for videos that were fetched or converted

AddressOf = Callable[[Route], Awaitable[str | None]]
LoadImage = Callable[[str, str], Awaitable[InputMedia]]


class BucketReader(Stores, Protocol):
    """Reads what callers name by gs:// addresses, with the credentials of a project."""

    async def read_object(self, project: Project, backend: str, uri: str, *, max_bytes: int) -> bytes:
        """Bytes of an object."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Planner:
    """Makes plans; sends nothing that costs.

    Attributes:
        web: How videos are fetched from the web; None is as usual.
        on_progress: Of one call: told how far a video is that is fetched or converted.
    """

    placement: Placement
    prices: Prices
    ledger: Ledger
    loader: InputLoader
    conversations: Conversations
    buckets: BucketReader
    encoders: Mapping[Surface, BodyEncoder]
    clock: Callable[[], datetime]
    take_frame: FrameTaker = take_frame
    on_progress: OnProgress | None = None
    web: "FetchSettings | None" = None

    async def plan_image(self, request: GenerateImageRequest) -> Plan:
        """Plan pictures.

        Raises:
            InvalidRequestError: Anything that can be known to be wrong.
        """
        conversation = await self._conversation(request)
        inherited = conversation.inherited if conversation else NOTHING_INHERITED
        place = self._place(request, "image", inherited)
        parameters, chosen = image_parameters(request, place.spec, place.layers)
        warnings = check_image(place.spec, parameters)
        pictures, history, given_up = _earlier(conversation, place.spec.id)
        pictures += request.input_images or []
        images = [await self._image(source, "input_images", request, place) for source in pictures]
        documents = [await self.loader.load_document(source, "documents") for source in request.documents or ()]
        prompt, adjustments = prompt_of(request, place, native=False)
        texts = [(document.data or b"").decode() for document in documents]
        body = self._encoder(place).build_image(
            parameters, prompt, images=[wire(image) for image in images], documents=texts, history=history
        )
        prices = economy_prices(place, "image", self.prices) if request.is_economy else self.prices
        plan = self._draft(request, place, parameters, chosen).plan(
            prices,
            [body] * parameters.count,
            adjustments=(*given_up, *adjustments),
            warnings=warnings,
            inputs=[*images, *documents],
        )
        plan = in_batches(plan, prices) if request.is_economy else plan
        return dataclasses.replace(plan, parent_job_id=conversation.job.job_id if conversation else None)

    async def _conversation(self, request: GenerateImageRequest) -> Conversation | None:
        if request.continue_from is None:
            return None
        return await find_conversation(request.continue_from, ledger=self.ledger, conversations=self.conversations)

    async def plan_video(self, request: GenerateVideoRequest, address_of: AddressOf) -> Plan:
        """Plan a clip.

        Args:
            request: What the caller asks for.
            address_of: Address that a job would be sent to; a clip made there is edited without being uploaded again.

        Raises:
            InvalidRequestError: Anything that can be known to be wrong.
            JobNotFoundError: The video is of an unknown job or artifact.
        """
        mode = asked_mode(request)
        place = self._place(request, "video")
        way = way_in(self.placement.catalog, place, mode, request, self.clock().date())
        load = partial(self._image, request=request, place=place)
        pictures = [await load(source, field) for source, field in pictures_of(request)]
        self._check_unseen(request, place, way, references=len(pictures))
        frames = await self._frames(request, place, load, address_of)
        video = await self._video_to_edit(request, place, way, address_of)
        known = known_of(frames, video, references=len(pictures))
        parameters, chosen = video_parameters(request, place.spec, mode=way, source=known, layers=place.layers)
        warnings = (*check_video(place.spec, parameters), *frames.warnings, *unknown_length(video))
        draft = self._draft(request, place, parameters, chosen)
        draft = draft.asked(mode, prompt_for(request, mode, place.spec.api), ways_told(mode, way, request))
        draft = dataclasses.replace(draft, told=frames.told)
        return await self._clip(draft, _Inputs(frames=frames, pictures=pictures, video=video), warnings)

    def _place(self, request: GenerationRequest, kind: Kind, inherited: Inherited = NOTHING_INHERITED) -> Place:
        """Where it is made; before any input is fetched, whether it may be."""
        place = self.placement.choose(request, kind, inherited)
        if request.is_economy:
            economy_prices(place, kind, self.prices)
        if not request.dry_run:
            check_may_spend(place.project.limits, place.route.backend)
        return place

    def _check_unseen(self, request: GenerateVideoRequest, place: Place, way: VideoMode, *, references: int) -> None:
        """Before a video is fetched or converted: what is wrong whatever it is like."""
        if request.video is None and request.remix_from is None:
            return
        frames = 1 + frame_times(request, None).has_end if request.remix_from else 0
        unseen = VideoSource(frames=frames, references=references)
        parameters, chosen = video_parameters(request, place.spec, mode=way, source=unseen, layers=place.layers)
        check_video(place.spec, parameters)
        self._draft(request, place, parameters, chosen)

    async def _frames(
        self, request: GenerateVideoRequest, place: Place, load: LoadImage, address_of: AddressOf
    ) -> Frames:
        if request.remix_from is not None:
            target = await self._target("remix_from", place, None, address_of, dry_run=request.dry_run)
            found = await self._bringer().bring(request.remix_from, target)
            return await remix_frames(
                request, found, self.loader, take=self.take_frame, ffmpeg=self.placement.policy.ffmpeg
            )
        first = await load(request.image, "image") if request.image else None
        last = await load(request.last_frame, "last_frame") if request.last_frame else None
        return Frames.given(first, last)

    async def _video_to_edit(
        self, request: GenerateVideoRequest, place: Place, way: VideoMode, address_of: AddressOf
    ) -> Brought | None:
        if request.video is None:
            return None
        target = await self._target("video", place, way, address_of, dry_run=request.dry_run)
        return await self._bringer().bring(request.video, target)

    async def plan_extension(self, request: ExtendVideoRequest, address_of: AddressOf) -> Plan:
        """Plan the continuation of a clip.

        Args:
            request: What the caller asks for.
            address_of: Address that a job would be sent to; a clip made there need not be uploaded again.

        Raises:
            InvalidRequestError: Anything that can be known to be wrong.
            JobNotFoundError: The source names an unknown job or artifact.
        """
        mode = video_mode(request)
        inherited = await inherited_from(request.source, ledger=self.ledger, loader=self.loader)
        place = self._place(request, "video", inherited)
        way_in(self.placement.catalog, place, mode, request, self.clock().date())
        load = partial(self._image, request=request, place=place)
        last = await load(request.last_frame, "last_frame") if request.last_frame else None
        frames = Frames.given(None, last)
        references = references_of(request)
        pictures = [await load(reference.source, "reference_images") for reference in references]
        # Before a video is fetched or converted: what is wrong whatever it is like.
        unseen = known_of(frames, None, references=len(pictures))
        parameters, _ = video_parameters(request, place.spec, mode=mode, source=unseen, layers=place.layers)
        check_video(place.spec, parameters)
        target = await self._target("source", place, mode, address_of, dry_run=request.dry_run)
        video = await self._bringer().bring(request.source, target)
        known = known_of(frames, video, references=len(pictures))
        parameters, chosen = video_parameters(request, place.spec, mode=mode, source=known, layers=place.layers)
        warnings = check_video(place.spec, parameters)
        draft = self._draft(request, place, parameters, chosen)
        return await self._clip(draft, _Inputs(frames=frames, pictures=pictures, video=video), warnings)

    async def _clip(self, draft: Draft, inputs: "_Inputs", warnings: tuple[str, ...]) -> Plan:
        """The plan of a clip whose inputs are here."""
        place, destinations, video = draft.place, draft.destinations, inputs.video
        media, upload = inputs.frames.media(), None
        if video:
            upload = video.upload(place, destinations)
            source = await video.media(upload, place, destinations.inputs_uri)
            media = dataclasses.replace(source, first_frame=media.first_frame, last_frame=media.last_frame)
        media = dataclasses.replace(media, references=tuple(wire(picture) for picture in inputs.pictures))
        bodies, adjustments = draft.clip_bodies(self._encoder(place), media)
        plan = draft.plan(
            self.prices,
            bodies,
            adjustments=(*(video.adjustments if video else ()), *adjustments),
            warnings=(*warnings, *(video.warnings if video else ())),
            inputs=[*inputs.frames.inputs, *inputs.pictures, *([video.input] if video else [])],
        )
        parent = video.job if video else inputs.frames.job
        return dataclasses.replace(plan, upload=upload, parent_job_id=parent.job_id if parent else None)

    def _draft(
        self,
        request: GenerationRequest,
        place: Place,
        parameters: ImageParameters | VideoParameters,
        chosen: Chosen,
    ) -> Draft:
        destinations = destinations_of(request, place, parameters)
        return Draft(request=request, place=place, parameters=parameters, chosen=chosen, destinations=destinations)

    async def _target(
        self, field: str, place: Place, mode: VideoMode | None, address_of: AddressOf, *, dry_run: bool
    ) -> Target:
        gemini = gemini_route(place)
        return Target(
            field=field,
            place=place,
            mode=mode,
            address=await address_of(place.route),
            gemini=gemini,
            gemini_address=await address_of(gemini) if gemini else None,
            dry_run=dry_run,
        )

    def _bringer(self) -> Bringer:
        policy = self.placement.policy
        return Bringer(
            ledger=self.ledger,
            loader=self.loader,
            stores=self.buckets,
            folder=InputFolder(path=policy.state_folder / INPUTS, web=self.web),
            clock=self.clock,
            ffmpeg=policy.ffmpeg,
            on_progress=self.on_progress,
        )

    async def _image(self, source: str, field: str, request: GenerationRequest, place: Place) -> InputMedia:
        if not source.startswith("gs://"):
            return await self._https_or_local(source, field, place)
        parse_gs_object(source, field)
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


@dataclass(frozen=True, kw_only=True, slots=True)
class _Inputs:
    """What goes into a clip."""

    frames: Frames
    pictures: Sequence[InputMedia]
    video: Brought | None


def _earlier(conversation: Conversation | None, model: str) -> tuple[list[str], Turns, tuple[Adjustment, ...]]:
    """Pictures and turns of the conversation that is gone on with, and what is told about it."""
    if conversation is None:
        return [], [], ()
    if conversation.is_understood_by(model):
        return [], conversation.turns, ()
    return [conversation.picture], [], (conversation.given_up_for(model),)
