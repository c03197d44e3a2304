"""Files that are too large for one message, in parts."""

from pathlib import Path
from typing import Any, Final

import anyio.to_thread
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ResourceNotFoundError

from mediagen.errors import MediaGenError

# As base64 it has to stay below 1 MB, which is what some clients accept.
PART_BYTES: Final = 700_000


def add_parts(server: MCPServer[Any]) -> None:
    """Offer every file in parts; the viewer puts a clip together from them."""

    @server.resource(
        "mediagen://artifacts/{artifact_id}/parts/{number}",
        name="artifact-part",
        title="Part of a generated file",
        description=f"{PART_BYTES} bytes of a picture or clip that is too large for one message; parts count from 0.",
        mime_type="application/octet-stream",
    )
    async def part(artifact_id: str, number: str, context: Context[Any]) -> bytes:
        from mediagen.server.callers import app_of
        from mediagen.server.publishing import error_told

        try:
            path = await app_of(context).generator.artifact_file(artifact_id)
        except MediaGenError as error:
            raise ResourceNotFoundError(error_told(app_of(context), error)) from error
        content = await anyio.to_thread.run_sync(_read, path, number)
        if not content:
            raise ResourceNotFoundError(f"The file has no part {number!r}; parts of {PART_BYTES} bytes count from 0.")
        return content


def _read(path: Path, number: str) -> bytes:
    if not (number.isascii() and number.isdigit()) or len(number) > 6:
        return b""
    with path.open("rb") as file:
        file.seek(int(number) * PART_BYTES)
        return file.read(PART_BYTES)
