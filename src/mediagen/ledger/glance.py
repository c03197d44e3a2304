"""Whether anything waits in a ledger file to be gone on with, without opening the ledger. Standard library only."""

import sqlite3
from contextlib import closing
from pathlib import Path

LEDGER_FILE = "ledger.sqlite3"
SPOOL = "spool"  # folder beside the ledger in which paid answers are kept first
BUSY_SECONDS = 1.0
# Of an unconfirmed job its clip may turn up, and a chain may have been interrupted between two links.
_UNFINISHED = """
SELECT EXISTS (SELECT 1 FROM jobs WHERE status IN ('submitting', 'running', 'downloading'))
    OR EXISTS (SELECT 1 FROM jobs WHERE status = 'unconfirmed')
    OR EXISTS (
        SELECT 1 FROM jobs AS link
        WHERE chain_id IS NOT NULL AND chain_link < chain_times AND chain_stopped IS NULL AND status = 'succeeded'
            AND NOT EXISTS (
                SELECT 1 FROM jobs AS next
                WHERE next.chain_id = link.chain_id AND next.chain_link = link.chain_link + 1
            )
    )
"""


def has_unfinished(state: Path) -> bool:
    """Whether the ledger has to be opened without anybody asking for it.

    Args:
        state: Folder in which it is, or not: none has nothing.

    Returns:
        True also where that cannot be seen: who opens it says what is wrong.
    """
    ledger = state / LEDGER_FILE
    if next((state / SPOOL).glob("job_*-*"), None) is not None:
        return True
    if not ledger.exists():
        return False
    try:
        with closing(sqlite3.connect(f"{ledger.as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)) as connection:
            return bool(connection.execute(_UNFINISHED).fetchone()[0])
    except (sqlite3.Error, OSError):
        return True
