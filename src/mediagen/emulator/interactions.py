"""Interactions: clips that render in the background, and how they look from outside."""

import base64
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import anyio

from mediagen.emulator.answers import interaction_error
from mediagen.emulator.bill import Bill, now_text, time_text
from mediagen.emulator.buckets import BucketShelf
from mediagen.emulator.catalogue import VideoModel
from mediagen.emulator.cloud import NOT_FOUND, DeliveryError, deliver
from mediagen.emulator.faults import ACCEPTED, DOWNLOAD, Fault
from mediagen.emulator.files import StoredFile
from mediagen.emulator.films import FilmPlan
from mediagen.emulator.studio import Studio
from mediagen.errors import MediaError

MILLION = Decimal(1_000_000)
REFUSAL = "I cannot generate that video."
REFUSAL_TOKENS = 30
UNBILLED_FAULTS = frozenset({"video_failed", "video_blocked"})
TERMINAL = frozenset({"completed", "failed", "cancelled"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """An accepted request for a clip.

    Attributes:
        parent: The project and location it belongs to; empty outside of projects.
        gcs_uri: The folder in Cloud Storage that it goes to.
    """

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
    parent: str = ""
    gcs_uri: str | None = None

    @property
    def fault(self) -> Fault | None:
        """The fault that decides the outcome; those of the download come later."""
        return next((fault for fault in self.faults if fault.kind not in DOWNLOAD), None)


@dataclass(kw_only=True, slots=True)
class Interaction:
    """One interaction and how far it is."""

    id: str
    order: Order
    created_at: datetime
    updated: str
    status: str = "in_progress"
    polls: int = 0
    told: str = ""
    film: StoredFile | None = None
    uri: str = ""
    errors: list[dict[str, str]] = field(default_factory=list)
    finished: anyio.Event = field(default_factory=anyio.Event)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    def asked(self) -> None:
        """Count that its state was asked for, and keep when its end was first told."""
        self.polls += 1
        if self.status in TERMINAL and not self.told:
            self.told = now_text()

    def finish(self, status: str, *, code: str = "", message: str = "") -> None:
        """Reach a final state."""
        self.status = status
        self.updated = now_text()
        if message:
            self.errors = [{"code": code, "message": message}]
        self.finished.set()


class InteractionBook:
    """All interactions of one emulator."""

    def __init__(self, studio: Studio, buckets: BucketShelf, bill: Bill) -> None:
        self._studio = studio
        self._buckets = buckets
        self._bill = bill
        self._interactions: dict[str, Interaction] = {}

    def start(self, order: Order) -> Interaction:
        """Accept an order, charge it and start rendering."""
        assert self._studio.tasks is not None
        now = datetime.now(UTC)
        name = f"v1_{secrets.token_urlsafe(24)}"
        interaction = Interaction(id=name, order=order, created_at=now, updated=time_text(now))
        self._interactions[interaction.id] = interaction
        if order.fault is None or order.fault.kind not in UNBILLED_FAULTS:
            self._bill.add(
                model=order.model.name,
                kind="video",
                operation=interaction.id,
                task=order.plan.task,
                usd=price(order, usage_of(interaction, completed=True)),
            )
        self._studio.tasks.start_soon(self._work, interaction)
        return interaction

    def get(self, interaction_id: str, parent: str) -> Interaction:
        """Find an interaction.

        Raises:
            ApiError: There is none of that id in that project and location, or it was forgotten by now.
        """
        interaction = self._interactions.get(interaction_id)
        oldest = datetime.now(UTC) - timedelta(days=self._studio.settings.interaction_days)
        if interaction is None or interaction.order.parent != parent or interaction.created_at <= oldest:
            raise interaction_error("Invalid interaction name")
        return interaction

    def cancel(self, interaction_id: str, parent: str) -> Interaction:
        """Stop a running interaction; one that ended stays as it is."""
        interaction = self.get(interaction_id, parent)
        if interaction.status not in TERMINAL:
            interaction.finish("cancelled")
            interaction.scope.cancel()
        return interaction

    def delete(self, interaction_id: str, parent: str) -> None:
        """Forget an interaction; its file stays until it expires."""
        interaction = self.get(interaction_id, parent)
        interaction.finished.set()
        interaction.scope.cancel()
        del self._interactions[interaction_id]

    def forget_unstored(self, interaction: Interaction) -> None:
        """Forget an interaction that was not to be stored."""
        if not interaction.order.store:
            self._interactions.pop(interaction.id, None)

    def journal(self) -> list[dict[str, Any]]:
        """Say when each interaction reached its state and when that was first told, and how often it was asked."""
        return [
            {
                "id": interaction.id,
                "status": interaction.status,
                "created": time_text(interaction.created_at),
                "updated": interaction.updated,
                "told": interaction.told,
                "polls": interaction.polls,
            }
            for interaction in self._interactions.values()
        ]

    def age(self, seconds: float) -> None:
        """Make all interactions older."""
        for interaction in self._interactions.values():
            interaction.created_at -= timedelta(seconds=seconds)

    def clear(self) -> None:
        """Stop and forget all interactions."""
        for interaction in self._interactions.values():
            interaction.finished.set()
            interaction.scope.cancel()
        self._interactions = {}

    async def _work(self, interaction: Interaction) -> None:
        with self._studio.at_work(), interaction.scope:
            await self._produce(interaction)

    async def _produce(self, interaction: Interaction) -> None:
        started = anyio.current_time()
        order, fault = interaction.order, interaction.order.fault
        film = None
        try:
            if fault is None or fault.kind in {*ACCEPTED, "stuck", "unknown_status"}:
                film = await self._studio.make(order.plan, order.faults)
        except MediaError as error:
            self._fail(interaction, "internal", str(error))
            return
        await anyio.sleep_until(started + self._studio.settings.video_seconds)
        interaction.film = film
        limit = self._studio.settings.inline_limit_bytes
        if film is not None and _is_inline(order) and film.size_bytes > limit:
            message = 'The generated video is too large to be returned inline; use delivery "uri".'
            interaction.finish("failed", code="internal", message=message)
            return
        if film is not None and order.gcs_uri:
            try:
                (interaction.uri,) = await deliver(self._buckets, order.gcs_uri, [film])
            except DeliveryError as error:
                self._fail(interaction, "not_found" if error.code == NOT_FOUND else "permission_denied", str(error))
                return
        _end(interaction, fault)

    def _fail(self, interaction: Interaction, code: str, message: str) -> None:
        self._bill.void(interaction.id)
        interaction.finish("failed", code=code, message=message)


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
        "created": time_text(interaction.created_at),
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
        content["uri"] = interaction.uri or f"{interaction.order.base_url}v1beta/files/{film.id}:download?alt=media"
    return [thought, {"type": "model_output", "content": [content]}]
