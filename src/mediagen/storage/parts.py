"""Several unfinished files at once, in one go to a worker thread. Blocking."""

import errno
from collections.abc import Collection, Iterable
from pathlib import Path

from mediagen.storage.names import is_key
from mediagen.storage.part import Part, translated


def open_part(directory: Path, key: str) -> Part:
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
    return Part(directory, key)


def discard_parts(directory: Path, keys: Iterable[str]) -> None:
    """Remove unfinished files and their notes; nothing happens where there is none.

    Raises:
        StorageError: The folder is gone, or one cannot be removed.
    """
    for key in keys:
        open_part(directory, key).discard()


def withdraw_parts(directory: Path, keys: Iterable[str], kept: Collection[str]) -> list[Path]:
    """Take back the final names that unfinished files have; see `Part.withdraw`.

    Raises:
        StorageError: The folder is gone or cannot be changed.
    """
    return [gone for part in [open_part(directory, key) for key in keys] for gone in part.withdraw(kept)]
