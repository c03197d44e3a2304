"""What callers on another machine are told: links instead of paths of this one."""

import re
from pathlib import Path
from typing import Any

from mcp.server import ServerRequestContext
from mcp.types import CallToolResult, ContentBlock, ResourceLink, TextContent

from mediagen.app.app import App
from mediagen.errors import MediaGenError
from mediagen.report.checks import CheckReport
from mediagen.report.checks_text import ON_THE_SERVER
from mediagen.report.harmless import harmless
from mediagen.report.job import ArtifactReport, JobReport
from mediagen.report.text import error_in_words
from mediagen.server.callers import app_of


def published(app: App, report: JobReport) -> JobReport:
    """The report with a link for each file, where its reader has no access to the files of this machine."""
    if app.principal is None:
        return report
    hidden = {"output_dir"}
    return report.model_copy(
        update={
            "artifacts": [_linked(app, artifact) for artifact in report.artifacts],
            "effective": {name: value for name, value in report.effective.items() if name not in hidden},
            "origins": {name: value for name, value in report.origins.items() if name not in hidden},
        }
    )


def checked_for(app: App, report: CheckReport) -> CheckReport:
    """The report without what of this machine and its owner's money is nobody else's business."""
    if app.principal is None:
        return report
    hidden = {"key_source": ON_THE_SERVER, "identity": None}
    return report.model_copy(
        update={
            "surfaces": [surface.model_copy(update=hidden) for surface in report.surfaces],
            "ledger": ON_THE_SERVER,
            "ffmpeg": ON_THE_SERVER,
            "output_dir": None,
            **_spent_told(report),
        }
    )


def _spent_told(report: CheckReport) -> dict[str, None]:
    """Of the money of all no more than what holds this caller back, too."""
    spans = {"day": "spent_today_usd", "month": "spent_this_month_usd"}
    caps = [cap.name.lower() for cap in report.caps]
    return {field: None for span, field in spans.items() if not any(f"per_{span}" in name for name in caps)}


def where_to_open(app: App, artifact_id: str, path: Path) -> str:
    """Where the reader of an answer finds a file: its path, or a link for callers on another machine."""
    if app.principal is None:
        return str(path)
    from mediagen.server.http.links import links_of

    return links_of(app.settings).make(artifact_id)[0]


def _linked(app: App, artifact: ArtifactReport) -> ArtifactReport:
    from mediagen.server.http.links import links_of

    url, expires_at = links_of(app.settings).make(artifact.artifact_id)
    return artifact.model_copy(update={"path": None, "url": url, "url_expires_at": expires_at})


def veiled(app: App, result: CallToolResult) -> CallToolResult:
    """The result without the names of this machine's folders, for callers on another one."""
    if app.principal is None:
        return result
    return result.model_copy(
        update={
            "content": [_veiled_block(app, block) for block in result.content],
            "structured_content": _veiled_value(app, result.structured_content),
        }
    )


def error_told(app: App | None, error: MediaGenError) -> str:
    """An error in the words that the caller may read."""
    return harmless(veiled_text(app, error_in_words(error)))


def error_told_to(context: ServerRequestContext[Any, Any], error: MediaGenError) -> str:
    """An error in the words that the caller of a request may read, also where the app could not be opened."""
    is_open = context.lifespan_context.is_open
    return error_told(app_of(context) if is_open else None, error)


def veiled_text(app: App | None, text: str) -> str:
    """A text without the names of this machine's folders, for callers on another one."""
    if app is None or app.principal is None:
        return text
    for folder in app.own_folders:
        # Not within an address, whose path may read the same.
        text = re.sub(rf"(?<![\w/.:-]){re.escape(folder)}(?![\w-])", ON_THE_SERVER, text)
    return text


def _veiled_block(app: App, block: ContentBlock) -> ContentBlock:
    if isinstance(block, TextContent):
        return block.model_copy(update={"text": veiled_text(app, block.text)})
    if isinstance(block, ResourceLink) and block.description:
        return block.model_copy(update={"description": veiled_text(app, block.description)})
    return block


def _veiled_value(app: App, value: Any) -> Any:
    if isinstance(value, str):
        return veiled_text(app, value)
    if isinstance(value, list):
        return [_veiled_value(app, item) for item in value]
    if isinstance(value, dict):
        return {name: _veiled_value(app, item) for name, item in value.items()}
    return value
