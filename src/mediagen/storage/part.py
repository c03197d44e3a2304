"""A download on its way to its final name, and whose it is while several processes are at it."""

import base64
import contextlib
import errno
import hashlib
import json
import os
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import anyio

from mediagen.errors import StorageError, UnavailableError
from mediagen.storage.names import safe_stem
from mediagen.storage.placing import (
    CHUNK_BYTES,
    PartChangedError,
    PartMark,
    append_to,
    digest_and_sync,
    has_other_names,
    other_names,
    place_media,
    storage_error,
    write_temporary,
)

if TYPE_CHECKING:
    from filelock import BaseFileLock

MAX_NOTE_BYTES: Final = 100_000
MAX_CLAIMS: Final = 8
_NO_LOCKS: Final = frozenset({errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL})


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredFile:
    """A file under its final name.

    Attributes:
        path: Absolute.
        sha256: Of the contents, in hexadecimal.
    """

    path: Path
    size_bytes: int
    sha256: str


@contextlib.contextmanager
def translated(directory: Path) -> Iterator[None]:
    """Make our error of one of the system.

    Raises:
        StorageError: Something could not be done in the folder.
    """
    try:
        yield
    except OSError as error:
        raise storage_error(error, directory) from error


class PartFile:
    """A download on its way: named by its job, so that a later process finds it and goes on.

    One process at a time may write to it: see `Claims`. What another changed meanwhile is noticed, not written to.
    """

    def __init__(self, directory: Path, key: str) -> None:
        self._directory = directory
        self._mark: PartMark | None = None
        self._key = key
        self._note = directory / f".mediagen-{key}.note"
        self._whole = directory / f".mediagen-{key}.whole"
        self._part = directory / f".mediagen-{key}.part"
        self.path = self._whole if self._whole.exists() else self._part

    @property
    def is_whole(self) -> bool:
        """Whether the download is known to be complete, so that nothing need be fetched any more."""
        return self.path == self._whole

    async def is_placed(self) -> bool:
        """Whether the file has its final name already, so that it must not be changed any more.

        A process that died between `finish` with ``keep_part`` and `discard` left it so.

        Raises:
            StorageError: The folder cannot be read.
        """
        return await anyio.to_thread.run_sync(self._is_placed)

    async def seal(self) -> None:
        """Note on the disk that the download is complete.

        Raises:
            StorageError: Nothing was downloaded, or the folder cannot be written to.
        """
        await anyio.to_thread.run_sync(self._seal)

    def size(self) -> int:
        """Bytes that are here already; 0 when nothing is.

        Raises:
            StorageError: The folder cannot be read.
        """
        with translated(self._directory):
            try:
                return self.path.stat().st_size
            except FileNotFoundError:
                return 0

    async def append(self, chunk: bytes) -> None:
        """Add bytes at the end.

        Raises:
            StorageError: The disk is full (code ``disk_full``) or cannot be written to; what is here stays. With the
                code ``part_changed`` another process or person has changed the file meanwhile; nothing was added.
        """
        await anyio.to_thread.run_sync(self._append, chunk)

    async def note(self) -> dict[str, str]:
        """What was noted of the download by an earlier attempt, also in another process; nothing when it is damaged.

        Raises:
            StorageError: The folder cannot be read.
        """
        return await anyio.to_thread.run_sync(self._read_note)

    async def keep_note(self, note: Mapping[str, str]) -> None:
        """Replace the note; it stays until `discard`.

        Raises:
            StorageError: It cannot be written.
        """
        await anyio.to_thread.run_sync(self._write_note, note)

    async def checksum(self, kind: Literal["md5", "crc32c"]) -> str:
        """Checksum of what is here, in base64 as Google writes it.

        Raises:
            StorageError: It cannot be read.
        """
        return await anyio.to_thread.run_sync(self._checksum, kind)

    async def withdraw(self, kept: Collection[str]) -> list[Path]:
        """Take back the final name that the file has, unless it is one of those to be kept.

        Returns:
            The names that are gone.

        Raises:
            StorageError: The folder cannot be changed.
        """
        return await anyio.to_thread.run_sync(self._withdraw, kept)

    async def truncate(self) -> None:
        """Throw away what is here, to start over.

        Raises:
            StorageError: The file cannot be changed.
        """
        # Removed rather than emptied: after `finish` it may be a second name of the finished file.
        await anyio.to_thread.run_sync(self._remove)

    async def finish(self, stem: str, suffix: str, *, keep_part: bool = False) -> StoredFile:
        """Give the whole file its final name, which was free.

        Args:
            stem: Name without suffix; ``_2``, ``_3``, … is added when it is taken.
            suffix: With its dot.
            keep_part: Keep the part as a second name of the same file until `discard`, so that a process that dies
                before it has written down the result finds the same file again when it calls `finish` anew.

        Raises:
            StorageError: Nothing was downloaded, or the folder cannot be written to.
        """
        return await anyio.to_thread.run_sync(self._finish, stem, suffix, keep_part)

    async def discard(self) -> None:
        """Remove the part and its note; nothing happens when there is none.

        Raises:
            StorageError: It cannot be removed.
        """
        await anyio.to_thread.run_sync(self._discard)

    def _is_placed(self) -> bool:
        with translated(self._directory):
            try:
                return self.path.stat().st_nlink > 1
            except FileNotFoundError:
                return False

    def _seal(self) -> None:
        if self.size() == 0:
            raise _empty()
        with translated(self._directory):
            digest_and_sync(self.path)
            self.path.replace(self._whole)
        self.path = self._whole

    def _append(self, chunk: bytes) -> None:
        with translated(self._directory):
            try:
                # When the disk is full, nobody knows how much of it was written.
                mark, self._mark = self._mark, None
                self._mark = append_to(self.path, chunk, expected=mark)
            except PartChangedError as error:
                raise StorageError(
                    f"The unfinished file {self.path.name} was changed or removed by another while it was fetched.",
                    hint="It is fetched again by itself.",
                    code="part_changed",
                ) from error

    def _finish(self, stem: str, suffix: str, keep_part: bool) -> StoredFile:
        if self.size() == 0:
            raise _empty()
        with translated(self._directory):
            sha256, size_bytes = digest_and_sync(self.path)
            final = place_media(self.path, self._directory, safe_stem(stem), suffix)
        if not keep_part:
            self._discard()
        return StoredFile(path=final, size_bytes=size_bytes, sha256=sha256)

    def _discard(self) -> None:
        self._remove()
        with translated(self._directory):
            self._note.unlink(missing_ok=True)
            self._directory.joinpath(f".mediagen-{self._key}-note.part").unlink(missing_ok=True)

    def _remove(self) -> None:
        with translated(self._directory):
            self.path.unlink(missing_ok=True)
        self._mark = None
        # What is added from now on is not known to be whole.
        self.path = self._part

    def _read_note(self) -> dict[str, str]:
        with translated(self._directory):
            try:
                found = json.loads(self._note.read_bytes()[:MAX_NOTE_BYTES])
            except (FileNotFoundError, ValueError, RecursionError):
                return {}
        return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}

    def _write_note(self, note: Mapping[str, str]) -> None:
        with translated(self._directory):
            data = json.dumps(dict(note)).encode()
            write_temporary(self._directory, data, key=f"{self._key}-note").replace(self._note)

    def _checksum(self, kind: Literal["md5", "crc32c"]) -> str:
        with translated(self._directory), self.path.open("rb") as file:
            pieces = iter(lambda: file.read(CHUNK_BYTES), b"")
            if kind == "md5":
                digest = hashlib.md5(usedforsecurity=False)
                for piece in pieces:
                    digest.update(piece)
                return base64.b64encode(digest.digest()).decode()
            import google_crc32c

            crc32c = 0
            for piece in pieces:
                crc32c = int(google_crc32c.extend(crc32c, piece))
            return base64.b64encode(crc32c.to_bytes(4, "big")).decode()

    def _withdraw(self, kept: Collection[str]) -> list[Path]:
        gone = []
        with translated(self._directory):
            # Without a look at the whole folder, which may hold thousands.
            if not has_other_names(self.path, [self._directory / name for name in kept]):
                return []
            for name in other_names(self.path, self._directory):
                if name.name not in kept:
                    name.unlink(missing_ok=True)
                    gone.append(name)
        return gone


def _empty() -> StorageError:
    return StorageError(
        "The download is empty.",
        hint="It is tried again by itself; what was paid for is kept.",
        code="empty_download",
    )


@dataclass(kw_only=True, slots=True)
class Claims:
    """Numbers under which processes bring the same file, each into unfinished files of its own.

    The number 0 is anyone's who finds it free, so that what a dead process began is gone on with. It is not waited
    for: who has it may be stopped for days, and what was paid for would be deleted at Google meanwhile. Blocking.

    Attributes:
        directory: The folder of the unfinished files.
        key: As for `LocalStorage.open_part`.
    """

    directory: Path
    key: str
    _locks: "dict[int, BaseFileLock]" = field(default_factory=dict)

    def take(self) -> int:
        """The lowest number that is free; it is held until `release`, or until the process ends.

        Raises:
            StorageError: The folder is gone or cannot be written to.
            UnavailableError: None is free.
        """
        if not self.directory.is_dir():
            raise storage_error(FileNotFoundError(errno.ENOENT, "No such directory"), self.directory)
        # First who has a whole file already, which may be deleted at Google by now; the folder may hold thousands.
        is_tried_later = (lambda number: not self._has_whole(number)) if self.left() else None
        for number in sorted(range(MAX_CLAIMS), key=is_tried_later):
            if self.try_take(number):
                return number
        raise UnavailableError(
            f"{MAX_CLAIMS} other processes fetch the same file.", hint="It is tried again by itself.", billed="yes"
        )

    def try_take(self, number: int) -> bool:
        """Take a number unless another has it.

        Raises:
            StorageError: The folder is gone or cannot be written to.
        """
        from filelock import FileLock, Timeout  # costs as much as all the rest of the room to import

        lock = FileLock(self._file(number), mode=0o600, thread_local=False)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            return False
        except NotImplementedError:
            return number == 0  # no locks here: as if it were free
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return number == 0
            raise storage_error(error, self.directory) from error
        self._locks[number] = lock
        return True

    def is_any_held(self, own: int) -> bool:
        """Whether another process has a number."""
        for number in {0, *self.left()} - {own}:
            if not self.try_take(number):
                return True
            self.release(number)
        return False

    def _has_whole(self, number: int) -> bool:
        name = re.compile(rf"\.mediagen-{re.escape(self.key)}(-[0-9]+)?{self._suffix(number)}\.whole")
        with contextlib.suppress(OSError):
            return any(name.fullmatch(entry.name) for entry in self.directory.iterdir())
        return False

    def left(self) -> list[int]:
        """Numbers that were ever taken and not cleared away, besides 0, of which nothing need be left."""
        return [number for number in range(1, MAX_CLAIMS) if self._file(number).exists()]

    def release(self, number: int, *, is_cleared: bool = False) -> None:
        """Give a number back; with `is_cleared` nothing of it is left."""
        lock = self._locks.pop(number, None)
        if is_cleared:
            # While it is locked: who opened it before notices that it has no name any more.
            with contextlib.suppress(OSError):
                self._file(number).unlink()
        if lock:
            with contextlib.suppress(OSError):
                lock.release()
        if is_cleared and os.name == "nt":
            with contextlib.suppress(OSError):
                self._file(number).unlink()

    def _file(self, number: int) -> Path:
        return self.directory / f".mediagen-{self.key}{self._suffix(number)}.lock"

    @staticmethod
    def _suffix(number: int) -> str:
        return f"-by{number}" if number else ""
