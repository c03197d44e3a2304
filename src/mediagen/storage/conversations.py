"""What was said to get a picture, with the model's own turn: kept so that it can be continued after a restart."""

import gzip
import io
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import anyio.to_thread

from mediagen.errors import StorageError
from mediagen.storage.placing import write_temporary

LARGEST_BYTES = 200 * 1024 * 1024
KEPT_DAYS = 60

# What is small takes longer to pack than to write.
SMALL_CHARACTERS = 256 * 1024
_PIECE_CHARACTERS = 256 * 1024
_GZIP = 31  # the window, and that it is a gzip file

Turns = list[dict[str, Any]]
_KEY = re.compile(r"job_[0-9a-z]+-\d+")


@runtime_checkable
class Encoded(Protocol):
    """A file that is written as base64.

    Attributes:
        size: In bytes.
    """

    size: int

    def base64(self) -> Iterator[str]:
        """The pieces."""
        ...


class _TooLongError(Exception):
    """The turns are larger than what is kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Conversations:
    """Keeps the turns of each picture in a file of its own; they hold the pictures that went in and came out."""

    folder: Path

    def keep(self, job_id: str, ordinal: int, turns: Sequence[Mapping[str, Any]]) -> bool:
        """Keep the turns; False when they are too large or too deep for that. Blocking.

        A power cut in the next seconds may take them; no picture waits for the disk because of them.

        In place of a text they may hold a file that is not in memory, as `Encoded`.

        Raises:
            StorageError: They could not be written.
        """
        key = _key_of(job_id, ordinal)
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if _left_by(turns, SMALL_CHARACTERS) >= 0:
                name, text = f"{key}.json", iter(["".join(_json(list(turns))).encode("ascii")])
            else:
                name, text = f"{key}.json.gz", _packed(_json(list(turns)))
            written = write_temporary(self.folder, text, key=key, is_synced=False)
            written.replace(self.folder / name)
            if name.endswith(".gz"):
                # What was kept before it, if anything, was shorter.
                (self.folder / f"{key}.json").unlink(missing_ok=True)
        except (RecursionError, _TooLongError):
            return False
        except OSError as error:
            raise StorageError(
                f"The conversation of a picture could not be kept in {self.folder} ({error.strerror}).",
                hint="The picture itself is safe; it cannot be continued with continue_from.",
                code="conversation_not_kept",
            ) from error
        return True

    async def read(self, job_id: str, ordinal: int) -> Turns | None:
        """The turns of a picture, or None when they are not kept (any more).

        Raises:
            StorageError: The file is damaged.
        """
        return await anyio.to_thread.run_sync(self._read, _key_of(job_id, ordinal))

    async def forget_before(self, oldest: float) -> None:
        """Remove what was last written before a time in seconds since the epoch."""
        await anyio.to_thread.run_sync(partial(self._forget_before, oldest))

    def _read(self, key: str) -> Turns | None:
        plain, packed = self.folder / f"{key}.json", self.folder / f"{key}.json.gz"
        for path in (plain, packed):
            try:
                with path.open("rb") if path is plain else gzip.open(path, "rb") as file:
                    turns = json.loads(file.read(LARGEST_BYTES + 1))
            except FileNotFoundError:
                continue
            except (OSError, EOFError, ValueError, RecursionError, zlib.error) as error:
                raise _damaged(path) from error
            if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
                raise _damaged(path)
            return turns
        return None

    def _forget_before(self, oldest: float) -> None:
        if not self.folder.is_dir():
            return
        for file in self.folder.iterdir():
            if file.stat().st_mtime < oldest:
                file.unlink(missing_ok=True)


def _left_by(value: Any, left: int) -> int:
    """What is left of a number of characters, of which each value takes at least one; negative when it holds more."""
    match value:
        case str():
            return left - len(value) - 1
        case dict() | list() | tuple():
            left -= 1
            for name, item in value.items() if isinstance(value, dict) else enumerate(value):
                if left < 0:
                    break
                left = _left_by(item, left - len(str(name)))
            return left
        case Encoded():
            return left - 4 * (value.size // 3 + 1)
    return left - 1


def _packed(text: Iterable[str]) -> Iterator[bytes]:
    packer = None
    size = 0
    waiting = io.StringIO()
    for piece in text:
        size += len(piece)
        if size > LARGEST_BYTES:
            raise _TooLongError
        waiting.write(piece)
        if waiting.tell() >= _PIECE_CHARACTERS:
            # Base64 of pictures shrinks by a quarter, and no search for what comes again makes it any shorter.
            packer = packer or zlib.compressobj(1, zlib.DEFLATED, _GZIP, strategy=zlib.Z_HUFFMAN_ONLY)
            yield packer.compress(waiting.getvalue().encode("ascii"))
            waiting = io.StringIO()
    packer = packer or zlib.compressobj(0, zlib.DEFLATED, _GZIP)
    yield packer.compress(waiting.getvalue().encode("ascii")) + packer.flush()


def _json(value: Any) -> Iterator[str]:
    """JSON in pieces that are never much longer than `_PIECE_CHARACTERS`."""
    match value:
        case str():
            yield '"'
            for start in range(0, len(value), _PIECE_CHARACTERS):
                yield json.dumps(value[start : start + _PIECE_CHARACTERS])[1:-1]
            yield '"'
        case dict():
            for number, (name, item) in enumerate(value.items()):
                yield f"{',' if number else '{'}{json.dumps(name)}:"
                yield from _json(item)
            yield "}" if value else "{}"
        case list():
            for number, item in enumerate(value):
                yield "," if number else "["
                yield from _json(item)
            yield "]" if value else "[]"
        case Encoded():
            yield '"'
            yield from value.base64()
            yield '"'
        case _:
            yield json.dumps(value)


def _key_of(job_id: str, ordinal: int) -> str:
    key = f"{job_id}-{ordinal}"
    if not _KEY.fullmatch(key):
        raise ValueError(f"not a key: {key!r}")
    return key


def _damaged(path: Path) -> StorageError:
    return StorageError(
        f"The kept conversation {path.name} cannot be read.",
        hint="Pass the picture as input_images instead.",
        code="conversation_damaged",
        retryable=False,
        billed="no",
    )
