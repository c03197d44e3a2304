"""Names of stored files. Pure."""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final

from mediagen.errors import InvalidRequestError

MAX_NAME_CHARACTERS: Final = 120
# File systems allow 255 bytes; the rest is for "_9999" and the suffix.
MAX_NAME_BYTES: Final = 200
MAX_ATTEMPTS: Final = 9999
MEDIA_SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".mp4", ".webm", ".mov", ".bin")

_ILLEGAL = re.compile(r'[<>:"/\\|?*]')
_KEY = re.compile(r"[A-Za-z0-9_-]{1,100}")
_RESERVED = frozenset(
    {"con", "prn", "aux", "nul", "conin$", "conout$"}
    | {f"{port}{number}" for port in ("com", "lpt") for number in "123456789¹²³"}
)
# Joiners are format characters too, but emoji and several scripts are written with them.
_JOINERS = "\u200c\u200d"
_DROPPED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def sanitise_name(name: str) -> str:
    """Make a file name without suffix out of what a caller wishes; doing it twice changes nothing.

    Separators and characters that Windows forbids become ``_``; control characters, leading dots, trailing dots and
    spaces, and the suffix of a picture or video go away. At most 120 characters and 200 bytes.

    Raises:
        InvalidRequestError: Nothing is left of it.
    """
    text = unicodedata.normalize("NFC", name)
    text = "".join(c for c in text if c in _JOINERS or unicodedata.category(c) not in _DROPPED_CATEGORIES)
    text = _ILLEGAL.sub("_", text)
    before = None
    while before != text:
        before = text
        text = _without_suffix(_shortened(_trimmed(text)))
    if not text.strip("_" + _JOINERS):
        raise InvalidRequestError(
            f"output_name={name[:MAX_NAME_CHARACTERS]!r} has no character that a file name can have.",
            field="output_name",
            hint="Use letters, digits, spaces, '-' or '_'.",
        )
    if text.partition(".")[0].rstrip(" ").lower() in _RESERVED:
        return _trimmed(_shortened(f"_{text}"))
    return text


def _trimmed(text: str) -> str:
    return text.lstrip(". " + _JOINERS).rstrip(". ").strip()


def _without_suffix(text: str) -> str:
    return next((text[: -len(suffix)] for suffix in MEDIA_SUFFIXES if text.lower().endswith(suffix)), text)


def _shortened(text: str) -> str:
    text = text[:MAX_NAME_CHARACTERS]
    return text.encode()[:MAX_NAME_BYTES].decode("utf-8", "ignore")


@lru_cache(maxsize=256)
def safe_stem(stem: str) -> str:
    """Do as `sanitise_name` does, but never refuse: a paid file is not lost for its name."""
    try:
        return sanitise_name(stem)
    except InvalidRequestError:
        return "file"


def candidates(stem: str) -> Iterator[str]:
    """Stems to try in order: as it is, then ``_2``, ``_3`` and so on."""
    yield stem
    yield from (f"{stem}_{number}" for number in range(2, MAX_ATTEMPTS + 1))


def record_stem(media_or_stem: Path) -> str:
    """Stem of the record that belongs to a media file, or to a name without suffix (which may contain dots)."""
    return safe_stem(media_or_stem.name)


def is_key(key: str) -> bool:
    """Whether a key can be part of a file name as it is."""
    return bool(_KEY.fullmatch(key))


def record_key(job_id: object, position: object) -> str:
    """Key of the unfinished record of a file, or of its failure; one process at a time writes it."""
    return f"{job_id}-record-{position}"
