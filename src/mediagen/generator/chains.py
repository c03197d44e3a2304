"""Several extensions asked for at once: each is a job that goes on from the result of the one before."""

import dataclasses
import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import anyio

from mediagen.catalog import ModelSpec
from mediagen.defaults import ROUNDING_SECONDS
from mediagen.errors import ConfigurationError, InvalidRequestError, MediaGenError
from mediagen.generator.plan import Plan, PlannedLink
from mediagen.jobs import CHAIN_RESUMED_WITHIN, ChainLink, Job, JobStatus, Progress, Quote, without_own_folder
from mediagen.ledger.ledger import Ledger
from mediagen.pricing import Prices
from mediagen.report.money import dollars
from mediagen.requests import ExtendVideoRequest, VideoParameters
from mediagen.runner.runner import OnProgress
from mediagen.storage.names import MAX_NAME_BYTES, MAX_NAME_CHARACTERS

logger = logging.getLogger(__name__)

# Seconds before a link is tried again that could not be made for a reason that may pass; then the chain stops.
TRY_AGAIN = (2.0, 15.0, 60.0, 300.0)
CENT = Decimal("0.01")
OF_ONE_LINK: tuple[str, ...] = ("last_frame", "reference_images")
OF_THE_CALL = frozenset({"times", "request_id", "force_new", "dry_run", "preview", "wait_seconds"})
# Decided by the first link, so that a setting changed meanwhile does not change the film or its price.
KEPT = ("duration_seconds", "resolution", "generate_audio")
UNCHANGING = ("project", "location", "aspect_ratio", "negative_prompt", "person_generation", "storage_uri", "upload_to")


def refuse_with_times(request: ExtendVideoRequest) -> None:
    """Refuse what belongs to one link only.

    Raises:
        InvalidRequestError: Names the argument.
    """
    for name in OF_ONE_LINK:
        if getattr(request, name):
            raise _not_with_times(request, name, "belongs to one extension")
    if request.source.startswith("data:"):
        raise InvalidRequestError(
            f"source is a data: address, which cannot be given with times={request.times}.",
            field="source",
            hint="Save the video as a file and pass its path, or extend once.",
        )
    if request.count not in {None, 1}:
        raise _not_with_times(request, "count", f"is {request.count} and has to be 1")


def _not_with_times(request: ExtendVideoRequest, name: str, why: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"{name} {why}; it cannot be given with times={request.times}.",
        field=name,
        hint=f"Leave {name} out, or extend once (without times) for that.",
    )


def first_link(plan: Plan, times: int, *, spec: ModelSpec, prices: Prices) -> Plan:
    """Make the first link of a chain out of the plan of one extension.

    Raises:
        InvalidRequestError: The whole film would be too long, or several clips of each link would be made.
    """
    count = plan.effective["count"]
    if count != 1:
        raise InvalidRequestError(
            f"count is {count} ({plan.origins.get('count', 'default')}); with times={times} it has to be 1.",
            field="count",
            hint="Pass count=1.",
        )
    _check_length(plan, times, spec)
    return dataclasses.replace(plan, link=PlannedLink(times=times, quote=whole_quote(plan, times, prices)))


def _check_length(plan: Plan, times: int, spec: ModelSpec) -> None:
    most, seconds = spec.max_total_seconds, plan.effective["duration_seconds"]
    if most is None:
        return
    source = plan.effective.get("source_seconds")
    fitting = math.floor((most + ROUNDING_SECONDS - (source or 0.0)) / seconds)
    if times <= fitting:
        return
    start = "" if source is None else f"{source:g} s + "
    raise InvalidRequestError(
        f"times={times} makes a film of {start}{times} × {seconds} s; with {spec.id} it may be {most} s long. "
        "Nothing was sent.",
        field="times",
        hint=f"Use times={fitting}" + (" at most." if source is None else "; so many fit."),
    )


def whole_chain_usd(plan: Plan) -> Decimal | None:
    """What has to fit under the caps before a chain is begun; None for a job that is not the first of one."""
    return plan.link.quote.usd if plan.link and plan.link.number == 1 else None


def whole_quote(plan: Plan, times: int, prices: Prices) -> Quote:
    """Price of all links: each is priced with the length that its source will have."""
    names = {field.name for field in dataclasses.fields(VideoParameters)}
    first = VideoParameters(**{name: value for name, value in plan.effective.items() if name in names})
    source, seconds = first.source_seconds, first.duration_seconds
    quotes = [plan.quote]
    for number in range(1, times):
        longer = None if source is None else source + number * seconds
        parameters = dataclasses.replace(first, source_seconds=longer)
        quotes.append(prices.quote(parameters, surface=plan.route.surface, location=plan.route.location))
    prices_differ = len({quote.usd for quote in quotes}) > 1
    each = " + ".join(dollars(quote.usd) for quote in quotes if quote.usd is not None)
    return _sum(quotes, f"{times} links: {each}" if prices_differ else f"{times} × ({plan.quote.basis})")


def _sum(quotes: Sequence[Quote], basis: str) -> Quote:
    def total(name: str) -> Decimal | None:
        amounts = [getattr(quote, name) for quote in quotes]
        return None if None in amounts else sum(amounts, Decimal(0))

    return dataclasses.replace(
        quotes[0], usd=total("usd"), min_usd=total("min_usd"), max_usd=total("max_usd"), basis=basis
    )


def chain_of(job: Job) -> ChainLink:
    """Place of a job that is known to be a link."""
    assert job.chain is not None
    return job.chain


def next_request(before: Job) -> ExtendVideoRequest:
    """What to ask for after a finished link: the same wish, in the same place, with its result as source."""
    values: dict[str, Any] = {name: value for name, value in before.requested.items() if name not in OF_THE_CALL}
    values |= {name: before.effective[name] for name in KEPT if name in before.effective}
    values |= {
        "source": before.job_id,
        "model": before.model,
        "backend": before.backend,
        "profile": before.profile,
        "output_dir": before.output_dir,
    }
    return ExtendVideoRequest.model_validate(values)


def refuse_elsewhere(plan: Plan, before: Job, address: str) -> None:
    """Refuse a link that would go, or be paid for, where nobody asked for it: the settings of this process may differ.

    Args:
        plan: Of the link.
        before: The link that it goes on from.
        address: Where it would be sent.

    Raises:
        ConfigurationError: Names what differs.
    """
    then = {"profile": before.profile, "address": before.base_url, **_unchanging(before)}
    now = {"profile": plan.project.name, "address": address, **_unchanging(plan)}
    # The built-in emulator listens elsewhere each time, and costs nothing.
    names = [name for name in then if then[name] != now[name]] if before.backend != "emulator" else []
    if names:
        differing = ", ".join(f"{name} {then[name] or '(none)'} became {now[name] or '(none)'}" for name in names)
        raise ConfigurationError(f"The settings are no longer those that it was begun with: {differing}.")


def _unchanging(made: Plan | Job) -> dict[str, Any]:
    """What is the same in all links; what is to be avoided may stand in the prompt instead of a field."""
    avoided = [change.from_value for change in made.adjustments if change.field == "negative_prompt"]
    values = {name: made.effective.get(name) for name in UNCHANGING}
    if values["storage_uri"]:
        values["storage_uri"] = without_own_folder(values["storage_uri"]).rstrip("/")
    return {**values, "negative_prompt": values["negative_prompt"] or next(iter(avoided), None)}


def later_link(plan: Plan, before: Job, links: Sequence[Job]) -> Plan:
    """Make the next link of a chain out of the plan of its extension; `links` are those made so far."""
    chain = chain_of(before)
    so_far = _sum([*(link.quote for link in links), plan.quote], f"links 1 to {chain.link + 1} of {chain.times}")
    # The real clips are a frame or two longer or shorter than planned, which changes what their seconds cost as source.
    if so_far.usd is not None:
        so_far = dataclasses.replace(so_far, usd=so_far.usd - CENT * chain.link)
    return dataclasses.replace(
        plan,
        requested={
            **{name: value for name, value in before.requested.items() if name not in OF_THE_CALL},
            "source": before.job_id,
        },
        origins={**plan.origins, **before.origins},
        link=PlannedLink(times=chain.times, quote=so_far, number=chain.link + 1, before=before),
    )


def as_link(draft: Job, link: PlannedLink, *, is_dry_run: bool) -> Job:
    """The job as a link of its chain."""
    first = link.before
    chain_id = chain_of(first).chain_id if first else draft.job_id
    usd = link.quote.usd
    price = first.effective.get("chain_usd") if first else None if usd is None else float(usd)
    told = {
        "times": link.times,
        "link": link.number,
        **({} if is_dry_run else {"chain_id": chain_id}),
        **({} if price is None else {"chain_usd": price}),
    }
    return dataclasses.replace(
        draft,
        chain=ChainLink(chain_id=chain_id, link=link.number, times=link.times),
        effective={**draft.effective, **told},
        origins={**draft.origins, **(first.origins if first else {}), "times": "explicit"},
        output_name=_numbered(draft.output_name, link.number) if draft.output_name else None,
        parent_job_id=first.job_id if first else draft.parent_job_id,
    )


def _numbered(name: str, number: int) -> str:
    """The name with the number of the link, which a long name would otherwise lose."""
    suffix = f"_{number}"
    shortened = name[: MAX_NAME_CHARACTERS - len(suffix)].encode()[: MAX_NAME_BYTES - len(suffix)]
    return shortened.decode("utf-8", "ignore") + suffix


def of_chain(job: Job, on_progress: OnProgress | None) -> OnProgress | None:
    """Tells the progress of a link as that of its chain."""
    chain = job.chain
    if chain is None or on_progress is None:
        return on_progress

    async def tell(progress: Progress) -> None:
        fraction = round((chain.link - 1 + progress.fraction) / chain.times, 4)
        message = f"link {chain.link} of {chain.times}: {progress.message}"
        await on_progress(dataclasses.replace(progress, fraction=fraction, message=message))

    return tell


@dataclass(frozen=True, kw_only=True, slots=True)
class Chains:
    """Goes on with chains.

    Attributes:
        make_next: Makes and starts the link after a finished one; raises MediaGenError when nothing was sent.
        try_again: Seconds to wait before each further try, when the reason may pass.
    """

    ledger: Ledger
    make_next: Callable[[Job], Awaitable[None]]
    try_again: tuple[float, ...] = TRY_AGAIN

    async def go_on(self, job: Job) -> None:
        """Make the next link after one that has ended, or write down why there will be none.

        Raises:
            LedgerError: Neither could be written; a later sweep tries again.
        """
        waits = iter(self.try_again)
        while await self._goes_on(job):
            try:
                await self.make_next(job)
            except MediaGenError as error:
                if error.code == "chain_stopped":
                    return
                wait = next(waits, None) if error.retryable else None
                if wait is None:
                    await self._stop(job, str(error))
                    return
                logger.info("job %s: the next link is tried again in %.0f s: %s", job.job_id, wait, error.code)
                await anyio.sleep(wait)
            except Exception as error:
                await self._stop(job, f"a defect in mediagen ({type(error).__name__}).")
                raise
            else:
                return

    async def _goes_on(self, job: Job) -> bool:
        now = await self.ledger.get(job.job_id)
        if now.status is not JobStatus.SUCCEEDED or now.chain is None or now.chain.is_last or now.chain.stopped:
            return False
        if await self.ledger.next_link(now) is not None:
            return False
        if now.updated_at - now.created_at > CHAIN_RESUMED_WITHIN:
            await self._stop(job, "this link was done more than a day after it was asked for.")
            return False
        return True

    async def _stop(self, job: Job, reason: str) -> None:
        logger.warning("job %s: its chain stops", job.job_id)
        await self.ledger.stop_chain(job.job_id, reason)
