"""Who calls: API keys, bearer tokens, and the surface that a path belongs to.

Source: https://cloud.google.com/docs/authentication (checked 2026-11-21)
"""

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from mediagen.emulator.answers import ApiError, check_key, google_error
from mediagen.emulator.faults import TOKEN
from mediagen.emulator.identities import STORAGE_SCOPES, IdentityBook

SERVICE = "aiplatform.googleapis.com"
VERTEX_PREFIX = "/v1beta1/"
STORAGE_PREFIXES = ("/storage/", "/upload/storage/", "/download/storage/")
_EXPECTED = (
    "Expected OAuth 2 access token, login cookie or other valid authentication credential. "
    "See https://developers.google.com/identity/sign-in/web/devconsole-project."
)
_WRONG = f"Request had invalid authentication credentials. {_EXPECTED}"
_MISSING = f"Request is missing required authentication credential. {_EXPECTED}"
_KEY_ON_PROJECT = (
    "API keys are not supported by this API. Expected OAuth2 access token or other authentication credentials that "
    "assert a principal. See https://cloud.google.com/docs/authentication"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Surface:
    """The surface that a request came in on.

    Attributes:
        is_vertex: Vertex AI, not the Gemini API.
        project: Of the path; empty in express mode and on the Gemini API.
        location: Of the path, likewise.
    """

    is_vertex: bool = False
    project: str = ""
    location: str = ""

    @property
    def parent(self) -> str:
        """What operations and interactions belong to."""
        if self.project:
            return f"projects/{self.project}/locations/{self.location}/"
        return ""

    @property
    def is_regional(self) -> bool:
        """Whether the dearer regional prices hold."""
        return self.location not in {"", "global"}


def surface_of(request: Request) -> Surface:
    """Tell the surface from the path."""
    parameters = request.path_params
    return Surface(
        is_vertex=request.url.path.startswith(VERTEX_PREFIX),
        project=parameters.get("project", ""),
        location=parameters.get("location", ""),
    )


def check_caller(request: Request) -> None:
    """Refuse a call whose credential the surface does not take."""
    surface = surface_of(request)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        token = ""
    if surface.project and not token:
        has_key = "x-goog-api-key" in request.headers or "key" in request.query_params
        raise _refusal(_KEY_ON_PROJECT if has_key else _MISSING, "CREDENTIALS_MISSING")
    if token and (surface.is_vertex or _identities(request).state(token) != "unknown"):
        check_token(request, token.strip())
    else:
        check_key(request)


def check_token(request: Request, token: str) -> None:
    """Refuse a bearer token that is worth nothing."""
    identities = _identities(request)
    world = request.app.state.world
    if world.faults.take(TOKEN, method=request.method, path=request.url.path) is not None:
        identities.revoke(token)
        raise _refusal(_WRONG, "ACCESS_TOKEN_EXPIRED")
    is_storage = request.url.path.startswith(STORAGE_PREFIXES)
    match identities.state(token, STORAGE_SCOPES if is_storage else frozenset()):
        case "valid":
            return
        case "too_narrow":
            message = "Request had insufficient authentication scopes."
            raise _refusal(message, "ACCESS_TOKEN_SCOPE_INSUFFICIENT", status_code=403)
        case "ended":
            raise _refusal(_WRONG, "ACCESS_TOKEN_EXPIRED")
        case "unknown":
            raise _refusal(_WRONG, "ACCESS_TOKEN_TYPE_UNSUPPORTED")


def _identities(request: Request) -> IdentityBook:
    book: IdentityBook = request.app.state.world.identities
    return book


def _refusal(message: str, reason: str, status_code: int = 401) -> ApiError:
    details: list[dict[str, Any]] = [
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": reason,
            "domain": "googleapis.com",
            "metadata": {"service": SERVICE},
        }
    ]
    return google_error(status_code, message, details=details)
