"""Reads what clients send: JSON bodies, base64, media by reference."""

import base64
import binascii
import json
from typing import Any

from starlette.requests import Request

from mediagen.emulator.answers import google_error


async def read_json(request: Request, *, empty: Any = None) -> Any:
    """Read a JSON body.

    Raises:
        ApiError: It is not JSON, or empty where that is not allowed.
    """
    body = await request.body()
    if not body and empty is not None:
        return empty
    try:
        content = json.loads(body)
    except ValueError as error:
        raise google_error(400, "Invalid JSON payload received. Parsing terminated before end of input.") from error
    if not isinstance(content, dict):
        raise google_error(400, "Invalid JSON payload received. Unexpected token; an object is expected.")
    return content


def read_base64(text: str) -> bytes | None:
    """Decode base64, standard or URL-safe; None when it is neither."""
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        return None
