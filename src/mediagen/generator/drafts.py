"""From decided values to a plan: bodies, what is told, and what is written down."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mediagen.defaults import Chosen
from mediagen.endpoints.base import BodyEncoder, VideoMedia
from mediagen.generator.destinations import Destinations
from mediagen.generator.placement import Place
from mediagen.generator.plan import Plan, as_requested, without_nones
from mediagen.generator.ways import prompt_sent
from mediagen.jobs import Adjustment, Origin, folder_of_call, own_folder, public_address
from mediagen.media.inputs import InputMedia
from mediagen.pricing import Prices
from mediagen.requests import GenerationRequest, ImageParameters, VideoMode, VideoParameters


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """What is decided before bodies are made.

    Attributes:
        mode: Mode that was asked for, where the parameters name the one by which it is done.
        prompt: What is sent in place of the caller's words.
        told: Effective values that are no parameters.
    """

    request: GenerationRequest
    place: Place
    parameters: ImageParameters | VideoParameters
    chosen: Chosen
    destinations: Destinations
    mode: VideoMode | None = None
    prompt: str | None = None
    adjustments: tuple[Adjustment, ...] = ()
    told: Mapping[str, Any] = field(default_factory=dict)

    def asked(self, mode: VideoMode, prompt: str, told: tuple[Adjustment, ...]) -> "Draft":
        """The same with the mode that was asked for, and how it is put to the model."""
        return dataclasses.replace(self, mode=mode, prompt=prompt, adjustments=told)

    def clip_bodies(
        self, encoder: BodyEncoder, media: VideoMedia
    ) -> tuple[list[dict[str, Any]], tuple[Adjustment, ...]]:
        """The body of each paid call for a clip, and what was changed in its prompt."""
        parameters, place = self.parameters, self.place
        assert isinstance(parameters, VideoParameters)
        prompt, adjustments = prompt_of(
            self.request, place, native=parameters.negative_prompt is not None, instead=self.prompt
        )
        folder, samples_of_calls = self.bucket_folder, place.spec.samples_of_calls(parameters.count)
        bodies = [
            encoder.build_video(
                dataclasses.replace(parameters, count=samples),
                prompt,
                media,
                api=place.spec.api,
                storage_uri=folder and folder_of_call(folder, ordinal, calls=len(samples_of_calls)),
            )
            for ordinal, samples in enumerate(samples_of_calls)
        ]
        return bodies, (*adjustments, *self._moved())

    @property
    def bucket_folder(self) -> str | None:
        """Where Google writes the result: a folder that no other job uses, named when the job has its id."""
        return own_folder(self.destinations.storage_uri) if self.destinations.storage_uri else None

    def _moved(self) -> tuple[Adjustment, ...]:
        if self.bucket_folder is None:
            return ()
        return (
            Adjustment(
                field="storage_uri",
                from_value=self.destinations.storage_uri,
                to_value=self.bucket_folder,
                reason="a folder of its own for each job, in which its clip is found even if Google's answer is lost",
            ),
        )

    def plan(
        self,
        prices: Prices,
        bodies: Sequence[dict[str, Any]],
        *,
        adjustments: tuple[Adjustment, ...],
        warnings: tuple[str, ...],
        inputs: Sequence[InputMedia],
    ) -> Plan:
        """The plan."""
        parameters, place, spec = self.parameters, self.place, self.place.spec
        is_image = isinstance(parameters, ImageParameters)
        scale = parameters.image_size if isinstance(parameters, ImageParameters) else parameters.resolution
        mode_origin: Origin = "explicit" if getattr(self.request, "mode", None) else "default"
        told = (*self.adjustments, *adjustments, *_conversions(inputs))
        return Plan(
            kind="image" if is_image else "video",
            mode=self.mode or parameters.mode,
            model=spec.id,
            api=spec.api,
            project=place.project,
            route=place.route,
            samples=spec.samples_of_calls(parameters.count),
            requested=as_requested(self.request),
            effective={**_effective(self), **({} if is_image else prompt_sent(self.request, bodies[0]))},
            origins={**place.origins, **self.chosen.origins, **self.destinations.origins, "mode": mode_origin},
            quote=prices.quote(parameters, surface=place.route.surface, location=place.route.location),
            bodies=tuple(bodies),
            parameters=parameters,
            spec=spec,
            inputs_uri=self.destinations.inputs_uri,
            estimated_seconds=spec.typical_seconds_for(scale),
            adjustments=(*place.adjustments, *self.chosen.unfit, *told),
            warnings=(*place.warnings, *self.destinations.warnings, *warnings),
            input_files=_input_files(inputs),
        )


def _effective(draft: Draft) -> dict[str, Any]:
    parameters, place = draft.parameters, draft.place
    values = {
        **dataclasses.asdict(parameters),
        **draft.told,
        **({"mode": draft.mode, "way": parameters.mode} if draft.mode not in {None, parameters.mode} else {}),
        "backend": place.route.backend,
        "why_backend": place.route.reason,
        "profile": place.project.name,
        "preset": draft.request.preset,
        "economy": draft.request.is_economy or None,
        "project": place.route.project,
        "location": place.route.location,
        "storage_uri": draft.bucket_folder,
        "upload_to": draft.destinations.upload_to,
    }
    if isinstance(parameters, ImageParameters) and parameters.aspect_ratio:
        size = place.spec.pixel_size(parameters.aspect_ratio, parameters.image_size)
        values["pixel_size"] = f"{size[0]}x{size[1]}" if size else None
    return without_nones(values)


def prompt_of(
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
        record: dict[str, Any] = {
            "source": public_address(item.source),
            "sha256": item.sha256,
            "mime_type": item.mime_type,
        }
        if item.mime_type.startswith("video/"):
            path = str(item.path) if item.path else None
            record |= without_nones({"path": path, "duration_seconds": item.duration_seconds})
        files.setdefault(item.field, []).append(record)
    return files
