"""Progress of a tool call: strictly increasing, at most one per second, in words, in both eras."""

import re
import time

import anyio
from mcp import Client
from tests.conftest import Connect
from tests.server.test_tools import content_of

from mediagen.emulator.settings import EmulatorSettings
from mediagen.emulator.thread import running_emulator
from mediagen.generator.generator import EMULATED_SECONDS
from mediagen.server.progress import SECONDS_BETWEEN

CLIP = {"duration_seconds": 3, "resolution": "360p", "preview": False}
# What lies between the server's clock and ours.
JITTER_SECONDS = 0.2


class Seen:
    """What a client was told, and when."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self.messages: list[str] = []
        self.at: list[float] = []

    async def __call__(self, progress: float, total: float | None, message: str | None) -> None:
        assert total == 1.0
        self.values.append(progress)
        self.messages.append(message or "")
        self.at.append(time.monotonic())


async def clip(client: Client, seen: Seen, prompt: str) -> dict[str, object]:
    with anyio.fail_after(60):
        made = await client.call_tool("generate_video", {**CLIP, "prompt": prompt}, progress_callback=seen)
    return content_of(made)


async def test_progress_of_a_clip_rises_once_a_second_and_says_what_goes_on(connect: Connect):
    seen = Seen()
    with running_emulator(EmulatorSettings(video_seconds=3)) as slow:
        async with connect(GOOGLE_GEMINI_BASE_URL=slow.url) as client:
            made = await clip(client, seen, "waves")
    assert made["status"] == "succeeded"
    assert len(seen.values) >= 3
    assert seen.values == sorted(set(seen.values))
    pauses = [later - earlier for earlier, later in zip(seen.at, seen.at[1:], strict=False)]
    assert min(pauses) >= SECONDS_BETWEEN - JITTER_SECONDS
    rendering = [message for message in seen.messages if "is rendering" in message]
    assert rendering
    assert all(re.fullmatch(r"Gemini is rendering: \d+ s of about \d+ s \(estimated\)", told) for told in rendering)


async def test_estimate_is_what_earlier_clips_of_the_model_took(connect: Connect, emulator):
    async with connect() as client:
        first = await clip(client, Seen(), "waves")
        second = await clip(client, Seen(), "more waves")
    usual, now = (job["progress"] for job in (first, second))
    assert isinstance(usual, dict)
    assert isinstance(now, dict)
    assert usual["estimated_seconds"] == EMULATED_SECONDS
    assert now["estimated_seconds"] <= max(1.0, usual["elapsed_seconds"] + 0.1)


async def test_pictures_that_are_made_at_once_are_counted(connect: Connect):
    seen = Seen()
    with running_emulator(EmulatorSettings(image_seconds=2.5)) as slow:
        async with connect(GOOGLE_GEMINI_BASE_URL=slow.url) as client:
            arguments = {"prompt": "a boat", "count": 3, "preview": False}
            with anyio.fail_after(60):
                made = content_of(await client.call_tool("generate_image", arguments, progress_callback=seen))
    assert made["status"] == "succeeded"
    assert seen.values == sorted(set(seen.values))
    assert any(re.search(r"making 3 pictures: .*; \d of 3 pictures done", message) for message in seen.messages)
