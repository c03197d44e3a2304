"""Veo's long-running operations: clips that render in the background, and how they look from outside."""

import base64
import json
import uuid
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import anyio

from mediagen.emulator.answers import ApiError, google_error
from mediagen.emulator.bill import Bill
from mediagen.emulator.buckets import BucketShelf
from mediagen.emulator.catalogue import VeoModel
from mediagen.emulator.cloud import AGENTS_PENDING, DeliveryError, deliver
from mediagen.emulator.faults import DOWNLOAD, Fault
from mediagen.emulator.files import StoredFile
from mediagen.emulator.films import FilmPlan
from mediagen.emulator.studio import Studio
from mediagen.errors import MediaError

RESPONSE_TYPE = "type.googleapis.com/cloud.ai.large_models.vision.GenerateVideoResponse"
INTERNAL, FAILED_PRECONDITION = 13, 9
DEFAULT_CODES = "58061214"
_BLOCKED = (
    "Veo could not generate videos because the input prompt contains words that violate Vertex AI usage guidelines. "
    "Support codes: {codes}"
)
_PARTLY_BLOCKED = (
    "{count} of the generated videos were filtered out because they violated Vertex AI usage guidelines. "
    "You will not be charged for blocked videos. Support codes: {codes}"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class VeoOrder:
    """An accepted request for clips; prices in USD."""

    model: VeoModel
    model_path: str
    base_url: str
    feature: str
    plans: tuple[FilmPlan, ...]
    usd_per_sample: Decimal
    storage_uri: str = ""
    faults: tuple[Fault, ...] = ()

    @property
    def fault(self) -> Fault | None:
        """The fault that decides the outcome; others change only its form or the download."""
        return next((fault for fault in self.faults if fault.kind not in {*DOWNLOAD, "old_shape"}), None)

    @property
    def old_shape(self) -> str:
        """The bygone shape that the answer shall have, if any."""
        shapes = (fault.text("shape", "") for fault in self.faults if fault.kind == "old_shape")
        return next(shapes, "")

    @property
    def filtered(self) -> int:
        """How many samples the safety filter keeps back."""
        fault = self.fault
        match fault.kind if fault else "":
            case "rai_filtered" | "video_blocked":
                return len(self.plans)
            case "rai_partial":
                assert fault is not None
                return min(len(self.plans), int(fault.number("count", 1)))
            case _:
                return 0

    @property
    def error(self) -> dict[str, Any] | None:
        """The error that a fault ends the operation with."""
        fault = self.fault
        match fault.kind if fault else "":
            case "veo_error" | "video_failed":
                assert fault is not None
                code = fault.text("code", "")
                message = fault.text("message", "Internal error. Please try again later.")
                return {"code": int(code) if code.isdigit() else INTERNAL, "message": message}
            case "service_agents_operation":
                return {"code": FAILED_PRECONDITION, "message": AGENTS_PENDING}
            case _:
                return None


@dataclass(kw_only=True, slots=True)
class Operation:
    """One operation and how far it is."""

    name: str
    order: VeoOrder
    is_done: bool = False
    error: dict[str, Any] | None = None
    films: list[StoredFile] = field(default_factory=list)
    uris: list[str] = field(default_factory=list)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)


def operation_not_found(name: str) -> ApiError:
    """Build the refusal of a name that means no operation, or none any more."""
    return google_error(404, f"Operation not found: {name}")


class OperationBook:
    """All operations of one emulator."""

    def __init__(self, studio: Studio, buckets: BucketShelf, bill: Bill) -> None:
        self._studio = studio
        self._buckets = buckets
        self._bill = bill
        self._operations: dict[str, Operation] = {}

    def start(self, order: VeoOrder) -> Operation:
        """Accept an order, charge it and start rendering."""
        assert self._studio.tasks is not None
        operation = Operation(name=f"{order.model_path}/operations/{uuid.uuid4()}", order=order)
        self._operations[operation.name] = operation
        charged = 0 if order.error else len(order.plans) - order.filtered
        if charged:
            self._bill.add(
                model=order.model.name,
                kind="video",
                operation=operation.name,
                task=order.feature,
                usd=charged * order.usd_per_sample,
            )
        self._studio.tasks.start_soon(self._work, operation)
        return operation

    def get(self, name: str) -> Operation:
        """Find an operation.

        Raises:
            ApiError: There is none of that name.
        """
        operation = self._operations.get(name)
        if operation is None:
            raise operation_not_found(name)
        return operation

    def forget(self, name: str) -> None:
        """Forget an operation, as Google does some time after its end."""
        self._operations.pop(name, None)

    def clear(self) -> None:
        """Stop and forget all operations."""
        for operation in self._operations.values():
            operation.scope.cancel()
        self._operations = {}

    async def _work(self, operation: Operation) -> None:
        with self._studio.at_work(), operation.scope:
            started = anyio.current_time()
            try:
                await self._produce(operation, started)
            except MediaError as error:
                self._fail(operation, INTERNAL, str(error))
            except DeliveryError as error:
                self._fail(operation, error.code, str(error))

    async def _produce(self, operation: Operation, started: float) -> None:
        order = operation.order
        kind = order.fault.kind if order.fault else ""
        if order.error is None and kind not in {"completed_without_video", "stuck"}:
            operation.films = await self._films(order)
        await anyio.sleep_until(started + self._studio.settings.video_seconds)
        if kind == "stuck":
            return
        if operation.films and order.storage_uri:
            operation.uris = await deliver(self._buckets, order.storage_uri, operation.films)
        operation.error = order.error
        operation.is_done = True

    async def _films(self, order: VeoOrder) -> list[StoredFile]:
        plans = order.plans[: len(order.plans) - order.filtered]
        return [await self._studio.make(plan, order.faults) for plan in plans]

    def _fail(self, operation: Operation, code: int, message: str) -> None:
        self._bill.void(operation.name)
        operation.films = []
        operation.error = {"code": code, "message": message}
        operation.is_done = True


async def operation_json(operation: Operation) -> dict[str, Any]:
    """Show an operation the way fetchPredictOperation does."""
    shown: dict[str, Any] = {"name": operation.name}
    if not operation.is_done:
        return shown
    shown["done"] = True
    if operation.error is not None:
        return shown | {"error": operation.error}
    return shown | {"response": {"@type": RESPONSE_TYPE, **await _response(operation)}}


async def _response(operation: Operation) -> dict[str, Any]:
    order = operation.order
    shown = _filtering(order)
    uris = operation.uris or [_file_uri(order, film) for film in operation.films]
    if order.old_shape == "generated_samples":
        return {"generateVideoResponse": {**shown, "generatedSamples": [{"video": {"uri": uri}} for uri in uris]}}
    if order.old_shape == "predictions":
        return {**shown, "predictions": [{"video": {"uri": uri}} for uri in uris]}
    if operation.films:
        shown["videos"] = [await _video(film, uri) for film, uri in _with_uris(operation)]
    return shown


def _filtering(order: VeoOrder) -> dict[str, Any]:
    if not order.filtered:
        return {"raiMediaFilteredCount": 0} if order.storage_uri else {}
    codes = order.fault.text("codes", DEFAULT_CODES) if order.fault else DEFAULT_CODES
    text = _BLOCKED if order.filtered == len(order.plans) else _PARTLY_BLOCKED
    reason = text.format(count=order.filtered, codes=codes)
    return {"raiMediaFilteredCount": order.filtered, "raiMediaFilteredReasons": [reason]}


def _file_uri(order: VeoOrder, film: StoredFile) -> str:
    return f"{order.base_url}v1beta/files/{film.id}:download?alt=media"


def _with_uris(operation: Operation) -> list[tuple[StoredFile, str]]:
    uris = operation.uris or [""] * len(operation.films)
    return list(zip(operation.films, uris, strict=True))


async def _video(film: StoredFile, uri: str) -> dict[str, str]:
    if uri:
        return {"gcsUri": uri, "mimeType": film.mime_type}
    content = await anyio.Path(film.path).read_bytes()
    return {"bytesBase64Encoded": base64.b64encode(content).decode(), "mimeType": film.mime_type}


def operation_bytes(shown: dict[str, Any]) -> bytes:
    """Write an operation as JSON."""
    return json.dumps(shown, separators=(",", ":")).encode()
