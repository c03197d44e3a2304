"""The tools that edit on this machine. Each handler: request → editor → result."""

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult

from mediagen.app.app import App
from mediagen.report.job import JobReport
from mediagen.report.media import media_summary
from mediagen.requests import (
    AddAudioRequest,
    ConcatVideosRequest,
    ConvertVideoRequest,
    EditRequest,
    ExtractFrameRequest,
    ProbeMediaRequest,
    ResizeImageRequest,
    TrimVideoRequest,
)
from mediagen.server.progress import ProgressReporter
from mediagen.server.results import job_result, plain_result


async def probe_media(app: App, request: ProbeMediaRequest, context: Context[App]) -> CallToolResult:  # noqa: ARG001 - one signature for all handlers
    """What a file is."""
    report = await app.editor.probe_media(request)
    return plain_result(report, media_summary(report))


async def extract_frame(app: App, request: ExtractFrameRequest, context: Context[App]) -> CallToolResult:
    """One frame of a video."""
    return await _made(app, request, await app.editor.extract_frame(request, ProgressReporter(context)))


async def trim_video(app: App, request: TrimVideoRequest, context: Context[App]) -> CallToolResult:
    """A part of a video."""
    return await _made(app, request, await app.editor.trim_video(request, ProgressReporter(context)))


async def concat_videos(app: App, request: ConcatVideosRequest, context: Context[App]) -> CallToolResult:
    """Several videos one after the other."""
    return await _made(app, request, await app.editor.concat_videos(request, ProgressReporter(context)))


async def add_audio(app: App, request: AddAudioRequest, context: Context[App]) -> CallToolResult:
    """A video with more or other sound."""
    return await _made(app, request, await app.editor.add_audio(request, ProgressReporter(context)))


async def convert_video(app: App, request: ConvertVideoRequest, context: Context[App]) -> CallToolResult:
    """A video in another format, size or frame rate."""
    return await _made(app, request, await app.editor.convert_video(request, ProgressReporter(context)))


async def resize_image(app: App, request: ResizeImageRequest, context: Context[App]) -> CallToolResult:
    """A picture in another size or format."""
    return await _made(app, request, await app.editor.resize_image(request, ProgressReporter(context)))


async def _made(app: App, request: EditRequest, report: JobReport) -> CallToolResult:
    if report.job_id:
        app.runner.watcher.hear(report.job_id)
    return await job_result(app, report, with_preview=request.preview)
