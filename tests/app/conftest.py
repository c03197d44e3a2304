"""What the tests of routes share: an emulator that keeps its clips, and settings that point every surface at it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mediagen.emulator.settings import EmulatorSettings
from mediagen.emulator.thread import EmulatorHandle, running_emulator
from mediagen.settings import Settings, read_settings

PROJECT = "test-project"


@pytest.fixture(scope="session")
def lasting_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorHandle]:
    """An emulator that is not reset between tests, so that they can share the clips that were made on it."""
    settings = EmulatorSettings(video_seconds=0, state_dir=tmp_path_factory.mktemp("lasting-emulator"))
    with running_emulator(settings) as handle:
        yield handle


@pytest.fixture(scope="session")
def service_account(lasting_emulator: EmulatorHandle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lasting_emulator.service_account_file(tmp_path_factory.mktemp("keys") / "account.json", PROJECT)


@pytest.fixture(scope="session")
def user_login(lasting_emulator: EmulatorHandle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lasting_emulator.user_credentials_file(tmp_path_factory.mktemp("keys") / "user.json")


def surfaces_at(url: str) -> dict[str, str]:
    """Variables by which every surface but Cloud Storage is at one address."""
    return {
        "GOOGLE_GEMINI_BASE_URL": url,
        "GOOGLE_VERTEX_BASE_URL": url,
        "CLIPROXY_BASE_URL": f"{url}/cliproxy",
    }


@pytest.fixture
def read(emulator: EmulatorHandle, work: Path, tmp_path: Path) -> Callable[..., Settings]:
    """Settings by which every surface is at the emulator, without any credential but those that are given."""
    usual = {
        **surfaces_at(emulator.url),
        "MEDIAGEN_STATE_DIR": str(tmp_path / "state"),
        "MEDIAGEN_OUTPUT_DIR": str(work),
        "MEDIAGEN_POLL_SECONDS": "0.05",
        "MEDIAGEN_WAIT_SECONDS": "20",
    }

    def read_with(**variables: str) -> Settings:
        return read_settings({**usual, **variables})

    return read_with
