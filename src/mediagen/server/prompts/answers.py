"""Answers what clients ask of prompts."""

from functools import partial

from mcp import MCPError
from mcp.server import MCPServer
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

from mediagen.app.app import App
from mediagen.errors import InvalidRequestError
from mediagen.report.harmless import harmless
from mediagen.server.prompts.definitions import prompt_data
from mediagen.server.registry import Handler, handle, handler_of


def add_prompts(server: MCPServer[App]) -> None:
    """Have the server offer our prompts beside those that it has already."""
    handle(server, "prompts/list", PaginatedRequestParams, partial(_list, handler_of(server, "prompts/list")))
    handle(server, "prompts/get", GetPromptRequestParams, partial(_get, handler_of(server, "prompts/get")))


async def _list(others: Handler, context: Context[App], params: PaginatedRequestParams) -> ListPromptsResult:
    rest = await others(context, params)
    assert isinstance(rest, ListPromptsResult)
    ours = [prompt.listed() for prompt in prompt_data().prompts.values()]
    return ListPromptsResult(prompts=[*ours, *rest.prompts])


async def _get(others: Handler, context: Context[App], params: GetPromptRequestParams) -> GetPromptResult:
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
