"""The smallest server that the SDK allows: one tool that does nothing. What is measured is measured against it."""

from mcp.server import MCPServer

server = MCPServer("floor")


@server.tool()
def nothing() -> str:
    """Do nothing."""
    return ""


if __name__ == "__main__":
    server.run("stdio")
