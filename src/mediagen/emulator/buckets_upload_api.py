"""The endpoint that puts objects into buckets: POST and PUT upload/storage/v1/b/BUCKET/o."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from mediagen.emulator.answers import DropResponse
from mediagen.emulator.buckets import StoredObject, storage_error
from mediagen.emulator.buckets_access import authorize, check_token
from mediagen.emulator.buckets_json import WRITABLE, check_conditions, checked_name, object_json
from mediagen.emulator.buckets_uploads import (
    DEFAULT_TYPE,
    ContentRange,
    Session,
    SessionDesk,
    append,
    check_promises,
    keep_whole_blocks,
    read_content_range,
    save,
    split_multipart,
)
from mediagen.emulator.faults import Fault
from mediagen.emulator.reading import read_json
from mediagen.emulator.world import World

CANCELLED = 499
RESUME_INCOMPLETE = 308
WRONG_CRC32C = "AAAAAA=="
_CONDITIONS = frozenset({"ifGenerationMatch", "ifGenerationNotMatch"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrival:
    """An object whose bytes have all come."""

    bucket: str
    name: str
    path: Path
    content_type: str
    described: Mapping[str, Any]


class UploadCutError(Exception):
    """A scripted fault cuts the connection while bytes come; never leaves this module."""


class UploadsApi:
    """Takes objects in."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._desk = SessionDesk(world.buckets)

    async def insert(self, request: Request) -> Response:
        """POST: an object in one piece, as multipart, or the start of a resumable upload."""
        bucket = request.path_params["bucket"]
        authorize(self._world, request, bucket, "write")
        self._world.buckets.bucket(bucket)
        match request.query_params.get("uploadType"):
            case "resumable":
                return await self._open(request, bucket)
            case "multipart":
                return await self._multipart(request, bucket)
            case "media":
                return await self._media(request, bucket)
            case other:
                raise storage_error(400, f"Invalid upload request: uploadType {other!r}.", "badRequest")

    async def _media(self, request: Request, bucket: str) -> Response:
        name = checked_name(request.query_params.get("name"))
        path = self._world.buckets.new_path()
        content_type = request.headers.get("content-type", DEFAULT_TYPE)
        arrival = Arrival(bucket=bucket, name=name, path=path, content_type=content_type, described={})
        try:
            await save(path, self._bytes_of(request))
            return await self._keep(request, arrival)
        except (ClientDisconnect, UploadCutError):
            return DropResponse()
        finally:
            path.unlink(missing_ok=True)

    async def _multipart(self, request: Request, bucket: str) -> Response:
        body, media = self._world.buckets.new_path(), self._world.buckets.new_path()
        kind = request.headers.get("content-type", "")
        try:
            await save(body, self._bytes_of(request))
            described, part_type = await anyio.to_thread.run_sync(split_multipart, body, media, kind)
            arrival = Arrival(
                bucket=bucket,
                name=checked_name(described.get("name") or request.query_params.get("name")),
                path=media,
                content_type=str(described.get("contentType") or part_type or DEFAULT_TYPE),
                described=described,
            )
            return await self._keep(request, arrival)
        except (ClientDisconnect, UploadCutError):
            return DropResponse()
        finally:
            body.unlink(missing_ok=True)
            media.unlink(missing_ok=True)

    async def _open(self, request: Request, bucket: str) -> Response:
        described = await read_json(request, empty={})
        name = checked_name(described.get("name") or request.query_params.get("name"))
        self._check_target(request, bucket, self._world.buckets.get(bucket, name))
        given = described.get("contentType") or request.headers.get("x-upload-content-type")
        upload_id = self._desk.open(bucket, name, described, content_type=str(given or DEFAULT_TYPE))
        conditions = "".join(f"&{key}={value}" for key, value in request.query_params.items() if key in _CONDITIONS)
        url = f"{request.base_url}{request.url.path.lstrip('/')}?uploadType=resumable{conditions}&upload_id={upload_id}"
        return Response(headers={"location": url, "x-guploader-uploadid": upload_id})

    async def resume(self, request: Request) -> Response:
        """PUT: the next bytes of a resumable upload, or a question where it stands."""
        session = self._desk.get(request.query_params.get("upload_id", ""))
        part = read_content_range(request.headers.get("content-range"))
        async with session.lock:
            if session.stored is not None:
                return JSONResponse(object_json(session.stored, str(request.base_url)))
            if part is None or part.first is not None:
                try:
                    await append(session, (part and part.first) or 0, self._bytes_of(request))
                except (ClientDisconnect, UploadCutError):
                    await keep_whole_blocks(session)
                    return DropResponse()
            return await self._answer(request, session, part)

    async def _answer(self, request: Request, session: Session, part: ContentRange | None) -> Response:
        """Finish when all bytes are there; else tell how many are."""
        total = session.received_bytes if part is None else part.total
        if total is not None and session.received_bytes > total:
            raise storage_error(400, f"More bytes came than the {total} announced.", "badRequest")
        if total != session.received_bytes:
            await keep_whole_blocks(session)
            end = session.received_bytes - 1
            return Response(status_code=RESUME_INCOMPLETE, headers={"range": f"bytes=0-{end}"} if end >= 0 else {})
        arrival = Arrival(
            bucket=session.bucket,
            name=session.name,
            path=session.path,
            content_type=session.content_type,
            described=session.described,
        )
        return await self._keep(request, arrival, session)

    async def cancel(self, request: Request) -> Response:
        """DELETE: throw a resumable upload away."""
        check_token(request)
        self._desk.cancel(request.query_params.get("upload_id", ""))
        return Response(status_code=CANCELLED)

    async def _bytes_of(self, request: Request) -> AsyncIterator[bytes]:
        fault = self._take("cut_upload", request)
        left = fault.number("after_bytes", 0) if fault else None
        async for chunk in request.stream():
            if left is not None and len(chunk) > left:
                yield chunk[: int(left)]
                raise UploadCutError
            left = None if left is None else left - len(chunk)
            yield chunk

    def _take(self, kind: str, request: Request) -> Fault | None:
        return self._world.faults.take(frozenset({kind}), method=request.method, path=request.url.path)

    def _check_target(self, request: Request, bucket: str, present: StoredObject | None) -> None:
        check_conditions(request, present)
        if present is not None:
            self._world.buckets.check(bucket, "delete")

    async def _keep(self, request: Request, arrival: Arrival, session: Session | None = None) -> Response:
        """Turn the bytes into an object, if they are what was promised."""
        x_goog_hash = request.headers.get("x-goog-hash", "")
        await anyio.to_thread.run_sync(check_promises, arrival.path, arrival.described, x_goog_hash)
        stored = await anyio.to_thread.run_sync(
            lambda: self._world.buckets.put(
                arrival.bucket,
                arrival.name,
                arrival.path,
                arrival.content_type,
                fields={key: value for key, value in arrival.described.items() if key in WRITABLE},
                guard=lambda present: self._check_target(request, arrival.bucket, present),
            )
        )
        if session is not None:
            session.stored = stored
        if self._take("drop_after_stored", request) is not None:
            return DropResponse()
        shown = object_json(stored, str(request.base_url))
        if self._take("bad_checksum", request) is not None:
            shown |= {"crc32c": WRONG_CRC32C, "md5Hash": WRONG_CRC32C}
        return JSONResponse(shown)
