"""Runs the emulator in this process until it is told to stop."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mediagen.emulator.app import create_app
from mediagen.emulator.server import EmulatorServer, listen
from mediagen.emulator.settings import EmulatorSettings


def serve(settings: EmulatorSettings, announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM, SIGINT or the idle time; blocks.

    Args:
        settings: How the emulator behaves.
        announce: Called once with the base URL as soon as requests are taken.

    Raises:
        ConfigurationError: The address or the port cannot be used.
    """
    listener, url = listen(settings)
    with listener:
        server = EmulatorServer(create_app(settings), settings, lambda: announce(url))
        with _stopping(server):
            server.run(sockets=[listener])


@contextmanager
def _stopping(server: EmulatorServer) -> Iterator[None]:
    """Let signals end the server, also those that uvicorn raises again once it has ended."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_signal: int, _frame: object) -> None:
        server.should_exit = True

    previous = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
