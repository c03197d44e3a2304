"""Runs the commands over the same generator as the server."""

import argparse
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import anyio
from pydantic import BaseModel, ValidationError

from mediagen.app.app import App, Role, open_app
from mediagen.cli.batch import run_batch
from mediagen.cli.console import print_error, print_report, progress_display
from mediagen.cli.defaults_view import defaults_text
from mediagen.cli.editing import run_edit
from mediagen.cli.next_command import next_command
from mediagen.cli.parser import COMMANDS, EDITS, build_parser, request_values
from mediagen.cli.records import repeated_request, show_record
from mediagen.cli.settings_view import models_text, settings_rows
from mediagen.cli.spending import show_spending
from mediagen.cli.worker import run_worker
from mediagen.errors import (
    BudgetExceededError,
    ConfigurationError,
    InvalidRequestError,
    JobNotFoundError,
    LedgerError,
    MediaGenError,
    SubmissionUnconfirmedError,
    UnavailableError,
)
from mediagen.generator.resolving import resolve_job
from mediagen.jobs import OPEN_STATUSES, JobStatus
from mediagen.report.checks import CheckReport
from mediagen.report.checks_text import check_summary
from mediagen.report.job import JobListReport, JobReport
from mediagen.report.text import error_in_words, estimate_summary, list_summary, summary
from mediagen.requests import (
    CancelJobRequest,
    CheckApiRequest,
    EstimateCostRequest,
    ExtendVideoRequest,
    GenerateImageRequest,
    GenerateVideoRequest,
    GetJobRequest,
    ListJobsRequest,
    ResolveJobRequest,
    explain_invalid,
)
from mediagen.runner.resolving import RESOLVED
from mediagen.runner.runner import OnProgress
from mediagen.settings import ProfileSettings, read_settings

if TYPE_CHECKING:
    from mediagen.cli.config_setup import CheckOutcome
    from mediagen.endpoints.http import HttpSettings

OK, FAILED, BAD_ARGUMENTS, CONFIGURATION, UNAVAILABLE, OVER_BUDGET, UNCONFIRMED = range(7)
LONGEST_WAIT = 3600.0

EXIT_CODES: tuple[tuple[type[MediaGenError], int], ...] = (
    (InvalidRequestError, BAD_ARGUMENTS),
    (JobNotFoundError, BAD_ARGUMENTS),
    (ConfigurationError, CONFIGURATION),
    (LedgerError, CONFIGURATION),
    (UnavailableError, UNAVAILABLE),
    (BudgetExceededError, OVER_BUDGET),
    (SubmissionUnconfirmedError, UNCONFIRMED),
)
STATUS_CODES = {JobStatus.SUCCEEDED: OK, JobStatus.UNCONFIRMED: UNCONFIRMED, "dry_run": OK}
# A job keeps the code of its error, not the class.
ERROR_CODES = {
    "authentication": CONFIGURATION,
    "configuration": CONFIGURATION,
    "credential_kind": CONFIGURATION,
    "credentials_file": CONFIGURATION,
    "credentials_refused": CONFIGURATION,
    "malformed_key": CONFIGURATION,
    "no_credentials": CONFIGURATION,
    "profile_incomplete": CONFIGURATION,
    "profile_unknown": CONFIGURATION,
    "service_agents_provisioning": UNAVAILABLE,
    "storage_unavailable": UNAVAILABLE,
    "unavailable": UNAVAILABLE,
}

Action = Callable[[App, argparse.Namespace], Awaitable[int]]


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["emulator"]:
        from mediagen.emulator.__main__ import main as emulator

        return emulator(words[1:])
    namespace = build_parser().parse_args(words)
    try:
        return _dispatch(namespace)
    except ValidationError as error:
        print_error(explain_invalid(error, COMMANDS.get(namespace.command, (ListJobsRequest,))[0]))
        return BAD_ARGUMENTS
    except MediaGenError as error:
        print_error(error_in_words(error))
        return _exit_code(error)
    except BrokenPipeError:
        # The reader of our output has gone (`… | head`).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except KeyboardInterrupt:
        if namespace.command in EDITS:
            print_error("stopped; nothing was made.")
        else:
            print_error("stopped waiting; a job that was sent goes on at Google: `mediagen jobs resume` collects it.")
        return 130


def _dispatch(namespace: argparse.Namespace) -> int:
    match namespace.command:
        case "serve":
            return _serve(namespace)
        case "demo":
            from mediagen.cli.demo import run_demo

            return run_demo(output_dir=namespace.output_dir, live=namespace.live)
        case "models":
            print_report(*models_text(), as_json=namespace.json)
            return OK
        case "config":
            return _config(namespace)
        case "jobs":
            return anyio.run(_with_app, JOB_ACTIONS[namespace.action], namespace)
        case _:
            return anyio.run(_with_app, ACTIONS[namespace.command], namespace)


def _config(namespace: argparse.Namespace) -> int:
    if namespace.action == "setup":
        from mediagen.cli.config_setup import run_setup

        return run_setup(_tested)
    print_report(*settings_rows(read_settings(), only_paths=namespace.action == "path"), as_json=namespace.json)
    return OK


async def _tested(profile: ProfileSettings) -> "CheckOutcome":
    """Try the credentials of a profile that is not saved yet."""
    from mediagen.cli.config_setup import CheckOutcome

    settings = read_settings().model_copy(
        update={"profiles": (profile,), "profile": None, "default_profile": profile.name, "warnings": ()}
    )
    async with open_app(settings) as app:
        report = await app.checks.check_api(CheckApiRequest(backend=profile.backend))
    surface = next(iter(report.surfaces), None)
    return CheckOutcome(
        ok=report.ok,
        words=(surface and (surface.error or surface.note))
        or " ".join(report.problems)
        or "The credentials were accepted.",
    )


def _serve(namespace: argparse.Namespace) -> int:
    from mediagen.server.serve import serve_http, serve_stdio

    return serve_http(namespace.host, namespace.port) if namespace.http else serve_stdio()


async def _with_app(action: Action, namespace: argparse.Namespace) -> int:
    settings = read_settings(wait_seconds=LONGEST_WAIT)
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("mediagen").setLevel(settings.log_level)
    role: Role = "server" if namespace.command == "worker" else "command"
    async with open_app(settings, role=role, confine_inputs=False, http=_patience(namespace.command)) as app:
        return await action(app, namespace)


def _patience(command: str) -> "HttpSettings | None":
    if command != "batch":
        return None
    from mediagen.endpoints.http import HttpSettings

    # A batch waits for all of its rows together where Google's limit is met.
    return HttpSettings(paid_retries=0)


async def _generate(app: App, namespace: argparse.Namespace) -> int:
    request_type = COMMANDS[namespace.command][0]
    values = request_values(namespace, request_type)
    if namespace.show_defaults:
        values["dry_run"] = True
    if namespace.like is None:
        request = request_type.model_validate(values)
    else:
        request = await repeated_request(app, namespace, values)
    with progress_display() as show:
        report = await _made(app, request, show)
        if namespace.wait_seconds is None:
            report = await _whole_chain(app, report, show)
    if namespace.show_defaults:
        print_report(report, defaults_text(report), as_json=namespace.json)
        return _job_code(report)
    return await _job_told(app, report, namespace)


async def _made(app: App, request: BaseModel, show: OnProgress) -> JobReport:
    match request:
        case GenerateImageRequest():
            return await app.generator.generate_image(request, show)
        case GenerateVideoRequest():
            return await app.generator.generate_video(request, show)
        case ExtendVideoRequest():
            return await app.generator.extend_video(request, show)
    raise AssertionError(type(request))


async def _whole_chain(app: App, report: JobReport, show: OnProgress) -> JobReport:
    """Wait on through a chain of extensions, which may take longer than one wait; the last report that there is."""
    waited_for: list[object] = []
    while "chain_id" in report.effective and report.next and report.next.tool == "get_job":
        job_id = report.next.arguments["job_id"]
        if waited_for[-2:] == [job_id, job_id]:  # a link that hangs, or that another process should go on with
            return report
        waited_for.append(job_id)
        report = await app.generator.get_job(GetJobRequest(job_id=job_id, wait_seconds=LONGEST_WAIT), show)
    return report


async def _check(app: App, namespace: argparse.Namespace) -> int:
    request = CheckApiRequest.model_validate(request_values(namespace, CheckApiRequest))
    report = await app.checks.check_api(request)
    print_report(report, check_summary(report, with_notes=bool(request.filter)), as_json=namespace.json)
    return _check_code(report)


def _check_code(report: CheckReport) -> int:
    if report.ok:
        return OK
    chosen = next((surface for surface in report.surfaces if surface.chosen), None)
    if chosen is None or report.blocking:
        return CONFIGURATION
    if chosen.works:
        # All is well but for the model that was asked about.
        return BAD_ARGUMENTS
    return UNAVAILABLE if chosen.retryable else CONFIGURATION


async def _cost(app: App, namespace: argparse.Namespace) -> int:
    request = EstimateCostRequest.model_validate(request_values(namespace, EstimateCostRequest))
    report = await app.estimates.estimate_cost(request)
    print_report(report, estimate_summary(report), as_json=namespace.json)
    return OK


async def _list_jobs(app: App, namespace: argparse.Namespace) -> int:
    page = await app.generator.list_jobs(ListJobsRequest.model_validate(request_values(namespace, ListJobsRequest)))
    report = JobListReport(jobs=page.jobs, next_cursor=page.next_cursor)
    print_report(report, list_summary(report), as_json=namespace.json)
    return OK


async def _show_job(app: App, namespace: argparse.Namespace, wait_seconds: float = 0.0) -> int:
    request = GetJobRequest(job_id=namespace.job_id, wait_seconds=wait_seconds)
    if wait_seconds:
        await app.runner.resume(only=namespace.job_id)
    with progress_display() as show:
        report = await app.generator.get_job(request, show if wait_seconds else None)
        if wait_seconds and report.status == JobStatus.UNCONFIRMED:
            # It may have become so a moment ago, with its clip in its bucket by now.
            await app.runner.resume(only=namespace.job_id)
            report = await app.generator.get_job(request, show)
    code = await _job_told(app, report, namespace)
    return code if wait_seconds else OK


async def _cancel_job(app: App, namespace: argparse.Namespace) -> int:
    await _job_told(app, await app.generator.cancel_job(CancelJobRequest(job_id=namespace.job_id)), namespace)
    return OK


async def _resolve_job(app: App, namespace: argparse.Namespace) -> int:
    outcome = namespace.outcome.replace("-", "_") if namespace.outcome else None
    request = ResolveJobRequest(
        job_id=namespace.job_id, outcome=outcome, operation=namespace.operation, wait_seconds=LONGEST_WAIT
    )
    with progress_display() as show:
        report = await resolve_job(app.generator, request, "the command line", show)
    code = await _job_told(app, report, namespace)
    return OK if report.error and report.error.code in RESOLVED else code


async def _resume_jobs(app: App, namespace: argparse.Namespace) -> int:
    reports: dict[str, JobReport] = {}
    taken = await app.runner.resume()
    while taken:
        for job in taken:
            with progress_display() as show:
                report = await app.generator.get_job(GetJobRequest(job_id=job.job_id, wait_seconds=LONGEST_WAIT), show)
                reports[job.job_id] = await _whole_chain(app, report, show)
        # Of one that turns out to be unconfirmed the clip may lie in its bucket by now.
        is_lost = any(reports[job.job_id].status == JobStatus.UNCONFIRMED for job in taken)
        taken = await app.runner.resume() if is_lost else []
    listed = JobListReport(jobs=list(reports.values()), next_cursor=None)
    print_report(listed, list_summary(listed) if reports else "No open jobs to take over.", as_json=namespace.json)
    await _delivered(app, *reports.values())
    return max([OK, *map(_job_code, reports.values())])


async def _job_told(app: App, report: JobReport, namespace: argparse.Namespace) -> int:
    print_report(report, summary(report, next_command), as_json=namespace.json)
    await _delivered(app, report)
    return _job_code(report)


async def _delivered(app: App, *reports: JobReport) -> None:
    """Take down what was printed, once it has left this process."""
    sys.stdout.flush()
    for report in reports:
        await app.deliveries.told(report)


def _job_code(report: JobReport) -> int:
    if report.error and report.status == JobStatus.FAILED:
        return ERROR_CODES.get(report.error.code, FAILED)
    if report.status in OPEN_STATUSES:
        return OK
    return STATUS_CODES.get(report.status, FAILED)


def _exit_code(error: MediaGenError) -> int:
    if error.code == "ffmpeg_missing":
        return CONFIGURATION
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), FAILED)


ACTIONS: dict[str, Action] = {
    "show": show_record,
    "image": _generate,
    "video": _generate,
    "extend": _generate,
    "check": _check,
    "cost": _cost,
    "spend": show_spending,
    "worker": run_worker,
    "batch": run_batch,
    **dict.fromkeys(EDITS, run_edit),
}
JOB_ACTIONS: dict[str, Action] = {
    "list": _list_jobs,
    "show": _show_job,
    "wait": partial(_show_job, wait_seconds=LONGEST_WAIT),
    "cancel": _cancel_job,
    "resume": _resume_jobs,
    "resolve": _resolve_job,
}
