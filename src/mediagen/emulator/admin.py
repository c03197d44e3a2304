"""Endpoints of the emulator itself, under /emulator/; never part of Google's API."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mediagen.emulator.files_api import serve_elsewhere
from mediagen.emulator.reading import read_json
from mediagen.emulator.world import World


class Admin:
    """Shows what happened and scripts what shall go wrong."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def health(self, _request: Request) -> Response:
        """GET /emulator/: that it is there."""
        return JSONResponse({"emulator": "mediagen", "rendering": self._world.interactions.is_rendering})

    async def bill(self, _request: Request) -> Response:
        """GET /emulator/bill: what all this would have cost."""
        return JSONResponse(self._world.bill.as_json())

    async def requests(self, _request: Request) -> Response:
        """GET /emulator/requests: what was asked, without keys."""
        return JSONResponse(self._world.traffic.as_json())

    async def files(self, _request: Request) -> Response:
        """GET /emulator/files: every picture and film that was produced."""
        return JSONResponse(self._world.files.served())

    async def list_faults(self, _request: Request) -> Response:
        """GET /emulator/faults: what will go wrong."""
        return JSONResponse(self._world.faults.as_json())

    async def add_fault(self, request: Request) -> Response:
        """POST /emulator/faults: script a fault, or several as {"faults": […]}."""
        body = await read_json(request)
        for script in body["faults"] if set(body) == {"faults"} else [body]:
            self._world.faults.add(script)
        return JSONResponse(self._world.faults.as_json())

    async def clear_faults(self, _request: Request) -> Response:
        """DELETE /emulator/faults: forget all faults."""
        self._world.faults.clear()
        return JSONResponse([])

    async def reset(self, _request: Request) -> Response:
        """POST /emulator/reset: forget everything."""
        self._world.reset()
        return JSONResponse({})

    async def elsewhere(self, request: Request) -> Response:
        """GET /emulator/elsewhere/…: the target of scripted redirects."""
        return await serve_elsewhere(self._world, request)
