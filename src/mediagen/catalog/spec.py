"""One row of the catalogue as a value."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType
from typing import Any, Literal

from mediagen.jobs import Api, Kind, Surface

Status = Literal["ga", "preview", "uncertain", "retired"]
Express = Literal["yes", "uncertain", "no"]

DEFAULT_LOCATION = "global"

SURFACE_NAMES: Mapping[Surface, str] = MappingProxyType(
    {"gemini": "the Gemini API", "vertex": "Vertex AI", "cliproxy": "CLIProxyAPI"}
)
USUAL_SECONDS: Mapping[Kind, float] = MappingProxyType({"image": 25.0, "video": 90.0})

# Parts by which the width and height of a 1K picture are multiplied: (numerator, denominator).
_SCALES: Mapping[str, tuple[int, int]] = MappingProxyType({"512": (1, 2), "1K": (1, 1), "2K": (2, 1), "4K": (4, 1)})


def _nothing() -> Mapping[Any, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, kw_only=True, slots=True)
class SurfaceSpec:
    """Availability of a model on one API surface.

    Attributes:
        shutdown: Day from which it is gone; in doubt while the status is "uncertain".
        guaranteed_until: Day until which Google promises it.
        replacement: Model to use instead on this surface.
        person_generation: What this surface accepts, when it differs from the row.
        note: Warning for whoever uses the model here.
        locations: Locations of Vertex AI that have it, the one to use by default first; None is any.
        express: Whether a Vertex AI express key can use it here; None when nothing is known.
        express_note: Why that is in doubt or impossible.
    """

    status: Status
    shutdown: date | None = None
    guaranteed_until: date | None = None
    replacement: str | None = None
    person_generation: tuple[str, ...] | None = None
    note: str = ""
    locations: tuple[str, ...] | None = None
    express: Express | None = None
    express_note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Dispute:
    """A value on which sources disagree: it is let through with a warning.

    Attributes:
        value: The value in question, or None when it is any value of the field.
        above: Only greater numbers are in doubt.
        when: Only together with these values of other fields.
    """

    field: str
    note: str
    value: str | None = None
    above: float | None = None
    when: Mapping[str, tuple[str | int, ...]] = dataclasses.field(default_factory=_nothing)


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelSpec:
    """What one Google model accepts.

    A column that is None is not known and is not checked; an empty tuple means that nothing is allowed.

    Attributes:
        status: Of the model as a whole; each surface has its own.
        api: Which of Google's APIs makes it work, on every surface that has it.
        modes: Those that its API has fields for.
        ways: Modes that it reaches by another one, and which.
        durations: Whole seconds by mode, "default" for the others.
        edit_source_seconds: Shortest and longest video that can be edited.
        max_total_seconds: Longest clip that extending can reach.
        extension_source_sizes: Resolutions of the videos that can be extended, and edited where the model edits.
        extension_source_min_seconds: Shortest video that can be extended.
        extension_inputs: Arguments that may go in beside the video that is extended.
        advised_reference_images: More than these are allowed but work less well.
        reference_modes: Modes that take reference images.
        audio: Whether clips always have sound, or it can be switched off.
        samples_per_call: Most results of one paid call.
        typical_seconds: How long Google usually takes, by image size or resolution.
        pixels: Width and height of a 1K picture by aspect ratio.
        as_of: Day on which the row was checked; None for a model that is not in the catalogue.
    """

    id: str
    kind: Kind
    status: Status
    api: Api
    surfaces: Mapping[Surface, SurfaceSpec] = field(default_factory=_nothing)
    modes: tuple[str, ...] | None = None
    ways: Mapping[str, str] = field(default_factory=_nothing)
    aspect_ratios: tuple[str, ...] | None = None
    image_sizes: tuple[str, ...] | None = None
    default_image_size: str | None = None
    resolutions: tuple[str, ...] | None = None
    default_resolution: str | None = None
    durations: Mapping[str, tuple[int, ...]] = field(default_factory=_nothing)
    max_input_images: int | None = None
    max_reference_images: int | None = None
    advised_reference_images: int | None = None
    reference_modes: tuple[str, ...] | None = None
    edit_source_seconds: tuple[int, int] | None = None
    max_total_seconds: int | None = None
    extension_source_sizes: tuple[str, ...] | None = None
    extension_source_min_seconds: int | None = None
    extension_inputs: tuple[str, ...] | None = None
    thinking_levels: tuple[str, ...] | None = None
    seed: bool | None = None
    max_seed: int | None = None
    negative_prompt: bool | None = None
    person_generation: tuple[str, ...] | None = None
    audio: Literal["always", "optional"] | None = None
    search_grounding: bool | None = None
    resize_modes: tuple[str, ...] | None = None
    compression_qualities: tuple[str, ...] | None = None
    samples_per_call: int = 1
    typical_seconds: Mapping[str, float] = field(default_factory=_nothing)
    pixels: Mapping[str, tuple[int, int]] = field(default_factory=_nothing)
    replacement: str | None = None
    disputed: tuple[Dispute, ...] = ()
    as_of: date | None = None
    source: str = ""
    notes: str = ""

    def serves(self, surface: Surface) -> bool:
        """Whether the surface has, or may have, this model."""
        on_it = self.surfaces.get(surface)
        return on_it is not None and on_it.status != "retired"

    def is_retired(self, surface: Surface, today: date) -> bool:
        """Whether the model is known to be gone from the surface; False while that is in doubt."""
        on_it = self.surfaces.get(surface)
        if on_it is None:
            return self.status == "retired"
        if on_it.status == "uncertain":
            return False
        if on_it.shutdown is None:
            return on_it.status == "retired"
        return on_it.shutdown <= today

    def replacement_on(self, surface: Surface) -> str | None:
        """Model to use instead on that surface."""
        on_it = self.surfaces.get(surface)
        return (on_it.replacement if on_it else None) or self.replacement

    def on_surface(self, surface: Surface) -> "ModelSpec":
        """The row as it holds on one surface."""
        on_it = self.surfaces.get(surface)
        if on_it is None or on_it.person_generation is None:
            return self
        return dataclasses.replace(self, person_generation=on_it.person_generation)

    def location_for(self, surface: Surface, wanted: str | None) -> tuple[str, str | None]:
        """Choose the location of Vertex AI for a call.

        Args:
            surface: API surface that will be used.
            wanted: What the caller or the settings say; None is the default.

        Returns:
            The location, and in words why it is not the wanted one; None when it is, or when none was wanted.
        """
        asked = (wanted or "").strip().lower()
        on_it = self.surfaces.get(surface)
        allowed = on_it.locations if on_it else None
        if allowed is None or asked in allowed:
            return asked or DEFAULT_LOCATION, None
        reason = f"{self.id} is on {SURFACE_NAMES[surface]} only in {', '.join(allowed)}" if asked else None
        return allowed[0], reason

    def samples_of_calls(self, count: int) -> tuple[int, ...]:
        """Split a number of results over as few paid calls as the model allows: how many each of them makes."""
        full, rest = divmod(count, self.samples_per_call)
        return (self.samples_per_call,) * full + ((rest,) if rest else ())

    def way_of(self, mode: str, *, frames: int = 1) -> str | None:
        """Mode by which the model does what is asked: the same one, or another one; None when it cannot.

        Args:
            mode: What is asked.
            frames: How many frames a remix takes from its video.
        """
        if mode == "remix":
            mode = "first_last_frames" if frames > 1 else "image_to_video"
        if self.modes is None:
            return self.ways.get(mode, mode)
        way = mode if mode in self.modes else self.ways.get(mode)
        return way if way in self.modes else None

    def durations_for(self, mode: str) -> tuple[int, ...]:
        """Lengths of the new clip in whole seconds, ascending; empty when unknown or the mode is not supported."""
        if self.modes is not None and mode not in self.modes:
            return ()
        return self.durations.get(mode) or self.durations.get("default", ())

    def pixel_size(self, aspect_ratio: str, image_size: str) -> tuple[int, int] | None:
        """Width and height that Google documents; None when unknown. Real files may differ by a few pixels."""
        size, scale = self.pixels.get(aspect_ratio), _SCALES.get(image_size)
        if size is None or scale is None or (self.image_sizes is not None and image_size not in self.image_sizes):
            return None
        return size[0] * scale[0] // scale[1], size[1] * scale[0] // scale[1]

    def typical_seconds_for(self, scale: str) -> float:
        """How long Google usually takes for one call, in seconds.

        Args:
            scale: Image size or resolution.
        """
        if scale in self.typical_seconds:
            return self.typical_seconds[scale]
        return max(self.typical_seconds.values(), default=USUAL_SECONDS[self.kind])
