"""Files that come inside the answer to a paid request, held without a name on the disk until they are kept. Blocking.

An answer that a submitter stored is on the disk as it came until its call is forgotten, so that nothing is lost when
what is made of it here goes with the process.
"""

import base64
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

from mediagen.endpoints.wire.inline_media import DAMAGED, KEYS, InlineMediaScanner, inline_number

IN_MEMORY_BYTES: Final = 256 * 1024
# Whoever sends more large files than this in one answer has them in memory.
MAX_OPEN_FILES: Final = 32
HEAD_BYTES: Final = 64
# Of a multiple of three bytes, the base64 can be put together.
_PIECE_BYTES: Final = 3 * 64 * 1024


class InlineFile:
    """One file: in memory while it is small, then on the disk, or in memory again where the disk takes no more."""

    def __init__(self, folder: Path | None = None, data: bytes = b"") -> None:
        """Begin a file.

        Args:
            folder: Where it goes, made when needed; None for memory.
            data: Its first bytes.
        """
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._memory = bytearray()
        self.size = 0
        self.append(data)

    @property
    def is_in_memory(self) -> bool:
        """Whether it can be read without the disk."""
        return self._file is None

    @property
    def head(self) -> bytes:
        """The first bytes."""
        return next(self.chunks(HEAD_BYTES), b"")

    @property
    def data(self) -> bytes:
        """All of it, taken into memory."""
        return b"".join(self.chunks())

    def append(self, data: bytes) -> None:
        """Add bytes at the end; never fails for want of a disk."""
        if self._file is None and self._folder and self.size + len(data) > IN_MEMORY_BYTES:
            self._move_to_disk()
        if self._file is None:
            self._memory += data
        else:
            self._write(data)
        self.size += len(data)

    def chunks(self, size: int = _PIECE_BYTES) -> Iterator[bytes]:
        """The file in pieces of a size.

        Raises:
            OSError: It cannot be read.
        """
        for start in range(0, self.size, size):
            if self._file is None:
                yield bytes(self._memory[start : start + size])
            else:
                yield self._read(start, min(size, self.size - start))

    def base64(self) -> Iterator[str]:
        """The file in base64, in pieces.

        Raises:
            OSError: It cannot be read.
        """
        for chunk in self.chunks():
            yield base64.b64encode(chunk).decode("ascii")

    def _move_to_disk(self) -> None:
        folder, self._folder = self._folder, None
        assert folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed with this object
        except OSError:
            return
        weakref.finalize(self, self._file.close)
        before, self._memory = bytes(self._memory), bytearray()
        self._write(before, start=0)

    def _write(self, data: bytes, start: int | None = None) -> None:
        assert self._file
        start = self.size if start is None else start
        try:
            self._file.seek(start)
            rest = memoryview(data)
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError:
            # What was paid for is then kept in memory until the disk takes it.
            self._memory += self._read(0, start)
            self._memory += data
            self._file.close()
            self._file = None

    def _read(self, start: int, size: int) -> bytes:
        assert self._file
        self._file.seek(start)
        found = bytearray()
        while len(found) < size and (piece := self._file.read(size - len(found))):
            found += piece
        if len(found) < size:
            raise OSError("a file became shorter")
        return bytes(found)


class Separator:
    """Takes an answer apart while it comes: into its files and the skeleton that refers to them."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._scanner = InlineMediaScanner(takes_data_urls=True)
        self._files: list[InlineFile] = []

    def feed(self, chunk: bytes) -> None:
        """Take the next piece."""
        for number, data in self._scanner.feed(chunk):
            if number == len(self._files):
                self._files.append(InlineFile(self._folder if number < MAX_OPEN_FILES else None))
            self._files[number].append(data)

    @property
    def skeleton(self) -> bytes:
        """What is left of the answer."""
        return self._scanner.skeleton

    @property
    def files(self) -> tuple[InlineFile, ...]:
        """What was taken out of it."""
        return tuple(self._files)


def with_files(value: Any, files: tuple[InlineFile, ...]) -> Any:
    """A copy of a part of a skeleton with the files in place of the references to them.

    Raises:
        ValueError: The base64 of a file was damaged, so that it cannot be written as it was.
    """
    if isinstance(value, dict):
        return {name: _file_of(name, item, files) or with_files(item, files) for name, item in value.items()}
    if isinstance(value, list):
        return [with_files(item, files) for item in value]
    return value


def _file_of(name: str, value: Any, files: tuple[InlineFile, ...]) -> InlineFile | None:
    """Nothing else than the scanner can have put a reference under one of its keys."""
    if name not in KEYS:
        return None
    if value == DAMAGED:
        raise ValueError("damaged base64")
    number = inline_number(value)
    return files[number] if number is not None and number < len(files) else None
