"""Hundreds of files that want the same name."""

import os
from pathlib import Path

import pytest

from mediagen.storage import placing
from mediagen.storage.local import LocalStorage


async def test_files_of_one_stem_get_names_in_order_and_the_free_first_one_is_used_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(placing, "_taken", {})
    storage = LocalStorage()
    made = [await storage.store_bytes(b"x", directory=tmp_path, stem="cat", suffix=".png") for _ in range(30)]
    assert [file.path.stem for file in made] == ["cat", *(f"cat_{number}" for number in range(2, 31))]
    made[0].path.unlink()
    made[20].path.unlink()
    again = [await storage.store_bytes(b"y", directory=tmp_path, stem="cat", suffix=".png") for _ in range(2)]
    # What is known to be taken is not looked at again, whatever became of it.
    assert [file.path.stem for file in again] == ["cat", "cat_31"]


async def test_names_that_were_passed_over_are_not_looked_at_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(placing, "_taken", {})
    storage = LocalStorage()
    for _ in range(40):
        await storage.store_bytes(b"x", directory=tmp_path, stem="cat", suffix=".png")
    looked_at: list[str] = []
    real = placing.is_there

    def is_there(path: str) -> bool:
        looked_at.append(Path(path).name)
        return real(path)

    monkeypatch.setattr(placing, "is_there", is_there)
    await storage.store_bytes(b"x", directory=tmp_path, stem="cat", suffix=".png")
    assert looked_at
    assert len({name.partition(".")[0] for name in looked_at}) <= placing.LOOKED_AT + 2


async def test_unfinished_file_without_another_name_is_withdrawn_without_a_look_at_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    storage = LocalStorage()
    part = await storage.open_part(tmp_path, "job-0")
    await part.append(b"film")
    stored = await part.finish("clip", ".mp4", keep_part=True)

    def scandir(_path: Path) -> None:
        raise AssertionError("the folder may hold thousands")

    monkeypatch.setattr(os, "scandir", scandir)
    assert part.blocking.withdraw({stored.path.name}) == []
    assert stored.path.read_bytes() == b"film"


async def test_name_that_nobody_keeps_is_withdrawn(tmp_path: Path):
    storage = LocalStorage()
    part = await storage.open_part(tmp_path, "job-0")
    await part.append(b"film")
    stored = await part.finish("clip", ".mp4", keep_part=True)
    assert part.blocking.withdraw({"another.mp4"}) == [stored.path]
    assert not stored.path.exists()


async def test_name_beside_one_that_is_kept_is_withdrawn(tmp_path: Path):
    storage = LocalStorage()
    part = await storage.open_part(tmp_path, "job-0")
    await part.append(b"film")
    kept = await part.finish("clip", ".mp4", keep_part=True)
    other = tmp_path / "other.mp4"
    other.hardlink_to(kept.path)
    assert part.blocking.withdraw([kept.path.name, "clip.png"]) == [other]
    assert kept.path.exists()
    assert not other.exists()
