"""A paid clip on its way here: whole or not there, looked at before it gets its name, by however many processes."""

import hashlib
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from tests.generator.planning import make_clip
from tests.runner.crashing import collector_in, job_of
from tests.runner.crashing import prepare as prepare_kept
from tests.runner.fetching import Google, close, collect, collector_at, made
from tests.stored import sha256_as_made

from mediagen.errors import StorageError, UnavailableError
from mediagen.jobs import JobStatus
from mediagen.runner.clearing import claims_on
from mediagen.storage.claims import Claims

posix_only = pytest.mark.skipif(os.name == "nt", reason="signals and limits of Unix")


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    make_clip(path, width=320, height=180, seconds=2)
    # Long enough to be on its way for a while.
    return path.read_bytes() + struct.pack(">I4s", 1_500_000, b"free") + bytes(1_500_000 - 8)


@pytest.fixture
def google(film: bytes) -> Iterator[Google]:
    with Google(bodies=[film]) as serving:
        yield serving


def start(folder: Path, google: Google) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.runner.fetching", str(folder), google.url]
    root = Path(__file__).parents[2]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=root)


def as_made(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def finish(process: "subprocess.Popen[str]") -> None:
    said, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    assert json.loads(said)[0] == "succeeded"


def wait_for_bytes(folder: Path) -> None:
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size for path in folder.rglob(".mediagen-job_1-0.part")):
        assert time.monotonic() < deadline
        time.sleep(0.02)


async def prepare(folder: Path, url: str) -> None:
    collector = collector_at(folder, url)
    await made(collector, folder, url)
    await close(collector)


async def sweep(folder: Path, url: str) -> None:
    collector = collector_at(folder, url)
    await collector.forget_leftovers()
    await close(collector)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "work 🎬").iterdir())


async def test_clip_that_arrives_cut_at_its_right_length_is_fetched_again(tmp_path: Path, google: Google, film: bytes):
    google.bodies = [film[: len(film) // 2], film]
    collector = collector_at(tmp_path, google.url)
    await made(collector, tmp_path, google.url)
    with pytest.raises(UnavailableError, match="arrived damaged"):
        await collect(collector)
    assert not [name for name in names(tmp_path) if not name.startswith(".")]
    job = await collect(collector)
    await close(collector)
    assert job.status is JobStatus.SUCCEEDED
    assert sha256_as_made(job.artifacts[0].path) == as_made(film)
    assert names(tmp_path) == ["made.json", "made.mp4"]
    assert google.ranges == ["", ""]


async def test_clip_that_stays_damaged_is_kept_under_a_name_that_says_so(tmp_path: Path, google: Google, film: bytes):
    google.bodies = [film[: len(film) // 2]]
    collector = collector_at(tmp_path, google.url)
    await made(collector, tmp_path, google.url)
    with pytest.raises(UnavailableError):
        await collect(collector)
    # Another process goes on, and gets the very same.
    await close(collector)
    later = collector_at(tmp_path, google.url)
    job = await collect(later)
    await close(later)
    assert job.status is JobStatus.SUCCEEDED
    assert Path(job.artifacts[0].path).read_bytes() == film[: len(film) // 2]
    assert names(tmp_path) == ["made_damaged.json", "made_damaged.mp4"]
    assert any("fetched 2 times. It is kept as it came" in warning for warning in job.calls[0].warnings)
    assert len(google.ranges) == 2


async def test_damage_that_differs_each_time_ends_after_three_times(tmp_path: Path, google: Google, film: bytes):
    google.bodies = [film[: len(film) // 2 + number] for number in range(9)]
    collector = collector_at(tmp_path, google.url)
    await made(collector, tmp_path, google.url)
    for _ in range(2):
        with pytest.raises(UnavailableError):
            await collect(collector)
    job = await collect(collector)
    await close(collector)
    assert job.status is JobStatus.SUCCEEDED
    assert len(google.ranges) == 3


@pytest.mark.parametrize("page", [b"<html>Log in</html>", b'\n{"error": "x"}', b"\xef\xbb\xbf<!DOCTYPE html>"])
async def test_page_in_place_of_the_clip_is_never_taken(tmp_path: Path, google: Google, film: bytes, page: bytes):
    google.bodies = [page] * 5 + [film]
    collector = collector_at(tmp_path, google.url)
    await made(collector, tmp_path, google.url)
    for _ in range(5):
        with pytest.raises(UnavailableError, match="page of text"):
            await collect(collector)
    assert (await collect(collector)).status is JobStatus.SUCCEEDED
    await close(collector)
    assert names(tmp_path) == ["made.json", "made.mp4"]


@posix_only
async def test_clip_stays_to_be_fetched_while_its_folder_is_something_else(tmp_path: Path, google: Google):
    collector = collector_at(tmp_path, google.url)
    job = await made(collector, tmp_path, google.url)
    folder = Path(job.output_dir)
    folder.rmdir()
    folder.write_bytes(b"a file of the user")
    with pytest.raises(StorageError) as refused:
        await collect(collector)
    assert refused.value.code == "directory_missing"
    assert folder.read_bytes() == b"a file of the user"
    folder.unlink()
    assert (await collect(collector)).status is JobStatus.SUCCEEDED
    await close(collector)
    assert names(tmp_path) == ["made.json", "made.mp4"]


async def test_clip_of_a_very_long_name_of_emoji_is_stored(tmp_path: Path, google: Google):
    collector = collector_at(tmp_path, google.url)
    folder = tmp_path / ("🎞️" * 25) / ("é" * 100)
    await made(collector, tmp_path, google.url, output_name="🎬" * 50, output_dir=str(folder))
    job = await collect(collector)
    await close(collector)
    assert {path.suffix for path in folder.iterdir()} == {".json", ".mp4"}
    assert Path(job.artifacts[0].path).exists()


@posix_only
def test_clip_killed_in_the_middle_goes_on_where_it_was(tmp_path: Path, google: Google, film: bytes):
    google.held_after = len(film) // 3
    anyio.run(prepare, tmp_path, google.url)
    first = start(tmp_path, google)
    assert google.held.wait(60)
    wait_for_bytes(tmp_path)
    first.kill()
    first.communicate()
    google.held_after = None
    assert not [name for name in names(tmp_path) if not name.startswith(".")]
    finish(start(tmp_path, google))
    begun = [int(asked.removeprefix("bytes=").rstrip("-") or 0) for asked in google.ranges]
    assert begun[0] == 0 < begun[1] <= len(film) // 3
    assert names(tmp_path) == ["made.json", "made.mp4"]
    assert sha256_as_made(tmp_path / "work 🎬" / "made.mp4") == as_made(film)


@posix_only
@pytest.mark.parametrize("end", ["goes on", "is killed"])
def test_stopped_process_leaves_the_clip_to_another_and_no_second_file(
    tmp_path: Path, google: Google, film: bytes, end: str
):
    """Like a laptop that slept, or Ctrl-Z: its job was taken over, and then it continues."""
    google.held_after = len(film) // 3
    anyio.run(prepare, tmp_path, google.url)
    stopped = start(tmp_path, google)
    assert google.held.wait(60)
    wait_for_bytes(tmp_path)
    stopped.send_signal(signal.SIGSTOP)
    try:
        google.held_after = None
        google.released.set()
        finish(start(tmp_path, google))
        # Nothing of the first was taken, nor was anything of it thrown away while it may still write.
        assert google.ranges == ["", ""]
        digest = sha256_as_made(tmp_path / "work 🎬" / "made.mp4")
        assert digest == as_made(film)
    finally:
        stopped.send_signal(signal.SIGCONT if end == "goes on" else signal.SIGKILL)
    if end == "goes on":
        finish(stopped)
    else:
        stopped.communicate()
        anyio.run(sweep, tmp_path, google.url)
    assert names(tmp_path) == ["made.json", "made.mp4"]
    assert sha256_as_made(tmp_path / "work 🎬" / "made.mp4") == digest
    assert list((tmp_path / "spool").iterdir()) == []


@posix_only
async def test_two_that_have_the_clip_whole_store_it_once(tmp_path: Path, google: Google, film: bytes):
    """Both are past the fetching; the one that writes to the ledger second takes its file back."""
    first, second = (collector_at(tmp_path, google.url) for _ in range(2))
    job = await made(first, tmp_path, google.url)
    call = job.calls[0]
    placer = second.placer(1)
    part = await placer.part(job, call, 0)
    await part.append(film)
    await part.seal()
    placed = await placer.place(job, call, 0, part)
    claims = claims_on(job, call)
    assert claims.try_take(1)
    assert (await collect(first)).status is JobStatus.SUCCEEDED
    assert "made.mp4" in names(tmp_path)
    assert "made_2.mp4" in names(tmp_path)
    done = second.recorder.beside(job, call, [placed])
    assert await second.recorder.store(job, call, done.call) is None
    await second.recorder.withdraw(job, call, [placed])
    assert [name for name in names(tmp_path) if not name.startswith(".")] == ["made_2.json", "made_2.mp4"]
    claims.release(1)
    await first.forget_leftovers()
    assert names(tmp_path) == ["made_2.json", "made_2.mp4"]
    await close(first)
    await close(second)


async def test_call_that_another_process_forgets_meanwhile_is_marked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """As when a process begins to fetch in the moment in which another has stored the file: its lock would be left."""
    collector, job = collector_in(tmp_path), job_of(tmp_path)
    await prepare_kept(collector, job, b"paid")
    job = await collector.ledger.get("job_1")
    take = Claims.take

    def take_later(self: Claims) -> int:
        shutil.rmtree(tmp_path / "spool" / "job_1-0")
        return take(self)

    monkeypatch.setattr(Claims, "take", take_later)
    with pytest.raises(StorageError):
        await collector.collect(job, job.calls[0])
    assert await collector.spool.leftovers() == [("job_1", 0)]
    await collector.ledger.aclose()
