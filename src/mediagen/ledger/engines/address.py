"""The address of a PostgreSQL database, read with the driver's own eyes and never shown with its password."""

from dataclasses import dataclass, field

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from mediagen.errors import ConfigurationError

# A machine that vanishes says nothing: without these a thread would wait for it for hours.
PATIENCE = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
PORT = 5432


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """Where to connect to.

    Attributes:
        conninfo: For the driver; may hold a password.
        place: For people.
        password: To be kept out of what the driver says.
    """

    conninfo: str = field(repr=False)
    place: str
    password: str = field(repr=False)


def target(url: str) -> Target:
    """Read an address.

    Raises:
        ConfigurationError: It is none.
    """
    try:
        parts = conninfo_to_dict(url)
        # What the address says goes before our own; the encoding is not up to it.
        conninfo = make_conninfo("", **{"application_name": "mediagen", **PATIENCE, **parts, "client_encoding": "UTF8"})
    except (psycopg.Error, UnicodeError):
        # The driver quotes the address in its message, with the password.
        raise ConfigurationError(
            "MEDIAGEN_DATABASE_URL cannot be read as the address of a PostgreSQL database.",
            hint="It looks like postgresql://user:password@host:5432/database; write special characters of the "
            "password as %XX.",
        ) from None
    host, name = parts.get("host") or "localhost", parts.get("dbname") or ""
    port = str(parts.get("port") or PORT)
    where = host if port == str(PORT) else f"{host}:{port}"
    return Target(conninfo=conninfo, place=f"postgresql://{where}/{name}", password=str(parts.get("password") or ""))
