"""Failures of Cloud Storage and of Google's library, turned into our errors."""

import json
import re
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException
from typing import Any, Final, Literal

import urllib3.exceptions
from google.api_core.exceptions import GoogleAPICallError, RetryError
from google.auth.exceptions import GoogleAuthError, TransportError
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse

from mediagen.errors import (
    AuthenticationError,
    Billed,
    EndpointError,
    MediaGenError,
    StorageError,
    UnavailableError,
)
from mediagen.storage.gs_uri import SERVICE_AGENT, missing_bucket_hint, role_hint

FOREIGN: Final = (
    GoogleAPICallError,
    RetryError,
    GoogleAuthError,
    DataCorruption,
    InvalidResponse,
    urllib3.exceptions.HTTPError,
    HTTPException,
    OSError,
    ValueError,
    RecursionError,
)
"""What Google's library may raise; the errors of requests are kinds of OSError."""

KEPT_HINT: Final = "The file is still in the bucket and the part that arrived is kept; it is fetched again."

Verb = Literal["read", "write"]

_TRANSIENT: Final = frozenset({408, 429, 500, 502, 503, 504})
_RATE_REASONS: Final = frozenset({"rateLimitExceeded", "userRateLimitExceeded"})
_PERMISSION = re.compile(r"\bstorage\.[a-zA-Z]+\.[a-zA-Z]+")
_ACCOUNT = re.compile(r"([\w.+-]{1,100}@[\w.-]{1,200}) does not have")
_SECRET = re.compile(r"(?<=://)([^\s?\"'<>]+)\?[^\s\"'<>]+")
_TOKEN = re.compile(
    r"AIza[\w-]{10,}|\bAQ\.[\w.-]{8,}|\bya29\.[\w.-]+|\b1//[\w-]{8,}|\bGOCSPX-[\w-]+|\beyJ[\w.-]{16,}|(?<=Bearer )\S+"
)
_HTML = re.compile(r"\s*<(?:!doctype|html|head|body)\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """What was being done, for the message.

    Attributes:
        verb: ``read`` ends in an `EndpointError`, ``write`` in a `StorageError`.
        identity: Whose credentials they are.
        billed: Whether the file was paid for.
    """

    verb: Verb
    bucket: str
    name: str
    identity: str
    project: str | None = None
    location: str | None = None
    billed: Billed = "no"

    @property
    def uri(self) -> str:
        """Address of the object."""
        return f"gs://{self.bucket}/{self.name}"

    @property
    def who(self) -> str:
        """Who did it."""
        return self.identity or "the account in use"


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """An error answer.

    Attributes:
        reason: Google's own word, such as ``forbidden``.
        message: Google's words, without secrets; at most 300 characters.
        is_html: Whether it comes from something in between and not from Google.
        method: Of the request.
    """

    status_code: int
    reason: str = ""
    message: str = ""
    is_html: bool = False
    method: str = ""
    retry_after: float | None = None

    @property
    def permission(self) -> str:
        """The permission that Google says is missing, or empty."""
        found = _PERMISSION.search(self.message)
        return found[0] if found else ""


def is_transient(error: BaseException) -> bool:
    """Whether the same request may well succeed a moment later."""
    if isinstance(error, RetryError):
        return True
    if isinstance(error, GoogleAPICallError | InvalidResponse):
        answer = read_answer(error)
        return _is_passing(answer)
    if isinstance(error, TransportError):
        return True
    if isinstance(error, GoogleAuthError):
        return bool(error.retryable)
    return not isinstance(error, DataCorruption) and isinstance(error, FOREIGN)


def read_answer(error: GoogleAPICallError | InvalidResponse) -> Answer:
    """Read what the server answered."""
    response: Any = error.response
    if response is None:
        return Answer(status_code=int(getattr(error, "code", None) or 0), message=_excerpt(str(error)))
    text = str(response.text)[:64_000]
    message, reason = _google_words(text)
    wait = str(response.headers.get("retry-after", ""))
    return Answer(
        status_code=int(response.status_code),
        reason=_excerpt(reason)[:60],
        message=_excerpt(message),
        is_html=bool(_HTML.match(text)),
        method=str(getattr(response.request, "method", "")),
        retry_after=float(wait) if wait.isascii() and wait.isdigit() else None,
    )


def cause_of(error: BaseException) -> BaseException | None:
    """What may stand behind our error in a traceback: not an answer, which may repeat the token that was sent."""
    is_answer = isinstance(error, GoogleAPICallError | InvalidResponse | GoogleAuthError | RetryError)
    return None if is_answer else error


def translate(error: BaseException, attempt: Attempt) -> MediaGenError:
    """Make the error that the caller sees."""
    if isinstance(error, MediaGenError):
        return error
    if isinstance(error, RetryError) and error.cause is not None:
        return translate(error.cause, attempt)
    if isinstance(error, GoogleAPICallError | InvalidResponse):
        return translate_answer(read_answer(error), attempt)
    if isinstance(error, GoogleAuthError) and not is_transient(error):
        # It quotes the answer of the token endpoint, which may repeat the credential.
        return _unauthenticated(attempt, "")
    if isinstance(error, DataCorruption):
        return _corrupt(attempt)
    return unavailable(attempt, f"Cloud Storage could not be reached ({type(error).__name__}).")


def translate_answer(answer: Answer, attempt: Attempt) -> MediaGenError:
    """Make the error that the caller sees out of an error answer."""
    status = answer.status_code
    if status == HTTPStatus.UNAUTHORIZED:
        return _unauthenticated(attempt, answer.message)
    if answer.is_html or _is_passing(answer):
        who = "Something in between" if answer.is_html else "Cloud Storage"
        error = unavailable(attempt, f"{who} answered {status} for {attempt.uri}.", status_code=status)
        error.retry_after = answer.retry_after
        return error
    if status == HTTPStatus.FORBIDDEN:
        return _forbidden(answer, attempt)
    if status == HTTPStatus.NOT_FOUND:
        return _missing(answer, attempt)
    if status == HTTPStatus.BAD_REQUEST and re.search(r"crc32c|checksum|md5", answer.message, re.IGNORECASE):
        return _corrupt(attempt)
    said = f": {answer.message.rstrip('.')}." if answer.message else "."
    return _refused(attempt, f"Cloud Storage refused {attempt.uri} ({status}){said}", code="storage_refused", of=answer)


def unavailable(attempt: Attempt, message: str, *, status_code: int | None = None) -> UnavailableError:
    """Make the error of a bucket that cannot be reached for now."""
    hint = KEPT_HINT if attempt.billed == "yes" else "Try again in a minute; check the network and the proxy settings."
    return UnavailableError(
        message, status_code=status_code, hint=hint, code="storage_unavailable", billed=attempt.billed
    )


def _is_passing(answer: Answer) -> bool:
    # A success that the library could not make sense of comes from something in between.
    is_garbled = answer.status_code < HTTPStatus.BAD_REQUEST
    return is_garbled or answer.status_code in _TRANSIENT or answer.reason in _RATE_REASONS


def _forbidden(answer: Answer, attempt: Attempt) -> MediaGenError:
    lacking = f" ({answer.permission} is missing)" if answer.permission else ""
    if answer.reason in {"accountDisabled", "accessNotConfigured", "userProjectAccountProblem"} or (
        not answer.permission and re.search(r"\bbilling\b|has not been used|is disabled", answer.message)
    ):
        message = f"Google refuses Cloud Storage for the project of gs://{attempt.bucket}: {answer.message}"
        hint = "Set up billing and the Cloud Storage API for that project."
        return _refused(attempt, message, code="bucket_forbidden", hint=hint, of=answer)
    named = _ACCOUNT.search(answer.message)
    account = attempt.identity or (named[1] if named else attempt.who)
    fallback = "storage.objects.get" if attempt.verb == "read" else "storage.objects.create"
    hint = role_hint(attempt.bucket, permission=answer.permission or fallback, identity=account)
    if attempt.verb == "write":
        hint = f"{hint}. When Google itself writes there (storage_uri), grant the same to {SERVICE_AGENT}."
    message = f"{account} may not {attempt.verb} {attempt.uri}{lacking}."
    if not answer.permission and answer.message:
        message = f"{message} Google says: {answer.message}"
    return _refused(attempt, message, code="bucket_forbidden", hint=hint, of=answer)


def _missing(answer: Answer, attempt: Attempt) -> MediaGenError:
    if attempt.verb == "write" or "bucket does not exist" in answer.message:
        hint = missing_bucket_hint(attempt.bucket, project=attempt.project, location=attempt.location)
        message = f"The bucket gs://{attempt.bucket} does not exist."
        return _refused(attempt, message, code="bucket_missing", hint=hint, of=answer)
    hint = "Check the address, and whether the object was deleted or its bucket removes objects after some days."
    message = f"There is no object {attempt.uri}."
    return _refused(attempt, message, code="object_missing", hint=hint, of=answer)


def _unauthenticated(attempt: Attempt, said: str) -> AuthenticationError:
    words = f": {said.rstrip('.')}." if said else "."
    return AuthenticationError(
        f"Google refused the credentials of {attempt.who} for gs://{attempt.bucket}{words}",
        hint="Renew them (gcloud auth application-default login), or name a service-account file that works.",
        billed=attempt.billed,
    )


def _corrupt(attempt: Attempt) -> StorageError:
    return StorageError(
        f"What arrived at {attempt.uri} is not what was sent (checksum).",
        hint="Send it again; the file here is unchanged.",
        code="upload_corrupt",
        billed=attempt.billed,
    )


def _refused(attempt: Attempt, message: str, *, code: str, of: Answer, hint: str = "") -> MediaGenError:
    if attempt.verb == "write":
        return StorageError(message, hint=hint, code=code, retryable=False, billed=attempt.billed)
    return EndpointError(
        message, status_code=of.status_code, reason=of.reason, hint=hint, code=code, billed=attempt.billed
    )


def _google_words(text: str) -> tuple[str, str]:
    try:
        error = json.loads(text)["error"]
        reasons = [item.get("reason", "") for item in error.get("errors", ())]
        return str(error.get("message", "")), str(next(iter(reasons), "") or error.get("status", ""))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return ("" if _HTML.match(text) else text), ""


def _excerpt(text: str) -> str:
    clean = _TOKEN.sub("…", _SECRET.sub(r"\1?…", " ".join(text[:4000].split())))
    return clean if len(clean) <= 300 else f"{clean[:299]}…"
