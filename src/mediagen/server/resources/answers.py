"""Answers what clients ask of resources: lists, templates and contents."""

import base64
import logging
from pathlib import Path
from typing import Any

from mcp import MCPError
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ResourceError
from mcp.types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    Annotations,
    BlobResourceContents,
    ListResourcesResult,
    ListResourceTemplatesResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    TextResourceContents,
)

from mediagen.app.app import App
from mediagen.errors import InvalidRequestError, JobNotFoundError, MediaGenError
from mediagen.ledger.browsing import ListedFile
from mediagen.report.harmless import harmless
from mediagen.report.text import error_in_words
from mediagen.runner.scheduler import kind_of
from mediagen.server.callers import app_of
from mediagen.server.publishing import veiled_text
from mediagen.server.registry import Handler
from mediagen.server.resources.contents import Content
from mediagen.server.resources.definitions import RESOURCES

PAGE = 50
PROMPT_CHARACTERS = 160

logger = logging.getLogger(__name__)


async def list_resources(
    context: Context[Any], params: PaginatedRequestParams, others: Handler | None
) -> ListResourcesResult:
    """Give our resources and the newest files, page by page, beside those that the server has already."""
    assert others
    listed: list[Resource] = []
    if params.cursor is None:
        listed = [definition.as_resource() for definition in RESOURCES if not definition.is_template]
        rest = await others(context, params)
        assert isinstance(rest, ListResourcesResult)
        listed += rest.resources
    try:
        page = await app_of(context).generator.ledger.list_files(limit=max(1, PAGE - len(listed)), cursor=params.cursor)
    except MediaGenError as error:
        raise _refusal(error, app=app_of(context)) from None
    listed += [_listed(file) for file in page.files]
    return ListResourcesResult(resources=listed, next_cursor=page.next_cursor)


def _listed(file: ListedFile) -> Resource:
    prompt = " ".join(harmless(file.prompt[: PROMPT_CHARACTERS + 1]).split())
    if len(prompt) > PROMPT_CHARACTERS:
        prompt = f"{prompt[:PROMPT_CHARACTERS].rstrip()}…"
    return Resource(
        uri=file.artifact.uri,
        name=harmless(Path(file.artifact.path).name),
        description=f"{prompt} ({file.model})" if prompt else f"Made with {file.model}.",
        mime_type=file.artifact.mime_type,
        size=file.artifact.size_bytes,
        annotations=Annotations(last_modified=file.made_at.isoformat()),
    )


async def list_templates(
    context: Context[Any], params: PaginatedRequestParams, others: Handler | None
) -> ListResourceTemplatesResult:
    """Give our templates beside those that the server has already."""
    assert others
    rest = await others(context, params)
    assert isinstance(rest, ListResourceTemplatesResult)
    ours = [definition.as_template() for definition in RESOURCES if definition.is_template]
    return ListResourceTemplatesResult(resource_templates=[*ours, *rest.resource_templates])


async def read_resource(
    context: Context[Any], params: ReadResourceRequestParams, others: Handler | None
) -> ReadResourceResult:
    """Read one of ours, or one that the server has already."""
    assert others
    uri, app = str(params.uri), app_of(context)
    for definition in RESOURCES:
        value = definition.value_in(uri)
        if value is not None:
            try:
                return _answer(app, uri, await definition.read(app, value))
            except (MediaGenError, ResourceError) as error:
                raise _refusal(error, uri, app) from None
            except Exception as error:
                # Only the kind of the exception: its text may hold a prompt.
                logger.error("reading %s failed: %s", definition.address, kind_of(error))  # noqa: TRY400 - as above
                raise MCPError(INTERNAL_ERROR, "Reading failed because of a defect in mediagen.") from error
    rest = await others(context, params)
    assert isinstance(rest, ReadResourceResult)
    return rest


def _answer(app: App, uri: str, content: Content) -> ReadResourceResult:
    if isinstance(content.data, str):
        return ReadResourceResult(
            contents=[TextResourceContents(uri=uri, mime_type=content.mime_type, text=veiled_text(app, content.data))]
        )
    blob = base64.b64encode(content.data).decode()
    return ReadResourceResult(contents=[BlobResourceContents(uri=uri, mime_type=content.mime_type, blob=blob)])


def _refusal(error: MediaGenError | ResourceError, uri: str | None = None, app: App | None = None) -> MCPError:
    is_callers = isinstance(error, InvalidRequestError | JobNotFoundError)
    words = error_in_words(error) if isinstance(error, MediaGenError) else str(error)
    return MCPError(
        INVALID_PARAMS if is_callers else INTERNAL_ERROR,
        harmless(veiled_text(app, words)),
        {"uri": uri} if uri else None,
    )
