"""Runs an emulator in a thread, for tests and demonstrations in one process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mediagen.emulator.answers import ApiError
from mediagen.emulator.app import create_app
from mediagen.emulator.server import EmulatorServer, listen
from mediagen.emulator.settings import EmulatorSettings
from mediagen.emulator.world import World
from mediagen.errors import ConfigurationError

START_SECONDS = 20.0
STOP_SECONDS = 20.0


class EmulatorHandle:
    """A running emulator.

    Attributes:
        url: Its base URL, without a slash at the end.
    """

    def __init__(self, url: str, world: World) -> None:
        self.url = url
        self._world = world

    def bill(self) -> dict[str, Any]:
        """Give what the calls so far would have cost, as GET /emulator/bill does."""
        return self._world.bill.as_json()

    def requests(self) -> list[dict[str, Any]]:
        """Give the requests so far, as GET /emulator/requests does."""
        return self._world.traffic.as_json()

    def files(self) -> list[dict[str, Any]]:
        """Give the produced files and pictures, as GET /emulator/files does."""
        return self._world.files.served()

    def reset(self) -> None:
        """Forget everything: files, interactions, faults, the bill."""
        self._world.call(self._world.reset)

    def add_fault(self, **script: Any) -> None:
        """Script a fault, as POST /emulator/faults does: ``fault=…, times=…, match=…`` and its parameters.

        Raises:
            ConfigurationError: The script is not understood.
        """
        try:
            self._world.faults.add(script)
        except ApiError as error:
            raise ConfigurationError(error.body["error"]["message"]) from error


@contextmanager
def running_emulator(settings: EmulatorSettings | None = None) -> Iterator[EmulatorHandle]:
    """Run an emulator in a thread for as long as the context is open.

    Raises:
        ConfigurationError: It does not start.
    """
    settings = settings or EmulatorSettings()
    started = threading.Event()
    listener, url = listen(settings)
    with listener:
        app = create_app(settings)
        server = EmulatorServer(app, settings, started.set)
        thread = threading.Thread(target=lambda: server.run(sockets=[listener]), name="mediagen-emulator", daemon=True)
        thread.start()
        try:
            if not started.wait(START_SECONDS):
                raise ConfigurationError("The emulator did not start.")
            yield EmulatorHandle(url, app.state.world)
        finally:
            server.should_exit = True
            thread.join(STOP_SECONDS)
