"""XMP and C2PA in WebP files.

Sources: https://developers.google.com/speed/webp/docs/riff_container, RFC 9649; https://spec.c2pa.org/ "Embedding
manifests into RIFF-based formats".
"""

import struct
from typing import BinaryIO, Final

from mediagen.media.metadata.layout import (
    MAX_PACKET_BYTES,
    MAX_PARTS,
    Findings,
    NotUnderstoodError,
    Piece,
    Span,
    read_at,
    size_of,
)

_HAS_XMP, _HAS_ALPHA = 0x04, 0x10
_FIRST_CHUNK: Final = 12
_MAX_RIFF_BYTES: Final = 2**32 - 10


def survey_webp(file: BinaryIO, found: Findings) -> None:
    """Walk through the chunks.

    Raises:
        NotUnderstoodError: It is damaged; what was found before is in `found`.
    """
    size = size_of(file)
    end = 8 + int.from_bytes(read_at(file, 4, 4), "little")
    _walk(file, min(end, size), found)
    if end > size:
        raise NotUnderstoodError
    header, after_header = _extended_header(file)
    old = found.only_packet() or Span(end, end)
    if old.start < after_header or end + MAX_PACKET_BYTES > _MAX_RIFF_BYTES:
        raise NotUnderstoodError

    def place(packet: bytes) -> list[Piece]:
        chunk = struct.pack("<4sI", b"XMP ", len(packet)) + packet + bytes(len(packet) % 2)
        total = 4 + len(header) + (old.start - after_header) + len(chunk) + (end - old.end)
        head = b"RIFF" + struct.pack("<I", total) + b"WEBP" + header
        return [head, Span(after_header, old.start), chunk, Span(old.end, size)]

    found.place = place


def _walk(file: BinaryIO, end: int, found: Findings) -> None:
    at = _FIRST_CHUNK
    for _ in range(MAX_PARTS):
        if at == end:
            return
        kind, length = struct.unpack("<4sI", read_at(file, at, 8))
        found.signed = found.signed or kind == b"C2PA"
        after = at + 8 + length + length % 2
        if after > end:
            raise NotUnderstoodError
        if kind == b"XMP ":
            found.refused = found.refused or length > MAX_PACKET_BYTES
            found.packets.append((read_at(file, at + 8, min(length, MAX_PACKET_BYTES)), Span(at, after)))
        at = after
    raise NotUnderstoodError


def _extended_header(file: BinaryIO) -> tuple[bytes, int]:
    """The VP8X chunk that announces XMP, and where the file goes on behind the one it had."""
    kind, length = struct.unpack("<4sI", read_at(file, _FIRST_CHUNK, 8))
    if kind == b"VP8X":
        if length != 10:
            raise NotUnderstoodError
        chunk = bytearray(read_at(file, _FIRST_CHUNK, 18))
        chunk[8] |= _HAS_XMP
        return bytes(chunk), _FIRST_CHUNK + 18
    width, height, has_alpha = _simple_picture(kind, read_at(file, _FIRST_CHUNK + 8, 10))
    flags = _HAS_XMP | (_HAS_ALPHA if has_alpha else 0)
    sizes = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return struct.pack("<4sII", b"VP8X", 10, flags) + sizes, _FIRST_CHUNK


def _simple_picture(kind: bytes, head: bytes) -> tuple[int, int, bool]:
    """Width, height and whether it has transparency, from the first bytes of the picture's data."""
    if kind == b"VP8 " and head[3:6] == b"\x9d\x01\x2a":
        width, height = (part & 0x3FFF for part in struct.unpack_from("<HH", head, 6))
        if width and height:
            return width, height, False
    if kind == b"VP8L" and head[0] == 0x2F:
        bits = int.from_bytes(head[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bool(bits >> 28 & 1)
    raise NotUnderstoodError
