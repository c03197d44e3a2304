"""Runs the emulator in this process until it is told to stop."""

from collections.abc import Callable

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
        try:
            server.run(sockets=[listener])
        except KeyboardInterrupt:
            # uvicorn raises the signal again after it has ended cleanly
            return
