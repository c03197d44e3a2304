"""The paid tools. Each handler: request → generator → result."""

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult

from mediagen.app.app import App
from mediagen.requests import ExtendVideoRequest, GenerateImageRequest, GenerateVideoRequest
from mediagen.server.progress import ProgressReporter
from mediagen.server.results import answer
from mediagen.server.serving import terms_of_call


async def generate_image(app: App, request: GenerateImageRequest, context: Context[App]) -> CallToolResult:
    """Make or edit pictures."""
    report = await app.generator.generate_image(request, ProgressReporter(context), terms_of_call())
    return await answer(app, report, with_preview=request.preview)


async def generate_video(app: App, request: GenerateVideoRequest, context: Context[App]) -> CallToolResult:
    """Make a clip."""
    report = await app.generator.generate_video(request, ProgressReporter(context), terms_of_call())
    return await answer(app, report, with_preview=request.preview)


async def extend_video(app: App, request: ExtendVideoRequest, context: Context[App]) -> CallToolResult:
    """Continue a clip."""
    report = await app.generator.extend_video(request, ProgressReporter(context), terms_of_call())
    return await answer(app, report, with_preview=request.preview)
