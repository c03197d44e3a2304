"""Pictures made ready to be sent: a kind that Google reads, upright, not too large, without private data. Blocking."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Any, Final

from mediagen.errors import MediaError
from mediagen.media.private_data import Cleaned, is_colour_profile, read_exif, remove_private_data, tells_place
from mediagen.media.stills import check_still, open_still

if TYPE_CHECKING:
    from PIL.Image import Image

# Above what the models make themselves (4K: 4096x4096, 5504x3072): a picture of theirs comes back unscaled, and more
# would be lost on them, who see any picture as about a thousand tokens.
# Source: https://ai.google.dev/gemini-api/docs/image-generation (checked 2026-11-21)
MAX_SENT_PIXELS: Final = 20_000_000
# What 8:1, the longest ratio of the models, has at that size, rounded up.
MAX_SENT_SIDE: Final = 12_800
_LIKE_PHOTOS: Final = frozenset({"image/jpeg", "image/heic", "image/avif"})
_QUALITY: Final = 95
_SCALED_QUALITY: Final = 90
_SMALLEST_SIDE: Final = 64
_ORIENTATION_TAG: Final = 0x0112
_QUARTER_TURNS: Final = frozenset({5, 6, 7, 8})
_PNG_MODES: Final = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16"})
_COLOUR_SPACES: Final = {"L": b"GRAY", "LA": b"GRAY", "1": b"GRAY", "I;16": b"GRAY"}


@dataclass(frozen=True, kw_only=True, slots=True)
class PreparedPicture:
    """A picture as it is sent.

    Attributes:
        width: As shown, in pixels.
        conversion: What was done to the file, in words; None when its bytes are sent as they are.
    """

    data: bytes
    mime_type: str
    width: int
    height: int
    conversion: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Original:
    """A picture as it was given."""

    data: bytes
    mime_type: str
    name: str
    cleaned: Cleaned | None

    @property
    def source(self) -> io.BytesIO:
        return io.BytesIO(self.cleaned.data if self.cleaned else self.data)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Encoded:
    data: bytes
    mime_type: str
    size: tuple[int, int]


def prepare_picture(data: bytes, mime_type: str, name: str, *, max_bytes: int) -> PreparedPicture:
    """Make a picture ready to be sent. PNG, JPEG and WebP keep their pixels untouched where they can.

    Args:
        data: The file; it is never changed.
        mime_type: Its real mime type, one of `STILL_FORMATS`.
        name: How to call it in errors.
        max_bytes: Largest result.

    Raises:
        MediaError: It is damaged, cut off, has more than 100 million pixels, or cannot be made small enough.
    """
    original = _Original(data=data, mime_type=mime_type, name=name, cleaned=remove_private_data(data, mime_type))
    cleaned = original.cleaned
    if cleaned is None or cleaned.orientation != 1 or not _is_sent_as_it_is(original, max_bytes):
        return _encode_again(original, max_bytes)
    facts = check_still(original.source, mime_type, name)
    notes = ["first frame only"] if cleaned.animated else []
    notes += _privacy_notes(metadata=cleaned.metadata, location=cleaned.location)
    return PreparedPicture(
        data=cleaned.data,
        mime_type=mime_type,
        width=facts.width,
        height=facts.height,
        conversion=", ".join(notes) or None,
    )


def _is_sent_as_it_is(original: _Original, max_bytes: int) -> bool:
    with open_still(original.source, original.mime_type, original.name) as image:
        has_more = bool(getattr(image, "is_animated", False))
        fits = len(original.source.getbuffer()) <= max_bytes and _scale_of(image.size) == 1
        return fits and not has_more and image.mode != "CMYK"


def _privacy_notes(*, metadata: bool, location: bool) -> list[str]:
    if location:
        return ["location data removed"]
    return ["metadata removed"] if metadata else []


def _scale_of(size: tuple[int, int]) -> float:
    """Factor that brings a picture within the limits, at most 1."""
    return min(1.0, sqrt(MAX_SENT_PIXELS / (size[0] * size[1])), MAX_SENT_SIDE / max(size))


def _scaled(size: tuple[int, int], scale: float) -> tuple[int, int]:
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _encode_again(original: _Original, max_bytes: int) -> PreparedPicture:
    with open_still(original.source, original.mime_type, original.name) as image:
        notes = ["first frame only"] if bool(getattr(image, "is_animated", False)) else []
        notes += ["CMYK converted to RGB"] if image.mode == "CMYK" else []
        metadata, location = _private_data_of(image, original)
        orientation = original.cleaned.orientation if original.cleaned else _orientation(image)
        notes += ["turned upright"] if orientation != 1 else []
        if original.mime_type == "image/tiff":
            orientation = 1  # Pillow turns these by itself
        scale, whole = _scale_of(image.size), image.size
        if scale < 1:  # a JPEG is decoded at half, a quarter or an eighth of its size where that is enough
            image.draft(None, _scaled(image.size, min(1.0, 2 * scale)))
        frame = _upright(_plain(image, _scaled(whole, scale)), orientation)
        shown = whole if orientation not in _QUARTER_TURNS else (whole[1], whole[0])
        too_large = scale < 1 or len(original.data) > max_bytes
        encoded = _encode(frame, original, max_bytes=max_bytes, quality=_SCALED_QUALITY if too_large else _QUALITY)
    if encoded.size != shown:
        notes.append(f"{shown[0]}x{shown[1]} scaled to {encoded.size[0]}x{encoded.size[1]}")
    elif too_large and encoded.mime_type == original.mime_type:
        notes.append(f"compressed again to stay below {max_bytes / 1024**2:g} MB")
    notes += _privacy_notes(metadata=metadata, location=location)
    return _prepared(encoded, original, notes)


def _prepared(encoded: _Encoded, original: _Original, notes: list[str]) -> PreparedPicture:
    if encoded.mime_type != original.mime_type:
        notes.insert(0, f"{original.mime_type} converted to {encoded.mime_type}")
    return PreparedPicture(
        data=encoded.data,
        mime_type=encoded.mime_type,
        width=encoded.size[0],
        height=encoded.size[1],
        conversion=", ".join(notes) or "saved again without metadata",
    )


def _private_data_of(image: "Image", original: _Original) -> tuple[bool, bool]:
    """Whether the file has metadata, and whether it tells a place."""
    if original.cleaned:
        return original.cleaned.metadata, original.cleaned.location
    exif = image.info.get("exif") or b""
    tiff = original.data if original.mime_type == "image/tiff" else exif.removeprefix(b"Exif\0\0")
    xmp = image.info.get("xmp") or b""
    text = original.data if original.mime_type == "image/tiff" else xmp
    return bool(exif or xmp), read_exif(tiff)[1] or tells_place(text)


def _orientation(image: "Image") -> int:
    value = image.getexif().get(_ORIENTATION_TAG, 1)
    return value if value in range(1, 9) else 1


def _upright(image: "Image", orientation: int) -> "Image":
    from PIL.Image import Transpose

    turn = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }.get(orientation)
    return image if turn is None else image.transpose(turn)


def _plain(image: "Image", size: tuple[int, int]) -> "Image":
    """The first frame in a mode that PNG holds, scaled to `size`, its information reduced to what shows it."""
    image.load()
    profile = image.info.get("icc_profile") or b""
    plain = _sendable(image, profile)
    if plain.size != size:
        plain = _resized(plain, size)
    space = _COLOUR_SPACES.get(plain.mode, b"RGB ")
    kept: dict[str | tuple[int, int], Any] = (
        {"transparency": plain.info["transparency"]} if "transparency" in plain.info else {}
    )
    if image.mode != "CMYK" and is_colour_profile(profile) and profile[16:20] == space:
        kept["icc_profile"] = profile
    plain.info = kept
    return plain


def _sendable(image: "Image", profile: bytes) -> "Image":
    if image.mode == "CMYK":
        return _rgb_of_cmyk(image, profile)
    if image.mode in _PNG_MODES:
        return image
    if image.mode.startswith("I"):
        return _eight_bit(image)
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _rgb_of_cmyk(image: "Image", profile: bytes) -> "Image":
    from PIL import ImageCms

    if is_colour_profile(profile):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
            if converted is not None:
                return converted
        except (ImageCms.PyCMSError, OSError, ValueError):  # a broken profile is no reason to refuse the picture
            pass
    return image.convert("RGB")


def _eight_bit(image: "Image") -> "Image":
    wide = image.convert("I")
    high = wide.getextrema()[1]
    divisor = 256 if isinstance(high, int | float) and high <= 0xFFFF else 1 << 23
    return wide.point(lambda value: value * (1 / divisor)).convert("L")


def _resized(image: "Image", size: tuple[int, int]) -> "Image":
    from PIL.Image import Resampling

    if image.mode == "I;16":
        image = _eight_bit(image)
    elif image.mode in {"1", "P"} or "transparency" in image.info:  # palettes cannot be averaged
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    return image.resize(size, Resampling.LANCZOS, reducing_gap=2.0)


def _encode(frame: "Image", original: _Original, *, max_bytes: int, quality: int) -> _Encoded:
    """As JPEG or PNG, whichever suits; scaled down until it fits."""
    is_photo = original.mime_type in _LIKE_PHOTOS or (
        original.mime_type == "image/webp" and b"VP8L" not in original.data[:4096]
    )
    frame = _without_useless_alpha(frame)
    while True:
        for mime_type, data in _attempts(frame, is_photo=is_photo, quality=quality):
            if len(data) <= max_bytes:
                return _Encoded(data=data, mime_type=mime_type, size=frame.size)
        if min(frame.size) <= _SMALLEST_SIDE:
            raise MediaError(
                f"{original.name} cannot be made smaller than {max_bytes / 1024**2:g} MB.",
                hint="Make it smaller.",
                code="input_too_large",
            )
        profile = frame.info.get("icc_profile")
        frame = _resized(frame, _scaled(frame.size, min(0.9, 0.95 * sqrt(max_bytes / len(data)))))
        frame.info = {"icc_profile": profile} if profile else {}


def _without_useless_alpha(frame: "Image") -> "Image":
    if frame.mode not in {"RGBA", "LA"} or frame.getchannel("A").getextrema()[0] != 255:
        return frame
    info = frame.info
    opaque = frame.convert(frame.mode[:-1])
    opaque.info = info
    return opaque


def _attempts(frame: "Image", *, is_photo: bool, quality: int) -> Iterator[tuple[str, bytes]]:
    has_alpha = frame.has_transparency_data
    if has_alpha or not is_photo:
        yield "image/png", _saved(frame, "PNG")
    if not has_alpha:
        plain = _eight_bit(frame) if frame.mode == "I;16" else frame
        plain = plain if plain.mode in {"L", "RGB"} else plain.convert("RGB")
        plain.info = {key: value for key, value in frame.info.items() if key == "icc_profile"}
        yield "image/jpeg", _saved(plain, "JPEG", quality=quality, subsampling=0 if quality == _QUALITY else 2)


def _saved(frame: "Image", kind: str, **options: int) -> bytes:
    out = io.BytesIO()
    profile = frame.info.get("icc_profile")
    frame.save(out, format=kind, icc_profile=profile, **options)
    return out.getvalue()
