"""What is said about a job of which nobody knows whether it was billed, and what to do about it. Pure."""

from mediagen.jobs import Job, JobStatus, PaidCall, bucket_folder

_NAMED = frozenset({"unconfirmed", "not_made", "never_finished", "batch_expired", "batch_failed"})
BATCH_LOOKED_FOR = (
    "mediagen looks for its batch among those of the project from time to time while a server runs (or now: `mediagen "
    "jobs resume`), and goes on with it if it is there. "
)


def is_unsettled(job: Job) -> bool:
    """Whether the job has ended, and only its user can find out what it cost."""
    return (
        job.endpoint != "local"
        and job.backend != "emulator"
        and job.status is not JobStatus.SUCCEEDED
        and any(_is_unknown(call) for call in job.calls)
    )


def what_now(job: Job) -> str:
    """What we do about it, and what the user can do; empty when there is nothing to do."""
    if job.error is None or job.error.code not in _NAMED:
        return ""
    folder = next((folder for call in job.calls if _is_lost(call) and (folder := bucket_folder(job, call))), None)
    is_lost_batch = job.is_economy and any(call.status is JobStatus.UNCONFIRMED for call in job.calls)
    looked_for = BATCH_LOOKED_FOR if is_lost_batch else ""
    looked_for += (
        f"mediagen looks into {folder} from time to time while a server runs (or now: `mediagen jobs resume`), and "
        "fetches the clip if it is there. "
        if folder
        else ""
    )
    return (
        f"{looked_for}It is never sent again by itself, and counts as possibly billed. Look at your bill and usage at "
        f"Google before you ask again; then `mediagen jobs resolve {job.job_id} --as billed` (or not-billed), or the "
        "tool resolve_job."
    )


def how_to_settle(job: Job, call: PaidCall) -> str:
    """What can be done about one call of a job whose others succeeded."""
    if not _is_unknown(call):
        return ""
    return f" It may be billed; `mediagen jobs resolve {job.job_id}` settles it."


def _is_lost(call: PaidCall) -> bool:
    return call.status is JobStatus.UNCONFIRMED or (call.error is not None and call.error.code == "not_made")


def _is_unknown(call: PaidCall) -> bool:
    if call.status is JobStatus.UNCONFIRMED:
        return True
    return call.error is not None and call.error.code in _NAMED and call.charge is None
