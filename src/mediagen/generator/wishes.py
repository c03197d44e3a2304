"""What makes two requests one wish, and what is told about the job that fulfils it already."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio.to_thread

from mediagen.endpoints.wire.sizes import is_small
from mediagen.errors import InvalidRequestError
from mediagen.generator.deliveries import Deliveries
from mediagen.generator.new_job import Terms
from mediagen.generator.plan import Plan
from mediagen.generator.reach import Endpoints
from mediagen.jobs import Job, JobStatus
from mediagen.ledger.ledger import Ledger
from mediagen.ledger.repeats import Wish
from mediagen.requests import GenerationRequest
from mediagen.runner.runner import Runner

VERSION = 1  # of what is compared: a fingerprint of another one is of another wish
WHOLE_CHARACTERS = 1000  # a longer text of a body, as a picture is, is compared by its digest
SECONDS_TOLD = 120
MINUTES_TOLD = 120


@dataclass(frozen=True, kw_only=True, slots=True)
class Wishes:
    """Finds the jobs of wishes that are asked for again."""

    ledger: Ledger
    runner: Runner
    endpoints: Endpoints
    deliveries: Deliveries
    clock: Callable[[], datetime]

    async def made_out(
        self, plan: Plan, request: GenerationRequest, folder: Path, terms: Terms
    ) -> tuple[Plan, Job | None]:
        """The plan with its fingerprint, and the job that fulfils its wish already; that one asks for no money.

        Raises:
            InvalidRequestError: It is not what somebody agreed to (code ``agreement_changed``).
        """
        address = await self.endpoints.base_url(plan.route)
        whose = self.ledger.principal
        found = await fingerprint(plan, request, folder=folder, address=address, principal=whose)
        if terms.fingerprint not in {None, found}:
            raise InvalidRequestError(
                "What was agreed to has changed since: an input file, a default or a preset. Nothing was sent.",
                hint="Ask again.",
                code="agreement_changed",
            )
        wish = Wish(fingerprint=found, request_id=request.request_id, now=self.clock(), approval=terms.job_id)
        await self.deliveries.settled()
        repeat = None if request.force_new else await self.ledger.find_repeat(wish)
        return dataclasses.replace(plan, fingerprint=found), repeat

    async def take_up(self, job: Job) -> None:
        """See to it that a job goes on that is asked for again: whoever began it may be gone."""
        links = await self.ledger.chain(job.chain.chain_id) if job.chain else [job]
        await self.runner.resume(only=links[-1].job_id)


async def fingerprint(
    plan: Plan, request: GenerationRequest, *, folder: Path, address: str, principal: str | None = None
) -> str:
    """The same text for two requests that would send the same to the same place, and keep the result in the same.

    What is sent is compared as it is sent, with the inputs inside it: their contents count, not their names. What
    belongs to one call does not: how long to wait, what it may cost, the preview, the caller's own id.

    Args:
        plan: Of the request.
        request: What the caller asked for.
        folder: Where the files go.
        address: Where it is sent.
        principal: Who asks, on a server that several people share.
    """
    wish = {
        "version": VERSION,
        "kind": plan.kind,
        "mode": plan.mode,
        "model": plan.model,
        "api": plan.api,
        "backend": plan.route.backend,
        "surface": plan.route.surface,
        "address": address,
        "profile": plan.project.name,
        "project": plan.route.project,
        "location": plan.route.location,
        "samples": plan.samples,
        "times": plan.link.times if plan.link else 1,
        # A model without a seed is not sent one; who names another one all the same wants another result.
        "seed": getattr(request, "seed", None),
        "upload": plan.upload.sha256 if plan.upload else None,
        "storage_uri": plan.effective.get("storage_uri"),
        "upload_to": plan.effective.get("upload_to"),
        "output_dir": str(folder),
        "output_name": request.output_name,
        # Left out where there is only one: what was compared before there were several stays the same.
        **({"principal": principal} if principal else {}),
    }
    return await _digested(wish, plan.bodies)


def repeat_in_words(job: Job, now: datetime) -> str:
    """Tell that no new job was begun."""
    asked = f"This is the job of the same request asked {_age(job, now)} ago; nothing new was sent."
    if job.status is JobStatus.UNCONFIRMED:
        return f"{asked} It may have been billed: pass force_new=true only if you would pay for it a second time."
    return f"{asked} Pass force_new=true for another."


def _age(job: Job, now: datetime) -> str:
    seconds = max(0, round((now - job.created_at).total_seconds()))
    if seconds < SECONDS_TOLD:
        return f"{seconds} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < MINUTES_TOLD else f"{round(minutes / 60)} h"


async def _digested(wish: Mapping[str, Any], bodies: tuple[dict[str, Any], ...]) -> str:
    if is_small(bodies):
        return _digest_of(wish, bodies)
    return await anyio.to_thread.run_sync(_digest_of, wish, bodies)


def _digest_of(wish: Mapping[str, Any], bodies: tuple[dict[str, Any], ...]) -> str:
    # The calls of a job mostly share one body, which may hold large pictures.
    digests = {id(body): _sha256(json.dumps(_shortened(body), sort_keys=True)) for body in bodies}
    sent = [digests[id(body)] for body in bodies]
    return _sha256(json.dumps({**wish, "bodies": sent}, sort_keys=True))


def _shortened(value: Any) -> Any:
    """The same structure with the digest of each long text in its place."""
    if isinstance(value, Mapping):
        return {name: _shortened(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_shortened(item) for item in value]
    if isinstance(value, str) and len(value) > WHOLE_CHARACTERS:
        return {"sha256": _sha256(value), "characters": len(value)}
    return value


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
