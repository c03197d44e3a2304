"""A damaged ledger is kept aside, and nothing that can still be read of it is lost."""

import json
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from tests.ledger.ledger_processes import StartWorker
from tests.ledger.ledger_values import MIDNIGHT, a_job, an_artifact, noon

from mediagen.errors import LedgerError
from mediagen.jobs import Job, JobStatus
from mediagen.ledger.engines.sqlite import SqliteDatabase
from mediagen.ledger.ledger import Ledger
from mediagen.ledger.pages import records
from mediagen.ledger.recovery import told
from mediagen.ledger.writing import KeptRequest


@pytest.fixture
def engine() -> str:
    return "sqlite"


JOBS = 60


_FILLED: list[tuple[bytes, list[Job]]] = []


async def filled(path: Path) -> list[Job]:
    """Jobs in every state, some with files, one with a prompt that needs pages of its own; made once for all tests."""
    if not _FILLED:
        made = await _fill(path)
        _FILLED.append((path.read_bytes(), made))
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(_FILLED[0][0])
    path.with_name("output-folders.jsonl").write_text('"/tmp/out"\n')
    return _FILLED[0][1]


async def _fill(path: Path) -> list[Job]:
    ledger = Ledger(path, noon)
    made = [await ledger.create(a_job(prompt=f"fox {n} 🦊" * (2_000 if n == 7 else 1))) for n in range(JOBS)]
    for number, job in enumerate(made):
        operation = f"models/veo/operations/{number}"
        if number % 3:
            await ledger.update_call(
                job.job_id, 0, expected=JobStatus.SUBMITTING, status=JobStatus.RUNNING, operation=operation
            )
        if number % 3 == 2:
            await ledger.store_artifacts(job.job_id, 0, expected=JobStatus.RUNNING, artifacts=[an_artifact()])
    await ledger.aclose()
    ledger = Ledger(path, noon)
    found = [await ledger.get(job.job_id) for job in made]
    await ledger.aclose()
    return found


def spoil(path: Path, *spans: tuple[int, int]) -> None:
    content = bytearray(path.read_bytes())
    for start, end in spans:
        content[start:end] = b"\xa5" * (end - start)
    path.write_bytes(content)


def page_of(path: Path, needle: bytes) -> int:
    return path.read_bytes().index(needle) // 4096 * 4096


async def every_job(ledger: Ledger) -> dict[str, Job]:
    page = await ledger.list_jobs(limit=1000)
    return {job.job_id: job for job in page.jobs}


def never_sent_again(job: Job) -> Job:
    """What looks unsent in a damaged file may have been sent."""
    calls = (replace(call, attempt="unknown") if call.status is JobStatus.SUBMITTING else call for call in job.calls)
    return replace(job, calls=tuple(calls))


def kept(path: Path) -> list[Path]:
    return sorted(path.parent.glob("ledger.damaged-*.sqlite3"))


HEAD = [(0, 4096)]


@pytest.mark.parametrize("spans", [HEAD, [(100, 4096)], [(0, 16)]])
async def test_ledger_without_its_first_page_keeps_every_job(path: Path, spans: list[tuple[int, int]]) -> None:
    made = await filled(path)
    spoil(path, *spans)
    before = path.read_bytes()
    ledger = Ledger(path, noon)
    found = await every_job(ledger)
    assert found == {job.job_id: never_sent_again(job) for job in made}
    [aside] = kept(path)
    assert aside.read_bytes() == before
    assert await ledger.spent(MIDNIGHT) == Decimal("0.50") * JOBS
    [words] = await ledger.recoveries()
    await ledger.aclose()
    assert str(aside) in words
    assert f"{JOBS} jobs were read" in words
    assert "40 of them still open" in words
    assert "Not rebuilt" not in words


async def test_ledger_with_a_spoilt_page_loses_only_what_lay_there(path: Path) -> None:
    made = await filled(path)
    page = page_of(path, b"fox 30 ")
    spoil(path, (page, page + 4096))
    ledger = Ledger(path, noon)
    found = await every_job(ledger)
    [words] = await ledger.recoveries()
    await ledger.aclose()
    assert JOBS - 25 <= len(found) < JOBS
    for job in made:
        if job.job_id in found:
            assert found[job.job_id] == never_sent_again(job)
        else:
            assert job.job_id in words
    assert f"{JOBS - len(found)} jobs, worth ${Decimal('0.50') * (JOBS - len(found))}" in words


async def test_job_whose_call_was_lost_counts_as_possibly_billed(path: Path) -> None:
    made = await filled(path)
    page = page_of(path, b"veo/operations/1")
    spoil(path, (page, page + 4096))
    ledger = Ledger(path, noon)
    found = await every_job(ledger)
    spent = await ledger.spent(MIDNIGHT)
    await ledger.aclose()
    assert found.keys() == {job.job_id for job in made}
    guessed = [job for job in found.values() if job.status is JobStatus.UNCONFIRMED]
    assert guessed
    assert spent == Decimal("0.50") * JOBS
    assert all(job.error and (job.error.code, job.error.billed) == ("ledger_corrupt", "unknown") for job in guessed)


async def test_truncated_ledger_keeps_the_pages_that_are_left(path: Path) -> None:
    await filled(path)
    os.truncate(path, page_of(path, b"fox 40 ") + 1000)
    ledger = Ledger(path, noon)
    found = await every_job(ledger)
    await ledger.aclose()
    assert found
    assert kept(path)


async def test_request_that_was_kept_for_sending_is_not_sent_after_the_damage(path: Path) -> None:
    ledger = Ledger(path, noon)
    job = await ledger.create(a_job(), requests=[KeptRequest(api="predict_long_running", body={})])
    assert await ledger.kept_request(job.job_id, 0)
    await ledger.aclose()
    spoil(path, *HEAD)
    ledger = Ledger(path, noon)
    assert await ledger.kept_request(job.job_id, 0) is None
    assert (await ledger.get(job.job_id)).calls[0].attempt == "unknown"
    await ledger.aclose()


async def test_second_damage_overwrites_nothing_of_the_first(path: Path) -> None:
    for _ in range(2):
        if not path.exists():
            await filled(path)
        spoil(path, *HEAD)
        ledger = Ledger(path, noon)
        assert len(await every_job(ledger)) == JOBS
        await ledger.aclose()
    assert len(kept(path)) == 2
    assert len(told(path)) == 2


async def test_several_processes_that_find_the_damage_at_once_mend_it_once(path: Path, worker: StartWorker) -> None:
    await filled(path)
    spoil(path, *HEAD)
    workers = [worker("first_open") for _ in range(4)]
    assert [one.read() for one in workers] == ["ready"] * 4
    for one in workers:
        one.go()
    assert [one.rest() for one in workers] == [["open"]] * 4
    assert len(kept(path)) == 1
    ledger = Ledger(path, noon)
    assert len(await every_job(ledger)) == JOBS
    await ledger.aclose()


@pytest.mark.parametrize("instant", range(1, 9))
async def test_recovery_that_is_killed_is_begun_anew(path: Path, worker: StartWorker, instant: int) -> None:
    made = await filled(path)
    spoil(path, *HEAD)
    before = path.read_bytes()
    dying = worker("recover_and_die", str(instant))
    dying.process.wait(60)
    dying.kill()
    ledger = Ledger(path, noon)
    found = await every_job(ledger)
    await ledger.aclose()
    assert found == {job.job_id: never_sent_again(job) for job in made}
    assert before in [aside.read_bytes() for aside in kept(path)]
    assert not list(path.parent.glob("*rebuilding*"))
    assert not list(path.parent.glob("*.recovering"))


async def test_open_server_goes_on_in_the_new_ledger(ledger: Ledger, path: Path) -> None:
    made = [await ledger.create(a_job(prompt="fox " * 300)) for _ in range(20)]
    spoil(path, *HEAD)
    other = Ledger(path, noon)
    await other.open()
    job = await ledger.create(a_job())
    assert await other.get(job.job_id) == job
    assert (await every_job(ledger)).keys() == {job.job_id for job in [*made, job]}
    await other.aclose()


async def test_damage_met_in_the_middle_of_work_is_mended_at_the_next_call(ledger: Ledger, path: Path) -> None:
    made = [await ledger.create(a_job(prompt=f"fox {n} " * 100)) for n in range(20)]
    other = await ledger.get(made[3].job_id)
    with closing(sqlite3.connect(path)) as connection:  # where there is a log beside the file, it may be there only
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    page = page_of(path, b"fox 10 ")
    spoil(path, (page, page + 4096))
    with sqlite3.connect(path) as connection:  # what is in memory is read anew after another has written
        connection.execute("UPDATE jobs SET updated_at = updated_at WHERE seq = 1")
    connection.close()
    with pytest.raises(LedgerError) as raised:
        await ledger.list_jobs(limit=100)
    assert raised.value.code == "ledger_corrupt"
    assert raised.value.retryable
    found = await every_job(ledger)
    assert found[other.job_id] == never_sent_again(other)
    assert kept(path)


@pytest.mark.parametrize("empty", [True, False])
async def test_lost_ledger_is_told_and_not_taken_for_a_new_one(path: Path, empty: bool) -> None:
    await filled(path)
    path.unlink()
    if empty:
        path.touch()
    asked: list[list[str]] = []
    job = a_job()

    def rebuild(folders: Sequence[str]) -> dict[str, Job]:
        asked.append([*folders])
        return {job.job_id: job}

    ledger = Ledger(path, noon, rebuild=rebuild)
    assert (await every_job(ledger)).keys() == {job.job_id}
    [words] = await ledger.recoveries()
    await ledger.aclose()
    assert asked == [["/tmp/out"]]
    assert "was gone or empty" in words
    assert "1 were rebuilt" in words


async def test_paid_answers_of_unknown_jobs_are_kept_and_told(path: Path) -> None:
    await filled(path)
    spoil(path, *HEAD)
    answer = path.parent / "spool" / "job_0unknown-0" / "answer.bin"
    answer.parent.mkdir(parents=True)
    answer.write_bytes(b"paid")
    ledger = Ledger(path, noon)
    await ledger.open()
    [words] = await ledger.recoveries()
    await ledger.aclose()
    assert str(answer.parent) in words
    assert answer.read_bytes() == b"paid"


async def test_journal_of_the_damaged_file_goes_with_it(path: Path) -> None:
    await filled(path)
    spoil(path, *HEAD)
    for name in ("journal", "wal", "shm"):
        path.with_name(f"ledger.sqlite3-{name}").write_text(name)
    SqliteDatabase(path)._recovery.run()  # SQLite would remove what it cannot use
    assert sorted(aside.read_text() for aside in path.parent.glob("ledger.damaged-*.sqlite3-*")) == [
        "journal",
        "shm",
        "wal",
    ]
    ledger = Ledger(path, noon)
    assert len(await every_job(ledger)) == JOBS
    await ledger.aclose()


async def test_disk_that_fills_up_during_the_rebuilding_loses_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mediagen.ledger import queries

    made = await filled(path)
    spoil(path, *HEAD)
    with monkeypatch.context() as full:
        full.setattr(queries, "SYNCHRONOUS", "PRAGMA max_page_count = 20")
        ledger = Ledger(path, noon)
        with pytest.raises(LedgerError, match="full"):
            await ledger.open()
        await ledger.aclose()
    ledger = Ledger(path, noon)
    assert (await every_job(ledger)).keys() == {job.job_id for job in made}
    await ledger.aclose()
    assert len(kept(path)) == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
async def test_file_that_cannot_be_read_is_not_taken_for_damaged(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mediagen.ledger import recovery

    await filled(path)
    spoil(path, *HEAD)

    def broken(_: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(recovery, "_read_through", broken)
    ledger = Ledger(path, noon)
    with pytest.raises(LedgerError, match="Input/output error"):
        await ledger.open()
    await ledger.aclose()
    assert not kept(path)


async def test_pages_give_every_row_of_a_sound_file(path: Path) -> None:
    made = await filled(path)
    texts = {value for _, row in records(path) for value in row if isinstance(value, str)}
    assert {job.job_id for job in made} <= texts
    assert json.dumps(made[7].requested, separators=(",", ":")) in texts


@pytest.mark.parametrize("seed", range(30))
async def test_ledger_with_random_damage_opens_again(path: Path, seed: int) -> None:
    import random

    ledger = Ledger(path, noon)
    made = [await ledger.create(a_job(prompt=f"fox {n}" * 50)) for n in range(8)]
    await ledger.aclose()
    dice = random.Random(seed)
    content = bytearray(path.read_bytes())
    for _ in range(dice.choice([1, 3, 20])):
        start = dice.randrange(len(content) - 64)
        content[start : start + dice.randrange(1, 64)] = dice.randbytes(dice.randrange(1, 64))
    path.write_bytes(content)
    ledger = Ledger(path, noon)
    try:
        try:
            await ledger.list_jobs(limit=100)
        except LedgerError as error:
            if error.code in {"ledger_newer", "ledger_foreign"}:
                return
            await ledger.list_jobs(limit=100)
        job = await ledger.create(a_job())
        assert (await ledger.get(job.job_id)) == job
    finally:
        await ledger.aclose()
    assert made
