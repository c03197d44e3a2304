"""A host of MCP Apps for tests: serves a page that shows the viewer, and passes its calls on to a real server."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from mcp import Client, MCPError
from mcp.types import CallToolResult, TextResourceContents
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

PAGE = Path(__file__).with_name("host.html")
ALL: dict[str, Any] = {
    "serverTools": {},
    "serverResources": {},
    "openLinks": {},
    "downloadFile": {},
    "updateModelContext": {"text": {}},
}
# As the specification wants it of a host when a view names no domains; many allow blob: besides.
POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:{blob}; media-src 'self' data:{blob}; object-src 'none'; connect-src 'none'"
)


@dataclass
class Host:
    """What the host knows of one call, and what the view asked of the server."""

    client: Client
    result: CallToolResult | None
    input: dict[str, Any]
    capabilities: dict[str, Any] = field(default_factory=lambda: ALL)
    context: dict[str, Any] = field(default_factory=lambda: {"theme": "dark"})
    allows_blob: bool = True
    as_task: bool = False
    loses: str | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    def tools_called(self) -> list[tuple[str, dict[str, Any]]]:
        """Tools that the view called, with their arguments."""
        return [
            (message["params"]["name"], message["params"]["arguments"])
            for message in self.asked
            if message["method"] == "tools/call"
        ]

    async def case(self, request: Request) -> Response:
        """What is to be shown."""
        shown = self.result and self.result.model_dump(mode="json", by_alias=True, exclude_none=True)
        if self.as_task and shown:
            shown = {"resultType": "task", "taskId": shown["structuredContent"]["job_id"], "status": "working"}
        return JSONResponse(
            {"input": self.input, "result": shown, "capabilities": self.capabilities, "context": self.context}
        )

    async def view(self, request: Request) -> Response:
        """The viewer, as the server gives it, under the host's policy."""
        [page] = (await self.client.read_resource("ui://mediagen/viewer")).contents
        assert isinstance(page, TextResourceContents)
        policy = POLICY.format(blob=" blob:" if self.allows_blob else "")
        return HTMLResponse(page.text, headers={"Content-Security-Policy": policy})

    async def bridge(self, request: Request) -> Response:
        """Pass a request of the view on to the server."""
        message = await request.json()
        self.asked.append(message)
        params = message["params"]
        if self.loses and self.loses == params.get("name") and "dry_run" not in params["arguments"]:
            return JSONResponse({"error": {"code": -32001, "message": "Request timed out"}})
        try:
            match message["method"]:
                case "tools/call":
                    result = await self.client.call_tool(params["name"], params["arguments"])
                    return JSONResponse({"result": result.model_dump(mode="json", by_alias=True, exclude_none=True)})
                case "resources/read":
                    read = await self.client.read_resource(params["uri"])
                    return JSONResponse({"result": read.model_dump(mode="json", by_alias=True, exclude_none=True)})
        except MCPError as error:
            return JSONResponse({"error": {"code": error.error.code, "message": error.error.message}})
        return JSONResponse({"error": {"code": -32601, "message": "unknown method"}})


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the tests."""
        yield


@asynccontextmanager
async def serving(host: Host) -> AsyncIterator[None]:
    """Serve the host's page on a loopback port."""
    app = Starlette(
        routes=[
            Route("/", lambda _: HTMLResponse(PAGE.read_text(encoding="utf-8"))),
            Route("/case", host.case),
            Route("/view", host.view),
            Route("/bridge", host.bridge, methods=["POST"]),
        ]
    )
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        host.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = _Server(uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=2))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield
        finally:
            server.should_exit = True
            await task
