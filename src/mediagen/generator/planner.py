"""Request → plan: choose the surface and the model, bring in the inputs, check everything, name the price."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mediagen.catalog import Catalog, FoundModel, check_image, check_video
from mediagen.defaults import (
    VideoSource,
    image_parameters,
    reference_source,
    refuse_what_is_not_built,
    video_mode,
    video_parameters,
)
from mediagen.endpoints.base import BodyEncoder, VideoMedia, WireMedia
from mediagen.errors import InvalidRequestError
from mediagen.generator.inputs import ExtensionSource, find_extension_source
from mediagen.generator.plan import TO_BE_UPLOADED, Plan, as_requested, without_nones
from mediagen.generator.policy import Policy
from mediagen.jobs import Adjustment, Kind, Origin, public_address
from mediagen.ledger.ledger import Ledger
from mediagen.media.inputs import InputLoader, InputMedia
from mediagen.pricing import Prices
from mediagen.requests import (
    Backend,
    ExtendVideoRequest,
    GenerateImageRequest,
    GenerateVideoRequest,
    GenerationRequest,
    ImageParameters,
    VideoParameters,
)
from mediagen.routing import Route, choose_route


@dataclass(frozen=True, kw_only=True, slots=True)
class Planner:
    """Makes plans; sends nothing."""

    policy: Policy
    catalog: Catalog
    prices: Prices
    ledger: Ledger
    loader: InputLoader
    encoder: BodyEncoder
    clock: Callable[[], datetime]

    def route(self, backend: Backend | None) -> Route:
        """Choose the API surface.

        Raises:
            AuthenticationError: No credentials.
            ConfigurationError: The surface is not available.
        """
        return choose_route(backend or self.policy.backend, self.policy.configured)

    def find_model(self, model: str | None, kind: Kind, route: Route) -> FoundModel:
        """The model asked for, or the default one of that surface."""
        wanted = model or self.catalog.default_model(kind, route.surface).id
        return self.catalog.find(wanted, kind, route.surface, self.clock().date())

    async def plan_image(self, request: GenerateImageRequest) -> Plan:
        """Plan pictures.

        Raises:
            InvalidRequestError: Anything that can be known to be wrong.
        """
        refuse_what_is_not_built(request)
        route = self.route(request.backend)
        found = self.find_model(request.model, "image", route)
        parameters, origins = image_parameters(request, found.spec)
        warnings = check_image(found.spec, parameters)
        images = [await self.loader.load_image(source, "input_images") for source in request.input_images or ()]
        documents = [await self.loader.load_document(source, "documents") for source in request.documents or ()]
        prompt, adjustments = _with_negative_prompt(request)
        texts = [(document.data or b"").decode() for document in documents]
        body = self.encoder.build_image(parameters, prompt, images=[_wire(image) for image in images], documents=texts)
        draft = _Draft(request=request, route=route, found=found, parameters=parameters, origins=origins)
        return self._finish(draft, body=body, adjustments=adjustments, warnings=warnings, inputs=[*images, *documents])

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
        route = self.route(request.backend)
        found = self.find_model(request.model, "video", route)
        first = await self._image(request.image, "image")
        last = await self._image(request.last_frame, "last_frame")
        loaded = [await self.loader.load_image(source, "reference_images") for source in references]
        source = VideoSource(width=first.width, height=first.height) if first else VideoSource()
        parameters, origins = video_parameters(request, found.spec, mode=mode, source=source)
        warnings = check_video(found.spec, parameters)
        prompt, adjustments = _with_negative_prompt(request)
        media = VideoMedia(
            first_frame=_wire(first) if first else None,
            last_frame=_wire(last) if last else None,
            references=tuple(_wire(image) for image in loaded),
        )
        body = self.encoder.build_video(parameters, prompt, media)
        draft = _Draft(request=request, route=route, found=found, parameters=parameters, origins=origins)
        inputs = [item for item in (first, last, *loaded) if item]
        return self._finish(draft, body=body, adjustments=adjustments, warnings=warnings, inputs=inputs)

    async def plan_extension(self, request: ExtendVideoRequest, base_url: str | None) -> Plan:
        """Plan the continuation of a clip.

        Args:
            request: What the caller asks for.
            base_url: Address the job would be sent to; a clip made there need not be uploaded again.

        Raises:
            InvalidRequestError: Anything that can be known to be wrong.
            JobNotFoundError: The source names an unknown job or artifact.
        """
        refuse_what_is_not_built(request)
        mode = video_mode(request)
        route = self.route(request.backend)
        found = self.find_model(request.model, "video", route)
        source = await find_extension_source(
            request.source, ledger=self.ledger, loader=self.loader, base_url=base_url, now=self.clock()
        )
        known = VideoSource(
            width=source.width, height=source.height, seconds=source.seconds, resolution=source.resolution
        )
        parameters, origins = video_parameters(request, found.spec, mode=mode, source=known)
        warnings = check_video(found.spec, parameters)
        prompt, adjustments = _with_negative_prompt(request)
        body = self.encoder.build_video(parameters, prompt, _extension_media(source))
        draft = _Draft(request=request, route=route, found=found, parameters=parameters, origins=origins)
        plan = self._finish(
            draft,
            body=body,
            adjustments=adjustments,
            warnings=warnings,
            inputs=[source.video] if source.video else [],
        )
        return dataclasses.replace(plan, upload=source.video, parent_job_id=source.job.job_id if source.job else None)

    async def _image(self, source: str | None, field: str) -> InputMedia | None:
        return await self.loader.load_image(source, field) if source else None

    def _finish(
        self,
        draft: "_Draft",
        *,
        body: dict[str, Any],
        adjustments: tuple[Adjustment, ...],
        warnings: tuple[str, ...],
        inputs: Sequence[InputMedia],
    ) -> Plan:
        parameters, spec = draft.parameters, draft.found.spec
        is_image = isinstance(parameters, ImageParameters)
        quote = self.prices.quote(parameters, surface=draft.route.surface)
        scale = parameters.image_size if isinstance(parameters, ImageParameters) else parameters.resolution
        origin: Origin = "explicit" if draft.request.backend else "environment"
        if not draft.request.backend and self.policy.backend == "auto":
            origin = "default"
        return Plan(
            kind="image" if is_image else "video",
            mode=parameters.mode,
            model=spec.id,
            route=draft.route,
            count=parameters.count,
            requested=as_requested(draft.request),
            effective=_effective(draft),
            origins={**draft.origins, "backend": origin, "mode": _mode_origin(draft.request)},
            quote=quote,
            body=body,
            estimated_seconds=spec.typical_seconds_for(scale),
            adjustments=(*draft.found.adjustments, *adjustments, *_conversions(inputs)),
            warnings=(*draft.found.warnings, *warnings),
            input_files=_input_files(inputs),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Draft:
    request: GenerationRequest
    route: Route
    found: FoundModel
    parameters: ImageParameters | VideoParameters
    origins: dict[str, Origin]


def _mode_origin(request: GenerationRequest) -> Origin:
    return "explicit" if getattr(request, "mode", None) else "default"


def _effective(draft: _Draft) -> dict[str, Any]:
    parameters = draft.parameters
    values = {**dataclasses.asdict(parameters), "backend": draft.route.backend, "why_backend": draft.route.reason}
    if isinstance(parameters, ImageParameters) and parameters.aspect_ratio:
        size = draft.found.spec.pixel_size(parameters.aspect_ratio, parameters.image_size)
        values["pixel_size"] = f"{size[0]}x{size[1]}" if size else None
    return without_nones(values)


def _with_negative_prompt(
    request: GenerateImageRequest | GenerateVideoRequest | ExtendVideoRequest,
) -> tuple[str, tuple[Adjustment, ...]]:
    prompt = request.prompt or ""
    if request.negative_prompt is None:
        return prompt, ()
    reason = "the model has no field for it"
    return f"{prompt}\n\nAvoid: {request.negative_prompt}", (
        Adjustment(
            field="negative_prompt",
            from_value=request.negative_prompt,
            to_value="added to the prompt in words",
            reason=reason,
        ),
    )


def _asset_references(references: Sequence[str]) -> list[str]:
    split = [reference_source(reference) for reference in references]
    if any(kind == "style" for _, kind in split):
        raise InvalidRequestError(
            "reference_images has a ':style' reference, which no model on this surface takes; allowed: ':asset'.",
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
    if media.uri and media.uri.startswith("gs://"):
        raise InvalidRequestError(
            f"{media.field} is a gs:// address, which the Gemini API does not read.",
            field=media.field,
            hint="Download the file and pass its local path.",
        )
    return WireMedia(mime_type=media.mime_type, data=media.data, uri=media.uri)


def _extension_media(source: ExtensionSource) -> VideoMedia:
    if source.interaction:
        return VideoMedia(previous_interaction_id=source.interaction)
    return VideoMedia(source_video=WireMedia(mime_type="video/mp4", uri=source.file_uri or TO_BE_UPLOADED))
