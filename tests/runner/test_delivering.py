"""The short way of a picture, and the usual one where the short one ends."""

import base64
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import pytest
from tests.conftest import paid
from tests.media.metadata.samples import still
from tests.runner.asking import image, wait_for
from tests.runner.crashing import collector_in, job_of

from mediagen.app.app import Manner, open_app
from mediagen.emulator.thread import EmulatorHandle
from mediagen.endpoints.inline_files import HEAD_BYTES, InlineFile
from mediagen.jobs import Job, JobError, JobStatus, PaidCall, Progress
from mediagen.requests import GenerateImageRequest
from mediagen.runner import delivering
from mediagen.runner.collect import MOST_AT_ONCE, Collector
from mediagen.runner.delivering import deliver
from mediagen.runner.recording import Recorder
from mediagen.settings import Settings
from mediagen.storage.claims import Claims
from mediagen.storage.conversations import Conversations
from mediagen.submitter.base import is_supported

MakeSettings = Callable[..., Settings]
pytestmark = pytest.mark.skipif(not is_supported(), reason="needs a platform with the submitter")


def states(ledger_file: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """States of the calls in the ledger at the moment in which their files are written down."""
    found: list[str] = []
    store = Recorder.store_here

    def noted(self: Recorder, *arguments, **options):
        with sqlite3.connect(ledger_file) as connection:
            found.extend(row[0] for row in connection.execute("SELECT status FROM calls"))
        connection.close()
        return store(self, *arguments, **options)

    monkeypatch.setattr(Recorder, "store_here", noted)
    return found


async def test_picture_is_in_its_place_before_the_ledger_hears_of_its_answer(
    make_settings: MakeSettings, ledger_file: Path, monkeypatch: pytest.MonkeyPatch, work: Path
):
    found = states(ledger_file, monkeypatch)
    async with open_app(make_settings()) as app:
        report = await image(app)
    assert report.status == "succeeded"
    assert found == ["submitting"]
    made = report.artifacts[0].file
    assert {path.name for path in made.parent.iterdir()} >= {made.name, f"{made.stem}.json"}
    assert not [path for path in made.parent.iterdir() if path.name.startswith(".")]
    assert list((ledger_file.parent / "spool").iterdir()) == []


async def test_picture_whose_folder_is_gone_waits_for_it(
    make_settings: MakeSettings, emulator: EmulatorHandle, monkeypatch: pytest.MonkeyPatch, work: Path
):
    """It is kept in the spool and fetched from there once the folder can be written to."""
    taken: list[int] = []
    take = Claims.take

    def refused(self: Claims) -> int:
        taken.append(1)
        if len(taken) == 1:
            self.directory = self.directory / "gone"
        return take(self)

    monkeypatch.setattr(Claims, "take", refused)
    async with open_app(make_settings(MEDIAGEN_POLL_SECONDS="0.05")) as app:
        done = await wait_for(app, (await image(app, wait_seconds=0)).job_id)
    assert done.status == "succeeded"
    assert len(taken) == 2
    assert done.artifacts[0].file.is_file()
    assert paid(emulator) == 1


async def test_picture_is_told_of_before_what_was_kept_is_cleared_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    collector, job, answered = await answered_call(tmp_path)
    news = collector.changes.news(job.job_id)
    clear = Collector.clear

    async def noted(self: Collector, *arguments: Any, **options: Any) -> None:
        assert news.event.is_set()
        await clear(self, *arguments, **options)

    monkeypatch.setattr(Collector, "clear", noted)
    assert await deliver(collector, job, answered, [still("png")])
    assert news.job == await collector.ledger.get(job.job_id)
    assert list((tmp_path / "spool").iterdir()) == []
    await collector.ledger.aclose()


async def test_who_follows_how_far_a_picture_is_hears_of_its_end(make_settings: MakeSettings, work: Path):
    heard: list[float] = []

    async def follow(progress: Progress) -> None:
        heard.append(progress.fraction)

    async with open_app(make_settings()) as app:
        await app.generator.generate_image(GenerateImageRequest(prompt="a boat"), follow)
    assert heard[-1] == 1.0


async def test_what_cannot_be_gone_on_with_is_said_of_the_picture(tmp_path: Path):
    collector, job, answered = await answered_call(tmp_path)
    assert await deliver(collector, job, answered, [still("png")], lambda: ("too long",))
    assert (await collector.ledger.get(job.job_id)).calls[0].warnings == ("too long",)
    await collector.ledger.aclose()


async def test_call_that_another_gave_up_meanwhile_is_left_to_it_with_its_answer(tmp_path: Path):
    collector, job = collector_in(tmp_path), job_of(tmp_path)
    Path(job.output_dir).mkdir(parents=True)
    job = await collector.ledger.create(job)
    call = job.calls[0]
    answer = await collector.spool.call_folder(job, call) / "1.answer"
    answer.write_bytes(b"as it came")
    await collector.ledger.update_call("job_1", 0, expected=JobStatus.SUBMITTING, status=JobStatus.UNCONFIRMED)
    answered = replace(call, remote_uris=(answer.parent.as_uri(),))
    assert not await deliver(collector, job, answered, [still("png")])
    assert answer.read_bytes() == b"as it came"
    assert [path.name for path in Path(job.output_dir).iterdir() if not path.name.startswith(".")] == []
    assert (await collector.ledger.get("job_1")).status is JobStatus.UNCONFIRMED
    await collector.ledger.aclose()


async def test_picture_that_is_placed_when_the_process_is_told_to_stop_gets_its_record_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    collector, job, answered = await answered_call(tmp_path)
    with anyio.CancelScope() as scope:
        monkeypatch.setattr(delivering, "examine", lambda *_: anyio.from_thread.run_sync(scope.cancel))
        await deliver(collector, job, answered, [still("png")])
    assert (await collector.ledger.get("job_1")).status is JobStatus.SUCCEEDED
    assert sorted(path.name for path in Path(job.output_dir).iterdir()) == ["made.json", "made.png"]
    assert list((tmp_path / "spool").iterdir()) == []
    await collector.ledger.aclose()


async def test_picture_that_its_owner_renamed_is_kept_when_a_later_process_clears_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """As when the process died right after the picture was in the ledger."""
    collector, job = await delivered_and_killed(tmp_path, monkeypatch)
    mine = Path(job.output_dir) / "mine.png"
    (Path(job.output_dir) / "made.png").rename(mine)
    await collector.forget_leftovers()
    assert sorted(path.name for path in Path(job.output_dir).iterdir()) == ["made.json", "mine.png"]
    assert list((tmp_path / "spool").iterdir()) == []
    await collector.ledger.aclose()


async def test_renamed_picture_is_kept_when_another_took_its_name_before_a_later_process_clears_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """As when the process was killed right after it told of the picture, and the same name was asked for again."""
    collector, job = await delivered_and_killed(tmp_path, monkeypatch)
    folder = Path(job.output_dir)
    for name in ("png", "json"):
        (folder / f"made.{name}").rename(folder / f"mine.{name}")
        (folder / f"made.{name}").write_bytes(b"another")
    await collector.forget_leftovers()
    assert sorted(path.name for path in folder.iterdir()) == ["made.json", "made.png", "mine.json", "mine.png"]
    assert list((tmp_path / "spool").iterdir()) == []
    await collector.ledger.aclose()


async def test_second_name_that_its_owner_gives_a_picture_is_kept_when_a_later_process_clears_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    collector, job = await delivered_and_killed(tmp_path, monkeypatch)
    (Path(job.output_dir) / "mine.png").hardlink_to(Path(job.output_dir) / "made.png")
    await collector.forget_leftovers()
    assert sorted(path.name for path in Path(job.output_dir).iterdir()) == ["made.json", "made.png", "mine.png"]
    assert list((tmp_path / "spool").iterdir()) == []
    await collector.ledger.aclose()


async def test_name_that_its_owner_gives_a_picture_before_it_is_cleared_away_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    collector, job, answered = await answered_call(tmp_path)
    clear = Collector.clear

    async def named_first(self: Collector, *arguments: Any, **options: Any) -> None:
        (Path(job.output_dir) / "mine.png").hardlink_to(Path(job.output_dir) / "made.png")
        await clear(self, *arguments, **options)

    monkeypatch.setattr(Collector, "clear", named_first)
    assert await deliver(collector, job, answered, [still("png")])
    assert sorted(path.name for path in Path(job.output_dir).iterdir()) == ["made.json", "made.png", "mine.png"]
    await collector.ledger.aclose()


async def test_picture_that_only_the_server_has_is_kept_before_anything_else(
    make_settings: MakeSettings, ledger_file: Path, monkeypatch: pytest.MonkeyPatch, work: Path
):
    found: list[list[str]] = []
    keep = Conversations.keep

    def noted(self: Conversations, *arguments: Any) -> bool:
        found.append([path.name for path in ledger_file.parent.glob("spool/*/answer*.bin")])
        return keep(self, *arguments)

    monkeypatch.setattr(Conversations, "keep", noted)
    async with open_app(make_settings(), manner=Manner(sends_itself=True)) as app:
        assert (await image(app)).status == "succeeded"
    assert found == [["answer.bin"]]


async def test_picture_is_delivered_where_there_are_no_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    collector, job, answered = await answered_call(tmp_path)
    monkeypatch.setattr(Claims, "try_take", lambda _self, number: number == 0)
    assert await deliver(collector, job, answered, [still("png")])
    assert sorted(path.name for path in Path(job.output_dir).iterdir()) == ["made.json", "made.png"]
    assert list((tmp_path / "spool").iterdir()) == []
    await collector.ledger.aclose()


async def test_picture_does_not_wait_for_others_to_be_brought(tmp_path: Path):
    collector, job, answered = await answered_call(tmp_path)
    for _ in range(MOST_AT_ONCE):
        await collector.places.acquire()
    assert not await deliver(collector, job, answered, [still("png")])
    collector.places.release()
    assert await deliver(collector, job, answered, [still("png")])
    await collector.ledger.aclose()


async def test_answer_that_cannot_be_read_at_the_moment_is_taken_in_the_usual_way(
    make_settings: MakeSettings, emulator: EmulatorHandle, monkeypatch: pytest.MonkeyPatch, work: Path
):
    chunks = InlineFile.chunks
    failed: list[int] = []

    def failing(self: InlineFile, size: int = 3 * 64 * 1024) -> Iterator[bytes]:
        # Not the head that is looked at before, nor what goes into the conversation.
        if size > HEAD_BYTES and len(failed) < 2:
            failed.append(size)
            raise OSError("input/output error")
        yield from chunks(self, size)

    monkeypatch.setattr(InlineFile, "base64", lambda self: iter([base64.b64encode(b"".join(chunks(self))).decode()]))
    monkeypatch.setattr(InlineFile, "chunks", failing)
    async with open_app(make_settings(MEDIAGEN_POLL_SECONDS="0.05")) as app:
        done = await wait_for(app, (await image(app, wait_seconds=0)).job_id)
    assert done.status == "succeeded"
    assert len(failed) == 2
    assert paid(emulator) == 1


async def test_sweep_that_stood_still_clears_nothing_of_what_another_delivered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    collector, job, answered = await answered_call(tmp_path)
    error = JobError(code="not_made", message="It was not made.", retryable=False, billed="unknown")
    await collector.ledger.update_call("job_1", 0, expected=JobStatus.SUBMITTING, status=JobStatus.FAILED, error=error)

    async def stands_still(self: Collector, job: Job, call: PaidCall) -> bool:
        other = collector_in(tmp_path)
        await other.ledger.update_call("job_1", 0, expected=JobStatus.FAILED, status=JobStatus.SUBMITTING, error=None)
        with monkeypatch.context() as patch:
            patch.setattr(Collector, "clear", refused)
            assert await deliver(other, job, answered, [still("png")])
        await other.ledger.aclose()
        return False

    monkeypatch.setattr(Collector, "_may_be_answered", stands_still)
    await collector.forget_leftovers()
    assert sorted(path.name for path in Path(job.output_dir).iterdir()) == ["made.json", "made.png"]
    await collector.ledger.aclose()


async def refused(*_: object, **_options: object) -> None:
    raise PermissionError


async def delivered_and_killed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Collector, Job]:
    """A job whose picture was told of by a process that died before it cleared anything away."""
    collector, job, answered = await answered_call(folder)
    with monkeypatch.context() as patch:
        patch.setattr(Collector, "clear", refused)
        assert await deliver(collector, job, answered, [still("png")])
    return collector, job


async def answered_call(folder: Path) -> tuple[Collector, Job, PaidCall]:
    """A job whose answer lies in the spool, and its call as it is delivered."""
    collector, job = collector_in(folder), job_of(folder)
    Path(job.output_dir).mkdir(parents=True)
    job = await collector.ledger.create(job)
    kept_in = await collector.spool.call_folder(job, job.calls[0])
    return collector, job, replace(job.calls[0], remote_uris=(kept_in.as_uri(),))
