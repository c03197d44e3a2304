"""Rows in the pages of a damaged SQLite file, read without its indexes and its directory. Blocking.

Source: https://sqlite.org/fileformat2.html (checked 2026-11-21)
"""

import struct
from collections.abc import Iterator
from pathlib import Path

LEAF = 0x0D
HEADER_BYTES = 100
USUAL_PAGE_BYTES = 4096
PAGE_SIZES = frozenset(1 << bits for bits in range(9, 17))
LARGEST_ROW = 64 * 1024 * 1024
INTEGER_BYTES = (0, 1, 2, 3, 4, 6, 8)

Value = int | float | str | bytes | None
Record = tuple[int, tuple[Value, ...]]


def records(path: Path) -> Iterator[Record]:
    """Yield row id and columns of every row that lies whole in a leaf of some table; the others are left out.

    Rows of all tables come mixed, and one that was moved may come twice, the older one as well.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        size = _page_bytes(file.read(HEADER_BYTES))
        pages = _Pages(file.fileno(), size)
        number = 1
        while page := pages.read(number):
            start = HEADER_BYTES if number == 1 else 0
            if len(page) == size and page[start] == LEAF:
                yield from _leaf(pages, page, start)
            number += 1


class _Pages:
    def __init__(self, descriptor: int, size: int) -> None:
        # Apart from the descriptor of the caller, whose position nobody else moves.
        self._file = open(descriptor, "rb", closefd=False, buffering=0)  # noqa: SIM115 - closed with the descriptor
        self.size = size

    def read(self, number: int) -> bytes:
        self._file.seek((number - 1) * self.size)
        return self._file.read(self.size)


def _page_bytes(header: bytes) -> int:
    told = int.from_bytes(header[16:18], "big") if len(header) >= 18 else 0
    size = 65536 if told == 1 else told
    return size if size in PAGE_SIZES else USUAL_PAGE_BYTES


def _leaf(pages: _Pages, page: bytes, start: int) -> Iterator[Record]:
    cells = int.from_bytes(page[start + 3 : start + 5], "big")
    first = start + 8
    for index in range(min(cells, (pages.size - first) // 2)):
        at = int.from_bytes(page[first + 2 * index : first + 2 * index + 2], "big")
        if first <= at < pages.size:
            try:
                yield _cell(pages, page, at)
            except (ValueError, IndexError, struct.error):
                continue


def _cell(pages: _Pages, page: bytes, at: int) -> Record:
    length, at = _varint(page, at)
    row_id, at = _varint(page, at)
    if not 0 < length <= LARGEST_ROW:
        raise ValueError("no row")
    return row_id, _columns(_payload(pages, page, at, length))


def _payload(pages: _Pages, page: bytes, at: int, length: int) -> bytes:
    local = _local_bytes(pages.size, length)
    payload = page[at : at + local]
    if local < length:
        following = int.from_bytes(page[at + local : at + local + 4], "big")
        chunks = [payload]
        missing = length - local
        while missing > 0:
            overflow = pages.read(following) if following else b""
            if len(overflow) < 5:
                raise ValueError("its rest is gone")
            following = int.from_bytes(overflow[:4], "big")
            chunks.append(overflow[4 : 4 + missing])
            missing -= len(chunks[-1])
        payload = b"".join(chunks)
    if len(payload) != length:
        raise ValueError("cut short")
    return payload


def _local_bytes(size: int, length: int) -> int:
    """How much of a row lies in its leaf; the rest is in a list of pages of its own."""
    most, least = size - 35, (size - 12) * 32 // 255 - 23
    if length <= most:
        return length
    wanted = least + (length - least) % (size - 4)
    return wanted if wanted <= most else least


def _columns(payload: bytes) -> tuple[Value, ...]:
    header_bytes, at = _varint(payload, 0)
    if not 1 < header_bytes <= len(payload):
        raise ValueError("no header")
    data, values = header_bytes, []
    while at < header_bytes:
        kind, at = _varint(payload, at)
        value, data = _value(payload, kind, data)
        values.append(value)
    if data != len(payload):
        raise ValueError("not all of it is used")
    return tuple(values)


def _value(payload: bytes, kind: int, at: int) -> tuple[Value, int]:
    if kind >= 12:
        end = at + (kind - 12) // 2
        content = payload[at:end]
        return (content.decode("utf-8") if kind % 2 else content), end
    if kind == 7:
        return struct.unpack(">d", payload[at : at + 8])[0], at + 8
    if kind in {8, 9}:
        return kind - 8, at
    if kind > 6:
        raise ValueError("no type")
    end = at + INTEGER_BYTES[kind]
    return (int.from_bytes(payload[at:end], "big", signed=True) if kind else None), end


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for count in range(8):
        byte = data[at + count]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + count + 1
    value = value << 8 | data[at + 8]
    return (value - (1 << 64) if value >> 63 else value), at + 9
