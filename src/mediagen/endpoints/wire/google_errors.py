"""Google's error answers, read tolerantly and turned into our errors. Pure.

Source: https://ai.google.dev/gemini-api/docs/troubleshooting and public reports (checked 2026-11-21)
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from mediagen.endpoints.wire.json_values import Json, child, children, parse_object, word, writable
from mediagen.endpoints.wire.scrub import excerpt, scrub
from mediagen.endpoints.wire.source_refusals import find_source_refusal
from mediagen.errors import (
    AuthenticationError,
    EndpointError,
    MediaGenError,
    RateLimitError,
    SubmissionUnconfirmedError,
    UnavailableError,
)

MESSAGE_LIMIT = 500
READ_LIMIT = 64 * 1024
LONGEST_RETRY_SECONDS = 7 * 24 * 3600.0

_RETRY_IN = re.compile(r"retry in (\d+(?:\.\d+)?)\s*(ms|s)\b", re.IGNORECASE)
_DELAY = re.compile(r"(\d+(?:\.\d+)?)s")
_NO_QUOTA = re.compile(r"\blimit:\s*0(?!\.?\d)")
_CREDITS = re.compile(r"prepayment credits are depleted", re.IGNORECASE)
_KEY_REFUSED = re.compile(r"API key (?:not valid|expired|not found)|API_KEY_(?:INVALID|EXPIRED)", re.IGNORECASE)
_LOCATION = re.compile(r"location is not supported|not available in your (?:country|region)", re.IGNORECASE)
_BILLING = re.compile(r"billed users|billing", re.IGNORECASE)
_SERVICE_AGENTS = re.compile(r"service agents are being provisioned", re.IGNORECASE)
_UNKNOWN_INTERACTION = re.compile(r"invalid interaction name", re.IGNORECASE)
# Without "<" inside: an answer of nothing but "<" would take time in the square of their number.
_HTML = re.compile(r"<[^<>]*>")
# Reasons that speak of the key or its project, never of one file.
_KEY_REASONS = re.compile(r"API_KEY|CONSUMER|SERVICE_DISABLED|ACCESS_TOKEN|CREDENTIALS|BILLING|USER_PROJECT")
_PUBLISHER_MODEL = re.compile(r"publisher model\b.*\b(?:was )?not found", re.IGNORECASE | re.DOTALL)
_NO_OBJECT = re.compile(r"no such object|(?:specified )?bucket does not exist", re.IGNORECASE)
_DENIED = re.compile(r"permission '?(?P<permission>[a-z]+\.[A-Za-z]+\.[A-Za-z]+)'? denied", re.IGNORECASE)
_SERVICES = {
    "aiplatform.googleapis.com": "Vertex AI API (aiplatform.googleapis.com)",
    "generativelanguage.googleapis.com": "Generative Language API (generativelanguage.googleapis.com)",
}
_ROLES = {
    "aiplatform": "roles/aiplatform.user on the project",
    "storage": "roles/storage.objectUser on the bucket",
    "serviceusage": "roles/serviceusage.serviceUsageConsumer on the project",
}
_SERVICE = re.compile(r"\b[a-z]+\.googleapis\.com\b")
CLOUD_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_AMBIGUOUS = frozenset({408, 499, 502, 504})


@dataclass(frozen=True, kw_only=True, slots=True)
class GoogleFailure:
    """One error answer, scrubbed of keys, signed URLs and prompts.

    Attributes:
        status: Google's word such as ``RESOURCE_EXHAUSTED``, or the string code of the Interactions API.
        reason: Finer word such as ``API_KEY_INVALID``; may be empty.
        message: At most 500 characters.
        field_violations: ``field: description`` of each field that Google refused.
        retry_after: Seconds that Google asked to wait, or None.
        is_permanent: Whether waiting does not help although it is a 429.
        is_structured: Whether the body was Google's JSON and not that of something in between.
        service: Google's name of the API that answered, such as ``aiplatform.googleapis.com``; may be empty.
    """

    status_code: int
    status: str = ""
    reason: str = ""
    message: str = ""
    field_violations: tuple[str, ...] = ()
    retry_after: float | None = None
    is_permanent: bool = False
    is_structured: bool = False
    service: str = ""

    @property
    def is_key_refused(self) -> bool:
        """Whether Google refused the credentials or their project, whatever was asked for."""
        return self.status_code == HTTPStatus.UNAUTHORIZED or bool(
            _KEY_REFUSED.search(f"{self.reason} {self.message}")
            or (self.status_code == HTTPStatus.FORBIDDEN and _KEY_REASONS.search(self.reason))
        )

    @property
    def is_unknown_interaction(self) -> bool:
        """Whether an interaction id is unknown; the Interactions API answers 400 rather than 404."""
        return bool(_UNKNOWN_INTERACTION.search(self.message))


def parse_error(
    status_code: int, headers: Mapping[str, str], body: bytes, *, secrets: Sequence[str] = ()
) -> GoogleFailure:
    """Read an error answer of any shape: JSON object, top-level array, string code, HTML or nothing.

    Args:
        status_code: HTTP status.
        headers: Answer headers; names in any case.
        body: Answer body; only the first 64 KiB of text are looked at.
        secrets: Texts that must not come back in the message, such as the prompt.
    """
    payload = parse_object(body)
    error = child(payload, "error")
    if payload and not error and isinstance(payload.get("error"), str):
        error = {"message": writable(payload["error"])}
    details = children(error, "details")
    raw = word(error, "message") if error else _HTML.sub(" ", body[:READ_LIMIT].decode("utf-8", "replace"))
    return GoogleFailure(
        status_code=status_code,
        status=excerpt(scrub(word(error, "status") or word(error, "code"), secrets), 60),
        reason=excerpt(
            scrub(next((word(detail, "reason") for detail in details if word(detail, "reason")), ""), secrets), 60
        ),
        message=excerpt(scrub(raw[:READ_LIMIT], secrets), MESSAGE_LIMIT),
        field_violations=tuple(_violations(details, secrets)),
        retry_after=_retry_after(headers, raw[:READ_LIMIT], details),
        is_permanent=_is_permanent(status_code, raw[:READ_LIMIT], details),
        is_structured=bool(error),
        service=_service(raw[:READ_LIMIT], details),
    )


def to_exception(failure: GoogleFailure, *, paid: bool, key_source: str, model: str) -> MediaGenError:
    """Make the error that the caller sees.

    Args:
        failure: What Google answered.
        paid: Whether the request could have been billed.
        key_source: Variable that the API key came from, or the credential in words, such as "the service account
            in GOOGLE_APPLICATION_CREDENTIALS"; never the key or token.
        model: Model that was asked for, or empty when the request was not about one.
    """
    code = failure.status_code
    # A file that is gone is a 403, too.
    if paid and not failure.is_key_refused and code in {HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN}:
        source = find_source_refusal(failure.message)
        if source is not None:
            return _refused(failure, source.words, code=source.code, hint=source.hint)
    if failure.is_key_refused or code == HTTPStatus.FORBIDDEN:
        return _authentication(failure, key_source)
    if code in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.PAYMENT_REQUIRED}:
        return _rate_limit(failure, key_source)
    if code >= HTTPStatus.INTERNAL_SERVER_ERROR or code in _AMBIGUOUS:
        return _server_failure(failure, paid=paid)
    if code == HTTPStatus.NOT_FOUND and (missing := _missing(failure, model)):
        return missing
    return _rejected(failure, paid=paid)


def credential_in_words(key_source: str) -> str:
    """Name a credential for a message: words are kept, the name of a variable means an API key."""
    if " " in key_source:
        return key_source
    return f"the API key from {key_source}" if key_source else "the API key"


def _missing(failure: GoogleFailure, model: str) -> EndpointError | None:
    if _NO_OBJECT.search(failure.message):
        return _refused(
            failure,
            "Google does not find a file or bucket in Cloud Storage that the request names",
            code="not_found",
            hint="Check the gs:// addresses of the inputs, the source and storage_uri.",
        )
    if model and _PUBLISHER_MODEL.search(failure.message):
        return _refused(
            failure,
            f"Vertex AI does not serve {model!r} to this project and location",
            code="model_not_found",
            hint="Use a location that has it (GOOGLE_CLOUD_LOCATION, for example global or us-central1), see whether "
            "the project has access to it in Model Garden, or choose another model (check_api lists them).",
        )
    if model:
        return _refused(
            failure,
            f"Google has no model {model!r} for this key and API version",
            code="model_not_found",
            hint="check_api lists the models that exist; choose one of them, or leave model out.",
        )
    return None


def _authentication(failure: GoogleFailure, key_source: str) -> AuthenticationError:
    words = failure.reason or failure.status
    said = f"{failure.status_code}{f' {words}' if words else ''}"
    return AuthenticationError(
        f"Google refused {credential_in_words(key_source)} ({said}){_quoted(failure)}",
        hint=f"{_way_out(failure, key_source)}, or use another surface (backend).",
    )


def _way_out(failure: GoogleFailure, key_source: str) -> str:
    is_key = " " not in key_source
    match failure.reason:
        case "SERVICE_DISABLED":
            name = _SERVICES.get(failure.service, failure.service or "Generative Language API")
            return f"Enable the {name} for the project{' of that key' if is_key else ''}"
        case "API_KEY_SERVICE_BLOCKED" | "API_KEY_HTTP_REFERRER_BLOCKED" | "API_KEY_IP_ADDRESS_BLOCKED":
            return "Loosen the restrictions of that key"
        case "API_KEY_INVALID" if not is_key:
            # Keys of Vertex AI come from the console of Google Cloud.
            page = "" if key_source.startswith("the express key") else " (https://aistudio.google.com/apikey)"
            return f"Put a working key there{page}"
        case "ACCESS_TOKEN_SCOPE_INSUFFICIENT":
            return f"Get a token with the scope {CLOUD_SCOPE}"
    if denied := _DENIED.search(failure.message):
        permission = denied["permission"]
        return f"Grant {_ROLES.get(permission.partition('.')[0], 'a role')} to the identity (it lacks {permission})"
    if is_key:
        return f"Put a working key into {key_source or 'GEMINI_API_KEY'} (https://aistudio.google.com/apikey)"
    if failure.status_code == HTTPStatus.UNAUTHORIZED:
        return f"See whether {key_source} is still valid; get a new one"
    return f"See which roles {key_source} has in the project"


def _rate_limit(failure: GoogleFailure, key_source: str) -> RateLimitError:
    permanent = failure.is_permanent or failure.status_code == HTTPStatus.PAYMENT_REQUIRED
    if _CREDITS.search(failure.message) or failure.status_code == HTTPStatus.PAYMENT_REQUIRED:
        what, hint = (
            "The prepaid credits are used up",
            "Top them up at https://ai.studio/projects; waiting does not help.",
        )
    elif permanent:
        what = "The project of this key has no quota for this model"
        hint = (
            "Image and video models have no free tier: set up billing for the project of the key"
            f"{f' in {key_source}' if key_source and ' ' not in key_source else ''}; waiting does not help."
        )
    else:
        wait = f"{math.ceil(failure.retry_after)} s" if failure.retry_after else "a minute"
        what, hint = "Too many requests at Google", f"Nothing was billed. Try again in {wait}."
    error = RateLimitError(
        f"{what} ({failure.status_code}){_quoted(failure)}",
        status_code=failure.status_code,
        reason=failure.status,
        hint=hint,
        code="quota_exhausted" if permanent else None,
        retryable=not permanent,
    )
    error.retry_after = failure.retry_after
    return error


def _server_failure(failure: GoogleFailure, *, paid: bool) -> MediaGenError:
    code = failure.status_code
    if paid and (code in _AMBIGUOUS or not failure.is_structured):
        return SubmissionUnconfirmedError(
            f"The paid request was sent, but a gateway answered {code} in place of its outcome."
        )
    error = UnavailableError(
        f"Google failed or is overloaded ({code}){_quoted(failure)}",
        status_code=code,
        reason=failure.status,
        hint=(
            "Google documents no charge for failed requests, but does not promise it; it is not sent again "
            "automatically. Try again in a few minutes."
            if paid
            else "Try again in a few minutes."
        ),
        billed="unknown" if paid else "no",
    )
    error.retry_after = failure.retry_after
    return error


def _rejected(failure: GoogleFailure, *, paid: bool) -> EndpointError:
    message = failure.message
    if failure.is_unknown_interaction:
        return _refused(
            failure,
            "Google does not know the earlier interaction (any more)",
            code="previous_interaction_unknown" if paid else "operation_unknown",
            hint="Give the video itself (file or URI) instead." if paid else "",
        )
    if _LOCATION.search(message):
        hint = "Google does not serve this from where this server is; use another surface or run it elsewhere."
        return _refused(failure, "Google refuses requests from this location", code="location_unsupported", hint=hint)
    if _SERVICE_AGENTS.search(message):
        return _refused(
            failure,
            "Google is still setting the project up",
            code="service_agents_provisioning",
            hint="Nothing was made or billed; try again in a minute or two.",
            retryable=True,
        )
    if _BILLING.search(message):
        hint = "Set up billing for the project of the key at https://aistudio.google.com/apikey."
        return _refused(failure, "Google asks for billing to be set up", code="billing_required", hint=hint)
    return _refused_by_status(failure)


def _refused_by_status(failure: GoogleFailure) -> EndpointError:
    code = failure.status_code
    if code < HTTPStatus.BAD_REQUEST:
        hint = "Nothing was made. Check the base URL and whether a proxy stands in between."
        return _refused(failure, "The request was redirected, which is not followed", code="redirected", hint=hint)
    if code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        hint = "Use fewer or smaller input files."
        return _refused(failure, "The request is too large for Google", code="request_too_large", hint=hint)
    if code == HTTPStatus.NOT_FOUND:
        return _refused(failure, "Google does not know the address that was asked for", code="not_found")
    if failure.status == "FAILED_PRECONDITION":
        return _refused(failure, "Google cannot do this as things are", code="failed_precondition")
    hint = "Change the arguments it names; nothing was made or billed."
    return _refused(failure, "Google refused the request", code="invalid_argument", hint=hint)


def _refused(failure: GoogleFailure, what: str, *, code: str, hint: str = "", retryable: bool = False) -> EndpointError:
    return EndpointError(
        f"{what} ({failure.status_code}){_quoted(failure)}",
        status_code=failure.status_code,
        reason=failure.reason or failure.status,
        code=code,
        hint=hint,
        retryable=retryable,
    )


def _quoted(failure: GoogleFailure) -> str:
    fresh = [item for item in failure.field_violations if item.partition(": ")[2] not in failure.message]
    said = "; ".join(part for part in (failure.message.rstrip("."), *fresh) if part)
    return f": {said}." if said else "."


def _service(message: str, details: Sequence[Json]) -> str:
    named = (word(child(detail, "metadata"), "service") for detail in details)
    return next((name for name in (*named, *_SERVICE.findall(message)) if name in _SERVICES), "")


def _violations(details: Sequence[Json], secrets: Sequence[str]) -> list[str]:
    found = []
    for violation in (item for detail in details for item in children(detail, "fieldViolations")):
        description = excerpt(scrub(word(violation, "description"), secrets), 200)
        field = excerpt(scrub(word(violation, "field"), secrets), 100)
        found.append(f"{field}: {description}".strip(": "))
    return [text for text in found if text][:10]


def _retry_after(headers: Mapping[str, str], message: str, details: Sequence[Json]) -> float | None:
    for detail in details:
        if delay := _DELAY.fullmatch(word(detail, "retryDelay")):
            return _bounded(float(delay[1]))
    lowered = {name.lower(): value for name, value in headers.items()}
    if (seconds := _seconds_of_header(lowered)) is not None:
        return _bounded(seconds)
    if said := _RETRY_IN.search(message):
        return _bounded(float(said[1]) / (1000 if said[2].lower() == "ms" else 1))
    return None


def _seconds_of_header(headers: Mapping[str, str]) -> float | None:
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d+(?:\.\d+)?", value):
        return float(value)
    until = _http_date(value)
    # Google's own clock, so that a wrong one here does not matter.
    now = _http_date(headers.get("date", "")) or datetime.now(UTC)
    return (until - now).total_seconds() if until else None


def _http_date(value: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(value)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _bounded(seconds: float) -> float:
    return min(max(0.0, seconds), LONGEST_RETRY_SECONDS)


def _is_permanent(status_code: int, message: str, details: Sequence[Json]) -> bool:
    if status_code != HTTPStatus.TOO_MANY_REQUESTS:
        return False
    quota_ids = [word(item, "quotaId") for detail in details for item in children(detail, "violations")]
    if any("FreeTier" in quota_id for quota_id in quota_ids):
        return True
    return bool(_CREDITS.search(message) or _NO_QUOTA.search(message))
