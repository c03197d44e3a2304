"""The HTTP answers of the ``status`` fault and its presets.

Source: https://ai.google.dev/gemini-api/docs/troubleshooting (checked 2026-11-21)
"""

from collections.abc import Callable
from typing import Any

from starlette.responses import HTMLResponse, JSONResponse, Response

from mediagen.emulator.answers import STATUS_WORDS, google_error
from mediagen.emulator.faults import Fault

_TYPE = "type.googleapis.com/google.rpc."
_QUOTA = (
    "You exceeded your current quota, please check your plan and billing details. "
    "For more information on this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits."
)

# the first sentence is known from reports of users, the second is an assumption
_USE_CASE = (
    "Your use case is currently not supported. Please refer to Gemini API documentation for current model offering."
)


def _json(status_code: int, message: str, details: list[dict[str, Any]] | None = None) -> Response:
    return JSONResponse(google_error(status_code, message, details=details).body, status_code=status_code)


def _quota_failure(quota_id: str, metric: str) -> dict[str, Any]:
    return {
        "@type": f"{_TYPE}QuotaFailure",
        "violations": [{"quotaMetric": f"generativelanguage.googleapis.com/{metric}", "quotaId": quota_id}],
    }


def _rate_limit(fault: Fault) -> Response:
    seconds = fault.number("seconds", 26)
    delay = f"{seconds:g}s"
    return _json(
        429,
        f"{_QUOTA}\n* Quota exceeded for metric: generativelanguage.googleapis.com/generate_content_requests, "
        f"limit: 10\nPlease retry in {delay}.",
        [
            _quota_failure("GenerateRequestsPerMinutePerProjectPerModel", "generate_content_requests"),
            {"@type": f"{_TYPE}RetryInfo", "retryDelay": delay},
        ],
    )


def _quota_zero(_fault: Fault) -> Response:
    metric = "generate_content_free_tier_requests"
    return _json(
        429,
        f"{_QUOTA}\n* Quota exceeded for metric: generativelanguage.googleapis.com/{metric}, limit: 0",
        [_quota_failure("GenerateRequestsPerDayPerProjectPerModel-FreeTier", metric)],
    )


def _prepay_depleted(_fault: Fault) -> Response:
    return _json(
        429,
        "Your prepayment credits are depleted. Please go to AI Studio at https://ai.studio/projects to manage your "
        "project and billing.",
    )


def _location(_fault: Fault) -> Response:
    message = "User location is not supported for the API use."
    return JSONResponse(google_error(400, message, status="FAILED_PRECONDITION").body, status_code=400)


_PRESET_ANSWERS: dict[str, Callable[[Fault], Response]] = {
    "rate_limit": _rate_limit,
    "overloaded": lambda _: _json(503, "The model is overloaded. Please try again later."),
    "internal": lambda _: _json(500, "An internal error has occurred. Please retry."),
    "prepay_depleted": _prepay_depleted,
    "quota_zero": _quota_zero,
    "location_unsupported": _location,
    "use_case_unsupported": lambda _: _json(400, _USE_CASE),
    "html_502": lambda _: HTMLResponse("<html>502 Bad Gateway</html>", status_code=502),
    "array_error": lambda _: JSONResponse(
        [{"error": {"code": 403, "message": "Permission denied", "status": "PERMISSION_DENIED"}}], status_code=403
    ),
    "empty_200": lambda _: Response(status_code=200, media_type="application/json"),
}


def status_answer(fault: Fault) -> Response:
    """Build the answer of a ``status`` fault: a preset, or a status with a body of one's own."""
    preset = fault.parameters.get("preset")
    if preset is not None:
        return _PRESET_ANSWERS[str(preset)](fault)
    status_code = int(fault.number("status", 500))
    headers = {str(name): str(value) for name, value in dict(fault.parameters.get("headers", {})).items()}
    body = fault.parameters.get("body")
    if isinstance(body, str):
        return Response(body, status_code=status_code, headers=headers, media_type="text/plain")
    if body is None:
        body = google_error(status_code, f"Scripted {STATUS_WORDS.get(status_code, status_code)}.").body
    return JSONResponse(body, status_code=status_code, headers=headers)
