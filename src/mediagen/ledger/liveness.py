"""Who tells whether the process that drives a job still does."""

from typing import Protocol

from mediagen.ledger.engines.base import Connection

LEASE_SECONDS = 30.0


class Liveness(Protocol):
    """This process among those that drive jobs, and whether the others are still there. Blocking."""

    @property
    def own_id(self) -> str | None:
        """Id of this process, or None while it owns nothing."""

    def register(self, connection: Connection, /) -> str:
        """Id of this process, which counts as alive from now on; within an exclusive transaction."""

    def is_alive(self, connection: Connection, owner_id: str, /) -> bool:
        """Whether the process that registered under this id still drives its jobs; within an exclusive transaction."""

    def renew(self, connection: Connection, /) -> None:
        """Count as alive for another while; nothing when this process owns nothing."""

    def close(self) -> None:
        """Leave the jobs of this process to others."""
