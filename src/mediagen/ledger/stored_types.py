"""Checks that what was read back from the ledger is of the types that the rest relies on."""

from dataclasses import is_dataclass
from datetime import datetime
from functools import cache
from typing import Any, TypeVar, get_type_hints

from pydantic import TypeAdapter

T = TypeVar("T")


def checked(value: T) -> T:
    """The value itself, when each of its fields, and of the values inside it, is of its type.

    Raises:
        ValueError: One is not, or a time has no zone.
    """
    for name, adapter in _fields(type(value)).items():  # type: ignore[arg-type] # a class can be hashed
        found = getattr(value, name)
        adapter.validate_python(found, strict=True)
        for inner in found if isinstance(found, tuple) else (found,):
            if is_dataclass(inner):
                checked(inner)
            elif isinstance(inner, datetime) and inner.tzinfo is None:
                raise ValueError("a time without its zone")
    return value


@cache
def _fields(kind: type) -> dict[str, TypeAdapter[Any]]:
    return {name: TypeAdapter(hint) for name, hint in get_type_hints(kind).items()}
