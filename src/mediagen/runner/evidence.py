"""Looks for what became of paid requests whose answer was lost: in the bucket, or among the batches of the project.

On Vertex AI each call has a folder. A clip that lies there was made and is fetched as any other. An empty folder proves
less: Google may still be at work, may have made a clip that it could not write, or somebody may have removed it; and
Google promises only that a clip that a filter kept back costs nothing. So a call without a clip ends as failed after a
while, and may still be billed.
Source: https://cloud.google.com/vertex-ai/generative-ai/pricing (checked 2026-11-21)

On the Gemini API each batch has a name that we gave it. One that is in the list was taken and is polled like any other.
One that is not there may be there later: it is looked for as long as a bucket that nobody may list, and then stays a
question for whoever pays.

The Interactions API and the long-running operations can be asked by name only, and the name was in the lost answer.
Source: https://ai.google.dev/gemini-api/docs/interactions (checked 2026-11-21)
"""

import logging
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import anyio

from mediagen.errors import EndpointError, MediaGenError
from mediagen.jobs import Job, JobStatus, PaidCall, batch_display_name, bucket_folder, job_error
from mediagen.ledger.ledger import Ledger
from mediagen.ledger.writing import CallChanges
from mediagen.runner.collect import Collector, EndpointSource
from mediagen.storage.gs_uri import FolderObject

logger = logging.getLogger(__name__)

NOT_MADE = "not_made"
SHORTEST_GRACE = timedelta(hours=1)
GRACE_TIMES = 10  # the usual time of the model
# A bucket that nobody may list stays a question for whoever pays.
LOOKED_FOR = timedelta(days=7)
# After this time nothing is expected of a call any more that was given up already.
LATE = timedelta(hours=48)
# Buckets that do not answer must not hold up other work; the rest comes in the next round.
LOOK_SECONDS = 60.0
LISTED_FOR = timedelta(seconds=30)
FIRST_INTERVAL, LONGEST_INTERVAL = timedelta(minutes=1), timedelta(hours=1)
_NUMBER = re.compile(r"(\d+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """Looks into the buckets of unconfirmed calls; only reads there.

    Attributes:
        looked: When this process last looked for a call.
        listed: Batches of each project, and when they were asked for.
        listing: Held meanwhile.
    """

    ledger: Ledger
    endpoints: EndpointSource
    collector: Collector
    clock: Callable[[], datetime]
    looked: dict[tuple[str, int], datetime] = field(default_factory=dict)
    listed: dict[tuple[str, str, str | None], tuple[datetime | None, dict[str, str]]] = field(default_factory=dict)
    listing: anyio.Lock = field(default_factory=anyio.Lock)

    async def look(self, only: str | None = None, *, busy: Collection[str] = ()) -> list[Job]:
        """Look for every call that it is time to look for, the less often the older it is.

        Args:
            only: Job that alone is looked for.
            busy: Jobs that are not looked for now.

        Returns:
            The jobs whose clip was found: they are open again, and belong to this process.

        Raises:
            LedgerError: The ledger cannot be read.
        """
        going_on, deadline = [], anyio.current_time() + LOOK_SECONDS
        for job in await self.ledger.unsettled(self.clock() - LOOKED_FOR):
            if only not in {None, job.job_id} or job.job_id in busy or not job.status.is_terminal:
                continue
            if anyio.current_time() > deadline:
                break
            if await self.look_for(job, now=False):
                going_on.append(await self.ledger.get(job.job_id))
        return going_on

    async def look_for(self, job: Job, *, now: bool = True) -> bool:
        """Look for the calls of one job that has ended; True when one goes on because its clip was found.

        Args:
            job: The job.
            now: Look also when it was looked for a moment ago.
        """
        found = False
        for call in job.calls:
            if self._may_be_there(job, call) and (now or self._is_due(job, call)):
                self.looked[job.job_id, call.ordinal] = self.clock()
                found |= await self._settle(job, call, is_open=found)
        return found

    def _may_be_there(self, job: Job, call: PaidCall) -> bool:
        if job.is_economy:
            return call.status is JobStatus.UNCONFIRMED
        if bucket_folder(job, call) is None:
            return False
        was_given_up = call.status is JobStatus.FAILED and call.error is not None and call.error.code == NOT_MADE
        return call.status is JobStatus.UNCONFIRMED or (was_given_up and self._age(job) < LATE)

    def _is_due(self, job: Job, call: PaidCall) -> bool:
        last = self.looked.get((job.job_id, call.ordinal))
        interval = min(LONGEST_INTERVAL, max(FIRST_INTERVAL, self._age(job) / 10))
        # A clock that was set back must not end the looking.
        return last is None or not timedelta(0) <= self.clock() - last < interval

    def _age(self, job: Job) -> timedelta:
        age: timedelta = self.clock() - job.created_at
        return age

    async def _settle(self, job: Job, call: PaidCall, *, is_open: bool) -> bool:
        if job.is_economy:
            return await self._find_batch(job, call, is_open=is_open)
        folder = bucket_folder(job, call) or ""
        try:
            objects = await (await self.endpoints.bucket_for_job(job)).list_folder(folder)
            clips = clips_in(objects)
            is_late = self._age(job) > grace(job)
            # Google writes the clips of one request one after the other, and a filter may keep some back.
            if clips and (len(clips) >= call.samples or is_late):
                return await self._go_on(job, call, clips, is_open=is_open)
            if objects and not clips:
                await self._tell(job, call, f"In {folder} lies no clip, but {objects[0].uri}.")
            elif not objects and is_late and call.status is JobStatus.UNCONFIRMED:
                await self._give_up(job, call, folder)
        except MediaGenError as error:
            logger.info("job %s call %d: %s; looked for again later", job.job_id, call.ordinal, error.code)
            if error.code in {"bucket_forbidden", "bucket_missing"}:
                await self._tell(job, call, f"Its clip cannot be looked for: {error}")
        return False

    async def _find_batch(self, job: Job, call: PaidCall, *, is_open: bool) -> bool:
        """Look for a call among Google's batches; True when it goes on."""
        name = batch_display_name(job.job_id, call.ordinal)
        try:
            found = (await self._batches(job)).get(name)
        except MediaGenError as error:
            logger.info("job %s call %d: %s; looked for again later", job.job_id, call.ordinal, error.code)
            return False
        if not found:
            await self._tell(job, call, f"Google has no batch named {name} so far; it is looked for again.")
            return False
        logger.info("job %s call %d: found among the batches", job.job_id, call.ordinal)
        note = f"Google's answer to the paid request was lost; the batch was found by its name, {name}."
        changes: CallChanges = {
            "status": JobStatus.RUNNING,
            "operation": found,
            "error": None,
            "warnings": (*call.warnings, note),
        }
        change = self.ledger.update_call if is_open else self.ledger.reopen
        return await change(job.job_id, call.ordinal, expected=call.status, **changes)

    async def _batches(self, job: Job) -> Mapping[str, str]:
        """All batches of the project of a job: one list serves all that were lost before it was asked for."""
        key = (job.backend, job.base_url, job.profile)
        async with self.listing:
            at, names = self.listed.get(key, (None, {}))
            now = self.clock()
            if at is None or job.updated_at >= at or not timedelta(0) <= now - at < LISTED_FOR:
                names = await (await self.endpoints.for_job(job)).list_batches()
                self.listed[key] = (now, names)
        return names

    async def _go_on(self, job: Job, call: PaidCall, clips: Sequence[str], *, is_open: bool) -> bool:
        logger.info("job %s call %d: found in its bucket", job.job_id, call.ordinal)
        missing = call.samples - len(clips)
        fewer = f" {missing} of {call.samples} are not there, and Google does not say why." if missing > 0 else ""
        note = f"Google's answer to the paid request was lost; the clip was found in {bucket_folder(job, call)}.{fewer}"
        changes: CallChanges = {
            "status": JobStatus.DOWNLOADING,
            "remote_uris": tuple(clips),
            "error": None,
            "warnings": (*call.warnings, note),
        }
        change = self.ledger.update_call if is_open else self.ledger.reopen
        return await change(job.job_id, call.ordinal, expected=call.status, **changes)

    async def _give_up(self, job: Job, call: PaidCall, folder: str) -> None:
        error = job_error(_not_made(folder, self._age(job)))
        await self.collector.spool.owe_record(job, call)
        if await self.ledger.update_call(
            job.job_id, call.ordinal, expected=call.status, status=JobStatus.FAILED, error=error
        ):
            logger.info("job %s call %d ends: %s", job.job_id, call.ordinal, NOT_MADE)
            await self.collector.write_failure(job.job_id, call.ordinal)

    async def _tell(self, job: Job, call: PaidCall, note: str) -> None:
        """Write down what keeps us from knowing more, once."""
        if call.error is None or call.error.hint == note:
            return
        await self.ledger.update_call(
            job.job_id, call.ordinal, expected=call.status, error=replace(call.error, hint=note)
        )


def grace(job: Job) -> timedelta:
    """How long a clip may take to appear before nobody waits for it any more."""
    return max(SHORTEST_GRACE, GRACE_TIMES * timedelta(seconds=job.estimated_seconds))


def clips_in(objects: Sequence[FolderObject]) -> tuple[str, ...]:
    """Addresses of the clips in a folder, ``sample_2`` before ``sample_10``; what is in a bucket is always whole."""
    clips = [each.uri for each in objects if each.size_bytes and _is_clip(each)]
    return tuple(sorted(clips, key=_by_number))


def _is_clip(found: FolderObject) -> bool:
    if found.content_type and found.content_type.startswith("video/"):
        return True
    return found.content_type in {None, "application/octet-stream"} and found.uri.lower().endswith(".mp4")


def _by_number(uri: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in _NUMBER.split(uri)]


def _not_made(folder: str, age: timedelta) -> EndpointError:
    hours = age.total_seconds() / 3600
    return EndpointError(
        f"The answer to the paid request was never seen, and {hours:.0f} h later there is no clip in {folder}.",
        code="not_made",
        hint="Most likely nothing was made. Google does not promise that this costs nothing, so it counts as possibly "
        "billed until you say what your bill says.",
        billed="unknown",
    )
