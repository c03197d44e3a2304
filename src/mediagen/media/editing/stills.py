"""Pictures in another size or format, through Pillow."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import anyio

from mediagen.errors import InvalidRequestError, MediaError
from mediagen.media.editing.engine import check_choice, check_range
from mediagen.media.editing.placing import place, temporary_for
from mediagen.media.ffmpeg import MAX_FILE_BYTES
from mediagen.media.probe import MediaFacts, probe, read_head
from mediagen.media.sniff import sniff
from mediagen.media.stills import MAX_PIXELS, STILL_FORMATS, open_still

if TYPE_CHECKING:
    from PIL.Image import Image

StillFormat = Literal["png", "jpeg", "webp"]

MAX_STILL_SIDE: Final = 16384
_FORMATS: Final = ("png", "jpeg", "webp")
_OWN_FORMATS: Final = {"image/jpeg": "jpeg", "image/webp": "webp"}
_DEEP_MODES: Final = frozenset({"I", "F"})


@dataclass(frozen=True, kw_only=True, slots=True)
class ResizeRequest:
    """What to make.

    Attributes:
        width: In pixels; with one of width and height the other follows the shape of the picture.
        fit: With both: ``contain`` fits the whole picture in, ``cover`` fills the size and cuts what stands out,
            ``exact`` stretches.
        format: None keeps JPEG and WebP, everything else becomes PNG.
        quality: Of JPEG and WebP, 1 to 100.
    """

    width: int | None = None
    height: int | None = None
    fit: Literal["contain", "cover", "exact"] = "contain"
    format: StillFormat | None = None
    quality: int = 92


async def resize_image(source: Path, target: Path, *, request: ResizeRequest) -> MediaFacts:
    """Write a picture in another size or format: turned as EXIF says, its metadata left out, its colours kept.

    Args:
        source: A picture; of an animation the first frame is taken.
        target: Where the result goes; must not exist.
        request: What to make.

    Raises:
        InvalidRequestError: A value is out of range.
        MediaError: The picture cannot be read, or the result not written.
    """
    _check(request)
    return await anyio.to_thread.run_sync(partial(_resize, source, target, request))


def _check(request: ResizeRequest) -> None:
    check_choice(request.fit, ("contain", "cover", "exact"), field="fit")
    if request.format is not None:
        check_choice(request.format, _FORMATS, field="format")
    check_range(request.width, 1, MAX_STILL_SIDE, field="width")
    check_range(request.height, 1, MAX_STILL_SIDE, field="height")
    check_range(request.quality, 1, 100, field="quality")


def _resize(source: Path, target: Path, request: ResizeRequest) -> MediaFacts:
    from PIL import Image as Images
    from PIL import ImageOps

    mime_type = _mime_type(source)
    form = request.format or _OWN_FORMATS.get(mime_type, "png")
    with temporary_for(target) as temporary:
        with open_still(source, mime_type, source.name) as image:
            image.seek(0)
            profile = image.info.get("icc_profile")
            shown = _plain(ImageOps.exif_transpose(image))
        size, fit = _size(shown.size, request)
        if fit == "cover":
            result = ImageOps.fit(shown, size, Images.Resampling.LANCZOS)
        else:
            result = shown.resize(size, Images.Resampling.LANCZOS) if size != shown.size else shown
        _save(result, temporary, form, profile=profile, quality=request.quality)
        facts = probe(temporary)
        place(temporary, target)
    return facts


def _mime_type(source: Path) -> str:
    head, size = read_head(source)
    mime_type = sniff(head)
    if mime_type not in STILL_FORMATS:
        raise MediaError(f"{source.name} is no picture of a known format.", code="unreadable_media")
    if size > MAX_FILE_BYTES:
        raise MediaError(
            f"{source.name} is too large: more than {MAX_FILE_BYTES // 1024**3} GB.", code="media_too_large"
        )
    return mime_type


def _plain(image: "Image") -> "Image":
    """Bring a picture to a mode that can be scaled: palettes cannot be averaged, deep grey is not stored everywhere."""
    if image.mode in {"RGB", "RGBA", "L"}:
        return image.convert("RGBA") if image.mode != "RGBA" and image.has_transparency_data else image
    if image.mode.startswith("I;16"):
        return image.point(lambda value: value / 256).convert("L")
    if image.mode in _DEEP_MODES:
        return image.convert("L")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _size(own: tuple[int, int], request: ResizeRequest) -> tuple[tuple[int, int], str]:
    width, height = request.width, request.height
    if width is None and height is None:
        return own, "exact"
    if width and height and request.fit != "contain":
        wanted = width, height
    else:
        scale = min(side / mine for side, mine in zip((width, height), own, strict=True) if side)
        wanted = max(1, round(own[0] * scale)), max(1, round(own[1] * scale))
    if wanted[0] * wanted[1] > MAX_PIXELS or max(wanted) > MAX_STILL_SIDE:
        raise InvalidRequestError(
            f"The result would have {wanted[0]}×{wanted[1]} pixels; at most {MAX_STILL_SIDE} a side and "
            f"{MAX_PIXELS // 1_000_000} million are made.",
            field="width" if width else "height",
        )
    return wanted, request.fit if width and height else "exact"


def _save(image: "Image", path: Path, form: str, *, profile: Any, quality: int) -> None:
    from PIL import Image as Images

    if form == "jpeg" and image.mode != "L":
        if image.mode == "RGBA":
            image = Images.alpha_composite(Images.new("RGBA", image.size, "white"), image)
        image = image.convert("RGB")
    options: dict[str, Any] = {} if form == "png" else {"quality": quality}
    # A profile describes the channels it was made for; another colour model needs another one.
    if isinstance(profile, bytes) and image.mode in {"RGB", "RGBA"} and profile[16:20] == b"RGB ":
        options["icc_profile"] = profile
    with path.open("xb") as file:
        image.save(file, format=form.upper(), exif=b"", **options)
