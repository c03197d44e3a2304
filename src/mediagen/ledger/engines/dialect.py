"""The ledger's statements in the words of PostgreSQL."""

import re
from functools import cache

# SQLite's words, and what PostgreSQL says for them; in this order.
WORDS = (
    (r"%", "%%"),
    # Its planner finds the index by itself.
    (r" INDEXED BY \w+", ""),
    (r"IN \(SELECT value FROM json_each\((:\w+)\)\)", r"IN (SELECT json_array_elements_text(CAST(\1 AS json)))"),
    (r"\binstr\(", "0 < strpos("),
    # No index serves IS NOT DISTINCT FROM.
    (r"(\w+) IS (:\w+)", r"(\1 = \2 OR (CAST(\2 AS TEXT) IS NULL AND \1 IS NULL))"),
    # A column may hold what is no JSON; PostgreSQL itself can ask for that only from version 16 on.
    (r"\bjson_valid\(([\w.]+)\)", r"(mediagen_json(\1) IS NOT NULL)"),
    (r"\bjson_extract\(([\w.]+), '\$\.(\w+)'\)", r"(mediagen_json(\1) ->> '\2')"),
    (r"(?<![:\w]):([a-z_]\w*)", r"%(\1)s"),
)


@cache
def translated(statement: str) -> str:
    """Say a statement of `ledger.queries` for psycopg."""
    for sqlite, postgresql in WORDS:
        statement = re.sub(sqlite, postgresql, statement)
    return statement
