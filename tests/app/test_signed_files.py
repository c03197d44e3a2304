"""Files that carry a C2PA manifest are kept as they came, on both surfaces; their record is found all the same."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.app.conftest import PROJECT, surfaces_at
from tests.stored import sha256_as_made

from mediagen.cli.commands import run
from mediagen.emulator.settings import EmulatorSettings
from mediagen.emulator.thread import EmulatorHandle, running_emulator
from mediagen.media.metadata import has_c2pa, read_record

SURFACES = {
    "gemini": {"GOOGLE_API_KEY": "AQ.any"},
    "vertex": {"GOOGLE_ACCESS_TOKEN": "ya29.ready", "GOOGLE_CLOUD_PROJECT": PROJECT},
}
PICTURE = ("image", "a fox in the snow")
CLIP = ("video", "a fox in the snow", "--model", "gemini-omni-1.2-flash", "--duration-seconds", "3")
CLIP_OF_VEO = ("video", "a fox in the snow", "--model", "veo-3.1-fast-generate-001", "--duration-seconds", "4")
MADE = [
    *(pytest.param(surface, PICTURE, id=f"picture-{surface}") for surface in SURFACES),
    *(pytest.param(surface, CLIP, id=f"clip-{surface}") for surface in SURFACES),
    pytest.param("vertex", CLIP_OF_VEO, id="clip_of_veo-vertex"),
]

Said = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def signing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorHandle]:
    state = tmp_path_factory.mktemp("signing-emulator")
    with running_emulator(EmulatorSettings(video_seconds=0, signed=True, state_dir=state)) as handle:
        yield handle


@pytest.fixture
def ask(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[EmulatorHandle, str], Said]:
    """Opens the command line on a surface of an emulator; each call gives the structured result."""

    def on(served_by: EmulatorHandle, surface: str) -> Said:
        usual = {
            "MEDIAGEN_BACKEND": surface,
            "MEDIAGEN_STATE_DIR": str(tmp_path / "state"),
            "MEDIAGEN_OUTPUT_DIR": str(work),
            "MEDIAGEN_POLL_SECONDS": "0.05",
            "MEDIAGEN_WAIT_SECONDS": "20",
        }
        for name, value in {**surfaces_at(served_by.url), **SURFACES[surface], **usual}.items():
            monkeypatch.setenv(name, value)

        def say(*words: str) -> dict[str, Any]:
            code = run([*words, "--json"])
            said = capsys.readouterr()
            assert code == 0, (said.out, said.err)
            result: dict[str, Any] = json.loads(said.out)
            return result

        return say

    return on


def served(emulator: EmulatorHandle) -> str:
    """Digest of the newest file that the emulator made."""
    return str(emulator.files()[-1]["sha256"])


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(("surface", "words"), MADE)
def test_signed_file_is_kept_as_served_and_found_after_a_move(
    ask: Callable[[EmulatorHandle, str], Said],
    signing: EmulatorHandle,
    tmp_path: Path,
    surface: str,
    words: tuple[str, ...],
):
    say = ask(signing, surface)
    report = say(*words)
    [artifact] = report["artifacts"]
    path = Path(artifact["path"])
    assert has_c2pa(path)
    assert read_record(path) is None
    assert artifact["sha256"] == digest(path) == served(signing)
    assert not [warning for warning in report["warnings"] if "record" in warning]
    moved = tmp_path / "elsewhere" / f"ชื่อ 🦊{path.suffix}"
    moved.parent.mkdir()
    shutil.move(path, moved)
    found = say("show", str(moved))
    assert (found["found_in"], found["job_id"]) == ("ledger", report["job_id"])
    assert digest(moved) == served(signing), "looking changed it"


@pytest.mark.parametrize(("surface", "words"), MADE)
def test_unsigned_file_carries_its_record_and_nothing_else_new(
    ask: Callable[[EmulatorHandle, str], Said],
    emulator: EmulatorHandle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    surface: str,
    words: tuple[str, ...],
):
    say = ask(emulator, surface)
    report = say(*words)
    path = Path(report["artifacts"][0]["path"])
    assert not has_c2pa(path)
    assert (read_record(path) or {})["job_id"] == report["job_id"]
    assert sha256_as_made(path) == served(emulator)
    moved = Path(shutil.move(path, tmp_path / f"alone{path.suffix}"))
    assert say("show", str(moved))["found_in"] == "ledger"
    monkeypatch.setenv("MEDIAGEN_STATE_DIR", str(tmp_path / "of-somebody-else"))
    found = say("show", str(moved))
    assert (found["found_in"], found["job_id"]) == ("embedded", report["job_id"])
