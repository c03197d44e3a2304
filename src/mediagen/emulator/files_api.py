"""The endpoints of the Files API."""

import re

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from mediagen.emulator.answers import ApiError, google_error
from mediagen.emulator.callers import check_caller
from mediagen.emulator.download import ByteRange, FileResponse
from mediagen.emulator.faults import DOWNLOAD, Fault
from mediagen.emulator.files import StoredFile, no_such_file
from mediagen.emulator.paging import page
from mediagen.emulator.reading import read_json
from mediagen.emulator.world import World

GRANULARITY_BYTES = 262_144
_OTHER_ORIGIN = "localhost"


class FilesApi:
    """Upload, list, show, download and delete files."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def start_upload(self, request: Request) -> Response:
        """POST upload/files: open a resumable upload, or carry on one."""
        if "upload_id" in request.query_params:
            return await self._continue_upload(request)
        body = await read_json(request, empty={})
        check_caller(request)
        headers = request.headers
        protocol = headers.get("x-goog-upload-protocol")
        if protocol != "resumable" or headers.get("x-goog-upload-command") != "start":
            raise google_error(400, "The emulator takes resumable uploads that begin with the command start.")
        described = body.get("file") or {}
        mime_type = described.get("mime_type") or described.get("mimeType")
        size = headers.get("x-goog-upload-header-content-length")
        upload_id = self._world.uploads.start(
            mime_type=mime_type or headers.get("x-goog-upload-header-content-type") or "application/octet-stream",
            display_name=str(described.get("display_name") or described.get("displayName") or ""),
            expected_bytes=int(size) if size and size.isdigit() else None,
        )
        url = f"{request.base_url}{request.url.path.lstrip('/')}?upload_id={upload_id}&upload_protocol=resumable"
        return Response(
            headers={
                "x-goog-upload-url": url,
                "x-goog-upload-control-url": url,
                "x-goog-upload-status": "active",
                "x-goog-upload-chunk-granularity": str(GRANULARITY_BYTES),
            }
        )

    async def _continue_upload(self, request: Request) -> Response:
        desk = self._world.uploads
        upload_id = request.query_params["upload_id"]
        upload = desk.get(upload_id)
        commands = {word.strip() for word in request.headers.get("x-goog-upload-command", "").split(",")}
        if "cancel" in commands:
            desk.abandon(upload_id)
            return Response(headers={"x-goog-upload-status": "cancelled"})
        if "upload" in commands:
            offset = request.headers.get("x-goog-upload-offset", "")
            if not offset.isdigit():
                raise google_error(400, "X-Goog-Upload-Offset is missing.")
            await desk.append(upload, int(offset), request.stream())
        if "finalize" in commands:
            stored = await desk.finish(upload_id)
            shown = {"file": stored.as_json(str(request.base_url))}
            return JSONResponse(shown, headers={"x-goog-upload-status": "final"})
        if not commands & {"upload", "query"}:
            raise google_error(400, "Unknown upload command.")
        received = str(upload.received_bytes)
        return Response(headers={"x-goog-upload-status": "active", "x-goog-upload-size-received": received})

    async def list_files(self, request: Request) -> Response:
        """GET files: one page of the files, newest first."""
        check_caller(request)
        files = [stored.as_json(str(request.base_url)) for stored in self._world.files.listing()]
        return JSONResponse(page(request, files, "files", default=10, most=100))

    async def get_file(self, request: Request) -> Response:
        """GET files/ID: one file's description."""
        check_caller(request)
        stored, fault = self._find(request, frozenset({"expired"}))
        if fault is not None:
            raise _expired(stored.id, fault)
        return JSONResponse(stored.as_json(str(request.base_url)))

    async def delete_file(self, request: Request) -> Response:
        """DELETE files/ID."""
        check_caller(request)
        self._world.files.delete(request.path_params["file_id"])
        return JSONResponse({})

    async def download(self, request: Request) -> Response:
        """GET files/ID:download?alt=media: the bytes, or a range of them."""
        check_caller(request)
        stored, fault = self._find(request, DOWNLOAD)
        if request.query_params.get("alt") != "media":
            raise google_error(400, "Downloading a file needs the parameter alt=media.")
        if stored.source == "UPLOADED":
            raise google_error(400, f"Only generated files can be downloaded: {stored.id} was uploaded.")
        if fault is not None and fault.kind == "expired":
            raise _expired(stored.id, fault)
        if fault is not None and fault.kind == "redirect":
            return RedirectResponse(_elsewhere(request, fault), status_code=302)
        return _file_response(request, stored, fault)

    def _find(self, request: Request, kinds: frozenset[str]) -> tuple[StoredFile, Fault | None]:
        stored = self._world.files.get(request.path_params["file_id"])
        fault = self._world.faults.take(kinds, method=request.method, path=request.url.path)
        if fault is None and kinds == DOWNLOAD and stored.faults:
            fault = stored.faults.pop(0)
        return stored, fault


def _expired(file_id: str, fault: Fault) -> ApiError:
    if fault.text("status", "403") == "404":
        return google_error(404, "Requested entity was not found.")
    return no_such_file(file_id)


def _elsewhere(request: Request, fault: Fault) -> str:
    """Give the redirect's target: another host name of the same machine unless the script names one."""
    target = fault.parameters.get("to")
    if target:
        return str(target)
    host = _OTHER_ORIGIN if request.url.hostname != _OTHER_ORIGIN else "127.0.0.1"
    moved = request.url.replace(hostname=host, port=request.url.port)
    return str(moved.replace(path=moved.path.replace("/v1", "/emulator/elsewhere/v1", 1)))


def _file_response(request: Request, stored: StoredFile, fault: Fault | None) -> Response:
    etag = f'"{stored.sha256[:32]}"'
    wanted = request.headers.get("range")
    is_same = request.headers.get("if-range", etag) == etag
    part = _parse_range(wanted, stored.size_bytes) if wanted and is_same else None
    headers = {"content-type": stored.mime_type, "accept-ranges": "bytes", "etag": etag}
    if part is None:
        return FileResponse(stored.path, ByteRange(0, stored.size_bytes), headers=headers, fault=fault)
    headers["content-range"] = f"bytes {part.start}-{part.stop - 1}/{stored.size_bytes}"
    return FileResponse(stored.path, part, headers=headers, fault=fault, status_code=206)


def _parse_range(text: str, size: int) -> ByteRange | None:
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", text.strip())
    if match is None or match.group(0) == "bytes=-":
        return None
    first, last = match.groups()
    start = int(first) if first else max(0, size - int(last))
    stop = min(size, int(last) + 1) if first and last else size
    if start >= size or start >= stop:
        raise google_error(416, "Requested range not satisfiable.")
    return ByteRange(start, stop)


async def serve_elsewhere(world: World, request: Request) -> Response:
    """Serve the bytes behind a scripted redirect; a key that follows the redirect is refused."""
    stored = world.files.get(request.path_params["file_id"])
    if "x-goog-api-key" in request.headers or "key" in request.query_params:
        world.traffic.key_leaks += 1
        raise google_error(400, "The API key was sent to another origin.")
    return _file_response(request, stored, None)
