"""Job → what a client gets: structured content, the same in words, links to the files, one small preview."""

import base64
from functools import partial
from pathlib import Path
from typing import Any

import anyio.lowlevel
from mcp.types import CallToolResult, ContentBlock, ImageContent, ResourceLink, TextContent
from pydantic import BaseModel

from mediagen.app.app import App
from mediagen.errors import MediaGenError
from mediagen.generator.deliveries import tells_the_end
from mediagen.media.preview import preview
from mediagen.report.harmless import harmless, writable
from mediagen.report.job import ArtifactReport, JobReport
from mediagen.report.text import summary, where_is
from mediagen.server.brief import brief_job, fitting
from mediagen.server.outgoing import when_left
from mediagen.server.publishing import published, veiled

FAILED_STATES = frozenset({"failed", "filtered", "unconfirmed", "expired"})


async def job_result(app: App, report: JobReport, *, with_preview: bool) -> CallToolResult:
    """Result of a tool that is about one job, as the app's principal may have it."""
    warnings: list[str] = []
    image: ImageContent | None = None
    if with_preview and report.artifacts:
        image, warnings = await _preview(report.artifacts[0], app.settings.ffmpeg)
    names = [Path(artifact.path or artifact.artifact_id).name for artifact in report.artifacts]
    report = brief_job(published(app, report.model_copy(update={"warnings": [*report.warnings, *warnings]})))
    text, told = fitting(harmless(summary(report)), structured(report))
    content: list[ContentBlock] = [TextContent(type="text", text=text)]
    content += [image] if image else []
    content += [_link(artifact, name) for artifact, name in zip(report.artifacts, names, strict=True)]
    result = CallToolResult(content=content, structured_content=told, is_error=report.status in FAILED_STATES)
    return veiled(app, result)


async def answer(app: App, report: JobReport, *, with_preview: bool) -> CallToolResult:
    """Result of a tool that tells about a paid job; nothing may be awaited between it and the answer to the client.

    Raises:
        asyncio.CancelledError: Nobody waits for the answer any more; it counts as not delivered.
    """
    result = await job_result(app, report, with_preview=with_preview)
    # A call that was cancelled in a worker thread notices it only here.
    await anyio.lowlevel.checkpoint_if_cancelled()
    if tells_the_end(report):
        when_left(partial(app.deliveries.hand_over, report))
    return result


def plain_result(report: BaseModel, text: str) -> CallToolResult:
    """Result of a tool that makes no files."""
    words, told = fitting(harmless(text), structured(report))
    return CallToolResult(content=[TextContent(type="text", text=words)], structured_content=told)


def structured(report: BaseModel) -> dict[str, Any]:
    """The public structured form."""
    content: dict[str, Any] = writable(report.model_dump(mode="json", by_alias=True))
    return content


async def _preview(artifact: ArtifactReport, ffmpeg: str | None) -> tuple[ImageContent | None, list[str]]:
    if artifact.path is None:
        return None, []
    try:
        jpeg = await preview(Path(artifact.path), artifact.mime_type, ffmpeg)
    except MediaGenError as error:
        return None, [f"No preview: {error}"]
    if jpeg is None:
        return None, []
    return ImageContent(type="image", data=base64.b64encode(jpeg).decode(), mime_type="image/jpeg"), []


def _link(artifact: ArtifactReport, name: str) -> ResourceLink:
    return ResourceLink(
        type="resource_link",
        name=name,
        uri=artifact.uri,
        mime_type=artifact.mime_type,
        size=artifact.size_bytes,
        description=where_is(artifact),
    )
