"""Endpoints of the emulator itself, under /emulator/; never part of Google's API."""

from functools import partial

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mediagen.emulator.answers import google_error
from mediagen.emulator.files_api import serve_elsewhere
from mediagen.emulator.identities import new_service_account, new_user
from mediagen.emulator.reading import read_json
from mediagen.emulator.world import World

DEFAULT_PROJECT = "test-project"
MAX_AGE_SECONDS = 10**9


def _token_uri(request: Request) -> str:
    return f"{request.base_url}token"


class Admin:
    """Shows what happened and scripts what shall go wrong."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def health(self, _request: Request) -> Response:
        """GET /emulator/: that it is there."""
        return JSONResponse({"emulator": "mediagen", "rendering": self._world.studio.is_rendering})

    async def bill(self, _request: Request) -> Response:
        """GET /emulator/bill: what all this would have cost."""
        return JSONResponse(self._world.bill.as_json())

    async def requests(self, _request: Request) -> Response:
        """GET /emulator/requests: what was asked, without keys."""
        return JSONResponse(self._world.traffic.as_json())

    async def files(self, _request: Request) -> Response:
        """GET /emulator/files: every picture and film that was produced."""
        return JSONResponse(self._world.files.served())

    async def interactions(self, _request: Request) -> Response:
        """GET /emulator/interactions: when each reached its state, and how often it was asked about."""
        return JSONResponse(self._world.interactions.journal())

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

    async def age(self, request: Request) -> Response:
        """POST /emulator/age: let {"seconds": …} pass for files and interactions."""
        seconds = (await read_json(request)).get("seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= MAX_AGE_SECONDS:
            raise google_error(400, f"seconds is a number from 0 to {MAX_AGE_SECONDS}.")
        self._world.age(seconds)
        return JSONResponse({})

    async def add_service_account(self, request: Request) -> Response:
        """POST /emulator/service_accounts: make one and give the content of its file."""
        body = await read_json(request, empty={})
        project = str(body.get("project_id") or DEFAULT_PROJECT)
        make = partial(new_service_account, project, _token_uri(request), str(body.get("client_email") or ""))
        info, public_key = await anyio.to_thread.run_sync(make)
        self._world.identities.add_account(info, public_key)
        return JSONResponse(info)

    async def add_user(self, request: Request) -> Response:
        """POST /emulator/users: make a user and give the content of its authorized_user file."""
        body = await read_json(request, empty={})
        info = new_user(_token_uri(request), body.get("quota_project"))
        self._world.identities.add_user(info)
        return JSONResponse(info)

    async def elsewhere(self, request: Request) -> Response:
        """GET /emulator/elsewhere/…: the target of scripted redirects."""
        return await serve_elsewhere(self._world, request)
