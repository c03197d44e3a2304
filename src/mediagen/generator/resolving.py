"""Settles a job by the word of whoever pays, and tells what came of it."""

from mediagen.generator.generator import Generator
from mediagen.report.job import JobReport
from mediagen.requests import GetJobRequest, ResolveJobRequest
from mediagen.runner.resolving import Decision, Resolver
from mediagen.runner.runner import OnProgress


async def resolve_job(
    generator: Generator, request: ResolveJobRequest, by: Resolver, on_progress: OnProgress | None = None
) -> JobReport:
    """Settle a job of which nobody knows whether it was billed. Costs nothing.

    Args:
        generator: Has the jobs.
        request: What was found at Google.
        by: Where it was said.
        on_progress: Told how far a job is that goes on.

    Raises:
        JobNotFoundError: No such job.
        InvalidRequestError: There is nothing to settle, or Google knows no such operation; nothing was changed.
        MediaGenError: Google could not be asked for the operation; nothing was changed.
    """
    decision = Decision(outcome=request.outcome, operation=request.operation, by=by)
    notes = await generator.runner.resolve(request.job_id, decision)
    report = await generator.get_job(
        GetJobRequest(job_id=request.job_id, wait_seconds=request.wait_seconds), on_progress
    )
    return report.model_copy(update={"warnings": [*report.warnings, *notes]})
