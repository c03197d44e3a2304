"""Whether a model can do what is asked: refuses what cannot work, warns of what is in doubt. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mediagen.catalog.allowed import refuse
from mediagen.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mediagen.catalog.spec import Dispute, ModelSpec
    from mediagen.requests import ImageParameters, VideoParameters

MAX_COUNT = 4

# How many frames (image, last_frame) each mode needs and takes.
_FRAMES = {
    "text_to_video": (0, 0),
    "image_to_video": (1, 1),
    "first_last_frames": (2, 2),
    "reference_asset": (0, 0),
    "reference_style": (0, 0),
    "video_extension": (0, 1),
    "video_edit": (0, 0),
    "remix": (0, 2),
}
_HINT_BY_FRAMES = {
    0: "Give image, or use mode='text_to_video'.",
    1: "Use mode='image_to_video', which takes image.",
    2: "Use mode='first_last_frames', which takes image and last_frame.",
}
_INSTEAD_OF_MODE = {
    "reference_style": "reference_asset",
    "insert_objects": "video_edit",
    "remove_objects": "video_edit",
    "reference_asset": "image_to_video",
    "text_to_image": "image_edit",
}


def check_image(spec: ModelSpec, parameters: ImageParameters) -> tuple[str, ...]:
    """Check what is asked of an image model.

    Args:
        spec: The model as it holds on the surface, from `Catalog.find`.
        parameters: What would be sent.

    Returns:
        Warnings: values on which sources disagree.

    Raises:
        InvalidRequestError: The combination cannot work; names the field, the value, what is allowed and the nearest.
    """
    _check_mode(spec, parameters.mode)
    _check_count(spec, parameters.count)
    _check_value(spec, "aspect_ratio", parameters.aspect_ratio, spec.aspect_ratios)
    _check_value(spec, "image_size", parameters.image_size, spec.image_sizes)
    _check_value(spec, "thinking_level", parameters.thinking_level, spec.thinking_levels)
    _check_value(spec, "person_generation", parameters.person_generation, spec.person_generation)
    _check_input_images(spec, parameters)
    if parameters.search_grounding and spec.search_grounding is False:
        raise refuse("search_grounding", True, allowed=("False",), where=spec.id, hint="Leave search_grounding out.")
    return _disputes(spec, parameters)


def check_video(spec: ModelSpec, parameters: VideoParameters) -> tuple[str, ...]:
    """Check what is asked of a video model.

    Args:
        spec: The model as it holds on the surface, from `Catalog.find`.
        parameters: What would be sent.

    Returns:
        Warnings: values on which sources disagree.

    Raises:
        InvalidRequestError: The combination cannot work; names the field, the value, what is allowed and the nearest.
    """
    _check_mode(spec, parameters.mode)
    _check_count(spec, parameters.count)
    _check_value(spec, "aspect_ratio", parameters.aspect_ratio, spec.aspect_ratios)
    _check_value(spec, "resolution", parameters.resolution, spec.resolutions)
    _check_value(spec, "person_generation", parameters.person_generation, spec.person_generation)
    _check_value(spec, "resize_mode", parameters.resize_mode, spec.resize_modes)
    _check_value(spec, "compression_quality", parameters.compression_quality, spec.compression_qualities)
    _check_duration(spec, parameters)
    _check_source(spec, parameters)
    if spec.modes is not None:
        _check_frames(spec, parameters)
        _check_references(spec, parameters)
    added = _check_extension_inputs(spec, parameters)
    _check_switches(spec, parameters)
    return (*_disputes(spec, parameters), *_advice(spec, parameters), *added)


def check_express_key(spec: ModelSpec) -> tuple[str, ...]:
    """Check whether a model can be used with a Vertex AI express key.

    Returns:
        Warnings: what is in doubt.

    Raises:
        InvalidRequestError: It is known not to work.
    """
    on_vertex = spec.surfaces.get("vertex")
    if on_vertex is None or on_vertex.express in {None, "yes"}:
        return ()
    why = f": {on_vertex.express_note}" if on_vertex.express_note else ""
    instead = "a service account or another login of Google Cloud with a project"
    if on_vertex.express == "no":
        raise InvalidRequestError(
            f"model={spec.id!r} cannot be used with a Vertex AI express key{why}.",
            field="model",
            hint=f"Use {instead}, or another model.",
            code="credential_not_accepted",
        )
    return (f"Whether {spec.id} takes a Vertex AI express key is not certain{why}; if it fails, use {instead}.",)


def _check_mode(spec: ModelSpec, mode: str) -> None:
    if spec.modes is None or mode in spec.modes:
        return
    instead = _INSTEAD_OF_MODE.get(mode, "")
    if instead not in spec.modes:
        instead = spec.modes[0]
    raise refuse("mode", mode, allowed=spec.modes, where=spec.id, hint=f"Use mode={instead!r} or another model.")


def _check_count(spec: ModelSpec, count: int) -> None:
    if not 1 <= count <= MAX_COUNT:
        raise refuse("count", count, allowed=tuple(range(1, MAX_COUNT + 1)), where=spec.id)


def _check_value(spec: ModelSpec, field: str, value: str | None, allowed: Sequence[str] | None) -> None:
    if value is None or allowed is None or value in allowed:
        return
    raise refuse(field, value, allowed=allowed, where=spec.id)


def _check_input_images(spec: ModelSpec, parameters: ImageParameters) -> None:
    given, most = parameters.input_images, spec.max_input_images
    if most is not None and given > most:
        raise refuse(
            "input_images",
            given,
            allowed=f"at most {most} pictures",
            where=spec.id,
            hint=f"Leave out {given - most} of them.",
        )
    if parameters.mode == "image_edit" and given < 1:
        raise refuse(
            "input_images",
            given,
            allowed="at least 1 picture",
            where=f"{spec.id} in mode 'image_edit'",
            hint="Give the picture to edit, or use mode='text_to_image'.",
        )
    if parameters.mode == "text_to_image" and given > 0:
        raise refuse(
            "input_images",
            given,
            allowed="none",
            where=f"{spec.id} in mode 'text_to_image'",
            hint="Use mode='image_edit'.",
        )


def _check_duration(spec: ModelSpec, parameters: VideoParameters) -> None:
    if parameters.mode == "video_edit" and parameters.source_seconds is not None:
        return  # the length is that of the source, which is checked by itself
    allowed = spec.durations_for(parameters.mode)
    if allowed and parameters.duration_seconds not in allowed:
        where = f"{spec.id} in mode {parameters.mode!r}"
        raise refuse("duration_seconds", parameters.duration_seconds, allowed=allowed, where=where)


def _check_source(spec: ModelSpec, parameters: VideoParameters) -> None:
    if parameters.source_seconds is None:
        return
    if parameters.mode == "video_edit" and spec.edit_source_seconds is not None:
        _check_edit_source(spec, parameters.source_seconds, spec.edit_source_seconds)
    if parameters.mode == "video_extension" and spec.max_total_seconds is not None:
        _check_total(spec, parameters, parameters.source_seconds, spec.max_total_seconds)


def _check_edit_source(spec: ModelSpec, seconds: float, limits: tuple[int, int]) -> None:
    shortest, longest = limits
    # A clip that was asked for as 10 s may hold a few frames more.
    if not shortest - 0.25 <= seconds <= longest + 0.25:
        raise refuse(
            "video",
            f"{seconds:g} s long",
            allowed=f"{shortest} to {longest} seconds",
            where=f"{spec.id} in mode 'video_edit'",
            hint="Cut the video, or use a model that edits longer ones.",
        )


def _check_total(spec: ModelSpec, parameters: VideoParameters, source: float, most: int) -> None:
    room = most + 0.25 - source
    if parameters.duration_seconds <= room:
        return
    fitting = tuple(seconds for seconds in spec.durations_for(parameters.mode) if seconds <= room)
    where = f"{spec.id} when the source is {source:g} s long and the whole may be {most} s"
    hint = None if fitting else f"The source cannot be extended further: {most} s is the most for this model."
    allowed = fitting or "nothing"
    raise refuse("duration_seconds", parameters.duration_seconds, allowed=allowed, where=where, hint=hint)


def _check_frames(spec: ModelSpec, parameters: VideoParameters) -> None:
    fewest, most = _FRAMES.get(parameters.mode, (0, 2))
    if spec.max_input_images is not None:
        most = min(most, spec.max_input_images)
    given = parameters.input_images
    if fewest <= given <= most:
        return
    if given < fewest:
        field = "image" if given == 0 else "last_frame"
    else:
        field = "last_frame" if parameters.mode == "image_to_video" else "image"
    allowed = f"{fewest} to {most} pictures" if fewest != most else f"exactly {_pictures(most)}"
    hint = _HINT_BY_FRAMES.get(given, "Give image and at most one last_frame.")
    raise refuse(field, _pictures(given), allowed=allowed, where=f"{spec.id} in mode {parameters.mode!r}", hint=hint)


def _pictures(number: int) -> str:
    return f"{number} picture" if number == 1 else f"{number} pictures"


def _check_extension_inputs(spec: ModelSpec, parameters: VideoParameters) -> tuple[str, ...]:
    """Check what goes in beside a video that is extended, and say how little is known of it."""
    if parameters.mode != "video_extension":
        return ()
    counts = {"last_frame": parameters.input_images, "reference_images": parameters.reference_images}
    given = [name for name, number in counts.items() if number]
    where = f"{spec.id} in mode 'video_extension'"
    for name in given:
        if spec.extension_inputs is not None and name not in spec.extension_inputs:
            hint = (
                f"Use generate_video(remix_from=…, remix_start='last', {name}=…), which starts a new clip on the last "
                "frame."
            )
            raise refuse(name, _pictures(counts[name]), allowed="none", where=where, hint=hint)
    if len(given) > 1:
        raise refuse("reference_images", counts["reference_images"], allowed="none beside last_frame", where=where)
    return tuple(
        f"{name} beside the video that is extended: Google was reported to accept it with {spec.id}; whether it has an "
        "effect on the clip was not reported."
        for name in given
    )


def _check_references(spec: ModelSpec, parameters: VideoParameters) -> None:
    given, most, modes = parameters.reference_images, spec.max_reference_images, spec.reference_modes
    where = f"{spec.id} in mode {parameters.mode!r}"
    if parameters.mode == "video_extension" and "reference_images" in (spec.extension_inputs or ()):
        modes = None
    if given and modes is not None and parameters.mode not in modes:
        instead = (
            "leave image and last_frame out" if parameters.input_images else f"use mode={modes[0]!r}" if modes else ""
        )
        hint = f"Leave them out, or {instead}" if modes else "Leave them out"
        raise refuse("reference_images", given, allowed="none", where=where, hint=f"{hint}.")
    if most is not None and given > most:
        hint = f"Leave out {given - most} of them."
        raise refuse("reference_images", given, allowed=f"at most {most} pictures", where=where, hint=hint)
    if parameters.mode in {"reference_asset", "reference_style"} and given < 1:
        hint = "Give at least one, or use mode='text_to_video'."
        raise refuse("reference_images", given, allowed="at least 1 picture", where=where, hint=hint)


def _check_switches(spec: ModelSpec, parameters: VideoParameters) -> None:
    if spec.audio == "always" and not parameters.generate_audio:
        hint = "Leave generate_audio out and take the sound off afterwards."
        raise refuse(
            "generate_audio", False, allowed=("True",), where=f"{spec.id}, which always makes sound", hint=hint
        )
    if spec.seed is False and parameters.seed is not None:
        raise refuse("seed", parameters.seed, allowed=(), where=spec.id)
    _check_seed_range(spec, parameters.seed)
    if spec.negative_prompt is False and parameters.negative_prompt is not None:
        hint = "Say in the prompt what to avoid."
        # The text is the caller's own and stays out of the message.
        raise refuse("negative_prompt", "…", allowed=(), where=spec.id, hint=hint)
    if spec.resize_modes and parameters.resize_mode is not None and parameters.input_images == 0:
        hint = "Leave resize_mode out, or give image."
        where = f"{spec.id} without a first or last frame to fit"
        raise refuse("resize_mode", parameters.resize_mode, allowed=(), where=where, hint=hint)


def _check_seed_range(spec: ModelSpec, seed: int | None) -> None:
    if seed is None or spec.max_seed is None or 0 <= seed <= spec.max_seed:
        return
    hint = f"Use seed={min(max(seed, 0), spec.max_seed)}."
    raise refuse("seed", seed, allowed=f"0 to {spec.max_seed}", where=spec.id, hint=hint)


def _disputes(spec: ModelSpec, parameters: ImageParameters | VideoParameters) -> tuple[str, ...]:
    warnings = []
    for dispute in spec.disputed:
        if _is_disputed(dispute, parameters):
            names = (dispute.field, *dispute.when)
            said = " and ".join(f"{name}={getattr(parameters, name)!r}" for name in names)
            warnings.append(f"{said} with {spec.id}: {dispute.note}.")
    return tuple(warnings)


def _is_disputed(dispute: Dispute, parameters: ImageParameters | VideoParameters) -> bool:
    value = getattr(parameters, dispute.field, None)
    if value is None or value is False or dispute.value not in {None, value}:
        return False
    if dispute.above is not None and value <= dispute.above:
        return False
    return all(getattr(parameters, name, None) in values for name, values in dispute.when.items())


def _advice(spec: ModelSpec, parameters: VideoParameters) -> tuple[str, ...]:
    most = spec.advised_reference_images
    if most is None or parameters.reference_images <= most:
        return ()
    return (f"reference_images={parameters.reference_images} with {spec.id}: at most {most} are advised.",)
