"""Checks that what was read back from the ledger is of the types that the rest relies on."""

from dataclasses import dataclass, is_dataclass
from datetime import datetime
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter

T = TypeVar("T")

# Whatever is of one of these types, and not only of one derived from it, fits a field of that type.
_PLAIN = frozenset({str, int, float, bool, NoneType})


@dataclass(frozen=True, slots=True)
class _Field:
    """One field; `plain` are the types whose values need not be looked at any closer."""

    name: str
    plain: frozenset[type]
    adapter: TypeAdapter[Any]


def checked(value: T) -> T:
    """The value itself, when each of its fields, and of the values inside it, is of its type.

    Raises:
        ValueError: One is not, or a time has no zone.
    """
    for field in _fields(type(value)):  # type: ignore[arg-type] # a class can be hashed
        found = getattr(value, field.name)
        # A text that is not of ASCII may hold half a character.
        if type(found) in field.plain and (type(found) is not str or found.isascii()):
            continue
        field.adapter.validate_python(found, strict=True)
        for inner in found if isinstance(found, tuple) else (found,):
            if is_dataclass(inner):
                checked(inner)
            elif isinstance(inner, datetime) and inner.tzinfo is None:
                raise ValueError("a time without its zone")
    return value


@cache
def _fields(kind: type) -> tuple[_Field, ...]:
    return tuple(_Field(name, _plain(hint), TypeAdapter(hint)) for name, hint in get_type_hints(kind).items())


def _plain(hint: Any) -> frozenset[type]:
    return _PLAIN.intersection(get_args(hint) if get_origin(hint) is UnionType else (hint,))
