"""Answers what clients ask of prompts."""

from typing import Any

from mcp import MCPError
from mcp.server.mcpserver import Context
from mcp.types import (
    INVALID_PARAMS,
    GetPromptRequestParams,
    GetPromptResult,
    ListPromptsResult,
    PaginatedRequestParams,
    PromptMessage,
    TextContent,
)

from mediagen.errors import InvalidRequestError
from mediagen.report.harmless import harmless
from mediagen.server.prompts.definitions import prompt_data
from mediagen.server.registry import Handler


async def list_prompts(
    context: Context[Any], params: PaginatedRequestParams, others: Handler | None
) -> ListPromptsResult:
    """Give our prompts beside those that the server has already."""
    assert others
    rest = await others(context, params)
    assert isinstance(rest, ListPromptsResult)
    ours = [prompt.listed() for prompt in prompt_data().prompts.values()]
    return ListPromptsResult(prompts=[*ours, *rest.prompts])


async def get_prompt(context: Context[Any], params: GetPromptRequestParams, others: Handler | None) -> GetPromptResult:
    """Put a prompt into words."""
    assert others
    prompt = prompt_data().prompts.get(params.name)
    if prompt is None:
        names = {entry.name for entry in await context.mcp_server.list_prompts()}
        if params.name not in names:
            known = ", ".join([*prompt_data().prompts, *sorted(names)])
            raise MCPError(INVALID_PARAMS, harmless(f"There is no prompt {params.name[:100]!r}; there are: {known}."))
        rest = await others(context, params)
        assert isinstance(rest, GetPromptResult)
        return rest
    tools = {tool.name for tool in await context.mcp_server.list_tools()}
    try:
        text = prompt.worded(params.arguments or {}, tools)
    except InvalidRequestError as error:
        raise MCPError(INVALID_PARAMS, harmless(str(error))) from None
    message = PromptMessage(role="user", content=TextContent(type="text", text=harmless(text)))
    return GetPromptResult(description=prompt.description, messages=[message])
