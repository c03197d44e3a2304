"""Which process drives a job, where processes may be on several machines: each renews a lease in the database.

All times are the clock of the database, so that those of the machines do not matter.
"""

import os
import secrets
import socket
import threading
from contextlib import suppress

from mediagen.errors import MediaGenError
from mediagen.ledger.engines.base import Access, Connection, Database
from mediagen.ledger.liveness import LEASE_SECONDS

# clock_timestamp() and not now(): that is the begin of the transaction, which may have waited long for its lock.
RENEW = """
INSERT INTO owners (owner_id, expires_at)
VALUES (:owner_id, clock_timestamp() + make_interval(secs => CAST(:seconds AS DOUBLE PRECISION)))
ON CONFLICT (owner_id) DO UPDATE SET expires_at = excluded.expires_at
"""
IS_ALIVE = "SELECT 1 FROM owners WHERE owner_id = :owner_id AND expires_at > clock_timestamp()"
FORGET = "DELETE FROM owners WHERE owner_id = :owner_id"
FORGET_DEAD = "DELETE FROM owners WHERE expires_at < clock_timestamp() - INTERVAL '1 day'"


class Leases:
    """The lease of this process and those of the others."""

    def __init__(self, database: Database, *, lease_seconds: float = LEASE_SECONDS) -> None:
        self._database = database
        self._lease_seconds = lease_seconds
        self._id: str | None = None
        self._naming = threading.Lock()

    @property
    def own_id(self) -> str | None:
        """Id of this process, or None while it owns nothing."""
        return self._id

    def register(self, connection: Connection) -> str:
        """Id of this process, with a whole lease."""
        with self._naming:
            if self._id is None:
                connection.execute(FORGET_DEAD)
                self._id = f"{socket.gethostname()[:60]}-{os.getpid()}-{secrets.token_hex(8)}"
        self.renew(connection)
        return self._id

    def is_alive(self, connection: Connection, owner_id: str) -> bool:
        """Whether the lease of a process has not run out."""
        return connection.execute(IS_ALIVE, {"owner_id": owner_id}).fetchone() is not None

    def renew(self, connection: Connection) -> None:
        """Begin the lease of this process anew; nothing when it owns nothing."""
        if self._id:
            connection.execute(RENEW, {"owner_id": self._id, "seconds": self._lease_seconds})

    def close(self) -> None:
        """Give up the lease: jobs of this process are free for others from now on, or once it has run out."""
        owner_id, self._id = self._id, None
        if owner_id:
            with suppress(MediaGenError), self._database.transaction(Access.WRITE) as connection:
                connection.execute(FORGET, {"owner_id": owner_id})
