"""The JSON API of Cloud Storage, as Google's own library and plain HTTP clients use it.

Source: https://docs.cloud.google.com/storage/docs/json_api/v1 (checked 2026-11-21)
"""

import re
from http import HTTPStatus

import anyio
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from mediagen.emulator.answers import ApiError
from mediagen.emulator.buckets import (
    DEFAULT_LOCATION,
    PERMISSIONS,
    Permission,
    StoredObject,
    no_such_object,
    storage_error,
)
from mediagen.emulator.buckets_access import authorize, check_token
from mediagen.emulator.buckets_download import SPOILERS, serve_object
from mediagen.emulator.buckets_json import (
    bucket_json,
    check_conditions,
    checked_name,
    has_generation,
    listing_page,
    object_json,
    path_segments,
)
from mediagen.emulator.buckets_upload_api import UploadsApi
from mediagen.emulator.reading import read_json
from mediagen.emulator.world import World

_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_OBJECT = "/b/{bucket}/o/{name:path}"


def bucket_routes(world: World) -> list[BaseRoute]:
    """Give the routes of Cloud Storage."""
    api, uploads = BucketsApi(world), UploadsApi(world)
    root, upload = "/storage/v1", "/upload/storage/v1/b/{bucket}/o"
    return [
        Route(f"{root}/b", api.list_buckets, methods=["GET"]),
        Route(f"{root}/b", api.insert_bucket, methods=["POST"]),
        Route(f"{root}/b/{{bucket}}", api.get_bucket, methods=["GET"]),
        Route(f"{root}/b/{{bucket}}", api.delete_bucket, methods=["DELETE"]),
        Route(f"{root}/b/{{bucket}}/iam/testPermissions", api.test_permissions, methods=["GET"]),
        Route(f"{root}/b/{{bucket}}/o", api.list_objects, methods=["GET"]),
        Route(f"{root}{_OBJECT}", api.get_object, methods=["GET"]),
        Route(f"{root}{_OBJECT}", api.delete_object, methods=["DELETE"]),
        Route(f"{root}{_OBJECT}", api.copy_object, methods=["POST"]),
        Route(f"/download{root}{_OBJECT}", api.get_object, methods=["GET"]),
        Route(upload, uploads.insert, methods=["POST"]),
        Route(upload, uploads.resume, methods=["PUT"]),
        Route(upload, uploads.cancel, methods=["DELETE"]),
    ]


class BucketsApi:
    """Makes, shows, lists and removes buckets and objects."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def list_buckets(self, request: Request) -> Response:
        """GET b: all buckets."""
        check_token(request)
        shelf, base_url = self._world.buckets, str(request.base_url)
        prefix = request.query_params.get("prefix", "")
        shown = [bucket_json(shelf.bucket(name), base_url) for name in shelf.names() if name.startswith(prefix)]
        return JSONResponse({"kind": "storage#buckets", "items": shown} if shown else {"kind": "storage#buckets"})

    async def insert_bucket(self, request: Request) -> Response:
        """POST b: make a bucket."""
        check_token(request)
        body = await read_json(request)
        name = body.get("name")
        if not isinstance(name, str) or not _BUCKET_NAME.fullmatch(name):
            raise storage_error(400, f"Invalid bucket name: {name!r}", "invalid")
        if self._world.buckets.has_bucket(name):
            message = "Your previous request to create the named bucket succeeded and you already own it."
            raise storage_error(409, message, "conflict")
        made = self._world.buckets.make(name, str(body.get("location") or DEFAULT_LOCATION))
        return JSONResponse(bucket_json(made, str(request.base_url)))

    async def get_bucket(self, request: Request) -> Response:
        """GET b/BUCKET: one bucket's description."""
        name = request.path_params["bucket"]
        authorize(self._world, request, name, "get_bucket")
        return JSONResponse(bucket_json(self._world.buckets.bucket(name), str(request.base_url)))

    async def delete_bucket(self, request: Request) -> Response:
        """DELETE b/BUCKET: remove an empty bucket."""
        check_token(request)
        name = request.path_params["bucket"]
        if self._world.buckets.bucket(name).objects:
            raise storage_error(409, "The bucket you tried to delete is not empty.", "conflict")
        self._world.buckets.remove(name)
        return Response(status_code=204)

    async def test_permissions(self, request: Request) -> Response:
        """GET b/BUCKET/iam/testPermissions: which of the named permissions the caller has."""
        check_token(request)
        name = request.path_params["bucket"]
        self._world.buckets.bucket(name)
        denied = {PERMISSIONS[permission] for permission in self._world.buckets.denied(name)}
        held = [word for word in request.query_params.getlist("permissions") if word not in denied]
        return JSONResponse({"kind": "storage#testIamPermissionsResponse", "permissions": held})

    async def list_objects(self, request: Request) -> Response:
        """GET b/BUCKET/o: what lies in a bucket."""
        name = request.path_params["bucket"]
        authorize(self._world, request, name, "list")
        query = request.query_params
        listing = self._world.buckets.list(name, query.get("prefix", ""), query.get("delimiter", ""))
        return JSONResponse(listing_page(listing, request))

    async def get_object(self, request: Request) -> Response:
        """GET b/BUCKET/o/NAME: an object's description, or with alt=media its bytes."""
        wants_bytes = request.query_params.get("alt") == "media"
        try:
            stored = self._find(request, "read")
            check_conditions(request, stored)
        except ApiError as refusal:
            if refusal.status_code == HTTPStatus.NOT_MODIFIED:
                return Response(status_code=HTTPStatus.NOT_MODIFIED)
            if wants_bytes:
                # the refusal of a download is the bare message, not JSON
                return HTMLResponse(refusal.body["error"]["message"], status_code=refusal.status_code)
            raise
        if not wants_bytes:
            return JSONResponse(object_json(stored, str(request.base_url)))
        fault = self._world.faults.take(SPOILERS, method=request.method, path=request.url.path)
        return serve_object(request, stored, fault)

    async def delete_object(self, request: Request) -> Response:
        """DELETE b/BUCKET/o/NAME."""
        stored = self._find(request, "delete")
        check_conditions(request, stored)
        self._world.buckets.delete(stored.bucket, stored.name)
        return Response(status_code=204)

    async def copy_object(self, request: Request) -> Response:
        """POST b/BUCKET/o/NAME/rewriteTo/b/BUCKET/o/NAME, or copyTo: copy an object inside Cloud Storage."""
        match path_segments(request):
            case ["b", source, "o", old, "rewriteTo" | "copyTo" as verb, "b", target, "o", new]:
                authorize(self._world, request, source, "read")
                authorize(self._world, request, target, "write")
            case _:
                raise storage_error(404, "Not Found", "notFound")
        stored = self._existing(source, old)
        check_conditions(request, stored, prefix="ifSource")
        if not has_generation(request, stored, "sourceGeneration"):
            raise no_such_object(source, old)
        copied = await anyio.to_thread.run_sync(lambda: self._copy(request, stored, target, checked_name(new)))
        shown = object_json(copied, str(request.base_url))
        if verb == "copyTo":
            return JSONResponse(shown)
        size = str(copied.size_bytes)
        done = {"totalBytesRewritten": size, "objectSize": size, "done": True, "resource": shown}
        return JSONResponse({"kind": "storage#rewriteResponse", **done})

    def _copy(self, request: Request, stored: StoredObject, bucket: str, name: str) -> StoredObject:
        def guard(present: StoredObject | None) -> None:
            check_conditions(request, present)

        return self._world.buckets.put(
            bucket, name, stored.path, stored.content_type, fields=stored.fields, guard=guard
        )

    def _find(self, request: Request, permission: Permission) -> StoredObject:
        """Find the object that the path names."""
        match path_segments(request):
            case ["b", bucket, "o", name]:
                authorize(self._world, request, bucket, permission)
            case _:
                # a slash inside a name has to be sent as %2F
                raise storage_error(404, "Not Found", "notFound")
        stored = self._existing(bucket, name)
        if not has_generation(request, stored):
            raise no_such_object(bucket, name)
        return stored

    def _existing(self, bucket: str, name: str) -> StoredObject:
        self._world.buckets.bucket(bucket)
        stored = self._world.buckets.get(bucket, name)
        if stored is None:
            raise no_such_object(bucket, name)
        return stored
