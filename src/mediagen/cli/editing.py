"""Runs the commands that edit files on this machine."""

import argparse

from pydantic import BaseModel

from mediagen.app.app import App
from mediagen.cli.console import print_report, progress_display
from mediagen.cli.parser import EDITS, request_values
from mediagen.editor.editor import Editor
from mediagen.report.job import JobReport
from mediagen.report.media import MediaReport, media_summary
from mediagen.report.text import summary
from mediagen.requests import (
    AddAudioRequest,
    ConcatVideosRequest,
    ConvertVideoRequest,
    ExtractFrameRequest,
    ProbeMediaRequest,
    ResizeImageRequest,
    TrimVideoRequest,
)
from mediagen.runner.runner import OnProgress


async def run_edit(app: App, namespace: argparse.Namespace) -> int:
    """Run one of the commands; what goes wrong is raised."""
    request_type = EDITS[namespace.command][0]
    request = request_type.model_validate(request_values(namespace, request_type))
    with progress_display() as show:
        report = await _edited(app.editor, request, show)
    words = media_summary(report) if isinstance(report, MediaReport) else summary(report)
    print_report(report, words, as_json=namespace.json)
    return 0


async def _edited(editor: Editor, request: BaseModel, show: OnProgress) -> JobReport | MediaReport:
    match request:
        case ProbeMediaRequest():
            return await editor.probe_media(request)
        case ExtractFrameRequest():
            return await editor.extract_frame(request, show)
        case TrimVideoRequest():
            return await editor.trim_video(request, show)
        case ConcatVideosRequest():
            return await editor.concat_videos(request, show)
        case AddAudioRequest():
            return await editor.add_audio(request, show)
        case ConvertVideoRequest():
            return await editor.convert_video(request, show)
        case ResizeImageRequest():
            return await editor.resize_image(request, show)
    raise AssertionError(type(request))
