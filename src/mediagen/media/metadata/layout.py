"""What the readers of the formats share: a file seen as spans that stay and bytes that are put between them."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO, Final

# Honest packets have some kilobytes; a thumbnail in them makes it a few hundred.
MAX_PACKET_BYTES: Final = 1024**2
# The largest honest files have some ten thousand parts; millions of empty ones are an attack on time.
MAX_PARTS: Final = 200_000


class NotUnderstoodError(Exception):
    """The file is not built as its format demands, or larger than is read."""


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes of the file as it is, from `start` to before `end`."""

    start: int
    end: int


Piece = bytes | Span
Place = Callable[[bytes], list[Piece]]
"""Given an XMP packet, the pieces of the file with this packet in place of the one it had."""


@dataclass(kw_only=True, slots=True)
class Findings:
    """What is found while a file is walked through; what was found before it turned out damaged counts.

    Attributes:
        signed: It carries a C2PA manifest.
        packets: Its XMP packets, and the part of the file that holds each. There should be one at most.
        max_packet_bytes: What its format can hold in one packet.
        refused: The walk goes on, as a manifest may follow, but the file must not be changed.
        place: None when the file cannot be changed safely.
    """

    signed: bool = False
    packets: list[tuple[bytes, Span]] = field(default_factory=list)
    max_packet_bytes: int = MAX_PACKET_BYTES
    refused: bool = False
    place: Place | None = None

    def only_packet(self) -> Span | None:
        """Where the packet is that has to be replaced.

        Raises:
            NotUnderstoodError: There are several, so that it is not known which one readers believe, or the file must
                not be changed.
        """
        if self.refused or len(self.packets) > 1:
            raise NotUnderstoodError
        return self.packets[0][1] if self.packets else None


def read_at(file: BinaryIO, at: int, count: int) -> bytes:
    """Read exactly so many bytes.

    Raises:
        NotUnderstoodError: The file ends before.
    """
    file.seek(at)
    found = file.read(count)
    if len(found) < count:
        raise NotUnderstoodError
    return found


def size_of(file: BinaryIO) -> int:
    """Size of an open file in bytes."""
    return file.seek(0, os.SEEK_END)
