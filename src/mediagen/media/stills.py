"""Pictures through Pillow: checked, measured, made small. Blocking; imports Pillow when first used."""

import importlib
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from mediagen.errors import MediaError

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PIXELS: Final = 100_000_000
# Above this a picture is checked by its structure only: decoding it would take hundreds of megabytes.
MAX_DECODED_PIXELS: Final = 25_000_000
STILL_FORMATS: Final = {
    "image/png": "PNG",
    "image/jpeg": "JPEG",
    "image/webp": "WEBP",
    "image/gif": "GIF",
    "image/bmp": "BMP",
    "image/tiff": "TIFF",
    "image/avif": "AVIF",
    "image/heic": "HEIF",
}
_ORIENTATION_TAG = 0x0112
_QUARTER_TURNS = frozenset({5, 6, 7, 8})
_JPEG_QUALITIES = (85, 75, 60, 45, 30)
_SMALLEST_SIDE = 64
_REDUCIBLE = frozenset({"L", "LA", "RGB", "RGBA", "CMYK", "YCbCr"})
_LEAST_FACTOR = 2
_STRIP_ROWS = 4
# Larger than what the C library keeps for itself when it is freed: 32 MiB.
_BLOCK_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class StillFacts:
    """Size of a picture as shown (EXIF orientation applied), in pixels."""

    width: int
    height: int


@contextmanager
def open_still(source: Path | BinaryIO, mime_type: str, name: str) -> Iterator["Image"]:
    """Open a picture with the one decoder of its mime type; pixels are not decoded yet.

    Raises:
        MediaError: The decoder refuses it, inside the block too, or it has more than 100 million pixels.
    """
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    # Source: https://pillow.readthedocs.io/en/stable/reference/block_allocator.html (checked 2026-11-22)
    Image.core.set_block_size(_BLOCK_BYTES)  # type: ignore[attr-defined]  # documented, but not in its types
    # Pillow only warns up to twice its limit; as an error it refuses before anything is decoded.
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    try:
        _prepare_decoder(mime_type, name)
        with Image.open(source, formats=[STILL_FORMATS[mime_type]]) as image:
            _check_pixels(image, name)
            yield image
    except MediaError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise _too_many_pixels(name) from error
    except Exception as error:  # decoders meet damaged files with nearly any exception
        raise MediaError(
            f"{name} is a damaged or cut off picture ({STILL_FORMATS.get(mime_type, mime_type)}).",
            hint="Open it in an image editor and save it again as PNG or JPEG.",
            code="unreadable_media",
        ) from error


def _prepare_decoder(mime_type: str, name: str) -> None:
    """Make sure that a decoder that is not in every installation is there."""
    from PIL import features

    if mime_type == "image/avif" and not features.check("avif"):
        raise MediaError(
            f"{name} is an AVIF picture, which this build of Pillow cannot read.",
            hint="Convert it to PNG or JPEG, or install Pillow from PyPI.",
            code="unsupported_input",
        )
    if mime_type != "image/heic":
        return
    try:
        heif = importlib.import_module("pillow_heif")  # an extra: its wheels carry the x265 encoder, which is GPL
    except ImportError as error:
        raise MediaError(
            f"{name} is a HEIC picture, and the package that reads these is not installed.",
            hint='Install it with pip install "mediagen-mcp[heic]", or convert the picture to JPEG.',
            code="unsupported_input",
        ) from error
    # Thumbnails, depth and gain maps of hostile files are not even parsed.
    heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)


def _check_pixels(image: "Image", name: str) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise _too_many_pixels(name)


def _too_many_pixels(name: str) -> MediaError:
    return MediaError(
        f"{name} has more than {MAX_PIXELS // 1_000_000} million pixels.",
        hint="Make it smaller; models see at most a few million pixels.",
        code="too_many_pixels",
    )


def check_still(source: Path | BinaryIO, mime_type: str, name: str) -> StillFacts:
    """Measure a picture and make sure that it is whole.

    Raises:
        MediaError: It is damaged, cut off, or has more than 100 million pixels.
    """
    if mime_type == "image/jpeg":
        with open_still(source, mime_type, name) as image:
            facts = _facts(image)
            # At an eighth of its size the whole stream is read in little memory; there is nothing else to verify.
            image.draft("RGB", (max(1, image.width // 8), max(1, image.height // 8)))
            image.load()
        return facts
    with open_still(source, mime_type, name) as image:
        facts = _facts(image)
        image.verify()
    if facts.width * facts.height <= MAX_DECODED_PIXELS:
        _rewind(source)
        with open_still(source, mime_type, name) as image:
            image.load()
    return facts


def _rewind(source: Path | BinaryIO) -> None:
    if not isinstance(source, Path):
        source.seek(0)


def _facts(image: "Image") -> StillFacts:
    width, height = image.size
    # A PNG without the tag in its header would be decoded whole in search of it.
    has_exif = image.format != "PNG" or "exif" in image.info
    if has_exif and image.getexif().get(_ORIENTATION_TAG) in _QUARTER_TURNS:
        width, height = height, width
    return StillFacts(width=width, height=height)


def still_as_jpeg(source: Path | BinaryIO, mime_type: str, name: str, *, max_pixels: int, max_bytes: int) -> bytes:
    """Make a small JPEG: EXIF orientation applied, transparency on white, no metadata.

    Args:
        source: The picture.
        mime_type: Its real mime type.
        name: How to call it in errors.
        max_pixels: Longest side of the result, in pixels.
        max_bytes: Largest result; quality, then size are given up for it.

    Raises:
        MediaError: The picture cannot be read.
    """
    from PIL import ImageOps

    with open_still(source, mime_type, name) as image:
        image.draft("RGB", (max_pixels, max_pixels))
        small = _smaller(image, max_pixels)
        small.thumbnail((max_pixels, max_pixels))
        # Only now, so that the whole bitmap is never in memory twice.
        return _jpeg_within(_on_white(ImageOps.exif_transpose(small)), max_bytes)


def _smaller(image: "Image", max_pixels: int) -> "Image":
    """A picture that can be averaged; much larger ones brought to the size strip by strip, and their bitmap freed."""
    from PIL import Image as Images

    image.load()  # which turns a TIFF
    mode = image.mode
    if mode in {"1", "P"}:  # palettes cannot be averaged
        mode = "RGBA" if image.has_transparency_data else "RGB"
    factor = max(image.size) // max_pixels
    if factor < _LEAST_FACTOR or mode not in _REDUCIBLE:
        return image if mode == image.mode else image.convert(mode)
    small = Images.new(mode, (-(-image.width // factor), -(-image.height // factor)))
    for top in range(0, image.height, factor * _STRIP_ROWS):
        bottom = min(image.height, top + factor * _STRIP_ROWS)
        strip = image.crop((0, top, image.width, bottom))
        small.paste((strip if mode == image.mode else strip.convert(mode)).reduce(factor), (0, top // factor))
    info, orientation, (width, height) = dict(image.info), image.getexif().get(_ORIENTATION_TAG), image.size
    image.close()
    size = (
        max(1, round(width * max_pixels / max(width, height))),
        max(1, round(height * max_pixels / max(width, height))),
    )
    small = small.resize(size, box=(0, 0, width / factor, height / factor))
    small.info.update(info)
    if orientation:
        small.getexif()[_ORIENTATION_TAG] = orientation
    return small


def _on_white(image: "Image") -> "Image":
    from PIL import Image as Images

    if image.mode.startswith("I;16"):
        return image.point(lambda value: value / 256).convert("L").convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    layered = image.convert("RGBA")
    white = Images.new("RGBA", layered.size, "white")
    return Images.alpha_composite(white, layered).convert("RGB")


def _jpeg_within(image: "Image", max_bytes: int) -> bytes:
    while True:
        for quality in _JPEG_QUALITIES:
            out = io.BytesIO()
            image.save(out, format="JPEG", quality=quality, optimize=True)
            if out.tell() <= max_bytes:
                return out.getvalue()
        if min(image.size) <= _SMALLEST_SIDE:
            return out.getvalue()
        image = image.reduce(2)
