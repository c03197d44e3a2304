"""The studio: where films are rendered, two at a time."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import anyio
from anyio.abc import TaskGroup

from mediagen.emulator.faults import DOWNLOAD, Fault
from mediagen.emulator.ffmpeg import find_ffmpeg
from mediagen.emulator.files import FileShelf, StoredFile
from mediagen.emulator.films import FilmPlan, render
from mediagen.emulator.manifest import sign_film
from mediagen.emulator.settings import EmulatorSettings

# two encoders at a time keep a small machine usable
_ENCODERS = 2


class Studio:
    """Renders the films of one emulator and knows whether it is at work.

    Attributes:
        tasks: Where background work is started; there while the emulator runs.
        last_finished_at: When the last piece of work ended, on the monotonic clock.
    """

    def __init__(self, settings: EmulatorSettings, files: FileShelf) -> None:
        self.settings = settings
        self._files = files
        self._encoders = anyio.Semaphore(_ENCODERS)
        self._working = 0
        self.last_finished_at = 0.0
        self.tasks: TaskGroup | None = None

    @property
    def is_rendering(self) -> bool:
        """Whether a film is being made."""
        return self._working > 0

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Count as rendering for as long as the context is open."""
        self._working += 1
        try:
            yield
        finally:
            self._working -= 1
            self.last_finished_at = time.monotonic()

    async def make(self, plan: FilmPlan, faults: tuple[Fault, ...] = ()) -> StoredFile:
        """Render a film and put it on the shelf, with the faults that its download shall suffer.

        Raises:
            MediaError: ffmpeg is missing or could not do it.
        """
        executable = find_ffmpeg(self.settings.ffmpeg)
        file_id, path = self._files.new_path()
        async with self._encoders:
            await render(plan, executable, path)
        if self.settings.signed:
            await anyio.to_thread.run_sync(sign_film, path)
        film = await anyio.to_thread.run_sync(
            lambda: self._files.put(file_id, mime_type="video/mp4", source="GENERATED")
        )
        for fault in faults:
            if fault.kind == "expired":
                film.expired = True
            elif fault.kind in DOWNLOAD:
                film.faults.append(fault)
        return film
