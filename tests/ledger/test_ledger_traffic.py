"""What was sent lately of one model, and what of it was refused."""

from datetime import timedelta
from typing import Any

import pytest
from tests.ledger.ledger_values import NOON, a_job

from mediagen.jobs import JobError, JobStatus
from mediagen.ledger.ledger import Ledger
from mediagen.ledger.traffic import Line, Refusal

pytestmark = pytest.mark.usefixtures("engine")
SINCE = NOON - timedelta(minutes=1)
TOO_MANY = JobError(code="rate_limited", message="Too many.", retryable=True, billed="no", retry_after=7.0)


async def sent(ledger: Ledger, *, error: JobError | None = None, economy: bool = False, **changes: Any) -> None:
    job = a_job(**changes)
    job = await ledger.create(a_job(**changes, effective={**job.effective, **({"economy": True} if economy else {})}))
    if error:
        await ledger.update_call(job.job_id, 0, expected=JobStatus.SUBMITTING, status=JobStatus.FAILED, error=error)


async def test_calls_of_one_model_and_profile_are_counted_together(ledger: Ledger) -> None:
    job = a_job()
    line = Line(backend=job.backend, model=job.model, profile=job.profile)
    await sent(ledger)
    await sent(ledger)
    await sent(ledger, model="another-model")
    await sent(ledger, profile="another")
    await sent(ledger, error=TOO_MANY)
    found = await ledger.traffic(line, SINCE)
    assert found.taken == (NOON, NOON)
    assert found.refused == (Refusal(sent=NOON, at=NOON, retry_after=7.0),)
    assert (await ledger.traffic(line, NOON + timedelta(seconds=1))).taken == ()


async def test_batches_are_counted_apart(ledger: Ledger) -> None:
    job = a_job()
    await sent(ledger)
    await sent(ledger, economy=True)
    await sent(ledger, economy=True, error=TOO_MANY)
    one_by_one = Line(backend=job.backend, model=job.model, profile=job.profile)
    in_batches = Line(backend=job.backend, model=job.model, profile=job.profile, is_economy=True)
    alone, batched = await ledger.traffic(one_by_one, SINCE), await ledger.traffic(in_batches, SINCE)
    assert (len(alone.taken), len(alone.refused)) == (1, 0)
    assert (len(batched.taken), len(batched.refused)) == (1, 1)
