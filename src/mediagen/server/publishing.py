"""What callers on another machine are told: links instead of paths of this one."""

import re
from pathlib import Path
from typing import Any

from mcp.types import CallToolResult, ContentBlock, ResourceLink, TextContent

from mediagen.app.app import App
from mediagen.report.job import ArtifactReport, JobReport

ON_THE_SERVER = "(on the server)"


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


def veiled_text(app: App | None, text: str) -> str:
    """A text without the names of this machine's folders, for callers on another one."""
    if app is None or app.principal is None:
        return text
    for folder in _folders(app):
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


def _folders(app: App) -> list[str]:
    """Those that hold others, the deepest first: a part of a name is not replaced before the whole of it."""
    settings = app.settings
    of_profiles = [profile.output_dir.expanduser().resolve() for profile in settings.profiles if profile.output_dir]
    known = {settings.folder_for_files(), settings.folder_for_state(), *of_profiles, Path.home(), Path.cwd()}
    return sorted((str(folder) for folder in known if folder != Path(folder.anchor)), key=len, reverse=True)
