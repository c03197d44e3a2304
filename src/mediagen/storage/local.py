"""Files on this machine: stored whole, under names that were free, even with several processes at work."""

import contextlib
import hashlib
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import anyio

from mediagen.errors import ConfigurationError, InvalidRequestError
from mediagen.storage.names import safe_stem, sanitise_name
from mediagen.storage.part import StoredFile, open_part, translated
from mediagen.storage.part_file import PartFile
from mediagen.storage.placing import digest_and_sync, place_media, sync_directory, write_temporary
from mediagen.storage.records import write_sidecar

__all__ = ["LocalStorage", "PartFile", "StoredFile", "sanitise_name"]

MIN_FREE_BYTES: Final = 50 * 1024**2
FOLDERS: Final = {"MEDIAGEN_OUTPUT_DIR": "The output folder", "MEDIAGEN_STATE_DIR": "The folder beside the ledger"}
WORKSPACE_PREFIX: Final = ".mediagen-work-"
ABANDONED_SECONDS: Final = 86_400.0
# The rows of a batch, or the windows of one person, ask for the same folders many times a second.
CHECK_HOLDS_SECONDS: Final = 1.0


class LocalStorage:
    """Stores finished files and their records in folders of this machine."""

    def __init__(self) -> None:
        """Nothing is looked at yet."""
        self._checked: dict[tuple[Path, str | None, str], float] = {}

    async def store_bytes(
        self, data: bytes | Iterable[bytes], *, directory: Path, stem: str, suffix: str
    ) -> StoredFile:
        """Store a whole file.

        Args:
            data: Its contents, or the pieces of them.
            directory: An existing folder.
            stem: Name without suffix; ``_2``, ``_3``, … is added when it is taken.
            suffix: With its dot.

        Raises:
            StorageError: The disk is full (code ``disk_full``), or the folder is gone or cannot be written to;
                nothing is left under the final name.
        """
        return await anyio.to_thread.run_sync(_store_bytes, data, directory, stem, suffix)

    @contextlib.asynccontextmanager
    async def workspace(self, directory: Path) -> AsyncIterator[Path]:
        """Give a hidden folder within another one, for files that are still being made; it goes away at the end.

        Raises:
            StorageError: The folder is gone or cannot be written to.
        """
        folder = await anyio.to_thread.run_sync(_make_workspace, directory)
        try:
            yield folder
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(lambda: shutil.rmtree(folder, ignore_errors=True))

    async def take_over(self, made: Path, *, directory: Path, stem: str, suffix: str) -> StoredFile:
        """Give a finished file of a workspace its final name; what is said of `store_bytes` holds.

        Raises:
            StorageError: The folder is gone or cannot be written to.
        """
        return await anyio.to_thread.run_sync(_take_over, made, directory, stem, suffix)

    async def open_part(self, directory: Path, key: str) -> PartFile:
        """Open the download of a job, new or begun earlier.

        Args:
            directory: An existing folder; the finished file stays in it.
            key: Names the download: letters, digits, ``-`` and ``_``; the same key finds the same part.

        Raises:
            StorageError: The folder is gone.
        """
        return PartFile(await anyio.to_thread.run_sync(open_part, directory, key))

    async def check_directory(
        self, path: Path, *, field: str | None = "output_dir", setting: str = "MEDIAGEN_OUTPUT_DIR"
    ) -> Path:
        """Create the folder when needed and make sure that files can be stored in it; called before money is spent.

        Args:
            path: The folder; ``~`` is expanded.
            field: Argument that named it, or None when a setting did.
            setting: The setting that did, one of `FOLDERS`.

        Returns:
            The folder, absolute, links resolved.

        Raises:
            InvalidRequestError: It cannot be created or written to, or has less than 50 MB free; with `field`.
            ConfigurationError: The same, when a setting named it.
        """
        return await anyio.to_thread.run_sync(_check_directory, path, field, setting)

    async def check_directories(self, *wanted: tuple[Path, str | None, str]) -> None:
        """Do the same for several: path, field and setting of each; what was found good a moment ago counts as that.

        Raises:
            InvalidRequestError, ConfigurationError: As `check_directory`, of the first that cannot be used.
        """
        now = time.monotonic()
        good = {each: at for each, at in self._checked.items() if now - at < CHECK_HOLDS_SECONDS}
        due = [each for each in wanted if each not in good]
        if due:
            await anyio.to_thread.run_sync(lambda: [_check_directory(*each) for each in due])
        self._checked = {**good, **dict.fromkeys(due, now)}

    async def write_sidecar(self, media_or_stem: Path, record: dict[str, Any]) -> Path:
        """Write the record of a file beside it; see `records.write_sidecar`."""
        return await anyio.to_thread.run_sync(write_sidecar, media_or_stem, record)

    async def remove_file(self, stored: StoredFile) -> None:
        """Remove a file that was stored, unless another has its name by now.

        Raises:
            StorageError: It cannot be removed.
        """
        await anyio.to_thread.run_sync(_remove_file, stored)


def _store_bytes(data: bytes | Iterable[bytes], directory: Path, stem: str, suffix: str) -> StoredFile:
    directory = directory.absolute()
    digest = hashlib.sha256()
    size_bytes = 0

    def counted() -> Iterator[bytes]:
        nonlocal size_bytes
        for piece in [data] if isinstance(data, bytes) else data:
            digest.update(piece)
            size_bytes += len(piece)
            yield piece

    with translated(directory):
        temporary = write_temporary(directory, counted())
        try:
            final = place_media(temporary, directory, safe_stem(stem), suffix)
        finally:
            temporary.unlink(missing_ok=True)
        sync_directory(directory)
    return StoredFile(path=final, size_bytes=size_bytes, sha256=digest.hexdigest())


def _make_workspace(directory: Path) -> Path:
    with translated(directory):
        for left in directory.glob(f"{WORKSPACE_PREFIX}*"):
            # A process that was killed could not remove its own.
            if time.time() - left.lstat().st_mtime > ABANDONED_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
        return Path(tempfile.mkdtemp(prefix=WORKSPACE_PREFIX, dir=directory.absolute()))


def _take_over(made: Path, directory: Path, stem: str, suffix: str) -> StoredFile:
    directory = directory.absolute()
    with translated(directory):
        sha256, size_bytes = digest_and_sync(made)
        final = place_media(made, directory, safe_stem(stem), suffix)
        made.unlink(missing_ok=True)
        sync_directory(directory)
    return StoredFile(path=final, size_bytes=size_bytes, sha256=sha256)


def _check_directory(path: Path, field: str | None, setting: str) -> Path:
    shown = str(path)[:300]
    try:
        directory = path.expanduser().resolve()
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory) as trial:  # without a name, so that a process that dies leaves none
            trial.write(b"mediagen")
        free_bytes = shutil.disk_usage(directory).free
    except (OSError, RuntimeError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "it is no usable path"
        raise _bad_directory(f"{shown!r} cannot be used for files: {why}.", field, setting) from error
    if free_bytes < MIN_FREE_BYTES:
        raise _bad_directory(f"{shown!r} has only {free_bytes // 1024**2} MB free; 50 MB are needed.", field, setting)
    return directory


def _bad_directory(message: str, field: str | None, setting: str) -> InvalidRequestError | ConfigurationError:
    hint = "Nothing was sent. Choose a folder that can be written to and has space."
    if field:
        return InvalidRequestError(f"{field}={message}", field=field, hint=hint)
    return ConfigurationError(f"{FOLDERS[setting]} {message}", hint=f"{hint} {setting} names it.")


def _remove_file(stored: StoredFile) -> None:
    with translated(stored.path.parent), contextlib.suppress(FileNotFoundError):
        if digest_and_sync(stored.path) == (stored.sha256, stored.size_bytes):
            stored.path.unlink()
