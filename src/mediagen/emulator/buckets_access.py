"""Who may do what with a bucket."""

from starlette.requests import Request

from mediagen.emulator.answers import ApiError
from mediagen.emulator.buckets import CALLER, Permission, forbidden, storage_error
from mediagen.emulator.callers import check_token as check_bearer
from mediagen.emulator.world import World

UNAUTHENTICATED = 401


def authorize(world: World, request: Request, bucket: str, permission: Permission) -> None:
    """Refuse a call with a token that is not valid, and one that permissions or a scripted fault forbid.

    Raises:
        ApiError: 401 or 403.
    """
    check_token(request)
    fault = world.faults.take(frozenset({"forbidden_bucket"}), method=request.method, path=request.url.path)
    if fault is not None:
        raise forbidden(permission, fault.text("caller", CALLER))
    world.buckets.check(bucket, permission)


def check_token(request: Request) -> None:
    """Refuse a token that is not valid; a call without any is taken, as emulators of Cloud Storage do.

    Raises:
        ApiError: 401 or 403.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if not scheme:
        return
    if scheme.lower() != "bearer":
        raise _invalid_credentials()
    try:
        check_bearer(request, token.strip())
    except ApiError as refusal:
        if refusal.status_code == UNAUTHENTICATED:
            raise _invalid_credentials() from refusal
        narrow = storage_error(403, "Insufficient Permission", "insufficientPermissions")
        narrow.body["error"]["details"] = refusal.body["error"].get("details", [])
        raise narrow from refusal


def _invalid_credentials() -> ApiError:
    where = {"locationType": "header", "location": "Authorization"}
    return storage_error(UNAUTHENTICATED, "Invalid Credentials", "authError", **where)
