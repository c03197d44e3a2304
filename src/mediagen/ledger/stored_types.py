"""Checks that what was read back from the ledger is of the types that the rest relies on."""

from collections.abc import Iterable
from dataclasses import dataclass, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter

T = TypeVar("T")

# Whatever is of one of these types, and not only of one derived from it, fits a field of that type.
_PLAIN = (str, int, float, bool, NoneType)


@dataclass(frozen=True, slots=True)
class _Field:
    """One field; `plain` are the types whose values need not be looked at any closer."""

    name: str
    plain: frozenset[object]
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
            if isinstance(inner, datetime):
                if inner.tzinfo is None:
                    raise ValueError("a time without its zone")
            elif is_dataclass(inner):
                checked(inner)
    return value


@cache
def _fields(kind: type) -> tuple[_Field, ...]:
    return tuple(
        _Field(name, frozenset(filter(_is_plain, _kinds(hint))), TypeAdapter(hint))
        for name, hint in get_type_hints(kind).items()
    )


def _kinds(hint: Any) -> Iterable[object]:
    return get_args(hint) if get_origin(hint) is UnionType else (hint,)


def _is_plain(kind: object) -> bool:
    return kind in _PLAIN or (isinstance(kind, type) and issubclass(kind, Enum))
