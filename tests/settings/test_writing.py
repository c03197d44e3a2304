"""Changing mediagen.toml: whole or not at all, and nothing but what was meant."""

import os
import stat
import subprocess
import sys
import tomllib
from decimal import Decimal
from pathlib import Path

import pytest

from mediagen.errors import ConfigurationError
from mediagen.settings import read_settings
from mediagen.settings.writing import save_profile

OLD = """# my films
profile = "film"   # the usual one

[profiles.film]     # 🎬
project = 'film-1'  # keep me
api_key_variable = "FILM_KEY"

[profiles.film.image]
count = 2

[image]
model = "gemini-3.1-flash-image"

[profiles.other]
project = "other-1"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "ภาพ 🎬" / "mediagen.toml"
    made.parent.mkdir()
    made.write_text(OLD, encoding="utf-8")
    return made


def test_comments_and_other_profiles_stay(file: Path):
    save_profile(file, "film", {"bucket": "b-1-media", "api_key_variable": None, "image": {"image_size": "2K"}})
    text = file.read_text(encoding="utf-8")
    for kept in (
        "# my films",
        "# the usual one",
        "# 🎬",
        "project = 'film-1'  # keep me",
        '[profiles.other]\nproject = "other-1"',
    ):
        assert kept in text
    film = tomllib.loads(text)["profiles"]["film"]
    assert film == {"project": "film-1", "bucket": "b-1-media", "image": {"count": 2, "image_size": "2K"}}


def test_new_file_is_readable_by_its_owner_only_and_says_what_was_given(tmp_path: Path):
    made = tmp_path / "new" / "folder" / "mediagen.toml"
    save_profile(made, "my film", {"api_key": "AIzaX", "max_usd_per_day": Decimal("0.15")}, default="my film")
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert stat.S_IMODE(made.parent.stat().st_mode) & 0o077 == 0
    profile = read_settings({"MEDIAGEN_CONFIG": str(made)}).choose_profile()
    assert profile is not None
    assert (profile.name, profile.max_usd_per_day) == ("my film", Decimal("0.15"))


def test_open_file_is_closed_to_others(file: Path):
    file.chmod(0o644)
    save_profile(file, "film", {"api_key": "AIzaX", "api_key_variable": None})
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_link_stays_a_link(file: Path, tmp_path: Path):
    link = tmp_path / "link.toml"
    link.symlink_to(file)
    save_profile(link, "film", {"location": "global"})
    assert link.is_symlink()
    assert tomllib.loads(file.read_text(encoding="utf-8"))["profiles"]["film"]["location"] == "global"


@pytest.mark.parametrize(
    "text",
    [
        "profiles = {film = {project = 'x'}}\n",
        "broken =",
        "[profiles.film]\nbad = 1\n",
    ],
)
def test_file_that_cannot_be_changed_safely_is_left_alone(file: Path, text: str):
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=r"mediagen\.toml"):
        save_profile(file, "film", {"location": "global", "image": {"count": 2}})
    assert file.read_text() == text
    assert [path.name for path in file.parent.iterdir()] == ["mediagen.toml"]


def test_value_that_could_not_be_read_again_is_not_written(file: Path):
    with pytest.raises(ConfigurationError, match=r"profiles\.film\.location"):
        save_profile(file, "film", {"location": "no where"})
    assert file.read_text(encoding="utf-8") == OLD


def test_failed_write_leaves_the_old_file_and_no_rest(file: Path, monkeypatch: pytest.MonkeyPatch):
    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigurationError, match="No space left"):
        save_profile(file, "film", {"location": "global"})
    assert file.read_text(encoding="utf-8") == OLD
    assert [path.name for path in file.parent.iterdir()] == ["mediagen.toml"]


def test_folder_in_place_of_the_file_is_refused(tmp_path: Path):
    with pytest.raises(ConfigurationError, match=str(tmp_path)):
        save_profile(tmp_path, "film", {})


def test_killed_writer_leaves_a_whole_file(file: Path):
    code = (
        "import os, signal, pathlib, sys\n"
        "from mediagen.settings.writing import save_profile\n"
        "pathlib.Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "save_profile(pathlib.Path(sys.argv[1]), 'film', {'api_key': 'AIzaX', 'api_key_variable': None})\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(file)], timeout=60, capture_output=True)
    assert done.returncode == -9
    assert file.read_text(encoding="utf-8") == OLD
    for rest in file.parent.glob(".mediagen*"):
        assert stat.S_IMODE(rest.stat().st_mode) == 0o600
