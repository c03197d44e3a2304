"""The folders that files of jobs were put in: a list for the day that the ledger is lost. Blocking."""

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from mediagen.jobs import Job

Rebuild = Callable[[Sequence[str]], Mapping[str, Job]]


def no_records(_folders: Sequence[str]) -> Mapping[str, Job]:
    """Knows no job of any folder."""
    return {}


class KnownFolders:
    """One line of JSON for each folder; lines are only ever added, so that a torn one harms no other."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._known: set[str] | None = None

    def read(self) -> list[str]:
        """The folders, oldest first; lines that cannot be understood are left out."""
        try:
            lines = self.file.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return []
        found: dict[str, None] = {}
        for line in lines:
            with suppress(ValueError):
                folder = json.loads(line)
                if isinstance(folder, str) and folder:
                    found[folder] = None
        return list(found)

    def is_known(self, folder: str) -> bool:
        """Whether it is listed as far as this process knows; asks no disk."""
        return self._known is not None and folder in self._known

    def remember(self, folders: Iterable[str]) -> None:
        """Add those that are not listed; no job is held up when that cannot be done."""
        if self._known is None:
            self._known = set(self.read())
        new = [folder for folder in folders if folder not in self._known]
        if not new:
            return
        with suppress(OSError):
            lines = "".join(f"{json.dumps(folder)}\n" for folder in new)
            descriptor = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                # A line that was torn before stays alone.
                os.write(descriptor, f"\n{lines}".encode())
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            self._known.update(new)
