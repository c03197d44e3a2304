"""Where the ledger's rows are: a file of SQLite, or a database of PostgreSQL. The statements are the same for both."""

from pathlib import Path

from mediagen.errors import ConfigurationError
from mediagen.ledger.engines.base import Address, Database
from mediagen.ledger.engines.sqlite import SqliteDatabase
from mediagen.ledger.folders import Rebuild, no_records


def database_at(place: Path | Address, rebuild: Rebuild = no_records) -> Database:
    """The database for a file or an address; nothing is opened yet.

    Args:
        place: The file or the address.
        rebuild: Gives the jobs that the records in some folders tell of, should a file be lost.

    Raises:
        ConfigurationError: The address cannot be used, or the extra for it is not installed.
    """
    if isinstance(place, Path):
        return SqliteDatabase(place, rebuild)
    try:
        from mediagen.ledger.engines.postgresql import PostgresDatabase  # psycopg costs 0.1 s and is an extra
    except ImportError as error:
        raise ConfigurationError(
            "MEDIAGEN_DATABASE_URL is set, but the packages for PostgreSQL are not installed.",
            hint="pip install 'mediagen-mcp[postgres]', or unset it.",
            code="extra_missing",
        ) from error
    return PostgresDatabase(place)
