"""Every test: no ambient credentials, no files outside its own folder, an emulator instead of Google."""

import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from mcp import Client
from tests.postgresql import NoServerError, Server

import mediagen
from mediagen.emulator.settings import EmulatorSettings
from mediagen.emulator.thread import EmulatorHandle, running_emulator
from mediagen.errors import MediaError
from mediagen.media.ffmpeg import find_ffmpeg
from mediagen.server.build import build_server
from mediagen.settings import Settings, read_settings

DATA = Path(__file__).parent / "data"
SOURCE = Path(mediagen.__file__).parents[1]
AMBIENT = (
    "GOOGLE_",
    "GEMINI_",
    "VERTEX_",
    "GCP_",
    "GCS_",
    "CLIPROXY_",
    "MEDIAGEN_",
    "CLAUDE",
    "STORAGE_EMULATOR",
    "XDG_",
    "CLOUDSDK_",
    "GCE_",
)


@pytest.fixture(scope="session")
def ffmpeg() -> str:
    try:
        return find_ffmpeg(None)
    except MediaError:
        pytest.skip("needs ffmpeg")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A server of PostgreSQL; where none can be had the test is skipped, but not where all is to be checked."""
    try:
        server = Server()
    except NoServerError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    yield server
    server.close()


@pytest.fixture(autouse=True)
def no_ambient_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(AMBIENT):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    # A child imports what is tested here, not a checkout that happens to be installed.
    monkeypatch.setenv("PYTHONPATH", str(SOURCE), prepend=os.pathsep)


@pytest.fixture(autouse=True)
def log_level_as_before() -> Iterator[None]:
    """A server or a command that runs in this process sets the level for good."""
    logger = logging.getLogger("mediagen")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.fixture(scope="session")
def shared_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorHandle]:
    settings = EmulatorSettings(video_seconds=0.2, state_dir=tmp_path_factory.mktemp("emulator"))
    with running_emulator(settings) as handle:
        yield handle


@pytest.fixture
def emulator(shared_emulator: EmulatorHandle) -> EmulatorHandle:
    shared_emulator.reset()
    return shared_emulator


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory of the test's own, with a real picture in it."""
    folder = tmp_path / "work 🎬"
    folder.mkdir()
    shutil.copy(DATA / "chelsea.png", folder / "cat.png")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def environment(emulator: EmulatorHandle, work: Path, tmp_path: Path) -> dict[str, str]:
    return {
        "MEDIAGEN_BACKEND": "emulator",
        "GOOGLE_GEMINI_BASE_URL": emulator.url,
        "MEDIAGEN_STATE_DIR": str(tmp_path / "state"),
        "MEDIAGEN_OUTPUT_DIR": str(work),
        "MEDIAGEN_POLL_SECONDS": "0.05",
        "MEDIAGEN_WAIT_SECONDS": "240",
    }


def of_child(variables: Mapping[str, str]) -> dict[str, str]:
    """Environment of a child process that imports the same mediagen and has only these variables besides."""
    # Of a fixture that outlives the test there is no other PYTHONPATH yet.
    usual = {
        "PYTHONPATH": str(SOURCE),
        **{name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ},
    }
    return {**usual, **variables}


@pytest.fixture
def make_settings(environment: dict[str, str]) -> Callable[..., Settings]:
    def make(**changes: str) -> Settings:
        return read_settings({**environment, **changes})

    return make


@pytest.fixture(params=["legacy", "auto"])
def era(request: pytest.FixtureRequest) -> str:
    """Both protocol eras: the handshake and 2026-07-28."""
    return str(request.param)


Connect = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture
def connect(make_settings: Callable[..., Settings], era: str) -> Connect:
    """Opens a client on an in-memory server; entered in the test itself, as task groups want it."""

    def connect_with(**changes: str) -> AbstractAsyncContextManager[Client]:
        return Client(build_server(make_settings(**changes)), mode=era)

    return connect_with


def paid(emulator: EmulatorHandle) -> int:
    """Paid submissions that the emulator counted."""
    return int(emulator.bill()["paid_submissions"])
