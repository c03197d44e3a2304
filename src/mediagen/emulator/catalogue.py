"""What the emulated API offers: models, their limits and prices, as data.

Source: https://ai.google.dev/gemini-api/docs/models (checked 2026-11-21)
Source: https://ai.google.dev/gemini-api/docs/pricing (checked 2026-11-21)
Source: https://cloud.google.com/vertex-ai/generative-ai/pricing (checked 2026-11-21)
"""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

TEN_RATIOS = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
ALL_RATIOS = (*TEN_RATIOS, "1:4", "4:1", "1:8", "8:1")

BASE_PIXELS: dict[str, tuple[int, int]] = {
    "1:1": (1024, 1024),
    "2:3": (848, 1264),
    "3:2": (1264, 848),
    "3:4": (896, 1200),
    "4:3": (1200, 896),
    "4:5": (928, 1152),
    "5:4": (1152, 928),
    "9:16": (768, 1376),
    "16:9": (1376, 768),
    "21:9": (1584, 672),
    "1:4": (512, 2048),
    "4:1": (2048, 512),
    "1:8": (384, 3072),
    "8:1": (3072, 384),
}
SIZE_FACTORS: dict[str, float] = {"512": 0.5, "1K": 1, "2K": 2, "4K": 4}

VIDEO_SHORT_SIDES: dict[str, int] = {"360p": 360, "720p": 720, "1080p": 1080, "4k": 2160}
VIDEO_TOKENS_PER_SECOND: dict[str, int] = {"360p": 1931, "720p": 5792, "1080p": 8688, "4k": 17376}
VIDEO_FPS = 24
VIDEO_INPUT_TOKENS_PER_SECOND = 5792
INPUT_IMAGE_TOKENS = 1120
VIDEO_INPUT_IMAGE_TOKENS = 2040
INLINE_VIDEO_LIMIT_BYTES = 4_000_000
REGIONAL_UPLIFT = Decimal("1.1")
VEO_RATIOS = ("16:9", "9:16")
VEO_MAX_SAMPLES = 4
VEO_MAX_REFERENCES = 3
VEO_EXTENSION_SECONDS = 7
VEO_MAX_TOTAL_SECONDS = 148
VEO_MIN_SOURCE_SECONDS = 1
# in the order in which Google names them
VEO_SECONDS: dict[str, tuple[int, ...]] = {
    "text_to_video": (8, 4, 6),
    "image_to_video": (8, 4, 6),
    "reference_to_video": (8,),
    "video_extension": (VEO_EXTENSION_SECONDS,),
}
MAX_INPUT_IMAGES = 14


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageModel:
    """One picture model; prices in USD per million tokens."""

    name: str
    display_name: str
    locations: tuple[str, ...] = ()
    ratios: tuple[str, ...] = ALL_RATIOS
    sizes: tuple[str, ...] = ("512", "1K", "2K", "4K")
    thinking_levels: tuple[str, ...] = ("MINIMAL", "MEDIUM", "HIGH")
    input_price: Decimal = Decimal("1.50")
    text_price: Decimal = Decimal("7.50")
    image_price: Decimal = Decimal("30")
    image_tokens: tuple[tuple[str, int], ...] = (("512", 747), ("1K", 1120), ("2K", 1680), ("4K", 2520))


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoModel:
    """One film model; durations in seconds, prices in USD per million tokens; no locations means all of them."""

    name: str
    display_name: str
    locations: tuple[str, ...] = ()
    max_seconds: int
    max_references: int
    max_total_seconds: int
    max_edit_seconds: int
    video_price: Decimal
    input_price: Decimal = Decimal("1.50")
    text_price: Decimal = Decimal("9")
    min_seconds: int = 3
    min_edit_seconds: int = 0
    max_extension_seconds: int = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class VeoModel:
    """One film model of Vertex AI; prices in USD per second with and without sound, by resolution."""

    name: str
    display_name: str
    prices: tuple[tuple[str, Decimal, Decimal], ...]
    features: frozenset[str] = frozenset({"text_to_video", "image_to_video", "reference_to_video", "video_extension"})
    locations: tuple[str, ...] = ("us-central1",)
    launch_stage: str = "GA"

    @property
    def resolutions(self) -> tuple[str, ...]:
        """The resolutions it makes."""
        return tuple(row[0] for row in self.prices)

    def usd_per_second(self, resolution: str, *, has_audio: bool) -> Decimal:
        """Give the price of a second."""
        row = next(row for row in self.prices if row[0] == resolution)
        return row[1] if has_audio else row[2]


@dataclass(frozen=True, kw_only=True, slots=True)
class TextModel:
    """One text model: counts tokens, answers with text."""

    name: str
    display_name: str
    locations: tuple[str, ...] = ()


EmulatedModel = ImageModel | VideoModel | VeoModel | TextModel
Kind = Literal["image", "video"]

MODELS: tuple[EmulatedModel, ...] = (
    ImageModel(name="gemini-nano-banana-2.1", display_name="Nano Banana 2.1"),
    ImageModel(
        name="gemini-3.1-flash-image",
        display_name="Nano Banana 2",
        thinking_levels=("MINIMAL", "HIGH"),
        input_price=Decimal("0.50"),
        text_price=Decimal(3),
        image_price=Decimal(60),
    ),
    ImageModel(
        name="gemini-3.1-flash-lite-image",
        display_name="Nano Banana 2 Lite",
        sizes=("1K",),
        thinking_levels=("MINIMAL", "HIGH"),
        input_price=Decimal("0.25"),
        text_price=Decimal("1.50"),
    ),
    ImageModel(
        name="gemini-3-pro-image",
        display_name="Nano Banana Pro",
        ratios=TEN_RATIOS,
        sizes=("1K", "2K", "4K"),
        thinking_levels=("LOW", "HIGH"),
        input_price=Decimal(2),
        text_price=Decimal(12),
        image_price=Decimal(120),
        image_tokens=(("1K", 1120), ("2K", 1120), ("4K", 2000)),
    ),
    VideoModel(
        name="gemini-omni-1.2-flash",
        display_name="Gemini Omni 1.2 Flash",
        max_seconds=15,
        max_references=6,
        max_total_seconds=30,
        min_edit_seconds=3,
        max_edit_seconds=15,
        video_price=Decimal(12),
    ),
    VideoModel(
        name="gemini-omni-1.1-flash",
        display_name="Gemini Omni 1.1 Flash",
        locations=("global",),
        max_seconds=10,
        max_references=3,
        max_total_seconds=40,
        max_edit_seconds=10,
        video_price=Decimal("17.50"),
    ),
    TextModel(name="gemini-3.8-flash", display_name="Gemini 3.8 Flash"),
)
VEO_MODELS: tuple[VeoModel, ...] = (
    VeoModel(
        name="veo-3.1-generate-001",
        display_name="Veo 3.1",
        prices=(
            ("720p", Decimal("0.40"), Decimal("0.20")),
            ("1080p", Decimal("0.40"), Decimal("0.20")),
            ("4k", Decimal("0.60"), Decimal("0.40")),
        ),
    ),
    VeoModel(
        name="veo-3.1-fast-generate-001",
        display_name="Veo 3.1 Fast",
        prices=(
            ("720p", Decimal("0.10"), Decimal("0.08")),
            ("1080p", Decimal("0.12"), Decimal("0.10")),
            ("4k", Decimal("0.30"), Decimal("0.25")),
        ),
    ),
    VeoModel(
        name="veo-3.1-lite-generate-001",
        display_name="Veo 3.1 Lite",
        prices=(("720p", Decimal("0.05"), Decimal("0.03")), ("1080p", Decimal("0.08"), Decimal("0.05"))),
        features=frozenset({"text_to_video", "image_to_video"}),
        launch_stage="PUBLIC_PREVIEW",
    ),
)
BY_NAME: dict[str, EmulatedModel] = {model.name: model for model in MODELS}
PUBLISHED: dict[str, EmulatedModel] = {model.name: model for model in (*MODELS, *VEO_MODELS)}

RETIRED = frozenset(
    {
        "gemini-2.5-flash-image",
        "gemini-2.5-flash-image-preview",
        "gemini-3-pro-image-preview",
        "gemini-3.1-flash-image-preview",
        "gemini-omni-flash-preview",
        "imagen-3.0-generate-002",
        "imagen-4.0-fast-generate-001",
        "imagen-4.0-generate-001",
        "imagen-4.0-ultra-generate-001",
        "veo-2.0-generate-001",
        "veo-3.0-fast-generate-001",
        "veo-3.0-generate-001",
        "veo-3.1-fast-generate-preview",
        "veo-3.1-generate-preview",
        "veo-3.1-lite-generate-preview",
    }
)


def at_regional_prices(model: EmulatedModel) -> EmulatedModel:
    """Give a model as it is sold outside the global endpoint; Veo has one price, as it is sold in one place."""
    if isinstance(model, ImageModel):
        return replace(
            model,
            input_price=model.input_price * REGIONAL_UPLIFT,
            text_price=model.text_price * REGIONAL_UPLIFT,
            image_price=model.image_price * REGIONAL_UPLIFT,
        )
    if isinstance(model, VideoModel):
        return replace(
            model,
            input_price=model.input_price * REGIONAL_UPLIFT,
            text_price=model.text_price * REGIONAL_UPLIFT,
            video_price=model.video_price * REGIONAL_UPLIFT,
        )
    return model


def picture_size(aspect_ratio: str, image_size: str) -> tuple[int, int]:
    """Give the width and height in pixels that Google returns for a ratio and a size."""
    width, height = BASE_PIXELS[aspect_ratio]
    factor = SIZE_FACTORS[image_size]
    return int(width * factor), int(height * factor)


def nearest_ratio(size: tuple[int, int], ratios: tuple[str, ...]) -> str:
    """Give the supported ratio nearest to a picture's own."""
    actual = size[0] / size[1]

    def distance(ratio: str) -> float:
        width, height = BASE_PIXELS[ratio]
        wanted = width / height
        return max(actual / wanted, wanted / actual)

    return min(ratios, key=distance)


def film_size(aspect_ratio: str, resolution: str) -> tuple[int, int]:
    """Give the width and height in pixels of a clip."""
    short = VIDEO_SHORT_SIDES[resolution]
    long = short * 16 // 9
    return (long, short) if aspect_ratio == "16:9" else (short, long)
