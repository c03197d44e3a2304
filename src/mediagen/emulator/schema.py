"""Strict checking of JSON bodies against field tables, with Google's own words for what is wrong."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Type = Literal["string", "integer", "number", "boolean", "any", "message", "map", "union"]
Violation = tuple[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """One field: its type, whether it is a list, its allowed words, the table of what is inside."""

    type: Type = "string"
    repeated: bool = False
    values: frozenset[str] | None = None
    message: str = ""
    type_name: str = ""


Message = Mapping[str, Field]
Tables = Mapping[str, Message]
_NUMBER_NAMES = {"string": "TYPE_STRING", "integer": "TYPE_INT32", "number": "TYPE_FLOAT", "boolean": "TYPE_BOOL"}


def snake(name: str) -> str:
    """Write a JSON name in snake case."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def snake_keys(value: Any) -> Any:
    """Write all names of a JSON value in snake case, so that readers need one spelling."""
    if isinstance(value, dict):
        return {snake(key): snake_keys(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [snake_keys(inner) for inner in value]
    return value


@dataclass(frozen=True, kw_only=True, slots=True)
class Checker:
    """Checks bodies against tables.

    Attributes:
        tables: The messages by name.
        camel: Whether camelCase names are accepted beside snake_case ones.
        type_prefix: Prefix of the type names in messages about wrong words.
    """

    tables: Tables
    camel: bool
    type_prefix: str = "type.googleapis.com/google.ai.generativelanguage.v1beta."

    def check(self, body: Any, message: str) -> list[Violation]:
        """List what is wrong with a body, as (field, description); empty when it is well formed."""
        return list(self._message(body, message, ""))

    def _message(self, value: Any, name: str, path: str) -> Iterator[Violation]:
        if not isinstance(value, dict):
            yield path, f"Invalid value at '{path}', expected an object."
            return
        table = self.tables[name]
        for key, inner in value.items():
            field = table.get(snake(key) if self.camel else key)
            if field is None:
                where = f" at '{path}'" if path else ""
                yield path, f'Invalid JSON payload received. Unknown name "{key}"{where}: Cannot find field.'
            elif inner is not None:
                yield from self._field(inner, field, f"{path}.{snake(key)}" if path else snake(key))

    def _field(self, value: Any, field: Field, path: str) -> Iterator[Violation]:
        if not field.repeated:
            yield from self._one(value, field, path)
            return
        # protobuf's JSON reader takes a single value for a list
        for index, inner in enumerate(value if isinstance(value, list) else [value]):
            yield from self._one(inner, field, f"{path}[{index}]")

    def _one(self, value: Any, field: Field, path: str) -> Iterator[Violation]:
        match field.type:
            case "message":
                yield from self._message(value, field.message, path)
            case "union":
                yield from self._union(value, field.message, path)
            case "map":
                if not isinstance(value, dict) or not all(isinstance(inner, str) for inner in value.values()):
                    yield path, f"Invalid value at '{path}', expected a map of strings."
            case "any":
                return
            case _:
                if not _is_scalar(value, field.type):
                    yield path, f"Invalid value at '{path}' ({_NUMBER_NAMES[field.type]}), {_shown(value)}"
                elif field.values is not None and value not in field.values:
                    yield path, f"Invalid value at '{path}' ({self.type_prefix}{field.type_name}), {_shown(value)}"

    def _union(self, value: Any, family: str, path: str) -> Iterator[Violation]:
        kind = value.get("type") if isinstance(value, dict) else None
        table = f"{family}.{kind}"
        if table not in self.tables:
            yield path, f"Invalid value at '{path}.type', {_shown(kind)}"
            return
        yield from self._message(value, table, path)


def _is_scalar(value: Any, type_: Type) -> bool:
    match type_:
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return _is_integer(value)
        case _:
            return isinstance(value, int | float) and not isinstance(value, bool)


def _is_integer(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, str):
        return re.fullmatch(r"-?\d{1,10}", value) is not None and -(2**31) <= int(value) < 2**31
    return isinstance(value, int | float) and value == int(value) and -(2**31) <= value < 2**31


def _shown(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
