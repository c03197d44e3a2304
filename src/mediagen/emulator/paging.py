"""Cuts lists into Google's pages."""

from typing import Any

from starlette.requests import Request

from mediagen.emulator.answers import google_error


def page(request: Request, items: list[Any], name: str, *, default: int, most: int) -> dict[str, Any]:
    """Give the page that pageSize and pageToken ask for."""
    query = request.query_params
    size_text = query.get("pageSize") or query.get("page_size") or str(default)
    token = query.get("pageToken") or query.get("page_token") or "0"
    if not size_text.isdigit():
        raise google_error(400, f"Invalid value at 'page_size' (TYPE_INT32), \"{size_text}\"")
    if not token.isdigit():
        raise google_error(400, "Invalid page token.")
    start = int(token)
    size = min(int(size_text) or default, most)
    shown: dict[str, Any] = {name: items[start : start + size]}
    if start + size < len(items):
        shown["nextPageToken"] = str(start + size)
    return shown
