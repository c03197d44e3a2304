"""How Cloud Storage shows buckets and objects, and what it makes of conditions.

Source: https://docs.cloud.google.com/storage/docs/json_api/v1/objects (checked 2026-11-21)
Source: https://docs.cloud.google.com/storage/docs/request-preconditions (checked 2026-11-21)
"""

import base64
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote

from starlette.requests import Request

from mediagen.emulator.answers import ApiError
from mediagen.emulator.buckets import MAX_NAME_BYTES, Bucket, Listing, StoredObject, storage_error

PROJECT_NUMBER = "123456789012"
MULTI_REGIONS = frozenset({"US", "EU", "ASIA"})
MAX_PAGE = 1000
# what a client may say about an object that comes back to it
WRITABLE = frozenset(
    {"metadata", "cacheControl", "contentDisposition", "contentEncoding", "contentLanguage", "customTime"}
)


def bucket_json(bucket: Bucket, base_url: str) -> dict[str, Any]:
    """Show a bucket."""
    created = _timestamp(bucket.created_at)
    return {
        "kind": "storage#bucket",
        "id": bucket.name,
        "name": bucket.name,
        "selfLink": f"{base_url}storage/v1/b/{bucket.name}",
        "projectNumber": PROJECT_NUMBER,
        "metageneration": "1",
        "location": bucket.location,
        "locationType": "multi-region" if bucket.location in MULTI_REGIONS else "region",
        "storageClass": "STANDARD",
        "etag": "CAE=",
        "timeCreated": created,
        "updated": created,
        "iamConfiguration": {
            "uniformBucketLevelAccess": {"enabled": True},
            "publicAccessPrevention": "inherited",
        },
    }


def object_json(stored: StoredObject, base_url: str) -> dict[str, Any]:
    """Show an object; whole numbers are text, as in all older Google APIs."""
    path = f"b/{stored.bucket}/o/{quote(stored.name, safe='')}"
    created = _timestamp(stored.created_at)
    return {
        "kind": "storage#object",
        "id": f"{stored.bucket}/{stored.name}/{stored.generation}",
        "selfLink": f"{base_url}storage/v1/{path}",
        "mediaLink": f"{base_url}download/storage/v1/{path}?generation={stored.generation}&alt=media",
        "name": stored.name,
        "bucket": stored.bucket,
        "generation": str(stored.generation),
        "metageneration": "1",
        "contentType": stored.content_type,
        "storageClass": "STANDARD",
        "size": str(stored.size_bytes),
        "md5Hash": stored.md5,
        "crc32c": stored.crc32c,
        "etag": etag(stored),
        "timeCreated": created,
        "updated": created,
        "timeStorageClassUpdated": created,
        **stored.fields,
    }


def etag(stored: StoredObject) -> str:
    """Give the entity tag, without quotes."""
    return base64.b64encode(stored.generation.to_bytes(9, "big")).decode()


def listing_page(listing: Listing, request: Request) -> dict[str, Any]:
    """Show one page of a listing; objects and prefixes count alike.

    Raises:
        ApiError: The page size or the token is none.
    """
    query = request.query_params
    most = query.get("maxResults", str(MAX_PAGE))
    if not most.isdecimal():
        raise storage_error(400, f"Invalid unsigned integer value: '{most}'.", "invalidParameter")
    found: dict[str, StoredObject | None] = {stored.name: stored for stored in listing.objects}
    found |= dict.fromkeys(listing.prefixes)
    after, start, end = _read_token(query.get("pageToken", "")), query.get("startOffset", ""), query.get("endOffset")
    names = [name for name in sorted(found, key=str.encode) if name >= start and not (end and name >= end)]
    names = [name for name in names if name.encode() > after.encode()]
    shown = names[: min(int(most) or MAX_PAGE, MAX_PAGE)]
    page: dict[str, Any] = {"kind": "storage#objects"}
    if len(shown) < len(names):
        page["nextPageToken"] = base64.urlsafe_b64encode(shown[-1].encode()).decode()
    prefixes = [name for name in shown if found[name] is None]
    objects = [stored for name in shown if (stored := found[name]) is not None]
    if prefixes:
        page["prefixes"] = prefixes
    if objects:
        page["items"] = [object_json(stored, str(request.base_url)) for stored in objects]
    return page


def _read_token(token: str) -> str:
    try:
        return base64.urlsafe_b64decode(token).decode()
    except ValueError as error:
        raise storage_error(400, "Invalid page token.", "invalid") from error


def check_conditions(request: Request, stored: StoredObject | None, *, prefix: str = "if") -> None:
    """Refuse a request whose conditions on the object's generation do not hold.

    Raises:
        ApiError: 412, or 304 for a read of what the caller has already.
    """
    actual = stored.generation if stored else 0
    wanted = _generation(request, f"{prefix}GenerationMatch")
    unwanted = _generation(request, f"{prefix}GenerationNotMatch")
    if wanted is not None and wanted != actual:
        raise condition_not_met()
    if unwanted is not None and unwanted == actual:
        raise ApiError(304, None) if request.method == "GET" else condition_not_met()


def condition_not_met() -> ApiError:
    """Build the refusal of a request whose condition does not hold."""
    message = "At least one of the pre-conditions you specified did not hold."
    return storage_error(412, message, "conditionNotMet", locationType="header", location="If-Match")


def has_generation(request: Request, stored: StoredObject, name: str = "generation") -> bool:
    """Whether the object is of the generation that the request names, if it names one."""
    return _generation(request, name) in {None, stored.generation}


def _generation(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    if not text.removeprefix("-").isdecimal():
        raise storage_error(400, f"Invalid long value: '{text}'.", "invalidParameter", location=name)
    return int(text)


def path_segments(request: Request) -> list[str]:
    """Split the path as it was sent, so that a slash inside a name stays one: [b, BUCKET, o, NAME, …]."""
    raw: bytes = request.scope["raw_path"]
    _, _, rest = raw.decode("latin-1").partition("/v1/")
    return [unquote(segment) for segment in rest.split("/")]


def checked_name(name: object) -> str:
    """Give an object's name.

    Raises:
        ApiError: Cloud Storage takes no such name.
    """
    if not isinstance(name, str) or not name:
        raise storage_error(400, "Required", "required", locationType="parameter", location="name")
    try:
        is_long = len(name.encode()) > MAX_NAME_BYTES
    except UnicodeEncodeError as error:
        raise storage_error(400, "The specified object name is not valid UTF-8.", "invalid") from error
    if is_long:
        raise storage_error(400, "The specified object name is too long.", "invalid")
    if name in {".", ".."} or set("\r\n") & set(name) or name.startswith(".well-known/acme-challenge/"):
        raise storage_error(400, f"Disallowed object name: {name!r}.", "invalid")
    return name


def _timestamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
