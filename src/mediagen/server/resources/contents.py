"""What each resource holds."""

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio.to_thread
from mcp.server.mcpserver.exceptions import ResourceError

from mediagen.app.app import App
from mediagen.catalog import Catalog
from mediagen.errors import InvalidRequestError, JobNotFoundError
from mediagen.ledger.ids import ARTIFACT_ID, JOB_ID
from mediagen.media.preview import preview
from mediagen.pricing import Prices
from mediagen.report.error_codes import error_codes
from mediagen.requests import GetJobRequest
from mediagen.server.publishing import published, where_to_open
from mediagen.server.results import structured

JSON = "application/json"
LONGEST_ID = 64
# As base64 it has to stay below 1 MB, which is what some clients accept.
LARGEST_RESOURCE = 700_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """What a client gets: text, or bytes that travel as base64."""

    mime_type: str
    data: str | bytes


async def artifact(app: App, artifact_id: str) -> Content:
    """A file as it was stored.

    Raises:
        JobNotFoundError: Unknown id, or the file is no longer there.
        ResourceError: It is too large for a message, or cannot be read.
    """
    mime_type, path = await _file(app, artifact_id)
    data, size = await anyio.to_thread.run_sync(_bytes_of, path)
    if len(data) > LARGEST_RESOURCE:
        raise ResourceError(
            f"The file has {size} bytes, too many for a message; open it at {where_to_open(app, artifact_id, path)}. "
            f"mediagen://artifacts/{artifact_id}/preview shows it small."
        )
    return Content(mime_type=mime_type, data=data)


async def artifact_preview(app: App, artifact_id: str) -> Content:
    """A file as a JPEG of at most 768 pixels and 300 KB: the picture, or the first frame of the clip.

    Raises:
        JobNotFoundError: Unknown id, or the file is no longer there.
        MediaError: It cannot be read, or ffmpeg is missing.
        ResourceError: It is neither picture nor clip.
    """
    mime_type, path = await _file(app, artifact_id)
    jpeg = await preview(path, mime_type, app.settings.ffmpeg)
    if jpeg is None:
        raise ResourceError(f"A file of the type {mime_type} has no preview.")
    return Content(mime_type="image/jpeg", data=jpeg)


async def job(app: App, job_id: str) -> Content:
    """A job as get_job tells it, without waiting for it.

    Raises:
        JobNotFoundError: There is none of that id.
    """
    if len(job_id) > LONGEST_ID or not JOB_ID.fullmatch(job_id):
        raise JobNotFoundError(f"There is no job {job_id[:100]!r}.", hint="list_jobs shows those there are.")
    return _json(structured(published(app, await app.generator.get_job(GetJobRequest(job_id=job_id)))))


async def models(app: App, _: str) -> Content:  # noqa: ARG001 - one signature for all
    """The catalogue of models."""
    catalog = Catalog.load()
    return _json(
        {
            "as_of": catalog.as_of,
            "source": "the catalogue of mediagen; each model names where its row comes from",
            "defaults": catalog.defaults,
            "aliases": catalog.aliases,
            "models": catalog.specs,
        }
    )


async def prices(app: App, _: str) -> Content:  # noqa: ARG001 - one signature for all
    """The price list."""
    table = Prices.load().table
    return _json(
        {
            "as_of": table.as_of,
            "source": "Google's price lists; each row names where it comes from and what of it is inferred",
            "currency": "USD",
            "prices": [*table.rows.values()],
            "search": table.search,
            "allowance": table.allowance,
        }
    )


async def error(app: App, code: str) -> Content:  # noqa: ARG001 - one signature for all
    """What an error code means and what to do about it.

    Raises:
        InvalidRequestError: There is no such code.
    """
    found = error_codes().get(code)
    if found is None:
        raise InvalidRequestError(f"There is no error code {code[:100]!r}.", hint="Completion names those there are.")
    return _json(found)


async def _file(app: App, artifact_id: str) -> tuple[str, Path]:
    if not ARTIFACT_ID.fullmatch(artifact_id):
        raise JobNotFoundError(
            f"There is no artifact {artifact_id[:100]!r}.", hint="get_job shows the artifacts of a job."
        )
    made, _ = await app.generator.ledger.artifact(artifact_id)
    return made.mime_type, await app.generator.artifact_file(artifact_id)


def _bytes_of(path: Path) -> tuple[bytes, int]:
    """The file, or a byte more than a message may hold; and its whole size."""
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_RESOURCE + 1), os.fstat(file.fileno()).st_size
    except OSError as failure:
        raise ResourceError(f"The file {path} cannot be read: {failure.strerror or 'input/output error'}.") from failure


def _json(value: object) -> Content:
    return Content(mime_type=JSON, data=json.dumps(_plain(value), ensure_ascii=False))


def _plain(value: object) -> Any:
    """A value in the words of JSON; columns of data that say nothing are left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        columns = {column.name: _plain(getattr(value, column.name)) for column in dataclasses.fields(value)}
        return {name: column for name, column in columns.items() if column not in (None, "", [], {})}
    match value:
        case Mapping():
            return {str(name): _plain(inner) for name, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
        case date():
            return value.isoformat()
        case Decimal():
            return float(value)
        case _:
            return value
