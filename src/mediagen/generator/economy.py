"""Half the price for whoever can wait a day: each paid call as a batch of its own in Google's Batch API."""

import dataclasses
import json

from mediagen.endpoints.wire.batches import encode_batch, renamed
from mediagen.errors import InvalidRequestError
from mediagen.generator.placement import Place
from mediagen.generator.plan import Plan
from mediagen.jobs import JOB_FOLDER, Kind, batch_display_name
from mediagen.pricing import Prices

# Around a request in a batch.
OTHER_BYTES = 300
INSTEAD = "or make it without economy, at the full price"


def economy_prices(place: Place, kind: Kind, prices: Prices) -> Prices:
    """Prices of batches.

    Raises:
        InvalidRequestError: What is asked for cannot be made in a batch.
    """
    cheaper = prices.in_batches()
    if kind == "video":
        raise InvalidRequestError(
            "economy is not possible for clips: Google's Batch API makes pictures only.",
            field="economy",
            hint="Make the clips without economy, at the full price.",
        )
    if place.route.surface != "gemini":
        raise InvalidRequestError(
            f"economy is not possible on {place.route.backend} (backend): of what mediagen speaks to, only the Gemini "
            "API takes batches. Those of Vertex AI are read from Cloud Storage or BigQuery.",
            field="economy",
            hint=f"Use backend gemini, with an API key in GEMINI_API_KEY; {INSTEAD}.",
        )
    if place.spec.id not in cheaper.table.rows:
        raise InvalidRequestError(
            f"economy is not possible with {place.spec.id}: no price of it in Google's Batch API is known. Models that "
            f"have one: {', '.join(cheaper.table.rows)}.",
            field="economy",
            hint=f"Choose one of these models; {INSTEAD}.",
        )
    return cheaper


def in_batches(plan: Plan, prices: Prices) -> Plan:
    """The plan with each of its calls in a batch, which is named when the job has its id.

    Raises:
        InvalidRequestError: It is too large for a batch.
    """
    _check_size(plan, prices.table.batch.inline_bytes)
    return dataclasses.replace(
        plan,
        api="batch_generate_content",
        bodies=tuple(
            encode_batch(body, batch_display_name(JOB_FOLDER, number)) for number, body in enumerate(plan.bodies)
        ),
        estimated_seconds=prices.table.batch.hours * 3600.0,
    )


def _check_size(plan: Plan, most: int) -> None:
    # All calls of a picture job have the same body.
    size = len(json.dumps(plan.bodies[0])) + OTHER_BYTES
    if size > most:
        raise InvalidRequestError(
            f"economy is not possible with input files of this size: the request has {size / 10**6:.1f} MB, and a "
            f"batch at most {most / 10**6:.0f} MB.",
            field="economy",
            hint=f"Use fewer or smaller input_images; {INSTEAD}.",
        )


def in_own_batches(plan: Plan, job_id: str) -> Plan:
    """The plan with the batches named after the job, so that they are found again if Google's answer is lost."""
    if not plan.is_economy:
        return plan
    bodies = (renamed(body, batch_display_name(job_id, number)) for number, body in enumerate(plan.bodies))
    return dataclasses.replace(plan, bodies=tuple(bodies))
