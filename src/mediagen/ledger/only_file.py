"""Which file is meant by the id of a job. Pure."""

from mediagen.errors import InvalidRequestError
from mediagen.jobs import Artifact, Job, JobStatus


def only_file(job: Job, field: str, *, word: str = "file") -> Artifact:
    """The file of a job that made one.

    Args:
        job: What the caller named.
        field: Argument it was named in.
        word: What such files are called.

    Raises:
        InvalidRequestError: It made nothing (yet), or several.
    """
    if job.status is not JobStatus.SUCCEEDED or not job.artifacts:
        raise InvalidRequestError(
            f"{field} is {job.job_id}, which is {job.status}.",
            field=field,
            hint=f"It has no {word}." if job.status.is_terminal else "Wait for it with get_job.",
        )
    if len(job.artifacts) > 1:
        raise InvalidRequestError(
            f"{field} is {job.job_id}, which made {len(job.artifacts)} {word}s.",
            field=field,
            hint=f"Name one of them: {', '.join(made.uri for made in job.artifacts)}.",
        )
    return job.artifacts[0]
