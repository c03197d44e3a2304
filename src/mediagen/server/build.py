"""Builds the MCP server from settings."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError

from mediagen import __version__
from mediagen.app.app import App, open_app
from mediagen.errors import MediaGenError
from mediagen.server.instructions import INSTRUCTIONS
from mediagen.server.toolsets import TOOLS
from mediagen.settings import Settings

# As base64 it has to stay below 1 MB, which is what some clients accept.
LARGEST_RESOURCE = 700_000


def build_server(settings: Settings) -> MCPServer[App]:
    """The server with the chosen toolsets; parts are built when a client connects."""

    @asynccontextmanager
    async def lifespan(server: MCPServer[App]) -> AsyncIterator[App]:  # noqa: ARG001 - the SDK's signature
        async with open_app(settings) as app:
            app.runner.start_sweeping()
            yield app

    server = MCPServer[App](
        "mediagen",
        title="mediagen: pictures and films",
        description="Pictures and films on Google's media models.",
        instructions=INSTRUCTIONS,
        version=__version__,
        tools=[tool.build() for tool in TOOLS if tool.toolset in settings.toolsets],
        lifespan=lifespan,
        log_level="WARNING",
    )
    _add_artifact_resource(server)
    return server


def _add_artifact_resource(server: MCPServer[App]) -> None:
    @server.resource(
        "mediagen://artifacts/{artifact_id}",
        name="artifact",
        title="Generated file",
        description="A picture or clip that mediagen made.",
        mime_type="application/octet-stream",
    )
    async def artifact(artifact_id: str, context: Context[App]) -> bytes:
        app: App = context.request_context.lifespan_context
        try:
            path = await app.generator.artifact_file(artifact_id)
        except MediaGenError as error:
            raise ResourceNotFoundError(str(error)) from error
        size = path.stat().st_size
        if size > LARGEST_RESOURCE:
            raise ResourceError(f"The file has {size} bytes, too many for a message; open it at {path}.")
        return path.read_bytes()
