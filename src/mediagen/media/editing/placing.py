"""Results written beside their target and put in place whole, never over another file. Blocking."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from mediagen.errors import MediaError

_FULL: Final = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})


@contextmanager
def temporary_for(target: Path, suffix: str = ".part") -> Iterator[Path]:
    """Give a free name in the folder of `target`; what is there at the end is removed.

    Raises:
        MediaError: The target exists already, its folder does not, or the disk is full or refuses.
    """
    if os.path.lexists(target):
        raise _exists(target)
    if not target.parent.is_dir():
        raise MediaError(f"The folder for {target.name} does not exist.", hint="Create it.", code="directory_missing")
    temporary = target.absolute().parent / f".mediagen-{secrets.token_hex(8)}{suffix}"
    try:
        yield temporary
    except OSError as error:
        raise write_error(error, target) from error
    finally:
        temporary.unlink(missing_ok=True)


def place(temporary: Path, target: Path) -> None:
    """Make a finished file durable and give it its name, which must be free.

    Raises:
        MediaError: The name was taken meanwhile, or the disk is full or refuses.
    """
    try:
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        _take_name(temporary, target)
    except FileExistsError as error:
        raise _exists(target) from error
    except OSError as error:
        raise write_error(error, target) from error


def _take_name(temporary: Path, target: Path) -> None:
    if os.name == "nt":
        temporary.rename(target)  # refuses to replace on Windows
        return
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno in _FULL:
            raise
        # A file system without links: reserve the name with an empty file of ours, then replace that.
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        temporary.replace(target)


def _exists(target: Path) -> MediaError:
    return MediaError(f"{target.name} exists already and is kept.", hint="Give another name.", code="output_exists")


def write_error(error: OSError, target: Path) -> MediaError:
    """Say why a result could not be written."""
    if error.errno in _FULL:
        return MediaError(
            f"{target.name} could not be written: the disk is full.", hint="Free some space.", code="disk_full"
        )
    return MediaError(
        f"{target.name} could not be written: {error.strerror or 'input/output error'}.",
        hint="Look at the folder and its permissions.",
        code="not_writable",
    )
