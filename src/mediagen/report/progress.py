"""How far a job is, in words that a person understands; what is not known is labelled as an estimate."""

import math
from datetime import datetime

from mediagen.jobs import Job, JobStatus, PaidCall, Progress

# An estimate comes near this and stays below it, however long the job takes.
MOST_OF_WAITING = 0.95
STEEPNESS = 1.6
MADE = 0.96
LARGEST_BEFORE_END = 0.99
NOUNS = {"image": "picture", "video": "clip"}


def progress_of(job: Job, now: datetime) -> Progress:
    """Estimate how far a job is, from the time it has run and the usual time of its model."""
    end = job.updated_at if job.status.is_terminal else now
    elapsed = max(0.0, (end - job.created_at).total_seconds())
    estimated = max(1.0, job.estimated_seconds)
    if job.status.is_terminal:
        fraction, message = 1.0, f"{job.status} after {elapsed:.0f} s"
    else:
        waited = MOST_OF_WAITING * (1 - math.exp(-STEEPNESS * elapsed / estimated))
        parts = [_fraction(call, waited) for call in job.calls] or [waited]
        fraction = min(sum(parts) / len(parts), LARGEST_BEFORE_END)
        message = f"{_phase(job, elapsed, estimated)}{_done(job)}"
    return Progress(
        fraction=round(fraction, 4),
        message=message,
        elapsed_seconds=round(elapsed, 1),
        estimated_seconds=round(estimated, 1),
    )


def _fraction(call: PaidCall, waited: float) -> float:
    if call.status.is_terminal:
        return 1.0
    return MADE if call.status is JobStatus.DOWNLOADING else waited


def _phase(job: Job, elapsed: float, estimated: float) -> str:
    """What goes on now; of several calls, what the wait is for."""
    calls = [call for call in job.calls if not call.status.is_terminal]
    maker, files = _maker(job), _files(job)
    usual = f"{elapsed:.0f} s of about {estimated:.0f} s (estimated)"
    if elapsed > estimated:
        usual = f"{elapsed:.0f} s, usually about {estimated:.0f} s"
    is_sent = [call for call in calls if call.status is JobStatus.SUBMITTING and call.attempt is not None]
    if job.is_economy and any(call.status is JobStatus.RUNNING for call in calls):
        return f"{maker} makes {files} in a batch: {elapsed / 60:.0f} min, may take up to {estimated / 3600:.0f} h"
    # A picture is made while its request is on its way: its answer brings it.
    if any(call.status is JobStatus.RUNNING for call in calls) or (is_sent and job.kind == "image"):
        return f"{maker} is {'rendering' if job.kind == 'video' else f'making {files}'}: {usual}"
    if is_sent:
        return f"Sending the request to {maker}: {elapsed:.0f} s"
    if any(call.status is JobStatus.SUBMITTING for call in calls):
        return f"Queued, not sent yet: {elapsed:.0f} s"
    if any(not uri.startswith("file:") for call in calls for uri in call.remote_uris):
        return f"Made; downloading {files}: {elapsed:.0f} s so far"
    return f"Made; storing {files}: {elapsed:.0f} s so far"


def _maker(job: Job) -> str:
    """What people call the model: the first word of its name."""
    return job.model.partition("-")[0].capitalize()


def _files(job: Job) -> str:
    count = sum(call.samples for call in job.calls)
    return f"{count} {NOUNS[job.kind]}s" if count > 1 else f"the {NOUNS[job.kind]}"


def _done(job: Job) -> str:
    """How many are here already, when they are made by calls of their own."""
    if len(job.calls) < 2:
        return ""
    total = sum(call.samples for call in job.calls)
    done = sum(call.samples for call in job.calls if call.status is JobStatus.SUCCEEDED)
    lost = sum(call.samples for call in job.calls if call.status.is_terminal) - done
    failed = f", {lost} not made" if lost else ""
    return f"; {done} of {total} {NOUNS[job.kind]}s done{failed}"
