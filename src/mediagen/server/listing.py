"""The tools as clients see them, from data: what it takes to serve them is loaded with the first call.

The data are made from `toolsets` by ``scripts/tool_schemas.py``, and a test compares the two.
"""

import json
from collections.abc import Collection
from importlib.resources import files
from typing import Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase, FuncMetadata
from mcp.types import ToolAnnotations

from mediagen.errors import MediaGenError
from mediagen.server.outgoing import caught_up

FILE = "tools.json"


class ListedTool(Tool):
    """One tool, of which nothing is loaded but what a client sees."""

    async def run(self, arguments: dict[str, Any], context: Context[Any, Any], convert_result: bool = False) -> Any:
        """Load what serves the tool, and have it serve the call."""
        try:
            await context.request_context.lifespan_context.ready()
        except MediaGenError as error:
            from mediagen.report.text import error_in_words

            raise ToolError(error_in_words(error)) from None
        from mediagen.server.toolsets import tool_named

        await caught_up()
        return await tool_named(self.name).run(arguments, context, convert_result=convert_result)


def listed_tools(toolsets: Collection[str]) -> list[Tool]:
    """The tools of these toolsets, in the order in which they are listed."""
    told = json.loads((files("mediagen.server") / FILE).read_text(encoding="utf-8"))
    return [_listed(entry["tool"]) for entry in told if entry["toolset"] in toolsets]


def _listed(seen: dict[str, Any]) -> Tool:
    # What is checked of a tool was checked when the data were made.
    return ListedTool.model_construct(
        fn=_never,
        name=seen["name"],
        title=seen["title"],
        description=seen["description"],
        parameters=seen["inputSchema"],
        fn_metadata=FuncMetadata.model_construct(arg_model=ArgModelBase, output_schema=seen["outputSchema"]),
        is_async=True,
        context_kwarg=None,
        annotations=ToolAnnotations.model_validate(seen["annotations"]),
        meta=seen.get("_meta"),
    )


async def _never() -> None:
    raise NotImplementedError
