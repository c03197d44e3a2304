"""Calls of which nobody knows what became, and that go on after all."""

from datetime import timedelta

from tests.ledger.ledger_processes import StartWorker
from tests.ledger.ledger_values import NOON, a_job

from mediagen.jobs import JobError, JobStatus
from mediagen.ledger.ledger import Ledger
from mediagen.ledger.writing import CallChanges


def an_error(code: str) -> JobError:
    return JobError(code=code, message="lost 🎬", retryable=False, billed="unknown")


async def ended(ledger: Ledger, *ends: tuple[JobStatus, str]) -> str:
    """A job whose calls have ended so."""
    job = await ledger.create(a_job(calls=len(ends)))
    for ordinal, (status, code) in enumerate(ends):
        await ledger.update_call(
            job.job_id, ordinal, expected=JobStatus.SUBMITTING, status=status, error=an_error(code)
        )
    return job.job_id


async def test_only_lost_calls_since_a_moment_are_unsettled(ledger: Ledger) -> None:
    lost = await ended(ledger, (JobStatus.UNCONFIRMED, "unconfirmed"))
    given_up = await ended(ledger, (JobStatus.FAILED, "not_made"))
    # One call of it succeeded, so that the job has, too.
    beside = await ended(ledger, (JobStatus.SUCCEEDED, ""), (JobStatus.UNCONFIRMED, "unconfirmed"))
    await ended(ledger, (JobStatus.FAILED, "unavailable"))
    await ended(ledger, (JobStatus.FILTERED, "content_filtered"))
    assert [job.job_id for job in await ledger.unsettled(NOON)] == [lost, given_up, beside]
    assert await ledger.unsettled(NOON + timedelta(seconds=1)) == []


async def test_ended_call_goes_on_once(ledger: Ledger) -> None:
    job_id = await ended(ledger, (JobStatus.UNCONFIRMED, "unconfirmed"), (JobStatus.UNCONFIRMED, "unconfirmed"))
    found: CallChanges = {"status": JobStatus.DOWNLOADING, "remote_uris": ("gs://b/🎬.mp4",), "error": None}
    assert not await ledger.reopen(job_id, 0, expected=JobStatus.FAILED, **found)
    assert await ledger.reopen(job_id, 0, expected=JobStatus.UNCONFIRMED, **found)
    # It is open now, and whoever claims it sees to the rest.
    assert not await ledger.reopen(job_id, 1, expected=JobStatus.UNCONFIRMED, **found)
    job = await ledger.get(job_id)
    assert (job.status, job.calls[0].error, job.calls[1].status) == (
        JobStatus.DOWNLOADING,
        None,
        JobStatus.UNCONFIRMED,
    )


async def test_job_that_goes_on_belongs_to_the_one_who_claims_it(ledger: Ledger, worker: StartWorker) -> None:
    job_id = await ended(ledger, (JobStatus.UNCONFIRMED, "unconfirmed"))
    assert await ledger.reopen(job_id, 0, expected=JobStatus.UNCONFIRMED, status=JobStatus.RUNNING, operation="v1_x")
    other = worker("claim", job_id)
    assert other.read() == "ready"
    other.go()
    assert other.read() is True
    assert await ledger.claim(job_id) is None
    assert await ledger.job_of_operation("v1_x") == job_id
    assert await ledger.job_of_operation("v1_") is None
