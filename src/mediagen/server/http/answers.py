"""Refusals over HTTP: a status, a code and a sentence, as JSON."""

from starlette.responses import JSONResponse

# What a browser must not do with anything that comes from here.
SAFE_HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


def refusal(status: int, code: str, message: str, *, retry_after: int | None = None) -> JSONResponse:
    """An answer that says why not."""
    headers = {**SAFE_HEADERS, "Cache-Control": "no-store"}
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    return JSONResponse({"error": code, "message": message}, status_code=status, headers=headers)
