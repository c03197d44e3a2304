"""Files that callers send to the server, kept for a day: each is seen by whoever sent it alone."""

import contextlib
import hashlib
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio.to_thread

from mediagen.errors import InvalidRequestError

KEPT_SECONDS: Final = 24 * 3600
OWNER: Final = "owner"
_ID = re.compile(r"upl_[0-9a-z]{26}")


def folder_name(principal: str) -> str:
    """Name of a folder for a principal: one part of a path, whatever its name is, and another for each."""
    readable = re.sub(r"[^A-Za-z0-9-]+", "-", principal).strip("-").lower()[:24]
    return f"{readable or 'principal'}-{hashlib.sha256(principal.encode()).hexdigest()[:12]}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Uploads:
    """The folder of what one principal sent; with None, of whoever owns the machine.

    Attributes:
        root: Folder of all.
    """

    root: Path
    principal: str | None = None

    @property
    def folder(self) -> Path:
        """Folder of this principal."""
        return self.root / (OWNER if self.principal is None else folder_name(self.principal))

    async def path(self, upload_id: str) -> Path:
        """Where a file lies.

        Raises:
            InvalidRequestError: There is none of that id, of this principal.
        """
        found = await anyio.to_thread.run_sync(self._find, upload_id)
        if found is None:
            raise InvalidRequestError(
                f"There is no uploaded file {upload_id!r}.",
                hint="Files are kept for 24 hours; send it again and use the new address.",
                code="upload_gone",
            )
        return found

    async def take_in(self, part: Path, upload_id: str, suffix: str) -> Path:
        """Give an unfinished file, which lies in `folder`, its place."""
        path = self.folder / f"{upload_id}{suffix}"
        await anyio.to_thread.run_sync(os.replace, part, path)
        return path

    async def make_folder(self) -> Path:
        """Make the folder, readable by this user alone, and remove what is older than a day from all of them."""
        await anyio.to_thread.run_sync(self._make_folder)
        return self.folder

    async def kept_bytes(self) -> int:
        """Size of all that this principal has sent and that is kept."""
        return await anyio.to_thread.run_sync(lambda: sum(_size(path) for path in self.folder.glob("*")))

    async def sweep(self) -> None:
        """Remove what is older than a day, whoever sent it."""
        await anyio.to_thread.run_sync(self._sweep)

    def _find(self, upload_id: str) -> Path | None:
        if not _ID.fullmatch(upload_id):
            return None
        found = [path for path in self.folder.glob(f"{upload_id}.*") if path.suffix != ".part" and not _is_old(path)]
        return found[0] if found else None

    def _make_folder(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._sweep()

    def _sweep(self) -> None:
        for path in self.root.glob("*/*"):
            if _is_old(path):
                path.unlink(missing_ok=True)


def _size(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


def _is_old(path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_mtime < time.time() - KEPT_SECONDS
    return False
