"""The endpoints of batches: make, show, list, cancel and delete."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mediagen.emulator.answers import ApiError, bad_request, google_error, no_answer
from mediagen.emulator.batches import Batch, refusal_in_batch
from mediagen.emulator.callers import check_caller
from mediagen.emulator.catalogue import ImageModel
from mediagen.emulator.faults import ACCEPTED, BATCH, PICTURE, Fault, magic_faults
from mediagen.emulator.generate_content import GenerateContentApi
from mediagen.emulator.models_api import as_list, find_model, model_not_found, version_of
from mediagen.emulator.paging import page
from mediagen.emulator.publisher import sources_of
from mediagen.emulator.reading import read_json
from mediagen.emulator.schema import snake_keys
from mediagen.emulator.schema_tables import BATCHES
from mediagen.emulator.traffic import prompt_texts
from mediagen.emulator.world import World

METHOD = "batchGenerateContent"
INLINE_LIMIT_BYTES = 20_000_000
# Source: https://ai.google.dev/gemini-api/docs/pricing (checked 2026-11-21)
SHARE = Decimal("0.5")


class BatchesApi:
    """Takes batches in, and tells how far they are."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._pictures = GenerateContentApi(world)

    async def create(self, request: Request) -> Response:
        """POST models/M:batchGenerateContent. Would cost money at Google, half of what the requests cost one by one."""
        body = await read_json(request)
        violations = BATCHES.check(body, "BatchGenerateContentRequest")
        if violations:
            raise bad_request(violations)
        check_caller(request)
        name = request.path_params["model"]
        model = find_model(name, version_of(request), METHOD)
        if not isinstance(model, ImageModel):
            raise model_not_found(name, version_of(request), METHOD)
        asked = _checked(snake_keys(body).get("batch") or {}, len(await request.body()))
        self._world.batches.check_room()
        fault = self._fault(request)
        if fault is not None and fault.kind == "lost_after_accept":
            return no_answer(fault.kind)
        batch = Batch(
            name=self._world.batches.new_name(),
            model=model.name,
            display_name=asked["display_name"],
            created_at=datetime.now(UTC),
            responses=[],
            fault=fault,
        )
        for item in as_list(asked["input_config"]["requests"]["requests"]):
            batch.responses.append(await self._response(request, model, batch, item))
        self._world.batches.add(batch)
        if fault is not None and fault.kind in ACCEPTED:
            return no_answer(fault.kind)
        return JSONResponse(self._world.batches.as_json(batch))

    def _fault(self, request: Request) -> Fault | None:
        magic: list[Fault] = request.scope.get("mediagen.magic", [])
        scripted = self._world.faults.take(BATCH, method=request.method, path=request.url.path)
        # What a request says that it shall come to holds for it alone.
        return scripted or next((fault for fault in magic if fault.kind in BATCH - {"batch_error"}), None)

    async def _response(
        self, request: Request, model: ImageModel, batch: Batch, item: dict[str, Any]
    ) -> dict[str, Any]:
        """What comes of one request; made at once, and shown when its time has come."""
        plain: dict[str, Any] = item.get("request") or {}
        kept = {"metadata": item["metadata"]} if item.get("metadata") else {}
        magic = magic_faults(prompt_texts(as_list(plain.get("contents"))[-1:]))
        fault = batch.fault if batch.fault and batch.fault.kind == "batch_error" else None
        fault = fault or next((found for found in magic if found.kind in {*PICTURE, "batch_error"} - ACCEPTED), None)
        if fault is not None and fault.kind == "batch_error":
            code = int(fault.number("code", 13))
            return {"error": {"code": code, "message": fault.text("message", "Internal error encountered.")}, **kept}
        try:
            answer = await self._pictures.make(plain, model, sources_of(self._world, request), fault)
        except ApiError as refusal:
            return {**refusal_in_batch(refusal), **kept}
        if batch.fault is None or batch.fault.kind in ACCEPTED | PICTURE:
            self._pictures.charge(model, answer, operation=batch.name, task=METHOD, share=SHARE)
        return {"response": answer, **kept}

    async def get(self, request: Request) -> Response:
        """GET batches/ID: how far it is, and what came of it when it is over."""
        check_caller(request)
        batches = self._world.batches
        return JSONResponse(batches.as_json(batches.get(request.path_params["batch_id"])))

    async def list(self, request: Request) -> Response:
        """GET batches: all of the project, newest first."""
        check_caller(request)
        batches = self._world.batches
        shown = [batches.as_json(batch) for batch in batches.all()]
        return JSONResponse(page(request, shown, "operations", default=50, most=1000))

    async def cancel(self, request: Request) -> Response:
        """POST batches/ID:cancel."""
        check_caller(request)
        self._world.batches.cancel(request.path_params["batch_id"])
        return JSONResponse({})

    async def delete(self, request: Request) -> Response:
        """DELETE batches/ID."""
        check_caller(request)
        self._world.batches.delete(request.path_params["batch_id"])
        return JSONResponse({})


def _checked(batch: dict[str, Any], size_bytes: int) -> dict[str, Any]:
    """The batch, if it can be one."""
    if not batch.get("display_name"):
        raise bad_request([("batch.display_name", "* GenerateContentBatch.display_name: must be specified\n")])
    config = batch.get("input_config") or {}
    if config.get("file_name"):
        raise google_error(400, "The emulator reads batches from the request only, not from a file.")
    if not as_list((config.get("requests") or {}).get("requests")):
        raise bad_request([("batch.input_config", "* GenerateContentBatch.input_config: no requests are specified\n")])
    if size_bytes > INLINE_LIMIT_BYTES:
        raise google_error(400, f"Request payload size exceeds the limit: {INLINE_LIMIT_BYTES} bytes.")
    return batch
