"""What was said to get a picture, with the model's own turn: kept so that it can be continued after a restart."""

import gzip
import io
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import anyio.to_thread

from mediagen.errors import StorageError
from mediagen.storage.placing import write_temporary

LARGEST_BYTES = 200 * 1024 * 1024
KEPT_DAYS = 60

_PIECE_CHARACTERS = 256 * 1024
_GZIP = 31  # the window, and that it is a gzip file

Turns = list[dict[str, Any]]
_KEY = re.compile(r"job_[0-9a-z]+-\d+")


@runtime_checkable
class Encoded(Protocol):
    """A file that is written as base64."""

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
            plain, packed = self._files(key)
            small, text = _begun(_json(list(turns)))
            written = write_temporary(self.folder, _packed(text) if small is None else small, key=key, is_synced=False)
            written.replace(packed if small is None else plain)
            if small is None:
                # Of what was kept before it, if anything, which is read first.
                plain.unlink(missing_ok=True)
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

    def _files(self, key: str) -> tuple[Path, Path]:
        """Where small turns are, and where larger ones are, packed."""
        return self.folder / f"{key}.json", self.folder / f"{key}.json.gz"

    def _read(self, key: str) -> Turns | None:
        for path in self._files(key):
            try:
                with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
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


def _begun(text: Iterator[str]) -> tuple[bytes | None, Iterator[str]]:
    """A text that is small, which takes longer to pack than to write, and all of any text in pieces."""
    pieces, size = list[str](), 0
    for piece in text:
        pieces.append(piece)
        size += len(piece)
        if size >= _PIECE_CHARACTERS:
            return None, chain(pieces, text)
    return "".join(pieces).encode("ascii"), iter(pieces)


def _packed(text: Iterable[str]) -> Iterator[bytes]:
    # Base64 of pictures shrinks by a quarter, and no search for what comes again makes it any shorter.
    packer = zlib.compressobj(1, zlib.DEFLATED, _GZIP, strategy=zlib.Z_HUFFMAN_ONLY)
    size = 0
    waiting = io.StringIO()
    for piece in text:
        size += len(piece)
        if size > LARGEST_BYTES:
            raise _TooLongError
        waiting.write(piece)
        if waiting.tell() >= _PIECE_CHARACTERS:
            yield packer.compress(waiting.getvalue().encode("ascii"))
            waiting = io.StringIO()
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
