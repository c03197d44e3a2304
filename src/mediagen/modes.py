"""The modes of a clip: found from the inputs, and put into words where a model has no field for them. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mediagen.errors import InvalidRequestError
from mediagen.jobs import Adjustment
from mediagen.requests import ExtendVideoRequest, GenerateVideoRequest, VideoMode, VideoRequest

Role = Literal["asset", "style"]
MODES: tuple[VideoMode, ...] = (
    "text_to_video",
    "image_to_video",
    "first_last_frames",
    "reference_asset",
    "reference_style",
    "video_extension",
    "insert_objects",
    "remove_objects",
    "video_edit",
    "remix",
)
NEEDS: Mapping[VideoMode, str] = {
    "text_to_video": "prompt alone",
    "image_to_video": "image",
    "first_last_frames": "image and last_frame",
    "reference_asset": "reference_images (PATH or PATH:asset), and neither image nor last_frame",
    "reference_style": "one reference_images entry PATH:style, and neither image nor last_frame",
    "video_extension": "the tool extend_video",
    "insert_objects": "video, and mask_mode='insert' or none; mask if you have one",
    "remove_objects": "video, and mask_mode='remove', 'remove_static' or none; mask if you have one",
    "video_edit": "video; mask_mode, if given, must be 'outpaint'",
    "remix": "remix_from",
}
# Arguments that mean nothing without another one.
_DEPENDS: Mapping[str, tuple[str, str]] = {
    "last_frame": ("image", "the picture the clip starts on"),
    "mask": ("video", "the video to change"),
    "mask_mode": ("video", "the video to change"),
    "remix_start": ("remix_from", "the video to take frames from"),
    "remix_end": ("remix_from", "the video to take frames from"),
    "remix_last_frame": ("remix_from", "the video to take frames from"),
}
_CLASHES: Mapping[str, tuple[tuple[str, ...], str]] = {
    "remix_from": (
        ("image", "last_frame", "video"),
        "A remix takes its frames from remix_from; leave the others out.",
    ),
    "video": (("image", "last_frame"), "To bring a picture into the video, give it as reference_images."),
}
_BY_MASK_MODE: Mapping[str | None, tuple[VideoMode, ...]] = {
    None: ("video_edit", "insert_objects", "remove_objects"),
    "insert": ("insert_objects",),
    "remove": ("remove_objects",),
    "remove_static": ("remove_objects",),
    "outpaint": ("video_edit",),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """A picture for the model to go by.

    Attributes:
        role: Whether its things are to be kept, or the way it is drawn.
    """

    source: str
    role: Role


def video_mode(request: VideoRequest) -> VideoMode:
    """Find the mode from the inputs; an explicit `mode` must agree with them.

    Raises:
        InvalidRequestError: Inputs that cannot go together.
    """
    if isinstance(request, ExtendVideoRequest):
        return _extension(request)
    assert isinstance(request, GenerateVideoRequest)
    fitting = _fitting(request)
    wanted = request.mode
    if wanted is None:
        return fitting[0]
    if wanted not in fitting:
        raise InvalidRequestError(
            f"mode={wanted!r} does not fit the inputs, which make it {fitting[0]!r}.",
            field="mode",
            hint=f"mode={wanted!r} needs: {NEEDS[wanted]}. Or leave mode out.",
        )
    return wanted


def references_of(request: VideoRequest) -> tuple[Reference, ...]:
    """The reference pictures with their roles.

    Raises:
        InvalidRequestError: Roles that cannot go together, or several styles.
    """
    found = tuple(Reference(source=path, role=role) for path, role in map(split_role, request.reference_images or ()))
    styles = sum(reference.role == "style" for reference in found)
    if 0 < styles < len(found):
        # Source: a live answer of Google, "Reference to video does not support this mix of reference images."
        raise InvalidRequestError(
            "Reference to video does not support this mix of reference images: both ':asset' and ':style'.",
            field="reference_images",
            hint="Give only assets, or only one style.",
        )
    if styles > 1:
        raise InvalidRequestError(
            f"reference_images has {styles} ':style' entries; allowed: 1.",
            field="reference_images",
            hint="Keep the one whose style you want.",
        )
    return found


def split_role(reference: str) -> tuple[str, Role]:
    """Split ``PATH[:asset|style]``; any other text after a colon belongs to the path."""
    path, colon, role = reference.rpartition(":")
    if colon and path and role == "style":
        return path, "style"
    if colon and path and role == "asset":
        return path, "asset"
    return reference, "asset"


def worded(
    prompt: str,
    mode: VideoMode,
    *,
    references: Sequence[Reference] = (),
    mask: bool = False,
    mask_mode: str | None = None,
) -> str:
    """The prompt for a model without fields for masks and styles: says in words what is to be done with them.

    Args:
        prompt: What the caller wrote; may be empty where a mask says enough.
        mode: What is asked.
        references: Pictures to go by, in the order in which they are sent.
        mask: Whether a mask is sent behind them.
        mask_mode: What is to be done inside it.
    """
    place = f", only inside the white area of the mask <IMAGE_REF_{len(references)}>" if mask else ""
    lead, end = _task_words(mode, place, mask_mode)
    # Without words of its own the end of the instruction says what is to be done.
    text = "\n\n".join(part for part in (f"{lead}: {prompt}" if lead and prompt else prompt or lead, end) if part)
    styles = [f"<IMAGE_REF_{n}>" for n, reference in enumerate(references) if reference.role == "style"]
    return "\n\n".join([text, *(f"In the style of {tag}." for tag in styles if tag not in prompt)])


def _task_words(mode: VideoMode, place: str, mask_mode: str | None) -> tuple[str, str]:
    if mask_mode == "outpaint":
        return f"Widen the picture of the video beyond its edges{place}", "Keep what is there already as it is."
    if mode == "insert_objects":
        return f"Insert into the video{place}", "Keep everything else the same."
    if mode == "remove_objects":
        what = "Remove from the video what does not move" if mask_mode == "remove_static" else "Remove from the video"
        return f"{what}{place}", "Show what would be behind it. Keep everything else the same."
    if place:
        return f"Change the video{place}", "Keep everything else the same."
    return "", ""


_REASONS: Mapping[VideoMode, str] = {
    "reference_style": "no living model takes style references; the picture is a reference, the prompt says what for",
    "insert_objects": "no living model takes masks; the video is edited by an instruction in words",
    "remove_objects": "no living model takes masks; the video is edited by an instruction in words",
    "remix": "frames of the video become the frames of a new clip",
}


def ways_told(mode: VideoMode, way: VideoMode, request: GenerateVideoRequest) -> tuple[Adjustment, ...]:
    """How the result says which way was taken."""
    told = []
    if way != mode:
        told.append(Adjustment(field="mode", from_value=mode, to_value=way, reason=_REASONS[mode]))
    if request.mask:
        reason = "no living model takes masks; the prompt says what it is for"
        told.append(Adjustment(field="mask", from_value="mask", to_value="reference picture", reason=reason))
    if request.mask_mode:
        reason = "no living model has a field for it"
        told.append(
            Adjustment(field="mask_mode", from_value=request.mask_mode, to_value="said in the prompt", reason=reason)
        )
    return tuple(told)


def _extension(request: ExtendVideoRequest) -> VideoMode:
    if request.last_frame is not None and request.reference_images:
        raise InvalidRequestError(
            "last_frame and reference_images cannot be used together when extending.",
            field="reference_images",
            hint="Give one of them; nobody is known to have tried both.",
        )
    if any(reference.role == "style" for reference in references_of(request)):
        raise InvalidRequestError(
            "reference_images has a ':style' entry; when extending, only ':asset' is allowed.",
            field="reference_images",
            hint="Give assets, or describe the style in the prompt.",
        )
    return "video_extension"


def _fitting(request: GenerateVideoRequest) -> tuple[VideoMode, ...]:
    """Modes that the inputs allow, the likeliest first."""
    _refuse_clashes(request)
    if request.remix_from:
        return ("remix",)
    if request.video:
        return _BY_MASK_MODE[request.mask_mode]
    if request.last_frame:
        return ("first_last_frames",)
    if request.image:
        return ("image_to_video",)
    references = references_of(request)
    if references:
        return ("reference_style",) if references[0].role == "style" else ("reference_asset",)
    return ("text_to_video",)


def _refuse_clashes(request: GenerateVideoRequest) -> None:
    for name, (needed, what) in _DEPENDS.items():
        is_given = getattr(request, name) is not None
        clashes = name == "last_frame" and (request.video or request.remix_from)
        if is_given and getattr(request, needed) is None and not clashes:
            raise InvalidRequestError(f"{name} needs {needed}, {what}.", field=name, hint=f"Give {needed} as well.")
    for name, (others, hint) in _CLASHES.items():
        found = next((other for other in others if getattr(request, other) is not None), None)
        if getattr(request, name) is not None and found:
            raise InvalidRequestError(f"{name} cannot be combined with {found}.", field=name, hint=hint)
    if request.remix_start == "last" and (request.remix_end is not None or request.remix_last_frame):
        name = "remix_end" if request.remix_end is not None else "remix_last_frame"
        raise InvalidRequestError(
            f"{name} cannot be used with remix_start='last': nothing comes after the last frame.",
            field=name,
            hint="Leave one of them out.",
        )
    if request.remix_end is not None and request.remix_last_frame is False:
        raise InvalidRequestError(
            "remix_end says where to take the last frame, but remix_last_frame is false.",
            field="remix_end",
            hint="Leave one of them out.",
        )
