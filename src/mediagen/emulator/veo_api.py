"""The endpoints of Veo: predictLongRunning and fetchPredictOperation."""

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from mediagen.emulator.answers import bad_request, google_error, no_answer
from mediagen.emulator.callers import check_caller, surface_of
from mediagen.emulator.catalogue import VeoModel
from mediagen.emulator.download import ByteRange, FileResponse
from mediagen.emulator.faults import ACCEPTED, DOWNLOAD, VEO, Fault
from mediagen.emulator.models_api import model_not_found, version_of
from mediagen.emulator.publisher import find_publisher_model, find_served_model, model_path, refuse_unready_agents
from mediagen.emulator.reading import read_json
from mediagen.emulator.veo_operations import operation_bytes, operation_json, operation_not_found
from mediagen.emulator.veo_request import Caller, VeoDesk
from mediagen.emulator.veo_tables import FETCH_OPERATION
from mediagen.emulator.world import World

# the ways in which an answer with films inside can suffer on its way
_TRANSFER = DOWNLOAD - {"redirect"}


class VeoApi:
    """Orders clips and tells how far they are."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._desk = VeoDesk(world)

    async def predict(self, request: Request) -> Response:
        """POST models/M:predictLongRunning: order clips. Would cost money at Google."""
        body = await read_json(request)
        check_caller(request)
        surface, name = surface_of(request), request.path_params["model"]
        model = find_publisher_model(name, surface)
        if not isinstance(model, VeoModel):
            raise google_error(400, f"{name} is not supported in the predictLongRunning API.")
        refuse_unready_agents(self._world, request)
        caller = Caller(
            base_url=str(request.base_url), model_path=model_path(name, surface), faults=self._faults(request)
        )
        order = await self._desk.take(body, model, caller)
        unanswered = next((fault.kind for fault in order.faults if fault.kind in ACCEPTED), "")
        if unanswered == "lost_after_accept":
            return no_answer(unanswered)
        operation = self._world.operations.start(order)
        if unanswered:
            return no_answer(unanswered)
        return JSONResponse({"name": operation.name})

    def _faults(self, request: Request) -> tuple[Fault, ...]:
        magic: list[Fault] = request.scope.get("mediagen.magic", [])
        faults = [fault for fault in magic if fault.kind in VEO | DOWNLOAD]
        while scripted := self._world.faults.take(VEO, method=request.method, path=request.url.path):
            faults.insert(0, scripted)
            if scripted.kind != "old_shape":
                break
        return tuple(faults)

    async def fetch(self, request: Request) -> Response:
        """POST models/M:fetchPredictOperation: how far an operation is, and the clips when it is done."""
        body = await read_json(request)
        violations = FETCH_OPERATION.check(body, "FetchRequest")
        if violations:
            raise bad_request(violations)
        check_caller(request)
        name = body.get("operationName") or ""
        if not name.startswith(f"{model_path(request.path_params['model'], surface_of(request))}/operations/"):
            raise google_error(400, f"Invalid operation name '{name}' for this model.")
        operation = self._world.operations.get(name)
        shown = await operation_json(operation)
        if not operation.films:
            return JSONResponse(shown)
        fault = self._world.faults.take(_TRANSFER, method=request.method, path=request.url.path)
        if fault is None and not operation.uris:
            fault = next((fault for fault in operation.order.faults if fault.kind in _TRANSFER), None)
        if fault is not None and fault.kind == "expired":
            self._world.operations.forget(name)
            raise operation_not_found(name)
        return SpoiledAnswer(self._world, operation_bytes(shown), fault) if fault else JSONResponse(shown)


class SpoiledAnswer(Response):
    """A JSON answer that suffers on its way as a download does."""

    def __init__(self, world: World, content: bytes, fault: Fault) -> None:
        super().__init__(content, media_type="application/json")
        self._world = world
        self._fault = fault

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer by way of a file."""
        _, path = self._world.files.new_path()
        await anyio.Path(path).write_bytes(self.body)
        part = ByteRange(0, len(self.body))
        try:
            headers = {"content-type": "application/json"}
            await FileResponse(path, part, headers=headers, fault=self._fault)(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.Path(path).unlink(missing_ok=True)


async def predict_on_gemini(request: Request) -> Response:
    """POST models/M:predictLongRunning on the Gemini API, which has no Veo any more."""
    check_caller(request)
    find_served_model(request, "predictLongRunning")
    raise model_not_found(request.path_params["model"], version_of(request), "predictLongRunning")
