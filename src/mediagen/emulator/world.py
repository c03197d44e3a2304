"""Everything one emulator knows: files, interactions, the bill, the faults, what was asked."""

import asyncio
import concurrent.futures
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import anyio

from mediagen.emulator.batches import BatchBook
from mediagen.emulator.bill import Bill
from mediagen.emulator.buckets import BucketShelf
from mediagen.emulator.faults import FaultQueue
from mediagen.emulator.files import FileShelf
from mediagen.emulator.identities import IdentityBook
from mediagen.emulator.interactions import InteractionBook
from mediagen.emulator.quota import Quota
from mediagen.emulator.settings import EmulatorSettings
from mediagen.emulator.studio import Studio
from mediagen.emulator.traffic import Traffic
from mediagen.emulator.uploads import UploadDesk
from mediagen.emulator.veo_operations import OperationBook

CALL_SECONDS = 10.0


class World:
    """The state of one emulator, shared by all its endpoints."""

    def __init__(self, settings: EmulatorSettings) -> None:
        self.settings = settings
        self._temporary = settings.state_dir is None
        folder = settings.state_dir or Path(tempfile.mkdtemp(prefix="mediagen-emulator-"))
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.bill = Bill()
        self.faults = FaultQueue()
        self.quota = Quota(settings.calls_per_window, settings.window_seconds)
        self.traffic = Traffic()
        self.files = FileShelf(folder)
        self.buckets = BucketShelf(folder)
        self.uploads = UploadDesk(self.files, settings.processing_seconds)
        self.identities = IdentityBook(settings.token_seconds)
        self.studio = Studio(settings, self.files)
        self.interactions = InteractionBook(self.studio, self.buckets, self.bill)
        self.operations = OperationBook(self.studio, self.buckets, self.bill)
        self.batches = BatchBook(settings, self.bill)
        self.started_at = time.monotonic()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def idle_seconds(self) -> float:
        """How long nothing was asked and no clip was rendering."""
        if self.studio.is_rendering or self.traffic.open_requests:
            return 0.0
        busy_until = max(self.started_at, self.traffic.last_at, self.studio.last_finished_at)
        return time.monotonic() - busy_until

    async def run(self, started: anyio.Event, stop: anyio.Event) -> None:
        """Carry the background work until told to stop."""
        self._loop = asyncio.get_running_loop()
        async with anyio.create_task_group() as tasks:
            self.studio.tasks = tasks
            started.set()
            await stop.wait()
            tasks.cancel_scope.cancel()

    def call(self, action: Callable[[], None]) -> None:
        """Do something in the thread of the server, from another one, and wait until it is done."""
        assert self._loop is not None
        done: concurrent.futures.Future[None] = concurrent.futures.Future()

        def act() -> None:
            action()
            done.set_result(None)

        self._loop.call_soon_threadsafe(act)
        done.result(CALL_SECONDS)

    def age(self, seconds: float) -> None:
        """Let time pass for files, batches and interactions, whose lives end some time."""
        self.files.age(seconds)
        self.batches.age(seconds)
        self.interactions.age(seconds)

    def reset(self) -> None:
        """Forget everything, as if just started."""
        self.interactions.clear()
        self.operations.clear()
        self.batches.clear()
        self.faults.clear()
        self.traffic.clear()
        self.uploads.clear()
        self.files.clear()
        self.buckets.clear()
        self.bill.clear()

    def close(self) -> None:
        """Remove the files, when they are in a temporary folder."""
        if self._temporary:
            shutil.rmtree(self.folder, ignore_errors=True)
