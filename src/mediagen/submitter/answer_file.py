"""The file of an answer: one line of JSON, padded, then the body. Standard library only; blocking."""

import json
import os
from collections.abc import Callable
from typing import Any

from mediagen.submitter.tickets import path_of, sync_folder

# So that the answers that are small, the names of operations, fit even if the disk fills up while they are awaited.
RESERVED_BYTES = 64 * 1024
# What of an answer is read on into memory while the disk is full.
PENDING_BYTES = 32 * 1024 * 1024
_PADDING = 96


class AnswerFile:
    """An answer on its way to the disk; while that is full, tries again for as long as `wait` returns."""

    def __init__(self, folder: str, attempt: int, wait: Callable[[], None]) -> None:
        """Reserve space for a small answer.

        Raises:
            OSError: There is none.
        """
        self._folder = folder
        self._wait = wait
        self._part, self._final = path_of(folder, attempt, "part"), path_of(folder, attempt, "answer")
        self._file = os.open(self._part, os.O_CREAT | os.O_TRUNC | os.O_RDWR | os.O_CLOEXEC, 0o600)
        self._offset = 0
        self._head_size = 0
        self._head: dict[str, Any] = {}
        self._pending = bytearray()
        try:
            _reserve(self._file)
        except OSError:
            self.discard()
            raise

    @property
    def size(self) -> int:
        """Bytes of the body so far."""
        return self._offset - self._head_size + len(self._pending)

    @property
    def head(self) -> dict[str, Any]:
        """Once it has ended, what its first line says, and where the body begins."""
        return {**self._head, "offset": self._head_size}

    @property
    def is_written(self) -> bool:
        """Whether others can read what there is of the body."""
        return not self._pending

    def small_body(self, most: int) -> bytes:
        """The body, once others can read it; nothing of one with more bytes than that."""
        return os.pread(self._file, self.size, self._head_size) if self.size <= most else b""

    def start(self, status: int, headers: list[tuple[str, str]]) -> None:
        """Begin with what came before the body."""
        self._head = {"status": status, "headers": headers}
        self._head_size = self._offset = len(json.dumps(self._head)) + _PADDING

    def write(self, chunk: bytes) -> None:
        """Add to the body."""
        self._pending += chunk
        while not self._flushed() and len(self._pending) > PENDING_BYTES:
            self._wait()

    def end(self, how: str) -> None:
        """Say how the body ended."""
        self._head = {**self._head, "end": how, "size": self.size}

    def finish(self) -> None:
        """Make it durable and give it its name."""
        while not self._flushed():
            self._wait()
        while not self._placed(json.dumps(self._head).encode().ljust(self._head_size - 1) + b"\n"):
            self._wait()
        os.close(self._file)

    def abandon(self) -> None:
        """Leave what came of an answer that has no end, for people to look at."""
        if self.size > 0:
            os.close(self._file)
        else:
            self.discard()

    def discard(self) -> None:
        """Remove it."""
        os.close(self._file)
        os.unlink(self._part)  # noqa: PTH108 - pathlib costs the process milliseconds

    def _flushed(self) -> bool:
        try:
            while self._pending:
                count = os.pwrite(self._file, self._pending, self._offset)
                self._offset += count
                del self._pending[:count]
        except OSError:
            return False
        return True

    def _placed(self, head: bytes) -> bool:
        try:
            os.pwrite(self._file, head, 0)
            os.ftruncate(self._file, self._offset)
            os.fsync(self._file)
            os.rename(self._part, self._final)  # noqa: PTH104 - as above
            sync_folder(self._folder)
        except OSError:
            return os.path.exists(self._final)  # noqa: PTH110 - as above
        return True


def _reserve(file: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, RESERVED_BYTES)
    else:
        os.pwrite(file, bytes(RESERVED_BYTES), 0)


def read_head(path: str) -> tuple[dict[str, Any], int]:
    """What came before the body, how that ended, and where it begins.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no answer.
    """
    with open(path, "rb") as file:  # noqa: PTH123 - as above
        line = file.readline(8 * 1024 * 1024)
    head = json.loads(line)
    if not isinstance(head, dict) or not {"status", "headers", "end", "size"} <= head.keys():
        raise ValueError("not the file of an answer")
    return head, len(line)
