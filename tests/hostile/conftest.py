"""One server whose surfaces are all at the emulator, in a folder full of traps."""

import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.types import CallToolResult
from tests.conftest import paid
from tests.hostile.rows import PAID, Place
from tests.hostile.traps import SECRET, Traps, lay

from mediagen.emulator.thread import EmulatorHandle
from mediagen.server.build import build_server
from mediagen.settings import read_settings

KEY = "AIzaSyHostileTestsOwnKey0123456789"
SURFACES = ("gemini", "vertex")
# Far above what refusing takes on any machine.
SECONDS = 10.0


@dataclass
class Attacked:
    """A server under attack.

    Attributes:
        failures: What went wrong, by row.
    """

    client: Client
    emulator: EmulatorHandle
    traps: Traps
    failures: dict[str, str] = field(default_factory=dict)

    async def refuse(self, rows: Iterable[tuple[str, Place, Any]], surfaces: Iterable[str] = SURFACES) -> None:
        """Every row is refused in words of ours that name its argument, and nothing is sent for it."""
        seen = 0
        for name, place, value in rows:
            given = self._placed(value)
            for surface in surfaces if place.tool in PAID and place.field != "backend" else ("",):
                extra = {"backend": surface} if surface else {}
                arguments = {**extra, **place.call(given)}
                why = await self._attempt(place, arguments)
                seen += 1
                if why:
                    self.failures[f"{name} {surface}".strip()] = why
        assert seen, "no rows"
        await self.lives()

    async def _attempt(self, place: Place, arguments: dict[str, Any]) -> str:
        before = len(self.emulator.requests())
        try:
            with anyio.fail_after(SECONDS):
                result = await self.client.call_tool(place.tool, arguments)
        except TimeoutError:
            return f"took longer than {SECONDS} s"
        except Exception as error:  # noqa: BLE001 - told as a failure of its row
            return f"broke the protocol: {error!r:.300}"
        if sent := self.emulator.requests()[before:]:
            return f"was sent: {[(request['method'], request['path']) for request in sent]}"
        return self._judged(place, arguments, result)

    def _judged(self, place: Place, arguments: dict[str, Any], result: CallToolResult) -> str:
        text = said(result)
        # A check tells what is wrong as its result.
        if not result.is_error and not text.startswith("Not ready: "):
            return f"was taken: {text[:300]}"
        if result.is_error and (
            "defect" in text or not text.startswith(("[", f"Error executing tool {place.tool}: ["))
        ):
            return f"is no error of ours: {text[:300]}"
        given = arguments[place.field]
        is_named = place.field in text or "[job_not_found]" in text
        if not is_named and not (isinstance(given, str) and given in text):
            return f"does not name the argument: {text[:300]}"
        return trouble_with(text, most=1500)

    async def lives(self) -> None:
        """The server still does what it is for."""
        done = await self.client.call_tool("generate_image", {"prompt": "a red fox", "backend": "gemini"})
        if done.is_error or paid(self.emulator) != 1:
            self.failures["the call after it"] = said(done)

    def _placed(self, value: Any) -> Any:
        if not isinstance(value, str) or len(value) > 1000:
            return value
        return value.replace("{inside}", str(self.traps.inside)).replace("{outside}", str(self.traps.outside))


def said(result: CallToolResult) -> str:
    """The words of an answer."""
    return "\n".join(block.text for block in result.content if block.type == "text")


def trouble_with(text: str, *, most: int) -> str:
    """What a terminal, a log or a thief could make of words; empty when they are harmless."""
    if SECRET[:12] in text or "hunter2" in text or KEY in text:
        return f"tells a secret: {text[:300]}"
    if any((ord(c) < 32 and c != "\n") or 0x7F <= ord(c) < 0xA0 or c in "\u2028\u2029\u202e\u2066" for c in text):
        return f"holds commands: {text[:300]!r}"
    return f"is too long: {len(text)}" if len(text) > most else ""


@pytest.fixture(scope="session")
def waves(tmp_path_factory: pytest.TempPathFactory, ffmpeg: str) -> Path:
    """A film that Google takes as it is, so that no row waits for one to be converted."""
    path = tmp_path_factory.mktemp("film") / "waves.mp4"
    film = ["-f", "lavfi", "-i", "color=s=1280x720:r=24:d=4", "-f", "lavfi", "-i", "anullsrc=r=48000:d=4"]
    coding = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac", "-shortest", str(path)]
    subprocess.run([ffmpeg, "-v", "error", *film, *coding], check=True, stdin=subprocess.DEVNULL)
    return path


@pytest.fixture
def traps(work: Path, tmp_path: Path, waves: Path) -> Traps:
    shutil.copy(waves, work / "waves.mp4")
    return lay(work, tmp_path / "outside")


Attack = Callable[..., AbstractAsyncContextManager[Attacked]]


@pytest.fixture
def attack(traps: Traps, emulator: EmulatorHandle, tmp_path: Path) -> Attack:
    """Opens the server; entered in the test itself, as task groups want it."""
    variables = {
        "GEMINI_API_KEY": KEY,
        "GOOGLE_ACCESS_TOKEN": "ya29.hostile-tests-own-token",
        "GOOGLE_CLOUD_PROJECT": "test-project",
        "GOOGLE_GEMINI_BASE_URL": emulator.url,
        "GOOGLE_VERTEX_BASE_URL": emulator.url,
        "MEDIAGEN_STATE_DIR": str(tmp_path / "state"),
        "MEDIAGEN_OUTPUT_DIR": str(traps.inside),
        "MEDIAGEN_TOOLSETS": "core,jobs,edit",
        "MEDIAGEN_POLL_SECONDS": "0.05",
        "MEDIAGEN_WAIT_SECONDS": "20",
    }

    @asynccontextmanager
    async def open_attacked(**changes: str) -> AsyncIterator[Attacked]:
        settings = read_settings({**variables, **changes})
        async with Client(build_server(settings), mode="auto") as client:
            attacked = Attacked(client=client, emulator=emulator, traps=traps)
            yield attacked
        # Out here, for within the task group of the client it would be told as a group of errors.
        assert not attacked.failures, "\n" + "\n".join(f"{row}: {why}" for row, why in attacked.failures.items())

    return open_attacked
