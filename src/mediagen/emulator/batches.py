"""Batches: requests that wait, are worked at and are over, by the clock, and how they look from outside.

Source: https://ai.google.dev/api/batch-api and https://ai.google.dev/gemini-api/docs/batch-api (checked 2026-11-22)
"""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from mediagen.emulator.answers import ApiError, google_error
from mediagen.emulator.bill import Bill, time_text
from mediagen.emulator.faults import Fault
from mediagen.emulator.settings import EmulatorSettings

TYPE = "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch"
EXPIRES = timedelta(hours=48)
OVER = frozenset({"SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED"})
INTERNAL = 13


@dataclass(kw_only=True, slots=True)
class Batch:
    """One batch.

    Attributes:
        responses: What comes of each request, in their order.
        ended_at: When it was cancelled; None when it was not.
    """

    name: str
    model: str
    display_name: str
    created_at: datetime
    responses: list[dict[str, Any]]
    fault: Fault | None = None
    ended_at: datetime | None = None


class BatchBook:
    """All batches of one emulator."""

    def __init__(self, settings: EmulatorSettings, bill: Bill) -> None:
        self._settings = settings
        self._bill = bill
        self._batches: dict[str, Batch] = {}

    def check_room(self) -> None:
        """Refuse a batch more than may be open.

        Raises:
            ApiError: Too many are open.
        """
        if sum(self.state(batch) not in OVER for batch in self._batches.values()) >= self._settings.open_batches:
            raise google_error(429, "Resource has been exhausted (e.g. check quota).")

    def new_name(self) -> str:
        """Make a name that no batch has."""
        return f"batches/{secrets.token_hex(18)}"

    def add(self, batch: Batch) -> None:
        """Take a batch in."""
        self._batches[batch.name] = batch

    def get(self, batch_id: str) -> Batch:
        """Find a batch.

        Raises:
            ApiError: There is none of that id.
        """
        batch = self._batches.get(f"batches/{batch_id}")
        if batch is None:
            raise google_error(404, "Requested entity was not found.")
        return batch

    def all(self) -> list[Batch]:
        """List the batches, newest first."""
        return sorted(self._batches.values(), key=lambda batch: batch.created_at, reverse=True)

    def cancel(self, batch_id: str) -> None:
        """Stop a batch; what was not made costs nothing.

        Raises:
            ApiError: There is none of that id, or it is over.
        """
        batch = self.get(batch_id)
        if self.state(batch) in OVER:
            raise google_error(400, "Batch is already in a terminal state.", status="FAILED_PRECONDITION")
        batch.ended_at = datetime.now(UTC)
        self._bill.void(batch.name)

    def delete(self, batch_id: str) -> None:
        """Forget a batch.

        Raises:
            ApiError: There is none of that id.
        """
        del self._batches[self.get(batch_id).name]

    def age(self, seconds: float) -> None:
        """Make all batches older."""
        for batch in self._batches.values():
            batch.created_at -= timedelta(seconds=seconds)

    def clear(self) -> None:
        """Forget all batches."""
        self._batches = {}

    def state(self, batch: Batch) -> str:
        """How far a batch is, without the prefix of the word."""
        if batch.ended_at is not None:
            return "CANCELLED"
        step, age = timedelta(seconds=self._settings.batch_seconds), datetime.now(UTC) - batch.created_at
        kind = batch.fault.kind if batch.fault else ""
        if age < step:
            return "PENDING"
        if age < 2 * step or (kind == "stuck" and age < EXPIRES):
            return "RUNNING"
        return {"batch_failed": "FAILED", "batch_expired": "EXPIRED", "stuck": "EXPIRED"}.get(kind, "SUCCEEDED")

    def as_json(self, batch: Batch) -> dict[str, Any]:
        """Show a batch the way Google does: what came of it is there twice."""
        state = self.state(batch)
        ended_at = batch.ended_at or batch.created_at + timedelta(seconds=2 * self._settings.batch_seconds)
        count = len(batch.responses)
        metadata: dict[str, Any] = {
            "@type": TYPE,
            "model": f"models/{batch.model}",
            "displayName": batch.display_name,
            "createTime": time_text(batch.created_at),
            "updateTime": time_text(ended_at if state in OVER else batch.created_at),
            "batchStats": {"requestCount": str(count), "pendingRequestCount": str(count)},
            "state": f"BATCH_STATE_{state}",
            "name": batch.name,
        }
        shown: dict[str, Any] = {"name": batch.name, "metadata": metadata}
        if state not in OVER:
            return shown
        metadata["endTime"] = time_text(ended_at)
        shown["done"] = True
        if state != "SUCCEEDED":
            metadata["batchStats"] = {"requestCount": str(count), "failedRequestCount": str(count)}
            return shown | ({"error": _error_of(batch)} if state == "FAILED" else {})
        failed = sum("error" in response for response in batch.responses)
        metadata["batchStats"] = {"requestCount": str(count), "successfulRequestCount": str(count - failed)}
        output = {"inlinedResponses": {"inlinedResponses": batch.responses}}
        return {
            **shown,
            "metadata": {**metadata, "output": output},
            "response": {"@type": f"{TYPE}Output", **output},
        }


def _error_of(batch: Batch) -> dict[str, Any]:
    fault = batch.fault
    code = int(fault.number("code", INTERNAL)) if fault else INTERNAL
    return {"code": code, "message": fault.text("message", "Internal error encountered.") if fault else ""}


def refusal_in_batch(refusal: ApiError) -> dict[str, Any]:
    """What a request that is refused comes to inside a batch: an error with a code of google.rpc.Code."""
    error = refusal.body["error"]
    codes = {400: 3, 401: 16, 403: 7, 404: 5, 429: 8, 503: 14}
    return {"error": {**error, "code": codes.get(error["code"], INTERNAL)}}
