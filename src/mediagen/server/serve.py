"""Runs the server over stdio or, on this machine only, over Streamable HTTP."""

import logging
import sys

from mediagen.errors import MediaGenError
from mediagen.server.build import build_server
from mediagen.settings import Settings, check_supported, read_settings

LOOPBACK = ("127.0.0.1", "localhost", "::1")
SHUTDOWN_SECONDS = 3


def serve_stdio() -> int:
    """Serve one client over standard input and output; returns the exit code."""
    settings = _settings()
    if settings is None:
        return 3
    build_server(settings, ends_on_sigterm=sys.platform != "win32").run("stdio")
    return 0


def serve_http(host: str, port: int) -> int:
    """Serve clients of this machine over Streamable HTTP; returns the exit code."""
    if host not in LOOPBACK:
        print(  # noqa: T201 - standard error of a command
            f"--host {host!r} is not available in this version; allowed: {', '.join(LOOPBACK)}.", file=sys.stderr
        )
        return 2
    settings = _settings()
    if settings is None:
        return 3
    if settings.http_token:
        print(  # noqa: T201 - standard error of a command
            "MEDIAGEN_HTTP_TOKEN is set, but this version cannot check tokens yet: HTTP serves this machine only. "
            "Unset it to go on.",
            file=sys.stderr,
        )
        return 3
    import uvicorn

    app = build_server(settings).streamable_http_app(host=host)
    config = uvicorn.Config(app, host=host, port=port, log_level="warning", timeout_graceful_shutdown=SHUTDOWN_SECONDS)
    uvicorn.Server(config).run()
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
