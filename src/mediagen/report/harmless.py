"""Words of strangers without what a terminal, a log or a reader would obey. Pure."""

import re
from typing import Any

# Prompts, names of files, records and answers of servers may hold them: terminals obey some, some turn the line
# around, some are not seen at all, and half a character cannot be written. Joiners stay: emoji are made with them.
UNSEEN = re.compile(
    "[\x7f-\x9f\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_COMMANDS = re.compile(f"[\x00-\x08\x0b-\x1f]|{UNSEEN.pattern}")
_HALVES = re.compile("[\ud800-\udfff]")


def harmless(text: str) -> str:
    """The text with a sign in place of each character that does something; lines and tabs stay."""
    return _COMMANDS.sub("\ufffd", text)


def writable(value: Any) -> Any:
    """A JSON value whose texts can be encoded: half a character would end the whole answer."""
    match value:
        case str():
            return _HALVES.sub("\ufffd", value)
        case dict():
            return {writable(name): writable(inner) for name, inner in value.items()}
        case list():
            return [writable(inner) for inner in value]
        case _:
            return value
