"""Where calls wait for the app: it is opened with the first one that needs it, so that a server is there at once.

What waits in the ledger from an earlier server counts as such a call.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from mediagen.errors import MediaGenError

if TYPE_CHECKING:
    from mediagen.app.app import App

LOOK_SECONDS = 30.0

OpenApp = Callable[[], AbstractAsyncContextManager["App"]]


class Desk:
    """The app of a server, once it is open.

    Attributes:
        streams: Of change notices: whose each open one is.
    """

    def __init__(self, open_app: OpenApp) -> None:
        self._open_app = open_app
        self._app: App | None = None
        self._trouble: MediaGenError | None = None
        self._wanted, self._settled, self._closing = anyio.Event(), anyio.Event(), anyio.Event()
        self._waiting: dict[object, Callable[[App], None]] = {}
        self.streams: dict[object, str | None] = {}

    @property
    def app(self) -> "App":
        """The app; for who comes after `ready`."""
        assert self._app is not None
        return self._app

    @property
    def is_open(self) -> bool:
        """Whether the app is open."""
        return self._app is not None

    @property
    def is_sending(self) -> bool:
        """Whether a paid request is on its way."""
        return self._app is not None and self._app.runner.is_sending

    async def ready(self) -> None:
        """Wait until the app is open, and have it opened.

        Raises:
            MediaGenError: It cannot be opened; the next call tries again.
        """
        if self._app is not None:
            return
        self._wanted.set()
        await self._settled.wait()
        if self._trouble:
            raise self._trouble

    def when_open(self, action: "Callable[[App], None]") -> Callable[[], None]:
        """Do something once the app is open, at once if it is; returns what takes that back."""
        if self._app is not None:
            action(self._app)
            return lambda: None
        token = object()
        self._waiting[token] = action

        def take_back() -> None:
            self._waiting.pop(token, None)

        return take_back

    @asynccontextmanager
    async def attended(self, has_work: Callable[[], bool]) -> AsyncIterator[None]:
        """Open the app when it is wanted, and close it at the end.

        Args:
            has_work: Whether something waits to be gone on with; blocking, asked from time to time.
        """
        async with anyio.create_task_group() as group:
            looking = anyio.CancelScope()
            group.start_soon(self._attend)
            group.start_soon(self._look, has_work, looking)
            try:
                yield
            finally:
                looking.cancel()
                self._closing.set()
                self._wanted.set()

    async def _attend(self) -> None:
        # Whatever the app has begun is ended by the task that entered it, in its order: were all of it cancelled at
        # once, a paid request would wait for an answer that nobody reads any more.
        with anyio.CancelScope(shield=True):
            while not self._closing.is_set():
                await self._wanted.wait()
                if self._closing.is_set():
                    return
                try:
                    async with self._open_app() as self._app:
                        self._tell()
                        await self._closing.wait()
                except MediaGenError as error:
                    self._trouble = error
                    self._wanted, settled, self._settled = anyio.Event(), self._settled, anyio.Event()
                    settled.set()

    def _tell(self) -> None:
        assert self._app is not None
        self._trouble = None
        self._settled.set()
        waiting, self._waiting = [*self._waiting.values()], {}
        for action in waiting:
            action(self._app)

    async def _look(self, has_work: Callable[[], bool], scope: anyio.CancelScope) -> None:
        with scope:
            while self._app is None:
                if await anyio.to_thread.run_sync(has_work):
                    self._wanted.set()
                await anyio.sleep(LOOK_SECONDS)
