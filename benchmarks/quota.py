"""How much of a quota a batch uses, and how many of its calls Google refuses."""

import tempfile
from datetime import datetime, timedelta
from pathlib import Path

import anyio

from benchmarks.measuring import Figure
from benchmarks.processes import OtherEmulator, emulator
from mediagen.app.app import now, open_app
from mediagen.batch.pace import Pace
from mediagen.batch.prices import priced
from mediagen.batch.rows import read_rows
from mediagen.batch.running import Run
from mediagen.endpoints.http import HttpSettings
from mediagen.settings import read_settings

PROMPTS = 200
CALLS = 60
WINDOW_SECONDS = 18.0
MOST_SIDE_BY_SIDE = 32


def measure(prompts: int = PROMPTS, calls: int = CALLS, window_seconds: float = WINDOW_SECONDS) -> list[Figure]:
    """Make a batch of pictures where only so many calls are taken in a window."""
    arguments = ("--calls-per-minute", str(calls), "--minute-seconds", str(window_seconds), "--image-seconds", "0.2")
    with tempfile.TemporaryDirectory() as folder, emulator(*arguments) as google:
        anyio.run(_make, Path(folder), google.url, prompts, window_seconds)
        refused = _refused(google)
        seconds = _seconds(google)
    # A window that slides lets the first calls leave at once: so long it takes from the first to the last at least.
    least = (prompts - 1) // calls * window_seconds
    words = f"batch of {prompts} pictures, {calls} calls in {window_seconds:g} s"
    return [
        Figure(
            name=f"{words}: quota not used",
            unit="%",
            value=100 * (1 - least / max(seconds, least)),
            bar=5.0,
            kind="value",
            samples=prompts,
        ),
        Figure(
            name=f"{words}: refused with 429",
            unit="%",
            value=100 * refused / (prompts + refused),
            bar=5.0,
            kind="value",
            samples=prompts + refused,
        ),
    ]


async def _make(folder: Path, url: str, prompts: int, window_seconds: float) -> None:
    file = folder / "prompts.txt"
    file.write_text("\n".join(f"a red fox, take {number}" for number in range(prompts)), encoding="utf-8")
    variables = {
        "MEDIAGEN_BACKEND": "emulator",
        "MEDIAGEN_STATE_DIR": str(folder),
        "MEDIAGEN_OUTPUT_DIR": str(folder),
        "GOOGLE_GEMINI_BASE_URL": url,
    }
    # As `mediagen batch` does: the pace waits, not the call.
    async with open_app(read_settings(variables), http=HttpSettings(paid_retries=0)) as app:
        run = Run(
            generator=app.generator,
            pace=Pace(app.generator.ledger, now, timedelta(seconds=window_seconds)),
            batch_id="benchmark",
            folder=str(folder),
            items=await priced(app.generator, read_rows(file), folder),
            most=MOST_SIDE_BY_SIDE,
        )
        await run.run()
    assert run.is_done, run.stopped


def _seconds(google: OtherEmulator) -> float:
    """From the first call that was taken to the last."""
    moments = sorted(datetime.fromisoformat(item["at"]) for item in google.get("bill")["items"])
    return (moments[-1] - moments[0]).total_seconds()


def _refused(google: OtherEmulator) -> int:
    asked = sum(request["path"].endswith(":generateContent") for request in google.get("requests"))
    return int(asked) - int(google.get("bill")["paid_submissions"])
