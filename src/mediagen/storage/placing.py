"""Files written so that they are whole or not there, and never take the place of another. Blocking."""

import contextlib
import errno
import hashlib
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mediagen.errors import StorageError
from mediagen.storage.names import MEDIA_SUFFIXES, candidates

CHUNK_BYTES: Final = 1024 * 1024
_CREATE: Final = (
    os.O_WRONLY
    | os.O_CREAT
    | os.O_EXCL
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)
)
_APPEND: Final = (
    os.O_WRONLY
    | os.O_CREAT
    | os.O_APPEND
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)
)
_NO_LINKS: Final = frozenset(
    {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EINVAL, errno.EACCES}
)
# Of a stem that hundreds of files have, so many names are always looked at, and those that were found taken only once:
# a free one in between is left free then.
LOOKED_AT: Final = 8
KNOWN_STEMS: Final = 1000
_taken: dict[tuple[str, str, str], int] = {}
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


def storage_error(error: OSError, directory: Path) -> StorageError:
    """Say what a failed write means for the caller."""
    again = "It is tried again by itself; what was paid for is kept."
    if error.errno in _FULL:
        return StorageError(f"The disk of {directory} is full.", hint=f"Free some space. {again}", code="disk_full")
    if error.errno == errno.EFBIG:
        return StorageError(
            f"The file is larger than {directory} may hold.",
            hint=f"Use another folder or raise the limit on file sizes. {again}",
            code="file_too_large",
        )
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return StorageError(
            f"{directory} may not be written to.", hint=f"Correct its permissions. {again}", code="not_writable"
        )
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        return StorageError(
            f"The folder {directory} is gone.", hint=f"Create it again. {again}", code="directory_missing"
        )
    return StorageError(
        f"The file could not be written to {directory}: {error.strerror or 'input/output error'}.", hint=again
    )


@dataclass(frozen=True, slots=True)
class PartMark:
    """Which file a part was after the last bytes were added, and how long."""

    device: int
    inode: int
    size: int


class PartChangedError(Exception):
    """A part is not what it was after the last bytes were added."""


def append_to(path: Path, chunk: bytes, *, expected: PartMark | None = None) -> PartMark:
    """Add bytes to the end of a part file, creating it when needed.

    Args:
        path: The file.
        chunk: The bytes.
        expected: What the file has to be; None is whatever there is.

    Returns:
        What it is now.

    Raises:
        PartChangedError: It is another one; nothing was added.
    """
    try:
        descriptor = os.open(path, _APPEND if expected is None else _APPEND & ~os.O_CREAT, 0o666)
    except FileNotFoundError as error:
        if expected is None or not path.parent.is_dir():
            raise
        raise PartChangedError from error
    with os.fdopen(descriptor, "ab", buffering=0) as file:
        if expected is not None and _mark_of(descriptor) != expected:
            raise PartChangedError
        _write_all(file.fileno(), chunk)
        return _mark_of(descriptor)


def _mark_of(descriptor: int) -> PartMark:
    found = os.fstat(descriptor)
    return PartMark(found.st_dev, found.st_ino, found.st_size)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def temporary_of(directory: Path, key: str) -> Path:
    """Where `write_temporary` writes under a key."""
    return directory / f".mediagen-{key}.part"


def write_temporary(
    directory: Path, data: bytes | Iterable[bytes], *, key: str | None = None, is_synced: bool = True
) -> Path:
    """Write a file, whole or in pieces, under a name that nobody uses; nothing is left on failure.

    It is durable then, unless `is_synced` is False. With `key` the name is the same each time, so that what a process
    that died left is replaced. It is removed first: it may be a second name of a finished file.
    """
    temporary = temporary_of(directory, key or secrets.token_hex(8))
    if key:
        temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, _CREATE, 0o666)
    try:
        try:
            for piece in [data] if isinstance(data, bytes) else data:
                _write_all(descriptor, piece)
            if is_synced:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def digest_and_sync(path: Path) -> tuple[str, int]:
    """SHA-256 and size of a file, once it is on the disk for good."""
    sync_file(path)
    return digest_of(path)


def digest_of(path: Path) -> tuple[str, int]:
    """SHA-256 and size of a file."""
    digest = hashlib.sha256()
    size = 0
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return digest.hexdigest(), size


def sync_file(path: Path) -> None:
    """Make what was written into a file earlier durable."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def sync_directory(directory: Path) -> None:
    """Make the names in a folder durable, where the system can do that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def is_there(path: str) -> bool:
    """Whether there is a file; for hundreds of names, of which a `Path` costs more than the look at the disk."""
    return os.access(path, os.F_OK)


def place_media(temporary: Path, directory: Path, stem: str, suffix: str) -> Path:
    """Give a media file the first free name of its stem; the temporary name stays where links exist.

    The name is not durable before `sync_directory`. A stem counts as taken when it has a file of any media suffix or a
    record, so that file and record stay a pair.
    """
    # Most names that are taken are so by files of the same kind.
    suffixes = dict.fromkeys([suffix, ".json", *MEDIA_SUFFIXES])

    def is_taken(candidate: str) -> bool:
        beside = f"{directory}{os.sep}{candidate}"
        return any(is_there(f"{beside}{other}") for other in suffixes)

    return _place(temporary, directory, stem, suffix=suffix, is_taken=is_taken)


def place_record(temporary: Path, directory: Path, stem: str) -> Path:
    """Give a record the first free name of its stem, as `place_media` does."""
    return _place(temporary, directory, stem, suffix=".json", is_taken=lambda _: False)


def _place(temporary: Path, directory: Path, stem: str, *, suffix: str, is_taken: Callable[[str], bool]) -> Path:
    # Left by a process that died right after linking it; the name that is free now may be another one.
    if earlier := next(other_names(temporary, directory, suffix), None):
        return earlier
    key = (str(directory), stem, suffix)
    passed_over = _taken.get(key, 0)
    for number, candidate in enumerate(candidates(stem)):
        if LOOKED_AT <= number < passed_over or is_taken(candidate):
            continue
        final = directory / f"{candidate}{suffix}"
        try:
            _take_name(temporary, final)
        except FileExistsError:
            continue
        if number > LOOKED_AT:
            if len(_taken) >= KNOWN_STEMS:
                _taken.clear()
            _taken[key] = number
        return final
    raise StorageError(
        f"{directory} holds thousands of files named {stem!r}.",
        hint="Use another output_name or folder. It is tried again by itself; what was paid for is kept.",
    )


def other_names(temporary: Path, directory: Path, suffix: str = "") -> Iterator[Path]:
    """The finished files of which `temporary` is a second name; none when it is not there."""
    try:
        if temporary.stat().st_nlink == 1:
            return
    except FileNotFoundError:
        return
    with os.scandir(directory) as entries:
        names = [entry.name for entry in entries if entry.name.endswith(suffix) and not entry.is_symlink()]
    for name in sorted(names):
        if name != temporary.name and _is_same_file(directory / name, temporary):
            yield directory / name


def has_other_names(temporary: Path, known: Iterable[Path]) -> bool:
    """Whether a file may have another name than those that are known; False when it is not there."""
    try:
        others = temporary.stat().st_nlink - 1
    except FileNotFoundError:
        return False
    for path in known:
        if others == 0:
            break
        others -= _is_same_file(path, temporary)
    return others > 0


def _is_same_file(final: Path, temporary: Path) -> bool:
    try:
        return final.samefile(temporary)
    except FileNotFoundError:
        return False


def _take_name(temporary: Path, final: Path) -> None:
    """Move to a name that must be free, in one step that no other process can come between."""
    if os.name == "nt":
        temporary.rename(final)  # refuses to replace on Windows
        return
    try:
        os.link(temporary, final)
    except OSError as error:
        if isinstance(error, FileExistsError) or error.errno not in _NO_LINKS:
            raise
        _rename_onto_own(temporary, final)


def _rename_onto_own(temporary: Path, final: Path) -> None:
    """Reserve the name with an empty file of ours, then replace that: for file systems without links."""
    os.close(os.open(final, _CREATE, 0o666))
    try:
        temporary.replace(final)
    except BaseException:
        final.unlink(missing_ok=True)
        raise
