"""What goes into the ledger comes out again, and calls move on only from the state they are in."""

import dataclasses
import sqlite3
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.ledger.ledger_processes import StartWorker
from tests.ledger.ledger_values import NOON, a_job, an_artifact, noon, sqlite_only

from mediagen.errors import InvalidRequestError, JobNotFoundError, LedgerError
from mediagen.jobs import Adjustment, ChainLink, Charge, Job, JobError, JobStatus, PaidCall, Quote, Usage
from mediagen.ledger import queries
from mediagen.ledger.engines.base import Address
from mediagen.ledger.ids import new_artifact_id, new_job_id
from mediagen.ledger.ledger import Ledger

CHARGE = Charge(usd=Decimal("0.1340000001"), basis="tokens", certainty="exact", billed="yes")
ERROR = JobError(code="rate_limited", message="Too many.", retryable=True, billed="unknown", hint="Wait.")


def a_full_job() -> Job:
    """A job in which no field has its default."""
    job = a_job(calls=2)
    return dataclasses.replace(
        job,
        requested={"prompt": 'Ein "Fuchs" 🦊\n%_', "count": 2, "nested": {"list": [1, 2.5, None, True]}},
        origins={"resolution": "explicit", "model": "environment"},
        quote=Quote(
            usd=Decimal("0.10"),
            min_usd=Decimal("0.0999999999"),
            max_usd=Decimal("1E+1"),
            basis="2 x",
            as_of="2026-11-20",
            source="https://example.com/prices",
            certainty="inferred",
        ),
        output_dir="/tmp/Ausgabe 🦊",
        adjustments=(Adjustment(field="seed", from_value=None, to_value=[3], reason="because"),),
        warnings=("one", "two"),
        output_name="fuchs",
        request_id="mine",
        profile="film",
        fingerprint="1:00",
        principal="film-team",
        parent_job_id="job_0",
        input_files={"image": {"sha256": "00"}},
        estimated_seconds=42.5,
        chain=ChainLink(chain_id=job.job_id, link=1, times=3),
    )


SAID_BY_THE_LEDGER = ["fence", "due_at", "note", "failures"]


def test_job_draft_has_no_default_left_over() -> None:
    job = a_full_job()
    same = [
        field.name
        for field in dataclasses.fields(Job)
        if field.default is not dataclasses.MISSING and getattr(job, field.name) == field.default
    ]
    assert same == SAID_BY_THE_LEDGER


async def test_create_keeps_every_field_of_a_job(ledger: Ledger, place: Path | Address) -> None:
    job = a_full_job()
    assert await ledger.create(job) == dataclasses.replace(job, fence=1)
    other = Ledger(place, noon)
    assert await other.get(job.job_id) == dataclasses.replace(job, fence=1)
    await other.aclose()


async def test_update_call_keeps_every_field_of_a_call(ledger: Ledger) -> None:
    job = await ledger.create(a_job())
    changed = PaidCall(
        job_id=job.job_id,
        ordinal=0,
        status=JobStatus.DOWNLOADING,
        operation="operations/1",
        remote_uris=("https://example.com/file",),
        expires_at=NOON + timedelta(days=2),
        usage=Usage(input_tokens=1, output_text_tokens=2, output_image_tokens=3, output_video_tokens=4),
        charge=CHARGE,
        error=ERROR,
        warnings=("smaller",),
    )
    values = {field.name: getattr(changed, field.name) for field in dataclasses.fields(changed)}
    for fixed in ("job_id", "ordinal", "samples", "artifacts"):
        del values[fixed]
    assert await ledger.update_call(job.job_id, 0, expected=JobStatus.SUBMITTING, **values)
    assert (await ledger.get(job.job_id)).calls == (changed,)


async def test_store_artifacts_keeps_all_files_of_a_call_in_their_order(ledger: Ledger) -> None:
    job = await ledger.create(a_job())
    artifacts = [an_artifact(artifact_id=new_artifact_id(noon), path=f"/tmp/out/film_{n}.mp4") for n in (2, 0, 1)]
    assert await ledger.store_artifacts(job.job_id, 0, expected=JobStatus.SUBMITTING, artifacts=artifacts)
    assert (await ledger.get(job.job_id)).artifacts == tuple(artifacts)
    for artifact in artifacts:
        assert (await ledger.artifact(artifact.artifact_id))[0] == artifact


async def test_store_artifacts_keeps_none_when_one_cannot_be_kept(ledger: Ledger) -> None:
    job = await ledger.create(a_job())
    artifact = an_artifact()
    with pytest.raises(LedgerError):
        await ledger.store_artifacts(job.job_id, 0, expected=JobStatus.SUBMITTING, artifacts=[artifact, artifact])
    assert (await ledger.get(job.job_id)).artifacts == ()
    assert (await ledger.get(job.job_id)).status is JobStatus.SUBMITTING


async def test_store_artifact_keeps_the_file_and_ends_the_call(ledger: Ledger) -> None:
    job = await ledger.create(a_job(calls=2))
    artifact = an_artifact(path="/tmp/Ausgabe/🦊.mp4")
    stored = await ledger.store_artifacts(
        job.job_id, 1, expected=JobStatus.SUBMITTING, artifacts=[artifact], charge=CHARGE, warnings=("w",)
    )
    assert stored == await ledger.get(job.job_id)
    found, owner = await ledger.artifact(artifact.artifact_id)
    assert found == artifact
    assert owner.calls[1].status is JobStatus.SUCCEEDED
    assert owner.calls[1].charge == CHARGE
    assert owner.artifacts == (artifact,)
    assert owner.status is JobStatus.SUBMITTING


async def test_store_artifact_without_facts_keeps_them_absent(ledger: Ledger) -> None:
    job = await ledger.create(a_job())
    artifact = an_artifact(width=None, height=None, duration_seconds=None, fps=None, has_audio=None, gcs_uri=None)
    await ledger.store_artifacts(job.job_id, 0, expected=JobStatus.SUBMITTING, artifacts=[artifact])
    assert (await ledger.get(job.job_id)).artifacts == (artifact,)


async def test_store_artifact_that_fails_leaves_the_call_as_it_was(ledger: Ledger) -> None:
    job = await ledger.create(a_job(calls=2))
    artifact = an_artifact()
    await ledger.store_artifacts(job.job_id, 0, expected=JobStatus.SUBMITTING, artifacts=[artifact])
    with pytest.raises(LedgerError):
        await ledger.store_artifacts(job.job_id, 1, expected=JobStatus.SUBMITTING, artifacts=[artifact])
    assert (await ledger.get(job.job_id)).calls[1].status is JobStatus.SUBMITTING


async def test_update_call_in_another_state_changes_nothing(ledger: Ledger) -> None:
    job = await ledger.create(a_job())
    assert not await ledger.update_call(job.job_id, 0, expected=JobStatus.RUNNING, status=JobStatus.FAILED)
    assert not await ledger.store_artifacts(job.job_id, 0, expected=JobStatus.RUNNING, artifacts=[an_artifact()])
    assert await ledger.get(job.job_id) == job


async def test_update_call_moves_the_time_of_the_job(place: Path | Address) -> None:
    moments = [NOON + timedelta(seconds=90)]
    ledger = Ledger(place, lambda: moments[0])
    job = await ledger.create(a_job())
    await ledger.update_call(job.job_id, 0, expected=JobStatus.SUBMITTING, status=JobStatus.RUNNING)
    assert (await ledger.get(job.job_id)).updated_at == moments[0]
    await ledger.aclose()


async def test_update_call_race_of_threads_has_one_winner(ledger: Ledger) -> None:
    job = await ledger.create(a_job())
    won: list[bool] = []

    async def one(number: int) -> None:
        won.append(
            await ledger.update_call(
                job.job_id, 0, expected=JobStatus.SUBMITTING, status=JobStatus.RUNNING, operation=str(number)
            )
        )

    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(one, number)
    assert sorted(won) == [False] * 19 + [True]


async def test_update_call_race_of_processes_has_one_winner(ledger: Ledger, worker: StartWorker) -> None:
    job = await ledger.create(a_job())
    workers = [worker("transition", job.job_id) for _ in range(4)]
    assert [one.read() for one in workers] == ["ready"] * 4
    for one in workers:
        one.go()
    assert sorted(one.rest()[-1] for one in workers) == [False, False, False, True]


async def test_unknown_ids_are_named(ledger: Ledger) -> None:
    job = await ledger.create(a_job())
    with pytest.raises(JobNotFoundError, match="job_none"):
        await ledger.get("job_none")
    with pytest.raises(JobNotFoundError, match="art_none"):
        await ledger.artifact("art_none")
    with pytest.raises(JobNotFoundError, match="no call 7"):
        await ledger.update_call(job.job_id, 7, expected=JobStatus.RUNNING, status=JobStatus.FAILED)
    for method in (ledger.claim,):
        with pytest.raises(JobNotFoundError):
            await method("job_none")


async def test_create_of_a_used_request_id_returns_the_first_job(ledger: Ledger) -> None:
    first = await ledger.create(a_job(request_id="mine"))
    second = await ledger.create(a_job(request_id="mine"))
    assert second == first
    assert await ledger.find_request("mine") == first
    assert await ledger.find_request("other") is None
    assert len((await ledger.list_jobs()).jobs) == 1


async def test_create_can_take_the_request_id_over(ledger: Ledger) -> None:
    first = await ledger.create(a_job(request_id="mine"))
    second = await ledger.create(a_job(request_id="mine"), replace_request_id=True)
    assert second.job_id != first.job_id
    assert await ledger.find_request("mine") == second
    assert (await ledger.get(first.job_id)).request_id is None


async def test_request_id_race_of_processes_makes_one_job(ledger: Ledger, worker: StartWorker) -> None:
    await ledger.open()
    workers = [worker("request", "mine") for _ in range(4)]
    assert [one.read() for one in workers] == ["ready"] * 4
    for one in workers:
        one.go()
    assert len({one.rest()[-1] for one in workers}) == 1
    assert len((await ledger.list_jobs()).jobs) == 1


async def test_estimate_of_a_new_job_is_the_median_of_jobs_of_the_same_model_and_scale(place: Path | Address) -> None:
    now = [NOON]
    ledger = Ledger(place, lambda: now[0])

    async def finish(seconds: float, **changes: Any) -> None:
        job = await ledger.create(a_job(**changes))
        now[0] = NOON + timedelta(seconds=seconds)
        await ledger.store_artifacts(job.job_id, 0, expected=JobStatus.SUBMITTING, artifacts=[an_artifact()])

    for seconds in (10, 30, 80):
        await finish(seconds)
    await finish(1, backend="emulator")
    await finish(2, kind="image", model="picture-test", effective={"image_size": "1K"})
    await finish(5, kind="image", model="picture-test", effective={"image_size": "4K"})
    await finish(6, backend="local")
    await finish(3, model="other")
    await finish(4, effective={"resolution": "4k"})
    await ledger.create(a_job())

    async def estimated(**changes: Any) -> float | None:
        return (await ledger.create(a_job(estimated_seconds=99, **changes))).estimated_seconds

    assert await estimated() == 30
    assert await estimated(backend="emulator") == 1
    assert await estimated(effective={"resolution": "1080p"}) == 99
    assert await estimated(kind="image", model="picture-test", effective={"image_size": "4K"}) == 5
    await ledger.aclose()


async def test_ledger_opens_again_after_it_was_closed(ledger: Ledger) -> None:
    job = await ledger.create(a_job())
    await ledger.aclose()
    assert await ledger.get(job.job_id) == job


async def test_create_of_a_name_that_is_no_unicode_is_refused(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="Unicode"):
        await ledger.create(a_job(output_dir="/tmp/\udcff"))
    assert (await ledger.list_jobs()).jobs == ()


async def test_list_jobs_with_a_made_up_cursor_is_refused(ledger: Ledger) -> None:
    for cursor in ("x", "-1", "1" * 30, "²"):
        with pytest.raises(InvalidRequestError, match="cursor"):
            await ledger.list_jobs(cursor=cursor)


def test_ids_sort_by_time_and_are_all_different() -> None:
    moments = iter(NOON + timedelta(milliseconds=n) for n in range(50))
    ids = [new_job_id(moments.__next__) for _ in range(50)]
    assert ids == sorted(ids)
    assert len({new_artifact_id(noon) for _ in range(1000)}) == 1000
    assert {len(one) for one in ids} == {30}
    assert new_artifact_id(noon).startswith("art_")


async def test_files_are_found_by_their_content_newest_job_first(ledger: Ledger) -> None:
    jobs = [await ledger.create(a_job()) for _ in range(3)]
    for job, sha256 in zip(jobs, ("aa", "bb", "aa"), strict=True):
        stored = an_artifact(sha256=sha256)
        await ledger.store_artifacts(job.job_id, 0, expected=JobStatus.SUBMITTING, artifacts=[stored])
    assert [job.job_id for _, job in await ledger.files_of_content("aa")] == [jobs[2].job_id, jobs[0].job_id]
    assert [job.job_id for _, job in await ledger.files_of_content("aa", limit=1)] == [jobs[2].job_id]
    assert await ledger.files_of_content("cc") == []


OF_ALL = {"is_all": True, "principal": None}


@sqlite_only
async def test_index_serves_the_search_by_content(ledger: Ledger, path: Path) -> None:
    await ledger.open()
    with closing(sqlite3.connect(path)) as connection:
        steps = connection.execute(
            f"EXPLAIN QUERY PLAN {queries.SELECT_FILES_OF_CONTENT}", {**OF_ALL, "sha256": "aa", "limit": 20}
        ).fetchall()
    assert "artifacts_by_content" in steps[0][3]
