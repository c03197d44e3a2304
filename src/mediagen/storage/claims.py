"""Whose an unfinished file is while several processes are at it. Blocking."""

import contextlib
import errno
import os
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mediagen.errors import UnavailableError
from mediagen.storage.part import translated
from mediagen.storage.placing import is_there, storage_error

if TYPE_CHECKING:
    from filelock import BaseFileLock

MAX_CLAIMS: Final = 8
_NO_LOCKS: Final = frozenset({errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL})


@dataclass(kw_only=True, slots=True)
class Claims:
    """Numbers under which processes bring the same file, each into unfinished files of its own.

    The number 0 is anyone's who finds it free, so that what a dead process began is gone on with. It is not waited
    for: who has it may be stopped for days, and what was paid for would be deleted at Google meanwhile. Blocking.

    Attributes:
        directory: The folder of the unfinished files.
        key: As for `LocalStorage.open_part`.
    """

    directory: Path
    key: str
    _locks: "dict[int, BaseFileLock]" = field(default_factory=dict)

    def take(self) -> int:
        """The lowest number that is free; it is held until `release`, or until the process ends.

        Raises:
            StorageError: The folder is gone or cannot be written to.
            UnavailableError: None is free.
        """
        if not self.directory.is_dir():
            raise storage_error(FileNotFoundError(errno.ENOENT, "No such directory"), self.directory)
        # First who has a whole file already, which may be deleted at Google by now; the folder may hold thousands.
        is_tried_later = (lambda number: not self._has_whole(number)) if self.left() else None
        for number in sorted(range(MAX_CLAIMS), key=is_tried_later):
            if self.try_take(number):
                return number
        raise UnavailableError(
            f"{MAX_CLAIMS} other processes fetch the same file.", hint="It is tried again by itself.", billed="yes"
        )

    def try_take(self, number: int) -> bool:
        """Take a number unless another has it.

        Raises:
            StorageError: The folder is gone or cannot be written to.
        """
        from filelock import FileLock, Timeout  # costs as much as all the rest of the room to import

        lock = FileLock(self._file(number), mode=0o600, thread_local=False)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            return False
        except NotImplementedError:
            return number == 0  # no locks here: as if it were free
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return number == 0
            raise storage_error(error, self.directory) from error
        self._locks[number] = lock
        return True

    def is_any_held(self, own: int) -> bool:
        """Whether another process has a number."""
        for number in {0, *self.left()} - {own}:
            if not self.try_take(number):
                return True
            self.release(number)
        return False

    def _has_whole(self, number: int) -> bool:
        name = re.compile(rf"\.mediagen-{re.escape(self.key)}(-[0-9]+)?{self._suffix(number)}\.whole")
        with contextlib.suppress(OSError):
            return any(name.fullmatch(entry.name) for entry in self.directory.iterdir())
        return False

    def left(self) -> list[int]:
        """Numbers that were ever taken and not cleared away, besides 0, of which nothing need be left."""
        return [number for number in range(1, MAX_CLAIMS) if is_there(str(self._file(number)))]

    @property
    def held(self) -> list[int]:
        """Numbers that were taken and not given back yet."""
        return [*self._locks]

    def release(self, number: int, *, is_cleared: bool = False) -> None:
        """Give a number back; with `is_cleared` nothing of it is left."""
        lock = self._locks.pop(number, None)
        if is_cleared:
            # While it is locked: who opened it before notices that it has no name any more.
            with contextlib.suppress(OSError):
                self._file(number).unlink()
        if lock:
            with contextlib.suppress(OSError):
                lock.release()
        if is_cleared and os.name == "nt":
            with contextlib.suppress(OSError):
                self._file(number).unlink()

    def _file(self, number: int) -> Path:
        return self.directory / f".mediagen-{self.key}{self._suffix(number)}.lock"

    @staticmethod
    def _suffix(number: int) -> str:
        return f"-by{number}" if number else ""


def claimed(claims: Claims) -> int:
    """Take a number as `Claims.take` does, and make the folder again if it disappeared meanwhile.

    Raises:
        StorageError: The folder cannot be written to.
        UnavailableError: None is free.
    """
    with contextlib.suppress(OSError):
        if not claims.directory.is_dir():
            claims.directory.mkdir(parents=True, exist_ok=True)
    with translated(claims.directory):
        return claims.take()


def give_back(claims: Claims, taken: Iterable[int], cleared: Collection[int] = ()) -> None:
    """Give numbers back that were taken; of those that are cleared nothing is left."""
    for number in taken:
        claims.release(number, is_cleared=number in cleared)
