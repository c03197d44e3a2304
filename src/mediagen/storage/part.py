"""A download on its way to its final name. Blocking."""

import base64
import contextlib
import errno
import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from mediagen.errors import StorageError
from mediagen.storage.names import is_key, safe_stem
from mediagen.storage.placing import (
    CHUNK_BYTES,
    PartChangedError,
    PartMark,
    append_to,
    digest_and_sync,
    digest_of,
    has_other_names,
    other_names,
    place_media,
    storage_error,
    sync_directory,
    sync_file,
    temporary_of,
    write_temporary,
)

MAX_NOTE_BYTES: Final = 100_000


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


class Part:
    """A download on its way: named by its job, so that a later process finds it and goes on.

    Attributes:
        path: Where it is.
        whole: Where it is once it is complete.
        rewritten: Where it is written anew before it takes the place of what is here.

    One process at a time may write to it: see `Claims`. What another changed meanwhile is noticed, not written to.
    """

    def __init__(self, directory: Path, key: str) -> None:
        self._directory = directory
        self._mark: PartMark | None = None
        self._digest: tuple[str, int] | None = None
        self._key = key
        self._note = directory / f".mediagen-{key}.note"
        self._rewriting = f"{key}-embedding"
        self.rewritten = temporary_of(directory, self._rewriting)
        self.whole = directory / f".mediagen-{key}.whole"
        self._part = directory / f".mediagen-{key}.part"
        self.look_again()

    def look_again(self) -> None:
        """Notice that a durable file took the name `whole` meanwhile."""
        self.path = self.whole if self.whole.exists() else self._part

    @property
    def is_whole(self) -> bool:
        """Whether the download is known to be complete, so that nothing need be fetched any more."""
        return self.path == self.whole

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

    def is_placed(self) -> bool:
        """Whether the file has its final name already, so that it must not be changed any more.

        A process that died between `finish` with ``keep_part`` and `discard` left it so.

        Raises:
            StorageError: The folder cannot be read.
        """
        with translated(self._directory):
            try:
                return self.path.stat().st_nlink > 1
            except FileNotFoundError:
                return False

    def seal(self) -> None:
        """Note on the disk that the download is complete; nothing is to be done where that is noted.

        Raises:
            StorageError: Nothing was downloaded, or the folder cannot be written to.
        """
        if self.size() == 0:
            raise _empty()
        if self.is_whole:
            return
        with translated(self._directory):
            sync_file(self.path)
            self.path.replace(self.whole)
        self.path = self.whole

    def append(self, chunk: bytes) -> None:
        """Add bytes at the end.

        Raises:
            StorageError: The disk is full (code ``disk_full``) or cannot be written to; what is here stays. With the
                code ``part_changed`` another process or person has changed the file meanwhile; nothing was added.
        """
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

    def fill(self, data: bytes) -> None:
        """Hold a whole file from now on, in place of what is here; as after `seal`.

        Raises:
            StorageError: The disk is full or cannot be written to; nothing is left of it.
        """
        with translated(self._directory):
            write_temporary(self._directory, data, key=self._rewriting).replace(self.whole)
        self.path = self.whole
        self._digest = hashlib.sha256(data).hexdigest(), len(data)

    @property
    def is_filled(self) -> bool:
        """Whether this process has put the whole file here as it is to stay."""
        return self._digest is not None

    def note(self) -> dict[str, str]:
        """What was noted of the download by an earlier attempt, also in another process; nothing when it is damaged.

        Raises:
            StorageError: The folder cannot be read.
        """
        with translated(self._directory):
            try:
                with self._note.open("rb", buffering=0) as file:
                    found = json.loads(file.read(MAX_NOTE_BYTES))
            except (FileNotFoundError, ValueError, RecursionError):
                return {}
        return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}

    def keep_note(self, note: Mapping[str, str]) -> None:
        """Replace the note; it stays until `discard`, but for a power cut, which may take what was downloaded as well.

        Raises:
            StorageError: It cannot be written.
        """
        with translated(self._directory):
            data = json.dumps(dict(note)).encode()
            unsynced = write_temporary(self._directory, data, key=f"{self._key}-note", is_synced=False)
            unsynced.replace(self._note)

    def checksum(self, kind: Literal["md5", "crc32c"]) -> str:
        """Checksum of what is here, in base64 as Google writes it.

        Raises:
            StorageError: It cannot be read.
        """
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

    def withdraw(self, kept: Collection[str]) -> list[Path]:
        """Take back the final name that the file has, unless it is one of those to be kept.

        Returns:
            The names that are gone.

        Raises:
            StorageError: The folder cannot be changed.
        """
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

    def truncate(self) -> None:
        """Throw away what is here, to start over.

        Raises:
            StorageError: The file cannot be changed.
        """
        with translated(self._directory):
            self.path.unlink(missing_ok=True)
        self._mark = self._digest = None
        # What is added from now on is not known to be whole.
        self.path = self._part

    def finish(self, stem: str, suffix: str, *, keep_part: bool = False) -> StoredFile:
        """Give the whole file its final name, which was free.

        Args:
            stem: Name without suffix; ``_2``, ``_3``, … is added when it is taken.
            suffix: With its dot.
            keep_part: Keep the part as a second name of the same file until `discard`, so that a process that dies
                before it has written down the result finds the same file again when it calls `finish` anew. Whoever
                writes it down makes the name durable.

        Raises:
            StorageError: Nothing was downloaded, or the folder cannot be written to.
        """
        if self.size() == 0:
            raise _empty()
        with translated(self._directory):
            # What counts as whole is on the disk for good.
            if self.is_whole:
                sha256, size_bytes = self._digest or digest_of(self.path)
            else:
                sha256, size_bytes = digest_and_sync(self.path)
            final = place_media(self.path, self._directory, safe_stem(stem), suffix)
            if not keep_part:
                sync_directory(self._directory)
        if not keep_part:
            self.discard()
        return StoredFile(path=final, size_bytes=size_bytes, sha256=sha256)

    def discard(self) -> None:
        """Remove the part and its note; nothing happens when there is none.

        Raises:
            StorageError: It cannot be removed.
        """
        self.truncate()
        with translated(self._directory):
            self._part.unlink(missing_ok=True)
            self._note.unlink(missing_ok=True)
            self.rewritten.unlink(missing_ok=True)
            temporary_of(self._directory, f"{self._key}-note").unlink(missing_ok=True)


def open_part(directory: Path, key: str) -> Part:
    """Open a download, new or begun earlier; `PartFile` is the same for the event loop.

    Raises:
        StorageError: The folder is gone.
    """
    if not is_key(key):
        raise ValueError(f"not a key: {key!r}")
    directory = directory.absolute()
    with translated(directory):
        if not directory.is_dir():
            raise FileNotFoundError(errno.ENOENT, "No such directory")
    return Part(directory, key)


def _empty() -> StorageError:
    return StorageError(
        "The download is empty.",
        hint="It is tried again by itself; what was paid for is kept.",
        code="empty_download",
    )
