"""Files that come and go over HTTP: uploads of callers, and results behind signed links."""

import hashlib
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response

from mediagen.app.app import App, now
from mediagen.errors import InvalidRequestError, JobNotFoundError, MediaGenError
from mediagen.ledger.ids import new_upload_id
from mediagen.media.inputs import DOCUMENT_TYPES
from mediagen.media.sniff import SNIFF_BYTES, sniff, suffix_of
from mediagen.media.sources import UPLOAD_PREFIX, shown
from mediagen.media.stills import STILL_FORMATS
from mediagen.server.callers import principal_of_request
from mediagen.server.http.answers import SAFE_HEADERS, refusal
from mediagen.server.http.front import Front
from mediagen.server.http.links import links_of
from mediagen.server.publishing import veiled_text
from mediagen.storage.uploads import KEPT_SECONDS

logger = logging.getLogger(__name__)

MAX_UPLOAD_BYTES: Final = 20 * 1024**2
# Of one principal, of all that is kept at a time.
MAX_KEPT_BYTES: Final = 1024**3
FIELD: Final = "file"
AS_IT_IS: Final = "send the bytes of one file as they are (curl --data-binary @cat.png)."
TAKEN: Final = (
    "Taken are pictures (PNG, JPEG, WebP, GIF, BMP, TIFF, AVIF, HEIC), videos, sounds and UTF-8 text "
    "(plain, Markdown, CSV, JSON)."
)


class TooLargeError(Exception):
    """More came than may come."""


class Files:
    """The files endpoint."""

    def __init__(self, front: Front) -> None:
        self._front = front

    async def receive(self, request: Request) -> Response:
        """Take in the file that is the body of a request."""
        app = self._front.app.of(principal_of_request())
        if _said_type(request).startswith("multipart/"):
            return refusal(415, "unsupported_input", f"The body is a form; {AS_IT_IS}")
        if _declared_size(request) > MAX_UPLOAD_BYTES:
            return _too_large()
        try:
            return await self._take_in(app, request)
        except TooLargeError:
            return _too_large()
        except ClientDisconnect:
            return refusal(400, "invalid_request", "The file did not come whole.")
        except OSError as error:
            logger.warning("an upload could not be kept: %s", type(error).__name__)
            return refusal(507, "storage_full", "The server cannot keep the file at the moment; try again later.")
        except MediaGenError as error:
            status = 400 if isinstance(error, InvalidRequestError) else 503
            return refusal(status, error.code, veiled_text(app, f"{error.message} {error.hint}".strip()))

    async def _take_in(self, app: App, request: Request) -> Response:
        folder = await app.uploads.make_folder()
        if await app.uploads.kept_bytes() + _declared_size(request) > MAX_KEPT_BYTES:
            return _too_many()
        upload_id = new_upload_id(now)
        part = folder / f"{upload_id}.part"
        try:
            digest, size = await _write(request, part)
            if not size:
                return refusal(400, "invalid_request", f"The body is empty; {AS_IT_IS}")
            if await app.uploads.kept_bytes() > MAX_KEPT_BYTES:
                # Others of the same caller came meanwhile.
                return _too_many()
            mime_type, suffix = await _kind_of(part, _said_type(request))
            kept = await app.uploads.take_in(part, upload_id, suffix)
        finally:
            await anyio.Path(part).unlink(missing_ok=True)
        await _check(app, kept, upload_id, mime_type)
        return JSONResponse(
            {
                "uri": f"{UPLOAD_PREFIX}{upload_id}",
                "mime_type": mime_type,
                "size_bytes": size,
                "sha256": digest,
                "expires_at": (datetime.now(UTC) + timedelta(seconds=KEPT_SECONDS)).isoformat(timespec="seconds"),
            },
            status_code=201,
            headers=SAFE_HEADERS,
        )

    async def give(self, request: Request) -> Response:
        """Hand out a result to whoever has a link to it."""
        app = self._front.app
        artifact_id, query = str(request.path_params["artifact_id"]), request.query_params
        verdict = links_of(app.settings).check(artifact_id, query.get("expires", ""), query.get("signature", ""))
        if verdict == "wrong":
            return refusal(403, "link_wrong", "This link is not one of this server's, or it was changed.")
        if verdict == "expired":
            return refusal(410, "link_expired", "This link has expired; get_job gives a new one.")
        try:
            artifact, _ = await app.generator.ledger.artifact(artifact_id)
            path = await app.generator.artifact_file(artifact_id)
        except JobNotFoundError:
            return refusal(404, "artifact_missing", "The file is no longer on the server.")
        except MediaGenError as error:
            # Its words may name folders, and whoever has a link has no name.
            logger.warning("a file could not be looked up: %s", error.code)
            return refusal(503, error.code, "The server cannot look the file up at the moment; try again later.")
        headers = {**SAFE_HEADERS, "Cache-Control": "private, no-store", "Content-Security-Policy": "sandbox"}
        return FileResponse(path, media_type=artifact.mime_type, filename=path.name, headers=headers)


async def _write(request: Request, part: Path) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    async with await anyio.open_file(part, "xb") as file:
        async for piece in request.stream():
            size += len(piece)
            if size > MAX_UPLOAD_BYTES:
                raise TooLargeError
            digest.update(piece)
            await file.write(piece)
    return digest.hexdigest(), size


async def _kind_of(part: Path, said: str) -> tuple[str, str]:
    """Mime type by the bytes, and the suffix for it; of a text, what is said of it decides."""
    async with await anyio.open_file(part, "rb") as file:
        found = sniff(await file.read(SNIFF_BYTES))
    if found is not None:
        return found, suffix_of(found)
    suffix = next((suffix for suffix, mime_type in DOCUMENT_TYPES.items() if mime_type == said), ".txt")
    return DOCUMENT_TYPES.get(suffix, "text/plain"), suffix


async def _check(app: App, kept: Path, upload_id: str, mime_type: str) -> None:
    """Look at a picture or a document as at any input; one that is of no use is not kept.

    Raises:
        InvalidRequestError: It is damaged, or of no use here.
    """
    loader, source = app.generator.planner.loader, f"{UPLOAD_PREFIX}{upload_id}"
    try:
        if mime_type in STILL_FORMATS:
            await loader.load_image(source, FIELD)
        elif mime_type in {"text/plain", *DOCUMENT_TYPES.values()}:
            await loader.load_document(source, FIELD)
        else:
            _check_kind(mime_type)
    except InvalidRequestError as error:
        await anyio.Path(kept).unlink(missing_ok=True)
        raise _of_file(error, source) from error
    except BaseException:
        await anyio.Path(kept).unlink(missing_ok=True)
        raise


def _of_file(error: InvalidRequestError, source: str) -> InvalidRequestError:
    """The error in words without the address, which nobody was told."""
    message = error.message
    for name in (f"{FIELD}={shown(source)}", f"{FIELD}: {shown(source)}"):
        message = message.replace(name, "The file")
    hint = error.hint if error.code != InvalidRequestError.code else f"{error.hint} {TAKEN}"
    return InvalidRequestError(message, field=FIELD, hint=hint, code=error.code)


def _check_kind(mime_type: str) -> None:
    if not mime_type.startswith(("video/", "audio/")):
        raise InvalidRequestError(
            f"The file is of type {mime_type}, which no tool takes.",
            field=FIELD,
            hint=TAKEN,
            code="unsupported_input",
        )


def _said_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _declared_size(request: Request) -> int:
    declared = request.headers.get("content-length", "")
    return int(declared) if declared.isascii() and declared.isdigit() else 0


def _too_many() -> Response:
    return refusal(507, "storage_full", "Your files of the last 24 hours fill 1 GB; the oldest make room after a day.")


def _too_large() -> Response:
    megabytes = MAX_UPLOAD_BYTES // 1024**2
    return refusal(
        413,
        "input_too_large",
        f"A file may have {megabytes} MB; for a larger one give an https or gs:// address.",
    )
