"""Which names of this machine's folders are kept from callers on another one."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mediagen.app.folders import own_folders
from mediagen.settings import Settings


def test_own_folders_are_those_of_files_state_home_and_work_with_the_deepest_first(
    make_settings: Callable[..., Settings], work: Path, tmp_path: Path
):
    (tmp_path / "out" / "deep").mkdir(parents=True)
    found = own_folders(make_settings(MEDIAGEN_OUTPUT_DIR=str(tmp_path / "out" / "deep")))
    expected = {tmp_path / "out" / "deep", tmp_path / "state", tmp_path / "home", work}
    assert {str(folder) for folder in expected} == set(found)
    assert [len(folder) for folder in found] == sorted(map(len, found), reverse=True)


def test_own_folders_are_known_when_the_working_directory_is_gone(
    make_settings: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    settings = make_settings(MEDIAGEN_OUTPUT_DIR=str(tmp_path))
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert set(own_folders(settings)) == {str(tmp_path), str(tmp_path / "state"), str(tmp_path / "home")}


def test_root_of_the_machine_hides_no_path(make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch):
    settings = make_settings()
    monkeypatch.chdir("/")
    assert "/" not in own_folders(settings)
