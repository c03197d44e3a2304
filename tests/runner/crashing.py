"""Collects a paid file, or ends a call without one, and dies: once at each instant at which the disk is to change.

Run as a program, because a process that dies must not be that of the tests. Writes one JSON array: what there is after
the next process went on from each of these instants.
"""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import anyio

from mediagen.errors import SubmissionUnconfirmedError, UnavailableError
from mediagen.jobs import Job, JobStatus, PaidCall, Quote
from mediagen.ledger.ledger import Ledger
from mediagen.pricing import Prices
from mediagen.runner.changes import Changes
from mediagen.runner.collect import Collector, EndpointSource
from mediagen.runner.delivering import deliver
from mediagen.runner.patience import Patience
from mediagen.runner.spool import Spool
from mediagen.runner.steps import CallSteps
from mediagen.storage.conversations import Conversations
from mediagen.storage.local import LocalStorage

CHANGES = ("open", "os.rename", "os.link", "os.remove")
MADE = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
QUOTE = Quote(usd=Decimal(0), min_usd=None, max_usd=None, basis="", as_of="", source="", certainty="unknown")


def die_at_each_instant(
    folder: Path, paid: Path, kinds: tuple[str, ...] = CHANGES, *, end: str = "", **job: object
) -> list[dict[str, Any]]:
    """Kill a process at each instant at which it collects a paid file, and let the next one go on.

    With `end` it does not collect, but ends the call in this state; with ``delivered`` it brings the file the short
    way, from an answer that stays where it is until the call has ended.
    """
    told = json.dumps({"folder": str(folder), "paid": str(paid), "kinds": kinds, "job": job, "end": end})
    command = [sys.executable, "-m", "tests.runner.crashing", told]
    done = subprocess.run(command, capture_output=True, timeout=120, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr.decode()
    assert not done.stderr, done.stderr.decode()
    return list(json.loads(done.stdout))


def job_of(folder: Path, **changes: Any) -> Job:
    """A job whose one file lies in the spool already."""
    values: dict[str, Any] = {
        "job_id": "job_1", "kind": "image", "mode": "text_to_image", "backend": "emulator", "endpoint": "gemini",
        "base_url": "http://127.0.0.1:1", "model": "some-model", "created_at": MADE, "updated_at": MADE,
        "requested": {"prompt": "a boat 🎬"}, "effective": {}, "origins": {}, "quote": QUOTE,
        "output_dir": str(folder / "work 🎬"), "output_name": "made",
        "calls": (PaidCall(job_id="job_1", ordinal=0, status=JobStatus.SUBMITTING),),
    }  # fmt: skip
    return Job(**{**values, **changes})


def collector_in(folder: Path, ffmpeg: str | None = None) -> Collector:
    """Everything that collecting needs, but no way to Google."""
    storage = LocalStorage()
    return Collector(
        changes=Changes(),
        ledger=Ledger(folder / "ledger.sqlite3", clock=lambda: datetime.now(UTC)),
        endpoints=cast("EndpointSource", None),
        storage=storage,
        prices=Prices.load(),
        spool=Spool(folder=folder / "spool", storage=storage),
        clock=lambda: datetime.now(UTC),
        ffmpeg=ffmpeg,
    )


async def prepare(collector: Collector, job: Job, paid: bytes) -> None:
    """As after the answer: the file is durable in the spool, and the ledger says where."""
    Path(job.output_dir).mkdir(parents=True, exist_ok=True)
    await collector.ledger.create(replace(job, output_name=job.output_name))
    kept = await collector.spool.keep(job, job.calls[0], paid)
    await collector.ledger.update_call(
        job.job_id, 0, expected=JobStatus.SUBMITTING, status=JobStatus.DOWNLOADING, remote_uris=(kept.as_uri(),)
    )


async def delivered(collector: Collector, paid: bytes) -> None:
    """Bring a picture the short way, unless that was done."""
    job = await collector.ledger.get("job_1")
    if job.status is JobStatus.SUBMITTING:
        kept_in = collector.spool.folder_of(job, job.calls[0]).as_uri()
        assert await deliver(collector, job, replace(job.calls[0], remote_uris=(kept_in,)), [paid[:9], paid[9:]])


async def go_on(collector: Collector, job_id: str = "job_1") -> Job:
    """Do what the next process does."""
    job = await collector.ledger.get(job_id)
    if job.status is JobStatus.DOWNLOADING:
        await collector.collect(job, job.calls[0])
    await collector.forget_leftovers()
    job = await collector.ledger.get(job_id)
    await collector.ledger.aclose()
    return job


async def end(collector: Collector, status: str) -> None:
    """End the call without a file, unless another process has."""
    steps = CallSteps(
        ledger=collector.ledger,
        endpoints=collector.endpoints,
        collector=collector,
        conversations=cast("Conversations", None),
        poll_seconds=1,
        clock=collector.clock,
        patience=Patience(clock=collector.clock),
    )
    job = await collector.ledger.get("job_1")
    if job.status is JobStatus.SUBMITTING:
        kind = SubmissionUnconfirmedError if status == "unconfirmed" else UnavailableError
        await steps.end(job, job.calls[0], kind("It went wrong.", hint="Look."))


def die_before(number: int, folder: Path, kinds: set[str]) -> None:
    """Kill this process right before the so-manieth change on the disk."""
    left = number

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event not in kinds or str(folder) not in str(arguments[0]) or "sqlite3" in str(arguments[0]):
            return
        if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
            return
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


async def die(folder: Path, number: int, told: dict[str, Any]) -> None:
    collector, job = collector_in(folder), job_of(folder, **told["job"])
    if told["end"]:
        Path(job.output_dir).mkdir(parents=True)
        await collector.ledger.create(job)
    else:
        await prepare(collector, job, Path(told["paid"]).read_bytes())
    die_before(number, folder, set(told["kinds"]))
    if told["end"]:
        await ended(collector, told)
    await go_on(collector)


async def ended(collector: Collector, told: dict[str, Any]) -> None:
    if told["end"] == "delivered":
        await delivered(collector, Path(told["paid"]).read_bytes())
    else:
        await end(collector, told["end"])


async def report(folder: Path, told: dict[str, Any]) -> None:
    if told["end"]:
        collector = collector_in(folder)
        await ended(collector, told)
        await collector.ledger.aclose()
    job = await go_on(collector_in(folder))
    files = sorted(path.name for path in Path(job.output_dir).iterdir())
    found = {
        "status": str(job.status),
        "files": files,
        "artifacts": [[artifact.path, artifact.sha256] for artifact in job.artifacts],
        "warnings": job.calls[0].warnings,
        "spool": [path.name for path in (folder / "spool").glob("*")],
    }
    (folder / "found.json").write_text(json.dumps(found))


def in_child(work: Any) -> int:
    """Run something in a process of its own; its signal, or 0."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] & 0x7F
    try:
        anyio.run(work)
    except BaseException:  # noqa: BLE001 - the child must not go on as if it were its parent
        sys.excepthook(*sys.exc_info())
        os._exit(1)
    os._exit(0)


def main() -> None:
    told = json.loads(sys.argv[1])
    found = []
    for number in range(100):
        folder = Path(told["folder"]) / str(number)
        folder.mkdir(parents=True)
        died = in_child(lambda folder=folder, number=number: die(folder, number, told))
        in_child(lambda folder=folder: report(folder, told))
        found.append({"instant": number, "died": died, **json.loads((folder / "found.json").read_text())})
        if not died:
            break
    print(json.dumps(found))


if __name__ == "__main__":
    main()
