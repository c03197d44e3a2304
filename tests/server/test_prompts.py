"""Prompts and completion through the in-memory client, in both protocol eras."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from mcp import Client, MCPError
from mcp.types import INVALID_PARAMS, PromptReference, ResourceTemplateReference, TextContent
from tests.conftest import Connect

from mediagen.catalog import Catalog
from mediagen.jobs import JobStatus
from mediagen.presets import built_in_presets
from mediagen.report.error_codes import error_codes
from mediagen.report.job import ArtifactReport, JobReport
from mediagen.server.completion import OF_PROMPTS, OF_RESOURCES
from mediagen.server.prompts.definitions import PromptDefinition, Step, prompt_data
from mediagen.server.resources.definitions import RESOURCES
from mediagen.server.schemas import input_schema
from mediagen.server.toolsets import TOOLS
from mediagen.settings import Settings

NAMES = (
    "storyboard",
    "product_shot",
    "animate_picture",
    "extend_clip",
    "closing_credits",
    "video_and_thumbnail",
    "style_transfer",
)
ALL = "core,jobs,edit"
SCHEMAS = {tool.name: input_schema(tool.request)["properties"] for tool in TOOLS}
OF_TOOLSETS = {tool.name: tool.toolset for tool in TOOLS}
CALL = re.compile(r"`(\w+)\(([^`]*)\)`")
QUOTED = re.compile(r"`([^`]*)`")
ARGUMENT = re.compile(r"(\w+)=")
LITERAL = re.compile(r'(\w+)=("?)([\w.]+)\2')


def texts() -> Iterator[tuple[str, str]]:
    """Every sentence of every prompt, with its name."""
    steps: list[tuple[str, Step]] = [("rules", rule) for rule in prompt_data().rules]
    steps += [(prompt.name, step) for prompt in prompt_data().prompts.values() for step in prompt.steps]
    for name, step in steps:
        yield name, step.text
        yield name, step.otherwise


def given(prompt: PromptDefinition) -> dict[str, str]:
    return {argument.name: f"my {argument.name}" for argument in prompt.arguments if argument.required}


async def worded(client: Client, name: str, arguments: dict[str, str]) -> str:
    found = await client.get_prompt(name, arguments)
    [message] = found.messages
    assert message.role == "user"
    assert isinstance(message.content, TextContent)
    return message.content.text


def test_every_call_that_a_prompt_names_exists_with_its_arguments_and_values():
    found = 0
    for prompt, text in texts():
        for tool, arguments in CALL.findall(text):
            found += 1
            assert tool in SCHEMAS, (prompt, tool)
            for name in ARGUMENT.findall(arguments):
                assert name in SCHEMAS[tool], (prompt, tool, name)
            for name, quote, value in LITERAL.findall(arguments):
                check_value(tool, name, value, is_text=bool(quote))
    assert found > 30


def check_value(tool: str, name: str, value: str, *, is_text: bool) -> None:
    field = SCHEMAS[tool][name]
    where = (tool, name, value)
    match field.get("type"):
        case "integer" | "number":
            assert not is_text, where
            assert field.get("minimum", 0) <= float(value) <= field.get("maximum", 10**6), where
        case "boolean":
            assert value in {"true", "false"}, where
        case _:
            assert is_text, where
            assert value in field.get("enum", [value]), where
    if name == "preset":
        assert value in built_in_presets(), where
    if name == "model":
        assert value in {spec.id for spec in Catalog.load().specs if spec.status != "retired"}, where


def test_every_other_word_between_backticks_exists():
    known = {*SCHEMAS, *JobReport.model_fields, *error_codes(), *JobStatus}
    known |= {argument for schema in SCHEMAS.values() for argument in schema}
    known |= {f"artifacts[].{name}" for name in ArtifactReport.model_fields}
    arguments = {argument.name for prompt in prompt_data().prompts.values() for argument in prompt.arguments}
    for prompt, text in texts():
        for quoted in QUOTED.findall(text):
            if "(" in quoted:
                assert CALL.fullmatch(f"`{quoted}`"), (prompt, quoted)
                continue
            name, _, value = quoted.partition("=")
            assert name in known | arguments, (prompt, quoted)
            if value:
                holders = [tool for tool, schema in SCHEMAS.items() if name in schema]
                check_value(holders[0], name, value.strip('"'), is_text='"' in value)


def test_every_step_says_which_tools_it_needs_beyond_the_core():
    for prompt in prompt_data().prompts.values():
        for step in prompt.steps:
            for text, needs in ((step.text, step.needs), (step.otherwise, ())):
                named = {tool for tool, _ in CALL.findall(text)}
                assert {tool for tool in named if OF_TOOLSETS[tool] == "edit"} <= set(needs), (prompt.name, text)
            assert set(step.needs) <= set(SCHEMAS)


def test_every_argument_is_described_and_says_what_holds_without_it():
    for prompt in prompt_data().prompts.values():
        for argument in prompt.arguments:
            assert argument.description.endswith("."), (prompt.name, argument.name)
            assert bool(argument.otherwise) != argument.required, (prompt.name, argument.name)
            if argument.completes:
                assert (argument.completes in OF_PROMPTS) != (argument.completes in prompt_data().lists)


def test_every_variable_of_a_resource_can_be_completed():
    variables = {name for resource in RESOURCES for name in re.findall(r"\{(\w+)\}", resource.address)}
    assert variables == set(OF_RESOURCES)


async def test_prompts_are_listed_with_titles_and_required_arguments(connect: Connect):
    async with connect() as client:
        listed = (await client.list_prompts()).prompts
    assert tuple(prompt.name for prompt in listed) == NAMES
    assert all(prompt.title and prompt.description for prompt in listed)
    required = {
        prompt.name: [argument.name for argument in prompt.arguments or [] if argument.required] for prompt in listed
    }
    assert required == {
        "storyboard": ["story"],
        "product_shot": ["product"],
        "animate_picture": ["picture"],
        "extend_clip": ["clip"],
        "closing_credits": ["clip", "text"],
        "video_and_thumbnail": ["topic"],
        "style_transfer": ["source", "style"],
    }


@pytest.mark.parametrize("toolsets", ["core", "core,jobs", ALL])
async def test_prompts_name_only_tools_that_are_on(connect: Connect, toolsets: str):
    async with connect(MEDIAGEN_TOOLSETS=toolsets) as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        for prompt in prompt_data().prompts.values():
            text = await worded(client, prompt.name, given(prompt))
            assert {tool for tool, _ in CALL.findall(text)} <= tools, prompt.name
            assert "estimate_cost(" in text or "dry_run=true" in text
            assert "my " in text
            assert "1. " in text
            steps = re.findall(r"^(\d+)\. ", text, re.MULTILINE)
            assert steps == [str(number) for number in range(1, len(steps) + 1)]


async def test_prompt_repeats_what_was_given_and_says_what_was_not(connect: Connect):
    async with connect() as client:
        text = await worded(client, "storyboard", {"story": "A {fox} \x1b[31mruns %s", "shots": "3"})
    assert "- story: A {fox} \ufffd[31mruns %s" in text
    assert "- shots: 3" in text
    assert "- aspect_ratio: (not given: 16:9)" in text


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("storyboard", {}, "needs story"),
        ("storyboard", {"story": "  "}, "needs story"),
        (
            "extend_clip",
            {"clip": "x", "colour": "red"},
            "'colour' is no argument of extend_clip; allowed: clip",
        ),
        ("none_such", {}, "There is no prompt 'none_such'; there are: storyboard"),
    ],
)
async def test_wrong_prompt_is_refused_with_what_is_allowed(
    connect: Connect, name: str, arguments: dict[str, str], words: str
):
    async with connect() as client:
        with pytest.raises(MCPError) as refused:
            await client.get_prompt(name, arguments)
    assert refused.value.error.code == INVALID_PARAMS
    assert words in refused.value.error.message


async def completed(client: Client, reference: Any, name: str, value: str) -> list[str]:
    completion = (await client.complete(reference, {"name": name, "value": value})).completion
    assert len(completion.values) <= 100
    return completion.values


def prompt(name: str) -> PromptReference:
    return PromptReference(type="ref/prompt", name=name)


def template(uri: str) -> ResourceTemplateReference:
    return ResourceTemplateReference(type="ref/resource", uri=uri)


async def test_words_are_completed(connect: Connect):
    async with connect() as client:
        assert await completed(client, prompt("storyboard"), "aspect_ratio", "") == ["16:9", "9:16"]
        assert await completed(client, prompt("storyboard"), "style", "water") == ["watercolour"]
        assert (await completed(client, prompt("storyboard"), "style", "c"))[:2] == ["cinematic", "comic book"]
        assert await completed(client, prompt("animate_picture"), "preset", "qu") == ["quick", "quality"]
        assert "veo-3.1-generate-001" in await completed(client, prompt("extend_clip"), "model", "veo")
        assert "4:5" in await completed(client, prompt("product_shot"), "aspect_ratio", "")
        assert not await completed(client, prompt("product_shot"), "model", "veo")
        assert await completed(client, prompt("product_shot"), "scene", "") == []
        assert await completed(client, prompt("none_such"), "scene", "") == []
        errors = "mediagen://errors/{code}"
        assert await completed(client, template(errors), "code", "approval_nee") == ["approval_needed"]
        assert await completed(client, template(errors), "job_id", "") == []
        assert (await completed(client, template(errors), "code", "")) == sorted(error_codes())[:100]


async def test_ids_of_what_was_made_are_completed_newest_first(connect: Connect):
    async with connect() as client:
        made = []
        for tool in ("generate_image", "generate_image", "generate_video"):
            result = await client.call_tool(tool, {"prompt": "a fox"})
            assert isinstance(result.structured_content, dict)
            made.append(result.structured_content)
        jobs = [report["job_id"] for report in reversed(made)]
        uris = [report["artifacts"][0]["uri"] for report in reversed(made)]
        assert await completed(client, template("mediagen://jobs/{job_id}"), "job_id", "") == jobs
        assert await completed(client, template("mediagen://jobs/{job_id}"), "job_id", jobs[1][:-1]) == [jobs[1]]
        ids = [uri.rpartition("/")[2] for uri in uris]
        for address in ("mediagen://artifacts/{artifact_id}", "mediagen://artifacts/{artifact_id}/preview"):
            assert await completed(client, template(address), "artifact_id", "art_") == ids
        assert await completed(client, prompt("animate_picture"), "picture", "") == uris[1:]
        assert await completed(client, prompt("animate_picture"), "picture", uris[2]) == [uris[2]]
        assert await completed(client, prompt("extend_clip"), "clip", "") == [uris[0]]
        assert await completed(client, prompt("extend_clip"), "clip", "job_") == [jobs[0]]
        assert await completed(client, prompt("style_transfer"), "source", "mediagen://art") == uris
        assert await completed(client, prompt("style_transfer"), "style", "art_") == uris[1:]


async def test_more_than_a_hundred_are_said_to_be_more(connect: Connect):
    async with connect() as client:
        reference = template("mediagen://errors/{code}")
        completion = (await client.complete(reference, {"name": "code", "value": ""})).completion
    assert len(completion.values) == 100
    assert completion.has_more


async def test_configured_presets_are_completed(connect: Connect, work, make_settings: Callable[..., Settings]):
    (work / "mediagen.toml").write_text('[presets.trailer]\nkind = "video"\nresolution = "1080p"\n')
    async with connect() as client:
        assert await completed(client, prompt("animate_picture"), "preset", "tr") == ["trailer"]
