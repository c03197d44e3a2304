"""A question about a price is kept, answered once, and used up once, by whichever process."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import anyio
import pytest
from tests.ledger.ledger_values import NOON, a_job

from mediagen.errors import InvalidRequestError, JobNotFoundError
from mediagen.ledger.approvals import ANSWERED_WITHIN, Approval
from mediagen.ledger.engines.base import Address
from mediagen.ledger.ledger import Ledger

QUESTION = Approval(
    job_id="job_asked",
    principal=None,
    tool="generate_video",
    arguments={"prompt": "a fox 🦊\0", "count": 2},
    question="This costs about $3.20. Go ahead?",
    usd=Decimal("3.20"),
    created_at=NOON,
)


async def test_question_is_read_back_as_it_was_asked(ledger: Ledger):
    assert await ledger.approval("job_asked") is None
    await ledger.ask_approval(QUESTION)
    assert await ledger.approval("job_asked") == QUESTION


@pytest.mark.parametrize("decision", ["accept", "decline", "cancel"])
async def test_first_answer_holds(ledger: Ledger, decision):
    await ledger.ask_approval(QUESTION)
    assert await ledger.decide_approval("job_asked", decision)
    assert not await ledger.decide_approval("job_asked", "accept")
    kept = await ledger.approval("job_asked")
    arguments = QUESTION.arguments if decision == "accept" else {}
    assert kept == replace(QUESTION, arguments=arguments, decision=decision, decided_at=NOON)


async def test_question_that_nobody_answered_in_time_cannot_be_answered(place: Path | Address):
    late = Ledger(place, lambda: NOON + ANSWERED_WITHIN + timedelta(seconds=1))
    await late.ask_approval(QUESTION)
    assert not await late.decide_approval("job_asked", "accept")
    await late.aclose()


async def test_same_question_of_the_same_principal_is_asked_once(ledger: Ledger):
    known = replace(QUESTION, fingerprint="1:a")
    await ledger.ask_approval(known)
    assert await ledger.ask_approval(replace(known, job_id="job_again")) == known
    others = [
        replace(known, job_id="job_dearer", usd=Decimal("3.21")),
        replace(known, job_id="job_other", fingerprint="1:b"),
        replace(known, job_id="job_of_ada", principal="ada"),
        replace(known, job_id="job_unknown", fingerprint=None),
    ]
    for other in others:
        assert await ledger.ask_approval(other) == other


async def test_what_it_was_asked_with_is_kept_only_as_long_as_it_is_of_use(ledger: Ledger):
    await ledger.ask_approval(QUESTION)
    await ledger.decide_approval("job_asked", "decline")
    kept = await ledger.approval("job_asked")
    assert kept
    assert kept.arguments == {}


async def test_yes_that_finds_its_wish_fulfilled_is_used_up(ledger: Ledger):
    running = await ledger.create(a_job(fingerprint="1:a"))
    await ledger.ask_approval(QUESTION)
    await ledger.decide_approval("job_asked", "accept")
    found = await ledger.create(a_job(job_id="job_asked", fingerprint="1:a"), is_approved=True)
    assert found.job_id == running.job_id
    kept = await ledger.approval("job_asked")
    assert kept
    assert kept.made == running.job_id
    with pytest.raises(InvalidRequestError):
        await ledger.create(a_job(job_id="job_asked", fingerprint="1:a"), is_approved=True)


async def test_of_many_answers_at_once_one_holds(ledger: Ledger):
    await ledger.ask_approval(QUESTION)
    taken = []

    async def say() -> None:
        taken.append(await ledger.decide_approval("job_asked", "accept"))

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(say)
    assert sorted(taken) == [False] * 7 + [True]


async def test_agreement_makes_one_job(ledger: Ledger):
    await ledger.ask_approval(QUESTION)
    await ledger.decide_approval("job_asked", "accept")
    made = await ledger.create(a_job(job_id="job_asked"), is_approved=True)
    assert made.job_id == "job_asked"
    kept = await ledger.approval("job_asked")
    assert kept
    assert kept.made == "job_asked"
    with pytest.raises(InvalidRequestError) as refused:
        await ledger.create(a_job(job_id="job_asked"), is_approved=True)
    assert refused.value.code == "already_made"


@pytest.mark.parametrize("decision", [None, "decline", "cancel"])
async def test_without_agreement_no_job_is_made(ledger: Ledger, decision):
    await ledger.ask_approval(QUESTION)
    if decision:
        await ledger.decide_approval("job_asked", decision)
    with pytest.raises(JobNotFoundError):
        await ledger.create(a_job(job_id="job_asked"), is_approved=True)
    with pytest.raises(JobNotFoundError):
        await ledger.get("job_asked")


async def test_agreement_that_came_to_nothing_makes_no_job_later(ledger: Ledger):
    await ledger.ask_approval(QUESTION)
    await ledger.decide_approval("job_asked", "accept")
    assert await ledger.end_approval("job_asked", refusal="too dear after all")
    assert not await ledger.end_approval("job_asked", made="job_other")
    kept = await ledger.approval("job_asked")
    assert kept
    assert (kept.made, kept.refusal) == (None, "too dear after all")
    with pytest.raises(JobNotFoundError):
        await ledger.create(a_job(job_id="job_asked"), is_approved=True)
