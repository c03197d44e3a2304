"""Kinds of values that the environment and the configuration file share, each checked where it enters."""

import os
import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from mediagen.surfaces import LOCATION, PROJECT

UNEXPANDED = re.compile(r"\$\{[^}]*\}")

_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_KEY = re.compile(r"[\x21-\x7e]+")
KEY_CHARACTERS = 30
# Deeper ones have no place in any file of ours, and are refused where they stand.
MAX_TABLES = 10


def is_unset(value: object) -> bool:
    """Whether a text counts as not given: blank, or a literal ``${VAR}`` that nobody expanded."""
    return isinstance(value, str) and (not value.strip() or UNEXPANDED.fullmatch(value.strip()) is not None)


def lower(value: object) -> object:
    """A word in lower case, anything else as it is."""
    return value.strip().lower() if isinstance(value, str) else value


def upper(value: object) -> object:
    """A word in upper case, anything else as it is."""
    return value.strip().upper() if isinstance(value, str) else value


def _path(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("{"):
        raise ValueError("must be the path of a file, not its contents")
    return _expanded(value)


def _expanded(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise ValueError("begins with a home folder that cannot be found") from None


def split_paths(value: object) -> object:
    """A list of folders as the shell writes them."""
    if not isinstance(value, str):
        return value
    return tuple(_expanded(part) for part in value.split(os.pathsep) if part)


def _key(value: SecretStr) -> SecretStr:
    text = value.get_secret_value().strip()
    if not _KEY.fullmatch(text):
        raise ValueError("must be one word of plain ASCII characters, as keys are")
    return SecretStr(text)


def _matching(pattern: re.Pattern[str], words: str) -> AfterValidator:
    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(words)
        return value

    return AfterValidator(check)


def _bucket(value: object) -> object:
    return value.strip().removeprefix("gs://").rstrip("/") if isinstance(value, str) else value


def _object_prefix(value: str) -> str:
    if "://" in value:
        raise ValueError("must be a path inside the bucket, without gs:// and without the name of the bucket")
    if not value.isprintable():
        raise ValueError("must not contain control characters")
    return value.strip("/")


def _variable(value: str) -> str:
    if not _VARIABLE.fullmatch(value) or looks_like_key(value):
        # The value may be a key that was put in the wrong place, so it is not shown.
        raise ValueError("must be the name of an environment variable, such as GEMINI_API_KEY")
    return value


def looks_like_key(text: str) -> bool:
    """Whether a text is more likely a key than the name of a variable."""
    if text.startswith("AIza"):
        return True
    mixed = any(c.islower() for c in text) and any(c.isupper() for c in text) and any(c.isdigit() for c in text)
    return mixed and len(text) >= KEY_CHARACTERS


def _address(value: str) -> str:
    try:
        parts = urlsplit(value)
        known = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
        # A password there would come back in messages and in the ledger.
        is_bare = not (parts.username or parts.password or parts.query or parts.fragment)
    except ValueError:
        known = is_bare = False
    if not known:
        raise ValueError("must be an address such as http://127.0.0.1:8317")
    if not is_bare:
        raise ValueError("must be an address without user, password, query and fragment")
    return value.rstrip("/")


def _exact_address(value: str) -> str:
    _address(value)
    return value


def _words(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _with_scheme(value: object) -> object:
    return f"http://{value}" if isinstance(value, str) and "://" not in value else value


OsPath = Annotated[Path, BeforeValidator(_path)]
Positive = Annotated[float, Field(gt=0, le=86_400)]
# More than anybody has; the ledger adds up in whole numbers of 64 bits.
Cap = Annotated[Decimal, Field(ge=0, le=1_000_000_000)]
Key = Annotated[SecretStr, AfterValidator(_key)]
# Project and location become part of an address to which credentials are sent: nothing else may get in.
ProjectId = Annotated[
    str, BeforeValidator(lower), _matching(PROJECT, "must be a Google Cloud project id, such as my-project-1")
]
Location = Annotated[
    str, BeforeValidator(lower), _matching(LOCATION, "must be a Google Cloud location, such as us-central1 or global")
]
BucketName = Annotated[
    str, BeforeValidator(_bucket), _matching(_BUCKET, "must be the name of a bucket, without a path (that is `path`)")
]
ObjectPrefix = Annotated[str, AfterValidator(_object_prefix)]
VariableName = Annotated[str, AfterValidator(_variable)]
Address = Annotated[str, AfterValidator(_address)]
# Compared letter by letter: a slash at its end matters.
ExactAddress = Annotated[str, AfterValidator(_exact_address)]
Words = Annotated[tuple[str, ...], BeforeValidator(_words)]
HostAddress = Annotated[str, BeforeValidator(_with_scheme), AfterValidator(_address)]


def checked_words(message: str) -> str:
    """What pydantic says about a value, as the end of a sentence."""
    return message.removeprefix("Value error, ").removeprefix("Input ").rstrip(".")


def without_unset(values: dict[str, Any]) -> dict[str, Any]:
    """The same table without the texts that count as unset, tables inside included."""
    return _without_unset(values, MAX_TABLES)


def _without_unset(values: dict[str, Any], depth: int) -> dict[str, Any]:
    kept = {name: value for name, value in values.items() if not is_unset(value)}
    return {
        name: _without_unset(value, depth - 1) if isinstance(value, dict) and depth else value
        for name, value in kept.items()
    }
