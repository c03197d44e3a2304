"""XMP and C2PA in PNG files.

Sources: https://www.w3.org/TR/png-3/ §11.3.3.4 and §5.3; XMP Specification Part 3, §1.1.5;
https://spec.c2pa.org/ "Embedding manifests into PNG".
"""

import struct
import zlib
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

_AFTER_HEADER: Final = 33
_KEYWORD: Final = b"XML:com.adobe.xmp\0"


def survey_png(file: BinaryIO, found: Findings) -> None:
    """Walk through the chunks.

    Raises:
        NotUnderstoodError: It is damaged; what was found before is in `found`.
    """
    size, at = size_of(file), 8
    for _ in range(MAX_PARTS):
        length, kind = struct.unpack(">I4s", read_at(file, at, 8))
        found.signed = found.signed or kind == b"caBX"
        end = at + 12 + length
        if end > size or (at == 8) != (kind == b"IHDR" and end == _AFTER_HEADER):
            raise NotUnderstoodError
        if kind == b"iTXt" and length >= len(_KEYWORD) and read_at(file, at + 8, len(_KEYWORD)) == _KEYWORD:
            _read_packet(file, Span(at, end), found)
        at = end
        if kind == b"IEND":
            break
    else:
        raise NotUnderstoodError
    old = found.only_packet() or Span(_AFTER_HEADER, _AFTER_HEADER)

    def place(packet: bytes) -> list[Piece]:
        return [Span(0, old.start), _chunk(packet), Span(old.end, size)]

    found.place = place


def _read_packet(file: BinaryIO, chunk: Span, found: Findings) -> None:
    start, end = chunk.start + 8 + len(_KEYWORD), chunk.end - 4
    packet = _text(read_at(file, start, end - start)) if end - start <= MAX_PACKET_BYTES else None
    if packet is None:
        found.refused = True
    else:
        found.packets.append((packet, chunk))


def _text(body: bytes) -> bytes | None:
    """The text of an iTXt chunk, of which everything behind the keyword is given."""
    parts = body[2:].split(b"\0", 2)
    if len(parts) < 3:
        return None
    if body[0] == 0:
        return parts[2]
    inflater = zlib.decompressobj()
    try:
        packet = inflater.decompress(parts[2], MAX_PACKET_BYTES)
    except zlib.error:
        return None
    return packet if inflater.eof else None


def _chunk(packet: bytes) -> bytes:
    # Not compressed, no language, no translated keyword: what the XMP specification asks for.
    body = b"iTXt" + _KEYWORD + b"\0\0\0\0" + packet
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
