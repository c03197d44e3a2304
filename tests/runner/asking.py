"""How the tests of the runner ask for pictures and clips."""

import sqlite3
from contextlib import closing
from pathlib import Path

import anyio

from mediagen.app.app import App
from mediagen.emulator.thread import EmulatorHandle
from mediagen.report.job import JobReport
from mediagen.requests import GenerateImageRequest, GenerateVideoRequest, GetJobRequest

CLIP = {"prompt": "waves", "duration_seconds": 3, "resolution": "360p"}


async def image(app: App, **changes: object) -> JobReport:
    return await app.generator.generate_image(GenerateImageRequest.model_validate({"prompt": "a boat", **changes}))


async def clip(app: App, **changes: object) -> JobReport:
    return await app.generator.generate_video(GenerateVideoRequest.model_validate({**CLIP, **changes}))


async def wait_for(app: App, job_id: str | None, seconds: float = 60) -> JobReport:
    assert job_id
    return await app.generator.get_job(GetJobRequest(job_id=job_id, wait_seconds=seconds))


async def veo(app: App, **changes: object) -> JobReport:
    asked = {"prompt": "waves", "model": "veo-3.1-fast", "duration_seconds": 4, "resolution": "720p", **changes}
    return await app.generator.generate_video(GenerateVideoRequest.model_validate(asked))


async def until(app: App, report: JobReport, status: str, note: str = "") -> JobReport:
    """Wait until a job is in a state, and until its warnings hold a note."""
    with anyio.fail_after(60):
        while report.status != status or note not in " ".join(report.warnings):
            await anyio.sleep(0.02)
            report = await wait_for(app, report.job_id, 0)
    return report


async def arrived(emulator: EmulatorHandle, part: str, number: int = 1) -> None:
    """Wait until so many requests to send something have arrived at the emulator; their answers may take longer."""
    with anyio.fail_after(60):
        while sum(each["method"] == "POST" and part in each["path"] for each in emulator.requests()) < number:
            await anyio.sleep(0.02)


def change(ledger_file: Path, statement: str, *values: object) -> None:
    """Change the ledger behind its back."""
    with closing(sqlite3.connect(ledger_file)) as connection, connection:
        connection.execute(statement, values)


def left_behind(work: Path, ledger_file: Path) -> list[Path]:
    """What should not be there once all has ended."""
    return [*work.rglob(".mediagen-*"), *(ledger_file.parent / "spool").glob("*")]
