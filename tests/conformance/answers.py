"""What the conformance suite calls by fixed names: tools that answer at once, resources and prompts.

The names and the answers are the suite's; see the requirement texts of its scenarios.
"""

import base64
import json
from collections.abc import Callable
from typing import Annotated, Any

import anyio
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.prompts.base import Prompt, UserMessage
from mcp.server.mcpserver.tools import Tool
from mcp.types import (
    AudioContent,
    Completion,
    CompletionArgument,
    CompletionContext,
    EmbeddedResource,
    ImageContent,
    PromptReference,
    ResourceTemplateReference,
    TextContent,
    TextResourceContents,
)
from pydantic import Field

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
WAV = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="
STEP_SECONDS = 0.05

FULL_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


def _text(uri: str, text: str, mime_type: str = "text/plain") -> EmbeddedResource:
    return EmbeddedResource(type="resource", resource=TextResourceContents(uri=uri, mime_type=mime_type, text=text))


def _picture() -> ImageContent:
    return ImageContent(type="image", data=PNG, mime_type="image/png")


async def test_simple_text() -> str:
    return "This is a simple text response for testing."


async def test_image_content() -> list[ImageContent]:
    return [_picture()]


async def test_audio_content() -> list[AudioContent]:
    return [AudioContent(type="audio", data=WAV, mime_type="audio/wav")]


async def test_embedded_resource() -> list[EmbeddedResource]:
    return [_text("test://embedded-resource", "This is an embedded resource content.")]


async def test_multiple_content_types() -> list[TextContent | ImageContent | EmbeddedResource]:
    return [
        TextContent(type="text", text="Multiple content types test:"),
        _picture(),
        _text("test://mixed-content-resource", json.dumps({"test": "data", "value": 123}), "application/json"),
    ]


async def test_tool_with_logging(context: Context[Any]) -> str:
    for message in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await context.info(message)
        await anyio.sleep(STEP_SECONDS)
    return "logged"


async def test_tool_with_progress(context: Context[Any]) -> str:
    for done in (0, 50, 100):
        await context.report_progress(done, 100, f"{done} of 100")
        await anyio.sleep(STEP_SECONDS)
    return "done"


async def test_error_handling() -> str:
    raise RuntimeError("This tool intentionally returns an error for testing")


async def test_reconnection(context: Context[Any]) -> str:
    await context.close_sse_stream()
    await anyio.sleep(0.2)
    return "Reconnection test completed"


async def test_x_mcp_header(
    region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})] = "none",  # noqa: PT028 - no test, but a tool of the suite's name
) -> str:
    return f"region={region}"


async def json_schema_2020_12_tool() -> str:
    return "called"


async def test_trigger_tool_change(context: Context[Any]) -> str:
    server = context.mcp_server
    server.add_tool(test_simple_text, name="test_dynamic_tool")
    server.remove_tool("test_dynamic_tool")
    await context.notify_tools_changed()
    return "changed"


async def test_trigger_prompt_change(context: Context[Any]) -> str:
    server = context.mcp_server
    server.add_prompt(Prompt.from_function(test_simple_prompt, name="test_dynamic_prompt"))
    server.remove_prompt("test_dynamic_prompt")
    await context.notify_prompts_changed()
    return "changed"


def as_tools(functions: tuple[Callable[..., Any], ...]) -> list[Tool]:
    """Tools of the names of the functions."""
    return [Tool.from_function(function, description=function.__name__.replace("_", " ")) for function in functions]


def answering_tools() -> list[Tool]:
    """All tools of this module."""
    tools = as_tools(
        (
            test_simple_text,
            test_image_content,
            test_audio_content,
            test_embedded_resource,
            test_multiple_content_types,
            test_tool_with_logging,
            test_tool_with_progress,
            test_error_handling,
            test_reconnection,
            test_x_mcp_header,
            test_trigger_tool_change,
            test_trigger_prompt_change,
        )
    )
    schema_tool = as_tools((json_schema_2020_12_tool,))[0]
    return [*tools, schema_tool.model_copy(update={"parameters": FULL_SCHEMA})]


def add_resources(server: MCPServer[Any]) -> None:
    """The resources that the suite reads."""

    @server.resource("test://static-text", description="A text", mime_type="text/plain")
    def static_text() -> str:
        return "This is the content of the static text resource."

    @server.resource("test://static-binary", description="A picture", mime_type="image/png")
    def static_binary() -> bytes:
        return base64.b64decode(PNG)

    @server.resource("test://template/{id}/data", description="A template", mime_type="application/json")
    def template(id: str) -> str:  # noqa: A002 - the suite's name of the parameter
        return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})

    @server.resource("test://watched-resource", description="To subscribe to", mime_type="text/plain")
    def watched() -> str:
        return "watched"


def test_simple_prompt() -> list[UserMessage]:
    return [UserMessage("This is a simple prompt for testing.")]


def test_prompt_with_arguments(arg1: str, arg2: str) -> list[UserMessage]:
    return [UserMessage(f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'")]


def test_prompt_with_embedded_resource(resourceUri: str) -> list[UserMessage]:  # noqa: N803 - the suite's name
    return [
        UserMessage(_text(resourceUri, "Embedded resource content for testing.")),
        UserMessage("Please process the embedded resource above."),
    ]


def test_prompt_with_image() -> list[UserMessage]:
    return [UserMessage(_picture()), UserMessage("Please analyze the image above.")]


def add_prompts(server: MCPServer[Any]) -> None:
    """The prompts that the suite gets."""
    for function in (
        test_simple_prompt,
        test_prompt_with_arguments,
        test_prompt_with_embedded_resource,
        test_prompt_with_image,
    ):
        server.add_prompt(Prompt.from_function(function, description=function.__name__.replace("_", " ")))

    @server.completion()  # type: ignore[no-untyped-call,untyped-decorator]  # the SDK has no types here
    async def complete(
        ref: PromptReference | ResourceTemplateReference,
        argument: CompletionArgument,
        context: CompletionContext | None,
    ) -> Completion:
        return Completion(values=["paris", "park"] if argument.value == "par" else [], total=0, has_more=False)
