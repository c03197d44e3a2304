"""Interactions: clips that render in the background, and how they look from outside."""

import base64
import secrets
import time
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import anyio
from anyio.abc import TaskGroup

from mediagen.emulator.answers import interaction_error
from mediagen.emulator.bill import Bill, now_text
from mediagen.emulator.catalogue import VideoModel
from mediagen.emulator.faults import DOWNLOAD, Fault
from mediagen.emulator.ffmpeg import find_ffmpeg
from mediagen.emulator.files import FileShelf, StoredFile
from mediagen.emulator.films import FilmPlan, render
from mediagen.emulator.settings import EmulatorSettings
from mediagen.errors import MediaError

MILLION = Decimal(1_000_000)
REFUSAL = "I cannot generate that video."
REFUSAL_TOKENS = 30
UNBILLED_FAULTS = frozenset({"video_failed", "video_blocked"})
TERMINAL = frozenset({"completed", "failed", "cancelled"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """An accepted request for a clip."""

    model: VideoModel
    plan: FilmPlan
    resolution: str
    delivery: str
    base_url: str
    input_tokens: int
    video_tokens: int
    store: bool = True
    previous_id: str | None = None
    input: Any = None
    labels: dict[str, str] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()

    @property
    def fault(self) -> Fault | None:
        """The fault that decides the outcome; those of the download come later."""
        return next((fault for fault in self.faults if fault.kind not in DOWNLOAD), None)


@dataclass(kw_only=True, slots=True)
class Interaction:
    """One interaction and how far it is."""

    id: str
    order: Order
    created: str
    updated: str
    status: str = "in_progress"
    polls: int = 0
    film: StoredFile | None = None
    errors: list[dict[str, str]] = field(default_factory=list)
    finished: anyio.Event = field(default_factory=anyio.Event)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    def finish(self, status: str, *, code: str = "", message: str = "") -> None:
        """Reach a final state."""
        self.status = status
        self.updated = now_text()
        if message:
            self.errors = [{"code": code, "message": message}]
        self.finished.set()


class InteractionBook:
    """All interactions of one emulator."""

    def __init__(self, settings: EmulatorSettings, files: FileShelf, bill: Bill) -> None:
        self._settings = settings
        self._files = files
        self._bill = bill
        self._interactions: dict[str, Interaction] = {}
        # two encoders at a time keep a small machine usable
        self._encoders = anyio.Semaphore(2)
        self._rendering = 0
        self.last_finished_at = 0.0
        self.tasks: TaskGroup | None = None

    @property
    def is_rendering(self) -> bool:
        """Whether a clip is being made."""
        return self._rendering > 0

    def start(self, order: Order) -> Interaction:
        """Accept an order, charge it and start rendering."""
        assert self.tasks is not None
        now = now_text()
        interaction = Interaction(id=f"v1_{secrets.token_urlsafe(24)}", order=order, created=now, updated=now)
        self._interactions[interaction.id] = interaction
        if order.fault is None or order.fault.kind not in UNBILLED_FAULTS:
            self._bill.add(
                model=order.model.name,
                kind="video",
                operation=interaction.id,
                task=order.plan.task,
                usd=price(order, usage_of(interaction, completed=True)),
            )
        self.tasks.start_soon(self._work, interaction)
        return interaction

    def get(self, interaction_id: str) -> Interaction:
        """Find an interaction.

        Raises:
            ApiError: There is none of that id.
        """
        interaction = self._interactions.get(interaction_id)
        if interaction is None:
            raise interaction_error("Invalid interaction name")
        return interaction

    def cancel(self, interaction_id: str) -> Interaction:
        """Stop a running interaction; one that ended stays as it is."""
        interaction = self.get(interaction_id)
        if interaction.status not in TERMINAL:
            interaction.finish("cancelled")
            interaction.scope.cancel()
        return interaction

    def delete(self, interaction_id: str) -> None:
        """Forget an interaction; its file stays until it expires."""
        interaction = self.get(interaction_id)
        interaction.finished.set()
        interaction.scope.cancel()
        del self._interactions[interaction_id]

    def forget_unstored(self, interaction: Interaction) -> None:
        """Forget an interaction that was not to be stored."""
        if not interaction.order.store:
            self._interactions.pop(interaction.id, None)

    def clear(self) -> None:
        """Stop and forget all interactions."""
        for interaction in self._interactions.values():
            interaction.finished.set()
            interaction.scope.cancel()
        self._interactions = {}

    async def _work(self, interaction: Interaction) -> None:
        self._rendering += 1
        try:
            with interaction.scope:
                await self._produce(interaction)
        finally:
            self._rendering -= 1
            self.last_finished_at = time.monotonic()

    async def _produce(self, interaction: Interaction) -> None:
        started = anyio.current_time()
        fault = interaction.order.fault
        film = None
        try:
            if fault is None or fault.kind in {"drop_after_accept", "stuck", "unknown_status"}:
                film = await self._render(interaction.order)
        except MediaError as error:
            self._bill.void(interaction.id)
            interaction.finish("failed", code="internal", message=str(error))
            return
        await anyio.sleep_until(started + self._settings.video_seconds)
        interaction.film = film
        limit = self._settings.inline_limit_bytes
        if film is not None and _is_inline(interaction.order) and film.size_bytes > limit:
            message = 'The generated video is too large to be returned inline; use delivery "uri".'
            interaction.finish("failed", code="internal", message=message)
            return
        _end(interaction, fault)

    async def _render(self, order: Order) -> StoredFile:
        executable = find_ffmpeg(self._settings.ffmpeg)
        file_id, path = self._files.new_path()
        async with self._encoders:
            await render(order.plan, executable, path)
        film = await anyio.to_thread.run_sync(
            lambda: self._files.put(file_id, mime_type="video/mp4", source="GENERATED")
        )
        for fault in order.faults:
            if fault.kind == "expired":
                film.expired = True
            elif fault.kind in DOWNLOAD:
                film.faults.append(fault)
        return film


def _end(interaction: Interaction, fault: Fault | None) -> None:
    match fault.kind if fault else "":
        case "video_failed":
            assert fault is not None
            message = fault.text("message", "An internal error occurred.")
            interaction.finish("failed", code=fault.text("code", "internal"), message=message)
        case "video_blocked":
            message = "The prompt was blocked by the content safety filter."
            interaction.finish("failed", code="https://ai.google.dev/errors/blocked", message=message)
        case "stuck":
            return
        case "unknown_status":
            assert fault is not None
            interaction.status = fault.text("status", "some_future_status")
        case _:
            interaction.finish("completed")


def _is_inline(order: Order) -> bool:
    return order.delivery != "uri"


def usage_of(interaction: Interaction, *, completed: bool) -> dict[str, Any] | None:
    """Count the tokens of an interaction, as Google reports them once it is completed."""
    if not completed:
        return None
    order = interaction.order
    is_refusal = order.fault is not None and order.fault.kind == "video_refused_text_only"
    modality, tokens = ("text", REFUSAL_TOKENS) if is_refusal else ("video", order.video_tokens)
    return {
        "total_tokens": order.input_tokens + tokens,
        "total_input_tokens": order.input_tokens,
        "total_output_tokens": tokens,
        "output_tokens_by_modality": [{"modality": modality, "tokens": tokens}],
    }


def price(order: Order, usage: dict[str, Any] | None) -> Decimal:
    """Price the tokens of an interaction in USD."""
    if usage is None:
        return Decimal(0)
    modality = usage["output_tokens_by_modality"][0]["modality"]
    rate = order.model.text_price if modality == "text" else order.model.video_price
    tokens_in, tokens_out = Decimal(usage["total_input_tokens"]), Decimal(usage["total_output_tokens"])
    return (tokens_in * order.model.input_price + tokens_out * rate) / MILLION


async def interaction_json(interaction: Interaction, *, include_input: bool) -> dict[str, Any]:
    """Show an interaction the way Google does."""
    order = interaction.order
    shown: dict[str, Any] = {
        "id": interaction.id,
        "object": "interaction",
        "status": interaction.status,
        "model": order.model.name,
        "created": interaction.created,
        "updated": interaction.updated,
    }
    if order.previous_id:
        shown["previous_interaction_id"] = order.previous_id
    if order.labels:
        shown["labels"] = order.labels
    if include_input:
        shown["input"] = order.input
    if interaction.errors:
        shown["errors"] = interaction.errors
    if interaction.status == "completed":
        shown["role"] = "model"
        shown["steps"] = await _steps(interaction)
        shown["usage"] = usage_of(interaction, completed=True)
    return shown


async def _steps(interaction: Interaction) -> list[dict[str, Any]]:
    thought = {"type": "thought", "signature": base64.b64encode(interaction.id.encode()).decode()}
    fault = interaction.order.fault
    if fault is not None and fault.kind == "video_refused_text_only":
        text = fault.text("text", REFUSAL)
        return [{"type": "model_output", "content": [{"type": "text", "text": text}]}]
    film = interaction.film
    if film is None:
        return [thought]
    content = {"type": "video", "mime_type": film.mime_type}
    if _is_inline(interaction.order):
        data = await anyio.Path(film.path).read_bytes()
        content["data"] = base64.b64encode(data).decode()
    else:
        content["uri"] = f"{interaction.order.base_url}v1beta/files/{film.id}:download?alt=media"
    return [thought, {"type": "model_output", "content": [content]}]
