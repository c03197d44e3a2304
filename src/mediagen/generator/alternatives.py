"""What else can be done where a clip cannot be extended: a new clip that starts on its last frame, with its price."""

import contextlib
from dataclasses import dataclass
from typing import Any

from mediagen.defaults import VideoSource, video_parameters
from mediagen.errors import MediaGenError
from mediagen.generator.placement import Placement
from mediagen.jobs import Job
from mediagen.pricing import Prices
from mediagen.report.job import NextReport
from mediagen.report.money import dollars
from mediagen.requests import ExtendVideoRequest, GenerateVideoRequest

# Refusals of the source itself: the same call would be refused again.
CANNOT_BE_EXTENDED = frozenset({"region_refused", "source_expired", "source_refused", "use_case_refused"})
_KEPT = (
    "prompt",
    "model",
    "backend",
    "profile",
    "resolution",
    "aspect_ratio",
    "output_dir",
    "storage_uri",
    "upload_to",
)
YOUR_COPY = "(path of your copy of the clip)"


@dataclass(frozen=True, kw_only=True, slots=True)
class Alternatives:
    """Names the other way. Sends nothing."""

    placement: Placement
    prices: Prices

    def after(self, job: Job) -> NextReport | None:
        """The other way for a job that Google refused for its source; None for any other job."""
        if job.mode != "video_extension" or job.error is None or job.error.code not in CANNOT_BE_EXTENDED:
            return None
        return self._new_clip(job.requested, str(job.requested.get("source")))

    def instead_of(self, request: ExtendVideoRequest, error: MediaGenError) -> str:
        """The other way in words, for a source that was found to be unusable before anything was sent."""
        if error.code not in CANNOT_BE_EXTENDED:
            return ""
        way = self._new_clip(request.model_dump(exclude_unset=True), YOUR_COPY)
        return f"Or: generate_video with remix_from={YOUR_COPY!r}, remix_start='last'. {way.reason}" if way else ""

    def _new_clip(self, asked: dict[str, Any], source: str) -> NextReport | None:
        kept = {name: asked[name] for name in _KEPT if asked.get(name) is not None}
        arguments = {**kept, "remix_from": source, "remix_start": "last"}
        # Without a place for it, or with a model that makes no such clip, there is no other way.
        with contextlib.suppress(MediaGenError):
            return NextReport(
                tool="generate_video",
                arguments=arguments,
                reason=f"Starts a new clip on the last frame of the old one; {self._price(arguments)}.",
            )
        return None

    def _price(self, arguments: dict[str, Any]) -> str:
        place = self.placement.choose(GenerateVideoRequest.model_validate(arguments), "video")
        parameters, _ = video_parameters(
            GenerateVideoRequest.model_validate(arguments),
            place.spec,
            mode="image_to_video",
            source=VideoSource(frames=1),
            layers=place.layers,
        )
        quote = self.prices.quote(parameters, surface=place.route.surface, location=place.route.location)
        made_of = f"{parameters.duration_seconds} s with {place.spec.id}"
        return f"{made_of}, at an unknown price" if quote.usd is None else f"{made_of} for about {dollars(quote.usd)}"
