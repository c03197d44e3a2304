import base64
import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mediagen.errors import StorageError
from mediagen.storage import conversations
from mediagen.storage.conversations import Conversations

FILE = os.urandom(500_001)
ODD = 'say "x" \\ \u2028 \ud83d 🎬 é \x00'


class Picture:
    def base64(self) -> Iterator[str]:
        for start in range(0, len(FILE), 3000):
            yield base64.b64encode(FILE[start : start + 3000]).decode()


TURNS: list[dict[str, Any]] = [
    {"role": "user", "parts": [{"text": ODD}, {"data": "A" * 600_000}, {"text": ODD * 30_000}]},
    {ODD: [], "b": {}, "c": [None, True, 1.5, -7, [[], [{}]]], "": ""},
]


async def test_turns_are_written_as_json_writes_them_and_files_as_base64(tmp_path: Path) -> None:
    kept = Conversations(folder=tmp_path / "kept")
    assert kept.keep("job_a", 0, [*TURNS, {"data": Picture()}])
    expected = [*TURNS, {"data": base64.b64encode(FILE).decode()}]
    (file,) = (tmp_path / "kept").iterdir()
    assert gzip.decompress(file.read_bytes()) == json.dumps(expected, separators=(",", ":")).encode()
    assert await kept.read("job_a", 0) == expected


async def test_what_is_small_is_not_packed(tmp_path: Path) -> None:
    kept = Conversations(folder=tmp_path / "kept")
    assert kept.keep("job_a", 0, TURNS[1:])
    (file,) = (tmp_path / "kept").iterdir()
    assert json.dumps(TURNS[1:], separators=(",", ":")).encode() == file.read_bytes()
    assert await kept.read("job_a", 0) == TURNS[1:]


async def test_what_was_kept_last_is_read_whether_it_is_small_or_not(tmp_path: Path) -> None:
    kept = Conversations(folder=tmp_path)
    for turns in (TURNS, TURNS[1:], TURNS):
        assert kept.keep("job_a", 0, turns)
        assert await kept.read("job_a", 0) == turns


async def test_too_long_and_too_deep_turns_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversations, "LARGEST_BYTES", 400_000)
    kept = Conversations(folder=tmp_path / "kept")
    assert not kept.keep("job_a", 0, [{"data": Picture()}])
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"a": deep}
    assert not kept.keep("job_a", 0, [deep])
    assert list((tmp_path / "kept").iterdir()) == []


async def test_what_was_kept_stays_when_the_next_cannot_be_written(tmp_path: Path) -> None:
    class Gone:
        def base64(self) -> Iterator[str]:
            yield "AAAA"
            raise OSError(5, "Input/output error")

    kept = Conversations(folder=tmp_path / "kept")
    assert kept.keep("job_a", 0, TURNS)
    with pytest.raises(StorageError) as caught:
        kept.keep("job_a", 0, [{"data": Gone()}])
    assert caught.value.code == "conversation_not_kept"
    assert await kept.read("job_a", 0) == TURNS
    assert len(list((tmp_path / "kept").iterdir())) == 1
