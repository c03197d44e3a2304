"""The shapes in which Google says no, and the ways to break a connection."""

from typing import Any, Protocol, cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

TRANSPORT = "mediagen.transport"
SERVICE = "generativelanguage.googleapis.com"
STATUS_WORDS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    413: "INVALID_ARGUMENT",
    416: "OUT_OF_RANGE",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}


class ApiError(Exception):
    """An answer of the emulated API that is a refusal; never leaves the emulator."""

    def __init__(self, status_code: int, body: Any) -> None:
        super().__init__(status_code)
        self.status_code = status_code
        self.body = body


class Transport(Protocol):
    """The two ways to end a connection that the web server offers."""

    def close(self) -> None:
        """Flush, then close."""

    def abort(self) -> None:
        """Close at once."""


def google_error(
    status_code: int, message: str, *, status: str | None = None, details: list[dict[str, Any]] | None = None
) -> ApiError:
    """Build a refusal in the shape of google.rpc.Status."""
    error: dict[str, Any] = {
        "code": status_code,
        "message": message,
        "status": status or STATUS_WORDS.get(status_code, "UNKNOWN"),
    }
    if details:
        error["details"] = details
    return ApiError(status_code, {"error": error})


def bad_request(violations: list[tuple[str, str]]) -> ApiError:
    """Build the 400 that names each offending field as (field, description)."""
    details = {
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [{"field": field, "description": text} for field, text in violations],
    }
    return google_error(400, "\n".join(text for _, text in violations), details=[details])


def interaction_error(message: str, *, status_code: int = 400, code: str = "invalid_request") -> ApiError:
    """Build a refusal of the Interactions API, whose error code is a word."""
    return ApiError(status_code, {"error": {"message": message, "code": code}})


def key_invalid() -> ApiError:
    """Build the refusal of a wrong key."""
    message = "API key not valid. Please pass a valid API key."
    return google_error(
        400,
        message,
        details=[
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "API_KEY_INVALID",
                "domain": "googleapis.com",
                "metadata": {"service": SERVICE},
            },
            {"@type": "type.googleapis.com/google.rpc.LocalizedMessage", "locale": "en-US", "message": message},
        ],
    )


def key_missing() -> ApiError:
    """Build the refusal of a call without key."""
    return google_error(
        403,
        "Method doesn't allow unregistered callers (callers without established identity). "
        "Please use API Key or other form of API consumer identity to call this API.",
    )


def token_unsupported() -> ApiError:
    """Build the refusal of an API key that was sent as a bearer token."""
    return google_error(
        401,
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
        "authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.",
        details=[
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "ACCESS_TOKEN_TYPE_UNSUPPORTED",
                "metadata": {"service": SERVICE},
            }
        ],
    )


def check_key(request: Request) -> None:
    """Refuse a call without a key or with one that is known to be wrong."""
    key = request.headers.get("x-goog-api-key") or request.query_params.get("key")
    if not key:
        raise token_unsupported() if "authorization" in request.headers else key_missing()
    if key.lower() == "invalid" or key.lower().startswith("bad"):
        raise key_invalid()


async def answer_api_error(_request: Request, error: Exception) -> Response:
    """Turn an ApiError into its HTTP answer."""
    refusal = cast("ApiError", error)
    return JSONResponse(refusal.body, status_code=refusal.status_code)


async def answer_unknown_path(request: Request, error: Exception) -> Response:
    """Answer an unknown path or method the way Google's front end does."""
    status_code = getattr(error, "status_code", 404)
    refusal = google_error(status_code, f"Method not found: {request.method} {request.url.path}")
    return JSONResponse(refusal.body, status_code=status_code)


async def end_connection(scope: Scope, receive: Receive, *, at_once: bool) -> None:
    """Close the connection under the client and wait until it is gone."""
    transport: Transport = scope[TRANSPORT]
    if at_once:
        transport.abort()
    else:
        transport.close()
    while (await receive())["type"] != "http.disconnect":
        pass


class SilentResponse(Response):
    """No answer at all: the connection stays open until the other side has had enough."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - nothing is sent
        """Wait until nobody listens any more."""
        while (await receive())["type"] != "http.disconnect":
            pass


def no_answer(kind: str) -> Response:
    """The answer that a fault of `ACCEPTED` gives."""
    return SilentResponse() if kind == "silent_after_accept" else DropResponse()


class DropResponse(Response):
    """No answer at all: the connection closes."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - nothing is sent
        """Close the connection."""
        await end_connection(scope, receive, at_once=True)
