"""Whose request it is: the one place from which every part of the server takes what it works with."""

from typing import Any

from mcp.server.mcpserver import Context

from mediagen.app.app import App


def app_of(context: Context[Any, Any]) -> App:
    """What the caller of a request works with."""
    app: App = context.request_context.lifespan_context
    return app
