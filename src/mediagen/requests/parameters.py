"""What is sent, after defaults and adjustments."""

from dataclasses import dataclass

from mediagen.requests.fields import ImageMode, VideoMode


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
