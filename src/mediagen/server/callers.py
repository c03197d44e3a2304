"""Who calls, and what they may see."""

from typing import Any

from mcp.server import ServerRequestContext
from mcp.server.mcpserver import Context

from mediagen.app.app import App


def app_of(context: Context[Any, Any] | ServerRequestContext[Any, Any]) -> App:
    """The parts that serve this request."""
    request = context.request_context if isinstance(context, Context) else context
    app: App = request.lifespan_context
    return app
