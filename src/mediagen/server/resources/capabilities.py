"""What the server says that it tells of changes: the lists of resources change, those of tools and prompts never do.

The SDK derives it from what is served: everything in the one era, nothing in the other.
"""

from typing import Any

from mcp.server import ServerRequestContext
from mcp.server.context import CallNext, HandlerResult

TOLD = {"resources": True, "tools": False, "prompts": False}


async def tell_capabilities(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Correct the capabilities in the answer that names them."""
    result = await call_next(ctx)
    if ctx.method not in {"initialize", "server/discover"} or not isinstance(result, dict):
        return result
    capabilities = dict(result.get("capabilities") or {})
    for kind, is_told in TOLD.items():
        if isinstance(capabilities.get(kind), dict):
            capabilities[kind] = {**capabilities[kind], "listChanged": is_told}
    return {**result, "capabilities": capabilities}
