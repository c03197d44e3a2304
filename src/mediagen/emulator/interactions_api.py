"""The endpoints of the Interactions API."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mediagen.emulator.answers import ApiError, interaction_error, no_answer
from mediagen.emulator.callers import Surface, check_caller, surface_of
from mediagen.emulator.catalogue import BY_NAME, RETIRED, EmulatedModel, VideoModel
from mediagen.emulator.faults import ACCEPTED, DOWNLOAD, FILM, REGION, Fault
from mediagen.emulator.interactions import TERMINAL, interaction_json
from mediagen.emulator.omni import Caller, OrderDesk
from mediagen.emulator.publisher import find_publisher_model, refuse_unready_agents, sources_of
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
        check_caller(request)
        model = _model(body, surface_of(request))
        refuse_unready_agents(self._world, request)
        order = await self._desk.take(body, model, self._caller(request))
        unanswered = next((fault.kind for fault in order.faults if fault.kind in ACCEPTED), "")
        if unanswered == "lost_after_accept":
            return no_answer(unanswered)
        interaction = self._world.interactions.start(order)
        if unanswered:
            return no_answer(unanswered)
        if not body.get("background"):
            await interaction.finished.wait()
            self._world.interactions.forget_unstored(interaction)
        return JSONResponse(await interaction_json(interaction, include_input=False))

    def _caller(self, request: Request) -> Caller:
        magic: list[Fault] = request.scope.get("mediagen.magic", [])
        faults = [fault for fault in magic if fault.kind in FILM | DOWNLOAD | REGION]
        scripted = self._world.faults.take(FILM, method=request.method, path=request.url.path)
        if scripted is not None:
            faults.insert(0, scripted)
        return Caller(
            base_url=str(request.base_url),
            path=request.url.path,
            sources=sources_of(self._world, request),
            surface=surface_of(request),
            faults=tuple(faults),
        )

    async def get(self, request: Request) -> Response:
        """GET interactions/ID: how far it is, and the result when it is done."""
        check_caller(request)
        interaction = self._world.interactions.get(*_named(request))
        interaction.asked()
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
        check_caller(request)
        interaction = self._world.interactions.cancel(*_named(request))
        return JSONResponse(await interaction_json(interaction, include_input=False))

    async def delete(self, request: Request) -> Response:
        """DELETE interactions/ID."""
        check_caller(request)
        self._world.interactions.delete(*_named(request))
        return JSONResponse({})


def _named(request: Request) -> tuple[str, str]:
    return request.path_params["interaction_id"], surface_of(request).parent


def _model(body: dict[str, Any], surface: Surface) -> VideoModel:
    name = str(body.get("model") or "").removeprefix("models/")
    if not name:
        raise interaction_error("Either model or agent is required.")
    model = _published(name, surface) if surface.is_vertex else _gemini(name)
    if not isinstance(model, VideoModel):
        raise interaction_error(f"The emulator does not serve model {name} through interactions.")
    return model


def _published(name: str, surface: Surface) -> EmulatedModel:
    try:
        return find_publisher_model(name, surface)
    except ApiError as refusal:
        # the same refusal in this API's shape
        message = refusal.body["error"]["message"]
        raise interaction_error(message, status_code=404, code="not_found") from refusal


def _gemini(name: str) -> EmulatedModel:
    if name in RETIRED:
        message = f"This model {name} is no longer available. Please use a newer model."
        raise interaction_error(message, status_code=404, code="not_found")
    model = BY_NAME.get(name)
    if model is None:
        raise interaction_error(f"Model {name} was not found.", status_code=404, code="not_found")
    return model
