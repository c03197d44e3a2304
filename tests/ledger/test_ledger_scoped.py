"""The ledger as one of several principals sees it: the jobs of the others do not exist."""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from functools import partial

import anyio.to_thread
import pytest
from tests.ledger.ledger_values import NOON, a_job, an_artifact

from mediagen.errors import JobNotFoundError
from mediagen.jobs import ChainLink, Job, JobError, JobStatus
from mediagen.ledger.approvals import Approval
from mediagen.ledger.ledger import Ledger
from mediagen.ledger.repeats import Wish
from mediagen.ledger.scoped import ScopedLedger, ledger_of
from mediagen.ledger.spending import Span

ERROR = JobError(code="cancelled", message="No.", retryable=False, billed="no")
# Of everybody, or of nobody: the caps, what is usual of a model, the file itself, the lease of this process.
COMMON = {"aclose", "check_caps", "open", "place", "recoveries", "renew", "spent", "traffic"}
# Asks the database with the principal.
IN_THE_STATEMENT = {
    "complete_artifact_ids",
    "complete_job_ids",
    "files_of_content",
    "find_remote",
    "find_request",
    "list_files",
    "list_jobs",
    "spending",
}


async def made(ledger: Ledger, job: Job) -> Job:
    """A job that has a file and remote address."""
    job = await ledger.create(job)
    await ledger.store_artifacts(
        job.job_id,
        0,
        expected=JobStatus.SUBMITTING,
        artifacts=[an_artifact()],
        remote_uris=(f"https://example.com/v1beta/files/{job.job_id}:download",),
        operation=f"operations/{job.job_id}",
    )
    return await ledger.get(job.job_id)


def test_every_method_of_the_ledger_is_scoped_or_common():
    public = {name for name, _ in inspect.getmembers(Ledger) if not name.startswith("_")} - {"principal"}
    own = {name for name in vars(ScopedLedger) if not name.startswith("_")} - {"principal"}
    assert public == own | COMMON | IN_THE_STATEMENT
    assert not own & (COMMON | IN_THE_STATEMENT)


async def test_each_principal_finds_its_own_job_alone(ledger):
    ada, bob = ledger_of(ledger, "ada"), ledger_of(ledger, "bob")
    job = await made(ada, replace(a_job(), request_id="mine", fingerprint="1:00"))
    wish = Wish(fingerprint="1:00", request_id=None, now=NOON)
    assert job.principal == "ada"
    assert (await ada.find_request("mine") or job).job_id == job.job_id
    assert await bob.find_request("mine") is None
    assert await ledger.find_request("mine") is None
    assert [found.job_id for found in (await ada.list_jobs()).jobs] == [job.job_id]
    assert [found.job_id for found in (await ledger.list_jobs()).jobs] == [job.job_id]
    assert not (await bob.list_jobs()).jobs
    assert len(await ada.files_of_content(job.artifacts[0].sha256)) == 1
    assert len(await ledger.files_of_content(job.artifacts[0].sha256)) == 1
    assert not await bob.files_of_content(job.artifacts[0].sha256)
    assert await ada.find_remote(job.job_id)
    assert await ledger.find_remote(job.job_id)
    assert await bob.find_remote(job.job_id) is None
    for scoped, number in ((ada, 1), (ledger, 1), (bob, 0)):
        assert len((await scoped.list_files(limit=9)).files) == number
        assert len(await scoped.complete_job_ids("", limit=9)) == number
        assert len(await scoped.complete_artifact_ids("", limit=9)) == number
        assert len(await scoped.states([job.job_id])) == number
    assert await ada.find_repeat(wish)
    assert await bob.find_repeat(wish) is None
    assert await ada.job_of_operation(f"operations/{job.job_id}") == job.job_id
    assert await bob.job_of_operation(f"operations/{job.job_id}") is None
    assert sum(group.jobs + group.free_jobs for group in await ada.spending(Span(by="day", with_free=True))) == 1
    assert not await bob.spending(Span(by="day", with_free=True))


async def test_the_job_of_another_is_answered_as_an_id_that_is_none(ledger):
    ada, bob = ledger_of(ledger, "ada"), ledger_of(ledger, "bob")
    job = await made(ada, a_job())
    with pytest.raises(JobNotFoundError) as foreign:
        await bob.get(job.job_id)
    unknown = job.job_id[:-1] + ("0" if job.job_id[-1] != "0" else "1")
    with pytest.raises(JobNotFoundError) as none:
        await bob.get(unknown)
    assert str(foreign.value).replace(job.job_id, "ID") == str(none.value).replace(unknown, "ID")
    with pytest.raises(JobNotFoundError, match="There is no artifact"):
        await bob.artifact(job.artifacts[0].artifact_id)
    assert (await ledger.artifact(job.artifacts[0].artifact_id))[1].job_id == job.job_id


REFUSED: dict[str, Callable[[Ledger, Job], Awaitable[object]]] = {
    "update_call": lambda bob, job: bob.update_call(job.job_id, 0, expected=JobStatus.SUBMITTING, operation="x"),
    "store_artifacts": lambda bob, job: bob.store_artifacts(
        job.job_id, 0, expected=JobStatus.SUBMITTING, artifacts=[an_artifact()]
    ),
    "store_artifacts_here": lambda bob, job: anyio.to_thread.run_sync(
        partial(bob.store_artifacts_here, job.job_id, 0, expected=JobStatus.SUBMITTING, artifacts=[an_artifact()])
    ),
    "reopen": lambda bob, job: bob.reopen(job.job_id, 0, expected=JobStatus.SUBMITTING),
    "look": lambda bob, job: bob.look(job.job_id),
    "open_calls": lambda bob, job: bob.open_calls(job.job_id),
    "claim": lambda bob, job: bob.claim(job.job_id, is_left=True),
    "claim_chain": lambda bob, job: bob.claim_chain(job.job_id),
    "end_unsent": lambda bob, job: bob.end_unsent(job, 0, status=JobStatus.CANCELLED, error=ERROR),
}
WITHOUT_EFFECT: dict[str, Callable[[Ledger, Job], Awaitable[object]]] = {
    "stop_chain": lambda bob, job: bob.stop_chain(job.job_id, "no"),
    "hand_back": lambda bob, job: bob.hand_back(job),
    "note": lambda bob, job: bob.note(replace(job, note="mine now")),
    "begin_attempt": lambda bob, job: bob.begin_attempt(job, 0, "token"),
    "take_back_attempt": lambda bob, job: bob.take_back_attempt(job, 0, "token"),
    "kept_request": lambda bob, job: bob.kept_request(job.job_id, 0),
    "mark_delivered": lambda bob, job: bob.mark_delivered(job.job_id),
    "open_jobs": lambda bob, job: bob.open_jobs(),
    "chain": lambda bob, job: bob.chain(job.job_id),
    "next_link": lambda bob, job: bob.next_link(job),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_the_job_of_another_cannot_be_changed(ledger, name):
    job = await ledger_of(ledger, "ada").create(a_job())
    with pytest.raises(JobNotFoundError):
        await REFUSED[name](ledger_of(ledger, "bob"), job)
    assert await ledger.get(job.job_id) == job


@pytest.mark.parametrize("name", WITHOUT_EFFECT)
async def test_what_is_asked_of_the_job_of_another_changes_and_tells_nothing(ledger, name):
    job = replace(a_job(), kind="video")
    job = await ledger_of(ledger, "ada").create(replace(job, chain=ChainLink(chain_id=job.job_id, link=1, times=2)))
    assert not await WITHOUT_EFFECT[name](ledger_of(ledger, "bob"), job)
    assert await ledger.get(job.job_id) == job


async def test_same_request_id_and_wish_of_two_principals_are_two_jobs(ledger):
    jobs = [
        await ledger_of(ledger, whose).create(replace(a_job(), request_id="mine", fingerprint="1:00"))
        for whose in ("ada", "bob", None)
    ]
    assert len({job.job_id for job in jobs}) == 3
    again = await ledger_of(ledger, "bob").create(replace(a_job(), request_id="mine", fingerprint="1:00"))
    assert again.job_id == jobs[1].job_id
    await ledger_of(ledger, "bob").create(replace(a_job(), request_id="mine"), replace_request_id=True)
    assert [(await ledger.get(job.job_id)).request_id for job in jobs] == ["mine", None, "mine"]


async def test_a_chain_cannot_be_gone_on_with_by_another(ledger):
    first = replace(a_job(), kind="video")
    first = replace(first, chain=ChainLink(chain_id=first.job_id, link=1, times=3))
    await ledger_of(ledger, "ada").create(first)
    second = replace(a_job(), kind="video", chain=ChainLink(chain_id=first.job_id, link=2, times=3))
    with pytest.raises(JobNotFoundError):
        await ledger_of(ledger, "bob").create(second)


async def test_the_question_about_a_price_is_the_principals(ledger):
    ada, bob = ledger_of(ledger, "ada"), ledger_of(ledger, "bob")
    job_id = a_job().job_id
    asked = Approval(
        job_id=job_id,
        principal="bob",
        tool="generate_video",
        arguments={},
        question="?",
        usd=Decimal(9),
        created_at=NOON,
    )
    await ada.ask_approval(asked)
    assert (await ada.approval(job_id) or asked).principal == "ada"
    assert await ledger.approval(job_id)
    assert await bob.approval(job_id) is None
    assert not await bob.decide_approval(job_id, "accept")
    assert not await bob.end_approval(job_id, refusal="no")
    assert await ada.decide_approval(job_id, "accept")
    assert await ada.end_approval(job_id, refusal="no")
