"""Vertex AI and Cloud Storage, both played by the emulator, with a service account of its own."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import anyio
import pytest

from mediagen.app.app import App, Manner, open_app
from mediagen.emulator.thread import EmulatorHandle
from mediagen.endpoints.http import HttpSettings
from mediagen.settings import Settings
from mediagen.submitter.base import is_supported


@pytest.fixture
def vertex_variables(emulator: EmulatorHandle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    variables = {
        "MEDIAGEN_BACKEND": "vertex",
        "GOOGLE_VERTEX_BASE_URL": emulator.url,
        "STORAGE_EMULATOR_HOST": emulator.url,
        "GOOGLE_CLOUD_PROJECT": "film-project",
        "GOOGLE_APPLICATION_CREDENTIALS": str(emulator.service_account_file(tmp_path / "account.json")),
    }
    # Google's libraries look there themselves.
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables


@pytest.fixture
def vertex_settings(
    make_settings: Callable[..., Settings], vertex_variables: dict[str, str]
) -> Callable[..., Settings]:
    def make(**changes: str) -> Settings:
        return make_settings(**{**vertex_variables, **changes})

    return make


@pytest.fixture(params=["detached", "itself"])
def open_either(request: pytest.FixtureRequest) -> Callable[..., AbstractAsyncContextManager[App]]:
    """Opens an app whose paid requests leave through the submitter, and one that sends them itself."""
    if request.param == "detached" and not is_supported():
        pytest.skip("needs a platform with the submitter")
    return partial(open_app, manner=Manner(sends_itself=request.param == "itself"))


@pytest.fixture
def quick() -> HttpSettings:
    """Waits are noted by nobody and take no time."""

    async def no_wait(_seconds: float) -> None:
        await anyio.lowlevel.checkpoint()

    return HttpSettings(sleep=no_wait)


@pytest.fixture
def ledger_file(environment: dict[str, str]) -> Path:
    return Path(environment["MEDIAGEN_STATE_DIR"]) / "ledger.sqlite3"
