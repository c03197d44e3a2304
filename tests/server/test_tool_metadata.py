"""What clients are told of the tools: names, words, annotations and schemas, in both eras."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.types import Tool
from tests.conftest import Connect
from tests.server.test_tools import EDIT_TOOLS, PAID_TOOLS

from mediagen.server import listing
from mediagen.server.instructions import instructions
from mediagen.server.schemas import output_schema
from mediagen.server.toolsets import TOOLS, seen_tools

SNAPSHOTS = Path(__file__).parent / "tool_schemas"
SERVED = Path(listing.__file__).parent / listing.FILE
HOW = "run scripts/tool_schemas.py and look at what changed"
LONGEST_WORDS = 4096
ALL_TOOLSETS = {"MEDIAGEN_TOOLSETS": "core,jobs,edit"}
READS = {"estimate_cost", "get_job", "list_jobs", "get_spend", "probe_media"}
# It writes a marker object to the bucket and removes it.
TRIES = {"check_api"}
STOPS = {"cancel_job", "resolve_job"}
# In the context of a model from the start; the other tools are found by their hint.
ALWAYS_LOADED = PAID_TOOLS


async def listed(connect: Connect) -> list[Tool]:
    async with connect(**ALL_TOOLSETS) as client:
        return (await client.list_tools()).tools


def keys_of(schema: Any) -> Iterator[str]:
    """The words of JSON Schema in a schema; names of fields are not among them."""
    if isinstance(schema, dict):
        for name, value in schema.items():
            yield name
            inner = value.values() if name == "properties" else [value]
            for one in inner:
                yield from keys_of(one)
    elif isinstance(schema, list):
        for one in schema:
            yield from keys_of(one)


def test_tools_are_as_written_down():
    tools = seen_tools()
    looked_at = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in SNAPSHOTS.glob("*.json")}
    assert {entry["tool"]["name"]: entry["tool"] for entry in tools} == looked_at, HOW
    assert tools == json.loads(SERVED.read_text(encoding="utf-8")), HOW


async def test_tools_are_listed_as_written_down(connect: Connect):
    seen = [tool.model_dump(by_alias=True, mode="json", exclude_none=True) for tool in await listed(connect)]
    assert seen == [entry["tool"] for entry in json.loads(SERVED.read_text(encoding="utf-8"))]


async def test_tools_come_in_the_same_order_every_time(connect: Connect):
    first, second = await listed(connect), await listed(connect)
    assert [tool.name for tool in first] == [tool.name for tool in second] == [tool.name for tool in TOOLS]


async def test_schemas_are_flat(connect: Connect):
    for tool in await listed(connect):
        for schema in (tool.input_schema, tool.output_schema):
            assert schema is not None
            assert schema["type"] == "object"
            assert not {"$ref", "$defs", "anyOf", "oneOf", "allOf", "title"} & set(keys_of(schema)), tool.name


async def test_every_argument_is_described(connect: Connect):
    bare = [
        f"{tool.name}.{name}"
        for tool in await listed(connect)
        for name, field in tool.input_schema["properties"].items()
        if not field.get("description") and not field.get("enum")
    ]
    assert bare == []


async def test_annotations_are_honest(connect: Connect):
    for tool in await listed(connect):
        told = tool.annotations
        assert told is not None
        assert told.title == tool.title
        assert told.read_only_hint is (tool.name in READS)
        assert told.destructive_hint is (tool.name in STOPS)
        # To ask twice for a picture is to pay twice, and to cut twice makes two files.
        assert told.idempotent_hint is (tool.name in READS | TRIES | STOPS)
        assert told.open_world_hint is (tool.name in PAID_TOOLS | STOPS | TRIES | {"get_job"})
    assert {tool.name for tool in TOOLS} == READS | TRIES | STOPS | PAID_TOOLS | (EDIT_TOOLS - READS)


async def test_main_tools_are_always_loaded_and_the_others_can_be_found(connect: Connect):
    meta = {tool.name: tool.meta or {} for tool in await listed(connect)}
    assert {name for name, told in meta.items() if told.get("anthropic/alwaysLoad")} == ALWAYS_LOADED
    assert all(meta[name].get("anthropic/searchHint") for name in meta.keys() - PAID_TOOLS)


async def test_descriptions_say_what_it_costs_and_how_long_it_takes(connect: Connect):
    for tool in await listed(connect):
        words = tool.description or ""
        assert len(words) <= LONGEST_WORDS
        if tool.name in PAID_TOOLS:
            assert re.search(r"COSTS MONEY: about \$\d", words), tool.name
            assert re.search(r"Takes \d+-\d+ (s|minutes)", words), tool.name
        else:
            assert re.search(r"\b[Ff]ree\b|nothing that costs", words), tool.name


@pytest.mark.parametrize("toolsets", [("core",), ("core", "jobs", "edit")])
def test_instructions_fit_what_clients_show(toolsets: tuple[str, ...]):
    assert len(instructions(toolsets)) <= LONGEST_WORDS


async def test_results_are_what_their_schema_says(connect: Connect):
    """The client checks structured content against the output schema by itself."""
    async with connect(**ALL_TOOLSETS) as client:
        await _call_everything(client)


async def _call_everything(client: Client) -> None:
    await client.list_tools()
    made = await client.call_tool("generate_image", {"prompt": "a boat", "negative_prompt": "fog"})
    assert isinstance(made.structured_content, dict)
    path = made.structured_content["artifacts"][0]["path"]
    calls: tuple[tuple[str, dict[str, Any]], ...] = (
        ("generate_image", {"prompt": "a boat", "dry_run": True}),
        ("get_job", {"job_id": made.structured_content["job_id"]}),
        ("list_jobs", {}),
        ("get_spend", {}),
        ("check_api", {}),
        ("estimate_cost", {"kind": "video"}),
        ("probe_media", {"source": path}),
        ("resize_image", {"source": path, "width": 64}),
    )
    for tool, arguments in calls:
        result = await client.call_tool(tool, arguments)
        assert not result.is_error, result.content


def test_result_that_is_one_of_several_types_is_refused_when_the_server_is_built():
    from pydantic import BaseModel

    class Unclear(BaseModel):
        value: int | str

    with pytest.raises(ValueError, match="only null"):
        output_schema(Unclear)
