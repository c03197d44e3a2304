"""Several unfinished files at once, in one go to a worker thread. Blocking."""

import contextlib
import errno
from collections.abc import Collection, Iterable
from pathlib import Path

from mediagen.storage.names import is_key
from mediagen.storage.part import Claims, PartFile, translated


def open_part(directory: Path, key: str) -> PartFile:
    """Open a download, new or begun earlier.

    Raises:
        StorageError: The folder is gone.
    """
    if not is_key(key):
        raise ValueError(f"not a key: {key!r}")
    directory = directory.absolute()
    with translated(directory):
        if not directory.is_dir():
            raise FileNotFoundError(errno.ENOENT, "No such directory")
    return PartFile(directory, key)


def discard_parts(directory: Path, keys: Iterable[str]) -> None:
    """Remove unfinished files and their notes; nothing happens where there is none.

    Raises:
        StorageError: The folder is gone, or one cannot be removed.
    """
    for key in keys:
        open_part(directory, key)._discard()  # noqa: SLF001 - what `discard` does in a thread


def withdraw_parts(directory: Path, keys: Iterable[str], kept: Collection[str]) -> list[Path]:
    """Take back the final names that unfinished files have; see `PartFile.withdraw`.

    Raises:
        StorageError: The folder is gone or cannot be changed.
    """
    parts = [open_part(directory, key) for key in keys]
    return [gone for part in parts for gone in part._withdraw(kept)]  # noqa: SLF001 - what `withdraw` does in a thread


def claimed(claims: Claims) -> int:
    """Take a number as `Claims.take` does, and make the folder again if it disappeared meanwhile.

    Raises:
        StorageError: The folder cannot be written to.
        UnavailableError: None is free.
    """
    with contextlib.suppress(OSError):
        claims.directory.mkdir(parents=True, exist_ok=True)
    return claims.take()


def give_back(claims: Claims, taken: Iterable[int], cleared: Collection[int] = ()) -> None:
    """Give numbers back that were taken; of those that are cleared nothing is left."""
    for number in taken:
        claims.release(number, is_cleared=number in cleared)
