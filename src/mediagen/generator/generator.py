"""The data path of one call, in order. Read this first.

plan      validate, choose surface and model, bring in the inputs, name the price     (planner.py, defaults.py)
budget    caps and approval                                                           (budget.py)
ledger    the row is durable before anything is sent                                  (ledger/)
runner    submit, poll, download, store                                               (runner/)
report    what the caller is told                                                     (report/)
"""

import dataclasses
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from mediagen.endpoints.base import PaidRequest
from mediagen.errors import ApprovalNeededError, BudgetExceededError, InvalidRequestError
from mediagen.generator.affordable import LIMITED, fits_in_words, fitting, left_usd, refusal_in_words
from mediagen.generator.alternatives import Alternatives
from mediagen.generator.budget import caps, check_budget, check_may_spend
from mediagen.generator.chains import (
    chain_of,
    first_link,
    later_link,
    next_request,
    of_chain,
    refuse_elsewhere,
    refuse_with_times,
    whole_chain_usd,
)
from mediagen.generator.clips import stored_file
from mediagen.generator.destinations import folder_of
from mediagen.generator.economy import in_own_batches
from mediagen.generator.new_job import USUAL, Terms, new_job
from mediagen.generator.plan import (
    Plan,
    as_requested,
    in_own_folder,
    shorten_data,
    uploaded_uri,
    with_upload,
)
from mediagen.generator.planner import AddressOf, Planner
from mediagen.generator.policy import Policy
from mediagen.generator.reach import Endpoints
from mediagen.generator.wishes import Wishes, repeat_in_words
from mediagen.jobs import Job, JobStatus
from mediagen.ledger.glance import SPOOL
from mediagen.ledger.ids import new_job_id
from mediagen.ledger.ledger import Ledger
from mediagen.report.chain import with_chain
from mediagen.report.job import JobReport, dry_run_report, job_report
from mediagen.requests import (
    CancelJobRequest,
    ExtendVideoRequest,
    GenerateImageRequest,
    GenerateVideoRequest,
    GenerationRequest,
    GetJobRequest,
    ListJobsRequest,
)
from mediagen.routing import Route
from mediagen.runner.runner import OnProgress, Runner
from mediagen.storage.local import LocalStorage

NOT_PART_OF_A_WISH = frozenset({"wait_seconds", "preview", "max_usd", "force_new", "dry_run", "request_id"})
CANCELLED = "it was cancelled"
EMULATED_SECONDS = 5.0  # how long a job of the emulator may take, before any has
STATUS_FILTERS = ("open", *JobStatus)


@dataclass(frozen=True, kw_only=True, slots=True)
class JobPage:
    """Some jobs, newest first, and where to go on."""

    jobs: list[JobReport]
    next_cursor: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Generator:
    """Makes pictures and clips; every public method is one call of a caller."""

    policy: Policy
    planner: Planner
    ledger: Ledger
    runner: Runner
    storage: LocalStorage
    endpoints: Endpoints
    alternatives: Alternatives
    wishes: Wishes
    clock: Callable[[], datetime]

    async def generate_image(
        self, request: GenerateImageRequest, on_progress: OnProgress | None = None, terms: Terms = USUAL
    ) -> JobReport:
        """Make or edit pictures. Costs money.

        Raises:
            InvalidRequestError, BudgetExceededError, ConfigurationError: Nothing was sent.
        """
        return await self._make(request, partial(self.planner.plan_image, request), on_progress, terms)

    async def generate_video(
        self, request: GenerateVideoRequest, on_progress: OnProgress | None = None, terms: Terms = USUAL
    ) -> JobReport:
        """Make a clip. Costs money.

        Raises:
            InvalidRequestError, BudgetExceededError, ConfigurationError: Nothing was sent.
        """
        planner = dataclasses.replace(self.planner, on_progress=on_progress)
        return await self._make(
            request, partial(planner.plan_video, request, self._address_of(request)), on_progress, terms
        )

    async def extend_video(
        self, request: ExtendVideoRequest, on_progress: OnProgress | None = None, terms: Terms = USUAL
    ) -> JobReport:
        """Continue a clip. Costs money.

        Raises:
            InvalidRequestError, BudgetExceededError, ConfigurationError, JobNotFoundError: Nothing was sent.
        """
        return await self._make(request, partial(self._plan_first_link, request, on_progress), on_progress, terms)

    async def make_next_link(self, before: Job) -> None:
        """Make the link of a chain that goes on from a finished one, and start it.

        Raises:
            MediaGenError: It was not made; nothing was sent.
        """
        request = next_request(before)
        plan = await self._plan_extension(request)
        refuse_elsewhere(plan, before, await self.endpoints.base_url(plan.route))
        plan = later_link(plan, before, await self.ledger.chain(chain_of(before).chain_id))
        assert plan.link is not None
        warnings = check_budget(plan.link.quote, request.max_usd, plan.project.limits)
        await self._send(dataclasses.replace(plan, warnings=(*plan.warnings, *warnings)), request)

    async def get_job(self, request: GetJobRequest, on_progress: OnProgress | None = None) -> JobReport:
        """State of a job; waits for it if asked to.

        Raises:
            JobNotFoundError: No such job.
        """
        job = await self.ledger.get(request.job_id)
        return await self._follow_one(job, request.wait_seconds or 0.0, on_progress)

    async def follow(self, job_id: str, wait_seconds: float | None) -> JobReport:
        """State of what a job was begun for: of a chain, its newest link.

        Raises:
            JobNotFoundError: No such job.
        """
        return await self._follow(await self.ledger.get(job_id), wait_seconds, None)

    async def list_jobs(self, request: ListJobsRequest) -> JobPage:
        """Jobs in the ledger, newest first.

        Raises:
            InvalidRequestError: A state or a cursor that does not exist.
        """
        if request.status is not None and request.status not in STATUS_FILTERS:
            raise InvalidRequestError(
                f"status is {request.status!r}; allowed: {', '.join(STATUS_FILTERS)}.", field="status"
            )
        page = await self.ledger.list_jobs(
            status=request.status,
            kind=request.kind,
            query=request.query,
            limit=request.limit,
            cursor=request.cursor,
        )
        return JobPage(jobs=[await self._report(job) for job in page.jobs], next_cursor=page.next_cursor)

    async def cancel_job(self, request: CancelJobRequest) -> JobReport:
        """Ask Google to stop a job; what is made already is kept and billed. Of a chain, no further link is made.

        Raises:
            JobNotFoundError: No such job.
            InvalidRequestError: It cannot be stopped any more.
        """
        stopped = await self.ledger.stop_chain(request.job_id, CANCELLED)
        try:
            job, refused = await self.runner.cancel(request.job_id)
        except InvalidRequestError as error:
            # The link itself cannot be stopped, what would have followed is.
            if not stopped:
                error.hint = await self._newest_link(request.job_id) or error.hint
                raise
            job, refused = await self.ledger.get(request.job_id), ()
        return await self._report(job, *refused)

    async def _newest_link(self, job_id: str) -> str:
        """Which job of its chain can be stopped instead, in words; empty when it is that itself."""
        job = await self.ledger.get(job_id)
        links = await self.ledger.chain(job.chain.chain_id) if job.chain else [job]
        return "" if links[-1].job_id == job_id else f"The newest link of its chain is {links[-1].job_id}."

    async def artifact_file(self, artifact_id: str) -> Path:
        """Path of a stored file.

        Raises:
            JobNotFoundError: Unknown id, or the file is no longer there.
        """
        return await stored_file(self.ledger, artifact_id)

    async def _make(
        self,
        request: GenerationRequest,
        plan: Callable[[], Awaitable[Plan]],
        on_progress: OnProgress | None,
        terms: Terms,
    ) -> JobReport:
        if existing := await self._already_asked(request):
            note = f"This is the earlier job of request_id {request.request_id!r}; nothing new was sent."
            await self.wishes.take_up(existing)
            return await self._follow(existing, terms.wait_seconds_of(request), on_progress, note)
        return await self._run(await plan(), request, on_progress, terms)

    async def _plan_first_link(self, request: ExtendVideoRequest, on_progress: OnProgress | None) -> Plan:
        if not request.times or request.times == 1:
            return await self._plan_extension(request, on_progress)
        refuse_with_times(request)
        plan = await self._plan_extension(request, on_progress)
        spec = self.planner.placement.catalog.find(plan.model, "video", plan.route.surface, self.clock().date()).spec
        return first_link(plan, request.times, spec=spec, prices=self.planner.prices)

    async def _plan_extension(self, request: ExtendVideoRequest, on_progress: OnProgress | None = None) -> Plan:
        planner = dataclasses.replace(self.planner, on_progress=on_progress)
        try:
            return await planner.plan_extension(request, self._address_of(request))
        except InvalidRequestError as error:
            error.hint = f"{error.hint} {self.alternatives.instead_of(request, error)}".strip()
            raise

    def _address_of(self, request: GenerationRequest) -> AddressOf:
        async def address_of(route: Route) -> str | None:
            # A dry run does not start the emulator.
            return None if request.dry_run and route.host is None else await self.endpoints.base_url(route)

        return address_of

    async def _already_asked(self, request: GenerationRequest) -> Job | None:
        """The job of an earlier call with the same request_id.

        Raises:
            InvalidRequestError: That call asked for something else.
        """
        if request.request_id is None or request.force_new or request.dry_run:
            return None
        job = await self.ledger.find_request(request.request_id)
        if job is None:
            return None
        asked = {name: value for name, value in as_requested(request).items() if name not in NOT_PART_OF_A_WISH}
        before = {name: value for name, value in job.requested.items() if name not in NOT_PART_OF_A_WISH}
        different = sorted(name for name in {*asked, *before} if asked.get(name) != before.get(name))
        if different:
            raise InvalidRequestError(
                f"request_id {request.request_id!r} was used for {job.job_id}, which asked for something else "
                f"({', '.join(different)} differ).",
                field="request_id",
                hint="Use another request_id for another wish, or get_job for that job.",
                code="request_id_conflict",
            )
        return job

    async def _run(
        self, plan: Plan, request: GenerationRequest, on_progress: OnProgress | None, terms: Terms
    ) -> JobReport:
        if not request.dry_run:
            plan, repeat = await self.wishes.made_out(plan, request, folder_of(request, plan.project.folder), terms)
            if repeat:
                return await self._follow_repeat(repeat, request, on_progress, terms)
        try:
            quote = plan.link.quote if plan.link else plan.quote
            check_may_spend(plan.project.limits, plan.route.backend)
            warnings = check_budget(quote, request.max_usd, plan.project.limits)
            if request.dry_run:
                await self._check_caps(plan, self._draft(plan, request))
        except BudgetExceededError as error:
            await self._tell_what_fits(error, plan, request)
            if isinstance(error, ApprovalNeededError):
                error.fingerprint, error.model = plan.fingerprint, plan.model
            if not request.dry_run:
                raise
            warnings = (refusal_in_words(error),)
        plan = dataclasses.replace(plan, warnings=(*plan.warnings, *warnings))
        if request.dry_run:
            return dry_run_report(self._draft(plan, request), shorten_data(plan.bodies[0]))
        try:
            job, is_new = await self._send(plan, request, terms)
        except BudgetExceededError as error:
            await self._tell_what_fits(error, plan, request)
            raise
        if not is_new:
            return await self._follow_repeat(job, request, on_progress, terms)
        return await self._follow(job, terms.wait_seconds_of(request), on_progress, is_new=True)

    async def _follow_repeat(
        self, job: Job, request: GenerationRequest, on_progress: OnProgress | None, terms: Terms
    ) -> JobReport:
        note = repeat_in_words(job, self.clock())
        await self.wishes.take_up(job)
        return await self._follow(job, terms.wait_seconds_of(request), on_progress, note)

    async def _tell_what_fits(self, error: BudgetExceededError, plan: Plan, request: GenerationRequest) -> None:
        if error.code in LIMITED:
            left = await left_usd(plan, request.max_usd, ledger=self.ledger, now=self.clock())
            fits = fitting(plan, left, self.planner.prices)
            # The threshold for approval is no cap: that nothing stays below it tells nobody what to do.
            if fits or left < plan.project.limits.confirm_above_usd or error.code != "approval_needed":
                error.hint = f"{fits_in_words(fits, left)} {error.hint}"

    async def _send(self, plan: Plan, request: GenerationRequest, terms: Terms = USUAL) -> tuple[Job, bool]:
        """Take the job in and start it; returns another one, and False, when it is there already."""
        job_id, folder = terms.job_id or new_job_id(self.clock), folder_of(request, plan.project.folder)
        plan = in_own_batches(in_own_folder(plan, job_id), job_id)
        await self.storage.check_directories(
            (self.policy.state_folder / SPOOL, None, "MEDIAGEN_STATE_DIR"),
            (folder, "output_dir" if request.output_dir else None, "MEDIAGEN_OUTPUT_DIR"),
        )
        base_url = await self.endpoints.base_url(plan.route)
        if plan.upload:
            # A video is not sent away for a job that is refused; what holds is the check when it is taken in.
            await self._check_caps(plan, new_job(plan, request, job_id=job_id, base_url=base_url, now=self.clock()))
        bodies = await self._with_upload(plan)
        draft = new_job(plan, request, job_id=job_id, base_url=base_url, now=self.clock())
        if draft.backend == "emulator":
            draft = dataclasses.replace(draft, estimated_seconds=EMULATED_SECONDS)
        job = await self.runner.begin(
            draft,
            [PaidRequest(kind=plan.kind, model=plan.model, api=plan.api, body=body) for body in bodies],
            caps=caps(plan.project.limits, self.clock()),
            replace_request_id=request.force_new,
            whole_usd=whole_chain_usd(plan),
            is_approved=terms.job_id is not None,
        )
        return job, job.job_id == draft.job_id

    async def _check_caps(self, plan: Plan, draft: Job) -> None:
        limits = caps(plan.project.limits, self.clock())
        await self.ledger.check_caps(draft, limits, whole_usd=whole_chain_usd(plan))

    async def _with_upload(self, plan: Plan) -> tuple[dict[str, Any], ...]:
        """The bodies, once the local video that they name is where Google can read it."""
        if plan.upload is None:
            return plan.bodies
        assert plan.upload.path is not None
        if plan.inputs_uri:
            bucket = await self.endpoints.bucket(plan.project.name, plan.route.backend)
            uri = uploaded_uri(plan.inputs_uri, plan.upload)
            uri = await bucket.upload(plan.upload.path, uri, mime_type=plan.upload.mime_type)
        else:
            endpoint = await self.endpoints.at(plan.route, plan.project.name)
            uri = await endpoint.upload(plan.upload.path, plan.upload.mime_type)
        return tuple(with_upload(body, uri) for body in plan.bodies)

    def _draft(self, plan: Plan, request: GenerationRequest) -> Job:
        """The job as it would be, which is not made."""
        return new_job(plan, request, job_id=new_job_id(self.clock), base_url="", now=self.clock())

    async def _follow(
        self, job: Job, wait_seconds: float | None, on_progress: OnProgress | None, *notes: str, is_new: bool = False
    ) -> JobReport:
        """Wait for a job and for those that go on from it by themselves; tells about the newest."""
        deadline = anyio.current_time() + (self.policy.wait_seconds if wait_seconds is None else wait_seconds)
        while True:
            seconds = max(0.0, deadline - anyio.current_time())
            job = await self.runner.wait(job, seconds, of_chain(job, on_progress), is_new=is_new)
            following = await self.ledger.next_link(job)
            if following is None:
                return await self._report(job, *notes)
            job, is_new = following, False

    async def _follow_one(self, job: Job, seconds: float, on_progress: OnProgress | None) -> JobReport:
        return await self._report(await self.runner.wait(job, seconds, of_chain(job, on_progress)))

    async def _report(self, job: Job, *warnings: str) -> JobReport:
        notes = () if job.status.is_terminal else self.runner.notes(job)
        report = job_report(job, self.clock(), extra_warnings=(*notes, *warnings))
        if job.chain:
            report = with_chain(report, job, await self.ledger.chain(job.chain.chain_id), self.clock())
        if other_way := self.alternatives.after(job):
            report = report.model_copy(update={"next": other_way})
        return report
