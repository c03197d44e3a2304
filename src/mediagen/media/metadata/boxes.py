"""XMP and C2PA in MP4 files and their relatives.

A packet is put where nothing stands behind it that is found by its offset, so that no sample moves.
Sources: ISO/IEC 14496-12 §4.2 and §8.8.9; XMP Specification Part 3, §1.2.7; https://spec.c2pa.org/ "Embedding manifests
into BMFF-based assets".
"""

import struct
from dataclasses import dataclass
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

_XMP: Final = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_C2PA: Final = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Box:
    kind: bytes
    start: int
    payload: int
    end: int
    is_open: bool  # it says that it goes on to the end of the file


def survey_boxes(file: BinaryIO, found: Findings) -> None:
    """Walk through the boxes of the file itself, not into them.

    Raises:
        NotUnderstoodError: It is damaged; what was found before is in `found`.
    """
    size = size_of(file)
    boxes = _walk(file, size, found)
    if not any(box.kind == b"moov" for box in boxes):
        raise NotUnderstoodError
    old, last = found.only_packet(), boxes[-1]
    # Players look for mfra at the very end; what it tells are offsets of boxes before it.
    end = last.start if last.kind == b"mfra" else size
    is_behind_all = old is not None and old.end == end
    kept = [Span(0, old.start)] if old and is_behind_all else [*_blanked(old), *_closed(last, old, end)]

    def place(packet: bytes) -> list[Piece]:
        box = struct.pack(">I4s", 24 + len(packet), b"uuid") + _XMP + packet
        return [*kept, box, Span(end, size)]

    found.place = place


def _blanked(old: Span | None) -> list[Piece]:
    """The file up to the end of a packet that cannot go without moving samples: its place becomes free space."""
    if old is None:
        return []
    length = old.end - old.start
    return [Span(0, old.start), struct.pack(">I4s", length, b"free") + bytes(length - 8)]


def _closed(last: _Box, old: Span | None, end: int) -> list[Piece]:
    """What follows the old packet up to `end`; an open last box is told its length, or it would swallow the new one."""
    start = old.end if old else 0
    if not last.is_open:
        return [Span(start, end)]
    if last.end - last.start >= 2**32:
        raise NotUnderstoodError
    return [Span(start, last.start), struct.pack(">I", last.end - last.start), Span(last.start + 4, end)]


def _walk(file: BinaryIO, size: int, found: Findings) -> list[_Box]:
    boxes: list[_Box] = []
    at = 0
    while at < size:
        box = _box_at(file, at, size)
        boxes.append(box)
        found.signed = found.signed or box.kind == b"jumb"
        if box.kind == b"uuid":
            _read_extension(file, box, found)
        if box.end > size or len(boxes) > MAX_PARTS:
            raise NotUnderstoodError
        at = box.end
    return boxes


def _box_at(file: BinaryIO, at: int, size: int) -> _Box:
    length, kind = struct.unpack(">I4s", read_at(file, at, 8))
    payload = at + 8
    if length == 1:
        length = int.from_bytes(read_at(file, payload, 8), "big")
        payload += 8
    end = at + length if length else size
    if end < payload:
        raise NotUnderstoodError
    return _Box(kind=kind, start=at, payload=payload, end=end, is_open=length == 0)


def _read_extension(file: BinaryIO, box: _Box, found: Findings) -> None:
    name = read_at(file, box.payload, 16)
    found.signed = found.signed or name == _C2PA
    if name == _XMP:
        start = box.payload + 16
        length = box.end - start
        found.refused = found.refused or not 0 <= length <= MAX_PACKET_BYTES
        packet = read_at(file, start, max(0, min(length, MAX_PACKET_BYTES)))
        found.packets.append((packet, Span(box.start, box.end)))
