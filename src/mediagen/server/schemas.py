"""JSON schemas as every host reads them: no `$ref`, no `anyOf`, no titles."""

import copy
from typing import Any

from pydantic import BaseModel

SCALARS = ["string", "number", "boolean", "null"]
# Said of a value that may be anything; a schema that says nothing is taken for a mistake by some hosts.
ANYTHING: dict[str, Any] = {
    "type": [*SCALARS, "object", "array"],
    "items": {"type": [*SCALARS, "object"]},
}
NULL = {"type": "null"}


def input_schema(request_type: type[BaseModel]) -> dict[str, Any]:
    """What a tool takes. A value that may be null is left out instead, so null is not named."""
    schema = request_type.model_json_schema()
    flat = _flatten(schema, schema.get("$defs", {}), _without_null)
    flat.pop("description", None)
    return flat


def output_schema(result_type: type[BaseModel]) -> dict[str, Any]:
    """What a tool answers. Every field is always there; null is one of its types."""
    schema = result_type.model_json_schema(mode="serialization", by_alias=True)
    return _flatten(schema, schema.get("$defs", {}), _with_null)


def _flatten(schema: dict[str, Any], definitions: dict[str, Any], nullable: Any) -> dict[str, Any]:
    if "$ref" in schema:
        target = copy.deepcopy(definitions[schema["$ref"].rsplit("/", 1)[1]])
        rest = {name: value for name, value in schema.items() if name != "$ref"}
        return _flatten({**target, **rest}, definitions, nullable)
    flat: dict[str, Any] = {}
    for name, value in schema.items():
        match value:
            case _ if name == "$defs" or (name == "title" and isinstance(value, str)):
                continue
            case dict() if name == "properties":
                flat[name] = {field: _flatten(inner, definitions, nullable) for field, inner in value.items()}
            case dict() if name != "default":
                flat[name] = _flatten(value, definitions, nullable)
            case list() if name == "anyOf":
                flat[name] = [_flatten(option, definitions, nullable) for option in value]
            case _:
                flat[name] = value
    result: dict[str, Any] = nullable(flat)
    return result


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    options = [option for option in schema.get("anyOf", ()) if option != NULL]
    if not options or len(options) == len(schema["anyOf"]) or schema.get("default", 0) is not None:
        return schema
    rest = {name: value for name, value in schema.items() if name not in {"anyOf", "default"}}
    # A Decimal is number | string for pydantic; a number is what callers are to send.
    number = next((option for option in options if option.get("type") == "number"), options[0])
    return {**number, **rest}


def _with_null(schema: dict[str, Any]) -> dict[str, Any]:
    if not schema.keys() - {"description", "default"}:
        return {**ANYTHING, **schema}
    if "anyOf" not in schema:
        return schema
    option, null = schema["anyOf"]
    if null != NULL:
        raise ValueError(f"a result is {schema['anyOf']}; only null may stand beside one other type")
    rest = {name: value for name, value in schema.items() if name not in {"anyOf", "default"}}
    choices = {"enum": [*option["enum"], None]} if "enum" in option else {}
    return {**option, "type": [option["type"], "null"], **choices, **rest}
