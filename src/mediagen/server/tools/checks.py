"""The tools that cost nothing and make nothing."""

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult

from mediagen.app.app import App
from mediagen.report.checks_text import check_summary
from mediagen.report.text import estimate_summary
from mediagen.requests import CheckApiRequest, EstimateCostRequest
from mediagen.server.publishing import checked_for
from mediagen.server.results import plain_result


async def check_api(app: App, request: CheckApiRequest, context: Context[App]) -> CallToolResult:  # noqa: ARG001 - one signature for all handlers
    """Test key, address, models and this machine."""
    report = checked_for(app, await app.checks.check_api(request))
    return plain_result(report, check_summary(report, with_notes=bool(request.filter)))


async def estimate_cost(app: App, request: EstimateCostRequest, context: Context[App]) -> CallToolResult:  # noqa: ARG001 - one signature for all handlers
    """Price of a job before it is made."""
    report = await app.estimates.estimate_cost(request)
    return plain_result(report, estimate_summary(report))
