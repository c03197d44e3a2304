"""The tools that follow jobs."""

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult

from mediagen.app.app import App
from mediagen.errors import InvalidRequestError
from mediagen.generator import resolving
from mediagen.report.job import JobListReport, short_row
from mediagen.report.spending import spend_summary
from mediagen.report.text import list_summary
from mediagen.requests import CancelJobRequest, GetJobRequest, GetSpendRequest, ListJobsRequest, ResolveJobRequest
from mediagen.runner.resolving import RESOLVED
from mediagen.server.brief import LARGEST_WORDS, size_of
from mediagen.server.progress import ProgressReporter
from mediagen.server.publishing import published
from mediagen.server.results import answer, plain_result, structured


async def get_job(app: App, request: GetJobRequest, context: Context[App]) -> CallToolResult:
    """State of a job."""
    report = await app.generator.get_job(request, ProgressReporter(context))
    return await answer(app, report, with_preview=True)


async def list_jobs(app: App, request: ListJobsRequest, context: Context[App]) -> CallToolResult:  # noqa: ARG001 - one signature for all handlers
    """Jobs in the ledger."""
    while True:
        page = await app.generator.list_jobs(request)
        rows = [short_row(published(app, job)) for job in page.jobs]
        report = JobListReport(jobs=rows, next_cursor=page.next_cursor)
        words = list_summary(report)
        if request.limit == 1 or size_of(words, structured(report)) <= LARGEST_WORDS:
            return plain_result(report, words)
        # The cursor goes on where a shorter page ends.
        request = request.model_copy(update={"limit": request.limit // 2})


async def get_spend(app: App, request: GetSpendRequest, context: Context[App]) -> CallToolResult:  # noqa: ARG001 - one signature for all handlers
    """Where the money went."""
    report = await app.spending.get_spend(request)
    return plain_result(report, spend_summary(report))


async def cancel_job(app: App, request: CancelJobRequest, context: Context[App]) -> CallToolResult:  # noqa: ARG001 - one signature for all handlers
    """Ask Google to stop a job."""
    report = await app.generator.cancel_job(request)
    return await answer(app, report, with_preview=False)


async def resolve_job(app: App, request: ResolveJobRequest, context: Context[App]) -> CallToolResult:
    """Settle an unconfirmed job."""
    if app.principal is not None and request.outcome == "not_billed":
        raise InvalidRequestError(
            "outcome is 'not_billed', which only whoever pays for this server may say: it sets money free in the caps.",
            field="outcome",
            hint="Tell the owner of the server; outcome='billed' and operation are yours to say.",
        )
    report = await resolving.resolve_job(app.generator, request, "the tool resolve_job", ProgressReporter(context))
    result = await answer(app, report, with_preview=False)
    # The job has failed; the call has not.
    is_settled = report.error is not None and report.error.code in RESOLVED
    return result.model_copy(update={"is_error": False}) if is_settled else result
