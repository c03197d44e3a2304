"""What a caller may ask for, as validated values; the tool schemas and the command line are made from these.

A request holds what the caller said and nothing else: an absent argument is None, so that an explicit value always
wins. Parameters hold what is sent, after defaults and adjustments.
"""

import difflib
import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

Backend = Literal["auto", "gemini", "vertex", "cliproxy", "emulator"]
ImageMode = Literal["text_to_image", "image_edit"]
VideoMode = Literal[
    "text_to_video",
    "image_to_video",
    "first_last_frames",
    "reference_asset",
    "reference_style",
    "video_extension",
    "insert_objects",
    "remove_objects",
    "remix",
    "video_edit",
]

MAX_PROMPT_CHARACTERS = 32_000
Prompt = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_PROMPT_CHARACTERS)]
Source = Annotated[str, StringConstraints(min_length=1, max_length=40_000_000)]


def _as_list(value: object) -> object:
    """Some clients send a list as JSON text, or a single value instead of a list."""
    if not isinstance(value, str):
        return value
    if value.startswith("["):
        try:
            return json.loads(value)
        except ValueError:
            return [value]
    return [value]


Sources = BeforeValidator(_as_list)
Word = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Path = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Usd = Annotated[Decimal, Field(ge=0, le=100_000)]
Seconds = Annotated[float, Field(ge=0, le=3600)]

SOURCES = "Local path, https URL, gs:// URI, data: URI or mediagen://artifacts/<id>."


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def _nulls_are_absent(cls, data: Any) -> Any:
        """Some clients send null for every argument that they leave out."""
        return {name: value for name, value in data.items() if value is not None} if isinstance(data, dict) else data


class GenerationRequest(_Request):
    """Arguments that every paid tool shares."""

    model: Word | None = Field(None, description="Google model id; the default is the newest that fits.")
    backend: Backend | None = Field(
        None, description="API surface. auto = the first configured one; emulator = free local stand-in."
    )
    profile: Word | None = Field(None, description="Configured project to use.")
    preset: Word | None = Field(None, description="Named set of values; explicit arguments win.")
    output_dir: Path | None = Field(None, description="Folder for the files; default: the working directory.")
    output_name: Annotated[str, StringConstraints(min_length=1, max_length=120)] | None = Field(
        None, description="File name without extension; existing files are never overwritten."
    )
    upload_to: Path | None = Field(None, description="gs:// prefix to which the finished file is copied.")
    max_usd: Usd | None = Field(
        None, description="Most the whole job may cost in US dollars; above it nothing is sent. Doubles as approval."
    )
    request_id: Word | None = Field(
        None, description="Your own id: the same id returns the same job instead of paying twice."
    )
    force_new: bool = Field(False, description="Start a new paid job even when this request_id was used before.")
    dry_run: bool = Field(False, description="Show effective values, price and request; send nothing.")
    preview: bool = Field(True, description="Include a small JPEG preview in the answer.")
    wait_seconds: Seconds | None = Field(
        None, description="How long to wait before handing back the running job (follow it with get_job)."
    )


class GenerateImageRequest(GenerationRequest):
    """Make or edit pictures. Costs money: about $0.03 to $0.25 each."""

    prompt: Prompt = Field(description="What to draw, or how to change the input images. Plain sentences work best.")
    input_images: Annotated[list[Source], Field(max_length=14), Sources] | None = Field(
        None, description=f"Pictures to edit or combine, in the order the prompt speaks of them. {SOURCES}"
    )
    documents: Annotated[list[Source], Field(max_length=10), Sources] | None = Field(
        None, description="Text files (txt, md, csv, json) given to the model as context."
    )
    aspect_ratio: Word | None = Field(
        None,
        description="For example 1:1, 3:2, 4:3, 16:9, 9:16, 21:9. Default 1:1, or that of the first input image.",
    )
    image_size: Word | None = Field(None, description="1K (default), 2K or 4K; 512 where the model has it.")
    count: Annotated[int, Field(ge=1, le=4)] | None = Field(
        None, description="How many pictures; each is a paid call. Default 1."
    )
    negative_prompt: Prompt | None = Field(None, description="What to avoid; is added to the prompt in words.")
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = Field(
        None, description="Asks for repeatability; the model does not promise it."
    )
    thinking_level: Word | None = Field(None, description="minimal, medium or high, as the model allows.")
    person_generation: Word | None = Field(None, description="allow_all, allow_adult or dont_allow (Vertex AI only).")
    search_grounding: bool | None = Field(None, description="Let the model search the web first; costs extra.")
    continue_from: Word | None = Field(
        None, description="Job id or artifact URI of a picture to go on editing, with all that was said before."
    )


class VideoRequest(GenerationRequest):
    """Arguments that generate_video and extend_video share."""

    last_frame: Source | None = Field(None, description=f"Picture the clip ends on. {SOURCES}")
    reference_images: Annotated[list[Source], Field(max_length=10), Sources] | None = Field(
        None,
        description="Pictures of people, things or places to keep consistent: PATH or PATH:asset; "
        f"or one whose style to follow: PATH:style (Omni). {SOURCES}",
    )
    duration_seconds: Annotated[int, Field(ge=1, le=60)] | None = Field(
        None,
        description="Length of the (new) clip in whole seconds; what is allowed depends on model and mode. Default 8. "
        "An edited video keeps its length.",
    )
    aspect_ratio: Word | None = Field(None, description="16:9 (default) or 9:16.")
    resolution: Word | None = Field(None, description="360p, 720p (default), 1080p or 4k, as the model allows.")
    generate_audio: bool | None = Field(None, description="Whether to make sound; Omni models always do.")
    count: Annotated[int, Field(ge=1, le=4)] | None = Field(
        None, description="How many clips; each is paid for. Default 1."
    )
    negative_prompt: Prompt | None = Field(None, description="What to avoid.")
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] | None = Field(None, description="Asks for repeatability.")
    person_generation: Word | None = Field(None, description="allow_all, allow_adult or dont_allow (Veo only).")
    resize_mode: Literal["crop", "pad"] | None = Field(None, description="How Veo fits a picture to the frame.")
    compression_quality: Literal["optimized", "lossless"] | None = Field(None, description="Veo only.")
    storage_uri: Path | None = Field(
        None, description="gs:// prefix to which Google writes; the clip is fetched too (Vertex AI only)."
    )


class GenerateVideoRequest(VideoRequest):
    """Make a clip. Costs money: about $0.02 to $0.60 per second; takes one to five minutes."""

    prompt: Prompt | None = Field(
        None, description="Subject, action, setting, camera, light and sound. Needed unless remixing."
    )
    image: Source | None = Field(None, description=f"Picture the clip starts on. {SOURCES}")
    video: Source | None = Field(
        None,
        description="Existing video (MP4) to change as the prompt says (Omni): local path, mediagen://artifacts/<id>, "
        "job id, Gemini file URI or gs://.",
    )
    mask: Source | None = Field(
        None, description="Picture that is white where video may change; goes in as a reference picture."
    )
    mask_mode: Literal["insert", "remove", "remove_static", "outpaint"] | None = Field(
        None, description="What to do with video, inside the mask if there is one; is said in the prompt."
    )
    remix_from: Source | None = Field(
        None, description="Video (local path, mediagen://artifacts/<id> or job id) whose frame starts the new clip."
    )
    remix_start: Word | None = Field(None, description="Where to take the first frame: seconds or M:SS. Default 0.")
    remix_end: Word | None = Field(None, description="Where to take the last frame: seconds or M:SS.")
    remix_last_frame: bool | None = Field(None, description="End the new clip on the last frame of remix_from.")
    mode: VideoMode | None = Field(None, description="Found from the inputs when absent; must agree with them.")


class ExtendVideoRequest(VideoRequest):
    """Continue an existing clip. Costs money like generate_video."""

    source: Source = Field(
        description="What to extend: job id, mediagen://artifacts/<id>, local path, Gemini file URI, gs:// or https."
    )
    prompt: Prompt = Field(description="What happens next.")


class CheckApiRequest(_Request):
    """Test keys, endpoints and models. Costs nothing, ever."""

    backend: Backend | None = Field(
        None, description="Surface to test; default: the one that is set, else all that are configured."
    )
    profile: Word | None = Field(None, description="Configured project to test.")
    model: Word | None = Field(None, description="Say whether this model is available.")
    filter: Word | None = Field(None, description="List only models whose id contains this.")
    deep: bool = Field(
        False,
        description="Also let each surface check the fields of a request that cannot be carried out; never billed.",
    )


class EstimateCostRequest(_Request):
    """Price of a job before it is made. Costs nothing."""

    kind: Literal["image", "video", "extension"] = Field(description="What would be made.")
    model: Word | None = Field(None, description="Google model id; default as in the paid tools.")
    image_size: Word | None = Field(None, description="For images: 512, 1K, 2K or 4K.")
    resolution: Word | None = Field(None, description="For videos: 360p, 720p, 1080p or 4k.")
    duration_seconds: Annotated[int, Field(ge=1, le=60)] | None = Field(None, description="For videos.")
    generate_audio: bool | None = Field(None, description="For videos; silent is cheaper on Veo.")
    count: Annotated[int, Field(ge=1, le=4)] | None = Field(None, description="How many. Default 1.")
    preset: Word | None = Field(None, description="Named set of values.")
    backend: Backend | None = Field(None, description="API surface.")
    profile: Word | None = Field(None, description="Configured project.")


class GetJobRequest(_Request):
    """State of a job, its files and its cost. Costs nothing."""

    job_id: Word = Field(description="Id from generate_image, generate_video or extend_video.")
    wait_seconds: Seconds | None = Field(None, description="Wait up to this long for the job to end. Default 0.")


class ListJobsRequest(_Request):
    """Jobs in the ledger, newest first. Costs nothing."""

    status: Word | None = Field(None, description="Only jobs in this state, or 'open'.")
    kind: Literal["image", "video"] | None = Field(None, description="Only pictures or only videos.")
    query: Word | None = Field(None, description="Only jobs whose prompt or id contains this.")
    limit: Annotated[int, Field(ge=1, le=100)] = Field(20, description="How many to return.")
    cursor: Word | None = Field(None, description="Where to go on: next_cursor of the answer before.")


class CancelJobRequest(_Request):
    """Ask Google to stop a running job; what is already made is still billed."""

    job_id: Word = Field(description="Id of the job.")


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageParameters:
    """What is sent for pictures, after defaults and adjustments.

    Attributes:
        aspect_ratio: Ratio "W:H", or None to let Google follow the first input image.
        count: Paid calls; each makes one picture.
        input_images: Number of pictures that go in.
    """

    model: str
    mode: ImageMode
    image_size: str
    aspect_ratio: str | None = None
    count: int = 1
    input_images: int = 0
    documents: int = 0
    seed: int | None = None
    thinking_level: str | None = None
    search_grounding: bool = False
    person_generation: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoParameters:
    """What is sent for a clip, after defaults and adjustments.

    Attributes:
        duration_seconds: Length of the new clip; for an extension only the new part. Whole seconds.
        source_seconds: Length of the video that is extended or edited, if known.
        count: Clips; each is one paid call on Omni.
    """

    model: str
    mode: VideoMode
    duration_seconds: int
    resolution: str
    aspect_ratio: str | None = None
    generate_audio: bool = True
    count: int = 1
    reference_images: int = 0
    input_images: int = 0
    source_seconds: float | None = None
    seed: int | None = None
    negative_prompt: str | None = None
    person_generation: str | None = None
    resize_mode: str | None = None
    compression_quality: str | None = None


def explain_invalid(error: ValidationError, request_type: type[BaseModel]) -> str:
    """Say which argument is wrong and what is allowed, without the values of free text."""
    known = list(request_type.model_fields)
    items = [dict(item) for item in error.errors(include_url=False, include_input=True)]
    lines = [_explain_one(item, known) for item in items]
    if any(item["type"] == "extra_forbidden" for item in items):
        lines.append(f"Accepted: {', '.join(known)}.")
    return f"[invalid_arguments] {' '.join(lines)} This call cost nothing."


_WORDS = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "decimal_parsing": "must be a number",
    "decimal_type": "must be a number",
    "string_type": "must be text",
    "list_type": 'must be a list, for example ["a.png", "b.png"]',
    "missing": "is needed",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "too_long": "may have at most {max_length} entries",
    "string_too_long": "may have at most {max_length} characters",
    "string_too_short": "must not be empty",
    "literal_error": "must be one of: {expected}",
}


def _explain_one(item: dict[str, Any], known: list[str]) -> str:
    name = ".".join(str(part) for part in item["loc"]) or "arguments"
    if item["type"] == "extra_forbidden":
        close = difflib.get_close_matches(name, known, n=1)
        meant = f" Did you mean {close[0]!r}?" if close else ""
        return f"{name}: unknown argument.{meant}"
    words = _WORDS.get(item["type"])
    said = words.format(**item.get("ctx", {})) if words else f"cannot be used ({item['msg']})"
    value = item.get("input")
    shown = f" (got {value!r})" if isinstance(value, (int, float, bool)) or _is_word(value) else ""
    return f"{name} {said}{shown}."


def _is_word(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 40 and " " not in value
