"""Brings a PostgreSQL database to the version of this program and makes sure that it may be used from here."""

import os
import secrets
from importlib.resources import files
from pathlib import Path

from mediagen.errors import ConfigurationError
from mediagen.ledger.engines.base import Address
from mediagen.ledger.engines.pool import Raw, Row
from mediagen.ledger.engines.postgresql_failures import foreign, newer
from mediagen.ledger.glance import SPOOL

OLDEST_SERVER = 130_000
ID_FILE = Path(SPOOL, "id")
ID_BYTES = 16

FIND_SCHEMA = "SELECT current_schema() AS name, current_setting('server_encoding') AS encoding"
COUNT_TABLES = """
SELECT count(*) AS tables, count(*) FILTER (WHERE tablename = 'schema_version') AS versions FROM pg_tables
WHERE schemaname = current_schema() AND tablename IN ('schema_version', 'jobs', 'calls', 'artifacts', 'owners', 'meta')
"""
SELECT_VERSION = "SELECT version FROM schema_version"
SET_VERSION = "UPDATE schema_version SET version = %s"
SELECT_FOLDER = "SELECT value FROM meta WHERE name = 'state_folder'"
INSERT_FOLDER = "INSERT INTO meta (name, value) VALUES ('state_folder', %s)"


def prepare(raw: Raw, address: Address, place: str) -> None:
    """Check, migrate and bind to the state folder; within an exclusive transaction.

    Raises:
        LedgerError: The tables are of something else or of a newer version.
        ConfigurationError: The server does not serve, or the folder is not that of the others.
    """
    _check_server(raw, place)
    _migrate(raw, place)
    _check_folder(raw, address, place)


def migrations() -> dict[int, str]:
    """The scripts by their number; the first one makes the tables as they are at that number in SQLite."""
    folder = files("mediagen.ledger").joinpath("migrations", "postgresql")
    scripts = sorted(folder.iterdir(), key=lambda script: script.name)
    return {
        int(script.name[:4]): script.read_text(encoding="utf-8") for script in scripts if script.name.endswith(".sql")
    }


def _check_server(raw: Raw, place: str) -> None:
    if raw.info.server_version < OLDEST_SERVER:
        raise ConfigurationError(
            f"The server of {place} is PostgreSQL {raw.info.server_version // 10_000}; 13 is the oldest that serves.",
            hint="Update the server.",
        )
    found = _row(raw, FIND_SCHEMA)
    if found["name"] is None:
        raise ConfigurationError(
            f"No schema of the search path exists in {place}.", hint="Create it, or correct MEDIAGEN_DATABASE_URL."
        )
    if found["encoding"] != "UTF8":
        raise ConfigurationError(
            f"The database {place} is encoded as {found['encoding']}, which cannot keep every prompt.",
            hint="Create one with ENCODING 'UTF8'.",
        )


def _migrate(raw: Raw, place: str) -> None:
    known = migrations()
    counted = _row(raw, COUNT_TABLES)
    if counted["tables"] and not counted["versions"]:
        raise foreign(place)
    version = _row(raw, SELECT_VERSION)["version"] if counted["versions"] else 0
    if version > max(known):
        raise newer(place, found=version, known=max(known))
    for number, script in known.items():
        if number > version:
            raw.execute(script.encode())
            raw.execute(SET_VERSION, [number])


def _check_folder(raw: Raw, address: Address, place: str) -> None:
    """Let only processes in that share one state folder: what is paid and not yet in its place lies there."""
    file = address.state_folder / ID_FILE
    own = file.read_text(encoding="ascii", errors="replace").strip() if file.exists() else ""
    kept = raw.execute(SELECT_FOLDER).fetchone()
    if kept is None:
        raw.execute(INSERT_FOLDER, [own or _new_id(file)])
    elif own != kept["value"]:
        raise ConfigurationError(
            f"The state folder {address.state_folder} is not the one that the other users of {place} share: "
            + (f"{ID_FILE} holds {own[:40]!r} there." if own else f"it has no {ID_FILE}."),
            hint="Set MEDIAGEN_STATE_DIR of all of them to one shared folder. If that folder is lost for good, "
            f"write {kept['value']} into {ID_FILE} of the new one.",
            code="state_folder_differs",
        )


def _new_id(file: Path) -> str:
    """Name the folder for good, before the database is told."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = secrets.token_hex(ID_BYTES)
    descriptor = os.open(file, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    try:
        os.write(descriptor, new.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return new


def _row(raw: Raw, statement: str) -> Row:
    row = raw.execute(statement.encode()).fetchone()
    assert row is not None
    return row
