"""Where videos lie that were brought here or converted: named by their contents, and swept when one is added."""

import contextlib
import dataclasses
import os
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from mediagen.errors import EndpointError, MediaError, MediaGenError, StorageError
from mediagen.media.inputs import MAX_VIDEO_BYTES
from mediagen.media.local_files import file_digest
from mediagen.storage.part import Part
from mediagen.storage.part_file import PartFile

if TYPE_CHECKING:
    from mediagen.media.fetch import FetchSettings
    from mediagen.media.fetch import OnProgress as OnBytes

KEPT_SECONDS = 7 * 24 * 3600
VIDEOS = frozenset({"video"})


@dataclass(frozen=True, kw_only=True, slots=True)
class InputFolder:
    """The folder ``inputs`` beside the ledger; several processes may use it at once.

    Attributes:
        web: How to fetch from the web; None is as usual.
    """

    path: Path
    web: "FetchSettings | None" = None

    async def fetch(self, bring: Callable[[PartFile], Awaitable[None]]) -> Path:
        """Bring a file here.

        Raises:
            MediaError: It cannot be written to the disk.
            MediaGenError: What `bring` raises; nothing is left of the file then.
        """
        await self._prepare()
        # Another process may fetch the same; each has a part of its own, and the names of the whole are the same.
        part = PartFile(Part(self.path, f"input-{uuid.uuid4().hex}"))
        try:
            await bring(part)
            return await anyio.to_thread.run_sync(self._keep, part.path)
        except StorageError as error:
            # Nothing was paid for: the words of a clip that waits at Google would be wrong.
            raise MediaError(error.message, hint="Free some space, or check the folder.", code=error.code) from error
        except EndpointError as error:
            error.billed = "no"
            raise
        finally:
            with anyio.CancelScope(shield=True), contextlib.suppress(MediaGenError):
                await part.discard()

    async def fetch_url(self, url: str, field: str, on_progress: "OnBytes | None" = None) -> Path:
        """Bring a video from the web here.

        Args:
            url: Its address.
            field: Argument it was given for.
            on_progress: Told the bytes so far and in total, None when that is not known.

        Raises:
            InvalidRequestError, UnavailableError, ConfigurationError, MediaError: As for `fetch_media`.
        """
        # The HTTP client is heavy to import.
        from mediagen.media.fetch import FetchSettings, fetch_media

        await self._prepare()
        settings = dataclasses.replace(self.web or FetchSettings(), field=field)
        target = self.path / f".input-{uuid.uuid4().hex}.part"
        try:
            await fetch_media(
                url, target, max_bytes=MAX_VIDEO_BYTES, kinds=VIDEOS, on_progress=on_progress, settings=settings
            )
            return await anyio.to_thread.run_sync(self._keep, target)
        finally:
            with contextlib.suppress(OSError):
                target.unlink(missing_ok=True)

    async def used(self, path: Path) -> None:
        """Note that a file of the folder is used, so that it is not swept; files elsewhere are left alone."""
        if path.parent == self.path:
            await anyio.to_thread.run_sync(_touch, path)

    async def swept(self) -> None:
        """Remove what nobody used for seven days."""
        await anyio.to_thread.run_sync(self._sweep)

    async def _prepare(self) -> None:
        try:
            await anyio.Path(self.path).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(self.path, error) from error
        await self.swept()

    def _keep(self, part: Path) -> Path:
        try:
            whole = self.path / f"fetched-{file_digest(part)[:32]}.video"
            part.replace(whole)
        except OSError as error:
            raise _unwritable(self.path, error) from error
        _touch(whole)
        return whole

    def _sweep(self) -> None:
        oldest = time.time() - KEPT_SECONDS
        # What another process removes, or does not let us remove, does not stop a job.
        with contextlib.suppress(OSError), os.scandir(self.path) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    if entry.is_file(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_mtime < oldest:
                        Path(entry.path).unlink(missing_ok=True)


def _touch(path: Path) -> None:
    with contextlib.suppress(OSError):
        os.utime(path)


def _unwritable(folder: Path, error: OSError) -> MediaError:
    return MediaError(
        f"Nothing can be written to {folder}: {error.strerror or 'input/output error'}.",
        hint="Free some space, or check the folder.",
        code="cannot_write",
    )
