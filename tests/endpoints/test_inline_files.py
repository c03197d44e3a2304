import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mediagen.endpoints.inline_files import IN_MEMORY_BYTES, MAX_OPEN_FILES, InlineFile, Separator, with_files
from mediagen.endpoints.wire.inline_media import DAMAGED

LARGE = os.urandom(IN_MEMORY_BYTES * 3 + 5)

posix_only = pytest.mark.skipif(os.name == "nt", reason="POSIX only")


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file of this process grows over a size; writing on fails as on a full disk."""
    import resource  # not on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_small_file_stays_in_memory(tmp_path: Path) -> None:
    file = InlineFile(tmp_path / "new", b"abc")
    file.append(b"def")
    assert (file.data, file.head, file.size) == (b"abcdef", b"abcdef", 6)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("piece", [1000, 70_001, len(LARGE)])
def test_large_file_is_on_the_disk_without_a_name(tmp_path: Path, piece: int) -> None:
    file = InlineFile(tmp_path / "new")
    for start in range(0, len(LARGE), piece):
        file.append(LARGE[start : start + piece])
        assert file.head == LARGE[:64]
    assert len(file._memory) == 0
    assert (file.data, file.size) == (LARGE, len(LARGE))
    assert b"".join(file.chunks(1001)) == LARGE
    if os.name != "nt":
        assert list((tmp_path / "new").iterdir()) == []


def test_file_whose_folder_cannot_be_made_stays_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    file = InlineFile(tmp_path / "file" / "folder")
    for start in range(0, len(LARGE), 50_000):
        file.append(LARGE[start : start + 50_000])
    assert file.data == LARGE


@posix_only
@pytest.mark.parametrize("limit", [1000, IN_MEMORY_BYTES, IN_MEMORY_BYTES * 2 + 7])
def test_full_disk_loses_nothing_of_a_file(tmp_path: Path, limit: int) -> None:
    file = InlineFile(tmp_path)
    with full_disk(limit):
        for start in range(0, len(LARGE), 50_001):
            file.append(LARGE[start : start + 50_001])
    assert file.data == LARGE
    assert len(file._memory) == len(LARGE)


def test_file_that_has_lost_its_folder_is_read_all_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    file = InlineFile(folder, LARGE)
    if os.name != "nt":
        folder.rmdir()
    assert "".join(file.base64()) == "".join(InlineFile(data=LARGE).base64())


def test_more_files_than_may_be_open_are_kept_in_memory(tmp_path: Path) -> None:
    separator = Separator(tmp_path)
    count = MAX_OPEN_FILES + 3
    encoded = "".join(InlineFile(data=LARGE[: IN_MEMORY_BYTES + 3]).base64())
    separator.feed(b"[")
    for number in range(count):
        separator.feed(f'{"," if number else ""}{{"data":"{encoded}"}}'.encode())
    separator.feed(b"]")
    assert [file.data for file in separator.files] == [LARGE[: IN_MEMORY_BYTES + 3]] * count
    assert [bool(file._memory) for file in separator.files] == [False] * MAX_OPEN_FILES + [True] * 3


def test_files_come_back_where_they_were_and_nowhere_else() -> None:
    files = (InlineFile(data=b"a"), InlineFile(data=b"b"))
    turn: dict[str, Any] = {
        "role": "model",
        "parts": [
            {"text": "inline:0", "thoughtSignature": "inline:1"},
            {"inlineData": {"mimeType": "image/png", "data": "inline:1"}},
            {"inlineData": {"data": "inline:0"}, "data": ["inline:0"], "uri": "inline:0"},
            {"inlineData": {"data": ""}, "data": 7},
        ],
    }
    parts = turn["parts"]
    assert with_files(turn, files) == {
        "role": "model",
        "parts": [
            parts[0],
            {"inlineData": {"mimeType": "image/png", "data": files[1]}},
            {"inlineData": {"data": files[0]}, "data": ["inline:0"], "uri": "inline:0"},
            parts[3],
        ],
    }


def test_damaged_draft_cannot_be_written_as_it_was() -> None:
    with pytest.raises(ValueError, match="damaged"):
        with_files({"parts": [{"inlineData": {"data": DAMAGED}}]}, ())
