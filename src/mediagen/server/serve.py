"""Runs the server over stdio or over Streamable HTTP."""

import logging
import sys

import anyio

from mediagen.errors import MediaGenError
from mediagen.server import stdio
from mediagen.server.build import build_server
from mediagen.settings import Settings, check_supported, read_settings


def serve_stdio() -> int:
    """Serve one client over standard input and output; returns the exit code."""
    settings = _settings()
    if settings is None:
        return 3
    anyio.run(stdio.serve, build_server(settings, ends_on_sigterm=sys.platform != "win32"))
    return 0


def serve_http(host: str, port: int) -> int:
    """Serve clients over Streamable HTTP; returns the exit code."""
    settings = _settings()
    if settings is None:
        return 3
    # Whoever uses standard input and output needs nothing of it.
    from mediagen.server.http.access import access_of
    from mediagen.server.http.links import links_of
    from mediagen.server.http.serving import serve

    try:
        access = access_of(settings, host, port)
        if access.is_shared:
            links_of(access.settings)
    except MediaGenError as error:
        print(f"mediagen-mcp: {error}", file=sys.stderr)  # noqa: T201 - standard error of a command
        return 3
    serve(access, host, port)
    return 0


def _settings() -> Settings | None:
    try:
        settings = read_settings()
        check_supported(settings)
    except MediaGenError as error:
        print(f"mediagen-mcp: {error}", file=sys.stderr)  # noqa: T201 - the protocol has not started
        return None
    # Only our own loggers follow the setting: at DEBUG the SDK logs whole messages, prompts included.
    logging.getLogger("mediagen").setLevel(settings.log_level)
    return settings
