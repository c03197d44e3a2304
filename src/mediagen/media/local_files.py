"""Files of this machine that a caller names: resolved, confined to folders, read with care. Blocking."""

import errno
import hashlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from mediagen.errors import InvalidRequestError
from mediagen.media.sources import shown, too_large

_CHUNK_BYTES: Final = 1024 * 1024
OPEN_FLAGS: Final = (
    os.O_RDONLY
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)  # a FIFO that is swapped in does not block the open
)
_KINDS = (
    (stat.S_ISDIR, "is a folder"),
    (stat.S_ISFIFO, "is a pipe, not a file"),
    (stat.S_ISSOCK, "is a socket, not a file"),
    (stat.S_ISCHR, "is a device, not a file"),
    (stat.S_ISBLK, "is a device, not a file"),
)


def resolve_local(path: Path, field: str, roots: Sequence[Path] | None) -> Path:
    """Find the real file behind a path: ``~`` expanded, relative to the working directory, links followed.

    Args:
        path: As the caller named it.
        field: Argument it was given for; named in errors.
        roots: Folders of which one must hold the real file; None allows every folder.

    Raises:
        InvalidRequestError: It lies outside of the roots, does not exist, or is no regular file with contents.
    """
    name = shown(str(path))
    try:
        resolved = path.expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise InvalidRequestError(f"{field}={name} is no usable path.", field=field) from error
    # Before anything else, so that nothing is told about files elsewhere, not even whether they exist.
    _check_roots(resolved, name, field, roots)
    try:
        found = resolved.stat()
    except (OSError, ValueError) as error:
        raise _unreadable(error, name, field) from error
    _check_regular(found, name, field)
    return resolved


def _check_roots(resolved: Path, name: str, field: str, roots: Sequence[Path] | None) -> None:
    if roots is None or any(resolved.is_relative_to(root.expanduser().resolve()) for root in roots):
        return
    allowed = ", ".join(str(root) for root in roots) or "none"
    raise InvalidRequestError(
        f"{field}={name} lies outside of the folders from which files may be read ({allowed}).",
        field=field,
        hint="Copy the file there, or add its folder to MEDIAGEN_INPUT_ROOTS.",
        code="input_outside_roots",
    )


def _check_regular(found: os.stat_result, name: str, field: str) -> None:
    if not stat.S_ISREG(found.st_mode):
        why = next((text for test, text in _KINDS if test(found.st_mode)), "is not a regular file")
        raise InvalidRequestError(f"{field}={name} {why}.", field=field, hint="Give the path of a file.")
    if found.st_size == 0:
        raise InvalidRequestError(f"{field}={name} is empty.", field=field, hint="Give a file with contents.")


def _unreadable(error: OSError | ValueError, name: str, field: str) -> InvalidRequestError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return InvalidRequestError(
            f"{field}={name} does not exist.",
            field=field,
            hint=f"Paths are relative to {_working_directory()}.",
            code="input_not_found",
        )
    if isinstance(error, PermissionError):
        return InvalidRequestError(f"{field}={name} may not be read: permission denied.", field=field)
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return InvalidRequestError(f"{field}={name} is too long for a path.", field=field)
    return InvalidRequestError(f"{field}={name} cannot be read.", field=field)


def _working_directory() -> str:
    try:
        return str(Path.cwd())
    except OSError:
        return "the working directory, which is gone"


def _open(path: Path, field: str) -> int:
    name = shown(str(path))
    try:
        descriptor = _open_without_links(path)
    except (OSError, ValueError) as error:
        raise _unreadable(error, name, field) from error
    try:
        _check_regular(os.fstat(descriptor), name, field)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _open_without_links(path: Path) -> int:
    """Open a resolved file; a link that was put into its path since then is not followed.

    Where folders cannot be opened for their names alone (macOS, Windows), only a link in the last place is noticed.
    """
    if not hasattr(os, "O_PATH") or not path.is_absolute():
        return os.open(path, OPEN_FLAGS)
    flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    folder = os.open(path.anchor, flags)
    try:
        for name in path.parts[1:-1]:
            outer, folder = folder, os.open(name, flags, dir_fd=folder)
            os.close(outer)
        return os.open(path.name or ".", OPEN_FLAGS, dir_fd=folder)
    finally:
        os.close(folder)


def read_file(path: Path, field: str, *, max_bytes: int) -> bytes:
    """Read a whole resolved file.

    Raises:
        InvalidRequestError: It cannot be read or has more than `max_bytes`.
    """
    with os.fdopen(_open(path, field), "rb") as file:
        if os.fstat(file.fileno()).st_size > max_bytes:
            raise too_large(field, shown(str(path)), max_bytes)
        try:
            data = file.read(max_bytes + 1)
        except OSError as error:
            raise _unreadable(error, shown(str(path)), field) from error
    if len(data) > max_bytes:
        raise too_large(field, shown(str(path)), max_bytes)
    return data


def file_digest(path: Path) -> str:
    """SHA-256 of a file; what goes wrong is an OSError. Blocking."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_digest(path: Path, field: str, *, max_bytes: int) -> tuple[bytes, str, int]:
    """Read the first bytes, the SHA-256 and the size of a resolved file, piece by piece.

    Raises:
        InvalidRequestError: It cannot be read or has more than `max_bytes`.
    """
    digest = hashlib.sha256()
    head, size = b"", 0
    with os.fdopen(_open(path, field), "rb") as file:
        if os.fstat(file.fileno()).st_size > max_bytes:
            raise too_large(field, shown(str(path)), max_bytes)
        try:
            while chunk := file.read(_CHUNK_BYTES):
                head = head or chunk[:4096]
                size += len(chunk)
                if size > max_bytes:  # it grows while it is read
                    raise too_large(field, shown(str(path)), max_bytes)
                digest.update(chunk)
        except OSError as error:
            raise _unreadable(error, shown(str(path)), field) from error
    return head, digest.hexdigest(), size
