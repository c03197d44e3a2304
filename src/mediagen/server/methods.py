"""Which of our modules answers which method, besides those of tools and tasks; loaded with the first call."""

from typing import Any

from mcp.server import MCPServer
from mcp.types import (
    CompleteRequestParams,
    GetPromptRequestParams,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    SubscribeRequestParams,
    SubscriptionsListenRequestParams,
    UnsubscribeRequestParams,
)

from mediagen.server.outgoing import know_request
from mediagen.server.registry import handle, on_initialized
from mediagen.server.resources.capabilities import tell_capabilities

_RESOURCES = "mediagen.server.resources.answers"
_NOTICES = "mediagen.server.resources.notices"
_PROMPTS = "mediagen.server.prompts.answers"


def add_methods(server: MCPServer[Any]) -> None:
    """Have the server offer resources, prompts, completion and notices of changes, beside what it has already."""
    handle(server, "resources/list", PaginatedRequestParams, f"{_RESOURCES}:list_resources")
    handle(server, "resources/templates/list", PaginatedRequestParams, f"{_RESOURCES}:list_templates")
    handle(server, "resources/read", ReadResourceRequestParams, f"{_RESOURCES}:read_resource")
    handle(server, "subscriptions/listen", SubscriptionsListenRequestParams, f"{_NOTICES}:listen")
    handle(server, "resources/subscribe", SubscribeRequestParams, f"{_NOTICES}:subscribe")
    handle(server, "resources/unsubscribe", UnsubscribeRequestParams, f"{_NOTICES}:unsubscribe")
    handle(server, "prompts/list", PaginatedRequestParams, f"{_PROMPTS}:list_prompts", needs_app=False)
    handle(server, "prompts/get", GetPromptRequestParams, f"{_PROMPTS}:get_prompt", needs_app=False)
    handle(server, "completion/complete", CompleteRequestParams, "mediagen.server.completion:complete")
    on_initialized(server, f"{_NOTICES}:begin_session")
    server.middleware.append(tell_capabilities)
    server.middleware.append(know_request)
