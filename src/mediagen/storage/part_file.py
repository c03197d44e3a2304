"""A download on its way to its final name, for the event loop."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Literal

from anyio.to_thread import run_sync

from mediagen.storage.part import Part, StoredFile


class PartFile:
    """An unfinished file whose methods do in a worker thread what those of `Part` do, and raise what those raise.

    Attributes:
        blocking: The same, for who is in a thread already.
    """

    def __init__(self, blocking: Part) -> None:
        self.blocking = blocking

    @property
    def path(self) -> Path:
        """Where it is now."""
        return self.blocking.path

    @property
    def is_whole(self) -> bool:
        """Whether the download is known to be complete, so that nothing need be fetched any more."""
        return self.blocking.is_whole

    def size(self) -> int:
        """Bytes that are here already; 0 when nothing is."""
        return self.blocking.size()

    async def is_placed(self) -> bool:
        """Whether the file has its final name already, so that it must not be changed any more."""
        return await run_sync(self.blocking.is_placed)

    async def seal(self) -> None:
        """Note on the disk that the download is complete."""
        await run_sync(self.blocking.seal)

    async def append(self, chunk: bytes) -> None:
        """Add bytes at the end."""
        await run_sync(self.blocking.append, chunk)

    async def note(self) -> dict[str, str]:
        """What was noted of the download by an earlier attempt, also in another process."""
        return await run_sync(self.blocking.note)

    async def keep_note(self, note: Mapping[str, str]) -> None:
        """Replace the note; it stays until `discard`."""
        await run_sync(self.blocking.keep_note, note)

    async def checksum(self, kind: Literal["md5", "crc32c"]) -> str:
        """Checksum of what is here, in base64 as Google writes it."""
        return await run_sync(self.blocking.checksum, kind)

    async def truncate(self) -> None:
        """Throw away what is here, to start over."""
        await run_sync(self.blocking.truncate)

    async def finish(self, stem: str, suffix: str, *, keep_part: bool = False) -> StoredFile:
        """Give the whole file its final name, which was free."""
        return await run_sync(partial(self.blocking.finish, stem, suffix, keep_part=keep_part))

    async def discard(self) -> None:
        """Remove the part and its note; nothing happens when there is none."""
        await run_sync(self.blocking.discard)
