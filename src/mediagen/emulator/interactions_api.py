"""The endpoints of the Interactions API."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mediagen.emulator.answers import DropResponse, check_key, interaction_error
from mediagen.emulator.catalogue import BY_NAME, RETIRED, VideoModel
from mediagen.emulator.faults import DOWNLOAD, FILM, Fault
from mediagen.emulator.interactions import TERMINAL, interaction_json
from mediagen.emulator.omni import Caller, OrderDesk
from mediagen.emulator.reading import read_json
from mediagen.emulator.schema_tables import first_interaction_violation
from mediagen.emulator.world import World


class InteractionsApi:
    """Create, show, cancel and delete interactions."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._desk = OrderDesk(world)

    async def create(self, request: Request) -> Response:
        """POST interactions: order a clip. Would cost money at Google."""
        body = await read_json(request)
        violation = first_interaction_violation(body)
        if violation:
            raise interaction_error(violation)
        check_key(request)
        model = _model(body)
        order = await self._desk.take(body, model, self._caller(request))
        interaction = self._world.interactions.start(order)
        if any(fault.kind == "drop_after_accept" for fault in order.faults):
            return DropResponse()
        if not body.get("background"):
            await interaction.finished.wait()
            self._world.interactions.forget_unstored(interaction)
        return JSONResponse(await interaction_json(interaction, include_input=False))

    def _caller(self, request: Request) -> Caller:
        magic: list[Fault] = request.scope.get("mediagen.magic", [])
        faults = [fault for fault in magic if fault.kind in FILM | DOWNLOAD]
        scripted = self._world.faults.take(FILM, method=request.method, path=request.url.path)
        if scripted is not None:
            faults.insert(0, scripted)
        return Caller(base_url=str(request.base_url), host=request.url.netloc, faults=tuple(faults))

    async def get(self, request: Request) -> Response:
        """GET interactions/ID: how far it is, and the result when it is done."""
        check_key(request)
        interaction = self._world.interactions.get(request.path_params["interaction_id"])
        interaction.polls += 1
        fault = interaction.order.fault
        if (
            fault is not None
            and fault.kind == "unknown_status"
            and interaction.status not in {*TERMINAL, "in_progress"}
            and interaction.polls > fault.number("polls", float("inf"))
        ):
            interaction.finish("completed")
        include_input = request.query_params.get("include_input", "").lower() == "true"
        return JSONResponse(await interaction_json(interaction, include_input=include_input))

    async def cancel(self, request: Request) -> Response:
        """POST interactions/ID/cancel."""
        check_key(request)
        interaction = self._world.interactions.cancel(request.path_params["interaction_id"])
        return JSONResponse(await interaction_json(interaction, include_input=False))

    async def delete(self, request: Request) -> Response:
        """DELETE interactions/ID."""
        check_key(request)
        self._world.interactions.delete(request.path_params["interaction_id"])
        return JSONResponse({})


def _model(body: dict[str, Any]) -> VideoModel:
    name = str(body.get("model") or "").removeprefix("models/")
    if not name:
        raise interaction_error("Either model or agent is required.")
    if name in RETIRED:
        message = f"This model {name} is no longer available. Please use a newer model."
        raise interaction_error(message, status_code=404, code="not_found")
    model = BY_NAME.get(name)
    if model is None:
        raise interaction_error(f"Model {name} was not found.", status_code=404, code="not_found")
    if not isinstance(model, VideoModel):
        raise interaction_error(f"The emulator serves model {name} through generateContent only.")
    return model
