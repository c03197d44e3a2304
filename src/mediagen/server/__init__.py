"""Everything MCP: the tools, their results and errors, and the server over stdio and HTTP."""


def main() -> None:
    """Serve over stdio; the console script `mediagen-mcp`."""
    from mediagen.server.serve import serve_stdio

    raise SystemExit(serve_stdio())
