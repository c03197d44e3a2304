"""XMP and C2PA in JPEG files.

Sources: XMP Specification Part 3, §1.1.3; ISO/IEC 19566-5 annex D; https://spec.c2pa.org/ "Embedding manifests into
JPEG"; CIPA DC-007 (multi-picture files).
"""

import re
import struct
from typing import BinaryIO, Final

from mediagen.media.metadata.layout import Findings, NotUnderstoodError, Piece, Span, size_of

MAX_JPEG_BYTES: Final = 64 * 1024**2

_XMP: Final = b"http://ns.adobe.com/xap/1.0/\0"
_MAX_SEGMENT_PACKET: Final = 65_502
_MARKER: Final = re.compile(rb"\xff+([\x02-\xcf\xd8-\xfe])")
# Without the "+": in a picture of nothing but 0xFF bytes it would take time in the square of their number.
_MARKER_BEHIND_SCAN: Final = re.compile(rb"\xff[\x02-\xcf\xd8-\xfe]")
_SOI, _EOI, _SOS, _APP0, _APP1, _APP2, _APP11 = 0xD8, 0xD9, 0xDA, 0xE0, 0xE1, 0xE2, 0xEB


def survey_jpeg(file: BinaryIO, found: Findings) -> None:
    """Walk through the segments up to the end of the picture.

    Raises:
        NotUnderstoodError: It is damaged or too large; what was found before is in `found`.
    """
    size = size_of(file)
    file.seek(0)
    data = file.read(min(size, MAX_JPEG_BYTES))
    found.max_packet_bytes = _MAX_SEGMENT_PACKET
    free_place = _walk(data, found)
    old = found.only_packet() or Span(free_place, free_place)

    def place(packet: bytes) -> list[Piece]:
        segment = struct.pack(">BBH", 0xFF, _APP1, 2 + len(_XMP) + len(packet)) + _XMP + packet
        return [Span(0, old.start), segment, Span(old.end, size)]

    found.place = place


def _walk(data: bytes, found: Findings) -> int:
    """Returns where a new segment belongs: behind the JFIF and EXIF segments that readers expect first."""
    at, free_place, has_offsets = 2, 2, False
    while True:
        mark = _MARKER.match(data, at)
        if mark is None or mark[1][0] == _SOI:
            raise NotUnderstoodError
        marker, start = mark[1][0], mark.end()
        if marker == _EOI:
            return free_place
        if start + 2 > len(data):
            raise NotUnderstoodError
        end = start + int.from_bytes(data[start : start + 2], "big")
        payload = memoryview(data)[start + 2 : end]
        found.signed = found.signed or _is_manifest(marker, payload)
        if end < start + 2 or end > len(data):
            raise NotUnderstoodError
        if free_place == at and _comes_first(marker, payload):
            free_place = end
        has_offsets = has_offsets or (marker == _APP2 and bytes(payload[:4]) == b"MPF\0")
        if marker == _APP1 and bytes(payload[: len(_XMP)]) == _XMP:
            # They count from there to the pictures behind this one, over the packet.
            found.refused = found.refused or has_offsets
            found.packets.append((bytes(payload[len(_XMP) :]), Span(at, end)))
        at = _behind_scan(data, end) if marker == _SOS else end


def _is_manifest(marker: int, payload: memoryview) -> bool:
    # Any JUMBF counts: what else is in one may be signed as well, and taking it for a manifest does no harm.
    return marker == _APP11 and bytes(payload[:2]) == b"JP" and bytes(payload[12:16]) == b"jumb"


def _comes_first(marker: int, payload: memoryview) -> bool:
    return marker == _APP0 or (marker == _APP1 and bytes(payload[:6]) == b"Exif\0\0")


def _behind_scan(data: bytes, at: int) -> int:
    mark = _MARKER_BEHIND_SCAN.search(data, at)
    if mark is None:
        raise NotUnderstoodError
    return mark.start()
