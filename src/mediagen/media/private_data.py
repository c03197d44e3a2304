"""What a picture file tells besides its picture, taken out without touching a pixel. Pure.

Kept is only what is needed to show the picture; all else goes: EXIF, XMP, IPTC, comments, thumbnails, maker notes,
gain maps, C2PA manifests, films behind the picture, and whatever a camera maker invents next.
"""

import binascii
import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from mediagen.errors import MediaError

# The largest honest files have some ten thousand parts; millions of empty ones are an attack on memory.
MAX_PARTS: Final = 200_000
_MAX_INFLATED_BYTES: Final = 1024**2
_ORIENTATION_TAG: Final = 0x0112
_GPS_TAG: Final = 0x8825
# Latitude, longitude, altitude, destination, area: not the version, the clock and the state of the receiver.
_GPS_PLACE_TAGS: Final = frozenset({1, 2, 3, 4, 5, 6, 19, 20, 21, 22, 23, 24, 25, 26, 28})
_PLACE_WORDS: Final = re.compile(
    rb"GPS(Dest)?(Latitude|Longitude|Position|Altitude|Coordinates)|GPSAreaInformation"
    rb"|photoshop:(City|State|Country)|Iptc4xmp\w{1,20}:(Location|Sublocation|City|CountryName|ProvinceState)"
    rb"|com\.apple\.quicktime\.location|\xa9xyz|\x1c\x02[\x1a\x1b\x5a\x5c\x5f\x64\x65]\x00[\x01-\xff]"
)

_JPEG_MARKER: Final = re.compile(rb"\xff+([\x02-\xcf\xd8-\xfe])")
# Without the "+": in a picture of nothing but 0xFF bytes it would take time in the square of their number.
_MARKER_BEHIND_SCAN: Final = re.compile(rb"\xff[\x02-\xcf\xd8-\xfe]")
_SOI, _EOI, _SOS, _COM = 0xD8, 0xD9, 0xDA, 0xFE
_APP0, _APP1, _APP2, _APP14, _APP15 = 0xE0, 0xE1, 0xE2, 0xEE, 0xEF
_JPG0 = 0xF0
_EXIF = b"Exif\0\0"
_ICC = b"ICC_PROFILE\0"

_PNG_KEPT: Final = frozenset(b"IHDR PLTE IDAT IEND tRNS cHRM gAMA iCCP sBIT sRGB cICP mDCV cLLI bKGD hIST pHYs".split())
_PNG_ANIMATION: Final = frozenset({b"acTL", b"fcTL", b"fdAT"})
_WEBP_KEPT: Final = frozenset({b"VP8X", b"ICCP", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF"})
_WEBP_HAS_ICC, _WEBP_HAS_EXIF, _WEBP_HAS_XMP, _WEBP_ANIMATED = 0x20, 0x08, 0x04, 0x02


@dataclass(frozen=True, kw_only=True, slots=True)
class Cleaned:
    """A picture file without its private data.

    Attributes:
        data: The file; the very object that was given when nothing had to go.
        metadata: Whether something was removed.
        location: Whether what was removed told a place.
        orientation: What EXIF said, 1 to 8; the pixels are not turned yet.
        animated: Whether it has, or had, more than one frame. A PNG has lost the others, a WebP has not.
    """

    data: bytes
    metadata: bool
    location: bool
    orientation: int
    animated: bool = False


class _NotUnderstoodError(Exception):
    """The file is not built as its format demands."""


class _Parts:
    """Parts of a file as they are sorted into kept and removed."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.view = memoryview(data)
        self.kept: list[bytes | memoryview] = []
        self.removed = 0
        self.orientation = 1
        self.location = False

    def keep(self, part: bytes | memoryview) -> None:
        self.kept.append(part)
        self._count()

    def remove(self, payload: bytes | memoryview) -> None:
        self.removed += 1
        self._count()
        self.location = self.location or tells_place(payload)

    def remove_exif(self, payload: bytes | memoryview) -> None:
        tiff = bytes(payload).removeprefix(_EXIF)
        orientation, has_place = read_exif(tiff)
        self.orientation = orientation if self.orientation == 1 else self.orientation
        self.location = self.location or has_place
        self.remove(tiff)

    def cleaned(self, *, animated: bool = False) -> Cleaned:
        data = b"".join(self.kept) if self.removed else self.data
        return Cleaned(
            data=data,
            metadata=bool(self.removed),
            location=self.location,
            orientation=self.orientation,
            animated=animated,
        )

    def _count(self) -> None:
        if len(self.kept) + self.removed > MAX_PARTS:
            raise MediaError(
                "The picture is cut into more pieces than any honest file.",
                hint="Open it in an image editor and save it again.",
                code="unreadable_media",
            )


def remove_private_data(data: bytes, mime_type: str) -> Cleaned | None:
    """Take everything out of a PNG, JPEG or WebP that is not needed to show it.

    Returns:
        The file without it, or None when it is of another type or not built as its format demands: then only
        decoding and encoding it again gives a clean file, if it can be decoded at all.

    Raises:
        MediaError: The file is an attack on memory.
    """
    clean = _CLEANERS.get(mime_type)
    try:
        return clean(_Parts(data)) if clean else None
    except (_NotUnderstoodError, struct.error, IndexError):
        return None


def tells_place(payload: bytes | memoryview) -> bool:
    """Whether XMP, IPTC or a film behind a picture names a place."""
    return _PLACE_WORDS.search(payload) is not None


def read_exif(tiff: bytes) -> tuple[int, bool]:
    """Orientation (1 to 8; 1 when not told), and whether a place is told. Damaged EXIF tells nothing."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    orientation, place = 1, False
    if order is None:
        return orientation, place
    try:
        entries = _ifd(tiff, order, struct.unpack_from(f"{order}I", tiff, 4)[0])
        if _ORIENTATION_TAG in entries:
            (orientation,) = struct.unpack_from(f"{order}H", tiff, entries[_ORIENTATION_TAG])
        if _GPS_TAG in entries:
            (at,) = struct.unpack_from(f"{order}I", tiff, entries[_GPS_TAG])
            place = not _GPS_PLACE_TAGS.isdisjoint(_ifd(tiff, order, at))
    except struct.error:
        pass
    return orientation if 1 <= orientation <= 8 else 1, place


def _ifd(tiff: bytes, order: str, at: int) -> dict[int, int]:
    """Tags of a directory, and where the value of each stands."""
    (count,) = struct.unpack_from(f"{order}H", tiff, at)
    starts = range(at + 2, min(at + 2 + 12 * count, len(tiff) - 11), 12)
    return {struct.unpack_from(f"{order}H", tiff, start)[0]: start + 8 for start in starts}


def is_colour_profile(profile: bytes) -> bool:
    """Whether these bytes can be an ICC profile."""
    return len(profile) >= 132 and profile[36:40] == b"acsp"


def _clean_jpeg(parts: _Parts) -> Cleaned:
    data, at = parts.data, 2
    has_profile = is_colour_profile(_jpeg_profile(data))
    parts.keep(b"\xff\xd8")
    while True:
        found = _JPEG_MARKER.match(data, at)
        if found is None:
            raise _NotUnderstoodError
        marker, start = found[1][0], found.end()
        if marker == _EOI:
            break
        at = start + struct.unpack_from(">H", data, start)[0]
        if marker == _SOI or at < start + 2 or at > len(data):
            raise _NotUnderstoodError
        _sort_segment(parts, marker, parts.view[start + 2 : at], has_profile)
        if marker == _SOS:
            after_scan = _MARKER_BEHIND_SCAN.search(data, at)
            if after_scan is None:
                raise _NotUnderstoodError
            parts.keep(parts.view[at : after_scan.start()])
            at = after_scan.start()
    parts.keep(b"\xff\xd9")
    if start < len(data):  # gain maps, depth maps and films stand behind the picture
        parts.remove(parts.view[start:])
    return parts.cleaned()


def _sort_segment(parts: _Parts, marker: int, payload: memoryview, has_profile: bool) -> None:
    kept = _kept_of_segment(marker, payload, has_profile)
    if kept is not None:
        parts.keep(struct.pack(">BBH", 0xFF, marker, len(kept) + 2))
        parts.keep(kept)
    if kept is None and marker == _APP1 and bytes(payload[:6]) == _EXIF:
        parts.remove_exif(payload)
    elif kept is None or len(kept) < len(payload):
        parts.remove(payload)


def _kept_of_segment(marker: int, payload: memoryview, has_profile: bool) -> bytes | memoryview | None:
    if marker == _APP0 and bytes(payload[:5]) == b"JFIF\0" and len(payload) >= 14:
        # Its thumbnail may show what was cropped away.
        return payload if len(payload) == 14 else bytes(payload[:12]) + b"\0\0"
    if marker == _APP2 and bytes(payload[:12]) == _ICC:
        return payload if has_profile else None
    if marker == _APP14 and bytes(payload[:5]) == b"Adobe":
        return payload[:12]
    if _APP0 <= marker <= _APP15 or marker >= _JPG0:
        return None
    return payload


def _jpeg_profile(data: bytes) -> bytes:
    """The colour profile, of which a JPEG holds pieces of 64 kB; empty when there is none or one is missing."""
    pieces, at, total = {}, 2, 0
    while (found := _JPEG_MARKER.match(data, at)) and found[1][0] not in (_SOS, _EOI):
        start = found.end()
        at = start + struct.unpack_from(">H", data, start)[0]
        if found[1][0] == _APP2 and data.startswith(_ICC, start + 2):
            pieces[data[start + 14]], total = data[start + 16 : at], data[start + 15]
        if len(pieces) > total:
            return b""
    return b"".join(pieces[number] for number in sorted(pieces)) if len(pieces) == total else b""


def _clean_png(parts: _Parts) -> Cleaned:
    data, at, kind, animated = parts.data, 8, b"", False
    parts.keep(parts.view[:8])
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            raise _NotUnderstoodError
        payload = parts.view[at + 8 : end - 4]
        animated = animated or kind == b"acTL"
        if kind in _PNG_KEPT and (kind != b"iCCP" or is_colour_profile(_inflated(kind, bytes(payload)))):
            parts.keep(parts.view[at:end])
        elif kind == b"eXIf":
            parts.remove_exif(payload)
        elif kind in _PNG_ANIMATION:
            parts.remove(b"")
        else:
            _remove_text(parts, kind, payload)
        at = end
    if at < len(data):
        parts.remove(parts.view[at:])
    return parts.cleaned(animated=animated)


def _remove_text(parts: _Parts, kind: bytes, payload: memoryview) -> None:
    text = bytes(payload) + (_inflated(kind, bytes(payload)) if kind in {b"zTXt", b"iTXt"} else b"")
    if b"Raw profile type" in text[:80]:  # how ImageMagick keeps EXIF, XMP and IPTC: as hexadecimal text
        profile = _from_hexadecimal(text)
        # Its orientation is left alone: browsers do not follow it.
        parts.location = parts.location or read_exif(profile[max(0, profile.find(_EXIF)) :].removeprefix(_EXIF))[1]
        text += profile
    parts.remove(text)


def _inflated(kind: bytes, chunk: bytes) -> bytes:
    """What is compressed in an iCCP, zTXt or iTXt chunk; empty when nothing is, or it is damaged or too large."""
    body = chunk.partition(b"\0")[2]
    compressed = body[1:]
    if kind == b"iTXt":
        compressed = body[2:].split(b"\0", 2)[-1] if body[:1] == b"\x01" else b""
    inflater = zlib.decompressobj()
    try:
        text = inflater.decompress(compressed, _MAX_INFLATED_BYTES)
    except zlib.error:
        return b""
    return text if inflater.eof else b""


def _from_hexadecimal(text: bytes) -> bytes:
    # Keyword, empty line, name, length, then the digits.
    digits = max(re.findall(rb"[0-9a-fA-F\s]{16,}", text), key=len, default=b"")
    digits = re.sub(rb"^\s*\d+\n|\s", b"", digits)
    try:
        return binascii.unhexlify(digits[: len(digits) & ~1])
    except binascii.Error:
        return b""


def _clean_webp(parts: _Parts) -> Cleaned:
    data, at, flags_at = parts.data, 12, None
    end = 8 + struct.unpack_from("<I", data, 4)[0]
    if end > len(data):
        raise _NotUnderstoodError
    cleared = _WEBP_HAS_EXIF | _WEBP_HAS_XMP
    parts.keep(b"")  # place of the header
    while at < end:
        kind, length = struct.unpack_from("<4sI", data, at)
        payload = parts.view[at + 8 : at + 8 + length]
        after = at + 8 + length + length % 2
        if after > end:
            raise _NotUnderstoodError
        if kind == b"VP8X":
            flags_at = len(parts.kept)
        bad_profile = kind == b"ICCP" and not is_colour_profile(bytes(payload))
        cleared |= _WEBP_HAS_ICC if bad_profile else 0
        if kind in _WEBP_KEPT and not bad_profile:
            parts.keep(parts.view[at:after])
        elif kind == b"EXIF":
            parts.remove_exif(payload)
        else:
            parts.remove(payload)
        at = after
    if end < len(data):
        parts.remove(parts.view[end:])
    return _webp_cleaned(parts, flags_at, cleared)


def _webp_cleaned(parts: _Parts, flags_at: int | None, cleared: int) -> Cleaned:
    animated = False
    if flags_at is not None:
        chunk = bytearray(parts.kept[flags_at])
        animated = bool(chunk[8] & _WEBP_ANIMATED)
        chunk[8] &= ~cleared & 0xFF
        parts.kept[flags_at] = bytes(chunk)
    parts.kept[0] = b"RIFF" + struct.pack("<I", 4 + sum(map(len, parts.kept))) + b"WEBP"
    return parts.cleaned(animated=animated)


_CLEANERS: Final[dict[str, Callable[[_Parts], Cleaned]]] = {
    "image/jpeg": _clean_jpeg,
    "image/png": _clean_png,
    "image/webp": _clean_webp,
}
