"""From a plan to the job as it is taken in: whoever reads it back knows what was asked for and what will be done."""

from dataclasses import dataclass
from datetime import datetime

from mediagen.generator.chains import as_link
from mediagen.generator.destinations import folder_of
from mediagen.generator.plan import Plan, origins_told
from mediagen.jobs import Job, JobStatus, PaidCall
from mediagen.requests import GenerationRequest
from mediagen.storage.local import sanitise_name


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """How one call is served, besides what it asks for.

    Attributes:
        job_id: Of the job, should one be made: that of a question about its price which somebody agreed to.
        fingerprint: Of what they agreed to; anything else is refused.
        wait_seconds: How long to wait for it, whatever the request says.
    """

    job_id: str | None = None
    fingerprint: str | None = None
    wait_seconds: float | None = None

    def wait_seconds_of(self, request: GenerationRequest) -> float | None:
        """How long to wait; None is the usual."""
        return request.wait_seconds if self.wait_seconds is None else self.wait_seconds


USUAL = Terms()


def new_job(plan: Plan, request: GenerationRequest, *, job_id: str, base_url: str, now: datetime) -> Job:
    """Make the job of a plan; nothing is kept or sent yet.

    Its `base_url` is where it will be sent; `now` is aware.
    """
    folder = folder_of(request, plan.project.folder)
    job = Job(
        job_id=job_id,
        kind=plan.kind,
        mode=plan.mode,
        backend=plan.route.backend,
        endpoint=plan.route.surface,
        base_url=base_url,
        model=plan.model,
        created_at=now,
        updated_at=now,
        requested=plan.requested,
        effective={**plan.effective, "output_dir": str(folder)},
        origins={
            **origins_told(plan, request),
            "output_dir": "explicit" if request.output_dir else plan.project.folder_origin,
        },
        quote=plan.quote,
        output_dir=str(folder),
        output_name=sanitise_name(request.output_name) if request.output_name else None,
        calls=_calls(plan, job_id),
        adjustments=plan.adjustments,
        warnings=plan.warnings,
        request_id=request.request_id,
        profile=plan.project.name,
        fingerprint=plan.fingerprint,
        parent_job_id=plan.parent_job_id,
        input_files=plan.input_files,
        estimated_seconds=plan.estimated_seconds,
    )
    return job if plan.link is None else as_link(job, plan.link, is_dry_run=request.dry_run)


def _calls(plan: Plan, job_id: str) -> tuple[PaidCall, ...]:
    return tuple(
        PaidCall(job_id=job_id, ordinal=ordinal, status=JobStatus.SUBMITTING, samples=samples)
        for ordinal, samples in enumerate(plan.samples)
    )
