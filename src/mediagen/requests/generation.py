"""What the paid tools may be asked for."""

from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import Field, PrivateAttr, StringConstraints

from mediagen.requests.fields import (
    SOURCES,
    Backend,
    Model,
    Path,
    Prompt,
    Request,
    Seconds,
    Source,
    Sources,
    Usd,
    VideoMode,
    Word,
)


class GenerationRequest(Request):
    """Arguments that every paid tool shares."""

    _from_record: frozenset[str] = PrivateAttr(default=frozenset())
    _is_economy: bool = PrivateAttr(default=False)

    model: Model | None = Field(None, description="Google model id; the default is the newest that fits.")
    backend: Backend | None = Field(
        None, description="API surface. auto = the first configured one; emulator = free local stand-in."
    )
    profile: Word | None = Field(None, description="Configured project to use.")
    preset: Word | None = Field(
        None, description="quick, quality, extend, budget or one that is configured; explicit arguments win."
    )
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
    force_new: bool = Field(
        False,
        description="Start a new paid job even when the same request is still open, was never answered, or this "
        "request_id was used before.",
    )
    dry_run: bool = Field(False, description="Show effective values, price and request; send nothing.")
    preview: bool = Field(True, description="Include a small JPEG preview in the answer.")
    wait_seconds: Seconds | None = Field(
        None, description="How long to wait before handing back the running job (follow it with get_job)."
    )

    @property
    def from_record(self) -> frozenset[str]:
        """Arguments that were not said but taken from the record of an earlier job."""
        return self._from_record

    @property
    def is_economy(self) -> bool:
        """Whether it is to be made by Google's Batch API: at half the price, within a day."""
        return self._is_economy

    def in_economy(self) -> Self:
        """The same request, to be made by Google's Batch API."""
        request = self.model_copy()
        request._is_economy = True  # noqa: SLF001 - as below
        return request

    def taken_from_record(self, names: Iterable[str]) -> Self:
        """The same request, with these arguments marked as taken from a record."""
        request = self.model_copy()
        request._from_record = frozenset(names)  # noqa: SLF001 - of this class; the copy is not shared yet
        return request


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

    last_frame: Source | None = Field(
        None, description=f"Picture the clip ends on; with image, or when Veo extends. {SOURCES}"
    )
    reference_images: Annotated[list[Source], Field(max_length=10), Sources] | None = Field(
        None,
        description="Pictures of people, things or places to keep consistent: PATH or PATH:asset; "
        f"or one whose style the prompt then asks for in words: PATH:style (Omni). {SOURCES}",
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
        description="Existing video to change as the prompt says (Omni): local path, mediagen://artifacts/<id>, "
        "job id, Gemini file URI, gs:// or https.",
    )
    mask: Source | None = Field(
        None, description="Picture that is white where video may change; goes in as a reference picture."
    )
    mask_mode: Literal["insert", "remove", "remove_static", "outpaint"] | None = Field(
        None, description="What to do with video, inside the mask if there is one; is said in the prompt."
    )
    remix_from: Source | None = Field(
        None,
        description="Video whose frame starts the new clip: local path, mediagen://artifacts/<id>, job id, Gemini file "
        "URI, gs:// or https.",
    )
    remix_start: Word | None = Field(
        None, description="Where to take the first frame: seconds, M:SS or last. Default 0."
    )
    remix_end: Word | None = Field(None, description="Where to take the last frame: seconds or M:SS.")
    remix_last_frame: bool | None = Field(None, description="End the new clip on the last frame of remix_from.")
    mode: VideoMode | None = Field(None, description="Found from the inputs when absent; must agree with them.")


class ExtendVideoRequest(VideoRequest):
    """Continue an existing clip. Costs money like generate_video."""

    source: Source = Field(
        description="What to extend: job id, mediagen://artifacts/<id>, local path, Gemini file URI, gs:// or https."
    )
    prompt: Prompt = Field(description="What happens next.")
    times: Annotated[int, Field(ge=1, le=20)] | None = Field(
        None,
        description="Extend this often, each time going on from the result before; the whole price is named and "
        "approved first. Default 1.",
    )
