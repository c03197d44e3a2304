"""What one session of the handshake era is still to be told: bounded, and sent beside everything else."""

import logging
from collections.abc import Callable

import anyio
from mcp.server.connection import Connection

from mediagen.runner.scheduler import kind_of

Stop = Callable[[], None]

logger = logging.getLogger(__name__)


class Outbox:
    """Notices of one session. A client that does not read holds up no one but its own notices.

    The same notice waits once at most, so there are never more than the session has subscriptions.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._kept: dict[str, Stop | None] = {}
        self._updated: dict[str, None] = {}
        self._is_list_changed = False
        self._news = anyio.Event()
        self._scope = anyio.CancelScope()

    @property
    def addresses(self) -> list[str]:
        """What the session has subscribed to."""
        return [address for address in self._kept if address]

    def keep(self, address: str, stop: Stop | None) -> None:
        """Take in a subscription and what ends it."""
        if self._scope.cancel_called or address in self._kept:
            if stop:
                stop()
            return
        self._kept[address] = stop

    def drop(self, address: str) -> None:
        """End a subscription, if there is one."""
        stop = self._kept.pop(address, None)
        self._updated.pop(address, None)
        if stop:
            stop()

    def close(self) -> None:
        """End everything, with the session."""
        for address in [*self._kept]:
            self.drop(address)
        self._scope.cancel()

    def updated(self, address: str) -> None:
        """Have it told that a resource changed."""
        self._updated[address] = None
        self._news.set()

    def list_changed(self) -> None:
        """Have it told that there are new resources."""
        self._is_list_changed = True
        self._news.set()

    async def send(self) -> None:
        """Send what is to be told until the session ends."""
        with self._scope:
            while True:
                await self._news.wait()
                self._news = anyio.Event()
                try:
                    await self._send_all()
                except Exception as error:  # noqa: BLE001 - a transport that fails must not end the jobs
                    logger.warning("a session is told of no more changes: %s", kind_of(error))
                    self.close()

    async def _send_all(self) -> None:
        while self._updated:
            address = next(iter(self._updated))
            del self._updated[address]
            await self._connection.send_resource_updated(address)
        if self._is_list_changed:
            self._is_list_changed = False
            await self._connection.send_resource_list_changed()
